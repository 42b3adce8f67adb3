package app

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"arus/app/control"
	"arus/app/model"
)

// optionFlags are the options of a pipeline, for adding and editing one.
type optionFlags struct {
	drift, deletes, dependsOn    string
	reconcileEvery               time.Duration
	maxShare, threshold          float64
	runAfter, qualityOff, verify bool
	retention                    int
	schedule, timezone, misfire  string
	overdueAfter                 time.Duration
	retries, parallel            int
	timeout, lookback            time.Duration
	chunkRows, letters           int64
	letterShare                  float64
	nullWatermark                string
	transformErrors              string
}

func (o *optionFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.drift, "drift", "", "when the source's schema changes: evolve, report or freeze (default as the setting auto_alter_schema says)")
	f.StringVar(&o.deletes, "deletes", "", "rows that vanish from the source: ignore, delete or mark")
	f.DurationVar(&o.reconcileEvery, "reconcile-every", 0, "how often to compare the keys of both sides (default only when a run is asked to)")
	f.Float64Var(&o.maxShare, "max-delete-share", 0, "the `share` of a target's rows that one comparison may delete, 0 to 1 (default 0.3)")
	f.StringVar(&o.dependsOn, "depends-on", "", "run only after a success of this `pipeline`")
	f.BoolVar(&o.runAfter, "run-after-upstream", false, "start when the pipeline it depends on succeeds")
	f.IntVar(&o.retention, "raw-retention-days", 0, "delete raw rows that are older and not needed (default never)")
	f.Float64Var(&o.threshold, "quality-threshold", 0, "tolerated discrepancy of row counts in per cent (default the setting quality_check_threshold)")
	f.StringVar(&o.schedule, "schedule", "", "when to run by itself: five cron fields, @hourly and the like, or 'every 15m'; empty for never")
	f.StringVar(&o.timezone, "timezone", "", "the `zone` in which the schedule is read (default the setting timezone)")
	f.StringVar(&o.misfire, "misfire", "", "when a time passed without a run: run_once or skip (default run_once)")
	f.DurationVar(&o.overdueAfter, "overdue-after", 0, "how long without a success is overdue (default two of its times)")
	f.IntVar(&o.retries, "max-retries", 0, "how often what may pass is tried again (default the setting max_retries)")
	f.DurationVar(&o.timeout, "timeout", 0, "how long a run may take, 0 for as long as it needs (default 5m)")
	f.IntVar(&o.parallel, "parallel", 0, "tables and chunks at a time (default 2)")
	f.Int64Var(&o.chunkRows, "chunk-rows", 0, "rows of a chunk of a first load or full refresh (default 500000)")
	f.DurationVar(&o.lookback, "lookback", 0, "read again rows up to this much older than the newest one copied, for transactions that commit late")
	f.StringVar(&o.transformErrors, "transform-errors", "", "rows that a transform step fails on: dead_letter or fail (default dead_letter)")
	f.StringVar(&o.nullWatermark, "null-watermark", "", "rows whose watermark column is null: include or skip (default include)")
	f.Int64Var(&o.letters, "max-dead-letters", 0, "how many rows of a table may become dead letters before it fails instead (default 10000)")
	f.Float64Var(&o.letterShare, "max-dead-letter-share", 0, "the `share` of a table's rows that may become dead letters, 0 to 1")
	f.BoolVar(&o.qualityOff, "no-quality-checks", false, "count nothing at the destination after a load")
	f.BoolVar(&o.verify, "checksum", false, "compare the loaded rows with the source, value by value")
}

// apply writes what was given over the options there are.
func (o *optionFlags) apply(cmd *cobra.Command, to *model.PipelineOptions) {
	given := cmd.Flags().Changed
	if given("drift") {
		to.Drift = model.DriftPolicy(o.drift)
	}
	if given("deletes") {
		to.Deletes.Mode = model.DeleteMode(o.deletes)
	}
	if given("reconcile-every") {
		to.Deletes.EverySeconds = int(o.reconcileEvery.Seconds())
	}
	if given("max-delete-share") {
		to.Deletes.MaxShare = o.maxShare
	}
	if given("run-after-upstream") {
		to.RunAfterUpstream = o.runAfter
	}
	if given("raw-retention-days") {
		to.RawRetentionDays = o.retention
	}
	if given("timezone") {
		to.Timezone = o.timezone
	}
	if given("misfire") {
		to.Misfire = model.Misfire(o.misfire)
	}
	if given("overdue-after") {
		to.OverdueSeconds = int(o.overdueAfter.Seconds())
	}
	if given("parallel") {
		to.Parallel = o.parallel
	}
	if given("chunk-rows") {
		to.ChunkRows = o.chunkRows
	}
	if given("lookback") {
		to.LookbackSeconds = int(o.lookback.Seconds())
	}
	if given("null-watermark") {
		to.NullWatermark = model.NullWatermark(o.nullWatermark)
	}
	if given("transform-errors") {
		to.TransformErrors = model.TransformErrors(o.transformErrors)
	}
	if given("max-dead-letters") {
		to.DeadLetters.MaxRows = o.letters
	}
	if given("max-dead-letter-share") {
		to.DeadLetters.MaxShare = o.letterShare
	}
	if given("quality-threshold") {
		to.Quality.ThresholdPct = &o.threshold
	}
	if given("no-quality-checks") {
		to.Quality.Off = o.qualityOff
	}
	if given("checksum") {
		to.Quality.Checksum = o.verify
	}
}

