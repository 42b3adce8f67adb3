package expression

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// Limits of an expression.
const (
	maxText  = 16 << 10 // bytes
	maxDepth = 100      // brackets within brackets
	maxNodes = 2000
)

// node is a part of an expression. The parser makes names, operators and calls
// as they were written; the checker makes of them columns, constants, calls of
// one implementation, and the forms that evaluate only what is needed.
type node struct {
	op   string // see the constants
	pos  int    // byte offset in the source
	text string // name, operator, function
	args []*node

	typ   typ
	value any   // of a constant
	at    int   // of a column
	impl  *impl // of a call
}

const (
	opColumn = "column"
	opConst  = "const"
	opList   = "list"
	opCall   = "call"   // text(args...)
	opMember = "member" // args[0].text
	opIndex  = "index"  // args[0][args[1]]
	opSlice  = "slice"  // args[0][args[1]:args[2]:args[3]], absent ones nil
	opUnary  = "unary"
	opBinary = "binary"
	opAnd    = "and"
	opOr     = "or"
	opNot    = "not"
	opIf     = "if" // args: condition, then, else
	opElse   = "??"
)

type parser struct {
	src    string
	tokens []token
	at     int
	depth  int
	nodes  int
}

// parse reads the text as a whole into a tree. It panics with *Fault.
func parse(src string) *node {
	if len(src) > maxText {
		panic(&Fault{Column: 1, Message: fmt.Sprintf("the expression is longer than %d bytes", maxText)})
	}
	tokens, err := lex(src)
	if err != nil {
		panic(err)
	}
	p := &parser{src: src, tokens: tokens}
	if p.peek().kind == tokenEnd {
		p.fail(p.peek(), "the expression is empty")
	}
	n := p.expression()
	if t := p.peek(); t.kind != tokenEnd {
		switch t.text {
		case "=", ":=":
			p.fail(t, "= assigns and does not compare: write ==")
		case "for":
			p.fail(t, "comprehensions are not supported")
		}
		p.fail(t, "%s is not expected here", describe(t))
	}
	return n
}

