package warehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// maxRetainKeys is how many keys a retaining load holds before it looks them up.
const maxRetainKeys = 1 << 20

// retainLoad takes keys: those that the source has, and the table's other rows
// go; or, to remove them, those of the rows that go.
type retainLoad struct {
	*load
	set     keySet
	lowest  []byte
	highest []byte
	seen    map[*part]*bitmap
	live    map[string]bool // keys of live rows that were seen
	raw     *rawWriter      // of the tombstones; nil without a staging table
	keys    []connectors.Column
}

func (d *Destination) beginRetain(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	l := &retainLoad{
		load: &load{storage: d.storage, table: d.table(req.Target.Name), req: req}, seen: map[*part]*bitmap{}, live: map[string]bool{}, keys: req.Columns,
	}
	lock, err := l.table.lock(ctx, req.Wait())
	if err != nil {
		return nil, err
	}
	l.lock = lock
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	if req.Raw != nil && l.existed {
		if l.raw, err = d.beginStaging(ctx, req); err != nil {
			return nil, errors.Join(err, l.Abort())
		}
	}
	return l, nil
}

func (l *retainLoad) start(ctx context.Context) error {
	if l.existed = l.table.exists(); !l.existed {
		if l.req.Mode == connectors.Remove {
			return nil
		}
		return &connectors.Error{Kind: connectors.KindNotFound, Op: "load", Object: l.table.name, Err: errors.New("there is no such table"), Hint: "load the table first"}
	}
	var err error
	if l.txn, err = l.table.begin(ctx); err != nil {
		return l.table.readError(fail(ctx, "open", l.table.name, err))
	}
	names := l.txn.layout.keyNames()
	if l.txn.layout.hidden() || !slices.Equal(names, l.req.Key) || !slices.Equal(connectors.ColumnNames(l.req.Columns), names) {
		return &connectors.Error{Kind: connectors.KindConflict, Op: "load", Object: l.table.name, Err: fmt.Errorf("its key is %v, and the load's %v", names, l.req.Key), Hint: "run a full refresh"}
	}
	l.in, err = newIntake(l.txn.layout, connectors.LoadRequest{Columns: l.req.Columns, RunID: l.req.RunID}, 0, l.storage.now().Unix())
	if err != nil {
		return err
	}
	l.in.given = l.txn.layout.key
	return l.table.sweep(l.txn.keep(), anyToken)
}

// Write notes keys.
func (l *retainLoad) Write(ctx context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	return fail(ctx, "load", l.table.name, l.write(ctx, batch))
}

