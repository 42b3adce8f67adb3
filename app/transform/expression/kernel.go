package expression

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// A kernel evaluates a part of an expression for a whole batch, over typed
// slices. What has no kernel is left to the machine; the two agree for every
// row, which TestKernelsAgreeWithTheMachine holds.
type kernel func(b *block) vec

// block is a batch under evaluation.
type block struct {
	arrays []arrow.Array
	n      int
	made   int // bytes of text that were made
}

// vec is a column of values in the slice of its class.
type vec struct {
	nulls  []bool // nil: none is null
	errs   []rowError
	shared bool // the slices belong to a constant
	b      []bool
	i      []int64 // integers, and dates and times
	f      []float64
	s      []string
	d      []decimal128.Num
}

type rowError struct {
	row int
	err error
}

// failures are the first error of each row.
func (v vec) failures() []Failure {
	if len(v.errs) == 0 {
		return nil
	}
	failures := make([]Failure, len(v.errs))
	for k, e := range v.errs {
		failures[k] = Failure{e.row, e.err.Error()}
	}
	slices.SortFunc(failures, func(a, b Failure) int { return a.Row - b.Row })
	return failures
}

// joinErrs keeps the first error of each row, in the order of the operands.
func joinErrs(lists ...[]rowError) []rowError {
	total, last := 0, 0
	for k, l := range lists {
		if len(l) > 0 {
			total += len(l)
			last = k
		}
	}
	if total == 0 {
		return nil
	}
	if total == len(lists[last]) {
		return lists[last]
	}
	seen := make(map[int]bool, total)
	var all []rowError
	for _, l := range lists {
		for _, e := range l {
			if !seen[e.row] {
				seen[e.row] = true
				all = append(all, e)
			}
		}
	}
	return all
}

func joinNulls(a, b []bool) []bool {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	out := make([]bool, len(a))
	for i := range out {
		out[i] = a[i] || b[i]
	}
	return out
}

// kernelOf is the kernel of a typed tree, nil when a part has none.
func kernelOf(n *node) kernel {
	switch n.op {
	case opColumn:
		return columnKernel(n)
	case opConst:
		return constantKernel(n)
	case opCall:
		if n.impl.build == nil {
			return nil
		}
		if n.impl.name == "isnull" && n.args[0].op == opColumn {
			at := n.args[0].at
			return n.impl.build([]kernel{func(b *block) vec { return vec{nulls: nullsOf(b.arrays[at])} }})
		}
	}
	args := make([]kernel, len(n.args))
	for i, a := range n.args {
		if args[i] = kernelOf(a); args[i] == nil {
			return nil
		}
	}
	switch n.op {
	case opCall:
		return n.impl.build(args)
	case opIf:
		return ifKernel(args, n.typ)
	case opAnd, opOr:
		return logicKernel(n.op, args)
	case opElse:
		return elseKernel(n.text, args, n.typ)
	}
	return nil
}

// form is the slice of a vec that a class lives in; none when kernels cannot
// hold it.
type form uint8

const (
	formNone form = iota
	formBool
	formInt
	formFloat
	formText
	formDecimal
)

func formOf(t typ) form {
	switch t.class() {
	case connectors.Bool:
		return formBool
	case connectors.Int64, connectors.Date, connectors.Time, connectors.Timestamp, connectors.TimestampTZ:
		return formInt
	case connectors.Float64:
		return formFloat
	case connectors.Text:
		return formText
	case connectors.Numeric:
		if t.Kind == connectors.Decimal && t.Precision <= connectors.MaxDecimal128 {
			return formDecimal
		}
	}
	return formNone
}

func nullsOf(arr arrow.Array) []bool {
	if arr.NullN() == 0 {
		return nil
	}
	nulls := make([]bool, arr.Len())
	for i := range nulls {
		nulls[i] = arr.IsNull(i)
	}
	return nulls
}

func columnKernel(n *node) kernel {
	at := n.at
	if formOf(n.typ) == formNone {
		return nil
	}
	return func(b *block) vec {
		arr := b.arrays[at]
		v := vec{nulls: nullsOf(arr)}
		switch a := arr.(type) {
		case *array.Boolean:
			v.b = make([]bool, b.n)
			for i := range v.b {
				v.b[i] = a.Value(i)
			}
		case *array.Int8:
			v.i = widen(a.Int8Values())
		case *array.Int16:
			v.i = widen(a.Int16Values())
		case *array.Int32:
			v.i = widen(a.Int32Values())
		case *array.Int64:
			v.i = a.Int64Values()
		case *array.Uint8:
			v.i = widen(a.Uint8Values())
		case *array.Uint16:
			v.i = widen(a.Uint16Values())
		case *array.Uint32:
			v.i = widen(a.Uint32Values())
		case *array.Date32:
			v.i = widen(a.Date32Values())
		case *array.Time64:
			v.i = widen(a.Time64Values())
		case *array.Timestamp:
			v.i = widen(a.TimestampValues())
		case *array.Float32:
			v.f = make([]float64, b.n)
			for i, f := range a.Float32Values() {
				v.f[i] = float64(f)
			}
		case *array.Float64:
			v.f = a.Float64Values()
		case *array.Decimal128:
			v.d = a.Values()
		case *array.String:
			v.s = make([]string, b.n)
			for i := range v.s {
				v.s[i] = a.Value(i)
			}
		}
		return v
	}
}

