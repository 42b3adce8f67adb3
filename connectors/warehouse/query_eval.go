package warehouse

import (
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
)

// columnBatch is a batch of a scan, its columns read as vectors when they are
// asked for.
type columnBatch struct {
	session *session
	shape   *shape
	rows    int
	ids     []int
	arrays  []arrow.Array
	columns []*columnVector
	ready   []bool
}

func newColumnBatch(q *session, s *shape, v *View, ids []int) *columnBatch {
	b := &columnBatch{session: q, shape: s, ids: ids, ready: make([]bool, len(ids))}
	for _, id := range ids {
		b.columns = append(b.columns, &columnVector{view: v, id: id})
	}
	if len(b.columns) == 0 {
		b.columns = append(b.columns, &columnVector{view: v})
	}
	return b
}

// choose takes a batch and lists the rows for which all conditions hold; all says
// that these are all of them.
func (b *columnBatch) choose(batch arrow.RecordBatch, where []*node, chosen []int32) (all bool, _ []int32, err error) {
	b.rows, b.arrays = int(batch.NumRows()), batch.Columns()
	clear(b.ready)
	all = true
	for _, n := range where {
		if all, chosen, err = n.choose(b, all, chosen); err != nil {
			return false, chosen, err
		}
	}
	return all, chosen, nil
}

func (b *columnBatch) column(id int) (*vector, error) {
	at := slices.Index(b.ids, id)
	c := b.columns[at]
	if !b.ready[at] {
		if _, err := c.read(b.arrays[at]); err != nil {
			return nil, err
		}
		b.ready[at] = true
	}
	return &c.out, nil
}

// array is a column as it was read.
func (b *columnBatch) array(id int) arrow.Array { return b.arrays[slices.Index(b.ids, id)] }

