package warehouse

import (
	"context"
	"math"
	"slices"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"

	"arus/connectors"
	"arus/connectors/warehouse/segment"
)

// A query leaves out what its conditions exclude: files by their days and keys,
// row groups by the least and the greatest values that Parquet keeps of them, and
// rows of archived days by the order of the archiving sort columns. What is left
// out is a hint: every row that is read is compared again.

// compareOp is a comparison of a column with a constant.
type compareOp uint8

const (
	opEqual compareOp = iota
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opNull
	opNotNull
)

// condition is one comparison, which holds for every row that is wanted.
type condition struct {
	id    int
	op    compareOp
	value any // int64, float64, string, []byte or nil, as SELECT sees it
}

// bounds are what the conditions on one column admit, in the stored form.
type bounds struct {
	id     int
	never  bool // nothing
	nulls  bool // nulls, and nothing else
	text   bool
	lo, hi int64 // of a column that is stored as a whole number
	// Outside of [least, most] the order of what is shown is not that of what is
	// stored: such values are always admitted.
	least, most int64
	tlo, thi    *string
	real        bool // of a column of floats; a NaN, which is a text, is above them all
	rlo, rhi    float64
}

func (b *bounds) equal() bool {
	if b.nulls {
		return true
	}
	if b.text {
		return b.tlo != nil && b.thi != nil && *b.tlo == *b.thi
	}
	return b.lo == b.hi
}

// admits says whether a column's value can be wanted.
func (b *bounds) admits(v int64) bool {
	return v >= b.lo && v <= b.hi || v < b.least || v > b.most
}

func (b *bounds) admitsReal(v float64) bool {
	return v >= b.rlo && v <= b.rhi || v != v && b.rhi == math.Inf(1)
}

func (b *bounds) admitsText(s string) bool {
	return (b.tlo == nil || s >= *b.tlo) && (b.thi == nil || s <= *b.thi)
}

// The normal dates: those of years of four digits.
const (
	firstDay = -719162 // 0001-01-01
	lastDay  = 2932896 // 9999-12-31
)

// domain is the range of whole numbers in which what a column shows has the order
// of what it stores; ok is false for other columns.
func domain(t connectors.Type) (least, most int64, ok bool) {
	switch t.Kind {
	case connectors.Bool, connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64, connectors.Uint8, connectors.Uint16, connectors.Uint32:
		return math.MinInt64, math.MaxInt64, true
	case connectors.Uint64: // larger ones are texts
		return 0, math.MaxInt64, true
	case connectors.Date:
		return firstDay, lastDay, true
	case connectors.Timestamp, connectors.TimestampTZ:
		return firstDay * 86400e6, (lastDay+1)*86400e6 - 1, true
	}
	return 0, 0, false
}

// newBounds combines the conditions on each column. Conditions that say nothing
// about what is stored are left out.
func (l *layout) newBounds(conditions []condition) []bounds {
	var out []bounds
	for _, c := range conditions {
		if c.value == nil && c.op != opNull && c.op != opNotNull {
			out = append(out, bounds{id: c.id, never: true})
			continue
		}
		at := slices.IndexFunc(out, func(b bounds) bool { return b.id == c.id && !b.never })
		b := bounds{id: c.id, lo: math.MinInt64, hi: math.MaxInt64, rlo: math.Inf(-1), rhi: math.Inf(1)}
		if at >= 0 {
			b = out[at]
		} else {
			col := l.columns[c.id]
			var ok bool
			b.least, b.most, ok = domain(col.stored)
			b.text = !ok && col.stored.Kind == connectors.Text
			b.real = col.stored.Kind == connectors.Float64 || col.stored.Kind == connectors.Float32
			if !ok && !b.text && !b.real {
				continue
			}
		}
		if !l.narrow(&b, c) {
			continue
		}
		if at >= 0 {
			out[at] = b
		} else {
			out = append(out, b)
		}
	}
	return out
}

