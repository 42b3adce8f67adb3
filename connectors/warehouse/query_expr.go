package warehouse

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
)

// A node is an expression over the columns of one table, evaluated batch by batch.
// Numbers are calculated with here as SQLite does it. Whatever else there is of a
// few columns (functions, LIKE, CASE, texts) SQLite itself evaluates, once for every
// combination of their values.
type node struct {
	from, to int // its tokens
	columns  []int
	op       string
	args     []*node
	literal  any  // of op "literal": int64, float64, string or nil
	opaque   bool // for SQLite
	// strict says that the type or collation of the expression matters to what
	// compares with it, so that SQLite has to see both.
	strict bool
	memo   *memo
	out    vector
}

// compiler makes nodes of tokens.
type compiler struct {
	layout *layout
	alias  string
	tokens []token
	at     int
	failed bool
	fold   func(tokens []token) (any, bool) // evaluates what has no column
}

// newCompiler compiles expressions of a statement, whose constants SQLite evaluates.
func newCompiler(q *session, s *shape, v *View) *compiler {
	return &compiler{layout: v.layout, alias: s.alias, fold: func(tokens []token) (any, bool) {
		values, err := q.all("SELECT " + s.text(tokens))
		return single(values), err == nil && len(values) == 1
	}}
}

// compile gives nil for what cannot be evaluated by columns.
func (c *compiler) compile(tokens []token) *node {
	c.tokens, c.at, c.failed = tokens, 0, false
	n := c.or()
	if c.failed || c.at != len(tokens) {
		return nil
	}
	n = c.settle(n)
	if c.failed {
		return nil
	}
	return n
}

func (c *compiler) fail() *node {
	c.failed = true
	return &node{from: c.at, to: c.at}
}

func (c *compiler) peek(words ...string) bool {
	return c.at < len(c.tokens) && slices.ContainsFunc(words, c.tokens[c.at].is)
}

func (c *compiler) take(words ...string) (string, bool) {
	if !c.peek(words...) {
		return "", false
	}
	c.at++
	return strings.ToLower(c.tokens[c.at-1].text), true
}

// join makes a node of an operator that is calculated here.
func (c *compiler) join(op string, from int, args ...*node) *node {
	n := &node{from: from, to: c.at, op: op, args: args}
	for _, a := range args {
		n.strict = n.strict || a.strict
		n.opaque = n.opaque || a.opaque
		for _, id := range a.columns {
			if !slices.Contains(n.columns, id) {
				n.columns = append(n.columns, id)
			}
		}
	}
	// What is SQLite's stays with it as long as there is one column, or the operator
	// has to see the whole of its operands.
	if n.opaque && len(n.columns) > 1 && !n.strict {
		n.opaque = false
		for i, a := range args {
			args[i] = c.settle(a)
		}
	}
	return n
}

// settle ends the growth of an expression for SQLite.
func (c *compiler) settle(n *node) *node {
	if c.failed || !n.opaque {
		return n
	}
	for _, t := range c.tokens[n.from:n.to] {
		if t.kind == tokenText && strings.EqualFold(t.text, "now") || t.kind == tokenWord && volatile(t.text) {
			return c.fail()
		}
	}
	if len(n.columns) == 0 {
		v, ok := c.fold(c.tokens[n.from:n.to])
		if !ok || n.strict {
			return c.fail()
		}
		return &node{from: n.from, to: n.to, op: "literal", literal: v}
	}
	for _, id := range n.columns {
		if len(n.columns) > maxMemo || !c.layout.vectorable(id) || c.layout.numberCollation(id) {
			return c.fail()
		}
	}
	n.memo = &memo{tokens: c.tokens[n.from:n.to], ids: n.columns}
	return n
}

// volatile lists the functions whose value differs from call to call.
func volatile(word string) bool {
	switch strings.ToLower(word) {
	case "random", "randomblob", "changes", "total_changes", "last_insert_rowid", "current_date", "current_time", "current_timestamp":
		return true
	}
	return false
}

