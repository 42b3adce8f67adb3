package app

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/engine"
	"arus/app/model"
	"arus/connectors"
)

func (env *environment) syncCommand() *cobra.Command {
	var (
		from, to, mode, load string
		lookback             time.Duration
		policies             map[string]string
		req                  control.SyncRequest
	)
	cmd := &cobra.Command{
		Use:   "sync --from URL --to URL",
		Short: "Copy tables from one database to another, incrementally from the second time on",
		Long: `Copy tables from one database to another. The sync is stored as a pipeline and found again by its
two ends, so that the next one only reads what is new.

URLs: postgres://, mysql://, mariadb://, mongodb://, clickhouse:// user:password@host:port/database,
sqlite:///path, embedded: (the data directory's warehouse) or embedded:///directory. A password may be a
reference: ${env:NAME} or ${file:PATH}.`,
		Example: `  arus sync --from postgres://reader:secret@db/shop --to embedded:
  arus sync --from sqlite:///srv/shop.db --to 'postgres://loader:${env:PGPASS}@dwh/analytics' --tables 'order*'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || to == "" {
				return required("from", "to")
			}
			var err error
			if req.From, err = env.Registry.ParseURL(from); err != nil {
				return err
			}
			if req.To, err = env.Registry.ParseURL(to); err != nil {
				return err
			}
			if req.Mode, req.LoadMode, err = modes(mode, load); err != nil {
				return err
			}
			if lookback < 0 || req.Parallel < 0 {
				return &usageError{errors.New("--lookback and --parallel must not be negative")}
			}
			if req.Policies, err = readPolicies(policies); err != nil {
				return err
			}
			req.LookbackSecs = int((lookback + time.Second - 1) / time.Second)
			return env.with(cmd.Context(), func(d *data) error {
				return env.runAndFinish(func(show func(engine.Event)) (engine.Report, error) {
					req.Progress = show
					result, err := d.Sync(cmd.Context(), req)
					for _, end := range []*connectors.Config{&req.From, &req.To} {
						if env.mayAsk(*end, errors.Join(err, result.Err)) {
							if end.Password, err = env.askPassword(*end); err != nil {
								return result, err
							}
							result, err = d.Sync(cmd.Context(), req)
						}
					}
					return result, err
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "`URL` of the database to read")
	f.StringVar(&to, "to", "", "`URL` of the database to load")
	f.StringSliceVar(&req.Tables, "tables", nil, "tables to copy: names or `globs`, separated by commas (default all)")
	f.StringSliceVar(&req.Exclude, "exclude", nil, "tables to leave out: names or `globs`")
	f.BoolVar(&req.Views, "views", false, "copy views and materialised views too")
	f.StringVar(&req.SourceSchema, "source-schema", "", "`schema` to read (default the source's own)")
	f.StringVar(&req.TargetSchema, "target-schema", "", "`schema` to load into (default "+model.DefaultTargetSchema+")")
	f.StringVar(&mode, "mode", string(model.SyncAuto), "auto, incremental or full_refresh")
	f.StringVar(&load, "load", string(model.LoadDirect), "direct, or raw: land rows as JSON first")
	f.StringSliceVar(&req.Key, "key", nil, "key `columns` of the targets (default each table's primary key)")
	f.StringVar(&req.Watermark, "watermark", "", "`column` that says which rows are new (default found by name and type)")
	f.DurationVar(&lookback, "lookback", 0, "read this far behind the watermark again, for rows that were committed late")
	policyFlag(cmd, &policies)
	f.IntVar(&req.Parallel, "parallel", 0, "tables at a time (default 2)")
	return cmd
}

// policyFlag adds --policy; readPolicies reads it.
func policyFlag(cmd *cobra.Command, policies *map[string]string) {
	cmd.Flags().StringToStringVar(policies, "policy", nil, "values the destination cannot hold: nul, utf8, date, number, long = replace, dead_letter or fail `(KIND=POLICY,...)`")
}

func readPolicies(given map[string]string) (model.Policies, error) {
	var p model.Policies
	for name, value := range given {
		if !p.Set(name, strings.ReplaceAll(value, "-", "_")) {
			return p, &usageError{errors.New("--policy knows nul, utf8, date, number and long, not " + name)}
		}
	}
	return p, nil
}

// modes reads --mode and --load.
func modes(mode, load string) (model.SyncMethod, model.LoadMode, error) {
	m, l := model.SyncMethod(strings.ReplaceAll(mode, "-", "_")), model.LoadMode(load)
	switch m {
	case model.SyncAuto, model.SyncIncremental, model.SyncFullRefresh:
	default:
		return "", "", &usageError{errors.New("--mode is auto, incremental or full_refresh, not " + mode)}
	}
	switch l {
	case model.LoadDirect, model.LoadRaw:
	default:
		return "", "", &usageError{errors.New("--load is direct or raw, not " + load)}
	}
	return m, l, nil
}

// runAndFinish shows progress while do runs, then prints its report.
func (env *environment) runAndFinish(do func(func(engine.Event)) (engine.Report, error)) error {
	show, stop := env.progress()
	result, err := do(show)
	stop()
	if err != nil {
		if env.flags.json && result.RunID == "" { // a script gets its one object even when no run came about
			result = engine.Report{Status: model.RunFailed, Tables: []engine.TableReport{}, Warnings: []string{}, Error: err.Error()}
			return errors.Join(writeJSON(env.Out, result), err)
		}
		return err
	}
	return env.finish(result)
}