// narrow applies a condition; false means that it says nothing.
func (l *layout) narrow(b *bounds, c condition) bool {
	col := l.columns[c.id]
	switch c.op {
	case opNull:
		b.nulls = true
		return true
	case opNotNull:
		return true // as every other condition: nulls are not wanted
	}
	if b.real {
		return b.narrowReal(c)
	}
	if b.text {
		s, ok := c.value.(string)
		if !ok {
			return false
		}
		if c.op != opLess && c.op != opLessEqual && (b.tlo == nil || *b.tlo < s) {
			b.tlo = &s
		}
		if c.op != opGreater && c.op != opGreaterEqual && (b.thi == nil || *b.thi > s) {
			b.thi = &s
		}
		return true
	}
	lo, hi, ok := l.stored(col, c)
	if !ok {
		return false
	}
	b.lo, b.hi = max(b.lo, lo), min(b.hi, hi)
	return true
}

// narrowReal applies a condition to a column of floats.
func (b *bounds) narrowReal(c condition) bool {
	v, ok := c.value.(float64)
	if n, whole := c.value.(int64); whole && n < exactReal && n > -exactReal {
		v, ok = float64(n), true
	}
	if !ok || v != v || math.IsInf(v, 0) {
		return false
	}
	if c.op != opLess && c.op != opLessEqual {
		b.rlo = max(b.rlo, v)
	}
	if c.op != opGreater && c.op != opGreaterEqual {
		b.rhi = min(b.rhi, v)
	}
	return true
}

// stored is a condition on a column of whole numbers as a range of them.
func (l *layout) stored(col column, c condition) (lo, hi int64, ok bool) {
	lo, hi = math.MinInt64, math.MaxInt64
	if col.typ.IsEnum() && !col.typ.Array {
		s, isText := c.value.(string)
		if !isText || c.op != opEqual {
			return 0, 0, false
		}
		at := int64(slices.Index(l.enums[c.id], s))
		return at, at, true // -1 for an unknown case: no row has it
	}
	switch col.stored.Kind {
	case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
		s, isText := c.value.(string)
		if !isText {
			return 0, 0, false
		}
		return l.storedTime(col, c.op, s)
	}
	var floor, ceil int64
	switch v := c.value.(type) {
	case int64:
		floor, ceil = v, v
	case float64:
		if math.IsNaN(v) || v < -1<<62 || v > 1<<62 {
			return 0, 0, false
		}
		floor, ceil = int64(math.Floor(v)), int64(math.Ceil(v))
	default:
		return 0, 0, false
	}
	switch c.op {
	case opEqual:
		lo, hi = ceil, floor
	case opLess:
		if hi = ceil - 1; ceil == math.MinInt64 {
			return 1, 0, true
		}
	case opLessEqual:
		hi = floor
	case opGreater:
		if lo = floor + 1; floor == math.MaxInt64 {
			return 1, 0, true
		}
	case opGreaterEqual:
		lo = ceil
	}
	return lo, hi, true
}

// storedTime finds the first normal date or time whose text is not below s.
func (l *layout) storedTime(col column, op compareOp, s string) (lo, hi int64, ok bool) {
	show := func(v int64) string { return shownTime(col.stored.Kind, v) }
	least, most, _ := domain(col.stored)
	first := func(from func(string) bool) int64 {
		a, b := least, most+1
		for a < b {
			if m := a + (b-a)/2; from(show(m)) {
				b = m
			} else {
				a = m + 1
			}
		}
		return a
	}
	at, after := first(func(t string) bool { return t >= s }), first(func(t string) bool { return t > s })
	lo, hi = math.MinInt64, math.MaxInt64
	switch op {
	case opEqual:
		lo, hi = at, after-1
	case opLess:
		hi = at - 1
	case opLessEqual:
		hi = after - 1
	case opGreater:
		lo = after
	case opGreaterEqual:
		lo = at
	}
	return lo, hi, true
}

