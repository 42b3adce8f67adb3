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

	"arus/app/model"
	"arus/connectors"
)

// follow does what comes after a table's load is recorded: the checks of what
// the destination holds, the comparison of keys, the pruning of raw rows. Doing
// it again is harmless.
func (c *tableCopy) follow(ctx context.Context) error {
	if !c.checked {
		c.checkQuality(ctx)
		c.checked = true
	}
	if err := c.reconcile(ctx); err != nil {
		return err
	}
	c.pruneRaw(ctx)
	return nil
}

// softColumn is the column by which the source marks rows as deleted; nil
// without one.
func (c *tableCopy) softColumn() (*connectors.Column, error) {
	name := c.config.SoftDeleteColumn
	if name == "" {
		return nil, nil
	}
	col, ok := c.table.Column(name)
	if !ok {
		return nil, unknownColumn(c.table, "soft delete", name)
	}
	return &col, nil
}

// alsoMoved names the columns besides the watermark whose movement makes a row
// worth reading: a soft delete may move its own column alone. Only rows with a
// key can be loaded apart from their window.
func (c *tableCopy) alsoMoved() []string {
	col, err := c.softColumn()
	if err != nil || col == nil || c.plan.watermark == nil || len(c.plan.key) == 0 || col.Type.Kind != c.plan.watermark.Type.Kind || col.Name == c.plan.watermark.Name {
		return nil
	}
	return []string{col.Name}
}

// due is the time up to which rows that carry a time of deletion are deleted: when
// the table's turn began, or the newest watermark where that is later, since it was written
// by the clock that the times of deletion are of. A row whose time is still to
// come is not deleted yet. It is read again when its time has come, without a
// change of its own, since the window reads the soft delete column up to here.
type due struct{ micros, days int64 }

func dueAt(t time.Time) due { return due{micros: t.UnixMicro(), days: daysOf(t)} }

func daysOf(t time.Time) int64 { return t.Unix() / int64((24 * time.Hour).Seconds()) }

// extend moves it to a later bound.
func (d *due) extend(b connectors.Bound) {
	v, ok := boundInt(b)
	if !ok || v == int64(connectors.TimestampInfinity) {
		return
	}
	switch b.Kind {
	case connectors.Date:
		d.days = max(d.days, v)
	case connectors.Timestamp, connectors.TimestampTZ:
		d.micros = max(d.micros, v)
		d.days = max(d.days, daysOf(time.UnixMicro(v)))
	}
}

// bound is it as a value of a column.
func (d due) bound(kind connectors.Kind) *connectors.Bound {
	b := &connectors.Bound{Kind: kind}
	switch kind {
	case connectors.Date:
		b.Text = string(connectors.AppendDate(nil, arrow.Date32(d.days)))
	case connectors.Timestamp:
		b.Text = string(connectors.AppendTimestamp(nil, arrow.Timestamp(d.micros), 'T'))
	case connectors.TimestampTZ:
		b.Text = string(connectors.AppendTimestamp(nil, arrow.Timestamp(d.micros), 'T')) + "Z"
	default:
		return nil
	}
	return b
}

// settled is how long a time of deletion lies back before it moves the watermark:
// it may have been set beforehand, so that the source's clock, which need not be
// this machine's, has perhaps not reached it.
const settled = time.Minute

// settledBound says whether a bound of a further column may move the watermark.
func (c *tableCopy) settledBound(b connectors.Bound) bool {
	v, ok := boundInt(b)
	if !ok {
		return true
	}
	now := c.engine.Now().UTC().Add(-settled)
	if b.Kind == connectors.Date {
		return v <= daysOf(now)
	}
	return v <= now.UnixMicro()
}

// removes says whether rows that the source marks as deleted leave the target.
func (c *tableCopy) removes() bool {
	return c.config.SoftDelete == model.SoftDeleteRemove && c.config.SoftDeleteColumn != ""
}

// deletes says whether the value of a soft delete column marks row i.
func (d due) deletes(arr arrow.Array, i int) bool {
	if arr.IsNull(i) {
		return false
	}
	switch a := arr.(type) {
	case *array.Timestamp:
		return int64(a.Value(i)) <= d.micros
	case *array.Date32:
		return int64(a.Value(i)) <= d.days
	case *array.Boolean:
		return a.Value(i)
	case *array.String:
		switch a.Value(i) {
		case "", "0", "f", "false", "n", "no":
			return false
		}
	case *array.Int64, *array.Int32, *array.Int16, *array.Int8, *array.Uint32, *array.Uint16, *array.Uint8:
		return intValue(arr, i) != 0
	case *array.Uint64:
		return a.Value(i) != 0
	}
	return true
}

