package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"arus/app/model"
	"arus/connectors"
)

// tableCopy carries one table through a run, over as many attempts as it takes.
type tableCopy struct {
	engine  *Engine
	job     *Job
	runLog  *runLog
	ends    *ends
	slots   chan struct{} // of tables and chunks at a time; the table has one
	config  model.PipelineTable
	table   connectors.Table
	missing error
	run     model.Run

	// Of one attempt.
	source      connectors.Source
	destination connectors.Destination
	had         model.Watermark // as stored before the run; zero when it does not apply
	plan        plan
	backfill    bool // a window is read again, the watermark stays
	window      *connectors.Window
	due         due
	tolerance   *tolerance
	stat        model.RunTableStat
	transforms  *transforms         // nil: rows are loaded as they are read
	made        []connectors.Column // what is loaded, before the target has its say
	drift       *drift
	sampled     bool // the columns' types are those of a sample: reads are exact
	shape       *shape

	// Over all attempts.
	begun             time.Time
	tries             retries
	shrink            int  // how often the server found a read too long
	misfit            bool // a sample does not tell the types
	gained            bool
	kept              counted  // the chunks of this run
	landed            *outcome // the load lasts and is recorded; what follows it does not undo it
	changes           []model.SchemaChange
	checks            []model.QualityCheck
	checked, compared bool // of what follows it

	mu       sync.Mutex
	replaced map[string]int64 // values, by column and reason

	started, spoke         atomic.Int64 // of this attempt; microseconds
	rows, bytes            atomic.Int64
	chunksDone, chunkCount atomic.Int64
}

// counted is what became of rows: read = loaded + filtered + dead.
type counted struct{ read, loaded, raw, filtered, dead int64 }

// do never fails: whatever goes wrong is in the report, and a sibling does not
// notice.
func (c *tableCopy) do(ctx context.Context) TableReport {
	c.begun = c.engine.Now()
	name := c.config.Key()
	c.stat = model.RunTableStat{RunID: c.run.ID, TableName: name, Status: model.RunRunning, LoadMode: c.config.LoadMode}
	c.tries = retries{engine: c.engine, log: c.runLog, table: name, max: c.job.Pipeline.MaxRetries, first: c.job.Backoff}
	c.replaced = map[string]int64{}
	c.report(PhaseStarted)
	err := c.engine.whyEnded(ctx, c.job, name, c.sync(ctx))
	c.stat.DurationMS = c.engine.Now().Sub(c.begun).Milliseconds()
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
		if c.landed == nil {
			c.stat.WatermarkAfter = c.stat.WatermarkBefore
			c.stat.RowsLoadedRaw, c.stat.RowsLoadedAnalytics = c.kept.raw, c.kept.loaded
		}
		c.log(ctx, slog.LevelError, c.stat.ErrorMessage)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
		defer cancel()
		if serr := c.engine.State.SaveTableStat(end, &c.stat); serr != nil {
			err = errors.Join(err, fmt.Errorf("record the table's outcome: %w", serr))
		}
	}
	return c.conclude(err)
}

// conclude gives the table's report, to whoever watches too.
func (c *tableCopy) conclude(err error) TableReport {
	report := TableReport{
		Table: c.stat.TableName, Target: c.stat.Target, Status: c.stat.Status, Mode: c.stat.Mode,
		RowsRead: c.stat.RowsExtracted, RowsLoaded: c.stat.RowsLoadedAnalytics, RowsFiltered: c.stat.RowsFiltered, DeadLetters: c.stat.RowsFailed, RowsDeleted: c.stat.RowsDeleted,
		Retries: c.tries.total, WatermarkBefore: c.stat.WatermarkBefore, WatermarkAfter: c.stat.WatermarkAfter,
		DurationMS: c.stat.DurationMS, Error: c.stat.ErrorMessage, Err: err, Changes: c.changes, Checks: c.checks,
	}
	for _, n := range c.replaced {
		report.ValuesReplaced += n
	}
	ev := c.event(PhaseDone)
	ev.Rows, ev.Report = report.RowsRead, &report
	c.engine.progress(ev)
	return report
}

