package expression

import (
	"errors"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"arus/app/transform/scalar"
	"arus/connectors"
)

type builder = func(args []kernel) kernel

// second is an operand, or the first one again for unary operators.
func second(args []kernel) kernel { return args[len(args)-1] }

func intKernel(f func(a, b int64) (int64, bool), failure error) builder {
	divides := errors.Is(failure, scalar.ErrDivision)
	return func(args []kernel) kernel {
		left, right, unary := args[0], second(args), len(args) == 1
		return func(b *block) vec {
			x := left(b)
			y := x
			if !unary {
				y = right(b)
			}
			out := vec{i: make([]int64, b.n), nulls: joinNulls(x.nulls, y.nulls)}
			var own []rowError
			for i := range out.i {
				r, ok := f(x.i[i], y.i[i])
				if !ok && (out.nulls == nil || !out.nulls[i]) {
					err := failure
					if divides && y.i[i] != 0 {
						err = errOverflow
					}
					own = append(own, rowError{i, err})
				}
				out.i[i] = r
			}
			out.errs = joinErrs(x.errs, y.errs, own)
			return out
		}
	}
}

func floatKernel(f func(a, b float64) (float64, error)) builder {
	return func(args []kernel) kernel {
		left, right, unary := args[0], second(args), len(args) == 1
		return func(b *block) vec {
			x := left(b)
			y := x
			if !unary {
				y = right(b)
			}
			out := vec{f: make([]float64, b.n), nulls: joinNulls(x.nulls, y.nulls)}
			var own []rowError
			for i := range out.f {
				r, err := f(x.f[i], y.f[i])
				if err != nil && (out.nulls == nil || !out.nulls[i]) {
					own = append(own, rowError{i, err})
				}
				out.f[i] = r
			}
			out.errs = joinErrs(x.errs, y.errs, own)
			return out
		}
	}
}

// decimalKernel adds, subtracts and multiplies where all types fit 128 bits:
// the result's precision leaves no room for an overflow.
func decimalKernel(op string, a, b typ, t connectors.Type) builder {
	narrow := func(t connectors.Type) bool {
		return t.Kind == connectors.Decimal && t.Precision <= connectors.MaxDecimal128
	}
	if !narrow(a.Type) || !narrow(b.Type) || !narrow(t) || op != "+" && op != "-" && op != "*" {
		return nil
	}
	var up, down decimal128.Num // factors that give both operands the result's scale
	one := decimal128.FromI64(1)
	up, down = one, one
	if op != "*" {
		up, down = decimal128.GetScaleMultiplier(t.Scale-a.Scale), decimal128.GetScaleMultiplier(t.Scale-b.Scale)
	}
	return func(args []kernel) kernel {
		left, right := args[0], args[1]
		return func(bl *block) vec {
			x, y := left(bl), right(bl)
			out := vec{d: make([]decimal128.Num, bl.n), nulls: joinNulls(x.nulls, y.nulls), errs: joinErrs(x.errs, y.errs)}
			for i := range out.d {
				p, q := x.d[i], y.d[i]
				if p == connectors.DecimalNaN128 || q == connectors.DecimalNaN128 {
					out.d[i] = connectors.DecimalNaN128
					continue
				}
				switch op {
				case "*":
					out.d[i] = p.Mul(q)
					continue
				case "+":
					out.d[i] = scaleUp(p, up, one).Add(scaleUp(q, down, one))
				default:
					out.d[i] = scaleUp(p, up, one).Sub(scaleUp(q, down, one))
				}
			}
			return out
		}
	}
}

func scaleUp(v, factor, one decimal128.Num) decimal128.Num {
	if factor == one {
		return v
	}
	return v.Mul(factor)
}