// withoutDeleted takes out the rows that are not to be in the target, and counts
// them. The batch is the caller's until it returns, then the result is; it is
// nil when no row is left.
func (f *flow) withoutDeleted(batch arrow.RecordBatch) arrow.RecordBatch {
	if !f.copy.removes() {
		return batch
	}
	at := findColumn(f.columns, f.copy.config.SoftDeleteColumn)
	if at < 0 {
		return batch
	}
	rows := int(batch.NumRows())
	keep := make([]int, 0, rows)
	for i := range rows {
		if !f.copy.due.deletes(batch.Column(at), i) {
			keep = append(keep, i)
		}
	}
	if len(keep) == rows {
		return batch
	}
	f.deleted += int64(rows - len(keep))
	defer batch.Release()
	if len(keep) == 0 {
		return nil
	}
	return connectors.SelectRows(batch, keep)
}

// removeDeleted deletes from the target the rows that the window's read took
// out. It reads their keys again rather than to remember them: a row that was
// restored meanwhile stays, and comes again with the next window.
func (c *tableCopy) removeDeleted(ctx context.Context, out outcome) error {
	if !c.removes() || out.filtered == 0 || c.plan.load != connectors.Merge {
		return nil
	}
	soft, err := c.softColumn()
	if err != nil {
		return err
	}
	keys := c.keyShape()
	at := findColumn(c.table.Columns, soft.Name)
	if c.transforms == nil {
		keys.read = append(keys.read, *soft)
		keys.same = false
		at = len(keys.read) - 1
	}
	gone, err := c.loadKeys(ctx, connectors.LoadRequest{Mode: connectors.Remove}, keys, c.window, func(batch arrow.RecordBatch, i int) bool {
		return c.due.deletes(batch.Column(at), i)
	})
	if err != nil {
		return fmt.Errorf("remove rows that the source marks as deleted: %w", err)
	}
	c.stat.RowsDeleted += gone
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("removed %d rows that the source marks as deleted from %s", gone, c.stat.Target))
	return nil
}

// marks says whether rows that are gone from the source are marked in the
// target.
func (c *tableCopy) marks() bool {
	return c.job.Pipeline.DeleteMode(c.config) == model.DeletesMark && len(c.plan.key) > 0
}

// reconcile compares the keys of both sides when it is due, and deletes or marks
// in the target what is gone from the source.
func (c *tableCopy) reconcile(ctx context.Context) error {
	mode := c.job.Pipeline.DeleteMode(c.config)
	if mode == model.DeletesIgnore || c.plan.load == connectors.Replace || c.compared {
		return nil // a load of everything left nothing behind
	}
	if len(c.plan.key) == 0 {
		c.log(ctx, slog.LevelWarn, "rows that vanish from the source stay in the target: the table has no key to compare by; choose key columns, or set it to full refresh")
		return nil
	}
	options := c.job.Pipeline.Options.Deletes
	at := c.engine.Now()
	if !c.reconciles(at) {
		return nil
	}
	req := connectors.LoadRequest{Mode: connectors.Retain, Retain: connectors.RetainLimits{Mark: mode == model.DeletesMark, MaxShare: options.Limit()}}
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("comparing the keys %v of %s with those of %s", c.plan.key, c.table.TableRef, c.stat.Target))
	gone, err := c.loadKeys(ctx, req, c.keyShape(), nil, nil)
	if err != nil {
		if connectors.KindOf(err) == connectors.KindConflict {
			err = &connectors.Error{
				Kind: connectors.KindConflict, Op: "compare keys", Object: c.stat.TableName, Err: err,
				Hint: "nothing was deleted: check the source; if the rows are really gone, raise options.deletes.max_share or run a full refresh",
			}
		}
		return err
	}
	c.compared = true
	c.stat.RowsDeleted += gone
	if err := c.reconciled(ctx, at); err != nil {
		return err
	}
	word := "deleted"
	if mode == model.DeletesMark {
		word = "marked as deleted"
	}
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("%s %d rows of %s that are gone from the source", word, gone, c.stat.Target))
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	return c.engine.State.SaveTableStat(end, &c.stat)
}

// reconciles says whether the keys are to be compared now.
func (c *tableCopy) reconciles(now time.Time) bool {
	every := time.Duration(c.job.Pipeline.Options.Deletes.EverySeconds) * time.Second
	return c.job.Reconcile || every > 0 && now.Sub(c.drift.stored.ReconciledAt) >= every
}

// keyShape is the shape of the key's columns alone.
func (c *tableCopy) keyShape() shape { return c.shape.part(c.plan.key) }

