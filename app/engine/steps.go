package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"golang.org/x/sync/errgroup"

	"arus/app/model"
	"arus/app/transform"
	"arus/connectors"
)

// sampleRows is how many rows are looked at where only rows tell which columns
// a step makes.
const sampleRows = 8192

// transforms are the steps of one table: what is read, what comes of it, and how
// the names of the one are found in the other.
type transforms struct {
	list    []transform.Step
	options transform.Options
	in, out []connectors.Column
	facts   *transform.Plan // ended: for what became of columns
	key     []string        // of the result
	stream  bool            // the rows have to go through one plan, in one piece
}

// settleSteps reads the table's steps and finds the columns they make. Without
// steps, what is loaded has the source's columns.
func (c *tableCopy) settleSteps(ctx context.Context) error {
	c.transforms, c.made = nil, c.table.Columns
	invalid := func(err error) error {
		return &connectors.Error{
			Kind: connectors.KindInvalid, Op: "transform", Object: c.config.Key(), Err: err, Hint: "mend the table's transform_config",
		}
	}
	list, faults := transform.Parse(c.config.TransformConfig)
	if len(faults) > 0 {
		return invalid(&transform.Error{Faults: faults})
	}
	if len(list) == 0 {
		return nil
	}
	key, err := chooseKey(c.table, c.config.KeyColumns)
	if err != nil {
		return err
	}
	s := &transforms{list: list, in: c.table.Columns, options: transform.Options{Now: c.run.StartedAt, Keep: slices.Clone(key)}}
	if c.job.Scripts != nil {
		s.options.Scripts = c.job.Scripts(func(script, line string) {
			c.log(context.WithoutCancel(ctx), slog.LevelInfo, "script "+script+": "+line)
		})
	}
	if wm, _, err := chooseWatermark(c.table, c.config.WatermarkColumn); err == nil && wm != nil {
		s.options.Keep = append(s.options.Keep, wm.Name)
	}
	plan, err := transform.Compile(ctx, list, s.in, s.options)
	if err == nil {
		err = errors.Join(c.sample(ctx, plan), plan.Close())
	}
	if err != nil {
		if _, ok := errors.AsType[*transform.Error](err); ok {
			err = invalid(err)
		}
		return err
	}
	if s.key, err = plan.Key(key); err != nil {
		return invalid(err)
	}
	s.facts, s.out, s.stream, s.options.Learned = plan, plan.Out(), plan.Remembers(), plan.Learned()
	c.transforms, c.made = s, s.out
	return nil
}

// sample shows a plan the first rows of the table, where only they tell which
// columns a step makes. No plan over the table looks again.
func (c *tableCopy) sample(ctx context.Context, plan *transform.Plan) error {
	if plan.Known() {
		return nil
	}
	enough := errors.New("enough")
	limits := c.limits(c.table.Columns)
	limits.Rows = min(limits.Rows, sampleRows)
	err := c.source.Read(ctx, connectors.ReadRequest{Table: c.table, Columns: c.table.Columns, Limits: limits}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		r, err := plan.Run(ctx, batch)
		if r.Batch != nil {
			r.Batch.Release()
		}
		if err == nil && plan.Known() {
			err = enough
		}
		return err
	})
	if err != nil && !errors.Is(err, enough) {
		return err
	}
	return plan.Settle(ctx)
}

// follow makes a plan of the load one of what the transforms give: the key has
// its new names, and the watermark has to be there.
func (s *transforms) follow(p *plan) error {
	if s == nil {
		return nil
	}
	p.key = s.key
	if p.watermark == nil {
		return nil
	}
	if _, err := s.facts.Column(p.watermark.Name); err != nil {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "transform", Object: p.target.String(), Err: err, Hint: "mend the table's transform_config"}
	}
	return nil
}

// madeName is the name that a source column has in what is loaded.
func (c *tableCopy) madeName(name string) string {
	if c.transforms == nil {
		return name
	}
	return c.transforms.facts.Fate(name).Name
}

// madeKey is a key of the source by its names in what is loaded.
func (c *tableCopy) madeKey(key []string) []string {
	if c.transforms == nil {
		return key
	}
	return c.transforms.key
}

// readColumns are what is read of the source: the transforms may need all of it.
func (c *tableCopy) readColumns() []connectors.Column {
	if c.transforms == nil {
		return c.shape.read
	}
	return c.transforms.in
}

// parcel is a batch on its way into the load, with the rows it was made of. The
// source is nil where the rows are as they were read.
type parcel struct {
	batch    arrow.RecordBatch // nil: no row is left
	source   arrow.RecordBatch
	rows     []int32 // the source's row of each row; nil: the same
	failed   []badRow
	filtered int64
}