// roundKernel rounds decimals of 128 bits to fewer digits.
func roundKernel(from typ, to connectors.Type, digits int) builder {
	if formOf(from) != formDecimal || to.Kind != connectors.Decimal || to.Precision > connectors.MaxDecimal128 || digits < 0 {
		return nil
	}
	drop := from.Scale - to.Scale
	divisor := decimal128.GetScaleMultiplier(drop)
	half := decimal128.GetHalfScaleMultiplier(drop)
	return func(args []kernel) kernel {
		arg := args[0]
		return func(b *block) vec {
			x := arg(b)
			out := vec{d: make([]decimal128.Num, b.n), nulls: x.nulls, errs: x.errs}
			for i, v := range x.d {
				if drop == 0 || v == connectors.DecimalNaN128 {
					out.d[i] = v
					continue
				}
				q, r := connectors.QuoRem128(v, divisor)
				switch c := r.Abs().Cmp(half); {
				case c > 0, c == 0 && q.LowBits()&1 == 1:
					q = q.Add(decimal128.FromI64(int64(v.Sign())))
				}
				out.d[i] = q
			}
			return out
		}
	}
}

func compareKernel(op string, t typ) builder {
	switch formOf(t) {
	case formInt:
		return orderedKernel(op, func(v vec) []int64 { return v.i })
	case formFloat:
		return orderedKernel(op, func(v vec) []float64 { return v.f })
	case formText:
		return orderedKernel(op, func(v vec) []string { return v.s })
	case formDecimal:
		test := comparisonTests[op]
		return func(args []kernel) kernel {
			return func(b *block) vec {
				x, y := args[0](b), args[1](b)
				out := vec{b: make([]bool, b.n), nulls: joinNulls(x.nulls, y.nulls), errs: joinErrs(x.errs, y.errs)}
				for i := range out.b {
					if x.d[i] == connectors.DecimalNaN128 || y.d[i] == connectors.DecimalNaN128 {
						out.b[i] = op == "!="
						continue
					}
					out.b[i] = test(x.d[i].Cmp(y.d[i]))
				}
				return out
			}
		}
	case formBool:
		test := comparisonTests[op]
		return func(args []kernel) kernel {
			return func(b *block) vec {
				x, y := args[0](b), args[1](b)
				out := vec{b: make([]bool, b.n), nulls: joinNulls(x.nulls, y.nulls), errs: joinErrs(x.errs, y.errs)}
				for i := range out.b {
					out.b[i] = test(boolOrder(x.b[i]) - boolOrder(y.b[i]))
				}
				return out
			}
		}
	}
	return nil
}

// orderedKernel compares by the language's own operators, which treat NaN as
// compare does.
func orderedKernel[T int64 | float64 | string](op string, values func(vec) []T) builder {
	return func(args []kernel) kernel {
		return func(b *block) vec {
			x, y := args[0](b), args[1](b)
			out := vec{b: make([]bool, b.n), nulls: joinNulls(x.nulls, y.nulls), errs: joinErrs(x.errs, y.errs)}
			p, q := values(x), values(y)
			switch op {
			case "==":
				for i := range out.b {
					out.b[i] = p[i] == q[i]
				}
			case "!=":
				for i := range out.b {
					out.b[i] = p[i] != q[i]
				}
			case "<":
				for i := range out.b {
					out.b[i] = p[i] < q[i]
				}
			case "<=":
				for i := range out.b {
					out.b[i] = p[i] <= q[i]
				}
			case ">":
				for i := range out.b {
					out.b[i] = p[i] > q[i]
				}
			case ">=":
				for i := range out.b {
					out.b[i] = p[i] >= q[i]
				}
			}
			return out
		}
	}
}

func extremeKernel(want int, t typ) builder {
	switch formOf(t) {
	case formInt:
		return pickKernel(func(v vec) []int64 { return v.i }, func(v *vec, s []int64) { v.i = s }, want)
	case formFloat:
		return pickKernel(func(v vec) []float64 { return v.f }, func(v *vec, s []float64) { v.f = s }, want)
	}
	return nil
}

func pickKernel[T int64 | float64](get func(vec) []T, set func(*vec, []T), want int) builder {
	return func(args []kernel) kernel {
		return func(b *block) vec {
			x, y := args[0](b), args[1](b)
			out := vec{nulls: joinNulls(x.nulls, y.nulls), errs: joinErrs(x.errs, y.errs)}
			p, q, r := get(x), get(y), make([]T, b.n)
			for i := range r {
				r[i] = p[i]
				if want > 0 && q[i] > p[i] || want < 0 && q[i] < p[i] {
					r[i] = q[i]
				}
			}
			set(&out, r)
			return out
		}
	}
}