func shownTime(k connectors.Kind, v int64) string {
	if k == connectors.Date {
		return string(connectors.AppendDate(nil, arrow.Date32(v)))
	}
	return string(connectors.AppendTimestamp(nil, arrow.Timestamp(v), ' '))
}

// pruner chooses what a scan of a view reads.
type pruner struct {
	ctx    context.Context
	view   *View
	bounds []bounds
	never  bool
	read   *Read
	memory *spareMemory
}

func newPruner(ctx context.Context, v *View, conditions []condition, read *Read) *pruner {
	p := &pruner{ctx: ctx, view: v, bounds: v.layout.newBounds(conditions), read: read, memory: &spareMemory{}}
	for _, b := range p.bounds {
		p.never = p.never || b.never || !b.text && !b.nulls && b.lo > b.hi && b.least == math.MinInt64
	}
	return p
}

// request fills in what a scan leaves out. Whoever releases the scan's batches
// before their values are out of use says what their memory is.
func (p *pruner) request(req ScanRequest) (ScanRequest, error) {
	kept := map[int][]segment.Range{}
	days, read := map[int64]bool{}, map[int64]bool{}
	p.read.Files, p.read.Groups, p.read.Rows = int64(len(p.view.parts)), 0, p.view.archived()
	for i, part := range p.view.parts {
		p.read.Groups += (part.info.Rows + segment.GroupRows - 1) / segment.GroupRows
		if part.day != noDay {
			days[part.day] = true
		}
		if err := p.ctx.Err(); err != nil {
			return req, err
		}
		ranges, n, err := p.ranges(part)
		if err != nil {
			return req, err
		}
		if len(ranges) == 0 {
			continue
		}
		kept[i] = ranges
		p.read.FilesRead++
		p.read.GroupsRead += n
		for _, r := range ranges {
			p.read.RowsRead += r.To - r.From
		}
		if part.day != noDay {
			read[part.day] = true
		}
	}
	p.read.Scans++
	p.read.Days, p.read.DaysRead = int64(len(days)), p.read.DaysRead+int64(len(read))
	for _, id := range req.Columns {
		if name := p.view.layout.columns[id].name; !slices.Contains(p.read.Columns, name) {
			p.read.Columns = append(p.read.Columns, name)
		}
	}
	req.Skip = func(i int) bool { return kept[i] == nil }
	req.Ranges = func(i int) []segment.Range { return kept[i] }
	req.NoLive = p.never
	if b := p.of(0); b != nil && p.view.layout.isFact() && !b.nulls {
		if lo, hi := max(b.lo, 0), min(b.hi, math.MaxUint32); lo <= hi && (lo > 0 || hi < math.MaxUint32) {
			req.LiveMin, req.LiveMax = lo, max(hi, 1)
		}
	}
	return req, nil
}

func (p *pruner) of(id int) *bounds {
	for i := range p.bounds {
		if p.bounds[i].id == id {
			return &p.bounds[i]
		}
	}
	return nil
}

// ranges are the rows of a part that can be wanted, and in how many row groups.
func (p *pruner) ranges(part *part) (out []segment.Range, groups int64, err error) {
	if p.never || part.deadRows == part.info.Rows || p.excludes(part) {
		return nil, 0, nil
	}
	whole := segment.Range{From: 0, To: part.info.Rows}
	if len(p.bounds) == 0 {
		return []segment.Range{whole}, (part.info.Rows + segment.GroupRows - 1) / segment.GroupRows, nil
	}
	seg, err := p.view.segment(part)
	if err != nil {
		return nil, 0, err
	}
	at := int64(0)
	var starts []int64
	for _, g := range seg.Parquet().RowGroups() {
		r := segment.Range{From: at, To: at + g.NumRows()}
		at = r.To
		if p.excludesGroup(seg, g) {
			continue
		}
		starts = append(starts, r.From)
		if n := len(out); n > 0 && out[n-1].To == r.From {
			out[n-1].To = r.To
		} else {
			out = append(out, r)
		}
	}
	if part.day != noDay && len(out) > 0 {
		if out, err = p.sorted(part, seg, out); err != nil {
			return nil, 0, err
		}
		p.read.Sorted = append(p.read.Sorted, p.prefix()...)
		slices.Sort(p.read.Sorted)
		p.read.Sorted = slices.Compact(p.read.Sorted)
	}
	for _, from := range starts {
		if slices.ContainsFunc(out, func(r segment.Range) bool { return r.From < from+segment.GroupRows && r.To > from }) {
			groups++
		}
	}
	return out, groups, nil
}