// eval gives the values of an expression for a batch.
func (n *node) eval(b *columnBatch) (*vector, error) {
	if n.memo != nil {
		return n.memo.eval(b)
	}
	switch n.op {
	case "column":
		return b.column(n.columns[0])
	case "literal":
		return n.constant(b.rows)
	case "isnull", "notnull":
		return n.nulls(b)
	}
	var args [2]*vector
	for i, a := range n.args {
		v, err := a.eval(b)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	x, y := args[0], args[1]
	switch n.op {
	case "not":
		return n.invert(x, b.rows)
	case "and", "or":
		return n.logic(x, y, b.rows)
	case "+", "-", "*", "/", "%":
		return n.calculate(x, y, b.rows)
	}
	if x.kind == timeVector || y.kind == timeVector {
		return n.compareTime(b)
	}
	return n.compare(x, y, b.rows)
}

func (n *node) constant(rows int) (*vector, error) {
	v := &n.out
	switch x := n.literal.(type) {
	case int64:
		if len(v.whole) < rows {
			v.kind, v.whole = wholeVector, slices.Repeat([]int64{x}, rows)
		}
	case float64:
		if len(v.real) < rows {
			v.kind, v.real = realVector, slices.Repeat([]float64{x}, rows)
		}
	case nil:
		if len(v.null) < rows {
			v.kind, v.whole, v.null = wholeVector, make([]int64, rows), slices.Repeat([]bool{true}, rows)
		}
	case string:
		if len(v.codes) < rows {
			v.kind, v.codes, v.dict = codeVector, make([]int32, rows), &dictionary{texts: []string{x}, place: map[string]int32{x: 0}}
		}
	default:
		return nil, errRows
	}
	return v, nil
}

func (n *node) nulls(b *columnBatch) (*vector, error) {
	a := n.args[0]
	v := &n.out
	v.whole = resize(v.whole, b.rows)
	want := n.op == "isnull"
	set := func(null func(i int) bool) {
		for i := range v.whole {
			v.whole[i] = 0
			if null(i) == want {
				v.whole[i] = 1
			}
		}
	}
	if a.op == "column" && a.memo == nil {
		set(b.array(a.columns[0]).IsNull)
		return v, nil
	}
	x, err := a.eval(b)
	if err != nil {
		return nil, err
	}
	set(x.isNull)
	return v, nil
}

// both says which rows have a null on either side.
func (n *node) both(x, y *vector, rows int) {
	v := &n.out
	switch {
	case x.null == nil && (y == nil || y.null == nil):
		v.null = nil
		return
	default:
		v.null = resize(v.null, rows)
		for i := range v.null {
			v.null[i] = x.isNull(i) || y != nil && y.isNull(i)
		}
	}
}

// truth is 1, 0 or, for a null, -1.
func truth(v *vector, i int) (int8, error) {
	switch {
	case v.isNull(i):
		return -1, nil
	case v.kind == wholeVector:
		if v.whole[i] != 0 {
			return 1, nil
		}
		return 0, nil
	case v.kind == realVector:
		if v.real[i] != 0 {
			return 1, nil
		}
		return 0, nil
	}
	return 0, errRows
}

func (n *node) invert(x *vector, rows int) (*vector, error) {
	n.both(x, nil, rows)
	v := &n.out
	v.whole = resize(v.whole, rows)
	for i := range v.whole {
		t, err := truth(x, i)
		if err != nil {
			return nil, err
		}
		v.whole[i] = int64(1 - max(t, 0))
	}
	return v, nil
}

func (n *node) logic(x, y *vector, rows int) (*vector, error) {
	v := &n.out
	v.whole, v.null = resize(v.whole, rows), resize(v.null, rows)
	decides := int8(0) // one side alone
	if n.op == "or" {
		decides = 1
	}
	for i := range rows {
		a, err := truth(x, i)
		if err != nil {
			return nil, err
		}
		b, err := truth(y, i)
		if err != nil {
			return nil, err
		}
		v.null[i] = false
		switch {
		case a == decides || b == decides:
			v.whole[i] = int64(decides)
		case a < 0 || b < 0:
			v.null[i] = true
		default:
			v.whole[i] = int64(1 - decides)
		}
	}
	return v, nil
}

// exactReal is how large an integer may be to be a REAL without loss.
const exactReal = 1 << 53

// reals gives a vector's numbers as REALs.
func reals(v *vector, rows int) ([]float64, error) {
	if v.kind == realVector {
		return v.real, nil
	}
	if v.kind != wholeVector {
		return nil, errRows
	}
	out := make([]float64, rows)
	for i, x := range v.whole[:rows] {
		if (x > exactReal || x < -exactReal) && !v.isNull(i) {
			return nil, errRows
		}
		out[i] = float64(x)
	}
	return out, nil
}

func (n *node) calculate(x, y *vector, rows int) (*vector, error) {
	v := &n.out
	n.both(x, y, rows)
	if x.kind == wholeVector && y.kind == wholeVector {
		v.kind, v.whole = wholeVector, resize(v.whole, rows)
		return v, n.wholes(x.whole, y.whole, rows)
	}
	if n.op == "%" { // of integers that the REALs are cut to
		return nil, errRows
	}
	a, err := reals(x, rows)
	if err != nil {
		return nil, err
	}
	b, err := reals(y, rows)
	if err != nil {
		return nil, err
	}
	v.kind, v.real = realVector, resize(v.real, rows)
	out := v.real
	switch n.op {
	case "+":
		for i := range out {
			out[i] = a[i] + b[i]
		}
	case "-":
		for i := range out {
			out[i] = a[i] - b[i]
		}
	case "*":
		for i := range out {
			out[i] = a[i] * b[i]
		}
	case "/":
		for i := range out {
			if b[i] == 0 {
				n.setNull(i, rows)
			} else {
				out[i] = a[i] / b[i]
			}
		}
	}
	for i, f := range out {
		if f != f && !v.isNull(i) {
			n.setNull(i, rows)
		}
	}
	return v, nil
}

func (n *node) setNull(i, rows int) {
	if n.out.null == nil {
		n.out.null = make([]bool, rows)
	}
	n.out.null[i] = true
}

// wholes calculates with integers; what SQLite would turn into a REAL ends it.
func (n *node) wholes(a, b []int64, rows int) error {
	out := n.out.whole
	for i := range out {
		x, y := a[i], b[i]
		switch n.op {
		case "+":
			if s := x + y; (s > x) == (y > 0) {
				out[i] = s
				continue
			}
		case "-":
			if s := x - y; (s < x) == (y > 0) {
				out[i] = s
				continue
			}
		case "*":
			const safe = 1 << 31
			if x < safe && x > -safe && y < safe && y > -safe {
				out[i] = x * y
				continue
			}
			if p := x * y; x == 0 || p/x == y && (x != -1 || y != math.MinInt64) {
				out[i] = p
				continue
			}
		default:
			if y == 0 {
				n.setNull(i, rows)
				continue
			}
			if y != -1 || x != math.MinInt64 {
				if out[i] = x / y; n.op == "%" {
					out[i] = x % y
				}
				continue
			}
		}
		if !n.out.isNull(i) {
			return errRows
		}
	}
	return nil
}

func compared[T int64 | float64](op string, a, b []T, out []int64) {
	set := func(test func(x, y T) bool) {
		for i := range out {
			out[i] = 0
			if test(a[i], b[i]) {
				out[i] = 1
			}
		}
	}
	switch op {
	case "=":
		set(func(x, y T) bool { return x == y })
	case "<>":
		set(func(x, y T) bool { return x != y })
	case "<":
		set(func(x, y T) bool { return x < y })
	case "<=":
		set(func(x, y T) bool { return x <= y })
	case ">":
		set(func(x, y T) bool { return x > y })
	case ">=":
		set(func(x, y T) bool { return x >= y })
	}
}

func (n *node) compare(x, y *vector, rows int) (*vector, error) {
	v := &n.out
	n.both(x, y, rows)
	v.whole = resize(v.whole, rows)
	if x.kind == wholeVector && y.kind == wholeVector {
		compared(n.op, x.whole, y.whole, v.whole)
		return v, nil
	}
	a, err := reals(x, rows)
	if err != nil {
		return nil, err
	}
	b, err := reals(y, rows)
	if err != nil {
		return nil, err
	}
	compared(n.op, a, b, v.whole)
	return v, nil
}

// compareTime compares a date or time with a text by the stretch of stored
// values that the comparison admits.
func (n *node) compareTime(b *columnBatch) (*vector, error) {
	a, c := n.args[0], n.args[1]
	if a.op == "literal" {
		a, c = c, a
	}
	if a.op != "column" || c.op != "literal" || n.op == "<>" {
		return nil, errRows
	}
	layout := b.columns[0].view.layout
	bs := layout.newBounds(n.conditions())
	x, err := b.column(a.columns[0])
	if err != nil {
		return nil, err
	}
	if len(bs) != 1 || x.kind != timeVector {
		return nil, errRows
	}
	v := &n.out
	n.both(x, nil, b.rows)
	v.whole = resize(v.whole, b.rows)
	lo, hi, least, most := bs[0].lo, bs[0].hi, bs[0].least, bs[0].most
	for i, t := range x.whole {
		if (t < least || t > most) && !v.isNull(i) {
			return nil, errRows
		}
		v.whole[i] = 0
		if t >= lo && t <= hi {
			v.whole[i] = 1
		}
	}
	return v, nil
}
