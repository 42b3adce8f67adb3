package warehouse

import (
	"cmp"
	"math"
	"strings"
)

// compareValues is SQLite's order of values of one column.
func compareValues(a, b any) int {
	rank := func(v any) int {
		switch v.(type) {
		case nil:
			return 0
		case int64, float64:
			return 1
		}
		return 2
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	}
	return 0
}

// dimension is one expression that groups are made by.
type dimension struct {
	seen   numberer
	values []any // by group
}

// maxGroups bounds the groups that are held in memory.
const maxGroups = 1 << 19

// groups are the groups of a table and their aggregates.
type groups struct {
	dims  []dimension
	aggs  []*aggregate
	pairs []numberer // of the groups so far and the next dimension
	n     int
	of    []int32 // the batch's rows' groups
	size  int
}

// add takes the chosen rows of a batch.
func (g *groups) add(b *columnBatch, nodes []*node, all bool, chosen []int32) error {
	if all {
		chosen = nil
	}
	g.of = resize(g.of, b.rows)
	if len(nodes) == 0 {
		g.n = 1
		clear(g.of)
	}
	for d, n := range nodes {
		v, err := n.eval(b)
		if err != nil {
			return err
		}
		if err := g.dimension(d, v, b.rows, chosen, d == len(nodes)-1); err != nil {
			return err
		}
	}
	if len(nodes) > 0 {
		if err := g.remember(b, nodes, chosen); err != nil {
			return err
		}
	}
	for _, a := range g.aggs {
		a.grow(g.n)
		if err := a.add(b, g.of, chosen); err != nil {
			return err
		}
	}
	return nil
}

// nullBits stands for a null among the bits of a dimension's values.
const nullBits = math.MinInt64 + 7

// dimension numbers the combinations of the dimensions so far.
func (g *groups) dimension(d int, v *vector, rows int, chosen []int32, last bool) error {
	seen := &g.dims[d].seen
	if d > 0 && len(g.pairs) < d {
		g.pairs = append(g.pairs, numberer{})
	}
	each := func(i int) error {
		bits := int64(nullBits)
		if !v.isNull(i) {
			if bits = v.bits(i); bits == nullBits || v.kind == realVector && bits == math.MinInt64 {
				return errRows // the one integer that is taken, a negative zero
			}
		}
		code, _ := seen.number(bits)
		if d > 0 {
			code, _ = g.pairs[d-1].number(pairBits(g.of[i], code))
		}
		g.of[i] = code
		if last && int(code) >= g.n {
			if g.n = int(code) + 1; g.n > maxGroups {
				return errRows
			}
		}
		return nil
	}
	if chosen == nil {
		for i := range rows {
			if err := each(i); err != nil {
				return err
			}
		}
		return nil
	}
	for _, i := range chosen {
		if err := each(int(i)); err != nil {
			return err
		}
	}
	return nil
}

// remember keeps the values of the groups that are new.
func (g *groups) remember(b *columnBatch, nodes []*node, chosen []int32) error {
	have := len(g.dims[0].values)
	if have == g.n {
		return nil
	}
	vectors := make([]*vector, len(nodes))
	for d, n := range nodes {
		v, err := n.eval(b)
		if err != nil {
			return err
		}
		vectors[d] = v
	}
	each := func(i int) {
		// Groups are numbered as they come.
		if int(g.of[i]) != have {
			return
		}
		for d, v := range vectors {
			value := v.value(i)
			if s, ok := value.(string); ok {
				g.size += len(s)
			}
			g.size += 16
			g.dims[d].values = append(g.dims[d].values, value)
		}
		have++
	}
	if chosen == nil {
		for i := range b.rows {
			each(i)
		}
	} else {
		for _, i := range chosen {
			each(int(i))
		}
	}
	if g.size > maxCodeBytes {
		return errRows
	}
	return nil
}
