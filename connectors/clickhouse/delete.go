package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// The server deletes rows by rewriting what they lie in, in its own time, and
// readers may see the row's older versions meanwhile. So a deleted row gets a
// further version that says it is gone, and readers of current rows leave it
// out: it takes one step, however large the table, and no reader sees a part of
// it. A full refresh drops those versions.

// keysAtOnce is how many keys the server compares at a time, in memory.
const keysAtOnce = 4 << 20

// beginKeys makes the table that the keys go to. An absent target has no rows to
// delete.
func (l *load) beginKeys(ctx context.Context) error {
	if l.target == nil {
		return nil
	}
	if l.req.Raw != nil {
		if err := l.findStaging(ctx); err != nil {
			return err
		}
	}
	l.shadow = newShadow(l.req.Target.Schema, l.req.Target)
	in := func(c connectors.Column) native { have, _ := l.target.column(c.Name); return native{c, have.Native} }
	columns := natives(l.req.Columns, in)
	if err := l.make(ctx, l.shadow, createKeys(l.shadow, columns, l.req.Key, "")); err != nil {
		return err
	}
	l.feed = &feed{columns: l.req.Columns, numbers: new(atomic.Uint64), careful: l.req.Careful}
	var err error
	if l.feed.typed, err = l.newInserter(l.shadow, columns, nil, insertBytes); err != nil {
		return err
	}
	l.feed.typed.stamp = func([]*encoder, uint64, int) {}
	return nil
}

// commitKeys deletes or marks the rows whose key did not come, or did.
func (l *load) commitKeys(ctx context.Context) (connectors.LoadResult, error) {
	var result connectors.LoadResult
	if l.feed == nil {
		return result, nil
	}
	if err := l.feed.flush(ctx); err != nil {
		return result, err
	}
	gone, count, err := l.findGone(ctx, buckets(l.feed.rows))
	if err != nil || count == 0 {
		return result, err
	}
	if err := l.checkShare(ctx, count); err != nil {
		return result, err
	}
	mark := l.req.Mode == connectors.Retain && l.req.Retain.Mark
	if !mark {
		if err := l.hideGone(ctx); err != nil {
			return result, err
		}
	}
	versions := newShadow(l.req.Target.Schema, l.req.Target)
	if err := l.make(ctx, versions, l.createLike(versions, l.req.Target, l.target, false)); err != nil {
		return result, err
	}
	n := buckets(count)
	for i := range n {
		if err := l.exec(ctx, l.goneVersions(versions, gone, mark, bucket{i, n})); err != nil {
			return result, err
		}
	}
	if l.req.Raw != nil {
		from, columns := gone, l.req.Columns
		if mark {
			from, columns = versions, l.target.shown()
		}
		if err := l.stageGone(ctx, from, columns, !mark); err != nil {
			return result, err
		}
		result.RawRows = l.feed.rows
	}
	if err := l.held(); err != nil {
		return result, err
	}
	if l.req.Raw != nil {
		if err := l.attachRaw(ctx, l.staged.shadow); err != nil {
			return result, err
		}
	}
	result.Deleted = count
	return result, l.attachAll(ctx, l.req.Target, versions)
}

func buckets(rows int64) int { return int((rows + keysAtOnce - 1) / keysAtOnce) }

// findGone collects the keys of the rows to delete, each once.
func (l *load) findGone(ctx context.Context, n int) (connectors.TableRef, int64, error) {
	gone := newShadow(l.req.Target.Schema, l.req.Target)
	in := func(c connectors.Column) native { have, _ := l.target.column(c.Name); return native{c, have.Native} }
	if err := l.make(ctx, gone, createKeys(gone, natives(l.req.Columns, in), l.req.Key, "")); err != nil {
		return gone, 0, err
	}
	n = max(n, 1) // without keys, all rows are gone or none
	for i := range n {
		if err := l.exec(ctx, l.goneKeys(gone, bucket{i, n})); err != nil {
			return gone, 0, err
		}
	}
	count, err := l.count(ctx, "SELECT count() FROM "+qualified(gone))
	return gone, count, err
}

