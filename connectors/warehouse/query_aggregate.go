package warehouse

import (
	"math"

	"arus/connectors"
)

// aggregate is one aggregate function over an expression, for every group, with
// the arithmetic of SQLite.
type aggregate struct {
	fn     string
	star   bool
	tokens []token
	arg    *node

	kind  vectorKind
	known bool // kind
	count []int64
	whole []int64  // sum, or least or greatest
	total []uint64 // sum of the amounts: no order of adding overflows below 2^63
	real  []float64
	rest  []float64 // what rounding took from real
	text  []string
	last  vector // for the form of times
}

func extend[T any](s []T, n int) []T {
	for len(s) < n {
		s = append(s, *new(T))
	}
	return s
}

func (a *aggregate) grow(n int) {
	a.count = extend(a.count, n)
	if a.fn == "count" {
		return
	}
	a.whole, a.real = extend(a.whole, n), extend(a.real, n)
	switch a.fn {
	case "min", "max":
		a.text = extend(a.text, n)
	default:
		a.total, a.rest = extend(a.total, n), extend(a.rest, n)
	}
}

// add takes rows of a batch; of says the group of each, chosen which (nil = all).
func (a *aggregate) add(b *columnBatch, of []int32, chosen []int32) error {
	if a.star {
		if chosen == nil {
			for _, g := range of[:b.rows] {
				a.count[g]++
			}
		}
		for _, i := range chosen {
			a.count[of[i]]++
		}
		return nil
	}
	if a.fn == "count" && chosen == nil && len(a.count) == 1 && a.arg.op == "notnull" && a.arg.args[0].op == "column" && a.arg.args[0].memo == nil {
		a.count[0] += int64(b.rows - b.array(a.arg.args[0].columns[0]).NullN())
		return nil
	}
	v, err := a.arg.eval(b)
	if err != nil {
		return err
	}
	if a.fn == "count" { // of what is not null
		if chosen == nil {
			for i, g := range of[:b.rows] {
				a.count[g] += v.whole[i]
			}
		}
		for _, i := range chosen {
			a.count[of[i]] += v.whole[i]
		}
		return nil
	}
	if a.known && a.kind != v.kind {
		return errRows
	}
	a.kind, a.known = v.kind, true
	if a.fn != "min" && a.fn != "max" && v.kind == realVector {
		a.addReals(v, of, chosen, b.rows)
		return nil
	}
	step := a.step(v)
	if step == nil {
		return errRows
	}
	if chosen == nil {
		for i, g := range of[:b.rows] {
			if v.null == nil || !v.null[i] {
				step(i, g)
				a.count[g]++
			}
		}
	}
	for _, i := range chosen {
		if !v.isNull(int(i)) {
			step(int(i), of[i])
			a.count[of[i]]++
		}
	}
	if a.kind == wholeVector {
		for _, t := range a.total {
			if t > math.MaxInt64 {
				return errRows
			}
		}
	}
	return nil
}

// addReals adds to the sums of groups.
func (a *aggregate) addReals(v *vector, of, chosen []int32, rows int) {
	one := func(i int, g int32) {
		x, s := v.real[i], a.real[g]
		t := s + x
		if math.Abs(s) > math.Abs(x) {
			a.rest[g] += (s - t) + x
		} else {
			a.rest[g] += (x - t) + s
		}
		a.real[g] = t
		a.count[g]++
	}
	switch {
	case chosen != nil:
		for _, i := range chosen {
			if !v.isNull(int(i)) {
				one(int(i), of[i])
			}
		}
	case len(a.count) > 1:
		for i, g := range of[:rows] {
			if v.null == nil || !v.null[i] {
				one(i, g)
			}
		}
	default: // one group: its sum stays in registers
		s, rest, n := a.real[0], a.rest[0], a.count[0]
		for i, x := range v.real[:rows] {
			if v.null != nil && v.null[i] {
				continue
			}
			t := s + x
			if math.Abs(s) > math.Abs(x) {
				rest += (s - t) + x
			} else {
				rest += (x - t) + s
			}
			s = t
			n++
		}
		a.real[0], a.rest[0], a.count[0] = s, rest, n
	}
}

// step adds the value of row i to group g, whose count is not yet raised.
func (a *aggregate) step(v *vector) func(i int, g int32) {
	least := a.fn == "min"
	switch {
	case a.fn != "min" && a.fn != "max":
		if v.kind == wholeVector {
			return func(i int, g int32) {
				x := v.whole[i]
				a.whole[g] += x
				amount := uint64(x)
				if x < 0 {
					amount = -amount
				}
				if a.total[g] <= math.MaxInt64 { // else it is too much already
					a.total[g] += amount
				}
			}
		}
		return nil
	case v.kind == realVector:
		return func(i int, g int32) {
			if x := v.real[i]; a.count[g] == 0 || least && x < a.real[g] || !least && x > a.real[g] {
				a.real[g] = x
			}
		}
	case v.kind == codeVector:
		return func(i int, g int32) {
			if x := v.dict.texts[v.codes[i]]; a.count[g] == 0 || least && x < a.text[g] || !least && x > a.text[g] {
				a.text[g] = x
			}
		}
	case v.kind == timeVector:
		a.last = *v
		lo, hi, _ := domain(connectors.Type{Kind: v.time})
		return func(i int, g int32) {
			x := v.whole[i]
			if x < lo || x > hi {
				a.total = []uint64{math.MaxUint64} // not in the order of their texts
				x = lo
			}
			if a.count[g] == 0 || least && x < a.whole[g] || !least && x > a.whole[g] {
				a.whole[g] = x
			}
		}
	}
	return func(i int, g int32) {
		if x := v.whole[i]; a.count[g] == 0 || least && x < a.whole[g] || !least && x > a.whole[g] {
			a.whole[g] = x
		}
	}
}

// result is the value of a group as SQLite would give it.
func (a *aggregate) result(g int) (any, error) {
	if a.fn == "count" {
		return a.count[g], nil
	}
	if a.kind == timeVector && len(a.total) > 0 {
		return nil, errRows
	}
	if a.count[g] == 0 {
		if a.fn == "total" {
			return 0.0, nil
		}
		return nil, nil
	}
	sum := a.real[g]
	if a.fn != "min" && a.fn != "max" && a.kind == realVector {
		if rest := a.rest[g]; rest == rest && !math.IsInf(rest, 0) {
			sum += rest
		}
		if a.fn == "avg" {
			sum /= float64(a.count[g])
		}
		if sum != sum {
			return nil, nil
		}
	}
	switch {
	case a.kind == realVector:
		return sum, nil
	case a.kind == codeVector:
		return a.text[g], nil
	case a.kind == timeVector:
		return shownTime(a.last.time, a.whole[g]), nil
	case a.fn == "total":
		return float64(a.whole[g]), nil
	case a.fn == "avg":
		return float64(a.whole[g]) / float64(a.count[g]), nil
	}
	return a.whole[g], nil
}
