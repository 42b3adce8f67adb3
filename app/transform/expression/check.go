package expression

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// impl is one implementation of an operator or a function for fixed types.
type impl struct {
	name  string                        // by which a kernel for it is found
	fn    func(args []any) (any, error) // gives nil where an argument is, unless nulls
	nulls bool                          // fn sees nulls
	build func(args []kernel) kernel    // nil: no kernel
}

// checker gives every part of a tree its type and its implementation.
type checker struct {
	src     string
	columns []connectors.Column
	now     time.Time
	budget  *budget
	nodes   int
}

func (c *checker) fail(n *node, format string, args ...any) {
	panic(&Fault{Column: utf8.RuneCountInString(c.src[:n.pos]) + 1, Message: fmt.Sprintf(format, args...)})
}

// check gives the typed form of a tree; the tree itself stays as it is, since a
// chain of comparisons shares parts.
func (c *checker) check(n *node) *node {
	if c.nodes++; c.nodes > maxNodes {
		c.fail(n, "the expression has more than %d parts", maxNodes)
	}
	switch n.op {
	case opConst:
		return n
	case opColumn:
		return c.column(n)
	case opList:
		return c.list(n)
	case opNot:
		return c.not(n, c.check(n.args[0]))
	case opAnd, opOr:
		return c.logic(n, c.check(n.args[0]), c.check(n.args[1]))
	case opIf:
		cond := c.truth(c.check(n.args[0]))
		return c.choose(n, cond, c.check(n.args[1]), c.check(n.args[2]))
	case opElse:
		return c.otherwise(n, c.check(n.args[0]), c.check(n.args[1]))
	case opUnary:
		return c.unary(n, c.check(n.args[0]))
	case opBinary:
		if n.text == "in" || n.text == "not in" {
			in := c.in(n, c.check(n.args[0]), n.args[1])
			if n.text == "not in" {
				return c.not(n, in)
			}
			return in
		}
		return c.binary(n, n.text, c.check(n.args[0]), c.check(n.args[1]))
	case opIndex:
		return c.index(n, c.check(n.args[0]), c.check(n.args[1]))
	case opSlice:
		return c.slice(n)
	case opMember:
		return c.member(n, c.check(n.args[0]))
	case opCall:
		args := make([]*node, len(n.args))
		for i, a := range n.args {
			args[i] = c.check(a)
		}
		return c.function(n, n.text, args)
	}
	c.fail(n, "%s is not supported", n.op)
	return nil
}

func (c *checker) column(n *node) *node {
	for i, col := range c.columns {
		if col.Name == n.text {
			return &node{op: opColumn, pos: n.pos, text: n.text, at: i, typ: typ{Type: col.Type}}
		}
	}
	hint := ""
	if near := Nearest(n.text, connectors.ColumnNames(c.columns)); near != "" {
		hint = fmt.Sprintf("; did you mean %s?", near)
	}
	c.fail(n, "there is no column named %s here%s", n.text, hint)
	return nil
}

// Nearest is the name most like another, when one is: for messages.
func Nearest(name string, names []string) string {
	best, least := "", (len(name)+1)/3
	if len(name) < 3 {
		least = 0
	}
	for _, candidate := range names {
		if strings.EqualFold(candidate, name) {
			return candidate
		}
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d <= least {
			best, least = candidate, d-1
		}
	}
	return best
}

