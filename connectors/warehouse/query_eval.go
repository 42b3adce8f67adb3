package warehouse

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
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

// memo is an expression of one column that SQLite evaluates, once for every
// distinct value, or for every stretch of times in which it has one value.
type memo struct {
	tokens []token
	id     int
	step   int64 // of the stretch; 0 = not looked at, 1 = every value
	seen   numberer
	values []any
	out    vector
	dict   dictionary
	codes  []int32
	truths []bool // by the code of a text, see tests
	never  bool
}

// maxCases is how large a dictionary may be of which each text is tested.
const maxCases = 1 << 12

// tests says for every text of a column's dictionary whether the expression is true
// of it: as many of them as there are, or nil where that does not go.
func (m *memo) tests(b *columnBatch, x *vector) []bool {
	if x.kind != codeVector || x.null != nil || len(x.dict.texts) > maxCases || m.never {
		return nil
	}
	for len(m.truths) < len(x.dict.texts) {
		var fresh []any
		for _, text := range x.dict.texts[len(m.truths):] {
			fresh = append(fresh, text)
		}
		values, err := b.session.evaluate(b.columns[0].view.layout, b.shape.alias, b.shape.text(m.tokens), m.id, fresh)
		if err != nil { // perhaps of a text that no row has
			m.never = true
			return nil
		}
		for _, v := range values {
			switch v := v.(type) {
			case nil:
				m.truths = append(m.truths, false)
			case int64:
				m.truths = append(m.truths, v != 0)
			case float64:
				m.truths = append(m.truths, v != 0)
			default:
				m.never = true
				return nil
			}
		}
	}
	return m.truths
}

func (m *memo) eval(b *columnBatch) (*vector, error) {
	x, err := b.column(m.id)
	if err != nil {
		return nil, err
	}
	col := b.columns[0].view.layout.columns[m.id]
	if m.step == 0 {
		m.step = stretch(m.tokens, x.kind, col.stored.Kind)
	}
	m.codes = resize(m.codes, b.rows)
	var fresh []any
	nullCode := int32(-1)
	for i := range b.rows {
		var code int32
		var isNew bool
		if x.isNull(i) {
			if nullCode < 0 {
				// A value of its own, which no time or number is divided into.
				nullCode, isNew = m.seen.number(math.MinInt64 + 7)
			}
			code = nullCode
		} else {
			bits := x.bits(i)
			if m.step > 1 {
				if x.kind == timeVector && (bits < firstDay*86400e6 || bits > (lastDay+1)*86400e6-1) {
					return nil, errRows
				}
				bits = floorDiv(bits, m.step)
			} else if bits == math.MinInt64+7 {
				return nil, errRows
			}
			code, isNew = m.seen.number(bits)
		}
		if isNew {
			fresh = append(fresh, x.value(i))
		}
		m.codes[i] = code
	}
	if len(fresh) > 0 {
		if len(m.values)+len(fresh) > maxCodes/4 {
			return nil, errRows
		}
		values, err := b.session.evaluate(b.columns[0].view.layout, b.shape.alias, b.shape.text(m.tokens), m.id, fresh)
		if err != nil {
			return nil, err
		}
		m.values = append(m.values, values...)
	}
	return m.spread(b.rows)
}

// spread gives every row the value of its code.
func (m *memo) spread(rows int) (*vector, error) {
	v := &m.out
	known, null := false, false
	for _, x := range m.values {
		kind := wholeVector
		switch x.(type) {
		case nil:
			null = true
			continue
		case int64:
		case float64:
			kind = realVector
		case string:
			kind = codeVector
		default:
			return nil, errRows
		}
		if known && kind != v.kind {
			return nil, errRows // values of several kinds
		}
		v.kind, known = kind, true
	}
	v.null = nil
	if null {
		v.null = make([]bool, rows)
		for i, c := range m.codes {
			v.null[i] = m.values[c] == nil
		}
	}
	switch v.kind {
	case wholeVector:
		of := make([]int64, len(m.values))
		for i, x := range m.values {
			of[i], _ = x.(int64)
		}
		v.whole = resize(v.whole, rows)
		for i, c := range m.codes {
			v.whole[i] = of[c]
		}
	case realVector:
		of := make([]float64, len(m.values))
		for i, x := range m.values {
			of[i], _ = x.(float64)
		}
		v.real = resize(v.real, rows)
		for i, c := range m.codes {
			v.real[i] = of[c]
		}
	default:
		of := make([]int32, len(m.values))
		for i, x := range m.values {
			if s, ok := x.(string); ok {
				code, err := m.dict.code(s)
				if err != nil {
					return nil, err
				}
				of[i] = code
			}
		}
		v.dict, v.codes = &m.dict, resize(v.codes, rows)
		for i, c := range m.codes {
			v.codes[i] = of[c]
		}
	}
	return v, nil
}

// stretch says how long the values of a column are in which a function of them
// has one value: date functions of whole days, hours or minutes, and the first
// characters of a time.
func stretch(tokens []token, kind vectorKind, typ connectors.Kind) int64 {
	var args [][]token
	if n := len(tokens); n >= 4 && tokens[0].kind == tokenWord && tokens[1].is("(") && tokens[n-1].is(")") {
		args = split(tokens[2 : n-1])
	}
	unit := int64(1) // a second
	switch {
	case kind == timeVector && typ != connectors.Date:
		unit = 1_000_000
	case kind != wholeVector:
		return 1
	}
	column := func(a []token) bool {
		return len(a) == 1 && (a[0].kind == tokenWord || a[0].kind == tokenQuoted) || len(a) == 3 && a[1].is(".")
	}
	text := func(a []token) string {
		if len(a) == 1 && a[0].kind == tokenText {
			return a[0].text
		}
		return ""
	}
	name := ""
	if len(args) > 0 {
		name = strings.ToLower(tokens[0].text)
	}
	format := ""
	switch name {
	case "date":
		format = "%Y"
	case "strftime":
		if format, args = text(args[0]), args[1:]; format == "" {
			return 1
		}
	case "substr", "substring":
		if kind == timeVector && len(args) == 3 && column(args[0]) && len(args[1]) == 1 && args[1][0].text == "1" && len(args[2]) == 1 {
			switch n, err := strconv.Atoi(args[2][0].text); {
			case err != nil || n < 1:
			case n <= 10:
				return 86400 * unit
			case n <= 13:
				return 3600 * unit
			case n <= 16:
				return 60 * unit
			}
		}
		return 1
	default:
		return 1
	}
	if kind == wholeVector && (len(args) != 2 || !strings.EqualFold(text(args[1]), "unixepoch")) || kind == timeVector && len(args) != 1 || !column(args[0]) {
		return 1
	}
	step := 86400 * unit
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		if i++; i == len(format) {
			return 1
		}
		switch format[i] {
		case 'Y', 'm', 'd', 'j', 'w', 'u', 'W', 'U', 'V', 'G', 'g', 'F', '%':
		case 'H', 'I', 'k', 'l', 'p', 'P':
			step = min(step, 3600*unit)
		case 'M', 'R':
			step = min(step, 60*unit)
		default:
			return 1
		}
	}
	return step
}
