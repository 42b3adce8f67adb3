package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/connectors"
)

func (env *environment) importCommand() *cobra.Command {
	return group("import", "Move in from another installation", env.importArus())
}

func (env *environment) importArus() *cobra.Command {
	var req control.ImportRequest
	var key, jwt string
	cmd := &cobra.Command{
		Use: "arus URL", Short: "Take over an installation of the original Arus from its PostgreSQL database",
		Long: `Take over configuration, watermarks and history of an installation of the original Arus, all in one
step, and say what was taken, changed or left. Ids are kept, what is here already stays. Its passwords
were sealed with a key made of its ARUS_JWT_SECRET (--jwt-secret), or with a key of its own (--key);
both may be ${env:NAME} or ${file:PATH}. Without either the passwords have to be entered again. Stop
the other installation before the pipelines run here.`,
		Example: `  arus import arus 'postgres://arus:${env:PGPASSWORD}@db:5432/arus_warehouse' --jwt-secret '${env:ARUS_JWT_SECRET}' --dry-run`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key != "" && jwt != "" {
				return &usageError{errors.New("give --key or --jwt-secret, not both")}
			}
			return env.with(cmd.Context(), func(d *data) error {
				var err error
				req.URL = args[0]
				req.Key, err = d.Resolve(cmd.Context(), connectors.Secret(key))
				if err == nil {
					req.JWTSecret, err = d.Resolve(cmd.Context(), connectors.Secret(jwt))
				}
				if err != nil {
					return err
				}
				report, err := d.Import(cmd.Context(), req)
				if err != nil {
					return err
				}
				return env.printImport(report, req.DryRun)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "the Fernet `key` that sealed its passwords")
	f.StringVar(&jwt, "jwt-secret", "", "its ARUS_JWT_SECRET, of which that key was made")
	f.BoolVar(&req.DryRun, "dry-run", false, "say what would be taken, and take nothing")
	return cmd
}

func (env *environment) printImport(r control.ImportReport, dry bool) error {
	if env.flags.json {
		return writeJSON(env.Out, r)
	}
	what := "taken"
	if dry {
		what = "would be taken"
	}
	t := newTable(env.Out, "WHAT", "KIND", "NAME", "NOTE")
	for _, kind := range r.Kinds() {
		t.row(what, kind, count(int64(r.Taken[kind])), "")
	}
	for _, n := range r.Changed {
		t.row("changed", n.Kind, n.Name, n.Note)
	}
	for _, n := range r.Left {
		t.row("left", n.Kind, n.Name, n.Note)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if dry {
		_, err := fmt.Fprintln(env.Out, "nothing was changed: this was a dry run")
		return err
	}
	return nil
}
