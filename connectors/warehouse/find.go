package warehouse

import (
	"bytes"
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/warehouse/segment"
)

// reading opens what a change reads of the table's files; close it.
func (x *txn) reading() *View {
	return &View{state: x.state, table: x.table, conn: x.conn, open: map[*part]*openPart{}}
}

// closeFiles closes the files of a view whose connection is a change's.
func (v *View) closeFiles() {
	for _, o := range v.open {
		_ = o.file.Close()
	}
	v.open = map[*part]*openPart{}
}

// pinPart opens one part's file.
func (v *View) pinPart(p *part) error {
	if v.open[p] != nil {
		return nil
	}
	f, err := v.table.openFile(p)
	if err != nil {
		return err
	}
	v.open[p] = &openPart{file: f}
	return nil
}

// found is a row that a key was looked for and found at.
type found struct {
	part *part
	row  int64
	key  int // the key's number in the set
}

// find looks for the keys of a set in parts and calls hit for each that a row
// which is not hidden has. A part is read only when its bounds and its filter
// admit one of the keys; lo and hi are the least and the greatest of them.
func (x *txn) find(ctx context.Context, set *keySet, lo, hi []byte, parts []*part, hit func(found) error) error {
	if set.n == 0 {
		return nil
	}
	v := x.reading()
	defer v.closeFiles()
	for _, p := range parts {
		if p.deadRows == p.info.Rows || bytes.Compare(p.hi, lo) < 0 || bytes.Compare(p.lo, hi) > 0 {
			continue
		}
		filter, err := x.filter(ctx, p)
		if err != nil {
			return err
		}
		near, numbers := x.layout.keyer.near(set, p, filter)
		if near.n == 0 {
			continue
		}
		if err := v.findIn(ctx, p, near, func(f found) error {
			f.key = numbers[f.key]
			return hit(f)
		}); err != nil {
			return err
		}
	}
	return nil
}

// near are the keys of a set that a part may have, with their numbers in it.
func (k keyer) near(set *keySet, p *part, filter bloom) (near *keySet, numbers []int) {
	var lo, hi rowKey
	copy(lo[:], p.lo)
	copy(hi[:], p.hi)
	near = &keySet{}
	for i := range set.n {
		key := set.key(i)
		if k.exact && (bytes.Compare(key[:], lo[:]) < 0 || bytes.Compare(key[:], hi[:]) > 0) || !filter.has(key) {
			continue
		}
		near.add(key)
		numbers = append(numbers, i)
	}
	return near, numbers
}

func limits(rows int) connectors.Limits { return connectors.Limits{Rows: rows} }

// keyBatch is how many keys are decoded at a time.
const keyBatch = 1 << 14

// findIn reads a part's keys.
func (v *View) findIn(ctx context.Context, p *part, set *keySet, hit func(found) error) error {
	return v.eachKey(ctx, p, func(row int64, key []byte) error {
		if i, ok := set.find(v.layout.keyer.key(key)); ok {
			return hit(found{p, row, i})
		}
		return nil
	})
}

// eachKey gives the ordered keys of the rows of a part that are not hidden.
func (v *View) eachKey(ctx context.Context, p *part, row func(row int64, key []byte) error) error {
	if err := v.pinPart(p); err != nil {
		return err
	}
	only := *v
	state := *v.state
	state.parts = []*part{p}
	only.state = &state
	var buf []byte
	ranges := alive([]segment.Range{{From: 0, To: p.info.Rows}}, p)
	at := int64(0)
	if len(ranges) > 0 {
		at = ranges[0].From
	}
	return only.Each(ctx, ScanRequest{Columns: v.layout.key, Stored: true, NoLive: true, Limits: limits(keyBatch)}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		arrays := make([]arrow.Array, len(v.layout.columns))
		for i, id := range v.layout.key {
			arrays[id] = batch.Column(i)
		}
		order, err := v.layout.keyOrderer(arrays)
		if err != nil {
			return err
		}
		for i := range int(batch.NumRows()) {
			buf = order(buf[:0], i)
			if err := row(at, buf); err != nil {
				return err
			}
			if at++; at == ranges[0].To {
				if ranges = ranges[1:]; len(ranges) > 0 {
					at = ranges[0].From
				}
			}
		}
		return nil
	})
}

// fetch reads columns of rows of the state's parts, as cells by column ID; the rows
// of a part ascend. The cells are good for the call.
func (x *txn) fetch(ctx context.Context, at []found, ids []int, row func(f found, cells []cell) error) error {
	v := x.reading()
	defer v.closeFiles()
	for len(at) > 0 {
		p, n := at[0].part, 0
		var ranges []segment.Range
		for ; n < len(at) && at[n].part == p; n++ {
			if k := len(ranges) - 1; k >= 0 && ranges[k].To == at[n].row {
				ranges[k].To++
			} else {
				ranges = append(ranges, segment.Range{From: at[n].row, To: at[n].row + 1})
			}
		}
		if err := v.fetchPart(ctx, p, ranges, at[:n], ids, row); err != nil {
			return err
		}
		at = at[n:]
	}
	return nil
}

func (v *View) fetchPart(ctx context.Context, p *part, ranges []segment.Range, at []found, ids []int, row func(f found, cells []cell) error) error {
	if err := v.pinPart(p); err != nil {
		return err
	}
	only := *v
	state := *v.state
	state.parts = []*part{p}
	only.state = &state
	cells := make([]cell, len(v.layout.columns))
	room := make([]cell, len(v.layout.columns))
	n := 0
	err := only.Each(ctx, ScanRequest{Columns: ids, Stored: true, NoLive: true, Limits: limits(keyBatch), Ranges: func(int) []segment.Range { return ranges }}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		puts := make([]cellPutter, len(ids))
		for c := range ids {
			var err error
			if puts[c], err = newCellPutter(batch.Column(c)); err != nil {
				return err
			}
		}
		for i := range int(batch.NumRows()) {
			for c, id := range ids {
				if cells[id] = nil; !batch.Column(c).IsNull(i) {
					if room[id] = puts[c](room[id][:0], i); room[id] == nil {
						room[id] = cell{}
					}
					cells[id] = room[id]
				}
			}
			if err := row(at[n], cells); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err == nil && n != len(at) {
		err = errors.New("rows that were found are gone")
	}
	return err
}