// sync copies the table, again and again while what fails may pass.
func (c *tableCopy) sync(ctx context.Context) error {
	if err := c.runLog.start(ctx, &c.stat); err != nil {
		return fmt.Errorf("record the table's start: %w", err)
	}
	if c.missing != nil {
		return c.missing
	}
	for {
		err := c.attempt(ctx)
		if err == nil {
			return nil
		}
		if c.gained {
			c.gained = false
			c.tries.progressed()
		}
		if c.sampled && !c.misfit && errors.Is(err, connectors.ErrMisfit) {
			c.misfit = true
			c.log(ctx, slog.LevelInfo, "looking at all values, since a sample of them did not tell their types: "+err.Error())
			continue
		}
		if !c.tries.again(ctx, err) {
			return err
		}
		if connectors.KindOf(err) == connectors.KindTimeout {
			c.shrink++
		}
	}
}

// attempt is the whole way of the table: settle, plan, copy, checkpoint.
func (c *tableCopy) attempt(ctx context.Context) (err error) {
	both, err := c.ends.take(ctx)
	if err != nil {
		return err
	}
	defer func() { c.ends.give(ctx, both, ctx.Err() == nil && connectors.Retryable(err)) }()
	c.source, c.destination = both.source, both.destination
	if c.landed != nil {
		return c.follow(ctx)
	}
	c.startMeter()
	state, job := c.engine.State, c.job
	if c.table, err = c.settle(ctx); err != nil {
		return err
	}
	c.table.Columns = withoutMeta(c.table.Columns)
	if c.had, err = state.Watermark(ctx, job.Pipeline.ID, c.stat.TableName); err != nil {
		return fmt.Errorf("read the stored watermark: %w", err)
	}
	if err := c.settleSteps(ctx); err != nil {
		return err
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
	if err := c.findDrift(ctx, existing, exists); err != nil {
		return err
	}
	if c.plan, err = planTable(job, c.table, c.config, c.had, exists && !c.drift.reset); err != nil {
		return err
	}
	if err := c.transforms.follow(&c.plan); err != nil {
		return err
	}
	c.backfill = job.BackfillFrom != "" && c.plan.load != connectors.Replace
	c.tolerance = &tolerance{limits: job.Pipeline.Options.DeadLetters, target: target.String()}
	c.stat.Mode, c.stat.Target = c.plan.mode, target.String()
	if c.plan.watermark != nil && c.had.Value != "" && c.had.Column == c.plan.watermark.Name && c.had.Type == c.plan.watermark.Type.Kind.String() {
		c.stat.WatermarkBefore, c.stat.WatermarkAfter = c.had.Value, c.had.Value
	} else {
		c.had = model.Watermark{}
	}
	if err := c.reshape(ctx, target); err != nil {
		return err
	}
	columns := c.readColumns()
	upper, err := c.fixWindow(ctx)
	if err != nil {
		return err
	}
	out, done, err := c.chunked(ctx, columns, upper)
	if !done && err == nil {
		out, err = c.whole(ctx, columns, upper)
	}
	if err != nil {
		return err
	}
	for _, what := range slices.Sorted(maps.Keys(c.replaced)) {
		c.log(ctx, slog.LevelWarn, fmt.Sprintf("replaced %d values, column %s", c.replaced[what], what))
	}
	if err := c.removeDeleted(ctx, out); err != nil {
		return err
	}
	if err := c.keepSchema(ctx, out); err != nil {
		return err
	}
	if err := c.checkpoint(ctx, out); err != nil {
		return err
	}
	c.landed = &out
	return c.follow(ctx)
}

// settle gives the table types that hold its values where no declaration does:
// by a sample and what is stored of it, until a read meets what they do not hold.
func (c *tableCopy) settle(ctx context.Context) (connectors.Table, error) {
	settler, ok := c.source.(connectors.Settler)
	if !ok {
		return c.table, nil
	}
	turn := c.turn(c.source)
	turn.take(ctx)
	defer turn.give()
	c.sampled = false
	if s, ok := c.source.(connectors.Sampler); ok && !c.misfit {
		known, usable, err := c.known(ctx)
		if err != nil {
			return c.table, err
		}
		if usable {
			t, agree, err := s.Sample(ctx, c.table, known)
			if c.sampled = agree; agree || err != nil {
				return t, err
			}
		}
	}
	return settler.Settle(ctx, c.table)
}

// known is what the stored schema tells of the source's columns. It tells too
// little where transforms made others of them, or a change waits to be followed.
func (c *tableCopy) known(ctx context.Context) (known []connectors.Column, usable bool, err error) {
	stored, err := c.engine.State.TableSchema(ctx, c.job.Pipeline.ID, c.stat.TableName)
	if err != nil {
		return nil, false, fmt.Errorf("read the stored schema: %w", err)
	}
	if len(stored.Columns) == 0 || c.job.FullRefresh {
		return nil, true, nil
	}
	if len(c.config.TransformConfig) > 0 || stored.Open > 0 {
		return nil, false, nil
	}
	held, err := parseHeld(stored)
	for _, h := range held {
		if !h.Gone {
			known = append(known, connectors.Column{Name: h.Name, Type: h.Type.logical(), Nullable: h.Nullable})
		}
	}
	return known, true, err
}

// outcome is what a finished load brought.
type outcome struct {
	counted        // by this run
	total    int64 // rows of the load, over all its runs
	upper    *connectors.Bound
	boundary []byte
	base     string // the earliest run whose rows are in it; empty: this one
	proven   bool   // the server has told of each row that it is there
}

// whole copies the window in one piece and one load.
func (c *tableCopy) whole(ctx context.Context, columns []connectors.Column, upper *connectors.Bound) (outcome, error) {
	c.log(ctx, slog.LevelInfo, c.describe(columns))
	ranges, err := c.smallerReads(ctx)
	if err != nil {
		return outcome{}, err
	}
	var f *flow
	for careful := false; ; careful = true {
		f = c.newFlow(columns, upper)
		f.ranges, f.careful = ranges, careful
		err = f.run(ctx)
		c.stat.RowsExtracted = f.read
		if careful || !isRefusal(err) {
			break
		}
		c.log(ctx, slog.LevelWarn, "the destination refuses rows, so all of them are loaded again with the bad ones set aside: "+err.Error())
		c.tolerance.take(len(f.letters))
		c.rows.Store(0)
		c.bytes.Store(0)
	}
	if err != nil {
		return outcome{}, err
	}
	if err := c.keepDeadLetters(ctx, f.letters); err != nil {
		return outcome{}, err
	}
	c.addReplaced(f)
	n := counted{read: f.read, loaded: f.loaded, raw: f.result.RawRows, filtered: f.filtered, dead: int64(len(f.letters))}
	return outcome{counted: n, total: f.loaded, upper: upper, boundary: f.edges(ctx), proven: f.proven()}, nil
}

func (c *tableCopy) addReplaced(f *flow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, n := range f.fitter.replaced {
		c.replaced[what] += n
	}
}

// fixWindow sets the read's bounds. The upper bound is the column's greatest
// value now: rows that appear while the read goes on belong to the next run.
func (c *tableCopy) fixWindow(ctx context.Context) (*connectors.Bound, error) {
	c.window, c.due = nil, dueAt(c.begun)
	wm := c.plan.watermark
	if wm == nil {
		return nil, nil
	}
	c.window = &connectors.Window{Column: wm.Name, Nulls: c.job.Pipeline.Options.NullWatermark != model.NullSkip}
	if c.plan.load != connectors.Replace { // a load of everything has no lower bound to lie within
		c.window.Or = c.alsoMoved()
	}
	upper, err := c.newest(ctx)
	if err != nil {
		return nil, err
	}
	if c.plan.load == connectors.Replace {
		c.window.Upper = upper
		if upper == nil && c.window.Nulls {
			c.window = nil // no row has a value: there is nothing to bound
		}
		return upper, nil
	}
	if c.backfill {
		return c.backfillWindow(upper)
	}
	stored := connectors.Bound{Kind: wm.Type.Kind, Text: c.had.Value}
	if upper == nil {
		upper = &stored // every row with a value is gone: only rows without one can be new
	} else if lower, known := less(*upper, stored); known && lower {
		upper = &stored
	}
	from := lookBack(stored, c.lookBackSeconds())
	c.window.Lower, c.window.Upper = &from, upper
	if len(c.window.Or) > 0 {
		c.window.OrUpper = c.due.bound(wm.Type.Kind)
	}
	return upper, nil
}

// newest is the greatest value of the watermark and of the further columns; nil
// when no row has any.
func (c *tableCopy) newest(ctx context.Context) (*connectors.Bound, error) {
	turn := c.turn(c.source)
	turn.take(ctx)
	defer turn.give()
	var upper *connectors.Bound
	for _, name := range append([]string{c.plan.watermark.Name}, c.alsoMoved()...) {
		top, ok, err := c.source.Max(ctx, c.table, name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if name == c.plan.watermark.Name {
			c.due.extend(top)
		} else if !c.settledBound(top) {
			continue
		}
		if upper != nil {
			if lower, known := less(*upper, top); !known || !lower {
				continue
			}
		}
		upper = &top
	}
	return upper, nil
}

// backfillWindow is the stretch that was asked for. Rows without a value lie in
// no stretch.
func (c *tableCopy) backfillWindow(upper *connectors.Bound) (*connectors.Bound, error) {
	kind := c.plan.watermark.Type.Kind
	c.window.Nulls = false
	from, err := timeBound(kind, c.job.BackfillFrom)
	if err == nil && c.job.BackfillTo != "" {
		var to connectors.Bound
		to, err = timeBound(kind, endOfDay(c.job.BackfillTo))
		upper = &to
	}
	if err != nil {
		return nil, &connectors.Error{
			Kind: connectors.KindInvalid, Op: "backfill", Object: c.stat.TableName, Err: err,
			Hint: "a backfill by date needs a watermark column that is a date or timestamp; run a full refresh instead",
		}
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

// checkpoint stores what the load made durable. It runs even when the run has
// just been cancelled: the rows are in the target, so the state must say so.
func (c *tableCopy) checkpoint(ctx context.Context, out outcome) error {
	now := c.engine.Now()
	w := c.had
	w.PipelineID, w.SourceTable = c.job.Pipeline.ID, c.stat.TableName
	w.RowCount, w.LastRunID, w.LastSyncedAt = out.total, c.run.ID, now
	if moves := c.plan.watermark != nil && !c.backfill && (out.read > 0 || c.plan.load == connectors.Replace); moves {
		w.Column, w.Type = c.plan.watermark.Name, c.plan.watermark.Type.Kind.String()
		w.Value, w.Boundary = "", nil
		if out.upper != nil {
			w.Value, w.Boundary = out.upper.Text, out.boundary
		}
		c.stat.WatermarkAfter = w.Value
	}
	c.stat.Status = model.RunSuccess
	c.stat.RowsExtracted, c.stat.RowsFiltered, c.stat.RowsFailed = out.read, out.filtered, out.dead
	c.stat.RowsLoadedAnalytics, c.stat.RowsLoadedRaw = out.loaded, out.raw
	c.stat.DurationMS = now.Sub(c.begun).Milliseconds()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if err := c.engine.State.Checkpoint(end, &w, &c.stat); err != nil {
		return fmt.Errorf("record the watermark: %w", err)
	}
	text := fmt.Sprintf("loaded %d rows into %s", out.loaded, c.stat.Target)
	if out.total != out.loaded {
		text += fmt.Sprintf(", %d with those of earlier runs", out.total)
	}
	if out.dead > 0 {
		text += fmt.Sprintf(", %d are dead letters", out.dead)
	}
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("%s, %s; watermark %s", text, c.speed(), orNone(c.stat.WatermarkAfter)))
	return nil
}

// describe says what is read and how it is loaded.
func (c *tableCopy) describe(columns []connectors.Column) string {
	text := fmt.Sprintf("%s: %s; key %v; %s into %s", c.plan.mode, c.plan.reason, c.plan.key, c.plan.load, c.stat.Target)
	if c.plan.raw != nil {
		text += " by way of " + c.plan.raw.Table.String()
	}
	text += fmt.Sprintf("; SELECT %d columns FROM %s", len(columns), c.table.TableRef)
	if c.transforms != nil {
		text += fmt.Sprintf(", transformed in %d steps", len(c.transforms.list))
	}
	w := c.window
	if w == nil {
		return text
	}
	if w.Lower == nil && w.Upper == nil {
		return text + fmt.Sprintf(" WHERE %s IS NOT NULL", w.Column)
	}
	word := " WHERE "
	for _, one := range w.Apart() {
		and := ""
		text += word
		if one.Lower != nil {
			text, and = text+fmt.Sprintf("%s >= '%s'", one.Column, one.Lower.Text), " AND "
		}
		if one.Upper != nil {
			text += and + fmt.Sprintf("%s <= '%s'", one.Column, one.Upper.Text)
		}
		word = " OR "
	}
	if w.Nulls {
		text += fmt.Sprintf(" OR %s IS NULL", w.Column)
	}
	return text
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