func (c *compiler) or() *node {
	from := c.at
	n := c.and()
	for !c.failed {
		if _, ok := c.take("or"); !ok {
			return n
		}
		n = c.join("or", from, n, c.and())
	}
	return n
}

func (c *compiler) and() *node {
	from := c.at
	n := c.not()
	for !c.failed {
		if _, ok := c.take("and"); !ok {
			return n
		}
		n = c.join("and", from, n, c.not())
	}
	return n
}

func (c *compiler) not() *node {
	from := c.at
	if _, ok := c.take("not"); ok {
		return c.join("not", from, c.not())
	}
	return c.equality()
}

// numeric says whether an operand is a number to calculate with.
func (c *compiler) numeric(n *node) bool {
	switch n.op {
	case "literal":
		switch n.literal.(type) {
		case int64, float64:
			return true
		}
		return false
	case "column":
		switch c.layout.columns[n.columns[0]].stored.Kind {
		case connectors.Bool, connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64, connectors.Uint8, connectors.Uint16, connectors.Uint32, connectors.Uint64,
			connectors.Float32, connectors.Float64, connectors.Decimal:
			typ := c.layout.columns[n.columns[0]].typ
			return c.layout.vectorable(n.columns[0]) && (!typ.IsEnum() || typ.Array)
		}
		return false
	}
	return true // the operands of an operator were looked at
}

// calculated makes a node of operands that must be numbers, or leaves it to SQLite.
func (c *compiler) calculated(op string, from int, args ...*node) *node {
	n := c.join(op, from, args...)
	if c.failed || n.opaque {
		return n
	}
	for _, a := range args {
		if !c.numeric(a) {
			n.opaque = true
		}
	}
	return n
}

// timeLiteral recognises the comparison of a date or time with a text.
func (c *compiler) timeLiteral(a, b *node) bool {
	if a.op != "column" || b.op != "literal" {
		return false
	}
	_, ok := b.literal.(string)
	switch c.layout.columns[a.columns[0]].stored.Kind {
	case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
		return ok
	}
	return false
}

func (c *compiler) compare(op string, from int, a, b *node) *node {
	switch op {
	case "==":
		op = "="
	case "!=":
		op = "<>"
	}
	if c.timeLiteral(a, b) || c.timeLiteral(b, a) {
		return c.join(op, from, a, b)
	}
	return c.calculated(op, from, a, b)
}

func (c *compiler) equality() *node {
	from := c.at
	n := c.relation()
	for !c.failed {
		if op, ok := c.take("=", "==", "<>", "!="); ok {
			n = c.compare(op, from, n, c.relation())
			continue
		}
		if _, ok := c.take("isnull"); ok {
			n = c.nullTest("isnull", from, n)
			continue
		}
		if _, ok := c.take("notnull"); ok {
			n = c.nullTest("notnull", from, n)
			continue
		}
		if c.peek("is") {
			c.at++
			op := "isnull"
			if _, ok := c.take("not"); ok {
				op = "notnull"
			}
			if _, ok := c.take("null"); !ok {
				return c.fail()
			}
			n = c.nullTest(op, from, n)
			continue
		}
		before := c.at
		_, not := c.take("not")
		switch {
		case not && c.peek("null"):
			c.at++
			n = c.nullTest("notnull", from, n)
		case c.peek("between"):
			c.at++
			low := c.relation()
			if _, ok := c.take("and"); !ok {
				return c.fail()
			}
			high := c.relation()
			if c.failed {
				return n
			}
			both := c.join("and", from, c.compare(">=", from, n, low), c.compare("<=", from, n, high))
			if n = both; not {
				n = c.join("not", from, both)
			}
		case c.peek("in"):
			c.at++
			n = c.in(from, n)
		case c.peek("like", "glob"):
			c.at++
			n = c.join("like", from, n, c.relation())
			if _, ok := c.take("escape"); ok {
				n = c.join("like", from, n, c.relation())
			}
			n.opaque = true
		default:
			c.at = before
			return n
		}
	}
	return n
}

// nullTest needs no number.
func (c *compiler) nullTest(op string, from int, a *node) *node {
	n := c.join(op, from, a)
	if !n.opaque && a.op == "column" && !c.layout.vectorable(a.columns[0]) {
		return c.fail()
	}
	return n
}