func notKernel(args []kernel) kernel {
	return func(b *block) vec {
		x := args[0](b)
		out := vec{b: make([]bool, b.n), nulls: x.nulls, errs: x.errs}
		for i := range out.b {
			out.b[i] = !x.b[i]
		}
		return out
	}
}

func isNullKernel(negate bool) builder {
	return func(args []kernel) kernel {
		return func(b *block) vec {
			x := args[0](b)
			out := vec{b: make([]bool, b.n), errs: x.errs}
			for i := range out.b {
				out.b[i] = (x.nulls != nil && x.nulls[i]) != negate
			}
			return out
		}
	}
}

func truthKernel(t typ) builder {
	f := formOf(t)
	if f != formInt && f != formFloat && f != formText || t.isTime() || t.Kind == connectors.Time {
		return nil
	}
	return func(args []kernel) kernel {
		return func(b *block) vec {
			x := args[0](b)
			out := vec{b: make([]bool, b.n), errs: x.errs}
			for i := range out.b {
				if x.nulls != nil && x.nulls[i] {
					continue
				}
				switch f {
				case formInt:
					out.b[i] = x.i[i] != 0
				case formFloat:
					out.b[i] = x.f[i] != 0
				default:
					out.b[i] = x.s[i] != ""
				}
			}
			return out
		}
	}
}

// logicKernel is three-valued and/or. An error on the right counts only where
// the left does not settle the matter.
func logicKernel(op string, args []kernel) kernel {
	settles := op == opOr
	return func(b *block) vec {
		x, y := args[0](b), args[1](b)
		out := vec{b: make([]bool, b.n)}
		if x.nulls != nil || y.nulls != nil {
			out.nulls = make([]bool, b.n)
		}
		for i := range out.b {
			xn, yn := x.nulls != nil && x.nulls[i], y.nulls != nil && y.nulls[i]
			switch {
			case !xn && x.b[i] == settles, !yn && y.b[i] == settles:
				out.b[i] = settles
			case xn || yn:
				out.nulls[i] = true
			default:
				out.b[i] = !settles
			}
		}
		var right []rowError
		for _, e := range y.errs {
			if x.nulls != nil && x.nulls[e.row] || x.b[e.row] != settles {
				right = append(right, e)
			}
		}
		out.errs = joinErrs(x.errs, right)
		return out
	}
}

func ifKernel(args []kernel, t typ) kernel {
	f := formOf(t)
	if f == formNone {
		return nil
	}
	return func(b *block) vec {
		cond, x, y := args[0](b), args[1](b), args[2](b)
		first := cond.b
		if cond.nulls != nil {
			first = make([]bool, b.n)
			for i := range first {
				first[i] = cond.b[i] && !cond.nulls[i]
			}
		}
		return merge(f, b.n, first, x, y, cond.errs)
	}
}

func elseKernel(test string, args []kernel, t typ) kernel {
	f := formOf(t)
	if f == formNone {
		return nil
	}
	return func(b *block) vec {
		x, y := args[0](b), args[1](b)
		first := make([]bool, b.n)
		for i := range first {
			if x.nulls != nil && x.nulls[i] {
				continue
			}
			switch {
			case test == "known" || t.isTime() || t.Kind == connectors.Time:
				first[i] = true
			case f == formBool:
				first[i] = x.b[i]
			case f == formInt:
				first[i] = x.i[i] != 0
			case f == formFloat:
				first[i] = x.f[i] != 0
			case f == formText:
				first[i] = x.s[i] != ""
			default:
				first[i] = x.d[i].Sign() != 0
			}
		}
		failed := x.errs
		for _, e := range x.errs { // x alone decides there, and has failed
			first[e.row] = true
		}
		return merge(f, b.n, first, x, y, failed)
	}
}

