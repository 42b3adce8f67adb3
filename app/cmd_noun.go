package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"arus/app/control"
)

// pageFlags cut a list.
type pageFlags struct{ limit, offset int }

func (p *pageFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", 50, "how many to list at most")
	cmd.Flags().IntVar(&p.offset, "offset", 0, "how many to pass over")
}

// named says which noun was not found.
func named(err error, noun, name string) error {
	if control.IsNotFound(err) {
		return fmt.Errorf("there is no %s %q, see 'arus %s list': %w", noun, name, noun, control.ErrNotFound)
	}
	return err
}

// printOne prints a new object: its id for people, all of it as JSON.
func (env *environment) printOne(v any, id string) error {
	if env.flags.json {
		return writeJSON(env.Out, v)
	}
	_, err := fmt.Fprintln(env.Out, id)
	return err
}

// printList prints one page of a list as JSON, or passes the error on.
func (env *environment) printList(err error, key string, list any, total int) error {
	if err != nil {
		return err
	}
	return writeJSON(env.Out, map[string]any{key: list, "total": total})
}

// endList flushes a table; an empty list says how to fill it, a cut one how to go on.
func (env *environment) endList(t *table, shown, total int, nouns, hint string) error {
	if err := t.flush(); err != nil {
		return err
	}
	switch {
	case total == 0 && hint != "":
		_, _ = fmt.Fprintf(env.Err, "no %s yet: %s\n", nouns, hint)
	case shown < total:
		_, _ = fmt.Fprintf(env.Err, "%d of %d %s; see --limit and --offset\n", shown, total, nouns)
	}
	return nil
}

func (env *environment) removeCommand(noun, short string, remove func(*control.Service, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				if err := remove(d.Service, cmd.Context(), args[0]); err != nil {
					return named(err, noun, args[0])
				}
				if env.flags.json {
					return writeJSON(env.Out, map[string]any{"deleted": true})
				}
				return nil
			})
		},
	}
}
