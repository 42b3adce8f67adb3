package warehouse

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/warehouse/segment"
)

// scan finds the first rows of the order.
func (t *top) scan() (err error) {
	var conditions []condition
	var ids []int
	for _, n := range t.where {
		conditions = append(conditions, n.conditions()...)
		ids = append(ids, n.columns...)
	}
	for _, k := range t.keys {
		ids = append(ids, k.node.columns...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if edge, ok := t.edge(); ok {
		conditions = append(conditions, edge)
	}
	p := newPruner(t.session.ctx, t.view, conditions, t.read)
	req, err := p.request(ScanRequest{Columns: ids, Limits: t.limits, Stored: true, Memory: p.memory})
	if err != nil {
		return err
	}
	req.LiveMin, req.LiveMax = 0, 0 // the numbers of live rows count all of them
	ranges := req.Ranges
	req.Ranges = func(i int) []segment.Range { return t.reachable(p, i, ranges(i)) }
	s := t.view.Scan(t.session.ctx, req)
	defer func() { err = errors.Join(err, s.Close()) }()
	b := newColumnBatch(t.session, t.shape, t.view, ids)
	var chosen []int32
	t.best.keys = t.keys
	for {
		batch, err := s.Next()
		if err != nil || batch == nil {
			t.read.LiveRead = s.liveRows
			return err
		}
		var all bool
		all, chosen, err = b.choose(batch, t.where, chosen)
		if err == nil && (all || len(chosen) > 0) {
			err = t.add(b, s.spans, all, chosen)
		}
		batch.Release()
		if err != nil {
			return err
		}
	}
}

// edge bounds the time of the latest or the earliest rows of a fact table, by the
// files that are certain to have as many as are wanted. No event is without a time.
func (t *top) edge() (condition, bool) {
	k := t.keys[0]
	if !t.view.layout.isFact() || len(t.where) > 0 || k.node.op != "column" || k.node.columns[0] != 0 {
		return condition{}, false
	}
	parts := slices.Clone(t.view.parts)
	slices.SortFunc(parts, func(a, b *part) int {
		if k.desc {
			return cmp.Compare(b.tmin, a.tmin)
		}
		return cmp.Compare(a.tmax, b.tmax)
	})
	rows := int64(0)
	for _, p := range parts {
		if p.day == noDay {
			return condition{}, false
		}
		if rows += p.info.Rows - p.deadRows; rows < int64(t.rows) {
			continue
		}
		if k.desc {
			return condition{id: 0, op: opGreaterEqual, value: p.tmin}, true
		}
		return condition{id: 0, op: opLessEqual, value: p.tmax}, true
	}
	return condition{}, false
}

// reachable leaves out the row groups of a part all of whose rows come after those
// that are found.
func (t *top) reachable(p *pruner, index int, ranges []segment.Range) []segment.Range {
	k := &t.keys[0]
	if len(t.best.rows) < t.rows || k.node.op != "column" || k.kind == realVector {
		return ranges
	}
	worst := t.best.rows[0].values[0]
	// A null, which no bounds tell of, may come first; but no event is without a time.
	if worst.null || !k.nullsLast && (!t.view.layout.isFact() || k.node.columns[0] != 0) {
		return ranges
	}
	c := condition{id: k.node.columns[0], op: opLessEqual, value: any(worst.whole)}
	if k.desc {
		c.op = opGreaterEqual
	}
	switch k.kind {
	case timeVector:
		c.value = shownTime(t.view.layout.columns[c.id].stored.Kind, worst.whole)
	case codeVector:
		c.value = worst.text
	}
	seg, err := t.view.segment(t.view.parts[index])
	if err != nil {
		return ranges // the scan says it
	}
	near := pruner{view: p.view, bounds: p.view.layout.newBounds([]condition{c})}
	if len(near.bounds) == 0 {
		return ranges
	}
	out := []segment.Range{}
	at := int64(0)
	for _, g := range seg.Parquet().RowGroups() {
		from, to := at, at+g.NumRows()
		at = to
		beyond := near.excludesGroup(seg, g)
		read := false
		for _, r := range ranges {
			if r = (segment.Range{From: max(r.From, from), To: min(r.To, to)}); r.From >= r.To {
				continue
			}
			if read = true; beyond {
				t.read.RowsRead -= r.To - r.From
			} else {
				out = append(out, r)
			}
		}
		if read && beyond {
			t.read.GroupsRead--
		}
	}
	return out
}

// add takes the chosen rows of a batch.
func (t *top) add(b *columnBatch, spans []span, all bool, chosen []int32) error {
	vectors := make([]*vector, len(t.keys))
	for i := range t.keys {
		v, err := t.keys[i].eval(b)
		if err != nil {
			return err
		}
		vectors[i] = v
	}
	row, at := topRow{values: make([]topValue, len(t.keys))}, 0
	before := int64(0) // rows of the spans before the one that has the row
	each := func(i int) {
		for int64(i) >= before+spans[at].rows {
			before += spans[at].rows
			at++
		}
		row.number = spans[at].first + int64(i) - before
		full := len(t.best.rows) == t.rows
		for k := range vectors {
			row.values[k].take(vectors[k], i)
			if full { // later keys decide among equals alone
				switch c := t.keys[k].compare(&row.values[k], &t.best.rows[0].values[k]); {
				case c > 0:
					return
				case c < 0:
					full = false
				}
			}
		}
		switch {
		case full: // equal, and later
		case len(t.best.rows) < t.rows:
			heap.Push(&t.best, topRow{row.number, slices.Clone(row.values)})
		default:
			last := &t.best.rows[0]
			last.number = row.number
			copy(last.values, row.values)
			heap.Fix(&t.best, 0)
		}
	}
	if all {
		i := 0
		for ; i < b.rows && len(t.best.rows) < t.rows; i++ {
			each(i)
		}
		if i < b.rows {
			t.eachNear(vectors[0], i, b.rows, each)
		}
		return nil
	}
	for _, i := range chosen {
		each(int(i))
	}
	return nil
}

// eachNear goes over the rows whose first key is not behind that of the last row
// that is kept.
func (t *top) eachNear(v *vector, from, to int, each func(i int)) {
	k := &t.keys[0]
	last := func() *topValue { return &t.best.rows[0].values[0] }
	switch {
	case v.null == nil && v.kind == realVector:
		near(v.real, from, to, k.desc, func() (float64, bool) { return last().real, last().null }, each)
	case v.null == nil && v.kind != codeVector:
		near(v.whole, from, to, k.desc, func() (int64, bool) { return last().whole, last().null }, each)
	default:
		for i := from; i < to; i++ {
			each(i)
		}
	}
}

func near[T int64 | float64](values []T, from, to int, desc bool, last func() (T, bool), each func(i int)) {
	limit, null := last()
	for i, x := range values[from:to] {
		if !null && (desc && x < limit || !desc && x > limit) {
			continue
		}
		each(from + i)
		limit, null = last()
	}
}

// take is the value of row i.
func (x *topValue) take(v *vector, i int) {
	x.null = v.isNull(i)
	switch {
	case x.null:
	case v.kind == realVector:
		x.real = v.real[i]
	case v.kind == codeVector:
		x.text = v.dict.texts[v.codes[i]]
	default:
		x.whole = v.whole[i]
	}
}

// eval gives the key's values for a batch.
func (k *topKey) eval(b *columnBatch) (*vector, error) {
	v, err := k.node.eval(b)
	if err != nil {
		return nil, err
	}
	if k.known && k.kind != v.kind {
		return nil, errRows
	}
	k.kind, k.known = v.kind, true
	if v.kind == timeVector {
		least, most, _ := domain(connectors.Type{Kind: v.time})
		for i, x := range v.whole[:b.rows] {
			if (x < least || x > most) && !v.isNull(i) {
				return nil, errRows // not in the order of their texts
			}
		}
	}
	return v, nil
}

// fetch reads columns of the rows that are found, in the order of the scan.
func (t *top) fetch(ids []int) (*madeRows, error) {
	numbers := make([]int64, len(t.best.rows))
	for i, r := range t.best.rows {
		numbers[i] = r.number
	}
	slices.Sort(numbers)
	made := &madeRows{declaration: t.view.layout.declaration(), rows: len(numbers)}
	values := make([][]any, len(ids)) // by column
	visible := t.view.layout.visible()
	made.value = func(column, row int) any {
		if at := slices.Index(ids, visible[column]); at >= 0 {
			return values[at][row]
		}
		return nil
	}
	if len(numbers) == 0 || len(ids) == 0 {
		return made, nil
	}
	ranges := map[int][]segment.Range{}
	live := false
	for _, n := range numbers {
		if n >= firstLive {
			live = true
			continue
		}
		part, row := int(n>>32), n&(1<<32-1)
		ranges[part] = append(ranges[part], segment.Range{From: row, To: row + 1})
	}
	for _, id := range ids {
		if name := t.view.layout.columns[id].name; !slices.Contains(t.read.Columns, name) {
			t.read.Columns = append(t.read.Columns, name)
		}
	}
	s := t.view.Scan(t.session.ctx, ScanRequest{
		Columns: ids, Stored: true, NoLive: !live,
		Skip:   func(i int) bool { return ranges[i] == nil },
		Ranges: func(i int) []segment.Range { return ranges[i] },
	})
	found, size := 0, 0
	for {
		batch, err := s.Next()
		if err != nil || batch == nil {
			if err == nil && found != len(numbers) {
				err = t.view.table.readError(fmt.Errorf("%d of %d rows were found again", found, len(numbers)))
			}
			return made, errors.Join(err, s.Close())
		}
		n, err := t.collect(batch, ids, s.spans, numbers[found:], values)
		batch.Release()
		for _, column := range values {
			for _, v := range column[found:] {
				size += sizeOf(v)
			}
		}
		if found += n; err == nil && size > maxTopBytes {
			err = errRows
		}
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
}

// collect takes the rows of a batch that have the next of the numbers, and says how
// many.
func (t *top) collect(batch arrow.RecordBatch, ids []int, spans []span, numbers []int64, values [][]any) (found int, err error) {
	var shows []shower
	for c, id := range ids {
		if err := t.view.checkCases(id, batch.Column(c)); err != nil {
			return 0, err
		}
		shows = append(shows, t.view.batchShower(id, batch.Column(c)))
	}
	var a atom
	row := int64(0)
	for _, s := range spans {
		for ; found < len(numbers) && numbers[found] < s.first+s.rows; found++ {
			for c := range ids {
				shows[c](&a, int(row+numbers[found]-s.first))
				values[c] = append(values[c], a.value())
			}
		}
		row += s.rows
	}
	return found, nil
}

// sizeOf is how much memory a value takes.
func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return 32 + len(v)
	case []byte:
		return 40 + len(v)
	}
	return 24
}