func (d *db) count(ctx context.Context, sql string) (int64, error) {
	var n uint64
	err := d.query(ctx, sql, func(rows driver.Rows) error { return rows.Scan(&n) })
	return int64(n), err
}

// checkShare refuses to delete more than the limit.
func (l *load) checkShare(ctx context.Context, count int64) error {
	share := l.req.Retain.MaxShare
	if l.req.Mode != connectors.Retain || share <= 0 {
		return nil
	}
	total, err := l.count(ctx, selectCurrent(l.target, "count()"))
	if err != nil || float64(count) <= share*float64(total) {
		return err
	}
	return l.refuse(connectors.KindConflict, "check that the source is whole, then raise the limit or run a full refresh",
		fmt.Errorf("%d of %d rows are gone from the source, more than the limit of %g %%", count, total, share*100))
}

// hideGone lets a target that was made before rows could be deleted know of such.
func (l *load) hideGone(ctx context.Context) error {
	if !l.target.hides() {
		err := l.exec(ctx, "ALTER TABLE "+qualified(l.req.Target)+l.onCluster()+" ADD COLUMN "+goneColumn)
		if err != nil {
			return err
		}
		if l.target, err = l.lookUp(ctx, l.req.Target); err != nil {
			return err
		}
		if l.target == nil || !l.target.hides() {
			return l.refuse(connectors.KindConflict, "run it again", errors.New("the target was changed meanwhile"))
		}
	}
	return l.ensureView(ctx) // a view that shows deleted rows would show these
}

// stageGone writes what was deleted to the staging table's shadow: tombstones of
// the keys, or the marked rows.
func (l *load) stageGone(ctx context.Context, from connectors.TableRef, columns []connectors.Column, tombstones bool) error {
	r, err := l.lookUp(ctx, from)
	if err != nil {
		return err
	}
	if r == nil {
		return notThere(l.op, from.String(), l.req.Key[0])
	}
	exprs := make([]relationColumn, len(columns))
	for i, c := range columns {
		have, ok := r.column(c.Name)
		if !ok {
			return notThere(l.op, from.String(), c.Name)
		}
		have.Type = c.Type
		exprs[i] = have
	}
	l.feed.close()
	if l.feed.typed, err = l.makeStaging(ctx, l.dialect, insertBytes); err != nil {
		return err
	}
	l.feed.numbers, l.feed.rows = new(atomic.Uint64), 0
	all := columns
	if tombstones {
		all = append(slices.Clone(columns), connectors.Column{Name: connectors.MetaDeletedAt, Type: metaColumns[1].Type})
	}
	sql := "SELECT " + selectList(exprs) + " FROM " + qualified(from) + " ORDER BY " + idents(l.req.Key)
	err = l.stream(ctx, l.op, from.String(), sql, exprs, connectors.Limits{}, "", func(batch arrow.RecordBatch) error {
		defer batch.Release()
		whole := batch
		if tombstones {
			whole = withTime(batch, all, l.req.SyncedAt)
			defer whole.Release()
		}
		rows, err := l.feed.rowsJSON(whole, all)
		if err != nil {
			return err
		}
		return l.feed.write(ctx, rows)
	})
	if err != nil {
		return err
	}
	return l.feed.flush(ctx)
}

// withTime adds a column in which every row has the time.
func withTime(batch arrow.RecordBatch, columns []connectors.Column, at time.Time) arrow.RecordBatch {
	schema := connectors.Schema(columns)
	last := array.NewTimestampBuilder(memory.DefaultAllocator, schema.Field(len(columns)-1).Type.(*arrow.TimestampType))
	defer last.Release()
	for range batch.NumRows() {
		last.Append(arrow.Timestamp(at.UnixMicro()))
	}
	times := last.NewArray()
	defer times.Release()
	return array.NewRecordBatch(schema, append(slices.Clone(batch.Columns()), times), batch.NumRows())
}
