package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

func (env *environment) checkCommand() *cobra.Command {
	var as, schema string
	var password passwordFlags
	cmd := &cobra.Command{
		Use: "check URL", Short: "Test a connection in stages and say what would mend it", Args: cobra.ExactArgs(1),
		Long: `Test a connection in stages: name, tcp, tls, login, database, privileges, version, clock. What is wrong
is named with its remedy, down to the GRANT statement for an administrator to run. As a source,
the tables must be readable; as a destination, a table is really made, written, read back and
dropped. Nothing is stored, and nothing stays on the server.`,
		Example: `  arus check postgres://reader:secret@db/shop
  arus check 'postgres://loader:${env:PGPASS}@dwh/analytics' --as destination`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := env.connection(args[0], password)
			if err != nil {
				return err
			}
			opts, err := env.checkOptions(cfg, as, schema)
			if err != nil {
				return err
			}
			if cfg.Type == string(model.DestinationEmbedded) && cfg.Database == "" {
				dir, err := env.dataDir()
				if err != nil {
					return err
				}
				cfg.Database = control.WarehouseDir(dir)
			}
			// Without the data directory, so that it works beside a running server.
			service := control.New(control.Parts{Registry: env.Registry, Now: env.Now, Log: env.logger(), Getenv: env.Getenv})
			r, err := service.Check(cmd.Context(), cfg, opts)
			if err == nil && env.mayAsk(cfg, r.Err) {
				if cfg.Password, err = env.askPassword(cfg); err == nil {
					r, err = service.Check(cmd.Context(), cfg, opts)
				}
			}
			if err != nil {
				return err
			}
			return env.finishCheck(r, struct {
				OK     bool               `json:"ok"`
				Stages []connectors.Stage `json:"stages"`
			}{r.Connected, r.Stages})
		},
	}
	f := cmd.Flags()
	f.StringVar(&as, "as", "", "source, destination or both (default what the database can be, source first)")
	f.StringVar(&schema, "schema", "", "`schema` to read or to load into (default the source's own; "+model.DefaultTargetSchema+")")
	password.add(cmd)
	return cmd
}

// checkOptions reads --as and --schema.
func (env *environment) checkOptions(cfg connectors.Config, as, schema string) (connectors.CheckOptions, error) {
	opts := connectors.CheckOptions{Targets: []string{model.DefaultTargetSchema}}
	if schema != "" {
		opts.Tables.Schemas, opts.Targets = []string{schema}, []string{schema}
	}
	switch as {
	case "":
		opts.Source = env.Registry[cfg.Type].OpenSource != nil
		opts.Destination = !opts.Source
	case "source":
		opts.Source = true
	case "destination":
		opts.Destination = true
	case "both":
		opts.Source, opts.Destination = true, true
	default:
		return opts, &usageError{errors.New("--as is source, destination or both, not " + as)}
	}
	return opts, nil
}

// testCommand tests something stored, as check tests a URL.
func (env *environment) testCommand(noun string, test func(*control.Service, context.Context, string) (control.TestResult, error)) *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "Test a " + noun + "'s connection in stages and say what would mend it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				r, err := test(d.Service, cmd.Context(), args[0])
				if err != nil {
					return named(err, noun, args[0])
				}
				return env.finishCheck(r, r)
			})
		},
	}
}

// finishCheck prints the stages, or asJSON, and gives the exit code.
func (env *environment) finishCheck(r control.TestResult, asJSON any) error {
	var err error
	if env.flags.json {
		err = writeJSON(env.Out, asJSON)
	} else {
		err = printStages(env.Out, r.Stages)
	}
	switch {
	case err != nil:
		return err
	case r.Connected:
		return nil
	case connectors.KindOf(r.Err) == connectors.KindInvalid:
		return &codeError{exitUsage}
	}
	return &codeError{exitEnvironment}
}

// printStages prints one line a stage, with the remedy below one that has any.
func printStages(w io.Writer, stages []connectors.Stage) error {
	width, took := 0, 0
	for _, s := range stages {
		width, took = max(width, len(stageName(s))), max(took, utf8.RuneCountInString(stageTime(s)))
	}
	var b strings.Builder
	for _, s := range stages {
		line := fmt.Sprintf("%-7s  %-*s  %*s  %s", s.Status, width, stageName(s), took, stageTime(s), s.Detail)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if s.Hint != "" {
			b.WriteString("         hint: " + s.Hint + "\n")
		}
		for _, fix := range s.Fix {
			b.WriteString("         fix:  " + fix + ";\n")
		}
	}
	_, err := io.WriteString(w, strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r == 0x7f) {
			return ' '
		}
		return r
	}, b.String()))
	return err
}

func stageName(s connectors.Stage) string {
	if s.As == "" {
		return s.Name
	}
	return s.As + " " + s.Name
}

func stageTime(s connectors.Stage) string {
	if s.Status == connectors.StageSkipped {
		return ""
	}
	return millis(s.DurationMS)
}