// merge takes x where first is true and y elsewhere, with their errors.
func merge(f form, n int, first []bool, x, y vec, errs []rowError) vec {
	out := emptyVec(f, n)
	if x.nulls != nil || y.nulls != nil {
		out.nulls = make([]bool, n)
		for i, is := range first {
			if is {
				out.nulls[i] = x.nulls != nil && x.nulls[i]
			} else {
				out.nulls[i] = y.nulls != nil && y.nulls[i]
			}
		}
	}
	switch f {
	case formBool:
		choose(out.b, first, x.b, y.b)
	case formInt:
		choose(out.i, first, x.i, y.i)
	case formFloat:
		choose(out.f, first, x.f, y.f)
	case formText:
		choose(out.s, first, x.s, y.s)
	default:
		choose(out.d, first, x.d, y.d)
	}
	var branch []rowError
	for _, e := range x.errs {
		if first[e.row] {
			branch = append(branch, e)
		}
	}
	for _, e := range y.errs {
		if !first[e.row] {
			branch = append(branch, e)
		}
	}
	out.errs = joinErrs(errs, branch)
	return out
}

func choose[T any](out []T, first []bool, x, y []T) {
	for i, is := range first {
		if is {
			out[i] = x[i]
		} else {
			out[i] = y[i]
		}
	}
}

func concatKernel(args []kernel) kernel {
	return func(b *block) vec {
		x, y := args[0](b), args[1](b)
		out := vec{s: make([]string, b.n), nulls: joinNulls(x.nulls, y.nulls), errs: joinErrs(x.errs, y.errs)}
		size := 0
		for i := range out.s {
			size += len(x.s[i]) + len(y.s[i])
		}
		if b.made += size; b.made > maxRowText {
			return out // the machine does this batch
		}
		// One buffer for all rows: a text of its own for each would cost an
		// allocation a row.
		buf := make([]byte, 0, size)
		for i := range out.s {
			buf = append(append(buf, x.s[i]...), y.s[i]...)
		}
		whole := string(buf)
		at := 0
		for i := range out.s {
			end := at + len(x.s[i]) + len(y.s[i])
			out.s[i] = whole[at:end]
			at = end
		}
		return out
	}
}

func textMapKernel(f func(string) string) builder {
	return func(args []kernel) kernel {
		return func(b *block) vec {
			x := args[0](b)
			out := vec{s: make([]string, b.n), nulls: x.nulls, errs: x.errs}
			for i, s := range x.s[:b.n] {
				out.s[i] = f(s)
				if b.made += len(out.s[i]); b.made > maxRowText {
					return out
				}
			}
			return out
		}
	}
}

// firstOnly is for functions whose further arguments are constants.
func firstOnly(build builder) builder {
	return func(args []kernel) kernel { return build(args[:1]) }
}

func textTestKernel(test func(s, t string) bool) builder {
	return func(args []kernel) kernel {
		left, right, unary := args[0], second(args), len(args) == 1
		return func(b *block) vec {
			x := left(b)
			y := x
			if !unary {
				y = right(b)
			}
			out := vec{b: make([]bool, b.n), nulls: joinNulls(x.nulls, y.nulls), errs: joinErrs(x.errs, y.errs)}
			for i := range out.b {
				out.b[i] = test(x.s[i], y.s[i])
			}
			return out
		}
	}
}

func lengthKernel(args []kernel) kernel {
	return func(b *block) vec {
		x := args[0](b)
		out := vec{i: make([]int64, b.n), nulls: x.nulls, errs: x.errs}
		for i := range out.i {
			out.i[i] = runes(x.s[i])
		}
		return out
	}
}

// sliceKernel cuts texts at constant bounds.
func sliceKernel(args []*node) builder {
	if args[0].typ.class() != connectors.Text || args[3].op != opConst || args[3].value != nil || args[1].op != opConst || args[2].op != opConst {
		return nil
	}
	values := []any{nil, args[1].value, args[2].value, nil}
	return func(args []kernel) kernel {
		return func(b *block) vec {
			x := args[0](b)
			out := vec{s: make([]string, b.n), nulls: x.nulls, errs: x.errs}
			v := append([]any(nil), values...)
			for i, s := range x.s[:b.n] {
				if from, to, _ := bounds(v, len(s)); ascii(s) {
					if from < to {
						out.s[i] = s[from:to]
					}
					continue
				}
				v[0] = s
				if r, err := sliceValue(v); err == nil {
					out.s[i] = r.(string)
				}
			}
			return out
		}
	}
}