// limits are the retries and the seconds of a run that were given; nil for what was not.
func (o *optionFlags) limits(cmd *cobra.Command) (retries, timeout *int) {
	if cmd.Flags().Changed("max-retries") {
		retries = &o.retries
	}
	if cmd.Flags().Changed("timeout") {
		seconds := int((o.timeout + time.Second - 1) / time.Second)
		timeout = &seconds
	}
	return retries, timeout
}

// tableFlags are settings of single tables: TABLE=VALUE.
type tableFlags struct{ softColumn, soft, deletes, transform map[string]string }

func (t *tableFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringToStringVar(&t.softColumn, "soft-delete-column", nil, "the column by which the source marks rows as deleted: `TABLE=COLUMN`")
	f.StringToStringVar(&t.soft, "soft-delete", nil, "what becomes of marked rows: `TABLE=keep` or remove")
	f.StringToStringVar(&t.transform, "transform", nil, "the steps between extract and load, from a JSON file: `TABLE=FILE`, or TABLE= for none")
	f.StringToStringVar(&t.deletes, "table-deletes", nil, "what becomes of rows that vanish from one table: `TABLE=ignore`, delete or mark")
}

// choices are all tables of the pipeline with what was given for them; nil
// without anything.
func (t *tableFlags) choices(env *environment, p model.Pipeline) (*[]control.TableChoice, error) {
	if len(t.softColumn)+len(t.soft)+len(t.deletes)+len(t.transform) == 0 {
		return nil, nil
	}
	known := map[string]bool{}
	list := make([]control.TableChoice, len(p.Tables))
	for i, table := range p.Tables {
		key := table.Key()
		known[key] = true
		list[i] = control.TableChoice{Schema: table.SourceSchema, Name: table.SourceTable}
		if v, ok := t.softColumn[key]; ok {
			list[i].SoftDeleteColumn = &v
		}
		if v, ok := t.soft[key]; ok {
			how := model.SoftDelete(v)
			list[i].SoftDelete = &how
		}
		if v, ok := t.deletes[key]; ok {
			mode := model.DeleteMode(v)
			list[i].Deletes = &mode
		}
		if file, ok := t.transform[key]; ok {
			steps, err := env.stepsFile(file)
			if err != nil {
				return nil, err
			}
			list[i].Transform = &steps
		}
	}
	for _, given := range []map[string]string{t.softColumn, t.soft, t.deletes, t.transform} {
		for key := range given {
			if !known[key] {
				return nil, &usageError{fmt.Errorf("pipeline %q has no table %q", p.Name, key)}
			}
		}
	}
	return &list, nil
}

func (env *environment) pipelineEdit() *cobra.Command {
	var options optionFlags
	var tables tableFlags
	cmd := &cobra.Command{
		Use: "edit NAME", Short: "Change the options of a pipeline", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.with(cmd.Context(), func(d *data) error {
				p, err := d.Pipeline(cmd.Context(), args[0])
				if err != nil {
					return named(err, "pipeline", args[0])
				}
				in := control.PipelineUpdate{Options: &p.Options}
				options.apply(cmd, &p.Options)
				in.MaxRetries, in.TimeoutSeconds = options.limits(cmd)
				if cmd.Flags().Changed("depends-on") {
					in.DependsOn = &options.dependsOn
				}
				if cmd.Flags().Changed("schedule") {
					in.Schedule = &options.schedule
				}
				if in.Choices, err = tables.choices(env, p); err != nil {
					return err
				}
				if p, err = d.UpdatePipeline(cmd.Context(), p.ID, in); err != nil {
					return err
				}
				return env.printOne(p, p.ID)
			})
		},
	}
	options.add(cmd)
	tables.add(cmd)
	return cmd
}