// in is a list of constants; SQLite sees it.
func (c *compiler) in(from int, a *node) *node {
	if _, ok := c.take("("); !ok {
		return c.fail()
	}
	args := []*node{a}
	for !c.failed && !c.peek(")") {
		args = append(args, c.or())
		if _, ok := c.take(","); !ok {
			break
		}
	}
	if _, ok := c.take(")"); !ok {
		return c.fail()
	}
	n := c.join("in", from, args...)
	n.opaque = true
	return n
}

func (c *compiler) relation() *node {
	from := c.at
	n := c.sum()
	for !c.failed {
		op, ok := c.take("<=", ">=", "<", ">")
		if !ok {
			return n
		}
		n = c.compare(op, from, n, c.sum())
	}
	return n
}

func (c *compiler) sum() *node {
	from := c.at
	n := c.product()
	for !c.failed {
		op, ok := c.take("+", "-")
		if !ok {
			return n
		}
		n = c.calculated(op, from, n, c.product())
	}
	return n
}

func (c *compiler) product() *node {
	from := c.at
	n := c.concat()
	for !c.failed {
		op, ok := c.take("*", "/", "%")
		if !ok {
			return n
		}
		n = c.calculated(op, from, n, c.concat())
	}
	return n
}

func (c *compiler) concat() *node {
	from := c.at
	n := c.unary()
	for !c.failed {
		op, ok := c.take("||", "->", "->>")
		if !ok {
			return n
		}
		n = c.join(op, from, n, c.unary())
		n.opaque = true
	}
	return n
}

func (c *compiler) unary() *node {
	from := c.at
	if _, ok := c.take("-"); ok {
		n := c.unary()
		if n.op == "literal" {
			switch v := n.literal.(type) {
			case int64:
				return &node{from: from, to: c.at, op: "literal", literal: -v}
			case float64:
				return &node{from: from, to: c.at, op: "literal", literal: -v}
			}
		}
		return c.calculated("-", from, &node{from: from, to: from, op: "literal", literal: int64(0)}, n)
	}
	return c.primary()
}

func (c *compiler) primary() *node {
	if c.at >= len(c.tokens) {
		return c.fail()
	}
	from, t := c.at, c.tokens[c.at]
	c.at++
	literal := func(v any) *node { return &node{from: from, to: c.at, op: "literal", literal: v} }
	switch t.kind {
	case tokenNumber:
		if v, err := strconv.ParseInt(t.text, 10, 64); err == nil {
			return literal(v)
		}
		if v, err := strconv.ParseFloat(t.text, 64); err == nil && strings.ContainsAny(t.text, ".eE") && !strings.ContainsAny(t.text, "xX_") {
			return literal(v)
		}
		return c.fail()
	case tokenText:
		return c.collated(literal(t.text))
	case tokenQuoted:
		return c.collated(c.name(from))
	case tokenBlob:
		return c.fail()
	case tokenOther:
		if !t.is("(") {
			return c.fail()
		}
		n := c.or()
		if _, ok := c.take(")"); !ok {
			return c.fail()
		}
		inner := *n
		inner.from, inner.to = from, c.at
		return c.collated(&inner)
	}
	switch {
	case t.is("null"):
		n := literal(nil)
		n.opaque = true
		return n
	case t.is("case"):
		return c.whole(from, "end", false)
	case c.peek("("):
		return c.collated(c.whole(from, ")", t.is("cast")))
	case keyword(t.text):
		return c.fail()
	}
	return c.collated(c.name(from))
}

// collated takes a COLLATE after an operand.
func (c *compiler) collated(n *node) *node {
	if _, ok := c.take("collate"); ok {
		c.at++
		out := *n
		out.to, out.opaque, out.strict, out.op = min(c.at, len(c.tokens)), true, true, "collate"
		return &out
	}
	return n
}

