package app

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
	"arus/app/transform"
)

func (env *environment) transformCommand() *cobra.Command {
	return group("transform", "Steps between extract and load", env.transformPreview())
}

func (env *environment) transformPreview() *cobra.Command {
	req := control.PreviewRequest{}
	var file string
	cmd := &cobra.Command{
		Use: "preview PIPELINE TABLE", Short: "Show what a table's steps make of its first rows; nothing is written", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Pipeline, req.Table = args[0], args[1]
			if file != "" {
				steps, err := env.stepsFile(file)
				if err != nil {
					return err
				}
				req.Steps = steps
			}
			return env.with(cmd.Context(), func(d *data) error {
				view, err := d.PreviewTransforms(cmd.Context(), req)
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				if env.flags.json {
					return env.printOne(view, "")
				}
				return env.printPreview(view)
			})
		},
	}
	cmd.Flags().StringVar(&file, "steps", "", "the steps of this JSON `file`, or - for standard input, instead of the table's own")
	cmd.Flags().IntVar(&req.Rows, "rows", 10, "how many rows, up to 100")
	return cmd
}

func (env *environment) printPreview(view transform.Preview) error {
	rows := func(columns []transform.PreviewColumn, rows []transform.PreviewRow) error {
		for _, c := range columns {
			if _, err := fmt.Fprintf(env.Out, "  %s %s\n", c.Name, c.Type); err != nil {
				return err
			}
		}
		for _, r := range rows {
			if _, err := fmt.Fprintf(env.Out, "%4d  %s\n", r.Source, r.Data); err != nil {
				return err
			}
		}
		return nil
	}
	_, _ = fmt.Fprintln(env.Out, "source")
	if err := rows(view.Columns, view.Rows); err != nil {
		return err
	}
	for _, s := range view.Steps {
		_, _ = fmt.Fprintf(env.Out, "step %d, %s, %s\n", s.Step, s.Type, s.Took.Round(time.Microsecond))
		if err := rows(s.Columns, s.Rows); err != nil {
			return err
		}
		for _, row := range s.Dropped {
			_, _ = fmt.Fprintf(env.Out, "%4d  dropped\n", row)
		}
		for _, f := range s.Failed {
			_, _ = fmt.Fprintf(env.Out, "%4d  failed: %s\n", f.Source, f.Reason)
		}
		for _, line := range s.Printed {
			_, _ = fmt.Fprintf(env.Out, "      printed: %s\n", line)
		}
	}
	return nil
}

// stepsFile reads a list of steps; an empty name is no steps.
func (env *environment) stepsFile(name string) (model.JSON, error) {
	if name == "" {
		return model.JSON("[]"), nil
	}
	text, err := env.readFile(name)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(text)) {
		return nil, &usageError{fmt.Errorf("%s is no JSON: a list of steps such as [{\"type\": \"trim\", \"config\": {\"columns\": [\"name\"]}}] is wanted", name)}
	}
	return model.JSON(text), nil
}