// excludes says whether a part has no row that is wanted, without opening it.
func (p *pruner) excludes(part *part) bool {
	for _, b := range p.bounds {
		if part.day != noDay && b.id == 0 && (b.nulls || b.lo > part.tmax || b.hi < part.tmin) {
			return true
		}
	}
	return false
}

// excludesGroup looks at what Parquet keeps of a row group's columns.
func (p *pruner) excludesGroup(seg *segment.File, g parquet.RowGroup) bool {
	for i := range p.bounds {
		b := &p.bounds[i]
		place, ok := seg.Place(b.id)
		if !ok {
			continue
		}
		chunk, ok := g.ColumnChunks()[place].(*parquet.FileColumnChunk)
		if !ok || b.nulls {
			continue
		}
		low, high, ok := chunk.Bounds()
		if !ok {
			continue
		}
		if b.real {
			from, to := low.Double(), high.Double()
			if low.Kind() == parquet.Float {
				from, to = float64(low.Float()), float64(high.Float())
			}
			// Bounds do not tell of NaN.
			if b.rhi != math.Inf(1) && (from > b.rhi || to < b.rlo) {
				return true
			}
			continue
		}
		if b.text {
			if b.tlo != nil && string(high.ByteArray()) < *b.tlo || b.thi != nil && string(low.ByteArray()) > *b.thi {
				return true
			}
			continue
		}
		kind := p.view.layout.columns[b.id].stored.Kind
		from, to := whole(low, kind), whole(high, kind)
		if min(from, to) >= b.least && max(from, to) <= b.most && (to < b.lo || from > b.hi) {
			return true
		}
	}
	return false
}

// whole is a Parquet number in the form that bounds have.
func whole(v parquet.Value, k connectors.Kind) int64 {
	switch {
	case v.Kind() == parquet.Boolean:
		if v.Boolean() {
			return 1
		}
		return 0
	case v.Kind() == parquet.Int64:
		return v.Int64() // a uint64 beyond is negative, and so outside of the domain
	case k == connectors.Uint32:
		return int64(v.Uint32())
	}
	return int64(v.Int32())
}

// prefix are the leading archiving sort columns by which rows are found: those
// with an equality, and the one after them with a range. A deleted column ends it.
func (p *pruner) prefix() []string {
	var names []string
	_ = p.eachSorted(func(b *bounds) error { // which cannot fail
		names = append(names, p.view.layout.columns[b.id].name)
		return nil
	})
	return names
}

func (p *pruner) eachSorted(step func(b *bounds) error) error {
	for _, id := range p.view.layout.table.ArchivingSortColumns {
		b := p.of(id)
		if b == nil || b.real || p.view.layout.columns[id].deleted {
			return nil
		}
		if err := step(b); err != nil || !b.equal() {
			return err
		}
	}
	return nil
}