// kernel looks up integers and texts.
func (s *set) kernel(args []kernel) kernel {
	var texts map[string]bool
	var ints map[int64]bool
	switch s.class {
	case connectors.Text:
		texts = make(map[string]bool, len(s.values))
		for v := range s.values {
			texts[v.(string)] = true
		}
	case connectors.Int64:
		ints = make(map[int64]bool, len(s.values))
		for v := range s.values {
			ints[v.(int64)] = true
		}
	default:
		return nil
	}
	return func(b *block) vec {
		x := args[0](b)
		out := vec{b: make([]bool, b.n), nulls: x.nulls, errs: x.errs}
		if texts != nil {
			for i := range out.b {
				out.b[i] = texts[x.s[i]]
			}
		} else {
			for i := range out.b {
				out.b[i] = ints[x.i[i]]
			}
		}
		if s.null && x.nulls != nil {
			for i, null := range x.nulls {
				if null {
					out.b[i] = true
				}
			}
			out.nulls = nil
		}
		return out
	}
}

// convertKernel has the conversions that never fail.
func convertKernel(from, to connectors.Type, f *scalar.Format) builder {
	if f != nil {
		return nil
	}
	source, target := typ{Type: from}, typ{Type: to}
	sf, tf := formOf(source), formOf(target)
	var each func(out *vec, x vec, i int)
	switch {
	case source.class() == connectors.Int64 && to.Kind == connectors.Float64:
		each = func(out *vec, x vec, i int) { out.f[i] = float64(x.i[i]) }
	case from.Kind == connectors.Bool && to.Kind == connectors.Int64:
		each = func(out *vec, x vec, i int) { out.i[i] = int64(boolOrder(x.b[i])) }
	case source.class() == connectors.Int64 && tf == formDecimal:
		p, _, _ := source.digits()
		if to.Precision-to.Scale < p {
			return nil
		}
		factor := decimal128.GetScaleMultiplier(to.Scale)
		each = func(out *vec, x vec, i int) { out.d[i] = decimal128.FromI64(x.i[i]).Mul(factor) }
	case sf == formDecimal && tf == formDecimal && to.Scale >= from.Scale && to.Precision-to.Scale >= from.Precision-from.Scale:
		factor := decimal128.GetScaleMultiplier(to.Scale - from.Scale)
		each = func(out *vec, x vec, i int) {
			if out.d[i] = x.d[i]; out.d[i] != connectors.DecimalNaN128 {
				out.d[i] = out.d[i].Mul(factor)
			}
		}
	case source.class() == connectors.Int64 && to.Kind == connectors.Text && to.Length == 0:
		return intTextKernel
	case sf == formText && tf == formText && to.Kind == connectors.Text && to.Length == 0:
		return func(args []kernel) kernel { return args[0] }
	default:
		return nil
	}
	return func(args []kernel) kernel {
		return func(b *block) vec {
			x := args[0](b)
			out := emptyVec(tf, b.n)
			out.nulls, out.errs = x.nulls, x.errs
			for i := range b.n {
				each(&out, x, i)
			}
			return out
		}
	}
}

func intTextKernel(args []kernel) kernel {
	return func(b *block) vec {
		x := args[0](b)
		out := vec{s: make([]string, b.n), nulls: x.nulls, errs: x.errs}
		var buf strings.Builder
		ends := make([]int, b.n)
		var digits [20]byte
		for i, v := range x.i[:b.n] {
			buf.Write(strconv.AppendInt(digits[:0], v, 10))
			ends[i] = buf.Len()
		}
		whole, at := buf.String(), 0
		for i, end := range ends {
			out.s[i] = whole[at:end]
			at = end
		}
		b.made += len(whole)
		return out
	}
}