// distance counts the letters to change, add, remove or swap with their neighbour.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var d [65][65]int
	for i := range len(a) + 1 {
		d[i][0] = i
	}
	for j := range len(b) + 1 {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 0
			if a[i-1] != b[j-1] {
				cost = 1
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

func (c *checker) constant(n *node, value any, t typ) *node {
	return &node{op: opConst, pos: n.pos, value: value, typ: t}
}

// call makes a call, or its result where all arguments are constants.
func (c *checker) call(n *node, im impl, out typ, args ...*node) *node {
	call := &node{op: opCall, pos: n.pos, text: im.name, args: args, typ: out, impl: &im}
	values := make([]any, len(args))
	for i, a := range args {
		if a.op != opConst {
			return call
		}
		values[i] = a.value
	}
	c.budget.reset()
	v, err := c.budget.run(&im, values)
	if err != nil {
		c.fail(n, "%v", err)
	}
	return c.constant(n, v, out)
}

// convert makes n's values ones of type to, if they are not.
func (c *checker) convert(n *node, to typ, f *scalar.Format) *node {
	if n.typ.isNull() {
		return c.constant(n, nil, to)
	}
	if f == nil && n.typ.Type.Equal(to.Type) {
		if n.typ.soft == to.soft {
			return n
		}
		same := *n
		same.typ = to
		return &same
	}
	if f == nil && n.typ.class() == to.class() && to.class() != connectors.Numeric && to.Kind != connectors.Array && to.Kind != connectors.Enum && to.Kind != connectors.Float32 && !to.isShort() {
		same := *n
		same.typ = to
		return &same
	}
	if err := scalar.Convertible(n.typ.Type, to.Type, f); err != nil {
		c.fail(n, "%v", err)
	}
	from := n.typ.Type
	return c.call(n, impl{
		name:  "convert",
		fn:    func(a []any) (any, error) { return scalar.Convert(a[0], from, to.Type, f) },
		build: convertKernel(from, to.Type, f),
	}, to, n)
}

// isShort says whether the type has a length to check.
func (t typ) isShort() bool { return t.Length > 0 }

// truth makes a condition of any value: null, zero and what is empty are false.
// A bool stays as it is, unknown ones too.
func (c *checker) truth(n *node) *node {
	switch n.typ.class() {
	case connectors.Bool:
		return n
	case connectors.Invalid:
		return c.constant(n, false, of(connectors.Bool))
	}
	return c.call(n, impl{
		name: "truth", nulls: true,
		fn:    func(a []any) (any, error) { return truthy(a[0]), nil },
		build: truthKernel(n.typ),
	}, of(connectors.Bool), n)
}

func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case *scalar.Decimal:
		return v.Sign() != 0 || v.IsNaN()
	case string:
		return v != ""
	case []byte:
		return len(v) > 0
	case []any:
		return len(v) > 0
	case scalar.Duration:
		return v != scalar.Duration{}
	}
	return true
}

func (c *checker) not(n, a *node) *node {
	a = c.truth(a)
	return c.call(n, impl{
		name: "not", fn: func(a []any) (any, error) { return !a[0].(bool), nil }, build: notKernel,
	}, of(connectors.Bool), a)
}

// logic types and / or. Between bools, and between values without a common
// type, it is three-valued logic; else, as in Python, it gives one of the two.
func (c *checker) logic(n, a, b *node) *node {
	if t, ok := common(a.typ, b.typ); ok && t.class() != connectors.Bool && !a.typ.isNull() && !b.typ.isNull() {
		a, b = c.convert(a, t, nil), c.convert(b, t, nil)
		if n.op == opOr {
			return c.fold(&node{op: opElse, pos: n.pos, text: "truthy", args: []*node{a, b}, typ: t})
		}
		return c.choose(n, c.truth(a), b, a)
	}
	if a.typ.isNull() && b.typ.class() != connectors.Bool { // None or name
		if n.op == opOr {
			return b
		}
		return c.constant(n, nil, b.typ)
	}
	if b.typ.isNull() && n.op == opOr && a.typ.class() != connectors.Bool { // name or None
		return c.choose(n, c.truth(a), a, c.constant(n, nil, a.typ))
	}
	return c.fold(&node{op: n.op, pos: n.pos, args: []*node{c.truth(a), c.truth(b)}, typ: of(connectors.Bool)})
}

func (c *checker) otherwise(n, a, b *node) *node {
	if a.typ.Kind == connectors.JSON && b.typ.Kind != connectors.JSON && !b.typ.isNull() {
		a = c.convert(a, b.typ.jsonTarget(), nil)
	}
	t := c.common(n, a, b)
	if t.isNull() {
		return a
	}
	return c.fold(&node{op: opElse, pos: n.pos, text: "known", args: []*node{c.convert(a, t, nil), c.convert(b, t, nil)}, typ: t})
}

