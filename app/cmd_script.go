package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/script"
)

// python makes the runtime of transform scripts in the data directory's cache.
func (env *environment) python(dataDir string) *script.Runtime {
	isolation := script.Strict
	if env.Getenv("ARUS_SCRIPT_ISOLATION") == string(script.Open) {
		isolation = script.Open
	}
	return script.New(filepath.Join(dataDir, "cache"), script.Limits{}, isolation)
}

func (env *environment) scriptCommand() *cobra.Command {
	return group("script", "Python scripts of a pipeline's transforms", env.scriptList(), env.scriptShow(), env.scriptSet(), env.scriptRemove(), env.scriptTest())
}

func (env *environment) scriptList() *cobra.Command {
	var page pageFlags
	cmd := &cobra.Command{
		Use: "list PIPELINE", Short: "List the scripts of a pipeline", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				list, total, err := d.ListScripts(cmd.Context(), args[0], control.Page{Limit: page.limit, Offset: page.offset})
				if err != nil || env.flags.json {
					return env.printList(named(err, "pipeline", args[0]), "scripts", list, total)
				}
				t := newTable(env.Out, "NAME", "BYTES", "CHANGED", "DESCRIPTION")
				for _, s := range list {
					t.row(s.Name, len(s.Content), when(s.UpdatedAt), dash(s.Description))
				}
				return env.endList(t, len(list), total, "scripts", "arus script set "+args[0]+" NAME FILE adds one")
			})
		},
	}
	page.add(cmd)
	return cmd
}

func (env *environment) scriptShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PIPELINE NAME", Short: "Print a script", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				s, err := d.FindScript(cmd.Context(), args[0], args[1])
				if err != nil {
					return named(err, "script", args[1])
				}
				if env.flags.json {
					return env.printOne(s, s.Name)
				}
				_, err = io.WriteString(env.Out, s.Content)
				return err
			})
		},
	}
}

func (env *environment) scriptSet() *cobra.Command {
	var description string
	cmd := &cobra.Command{
		Use: "set PIPELINE NAME FILE", Short: "Store a script, or its new text; FILE may be - for standard input", Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			content, err := env.readFile(args[2])
			if err != nil {
				return err
			}
			return env.with(cmd.Context(), func(d *data) error {
				in := control.ScriptInput{Name: &args[1], Content: &content}
				if cmd.Flags().Changed("description") {
					in.Description = &description
				}
				s, err := d.SetScript(cmd.Context(), args[0], in)
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				if env.flags.json {
					return env.printOne(s, s.Name)
				}
				_, err = fmt.Fprintf(env.Out, "script %s is stored; a step {\"type\": \"script\", \"config\": {\"script_name\": %q}} runs it\n", s.Name, s.Name)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&description, "description", "", "what it does")
	return cmd
}

func (env *environment) scriptRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove PIPELINE NAME", Short: "Remove a script", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				s, err := d.FindScript(cmd.Context(), args[0], args[1])
				if err == nil {
					err = d.DeleteScript(cmd.Context(), s.PipelineID, s.ID)
				}
				return named(err, "script", args[1])
			})
		},
	}
}

func (env *environment) scriptTest() *cobra.Command {
	var types []string
	cmd := &cobra.Command{
		Use: "test FILE ROWS", Short: "Run a script over the rows of a file of JSON lines; nothing is stored", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			content, err := env.readFile(args[0])
			if err != nil {
				return err
			}
			given, err := env.readFile(args[1])
			if err != nil {
				return err
			}
			var rows []json.RawMessage
			for line := range strings.Lines(given) {
				if line = strings.TrimSpace(line); line != "" {
					rows = append(rows, json.RawMessage(line))
				}
			}
			columns := map[string]string{}
			for _, t := range types {
				name, kind, ok := strings.Cut(t, "=")
				if !ok {
					return &usageError{fmt.Errorf("--type %s: write it as COLUMN=TYPE", t)}
				}
				columns[name] = kind
			}
			return env.with(cmd.Context(), func(d *data) error {
				test, err := d.TestScript(cmd.Context(), strings.TrimSuffix(filepath.Base(args[0]), ".py"), content, columns, rows)
				if err != nil {
					return err
				}
				if env.flags.json {
					return env.printOne(test, "")
				}
				for _, line := range test.Printed {
					_, _ = fmt.Fprintln(env.Err, "printed:", line)
				}
				for _, row := range test.Rows {
					_, _ = fmt.Fprintln(env.Out, string(row))
				}
				for _, f := range test.Failed {
					_, _ = fmt.Fprintf(env.Err, "row %d failed: %s\n", f.Row, f.Reason)
				}
				_, err = fmt.Fprintf(env.Err, "%d rows came out, %d were dropped, %d failed\n", len(test.Rows), len(test.Dropped), len(test.Failed))
				return err
			})
		},
	}
	cmd.Flags().StringArrayVar(&types, "type", nil, "the type of a column: `COLUMN=TYPE`, such as price=decimal(12,2); the others are text")
	return cmd
}

// readFile reads a file that a person named, or standard input for -.
func (env *environment) readFile(name string) (string, error) {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(io.LimitReader(env.In, 16<<20))
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return "", &usageError{fmt.Errorf("read %s: %w", name, err)}
	}
	return string(text), nil
}