// sorted narrows ranges of a part by its order.
func (p *pruner) sorted(part *part, seg *segment.File, ranges []segment.Range) ([]segment.Range, error) {
	err := p.eachSorted(func(b *bounds) error {
		col := p.view.layout.columns[b.id]
		if _, ok := seg.Place(b.id); !ok || !b.nulls && !b.text && (b.lo < b.least || b.hi > b.most) {
			return nil
		}
		var next []segment.Range
		reader, err := seg.NewReader([]segment.Column{p.view.layout.segmentColumn(b.id)})
		if err != nil {
			return p.view.table.damaged(part, err)
		}
		for _, r := range ranges {
			build := array.NewBuilder(p.memory, col.stored.Arrow())
			if err := reader.Fill(0, build, r); err != nil {
				build.Release()
				_ = reader.Close()
				return p.view.table.damaged(part, err)
			}
			arr := build.NewArray()
			build.Release()
			below, above := b.sides(arr)
			// Rows are ordered: those below come first, then those wanted.
			from := sort.Search(arr.Len(), func(i int) bool { return !below(i) })
			to := from + sort.Search(arr.Len()-from, func(i int) bool { return above(from + i) })
			arr.Release()
			if from < to {
				next = append(next, segment.Range{From: r.From + int64(from), To: r.From + int64(to)})
			}
		}
		ranges = next
		return reader.Close()
	})
	return ranges, err
}

// sides tells whether a row's value stands before or after those wanted; nulls
// stand before all.
func (b *bounds) sides(arr arrow.Array) (below, above func(i int) bool) {
	if b.nulls {
		return func(int) bool { return false }, arr.IsValid
	}
	if b.text {
		a, _ := arr.(*array.String)
		return func(i int) bool { return a.IsNull(i) || b.tlo != nil && a.Value(i) < *b.tlo },
			func(i int) bool { return b.thi != nil && a.Value(i) > *b.thi }
	}
	get := wholeOf(arr)
	return func(i int) bool { return arr.IsNull(i) || get(i) < b.lo }, func(i int) bool { return get(i) > b.hi }
}

// wholeOf reads an array whose values are stored as whole numbers.
func wholeOf(arr arrow.Array) func(i int) int64 {
	switch a := arr.(type) {
	case *array.Boolean:
		return func(i int) int64 {
			if a.Value(i) {
				return 1
			}
			return 0
		}
	case *array.Int8:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Int16:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Int32:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Int64:
		return a.Value
	case *array.Uint8:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Uint16:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Uint32:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Uint64:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Date32:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Timestamp:
		return func(i int) int64 { return int64(a.Value(i)) }
	}
	return nil
}

// pick lists the rows of a batch that can be wanted; arrays are by column ID.
// nil means all.
func (p *pruner) pick(arrays func(id int) arrow.Array, rows int, into []int32) []int32 {
	into = into[:0]
	picked := false
	for i := range p.bounds {
		b := &p.bounds[i]
		arr := arrays(b.id)
		if arr == nil {
			continue
		}
		test := b.tester(arr)
		if !picked {
			picked = true
			for r := range rows {
				if test(r) {
					into = append(into, int32(r))
				}
			}
			continue
		}
		n := 0
		for _, r := range into {
			if test(int(r)) {
				into[n] = r
				n++
			}
		}
		into = into[:n]
	}
	if !picked {
		return nil
	}
	return into
}

func (b *bounds) tester(arr arrow.Array) func(i int) bool {
	switch {
	case b.never:
		return func(int) bool { return false }
	case b.nulls:
		return arr.IsNull
	case b.text:
		a, ok := arr.(*array.String)
		if !ok {
			return arr.IsValid
		}
		return func(i int) bool { return a.IsValid(i) && b.admitsText(a.Value(i)) }
	}
	switch x := arr.(type) {
	case *array.Float64:
		return func(i int) bool { return b.admitsReal(x.Value(i)) && x.IsValid(i) }
	case *array.Float32:
		return func(i int) bool { return b.admitsReal(float64(x.Value(i))) && x.IsValid(i) }
	}
	get := wholeOf(arr)
	if arr.NullN() == 0 {
		return func(i int) bool { return b.admits(get(i)) }
	}
	return func(i int) bool { return arr.IsValid(i) && b.admits(get(i)) }
}