func widen[T ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32](values []T) []int64 {
	out := make([]int64, len(values))
	for i, v := range values {
		out[i] = int64(v)
	}
	return out
}

// constantKernel repeats a value; the slices are kept from batch to batch.
func constantKernel(n *node) kernel {
	f := formOf(n.typ)
	if f == formNone {
		return nil
	}
	one := vec{shared: true}
	switch v := n.value.(type) {
	case nil:
	case bool:
		one.b = []bool{v}
	case int64:
		one.i = []int64{v}
	case arrow.Date32:
		one.i = []int64{int64(v)}
	case arrow.Time64:
		one.i = []int64{int64(v)}
	case arrow.Timestamp:
		one.i = []int64{int64(v)}
	case scalar.Instant:
		one.i = []int64{int64(v)}
	case float64:
		one.f = []float64{v}
	case string:
		one.s = []string{v}
	case *scalar.Decimal:
		if !v.IsFinite() {
			return nil
		}
		one.d = []decimal128.Num{connectors.Decimal128Of(v.Rescale(n.typ.Scale).Coefficient())}
	default:
		return nil
	}
	var full vec
	length := -1
	return func(b *block) vec {
		if b.n <= length {
			return full.first(b.n)
		}
		length = b.n
		full = vec{shared: true, b: repeat(one.b, length), i: repeat(one.i, length), f: repeat(one.f, length), s: repeat(one.s, length), d: repeat(one.d, length)}
		if n.value == nil {
			full = emptyVec(f, length)
			full.shared = true
			full.nulls = repeat([]bool{true}, length)
		}
		return full
	}
}

func emptyVec(f form, n int) vec {
	switch f {
	case formBool:
		return vec{b: make([]bool, n)}
	case formInt:
		return vec{i: make([]int64, n)}
	case formFloat:
		return vec{f: make([]float64, n)}
	case formText:
		return vec{s: make([]string, n)}
	}
	return vec{d: make([]decimal128.Num, n)}
}

func repeat[T any](one []T, n int) []T {
	if one == nil {
		return nil
	}
	return slices.Repeat(one, n)
}

func (v vec) first(n int) vec {
	cut := vec{shared: v.shared}
	if v.nulls != nil {
		cut.nulls = v.nulls[:n]
	}
	switch {
	case v.b != nil:
		cut.b = v.b[:n]
	case v.i != nil:
		cut.i = v.i[:n]
	case v.f != nil:
		cut.f = v.f[:n]
	case v.s != nil:
		cut.s = v.s[:n]
	case v.d != nil:
		cut.d = v.d[:n]
	}
	return cut
}

// array makes the column; rows with errors are null.
func (v vec) array(t connectors.Type, n int) arrow.Array {
	builder := array.NewBuilder(memory.DefaultAllocator, t.Arrow())
	defer builder.Release()
	builder.Reserve(n)
	var valid []bool
	if v.nulls != nil || len(v.errs) > 0 {
		valid = make([]bool, n)
		for i := range valid {
			valid[i] = v.nulls == nil || !v.nulls[i]
		}
		for _, e := range v.errs {
			valid[e.row] = false
		}
	}
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		b.AppendValues(v.b[:n], valid)
	case *array.Int8Builder:
		b.AppendValues(narrow[int8](v.i, n), valid)
	case *array.Int16Builder:
		b.AppendValues(narrow[int16](v.i, n), valid)
	case *array.Int32Builder:
		b.AppendValues(narrow[int32](v.i, n), valid)
	case *array.Int64Builder:
		b.AppendValues(v.i[:n], valid)
	case *array.Uint8Builder:
		b.AppendValues(narrow[uint8](v.i, n), valid)
	case *array.Uint16Builder:
		b.AppendValues(narrow[uint16](v.i, n), valid)
	case *array.Uint32Builder:
		b.AppendValues(narrow[uint32](v.i, n), valid)
	case *array.Float32Builder:
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(v.f[i])
		}
		b.AppendValues(out, valid)
	case *array.Float64Builder:
		b.AppendValues(v.f[:n], valid)
	case *array.Decimal128Builder:
		b.AppendValues(v.d[:n], valid)
	case *array.Date32Builder:
		b.AppendValues(narrow[arrow.Date32](v.i, n), valid)
	case *array.Time64Builder:
		b.AppendValues(narrow[arrow.Time64](v.i, n), valid)
	case *array.TimestampBuilder:
		b.AppendValues(narrow[arrow.Timestamp](v.i, n), valid)
	case *array.StringBuilder:
		size := 0
		for _, s := range v.s[:n] {
			size += len(s)
		}
		b.ReserveData(size)
		b.AppendValues(v.s[:n], valid)
	}
	return builder.NewArray()
}

func narrow[T ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32](values []int64, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = T(values[i])
	}
	return out
}
