package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/warehouse/segment"
)

// filter picks rows by a window and a stretch of the key.
type filter struct {
	layout  *layout
	columns []int // that it looks at
	window  *connectors.Window
	watched []int    // the window's column and those beside it
	lower   [][]byte // of each, in ordered form; nil = none
	upper   [][]byte
	key     []int
	from    []byte
	to      []byte
	buf     []byte
}

// newFilter gives nil when every row is wanted.
func newFilter(l *layout, w *connectors.Window, r *connectors.KeyRange) (*filter, error) {
	f := &filter{layout: l, window: w}
	if w != nil {
		if w.Lower == nil && w.Upper == nil && w.Nulls {
			f.window, w = nil, nil
		}
	}
	if w != nil {
		for _, one := range w.Apart() {
			id, err := f.column(one.Column)
			if err != nil {
				return nil, err
			}
			lower, err := f.bound(id, one.Lower)
			if err != nil {
				return nil, err
			}
			upper, err := f.bound(id, one.Upper)
			if err != nil {
				return nil, err
			}
			f.watched, f.lower, f.upper = append(f.watched, id), append(f.lower, lower), append(f.upper, upper)
		}
	}
	if r != nil && (r.From != nil || r.To != nil) {
		for _, name := range r.Columns {
			id, err := f.column(name)
			if err != nil {
				return nil, err
			}
			f.key = append(f.key, id)
		}
		var err error
		if f.from, err = f.tuple(r.From); err != nil {
			return nil, err
		}
		if f.to, err = f.tuple(r.To); err != nil {
			return nil, err
		}
	}
	if f.window == nil && f.key == nil {
		return nil, nil
	}
	return f, nil
}

func (f *filter) column(name string) (int, error) {
	id := f.layout.table.ColumnID(name)
	if id < 0 {
		return 0, fmt.Errorf("the table has no column %s", name)
	}
	if f.layout.columns[id].typ.IsEnum() {
		return 0, fmt.Errorf("the enum %s has no order to read by", name)
	}
	if !slices.Contains(f.columns, id) {
		f.columns = append(f.columns, id)
	}
	return id, nil
}

// bound is a bound in ordered form.
func (f *filter) bound(id int, b *connectors.Bound) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	t := f.layout.columns[id].stored
	builder := array.NewBuilder(memory.DefaultAllocator, t.Arrow())
	defer builder.Release()
	if err := appendText(builder, t, b.Text); err != nil {
		return nil, fmt.Errorf("the bound %q is no %s, which column %s is", b.Text, t, f.layout.columns[id].name)
	}
	arr := builder.NewArray()
	defer arr.Release()
	order, err := newOrderer(arr, t, false)
	if err != nil {
		return nil, err
	}
	return order([]byte{}, 0), nil
}

