package warehouse

import "strings"

// choose narrows the rows that are chosen to those for which a condition is true.
func (n *node) choose(b *columnBatch, all bool, chosen []int32) (bool, []int32, error) {
	if !all && len(chosen) == 0 {
		return false, chosen, nil
	}
	if n.memo == nil && len(n.args) == 2 && n.args[0].op == "column" && n.args[1].op == "literal" && strings.ContainsAny(n.op, "<>=") {
		v, err := b.column(n.args[0].columns[0])
		if err != nil {
			return false, nil, err
		}
		whole, isWhole := n.args[1].literal.(int64)
		fraction, isReal := n.args[1].literal.(float64)
		if isWhole && v.kind == realVector && whole < exactReal && whole > -exactReal {
			fraction, isReal = float64(whole), true
		}
		switch {
		case isWhole && v.kind == wholeVector:
			all, chosen = pickCompared(n.op, v.whole, v.null, whole, b.rows, all, chosen)
			return all, chosen, nil
		case isReal && v.kind == realVector:
			all, chosen = pickCompared(n.op, v.real, v.null, fraction, b.rows, all, chosen)
			return all, chosen, nil
		}
	}
	if n.memo != nil && len(n.memo.ids) == 1 {
		x, err := b.column(n.memo.ids[0])
		if err != nil {
			return false, nil, err
		}
		if truths := n.memo.tests(b, x); truths != nil {
			all, chosen = pickCodes(truths, x.codes, b.rows, all, chosen)
			return all, chosen, nil
		}
	}
	v, err := n.eval(b)
	if err != nil {
		return false, nil, err
	}
	if v.kind != wholeVector && v.kind != realVector {
		return false, nil, errRows
	}
	yes := func(i int) bool {
		return !v.isNull(i) && (v.kind == wholeVector && v.whole[i] != 0 || v.kind == realVector && v.real[i] != 0)
	}
	if all {
		chosen = chosen[:0]
		for i := range b.rows {
			if yes(i) {
				chosen = append(chosen, int32(i))
			}
		}
		return len(chosen) == b.rows, chosen, nil
	}
	k := 0
	for _, i := range chosen {
		if yes(int(i)) {
			chosen[k] = i
			k++
		}
	}
	return false, chosen[:k], nil
}

// pickCompared is choose for a column that is compared with a constant: one pass over the
// rows that are chosen.
func pickCompared[T int64 | float64](op string, values []T, null []bool, with T, rows int, all bool, chosen []int32) (bool, []int32) {
	var less, equal, more bool
	switch op {
	case "=":
		equal = true
	case "<>":
		less, more = true, true
	case "<":
		less = true
	case "<=":
		less, equal = true, true
	case ">":
		more = true
	case ">=":
		equal, more = true, true
	}
	k := 0
	if all {
		chosen = resize(chosen, rows)
		for i, x := range values[:rows] {
			chosen[k] = int32(i)
			if (x < with && less || x > with && more || x == with && equal) && (null == nil || !null[i]) {
				k++
			}
		}
		return k == rows, chosen[:k]
	}
	for _, i := range chosen {
		x := values[i]
		if (x < with && less || x > with && more || x == with && equal) && (null == nil || !null[i]) {
			chosen[k] = i
			k++
		}
	}
	return false, chosen[:k]
}

// pickCodes is choose for a column of texts of which it is known which are wanted.
func pickCodes(truths []bool, codes []int32, rows int, all bool, chosen []int32) (bool, []int32) {
	k := 0
	if all {
		chosen = resize(chosen, rows)
		for i, c := range codes[:rows] {
			chosen[k] = int32(i)
			if truths[c] {
				k++
			}
		}
		return k == rows, chosen[:k]
	}
	for _, i := range chosen {
		chosen[k] = i
		if truths[codes[i]] {
			k++
		}
	}
	return false, chosen[:k]
}