// whole takes a function call, CAST or CASE for SQLite, with the columns in it.
func (c *compiler) whole(from int, end string, strict bool) *node {
	n := &node{from: from, op: "sqlite", opaque: true, strict: strict}
	depth, base := 0, 1
	if end == "end" {
		base = 0
	}
	for c.at = from + 1; c.at < len(c.tokens); c.at++ {
		t := c.tokens[c.at]
		switch {
		case t.is("(") || t.is("case"):
			depth++
		case (t.is(")") || t.is("end")) && depth > base:
			depth--
		case t.is(end):
			c.at++
			n.to = c.at
			return n
		case t.is("cast") || t.is("collate"):
			n.strict = true
		case t.kind == tokenQuoted || t.kind == tokenWord && !keyword(t.text) && (c.at+1 >= len(c.tokens) || !c.tokens[c.at+1].is("(")) && !c.tokens[c.at-1].is("as"):
			at := c.at
			c.at++
			name := c.name(at)
			if c.failed {
				return n
			}
			c.at--
			for _, id := range name.columns {
				if !slices.Contains(n.columns, id) {
					n.columns = append(n.columns, id)
				}
			}
		}
	}
	return c.fail()
}

// name is a column, by itself or after the table's name.
func (c *compiler) name(from int) *node {
	t := c.tokens[from]
	if c.peek(".") && strings.EqualFold(t.text, c.alias) && c.at+1 < len(c.tokens) {
		c.at += 2
		t = c.tokens[c.at-1]
	}
	if t.kind != tokenWord && t.kind != tokenQuoted || c.peek(".") {
		return c.fail()
	}
	id := c.layout.find(t.text)
	if id < 0 {
		return c.fail()
	}
	return &node{from: from, to: c.at, op: "column", columns: []int{id}}
}

// find gives a column that queries see, by its name in any case.
func (l *layout) find(name string) int {
	at := -1
	for _, id := range l.visible() {
		if strings.EqualFold(l.columns[id].name, name) {
			if at >= 0 {
				return -1
			}
			at = id
		}
	}
	return at
}

// conjuncts are the parts of a condition all of which must hold.
func (n *node) conjuncts() []*node {
	if n.op == "and" && n.memo == nil {
		return append(n.args[0].conjuncts(), n.args[1].conjuncts()...)
	}
	return []*node{n}
}

// conditions are the comparisons of columns with constants in a conjunct.
func (n *node) conditions() []condition {
	if n.strict {
		return nil
	}
	if n.op == "and" { // within what SQLite evaluates
		return append(n.args[0].conditions(), n.args[1].conditions()...)
	}
	ops := map[string]compareOp{"=": opEqual, "<": opLess, "<=": opLessEqual, ">": opGreater, ">=": opGreaterEqual}
	turned := map[compareOp]compareOp{opEqual: opEqual, opLess: opGreater, opLessEqual: opGreaterEqual, opGreater: opLess, opGreaterEqual: opLessEqual}
	switch {
	case n.op == "isnull" && n.args[0].op == "column":
		return []condition{{n.columns[0], opNull, nil}}
	case n.op == "notnull" && n.args[0].op == "column":
		return []condition{{n.columns[0], opNotNull, nil}}
	case n.op == "in" && n.args[0].op == "column":
		return n.inConditions()
	}
	op, ok := ops[n.op]
	if !ok || len(n.args) != 2 {
		return nil
	}
	a, b := n.args[0], n.args[1]
	if a.op == "literal" {
		a, b, op = b, a, turned[op]
	}
	if a.op != "column" || b.op != "literal" || b.literal == nil {
		return nil
	}
	return []condition{{a.columns[0], op, b.literal}}
}

// inConditions bound a list of whole numbers.
func (n *node) inConditions() []condition {
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for _, a := range n.args[1:] {
		v, ok := a.literal.(int64)
		if a.op != "literal" || !ok {
			return nil
		}
		low, high = min(low, v), max(high, v)
	}
	if low > high {
		return nil
	}
	if low == high {
		return []condition{{n.columns[0], opEqual, low}}
	}
	return []condition{{n.columns[0], opGreaterEqual, low}, {n.columns[0], opLessEqual, high}}
}
