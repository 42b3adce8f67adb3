package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"arus/app/model"
	"arus/connectors"
)

// tableCopy carries one table through a run.
type tableCopy struct {
	engine      *Engine
	job         *Job
	runLog      *runLog
	source      connectors.Source
	destination connectors.Destination
	config      model.PipelineTable
	table       connectors.Table
	missing     error
	run         model.Run

	had    model.Watermark // as stored before the run; zero when it does not apply
	plan   plan
	window *connectors.Window
	stat   model.RunTableStat

	replaced int64
}

// do never fails: whatever goes wrong is in the report, and a sibling does not
// notice.
func (c *tableCopy) do(ctx context.Context) TableReport {
	started := c.engine.Now()
	name := c.config.Key()
	c.stat = model.RunTableStat{RunID: c.run.ID, TableName: name, Status: model.RunRunning, LoadMode: c.config.LoadMode}
	c.engine.progress(Event{Table: name, Phase: PhaseStarted, Estimate: c.table.RowEstimate})
	err := c.sync(ctx)
	if err != nil && ctx.Err() != nil {
		if cause := context.Cause(ctx); !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = &connectors.Error{
				Kind: connectors.KindTimeout, Op: "copy", Object: name, Err: err,
				Hint: fmt.Sprintf("the pipeline's timeout of %d s ended it: raise timeout_seconds, or set it to 0 for none", c.job.Pipeline.TimeoutSeconds),
			}
		}
	}
	c.stat.DurationMS = c.engine.Now().Sub(started).Milliseconds()
	switch {
	case err == nil:
		c.stat.Status = model.RunSuccess
	case errors.Is(err, context.Canceled):
		c.stat.Status = model.RunCancelled
	default:
		c.stat.Status = model.RunFailed
	}
	if err != nil {
		c.stat.ErrorMessage = err.Error()
		c.stat.WatermarkAfter = c.stat.WatermarkBefore
		c.stat.RowsLoadedRaw, c.stat.RowsLoadedAnalytics = 0, 0
		c.log(ctx, slog.LevelError, c.stat.ErrorMessage)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
		defer cancel()
		if serr := c.engine.State.SaveTableStat(end, &c.stat); serr != nil {
			err = errors.Join(err, fmt.Errorf("record the table's outcome: %w", serr))
		}
	}
	report := TableReport{
		Table: name, Target: c.stat.Target, Status: c.stat.Status, Mode: c.stat.Mode,
		RowsRead: c.stat.RowsExtracted, RowsLoaded: c.stat.RowsLoadedAnalytics, RowsFiltered: c.stat.RowsFiltered, DeadLetters: c.stat.RowsFailed, ValuesReplaced: c.replaced,
		WatermarkBefore: c.stat.WatermarkBefore, WatermarkAfter: c.stat.WatermarkAfter,
		DurationMS: c.stat.DurationMS, Error: c.stat.ErrorMessage, Err: err,
	}
	c.engine.progress(Event{Table: name, Phase: PhaseDone, Rows: report.RowsRead, Estimate: c.table.RowEstimate, Report: &report})
	return report
}

// sync is the whole way of the table: settle, plan, copy, checkpoint.
func (c *tableCopy) sync(ctx context.Context) error {
	state, job := c.engine.State, c.job
	if err := state.SaveTableStat(ctx, &c.stat); err != nil {
		return fmt.Errorf("record the table's start: %w", err)
	}
	if c.missing != nil {
		return c.missing
	}
	if s, ok := c.source.(connectors.Settler); ok {
		settled, err := s.Settle(ctx, c.table)
		if err != nil {
			return err
		}
		c.table = settled
	}
	c.table.Columns = slices.DeleteFunc(slices.Clone(c.table.Columns), func(col connectors.Column) bool {
		// A table that Arus loaded is copied on without its metadata: the target gets its own.
		return col.Name == connectors.MetaRunID || col.Name == connectors.MetaSyncedAt
	})
	var err error
	if c.had, err = state.Watermark(ctx, job.Pipeline.ID, c.stat.TableName); err != nil {
		return fmt.Errorf("read the stored watermark: %w", err)
	}
	target := job.Names.Target(c.table, c.config)
	existing, exists, err := c.destination.Table(ctx, target)
	if err != nil {
		return err
	}
	if exists && !existing.Managed {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "load into", Object: target.String(),
			Err:  errors.New("the table exists and was not made by Arus, so it is left alone"),
			Hint: "choose another target schema or table name, or drop it",
		}
	}
	if c.plan, err = planTable(job, c.table, c.config, c.had, exists); err != nil {
		return err
	}
	c.stat.Mode, c.stat.Target = c.plan.mode, target.String()
	if c.plan.watermark != nil && c.had.Value != "" && c.had.Column == c.plan.watermark.Name && c.had.Type == c.plan.watermark.Type.Kind.String() {
		c.stat.WatermarkBefore, c.stat.WatermarkAfter = c.had.Value, c.had.Value
	} else {
		c.had = model.Watermark{}
	}
	columns := c.table.Columns
	if exists && c.plan.load != connectors.Replace {
		columns = c.presentColumns(ctx, existing)
	}
	upper, err := c.fixWindow(ctx)
	if err != nil {
		return err
	}
	c.log(ctx, slog.LevelInfo, c.describe(columns))
	f := &flow{copy: c, columns: columns, upper: upper}
	err = f.run(ctx)
	c.stat.RowsExtracted = f.read
	if err != nil {
		return err
	}
	if err := c.keepDeadLetters(ctx, f.letters); err != nil {
		return err
	}
	for _, what := range slices.Sorted(maps.Keys(f.fitter.replaced)) {
		c.replaced += f.fitter.replaced[what]
		c.log(ctx, slog.LevelWarn, fmt.Sprintf("replaced %d values, column %s", f.fitter.replaced[what], what))
	}
	return c.checkpoint(ctx, f, upper)
}

