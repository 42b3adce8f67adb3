package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/engine"
)

func (env *environment) lettersCommand() *cobra.Command {
	return group("deadletters", "Rows that could not be loaded", env.lettersList(), env.lettersShow(), env.lettersRetry(), env.lettersDrop())
}

// letterFlags select dead letters.
func letterFlags(cmd *cobra.Command, f *control.LetterFilter) {
	cmd.Flags().StringVar(&f.Table, "table", "", "only those of this `table`")
	cmd.Flags().StringVar(&f.RunID, "run", "", "only those of this `run`")
	cmd.Flags().StringArrayVar(&f.IDs, "id", nil, "only this one, by its `id`; may be repeated")
}

func (env *environment) lettersList() *cobra.Command {
	var f control.LetterFilter
	var page pageFlags
	cmd := &cobra.Command{
		Use: "list PIPELINE", Short: "List the dead letters of a pipeline, newest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Pipeline, f.Page = args[0], control.Page{Limit: page.limit, Offset: page.offset}
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListLetters(cmd.Context(), f)
				if err != nil || env.flags.json {
					return env.printList(named(err, "pipeline", args[0]), "dead_letters", list, total)
				}
				t := newTable(env.Out, "FAILED", "TABLE", "REASON", "RUN", "ID")
				for _, l := range list {
					t.row(when(l.FailedAt), l.Table, l.Reason, l.RunID, l.ID)
				}
				return env.endList(t, len(list), total, "dead letters", "")
			})
		},
	}
	letterFlags(cmd, &f)
	page.add(cmd)
	return cmd
}

func (env *environment) lettersShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PIPELINE ID", Short: "Show a dead letter with its row", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, _, err := d.ListLetters(cmd.Context(), control.LetterFilter{Pipeline: args[0], IDs: args[1:]})
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				if len(list) == 0 {
					return fmt.Errorf("there is no dead letter %q, see 'arus deadletters list %s': %w", args[1], args[0], control.ErrNotFound)
				}
				return writeJSON(env.Out, list[0])
			})
		},
	}
}

func (env *environment) lettersRetry() *cobra.Command {
	var f control.LetterFilter
	cmd := &cobra.Command{
		Use: "retry PIPELINE", Short: "Load dead letters again; those that come through are gone", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Pipeline = args[0]
			return env.with(cmd.Context(), func(d *data) error {
				return env.runAndFinish(func(show func(engine.Event)) (engine.Report, error) {
					r, err := d.RetryLetters(cmd.Context(), f, show)
					return r, named(err, "pipeline", args[0])
				})
			})
		},
	}
	letterFlags(cmd, &f)
	return cmd
}

func (env *environment) lettersDrop() *cobra.Command {
	var f control.LetterFilter
	var everything bool
	cmd := &cobra.Command{
		Use: "drop PIPELINE", Short: "Delete dead letters for good", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.Table == "" && f.RunID == "" && len(f.IDs) == 0 && !everything {
				return &usageError{errors.New("say which: --table, --run, --id, or --all")}
			}
			f.Pipeline = args[0]
			return env.with(cmd.Context(), func(d *data) error {
				n, err := d.DropLetters(cmd.Context(), f)
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				if env.flags.json {
					return writeJSON(env.Out, map[string]any{"dropped": n})
				}
				_, err = fmt.Fprintf(env.Out, "dropped %s dead letters\n", count(n))
				return err
			})
		},
	}
	letterFlags(cmd, &f)
	cmd.Flags().BoolVar(&everything, "all", false, "all of the pipeline")
	return cmd
}
