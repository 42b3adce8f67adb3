package warehouse

import (
	"errors"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// errRows says that a statement must be answered row by row after all: a value
// came up that the columns' way does not calculate with exactly as SQLite does.
var errRows = errors.New("the rows must be read one by one")

// vectorKind is what the values of a vector are.
type vectorKind uint8

const (
	wholeVector vectorKind = iota // integers
	realVector
	timeVector // whole numbers that show as texts of the same order
	codeVector // places in a dictionary
)

// vector is a column of a batch. Values of nulls mean nothing.
type vector struct {
	kind  vectorKind
	whole []int64
	real  []float64
	codes []int32
	dict  *dictionary
	time  connectors.Kind // of a timeVector
	null  []bool          // nil = none
}

func (v *vector) isNull(i int) bool { return v.null != nil && v.null[i] }

// maxCodes and maxCodeBytes bound a dictionary.
const (
	maxCodes     = 1 << 19
	maxCodeBytes = 48 << 20
)

// dictionary numbers the distinct texts of an expression.
type dictionary struct {
	texts []string
	place map[string]int32
	size  int
}

func (d *dictionary) code(s string) (int32, error) {
	if c, ok := d.place[s]; ok {
		return c, nil
	}
	if d.size += len(s); len(d.texts) >= maxCodes || d.size > maxCodeBytes {
		return 0, errRows
	}
	if d.place == nil {
		d.place = map[string]int32{}
	}
	c := int32(len(d.texts))
	s = string(append([]byte(nil), s...))
	d.texts, d.place[s] = append(d.texts, s), c
	return c, nil
}

// numberer numbers distinct 64-bit values; small ones without a hash.
type numberer struct {
	small []int32 // by value, the number plus one
	place map[int64]int32
	last  int64
	code  int32
	n     int32
}

const smallValues = 1 << 16

func (n *numberer) number(v int64) (code int32, isNew bool) {
	if v == n.last && n.n > 0 {
		return n.code, false
	}
	if v >= 0 && v < smallValues {
		if n.small == nil {
			n.small = make([]int32, smallValues)
		}
		if n.small[v] == 0 {
			n.n++
			n.small[v], isNew = n.n, true
		}
		code = n.small[v] - 1
	} else {
		if n.place == nil {
			n.place = map[int64]int32{}
		}
		c, ok := n.place[v]
		if !ok {
			c = n.n
			n.n++
			n.place[v], isNew = c, true
		}
		code = c
	}
	n.last, n.code = v, code
	return code, isNew
}

// pairBits are bits that no other pair of numbers has; those of small ones are small.
func pairBits(a, b int32) int64 {
	if a < 1<<8 && b < 1<<8 {
		return int64(a)<<8 | int64(b)
	}
	return 1<<62 | int64(a)<<31 | int64(b)
}

// columnVector reads a column of a scan of stored values; it keeps its room.
type columnVector struct {
	view  *View
	id    int
	out   vector
	dict  dictionary
	nulls []bool
	reals []float64
	whole []int64
	codes []int32
	caseN []int32 // enums: the code of every case
}

// vectorable says whether columns of a type can be read as vectors.
func (l *layout) vectorable(id int) bool {
	switch c := l.columns[id]; c.stored.Kind {
	case connectors.Numeric, connectors.Bytes:
		return false
	case connectors.Decimal:
		return c.stored.Precision <= connectors.MaxDecimal128 && c.stored.Scale <= 22
	}
	return true
}

func (c *columnVector) read(arr arrow.Array) (*vector, error) {
	n := arr.Len()
	v := &c.out
	*v = vector{}
	if arr.NullN() > 0 {
		c.nulls = resize(c.nulls, n)
		bits, at := arr.NullBitmapBytes(), arr.Data().Offset()
		for i := range c.nulls {
			c.nulls[i] = bits[(at+i)>>3]>>((at+i)&7)&1 == 0
		}
		v.null = c.nulls
	}
	col := c.view.layout.columns[c.id]
	if col.typ.IsEnum() && !col.typ.Array {
		return v, c.enum(arr)
	}
	switch a := arr.(type) {
	case *array.Float32:
		c.reals = resize(c.reals, n)
		for i, f := range a.Float32Values() {
			c.reals[i] = float64(f)
		}
		return v, c.real(c.reals)
	case *array.Float64:
		return v, c.real(a.Float64Values())
	case *array.Decimal128:
		return v, c.decimal(a, col.stored.Scale)
	case *array.Date32, *array.Timestamp:
		v.kind, v.time = timeVector, col.stored.Kind
	case *array.String:
		c.codes = resize(c.codes, n)
		v.kind, v.dict, v.codes = codeVector, &c.dict, c.codes
		last, code := "", int32(-1)
		for i := range n {
			if v.isNull(i) {
				continue
			}
			s := a.Value(i)
			if code < 0 || s != last {
				var err error
				if code, err = c.dict.code(s); err != nil {
					return nil, err
				}
				last = s
			}
			c.codes[i] = code
		}
		return v, nil
	}
	if a, ok := arr.(*array.Int64); ok {
		v.whole = a.Int64Values()
		return v, nil
	}
	c.whole = resize(c.whole, n)
	v.whole = c.whole
	switch a := arr.(type) {
	case *array.Uint32:
		for i, x := range a.Uint32Values() {
			c.whole[i] = int64(x)
		}
	case *array.Int32:
		for i, x := range a.Int32Values() {
			c.whole[i] = int64(x)
		}
	default:
		get := wholeOf(arr)
		if get == nil {
			return v, c.shown(arr, col)
		}
		for i := range n {
			c.whole[i] = get(i)
		}
	}
	least, most, ok := domain(col.stored)
	if !ok {
		return nil, errRows
	}
	if least != math.MinInt64 {
		for i, x := range v.whole {
			if (x < least || x > most) && !v.isNull(i) {
				return nil, errRows
			}
		}
	}
	return v, nil
}

// real takes floats: NaN is a text to SQLite, and two zeros are one group.
func (c *columnVector) real(values []float64) error {
	c.out.kind, c.out.real = realVector, values
	for i, f := range values {
		// Nothing that is above zero is one of them.
		if !(f > 0) && (f != f || f == 0 && math.Signbit(f)) && !c.out.isNull(i) {
			return errRows
		}
	}
	return nil
}

// decimal takes decimals that a REAL shows exactly.
func (c *columnVector) decimal(a *array.Decimal128, scale int) error {
	const exact = 999_999_999_999_999
	if scale == 0 {
		c.whole = resize(c.whole, a.Len())
		c.out.whole = c.whole
	} else {
		c.reals = resize(c.reals, a.Len())
		c.out.kind, c.out.real = realVector, c.reals
	}
	by := math.Pow10(scale)
	for i, n := range a.Values() {
		low := int64(n.LowBits())
		if (n.HighBits() != low>>63 || scale > 0 && (low < -exact || low > exact)) && !c.out.isNull(i) {
			return errRows
		}
		if scale == 0 {
			c.whole[i] = low
		} else {
			c.reals[i] = float64(low) / by
		}
	}
	return nil
}

func (c *columnVector) enum(arr arrow.Array) error {
	cases := c.view.layout.enums[c.id]
	if c.caseN == nil {
		for _, name := range cases {
			code, err := c.dict.code(name)
			if err != nil {
				return err
			}
			c.caseN = append(c.caseN, code)
		}
	}
	if err := c.view.checkCases(c.id, arr); err != nil {
		return err
	}
	c.codes = resize(c.codes, arr.Len())
	c.out.kind, c.out.dict, c.out.codes = codeVector, &c.dict, c.codes
	switch a := arr.(type) {
	case *array.Uint8:
		caseCodes(c.codes, a.Uint8Values(), c.caseN)
	case *array.Uint16:
		caseCodes(c.codes, a.Uint16Values(), c.caseN)
	}
	return nil
}

// caseCodes gives every number of a case its code. What stands for a null may be no case.
func caseCodes[T uint8 | uint16](codes []int32, numbers []T, of []int32) {
	for i, n := range numbers {
		if int(n) < len(of) {
			codes[i] = of[n]
		}
	}
}

// shown takes what has no other form than its text.
func (c *columnVector) shown(arr arrow.Array, col column) error {
	c.codes = resize(c.codes, arr.Len())
	c.out.whole = nil
	c.out.kind, c.out.dict, c.out.codes = codeVector, &c.dict, c.codes
	show := plainShower(arr, col.read)
	var a atom
	for i := range c.codes {
		if c.out.isNull(i) {
			continue
		}
		if show(&a, i); a.kind != textAtom {
			return errRows
		}
		var err error
		if c.codes[i], err = c.dict.code(a.text); err != nil {
			return err
		}
	}
	return nil
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// value shows a value of a vector as SELECT sees it.
func (v *vector) value(i int) any {
	switch {
	case v.isNull(i):
		return nil
	case v.kind == wholeVector:
		return v.whole[i]
	case v.kind == realVector:
		return v.real[i]
	case v.kind == timeVector:
		return shownTime(v.time, v.whole[i])
	}
	return v.dict.texts[v.codes[i]]
}

// bits are 64 bits that are equal where the values are.
func (v *vector) bits(i int) int64 {
	switch v.kind {
	case realVector:
		return int64(math.Float64bits(v.real[i]))
	case codeVector:
		return int64(v.codes[i])
	}
	return v.whole[i]
}