func (f *filter) tuple(bounds []connectors.Bound) ([]byte, error) {
	if bounds == nil {
		return nil, nil
	}
	if len(bounds) != len(f.key) {
		return nil, errors.New("the stretch's bound has not as many values as the key")
	}
	out := []byte{}
	for i := range bounds {
		b, err := f.bound(f.key[i], &bounds[i])
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// pick lists the rows that the filter admits; arrays are by column ID.
func (f *filter) pick(arrays []arrow.Array, rows int, into []int) ([]int, error) {
	into = into[:0]
	watched := make([]orderer, len(f.watched))
	for i, id := range f.watched {
		var err error
		if watched[i], err = newOrderer(arrays[id], f.layout.columns[id].stored, false); err != nil {
			return nil, err
		}
	}
	var key orderer
	if f.key != nil {
		var err error
		if key, err = f.layout.rowOrderer(arrays, f.key, false); err != nil {
			return nil, err
		}
	}
	for i := range rows {
		if f.inWindow(arrays, watched, i) && f.inRange(arrays, key, i) {
			into = append(into, i)
		}
	}
	return into, nil
}

// excludes says whether no row of a part can be admitted, by the bounds of its keys.
func (f *filter) excludes(p *part) bool {
	if p.lo == nil {
		return false
	}
	key := f.layout.key
	if f.window != nil && len(f.watched) == 1 && f.watched[0] == key[0] && !f.window.Nulls {
		lower, upper := f.lower[0], f.upper[0]
		if lower != nil && string(p.hi) < string(lower) || upper != nil && string(p.lo[:min(len(p.lo), len(upper))]) > string(upper) {
			return true
		}
	}
	return slices.Equal(f.key, key) && (f.from != nil && string(p.hi) < string(f.from) || f.to != nil && string(p.lo) >= string(f.to))
}

func (f *filter) inWindow(arrays []arrow.Array, watched []orderer, i int) bool {
	if f.window == nil {
		return true
	}
	for c, id := range f.watched {
		if arrays[id].IsNull(i) {
			if c == 0 && f.window.Nulls {
				return true
			}
			continue
		}
		f.buf = watched[c](f.buf[:0], i)
		if (f.lower[c] == nil || string(f.buf) >= string(f.lower[c])) && (f.upper[c] == nil || string(f.buf) <= string(f.upper[c])) {
			return true
		}
	}
	return false
}

func (f *filter) inRange(arrays []arrow.Array, key orderer, i int) bool {
	if key == nil {
		return true
	}
	for _, id := range f.key {
		if arrays[id].IsNull(i) {
			return false
		}
	}
	f.buf = key(f.buf[:0], i)
	return (f.from == nil || string(f.buf) >= string(f.from)) && (f.to == nil || string(f.buf) < string(f.to))
}

// byID puts a batch's columns in the places of their IDs.
func (l *layout) byID(batch arrow.RecordBatch, ids []int) []arrow.Array {
	arrays := make([]arrow.Array, len(l.columns))
	for i, id := range ids {
		arrays[id] = batch.Column(i)
	}
	return arrays
}

// deleteWhere removes the rows that a filter admits; nil admits all.
func (x *txn) deleteWhere(ctx context.Context, f *filter) error {
	if f == nil {
		for _, p := range x.parts {
			for r := range p.info.Rows {
				x.mark(p, r)
			}
		}
		return x.conn.Exec(ctx, "DELETE FROM rows")
	}
	for _, p := range x.parts {
		if err := x.markWhere(ctx, p, f); err != nil {
			return err
		}
	}
	return x.deleteLive(ctx, f)
}

// markWhere hides a part's rows.
func (x *txn) markWhere(ctx context.Context, p *part, f *filter) error {
	v := x.reading()
	defer v.closeFiles()
	var picked []int
	return v.eachPart(ctx, p, f.columns, func(batch arrow.RecordBatch, at []int64) error {
		var err error
		if picked, err = f.pick(x.layout.byID(batch, f.columns), int(batch.NumRows()), picked); err != nil {
			return err
		}
		for _, i := range picked {
			x.mark(p, at[i])
		}
		return nil
	})
}

// eachPart gives columns of a part's rows that are not hidden, with their places.
func (v *View) eachPart(ctx context.Context, p *part, columns []int, batch func(b arrow.RecordBatch, at []int64) error) error {
	if err := v.pinPart(p); err != nil {
		return err
	}
	only, state := *v, *v.state
	state.parts = []*part{p}
	only.state = &state
	var places []int64
	for _, r := range alive([]segment.Range{{From: 0, To: p.info.Rows}}, p) {
		for at := r.From; at < r.To; at++ {
			places = append(places, at)
		}
	}
	return only.Each(ctx, ScanRequest{Columns: columns, Stored: true, NoLive: true, Limits: limits(keyBatch)}, func(b arrow.RecordBatch) error {
		defer b.Release()
		n := b.NumRows()
		err := batch(b, places[:n])
		places = places[n:]
		return err
	})
}

// deleteLive removes live rows.
func (x *txn) deleteLive(ctx context.Context, f *filter) error {
	var gone [][]byte
	err := x.eachLive(ctx, f.columns, func(keys [][]byte, batch arrow.RecordBatch) error {
		picked, err := f.pick(x.layout.byID(batch, f.columns), int(batch.NumRows()), nil)
		for _, i := range picked {
			gone = append(gone, keys[i])
		}
		return err
	})
	if err != nil {
		return err
	}
	return x.deleteKeys(ctx, gone)
}

func (x *txn) deleteKeys(ctx context.Context, keys [][]byte) error {
	for _, k := range keys {
		if err := x.conn.Exec(ctx, "DELETE FROM rows WHERE k = ?", k); err != nil {
			return err
		}
	}
	return nil
}

// eachLive gives columns of the live rows in batches, with their keys.
func (x *txn) eachLive(ctx context.Context, columns []int, batch func(keys [][]byte, b arrow.RecordBatch) error) error {
	return x.eachLiveWhere(ctx, columns, "1", nil, batch)
}

func (x *txn) eachLiveWhere(ctx context.Context, columns []int, where string, args []driver.Value, batch func(keys [][]byte, b arrow.RecordBatch) error) error {
	cols := make([]connectors.Column, len(columns))
	for i, id := range columns {
		cols[i] = connectors.Column{Name: x.layout.columns[id].name, Type: x.layout.columns[id].stored}
	}
	var keys [][]byte
	b := connectors.NewBatcher(cols, limits(keyBatch), func(r arrow.RecordBatch) error {
		defer r.Release()
		err := batch(keys, r)
		keys = nil
		return err
	})
	defer b.Release()
	cells := make([]cell, len(x.layout.columns))
	err := x.conn.Each(ctx, "SELECT k, v FROM rows WHERE "+where+" ORDER BY k", args, func(row []driver.Value) error {
		data, _ := row[1].([]byte)
		if err := x.layout.splitRow(data, cells); err != nil {
			return x.table.readError(err)
		}
		for i, id := range columns {
			appendCell(b.Builders[i], cells[id])
		}
		keys = append(keys, blob(row[0]))
		return b.EndRow(1)
	})
	if err != nil {
		return err
	}
	return b.Flush()
}