func (c *checker) choose(n, cond, a, b *node) *node {
	t := c.common(n, a, b)
	return c.fold(&node{op: opIf, pos: n.pos, args: []*node{cond, c.convert(a, t, nil), c.convert(b, t, nil)}, typ: t})
}

// tight is the type of a node beside another: a constant beside a decimal has no
// more digits than it needs.
func tight(n, beside *node) typ {
	if v, ok := n.value.(int64); ok && n.op == opConst && n.typ.soft && beside.typ.class() == connectors.Numeric {
		return typ{Type: decimalOf(scalar.DecimalOf(v)), soft: true}
	}
	return n.typ
}

func (c *checker) common(n, a, b *node) typ {
	t, ok := common(tight(a, b), tight(b, a))
	if !ok {
		c.fail(n, "%s and %s have no type in common%s", a.typ.name(), b.typ.name(), mixHint(a.typ, b.typ))
	}
	return t
}

func mixHint(a, b typ) string {
	has := func(k connectors.Kind) bool { return a.class() == k || b.class() == k }
	switch {
	case has(connectors.Numeric) && has(connectors.Float64):
		return ": a decimal does not become a float by itself; use float() or decimal()"
	case has(connectors.Timestamp) && has(connectors.TimestampTZ), has(connectors.Date) && has(connectors.TimestampTZ):
		return ": one has a time zone and the other has none; use timestamp() or timestamptz()"
	case has(connectors.JSON):
		return ": use str(), int() or another function to say what the JSON value is"
	case has(connectors.Text) && (a.isNumber() || b.isNumber()):
		return ": use str(), int() or float()"
	}
	return ""
}

// fold replaces a form whose deciding part is a constant.
func (c *checker) fold(n *node) *node {
	first := n.args[0]
	if first.op != opConst {
		return n
	}
	switch n.op {
	case opIf:
		if first.value == true {
			return n.args[1]
		}
		return n.args[2]
	case opElse:
		if n.text == "truthy" && truthy(first.value) || n.text == "known" && first.value != nil {
			return first
		}
		return n.args[1]
	case opAnd, opOr:
		if first.value == (n.op == opOr) {
			return first
		}
		if second := n.args[1]; second.op == opConst {
			return c.constant(n, logicValue(n.op, first.value, second.value), n.typ)
		}
	}
	return n
}

// logicValue is three-valued logic over bools and nil.
func logicValue(op string, a, b any) any {
	settles := op == opOr
	switch {
	case a == settles || b == settles:
		return settles
	case a == nil || b == nil:
		return nil
	}
	return !settles
}

// list types a list; its elements share a type.
func (c *checker) list(n *node) *node {
	if len(n.args) == 0 {
		c.fail(n, "an empty list has no type")
	}
	items := make([]*node, len(n.args))
	var elem typ
	for i, a := range n.args {
		items[i] = c.check(a)
		t, ok := common(elem, items[i].typ)
		if !ok {
			c.fail(items[i], "%s stands in a list of %s", items[i].typ.name(), elem.name())
		}
		elem = t
	}
	if elem.class() == connectors.Array || elem.isNull() {
		c.fail(n, "a list of %s is not supported", elem.name())
	}
	for i := range items {
		items[i] = c.convert(items[i], elem, nil)
	}
	et := scalar.ElemType(&elem.Type)
	if elem.soft {
		final := elem.final()
		et = scalar.ElemType(&final)
	}
	elemKind := typ{Type: et}
	for i := range items {
		items[i] = c.convert(items[i], elemKind, nil)
	}
	return c.call(n, impl{name: "list", nulls: true, fn: func(a []any) (any, error) {
		if err := c.budget.spend(32 * len(a)); err != nil {
			return nil, err
		}
		return slices.Clone(a), nil
	}}, typ{Type: connectors.Type{Kind: connectors.Array, Elem: &et}}, items...)
}