func describe(t token) string {
	if t.kind == tokenEnd {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

func (p *parser) fail(t token, format string, args ...any) {
	panic(&Fault{Column: utf8.RuneCountInString(p.src[:t.pos]) + 1, Message: fmt.Sprintf(format, args...)})
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// is says whether the next token is one of the signs or words.
func (p *parser) is(words ...string) bool {
	t := p.peek()
	return (t.kind == tokenSign || t.kind == tokenName) && slices.Contains(words, t.text)
}

func (p *parser) accept(words ...string) bool {
	if p.is(words...) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(sign string) {
	if !p.accept(sign) {
		if p.is("for") {
			p.fail(p.peek(), "comprehensions are not supported")
		}
		p.fail(p.peek(), "%q is expected here, not %s", sign, describe(p.peek()))
	}
}

func (p *parser) node(op string, t token, text string, args ...*node) *node {
	if p.nodes++; p.nodes > maxNodes {
		p.fail(t, "the expression has more than %d parts", maxNodes)
	}
	return &node{op: op, pos: t.pos, text: text, args: args}
}

func (p *parser) enter() func() {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.peek(), "the expression is nested too deeply")
	}
	return func() { p.depth-- }
}

// expression reads Python's conditional or the one with ? and :.
func (p *parser) expression() *node {
	defer p.enter()()
	if p.is("lambda", "await", "yield") {
		p.fail(p.peek(), "%s is not supported", p.peek().text)
	}
	value := p.otherwise()
	t := p.peek()
	switch {
	case p.accept("if"):
		cond := p.otherwise()
		p.expect("else")
		return p.node(opIf, t, "", cond, value, p.expression())
	case p.accept("?"):
		then := p.expression()
		p.expect(":")
		return p.node(opIf, t, "", value, then, p.expression())
	}
	return value
}

func (p *parser) otherwise() *node {
	left := p.or()
	for t := p.peek(); p.accept("??"); t = p.peek() {
		left = p.node(opElse, t, "", left, p.or())
	}
	return left
}

func (p *parser) or() *node {
	left := p.and()
	for t := p.peek(); p.accept("or", "||"); t = p.peek() {
		left = p.node(opOr, t, "", left, p.and())
	}
	return left
}

func (p *parser) and() *node {
	left := p.not()
	for t := p.peek(); p.accept("and", "&&"); t = p.peek() {
		left = p.node(opAnd, t, "", left, p.not())
	}
	return left
}

func (p *parser) not() *node {
	if t := p.peek(); p.accept("not") {
		defer p.enter()()
		return p.node(opNot, t, "", p.not())
	}
	return p.comparison()
}

// comparison reads a chain: a < b <= c means a < b and b <= c.
func (p *parser) comparison() *node {
	left := p.binary(0)
	var chain *node
	for {
		t := p.peek()
		op := ""
		switch {
		case p.accept("==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches"):
			op = t.text
		case p.is("not") && p.tokens[p.at+1].text == "in" && p.tokens[p.at+1].kind == tokenName:
			p.at += 2
			op = "not in"
		case p.accept("is"):
			op = "is"
			if p.accept("not") {
				op = "is not"
			}
		default:
			if chain != nil {
				return chain
			}
			return left
		}
		right := p.binary(0)
		step := p.node(opBinary, t, op, left, right)
		if chain == nil {
			chain = step
		} else {
			chain = p.node(opAnd, t, "", chain, step)
		}
		left = right
	}
}

// levels are the binary operators from the loosest to the tightest.
var levels = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%", "@"}}

func (p *parser) binary(level int) *node {
	if level == len(levels) {
		return p.unary()
	}
	left := p.binary(level + 1)
	for t := p.peek(); p.accept(levels[level]...); t = p.peek() {
		left = p.node(opBinary, t, t.text, left, p.binary(level+1))
	}
	return left
}

func (p *parser) unary() *node {
	t := p.peek()
	switch {
	case p.accept("-", "+", "~"):
		defer p.enter()()
		return p.node(opUnary, t, t.text, p.unary())
	case p.accept("!"):
		defer p.enter()()
		return p.node(opNot, t, "", p.unary())
	}
	base := p.postfix()
	if t := p.peek(); p.accept("**") {
		defer p.enter()()
		return p.node(opBinary, t, "**", base, p.unary())
	}
	return base
}

func (p *parser) postfix() *node {
	n := p.primary()
	for {
		t := p.peek()
		switch {
		case p.accept("."):
			name := p.next()
			if name.kind != tokenName {
				p.fail(name, "a name is expected after the point, not %s", describe(name))
			}
			if strings.HasPrefix(name.text, "_") {
				p.fail(name, "there is nothing named %s", name.text)
			}
			if p.accept("(") {
				n = p.node(opCall, name, name.text, append([]*node{n}, p.arguments(")")...)...)
				n.at = 1 // a method: the first argument is what it was called on
				continue
			}
			n = p.node(opMember, name, name.text, n)
		case p.accept("["):
			n = p.subscript(t, n)
		case p.is("("):
			p.fail(t, "only functions by their name can be called")
		default:
			return n
		}
	}
}

// subscript reads an index or a slice.
func (p *parser) subscript(t token, n *node) *node {
	parts := []*node{nil, nil, nil}
	colons := 0
	for !p.is("]") {
		if p.accept(":") {
			if colons++; colons > 2 {
				p.fail(p.peek(), "a slice has at most three parts")
			}
			continue
		}
		if parts[colons] != nil {
			p.expect("]")
		}
		parts[colons] = p.expression()
	}
	p.expect("]")
	if colons > 0 {
		return p.node(opSlice, t, "", n, parts[0], parts[1], parts[2])
	}
	if parts[0] == nil {
		p.fail(t, "the index is missing")
	}
	return p.node(opIndex, t, "", n, parts[0])
}

// arguments reads expressions up to the closing bracket.
func (p *parser) arguments(closing string) []*node {
	var args []*node
	for !p.accept(closing) {
		if len(args) > 0 {
			p.expect(",")
			if p.accept(closing) {
				break
			}
		}
		if p.is("*", "**") {
			p.fail(p.peek(), "%s is not supported here", p.peek().text)
		}
		args = append(args, p.expression())
		if p.is("=") {
			p.fail(p.peek(), "arguments by name are not supported")
		}
	}
	return args
}

func (p *parser) primary() *node {
	t := p.next()
	switch t.kind {
	case tokenNumber:
		return p.number(t)
	case tokenText:
		n := p.node(opConst, t, "")
		parts := []string{t.text}
		for p.peek().kind == tokenText {
			parts = append(parts, p.next().text)
		}
		n.value, n.typ = strings.Join(parts, ""), typ{Type: connectors.Type{Kind: connectors.Text}, soft: true}
		return n
	case tokenBytes:
		n := p.node(opConst, t, "")
		n.value, n.typ = []byte(t.text), typ{Type: connectors.Type{Kind: connectors.Bytes}}
		return n
	case tokenQuotedName:
		return p.node(opColumn, t, t.text)
	case tokenName:
		return p.name(t)
	}
	switch t.text {
	case "(":
		if p.accept(")") {
			return p.node(opList, t, "")
		}
		inner := p.expression()
		if p.accept(",") {
			return p.node(opList, t, "", append([]*node{inner}, p.arguments(")")...)...)
		}
		p.expect(")")
		return inner
	case "[":
		return p.node(opList, t, "", p.arguments("]")...)
	case "{":
		p.fail(t, "dictionaries and sets are not supported: use a map_values step, or a list in brackets")
	}
	p.fail(t, "a value is expected here, not %s", describe(t))
	return nil
}

func (p *parser) name(t token) *node {
	constant := func(value any, kind connectors.Kind) *node {
		n := p.node(opConst, t, "")
		n.value, n.typ = value, typ{Type: connectors.Type{Kind: kind}}
		return n
	}
	if strings.HasPrefix(t.text, "__") {
		p.fail(t, "there is nothing named %s", t.text)
	}
	switch t.text {
	case "True", "true":
		return constant(true, connectors.Bool)
	case "False", "false":
		return constant(false, connectors.Bool)
	case "None", "null", "nil":
		return constant(nil, connectors.Invalid)
	case "and", "or", "not", "in", "is", "if", "else", "for", "lambda", "import", "await", "yield", "def", "class", "return", "del", "exec":
		p.fail(t, "%q is not expected here", t.text)
	}
	if p.accept("(") {
		return p.node(opCall, t, t.text, p.arguments(")")...)
	}
	if t.text == "row" {
		switch {
		case p.accept("["):
			name := p.columnName()
			p.expect("]")
			return p.node(opColumn, t, name)
		case p.is(".") && p.tokens[p.at+1].text == "get":
			p.at += 2
			p.expect("(")
			n := p.node(opColumn, t, p.columnName())
			if p.accept(",") {
				n = p.node(opElse, t, "", n, p.expression())
			}
			p.expect(")")
			return n
		}
	}
	return p.node(opColumn, t, t.text)
}

func (p *parser) columnName() string {
	t := p.next()
	if t.kind != tokenText {
		p.fail(t, "the name of a column is expected here in quotation marks")
	}
	return t.text
}

// number makes a constant that keeps all its digits.
func (p *parser) number(t token) *node {
	n := p.node(opConst, t, t.text)
	if len(t.text) > 1 && t.text[0] == '0' && strings.ContainsAny(t.text, "xXoObB") {
		v, ok := new(big.Int).SetString(t.text, 0)
		if !ok {
			p.fail(t, "%s is not a number", t.text)
		}
		n.value = scalar.NewDecimal(v, 0)
	} else {
		v, err := scalar.ParseDecimal(t.text)
		if err != nil {
			p.fail(t, "%v", err)
		}
		n.value = v
	}
	d := n.value.(*scalar.Decimal)
	whole := !strings.ContainsAny(t.text, ".eE") || strings.HasPrefix(strings.ToLower(t.text), "0x")
	n.typ = typ{Type: decimalOf(d), soft: !whole}
	if i, err := d.Int64(); err == nil && whole {
		n.value, n.typ = i, typ{Type: connectors.Type{Kind: connectors.Int64}, soft: true}
	}
	return n
}

// decimalOf is the type of a literal with its digits.
func decimalOf(d *scalar.Decimal) connectors.Type {
	return connectors.NewDecimal(d.Precision(), d.Scale())
}