func (l *retainLoad) write(ctx context.Context, batch arrow.RecordBatch) error {
	if !l.existed {
		return ctx.Err() // it has none of the rows
	}
	arrays := make([]arrow.Array, len(l.txn.layout.columns))
	defer releaseAll(arrays)
	for i, id := range l.txn.layout.key {
		var err error
		if arrays[id], err = l.in.convert(batch.Column(i), l.req.Columns[i].Type, id); err != nil {
			return err
		}
		if arrays[id].NullN() > 0 {
			return &connectors.Error{Kind: connectors.KindConstraint, Op: "load", Object: l.table.name + "." + l.req.Columns[i].Name, Err: errors.New("a key column has a NULL"), Hint: "choose another key"}
		}
	}
	keyOf, err := l.txn.layout.keyOrderer(arrays)
	if err != nil {
		return err
	}
	for i := range int(batch.NumRows()) {
		l.key = keyOf(l.key[:0], i)
		if l.lowest == nil || string(l.key) < string(l.lowest) {
			l.lowest = append(l.lowest[:0], l.key...)
		}
		if l.highest == nil || string(l.key) > string(l.highest) {
			l.highest = append(l.highest[:0], l.key...)
		}
		l.set.add(l.txn.layout.keyer.key(l.key))
		if l.set.n >= maxRetainKeys {
			if err := l.lookup(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookup finds the rows of the keys that came.
func (l *retainLoad) lookup(ctx context.Context) error {
	if l.set.n == 0 {
		return nil
	}
	err := l.txn.find(ctx, &l.set, l.lowest, l.highest, l.txn.parts, func(f found) error {
		if l.seen[f.part] == nil {
			l.seen[f.part] = new(bitmap)
		}
		l.seen[f.part].set(f.row)
		return nil
	})
	if err != nil {
		return err
	}
	err = l.txn.eachLive(ctx, nil, func(keys [][]byte, _ arrow.RecordBatch) error {
		for _, k := range keys {
			if l.set.has(l.txn.layout.keyer.key(k)) {
				l.live[string(k)] = true
			}
		}
		return nil
	})
	l.set.reset()
	l.lowest, l.highest = nil, nil
	return err
}

// Commit deletes or marks the rows whose keys did not come.
func (l *retainLoad) Commit(ctx context.Context) (connectors.LoadResult, error) {
	n, err := l.commit(ctx)
	if err != nil {
		return connectors.LoadResult{}, errors.Join(fail(ctx, "load", l.table.name, err), l.Abort())
	}
	return connectors.LoadResult{Deleted: n}, nil
}

// goneRows are rows whose keys did not come.
type goneRows struct {
	part *part
	rows []int64
}

func (l *retainLoad) commit(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !l.existed {
		return 0, l.Abort()
	}
	if err := l.lookup(ctx); err != nil {
		return 0, err
	}
	mark := -1
	if l.req.Retain.Mark {
		if mark = l.txn.layout.table.ColumnID(connectors.MetaDeletedAt); mark < 0 {
			return 0, &connectors.Error{Kind: connectors.KindInvalid, Op: "load", Object: l.table.name, Err: errors.New("it has no column " + connectors.MetaDeletedAt), Hint: "run a full refresh"}
		}
	}
	gone, total, count, err := l.missing(ctx, mark)
	if err != nil {
		return 0, err
	}
	live, liveTotal, err := l.missingLive(ctx, mark)
	if err != nil {
		return 0, err
	}
	count += int64(len(live))
	total += liveTotal
	if most := l.req.Retain.MaxShare; most > 0 && float64(count) > most*float64(total) {
		return 0, &connectors.Error{
			Kind: connectors.KindConflict, Op: "load", Object: l.table.name,
			Err:  fmt.Errorf("%d of %d rows are gone from the source, which is more than may go", count, total),
			Hint: "look whether the source is whole, or raise the limit",
		}
	}
	if err := l.bury(ctx, gone, live); err != nil {
		return 0, err
	}
	if err := l.apply(ctx, gone, live, mark); err != nil {
		return 0, err
	}
	if err := l.txn.commit(ctx); err != nil {
		return 0, err
	}
	l.unlock()
	return count, nil
}

// missing lists the rows of files whose keys did not come; with a column to mark,
// only those that have no mark.
func (l *retainLoad) missing(ctx context.Context, mark int) (gone []goneRows, total, count int64, err error) {
	for _, p := range l.txn.parts {
		seen := bitmap{}
		if b := l.seen[p]; b != nil {
			seen = *b
		}
		g := goneRows{part: p}
		removed := l.req.Mode == connectors.Remove
		var columns []int
		if mark >= 0 {
			columns = []int{mark}
		}
		v := l.txn.reading()
		err = v.eachPart(ctx, p, columns, func(b arrow.RecordBatch, at []int64) error {
			for i, row := range at {
				total++
				if seen.get(row) == removed && (mark < 0 || b.Column(0).IsNull(i)) {
					g.rows = append(g.rows, row)
				}
			}
			return nil
		})
		v.closeFiles()
		if err != nil {
			return nil, 0, 0, err
		}
		count += int64(len(g.rows))
		gone = append(gone, g)
	}
	return gone, total, count, nil
}

func (l *retainLoad) missingLive(ctx context.Context, mark int) (gone [][]byte, total int64, err error) {
	var columns []int
	if mark >= 0 {
		columns = []int{mark}
	}
	removed := l.req.Mode == connectors.Remove
	err = l.txn.eachLive(ctx, columns, func(keys [][]byte, b arrow.RecordBatch) error {
		for i, k := range keys {
			total++
			if l.live[string(k)] == removed && (mark < 0 || b.Column(0).IsNull(i)) {
				gone = append(gone, k)
			}
		}
		return nil
	})
	return gone, total, err
}

// bury lands a tombstone for each row that goes.
func (l *retainLoad) bury(ctx context.Context, gone []goneRows, live [][]byte) error {
	if l.raw == nil {
		return nil
	}
	columns := append(slices.Clone(l.keys), connectors.Column{Name: connectors.MetaDeletedAt, Type: connectors.Type{Kind: connectors.TimestampTZ}})
	b := connectors.NewBatcher(columns, limits(keyBatch), func(r arrow.RecordBatch) error {
		defer r.Release()
		return l.raw.add(ctx, r, columns)
	})
	defer b.Release()
	at := b.Builders[len(l.keys)].(*array.TimestampBuilder)
	put := func(cells []cell) error {
		for i, id := range l.txn.layout.key {
			appendCell(b.Builders[i], cells[id])
		}
		at.Append(arrow.Timestamp(l.req.SyncedAt.UnixMicro()))
		return b.EndRow(1)
	}
	if err := l.eachGone(ctx, gone, live, func(_ found, _ []byte, cells []cell) error { return put(cells) }); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	raw := l.raw
	l.raw = nil
	_, err := raw.Commit(ctx)
	return err
}

// eachGone gives the whole rows that go; key is nil for those of files.
func (l *retainLoad) eachGone(ctx context.Context, gone []goneRows, live [][]byte, row func(f found, key []byte, cells []cell) error) error {
	for _, g := range gone {
		for some := range slices.Chunk(g.rows, keyBatch) {
			at := make([]found, len(some))
			for i, r := range some {
				at[i] = found{part: g.part, row: r}
			}
			if err := l.txn.fetch(ctx, at, l.txn.layout.liveIDs(), func(f found, cells []cell) error { return row(f, nil, cells) }); err != nil {
				return err
			}
		}
	}
	cells := make([]cell, len(l.txn.layout.columns))
	for _, k := range live {
		v, err := l.txn.conn.One(ctx, "SELECT v FROM rows WHERE k = ?", k)
		if err != nil {
			return err
		}
		if err := l.txn.layout.splitRow(blob(v), cells); err != nil {
			return err
		}
		if err := row(found{}, k, cells); err != nil {
			return err
		}
	}
	return nil
}

// apply removes the rows, or writes them anew with the mark.
func (l *retainLoad) apply(ctx context.Context, gone []goneRows, live [][]byte, mark int) error {
	if mark < 0 {
		for _, g := range gone {
			l.txn.mark(g.part, g.rows...)
		}
		return l.txn.deleteKeys(ctx, live)
	}
	b := array.NewTimestampBuilder(memory.DefaultAllocator, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"})
	defer b.Release()
	b.Append(arrow.Timestamp(l.req.SyncedAt.UnixMicro()))
	arr := b.NewArray()
	defer arr.Release()
	put, err := newCellPutter(arr)
	if err != nil {
		return err
	}
	value := cell(put(nil, 0))
	n := int64(0)
	err = l.eachGone(ctx, gone, live, func(f found, key []byte, cells []cell) error {
		cells[mark] = value
		if key == nil {
			if key, err = l.txn.layout.keyOfCells(cells); err != nil {
				return err
			}
			l.txn.mark(f.part, f.row)
		}
		n++
		return l.txn.putRow(ctx, key, l.txn.layout.timeOfCells(cells), l.txn.layout.joinRow(nil, cells))
	})
	if err != nil {
		return err
	}
	return l.txn.set(ctx, stateUpserts, l.txn.values[stateUpserts]+n)
}

// Abort leaves the table as it was.
func (l *retainLoad) Abort() error {
	var err error
	if l.raw != nil {
		err = l.raw.Abort()
		l.raw = nil
	}
	return errors.Join(err, l.load.Abort())
}