// in types membership: in a list written out, in a list value, or of a text in
// a text.
func (c *checker) in(n, a, right *node) *node {
	if right.op != opList {
		b := c.check(right)
		switch {
		case b.typ.class() == connectors.Text && (a.typ.class() == connectors.Text || a.typ.Kind == connectors.UUID):
			return c.textTest(n, "contains", b, a, strings.Contains)
		case b.typ.Kind == connectors.Array:
			elem := typ{Type: scalar.ElemType(b.typ.Elem)}
			t, ok := common(a.typ, elem)
			if elem.Kind == connectors.JSON || !ok {
				c.fail(n, "%s cannot be looked for in %s", a.typ.name(), b.typ.name())
			}
			return c.call(n, impl{name: "in.value", fn: func(args []any) (any, error) {
				for _, e := range args[1].([]any) {
					if e == nil {
						continue
					}
					v, err := scalar.Convert(e, elem.Type, t.Type, nil)
					if err != nil {
						return nil, err
					}
					if order, ok := compare(args[0], v); ok && order == 0 {
						return true, nil
					}
				}
				return false, nil
			}}, of(connectors.Bool), c.convert(a, t, nil), b)
		}
		c.fail(n, "%s cannot be looked for in %s", a.typ.name(), b.typ.name())
	}
	if len(right.args) == 0 {
		return c.constant(n, false, of(connectors.Bool))
	}
	if a.typ.Kind == connectors.JSON {
		a = c.convert(a, c.check(right.args[0]).typ.jsonTarget(), nil)
	}
	set := newSet(a.typ)
	var dynamic *node
	for _, item := range right.args {
		item = c.check(item)
		if item.op == opConst && item.value == nil {
			set.null = true
			continue
		}
		t, ok := common(a.typ, item.typ)
		if !ok {
			c.fail(item, "%s cannot equal %s%s", item.typ.name(), a.typ.name(), mixHint(a.typ, item.typ))
		}
		if v := c.convert(item, t, nil); v.op == opConst && v.typ.class() == a.typ.class() {
			set.add(v.value)
			continue
		}
		equal := c.binary(n, "==", a, item)
		if dynamic == nil {
			dynamic = equal
		} else {
			dynamic = &node{op: opOr, pos: n.pos, args: []*node{dynamic, equal}, typ: of(connectors.Bool)}
		}
	}
	if set.size() == 0 && !set.null && dynamic != nil {
		return dynamic
	}
	in := c.call(n, impl{name: "in.set", nulls: true, fn: set.has, build: set.kernel}, of(connectors.Bool), a)
	if dynamic == nil {
		return in
	}
	return c.fold(&node{op: opOr, pos: n.pos, args: []*node{in, dynamic}, typ: of(connectors.Bool)})
}

// jsonTarget is what a JSON value is taken for beside a value of this type.
func (t typ) jsonTarget() typ {
	if t.isNumber() {
		return of(connectors.Numeric)
	}
	return typ{Type: t.general().Type}
}

// set holds the constants of a list by what makes them equal.
type set struct {
	class  connectors.Kind
	null   bool // None is in the list
	values map[any]bool
	exact  []*scalar.Decimal
}

func newSet(t typ) *set { return &set{class: t.class(), values: map[any]bool{}} }

func (s *set) size() int { return len(s.values) + len(s.exact) }

func (s *set) add(v any) {
	switch v := v.(type) {
	case *scalar.Decimal:
		s.exact = append(s.exact, v)
	default:
		s.values[setKey(v)] = true
	}
}

// setKey is the same for values that compare equal.
func setKey(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case scalar.Duration:
		if total, err := v.Total(); err == nil {
			return total
		}
	}
	return v
}

func (s *set) has(args []any) (any, error) {
	switch v := args[0].(type) {
	case nil:
		if s.null {
			return true, nil
		}
		return nil, nil
	case *scalar.Decimal:
		for _, e := range s.exact {
			if order, ok := scalar.Compare(v, e); ok && order == 0 {
				return true, nil
			}
		}
		return false, nil
	default:
		return s.values[setKey(v)], nil
	}
}