// fixWindow sets the read's bounds. The upper bound is the column's greatest
// value now: rows that appear while the read goes on belong to the next run.
func (c *tableCopy) fixWindow(ctx context.Context) (*connectors.Bound, error) {
	wm := c.plan.watermark
	if wm == nil {
		return nil, nil
	}
	top, ok, err := c.source.Max(ctx, c.table, wm.Name)
	if err != nil {
		return nil, err
	}
	c.window = &connectors.Window{Column: wm.Name, Nulls: c.job.Pipeline.Options.NullWatermark != model.NullSkip}
	var upper *connectors.Bound
	if ok {
		upper = &top
	}
	if c.plan.load == connectors.Replace {
		c.window.Upper = upper
		if upper == nil && c.window.Nulls {
			c.window = nil // no row has a value: there is nothing to bound
		}
		return upper, nil
	}
	from := connectors.Bound{Kind: wm.Type.Kind, Text: c.had.Value}
	if c.job.BackfillFrom != "" {
		if from, err = timeBound(wm.Type.Kind, c.job.BackfillFrom); err != nil {
			return nil, &connectors.Error{
				Kind: connectors.KindInvalid, Op: "backfill", Object: c.stat.TableName, Err: err,
				Hint: "a backfill by date needs a watermark column that is a date or timestamp; run a full refresh instead",
			}
		}
	} else {
		if upper == nil {
			upper = &from // every row with a value is gone: only rows without one can be new
		} else if lower, known := less(*upper, from); known && lower {
			upper = &from
		}
		from = lookBack(from, c.lookBackSeconds())
	}
	c.window.Lower, c.window.Upper = &from, upper
	return upper, nil
}

func (c *tableCopy) lookBackSeconds() int {
	if c.config.LookbackSeconds > 0 {
		return c.config.LookbackSeconds
	}
	return c.job.Pipeline.Options.LookbackSeconds
}

// presentColumns leaves out the source's columns that an existing target does
// not have, and says so.
func (c *tableCopy) presentColumns(ctx context.Context, existing connectors.Table) []connectors.Column {
	var columns []connectors.Column
	for _, col := range c.table.Columns {
		if _, ok := existing.Column(col.Name); ok {
			columns = append(columns, col)
			continue
		}
		c.log(ctx, slog.LevelWarn, fmt.Sprintf("column %s is new at the source and not in %s: it is left out until a full refresh", col.Name, c.stat.Target))
	}
	return columns
}

// checkpoint stores what the load made durable. It runs even when the run has
// just been cancelled: the rows are in the target, so the state must say so.
func (c *tableCopy) checkpoint(ctx context.Context, f *flow, upper *connectors.Bound) error {
	now := c.engine.Now()
	w := c.had
	w.PipelineID, w.SourceTable = c.job.Pipeline.ID, c.stat.TableName
	w.RowCount, w.LastRunID, w.LastSyncedAt = f.loaded, c.run.ID, now
	if moves := c.plan.watermark != nil && c.job.BackfillFrom == "" && (f.read > 0 || c.plan.load == connectors.Replace); moves {
		w.Column, w.Type = c.plan.watermark.Name, c.plan.watermark.Type.Kind.String()
		w.Value, w.Boundary = "", nil
		if upper != nil {
			w.Value, w.Boundary = upper.Text, f.edgeRows.encode(f.schema)
		}
		c.stat.WatermarkAfter = w.Value
	}
	c.stat.Status = model.RunSuccess
	c.stat.RowsLoadedAnalytics, c.stat.RowsLoadedRaw = f.loaded, f.result.RawRows
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := c.engine.State.Checkpoint(end, &w, &c.stat); err != nil {
		return fmt.Errorf("record the watermark: %w", err)
	}
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("loaded %d rows into %s; watermark %s", f.loaded, c.stat.Target, orNone(c.stat.WatermarkAfter)))
	return nil
}

func (c *tableCopy) describe(columns []connectors.Column) string {
	text := fmt.Sprintf("%s: %s, %s into %s", c.plan.mode, c.plan.reason, c.plan.load, c.stat.Target)
	if w := c.window; w != nil {
		text += fmt.Sprintf("; reading %s from %s to %s", w.Column, boundText(w.Lower), boundText(w.Upper))
		if w.Nulls {
			text += " and rows without a value"
		}
	}
	return text + fmt.Sprintf("; %d columns, key %v", len(columns), c.plan.key)
}

func boundText(b *connectors.Bound) string {
	if b == nil {
		return "the start"
	}
	return b.Text
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (c *tableCopy) log(ctx context.Context, level slog.Level, message string) {
	c.runLog.add(ctx, level, c.stat.TableName, message)
}
