package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/engine"
	"arus/app/model"
)

func (env *environment) runCommand() *cobra.Command {
	var req control.RunRequest
	cmd := &cobra.Command{
		Use: "run PIPELINE", Short: "Run a pipeline once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Pipeline = args[0]
			return env.with(cmd.Context(), func(d *data) error {
				return env.runAndFinish(func(show func(engine.Event)) (engine.Report, error) {
					req.Progress = show
					r, err := d.Run(cmd.Context(), req)
					return r, named(err, "pipeline", args[0])
				})
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&req.FullRefresh, "full-refresh", false, "read everything and replace the targets")
	f.StringVar(&req.BackfillFrom, "from", "", "read again from this `date` on and merge it")
	f.StringVar(&req.BackfillTo, "to", "", "with --from: up to this `date` (default the newest row)")
	f.BoolVar(&req.Reconcile, "reconcile", false, "compare the keys of both sides now, and delete or mark what is gone")
	f.BoolVar(&req.Force, "force", false, "run whatever the pipeline it depends on has done")
	f.StringVar(&req.RetryOf, "retry", "", "only the tables that did not succeed in this `run`")
	f.StringArrayVar(&req.Tables, "table", nil, "only this `table`; may be repeated")
	return cmd
}

func (env *environment) runsCommand() *cobra.Command {
	var page pageFlags
	var pipeline string
	cmd := &cobra.Command{
		Use: "runs [RUN]", Short: "List the runs, or show one with its tables and log", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				if len(args) == 1 {
					return env.showRun(cmd, d, args[0])
				}
				list, total, err := d.ListRuns(cmd.Context(), control.RunFilter{Pipeline: pipeline, Page: control.Page{Limit: page.limit, Offset: page.offset}})
				if err != nil || env.flags.json {
					return env.printList(named(err, "pipeline", pipeline), "runs", list, total)
				}
				t := newTable(env.Out, "STARTED", "STATUS", "TRIGGER", "READ", "LOADED", "TIME", "RUN", "ERROR")
				for _, r := range list {
					t.row(when(r.StartedAt), r.Status, r.Trigger, count(r.Counts.Read), count(r.Counts.Loaded), millis(r.DurationMS), r.ID, dash(r.ErrorMessage))
				}
				return env.endList(t, len(list), total, "runs", "arus run PIPELINE")
			})
		},
	}
	cmd.Flags().StringVar(&pipeline, "pipeline", "", "only those of this `pipeline`")
	page.add(cmd)
	return cmd
}

// showRun prints one run with its tables and log lines.
func (env *environment) showRun(cmd *cobra.Command, d *data, id string) error {
	run, err := d.GetRun(cmd.Context(), id)
	if control.IsNotFound(err) {
		return fmt.Errorf("there is no run %q, see 'arus runs': %w", id, control.ErrNotFound)
	}
	if err != nil {
		return err
	}
	logs := []model.RunLog{}
	for {
		var after int64
		if len(logs) > 0 {
			after = logs[len(logs)-1].ID
		}
		page, err := d.RunLogs(cmd.Context(), id, after, 1000)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		logs = append(logs, page...)
	}
	if env.flags.json {
		return writeJSON(env.Out, struct {
			model.Run
			Logs []model.RunLog `json:"logs"`
		}{run, logs})
	}
	t := newTable(env.Out, "TABLE", "TARGET", "MODE", "READ", "LOADED", "WATERMARK AFTER", "TIME", "STATUS", "ERROR")
	for _, x := range run.Tables {
		t.row(x.TableName, dash(x.Target), dash(string(x.Mode)), count(x.RowsExtracted), count(x.RowsLoadedAnalytics), dash(x.WatermarkAfter), millis(x.DurationMS), x.Status, dash(x.ErrorMessage))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, l := range logs {
		if _, err := fmt.Fprintf(env.Out, "%s %-7s %s\n", when(l.Timestamp), l.Level, l.Message); err != nil {
			return err
		}
	}
	return nil
}