func (p parcel) release() {
	if p.source != nil {
		p.source.Release()
	}
}

// row is the source's row of row i.
func (p parcel) row(i int) int {
	if p.rows == nil {
		return i
	}
	return int(p.rows[i])
}

// part is the parcel of some of its rows. It shares the source.
func (p parcel) part(keep []int) parcel {
	some := parcel{batch: connectors.SelectRows(p.batch, keep), source: p.source}
	if p.source != nil {
		for _, i := range keep {
			some.rows = append(some.rows, int32(p.row(i)))
		}
	}
	return some
}

// original puts the rows as they were read into letters; at gives their rows in
// the parcel.
func (p parcel) original(columns []connectors.Column, bad []badRow, at func(i int) int) {
	if p.source == nil {
		return
	}
	for i := range bad {
		bad[i].data = connectors.AppendRowJSON(nil, p.source, columns, p.row(at(bad[i].row)))
	}
}

// without gives the rows that are left of n when the bad ones, in their order,
// are taken out.
func without(n int, bad []badRow) func(i int) int {
	if len(bad) == 0 {
		return func(i int) int { return i }
	}
	gone := make(map[int]bool, len(bad))
	for _, b := range bad {
		gone[b.row] = true
	}
	left := make([]int, 0, n)
	for i := range n {
		if !gone[i] {
			left = append(left, i)
		}
	}
	return func(i int) int { return left[i] }
}

// stage carries batches from the queue through the steps into parcels, on a
// goroutine of its own.
func (f *flow) stage(ctx context.Context, group *errgroup.Group, queue <-chan arrow.RecordBatch) <-chan parcel {
	parcels := make(chan parcel)
	group.Go(func() error {
		defer close(parcels)
		defer func() {
			for batch := range queue {
				batch.Release()
			}
		}()
		s, send, done, err := f.compileSteps(ctx, parcels)
		if err != nil {
			return err
		}
		defer done()
		own := f.copy.ownTurn()
		if len(transform.ScriptNames(f.copy.transforms.list)) > 0 {
			own = &turn{} // it waits for another process
		}
		defer own.give()
		for batch := range queue {
			if batch = f.withoutDeleted(batch); batch == nil {
				continue
			}
			own.take(ctx)
			r, err := s.Run(ctx, batch)
			own.give()
			if err == nil {
				err = send(r)
			}
			batch.Release()
			if err != nil {
				return err
			}
		}
		return s.Finish(ctx, send)
	})
	return parcels
}

// compileSteps compiles the table's steps for this flow. send makes a parcel of a
// result, done ends the plan.
func (f *flow) compileSteps(ctx context.Context, parcels chan<- parcel) (plan *transform.Plan, send func(transform.Result) error, done func(), err error) {
	c := f.copy
	plan, err = transform.Compile(ctx, c.transforms.list, c.transforms.in, c.transforms.options)
	if err != nil {
		return nil, nil, nil, err
	}
	at := make([]int, len(c.shape.read))
	for i, col := range c.shape.read {
		at[i] = findColumn(c.transforms.out, col.Name)
	}
	send = func(r transform.Result) error {
		p, err := c.parcel(ctx, r, at)
		if err != nil {
			return err
		}
		select {
		case parcels <- p:
			return nil
		case <-ctx.Done():
			if p.batch != nil {
				p.batch.Release()
			}
			p.release()
			return context.Cause(ctx)
		}
	}
	done = func() {
		if err := plan.Close(); err != nil {
			c.log(ctx, slog.LevelWarn, "end the transforms: "+err.Error())
		}
	}
	return plan, send, done, nil
}

// parcel gives a result the columns at the given places, and its failed rows the
// form of dead letters; by the pipeline's policy the first of them ends the
// table.
func (c *tableCopy) parcel(ctx context.Context, r transform.Result, at []int) (parcel, error) {
	for _, line := range r.Printed {
		c.log(ctx, slog.LevelInfo, "a script printed: "+line)
	}
	if len(r.Failed) > 0 && c.job.Pipeline.Options.TransformErrors == model.TransformFail {
		if r.Batch != nil {
			r.Batch.Release()
		}
		x := r.Failed[0]
		return parcel{}, &connectors.Error{
			Kind: connectors.KindType, Op: "transform", Object: c.config.Key(),
			Err:  fmt.Errorf("%s; the row is %.500s", x, connectors.AppendRowJSON(nil, r.Source, c.transforms.in, x.Row)),
			Hint: "mend the step or the row, or set the pipeline's transform_errors to dead_letter",
		}
	}
	r.Source.Retain()
	p := parcel{source: r.Source, rows: r.Rows, filtered: r.Filtered}
	for _, x := range r.Failed {
		p.failed = append(p.failed, badRow{data: connectors.AppendRowJSON(nil, r.Source, c.transforms.in, x.Row), reason: x.String()})
	}
	if r.Batch != nil {
		p.batch = pickColumns(r.Batch, at)
		r.Batch.Release()
	}
	return p, nil
}

