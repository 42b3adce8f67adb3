package app

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"arus/app/control"
)

func (env *environment) planCommand() *cobra.Command {
	var prune bool
	cmd := &cobra.Command{
		Use: "plan FILE", Short: "Say what applying a configuration file would change",
		Long: `Compare a configuration file with the configuration and print what 'arus apply' would change; - reads
standard input. The exit code is 0 when nothing would change, 1 when something would, 2 when the
file is not valid.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := env.readDeclaration(args[0])
			if err != nil {
				return err
			}
			return env.with(cmd.Context(), func(d *data) error {
				plan, err := d.PlanDeclaration(cmd.Context(), file, prune)
				if err != nil {
					return err
				}
				if err := env.printPlan(plan, "no difference"); err != nil {
					return err
				}
				if len(plan.Changes) > 0 {
					return &codeError{exitFailed}
				}
				return nil
			})
		},
	}
	pruneFlag(cmd, &prune)
	return cmd
}

func pruneFlag(cmd *cobra.Command, prune *bool) {
	cmd.Flags().BoolVar(prune, "prune", false, "remove what the file does not name, in the sections that it has")
}

func (env *environment) readDeclaration(name string) (control.DeclarationFile, error) {
	in := env.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return control.DeclarationFile{}, &environmentError{fmt.Errorf("read the configuration file: %w", err)}
		}
		defer func() { _ = f.Close() }()
		in = io.Reader(f)
	}
	return control.ReadDeclaration(in)
}

func (env *environment) printPlan(plan control.ConfigPlan, nothing string) error {
	if env.flags.json {
		return writeJSON(env.Out, plan)
	}
	if len(plan.Changes) == 0 {
		_, err := fmt.Fprintln(env.Out, nothing)
		return err
	}
	counts := map[control.ConfigAction]int{}
	for _, c := range plan.Changes {
		counts[c.Action]++
		if _, err := fmt.Fprintln(env.Out, c); err != nil {
			return err
		}
	}
	for _, ref := range plan.Unset {
		_, _ = fmt.Fprintf(env.Err, "warning: %s leads to nothing here\n", ref)
	}
	_, err := fmt.Fprintf(env.Out, "%d to create, %d to change, %d to remove\n", counts[control.ConfigCreate], counts[control.ConfigUpdate], counts[control.ConfigDelete])
	return err
}