// loadKeys streams keys of the source, those that only admits, into a load of
// keys, and gives how many rows it deleted. Values pass through the same
// policies as when they were loaded; a key that the destination cannot hold is
// not there.
func (c *tableCopy) loadKeys(ctx context.Context, req connectors.LoadRequest, keys shape, window *connectors.Window, only func(arrow.RecordBatch, int) bool) (int64, error) {
	if len(keys.load) != len(c.plan.key) {
		return 0, &connectors.Error{Kind: connectors.KindInvalid, Op: "compare keys", Object: c.stat.TableName, Err: errors.New("a column of the key is not loaded")}
	}
	base := c.request()
	req.Target, req.Columns, req.Key, req.RunID, req.SyncedAt, req.Raw = base.Target, keys.load, base.Key, base.RunID, base.SyncedAt, base.Raw
	load, err := c.destination.Begin(ctx, req)
	if err != nil {
		return 0, err
	}
	fit := fitter{holds: c.destination.Holds(), policies: c.job.Pipeline.Options.Policies.OrDefault(), columns: keys.load, key: c.plan.key, replaced: map[string]int64{}}
	if l, ok := load.(connectors.Limiter); ok {
		fit.lengths = l.MaxLengths()
	}
	write := func(batch arrow.RecordBatch) error {
		shaped, _ := keys.apply(batch)
		if shaped == nil {
			return nil
		}
		fitting, _, err := fit.fit(shaped)
		if err != nil || fitting == nil {
			return err
		}
		return load.Write(ctx, fitting)
	}
	if err := c.readKeys(ctx, req.Mode, keys.read, window, only, write); err != nil {
		return 0, errors.Join(err, load.Abort())
	}
	result, err := load.Commit(ctx)
	return result.Deleted, err
}

// readKeys reads columns of the key, as they are loaded, of the rows that only
// admits. With transforms the whole rows are read and go their way: what a row's
// key becomes, and whether it is to be in the target at all, only they say.
func (c *tableCopy) readKeys(ctx context.Context, mode connectors.LoadMode, columns []connectors.Column, window *connectors.Window, only func(arrow.RecordBatch, int) bool, write func(arrow.RecordBatch) error) error {
	read := connectors.ReadRequest{Table: c.table, Columns: columns, Window: window, Limits: c.limits(columns)}
	pass := func(batch arrow.RecordBatch) error { return write(batch) }
	var way *keyWay
	if c.transforms != nil {
		read.Columns, read.Limits = c.table.Columns, c.limits(c.table.Columns)
		var err error
		if way, err = c.keyWay(ctx, mode, connectors.ColumnNames(columns), write); err != nil {
			return err
		}
		pass = way.pass
	}
	err := c.source.Read(ctx, read, func(batch arrow.RecordBatch) error {
		if only != nil {
			if batch = admit(batch, only); batch == nil {
				return nil
			}
		}
		return pass(batch)
	})
	if way != nil {
		err = way.end(err)
	}
	return err
}

// admit keeps the rows that only says. The batch is the caller's until it
// returns, then the result is; it is nil when no row is left.
func admit(batch arrow.RecordBatch, only func(arrow.RecordBatch, int) bool) arrow.RecordBatch {
	var keep []int
	for i := range int(batch.NumRows()) {
		if only(batch, i) {
			keep = append(keep, i)
		}
	}
	if len(keep) == int(batch.NumRows()) {
		return batch
	}
	defer batch.Release()
	if len(keep) == 0 {
		return nil
	}
	return connectors.SelectRows(batch, keep)
}

// pruneRaw deletes raw rows that are older than they are to be kept.
func (c *tableCopy) pruneRaw(ctx context.Context) {
	days := c.job.Pipeline.Options.RawRetentionDays
	if days <= 0 || c.plan.raw == nil {
		return
	}
	builder, ok := c.destination.(connectors.Rebuilder)
	if !ok {
		c.log(ctx, slog.LevelWarn, "raw rows are kept: this destination cannot tell which of them are needed")
		return
	}
	n, err := builder.PruneRaw(ctx, connectors.RebuildRequest{
		Raw: c.plan.raw.Table, Target: c.job.Names.Target(c.table, c.config), Columns: slices.Clone(c.shape.load), Key: c.plan.key, Base: c.drift.stored.BaseRunID,
	}, c.engine.Now().AddDate(0, 0, -days))
	if err != nil {
		c.log(ctx, slog.LevelWarn, "prune raw rows: "+err.Error())
		return
	}
	if n > 0 {
		c.log(ctx, slog.LevelInfo, fmt.Sprintf("deleted %d raw rows older than %d days", n, days))
	}
}