// pickColumns makes a batch of some columns of another, which stays the caller's.
func pickColumns(batch arrow.RecordBatch, at []int) arrow.RecordBatch {
	fields, columns := make([]arrow.Field, len(at)), make([]arrow.Array, len(at))
	for i, from := range at {
		fields[i], columns[i] = batch.Schema().Field(from), batch.Column(from)
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, batch.NumRows())
}

// keyWay carries rows through the steps for their keys alone.
type keyWay struct {
	copy   *tableCopy
	ctx    context.Context // of one read
	mode   connectors.LoadMode
	plan   *transform.Plan
	at     []int
	write  func(arrow.RecordBatch) error
	failed int64
}

func (c *tableCopy) keyWay(ctx context.Context, mode connectors.LoadMode, names []string, write func(arrow.RecordBatch) error) (*keyWay, error) {
	list := c.transforms.list
	if mode == connectors.Remove { // single rows, not the table
		list = transform.WithoutMemory(list)
	}
	plan, err := transform.Compile(ctx, list, c.transforms.in, c.transforms.options)
	if err != nil {
		return nil, err
	}
	w := &keyWay{copy: c, ctx: ctx, mode: mode, plan: plan, at: make([]int, len(names)), write: write}
	for i, n := range names {
		w.at[i] = findColumn(c.transforms.out, n)
	}
	return w, nil
}

func (w *keyWay) pass(batch arrow.RecordBatch) error {
	defer batch.Release()
	r, err := w.plan.Run(w.ctx, batch)
	if err != nil {
		return err
	}
	return w.take(r)
}

func (w *keyWay) take(r transform.Result) error {
	w.failed += int64(len(r.Failed))
	if r.Batch == nil {
		return nil
	}
	keys := pickColumns(r.Batch, w.at)
	r.Batch.Release()
	return w.write(keys)
}

// end gives what was held back, and ends the steps. Where it is not known what
// became of a row, it is not known either that its key is gone.
func (w *keyWay) end(err error) error {
	if err == nil {
		err = w.plan.Finish(w.ctx, w.take)
	}
	if err = errors.Join(err, w.plan.Close()); err != nil || w.failed == 0 {
		return err
	}
	if w.mode == connectors.Remove {
		w.copy.log(w.ctx, slog.LevelWarn, fmt.Sprintf("%d rows that the source marks as deleted fail in the table's transforms: they stay in the target", w.failed))
		return nil
	}
	return &connectors.Error{
		Kind: connectors.KindConflict, Op: "compare keys", Object: w.copy.stat.TableName,
		Err: fmt.Errorf("%d rows fail in the table's transforms, so it is not known which rows of the target are gone", w.failed), Hint: "mend the steps or the rows",
	}
}

// transformLetters carries letters of a table with transforms, which hold rows as
// they were read, through the steps. The source is asked for the table's columns.
func (c *tableCopy) transformLetters(ctx context.Context, rows []retried) error {
	if list, faults := transform.Parse(c.config.TransformConfig); len(list) == 0 && len(faults) == 0 {
		return nil
	}
	if err := c.stepsAtSource(ctx); err != nil {
		return fmt.Errorf("find what the table's transforms make of dead letters: %w", err)
	}
	s := c.transforms
	c.transforms = nil // what is loaded from here on was transformed
	plan, err := transform.Compile(ctx, transform.WithoutMemory(s.list), s.in, s.options)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := transformLetter(ctx, plan, s, &rows[i]); err != nil {
			return errors.Join(err, plan.Close())
		}
	}
	return plan.Close()
}

// stepsAtSource settles the table's steps by the columns that the source has now.
func (c *tableCopy) stepsAtSource(ctx context.Context) error {
	source, destination, err := c.job.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _, _ = source.Close(), destination.Close() }()
	one := *c.job
	one.Only, one.Discovered = []string{c.config.Key()}, nil
	found, err := c.engine.resolve(ctx, &one, source)
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].missing != nil {
		return &connectors.Error{
			Kind: connectors.KindNotFound, Op: "read table", Object: c.config.Key(),
			Err: errors.New("the source has no such table any more, or it is switched off in the pipeline"), Hint: "drop its dead letters, or switch it on",
		}
	}
	back, bare := c.source, c.table
	defer func() { c.source, c.table = back, bare }()
	c.source, c.table = source, found[0].table
	if s, ok := source.(connectors.Settler); ok {
		if c.table, err = s.Settle(ctx, c.table); err != nil {
			return err
		}
	}
	c.table.Columns = withoutMeta(c.table.Columns)
	return c.settleSteps(ctx)
}

// transformLetter makes one letter what the steps make of it.
func transformLetter(ctx context.Context, plan *transform.Plan, s *transforms, letter *retried) error {
	b := connectors.NewBatcher(s.in, connectors.Limits{}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		r, err := plan.Run(ctx, batch)
		switch {
		case err != nil:
			return err
		case len(r.Failed) > 0:
			letter.reason = r.Failed[0].String()
		case r.Batch == nil:
			letter.left = true
		default:
			letter.made = connectors.AppendRowJSON(nil, r.Batch, s.out, 0)
			r.Batch.Release()
		}
		return nil
	})
	defer b.Release()
	if err := connectors.AppendRowParsed(b.Builders, s.in, letter.Row); err != nil {
		letter.reason = err.Error()
		return nil
	}
	if err := b.EndRow(len(letter.Row)); err != nil {
		return err
	}
	return b.Flush()
}

// withoutMeta leaves out the columns that Arus adds to its targets: a table that
// it loaded is copied on without them.
func withoutMeta(columns []connectors.Column) []connectors.Column {
	return slices.DeleteFunc(slices.Clone(columns), func(col connectors.Column) bool {
		return col.Name == connectors.MetaRunID || col.Name == connectors.MetaSyncedAt
	})
}

// CheckTransforms says what is wrong with a table's steps by the columns that its
// source has: a configuration that no longer fits, a key or a watermark that is
// lost. Scripts, and what comes after them, show that only when they run.
func CheckTransforms(ctx context.Context, t connectors.Table, cfg model.PipelineTable, now time.Time) error {
	list, faults := transform.Parse(cfg.TransformConfig)
	if len(faults) > 0 {
		return &transform.Error{Faults: faults}
	}
	if len(list) == 0 {
		return nil
	}
	plan, err := transform.Compile(ctx, list, withoutMeta(t.Columns), transform.Options{Now: now, Partial: true})
	if err != nil {
		return err
	}
	defer func() { _ = plan.Close() }()
	key, err := chooseKey(t, cfg.KeyColumns)
	if err != nil {
		return err
	}
	if _, err := plan.Key(key); err != nil {
		return err
	}
	wm, _, err := chooseWatermark(t, cfg.WatermarkColumn)
	if err != nil || wm == nil || cfg.SyncMode == model.ModeFullRefresh {
		return err
	}
	_, err = plan.Column(wm.Name)
	return err
}

// PreviewTransforms shows what steps make of the first rows of a table.
func PreviewTransforms(ctx context.Context, source connectors.Source, t connectors.Table, steps []transform.Step, options transform.Options, rows int) (view transform.Preview, err error) {
	if s, ok := source.(connectors.Settler); ok {
		if t, err = s.Settle(ctx, t); err != nil {
			return view, err
		}
	}
	t.Columns = withoutMeta(t.Columns)
	plan, err := transform.Compile(ctx, steps, t.Columns, options)
	if err != nil {
		return view, err
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	enough := errors.New("enough")
	seen := false
	err = source.Read(ctx, connectors.ReadRequest{Table: t, Columns: t.Columns, Limits: connectors.Limits{Rows: rows}}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		seen = true
		var err error
		if view, err = plan.Preview(ctx, batch); err != nil {
			return err
		}
		return enough
	})
	if errors.Is(err, enough) {
		err = nil
	}
	if err == nil && !seen {
		empty := connectors.NewBatcher(t.Columns, connectors.Limits{}, nil)
		defer empty.Release()
		arrays := make([]arrow.Array, len(empty.Builders))
		for i, b := range empty.Builders {
			arrays[i] = b.NewArray()
		}
		batch := array.NewRecordBatch(connectors.Schema(t.Columns), arrays, 0)
		for _, a := range arrays {
			a.Release()
		}
		defer batch.Release()
		view, err = plan.Preview(ctx, batch)
	}
	return view, err
}
