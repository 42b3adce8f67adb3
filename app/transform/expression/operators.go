package expression

import (
	"bytes"
	"errors"
	"math"
	"regexp"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/transform/scalar"
	"arus/connectors"
)

var (
	errOverflow = errors.New("integer overflow")
	errShift    = errors.New("the shift is negative or too large")
)

func (c *checker) unary(n, a *node) *node {
	if a.typ.isNull() {
		return a
	}
	if a.typ.class() == connectors.Bool {
		a = c.convert(a, of(connectors.Int64), nil)
	}
	if a.typ.Kind == connectors.Interval && n.text == "-" {
		return c.call(n, impl{name: "neg.interval", fn: func(v []any) (any, error) { return v[0].(scalar.Duration).Times(-1) }}, a.typ, a)
	}
	if !a.typ.isNumber() || n.text == "~" && a.typ.class() != connectors.Int64 {
		c.fail(n, "%s cannot stand before %s", n.text, a.typ.name())
	}
	out := a.typ.general()
	switch n.text {
	case "+":
		return c.convert(a, out, nil)
	case "~":
		return c.call(n, impl{name: "invert", fn: func(v []any) (any, error) { return ^v[0].(int64), nil }}, out, a)
	}
	a = c.convert(a, out, nil)
	switch out.class() {
	case connectors.Int64:
		return c.call(n, impl{name: "neg.int", fn: func(v []any) (any, error) {
			i := v[0].(int64)
			if i == math.MinInt64 {
				return nil, errOverflow
			}
			return -i, nil
		}, build: intKernel(func(a, _ int64) (int64, bool) { return -a, a != math.MinInt64 }, errOverflow)}, out, a)
	case connectors.Float64:
		return c.call(n, impl{
			name: "neg.float", fn: func(v []any) (any, error) { return -v[0].(float64), nil },
			build: floatKernel(func(a, _ float64) (float64, error) { return -a, nil }),
		}, out, a)
	}
	return c.call(n, impl{name: "neg.decimal", fn: func(v []any) (any, error) { return v[0].(*scalar.Decimal).Neg(), nil }}, out, a)
}

// binary types an operator between two values.
func (c *checker) binary(n *node, op string, a, b *node) *node {
	switch op {
	case "is", "is not":
		return c.is(n, op, a, b)
	case "==", "!=", "<", "<=", ">", ">=":
		return c.comparison(n, op, a, b)
	case "contains":
		return c.textTest(n, "contains", a, b, strings.Contains)
	case "startsWith":
		return c.textTest(n, "startswith", a, b, strings.HasPrefix)
	case "endsWith":
		return c.textTest(n, "endswith", a, b, strings.HasSuffix)
	case "matches":
		return c.matches(n, a, b)
	case "@":
		c.fail(n, "@ is not supported")
	}
	if a.typ.isNull() || b.typ.isNull() {
		t := a.typ
		if t.isNull() {
			t = b.typ
		}
		return c.constant(n, nil, t)
	}
	if a.typ.class() == connectors.Bool && b.typ.class() == connectors.Bool && (op == "&" || op == "|") {
		form := opAnd
		if op == "|" {
			form = opOr
		}
		return c.fold(&node{op: form, pos: n.pos, args: []*node{a, b}, typ: of(connectors.Bool)})
	}
	for _, side := range []**node{&a, &b} {
		if (*side).typ.class() == connectors.Bool {
			*side = c.convert(*side, of(connectors.Int64), nil)
		}
	}
	switch {
	case a.typ.isNumber() && b.typ.isNumber():
		return c.arithmetic(n, op, a, b)
	case op == "+" && a.typ.class() == connectors.Text && b.typ.class() == connectors.Text:
		return c.concat(n, a, b)
	case op == "*" && a.typ.class() == connectors.Text && b.typ.class() == connectors.Int64:
		return c.repeat(n, a, b)
	case op == "*" && b.typ.class() == connectors.Text && a.typ.class() == connectors.Int64:
		return c.repeat(n, b, a)
	}
	if r := c.timeArithmetic(n, op, a, b); r != nil {
		return r
	}
	c.fail(n, "%s is not defined between %s and %s%s", op, a.typ.name(), b.typ.name(), mixHint(a.typ, b.typ))
	return nil
}

func (c *checker) is(n *node, op string, a, b *node) *node {
	if b.op != opConst || b.value != nil && b.typ.Kind != connectors.Bool {
		c.fail(n, "%s compares with None, True or False only: use == or !=", op)
	}
	negate := op == "is not"
	if b.value == nil {
		return c.isNull(n, a, negate)
	}
	want := b.value
	if a.typ.Kind != connectors.Bool {
		c.fail(n, "%s is never True or False", a.typ.name())
	}
	return c.call(n, impl{name: "is", nulls: true, fn: func(v []any) (any, error) { return (v[0] == want) != negate, nil }}, of(connectors.Bool), a)
}

func (c *checker) isNull(n, a *node, negate bool) *node {
	return c.call(n, impl{
		name: "isnull", nulls: true,
		fn:    func(v []any) (any, error) { return (v[0] == nil) != negate, nil },
		build: isNullKernel(negate),
	}, of(connectors.Bool), a)
}

func (c *checker) comparison(n *node, op string, a, b *node) *node {
	if a.typ.isNull() || b.typ.isNull() {
		if b.typ.isNull() {
			a, b = b, a
		}
		if op == "==" || op == "!=" {
			return c.isNull(n, b, op == "!=")
		}
		return c.constant(n, nil, of(connectors.Bool))
	}
	if a.typ.Kind == connectors.JSON && b.typ.Kind != connectors.JSON {
		a = c.convert(a, b.typ.jsonTarget(), nil)
	} else if b.typ.Kind == connectors.JSON && a.typ.Kind != connectors.JSON {
		b = c.convert(b, a.typ.jsonTarget(), nil)
	}
	if a.typ.class() == connectors.Bool && b.typ.isNumber() {
		a = c.convert(a, of(connectors.Int64), nil)
	}
	if b.typ.class() == connectors.Bool && a.typ.isNumber() {
		b = c.convert(b, of(connectors.Int64), nil)
	}
	t, ok := common(tight(a, b), tight(b, a))
	if !ok && a.typ.isNumber() && b.typ.isNumber() { // a decimal and a float: compared exactly
		t, ok = of(connectors.Numeric), true
	}
	if !ok {
		c.fail(n, "%s and %s cannot be compared%s", a.typ.name(), b.typ.name(), mixHint(a.typ, b.typ))
	}
	if t.class() == connectors.JSON || t.class() == connectors.Array {
		c.fail(n, "%s values cannot be compared: use str() or an element", t.class())
	}
	a, b = c.convert(a, t, nil), c.convert(b, t, nil)
	test := comparisonTests[op]
	return c.call(n, impl{
		name: op,
		fn: func(v []any) (any, error) {
			order, ok := compare(v[0], v[1])
			if !ok {
				return op == "!=", nil
			}
			return test(order), nil
		},
		build: compareKernel(op, t),
	}, of(connectors.Bool), a, b)
}

var comparisonTests = map[string]func(int) bool{
	"==": func(o int) bool { return o == 0 }, "!=": func(o int) bool { return o != 0 },
	"<": func(o int) bool { return o < 0 }, "<=": func(o int) bool { return o <= 0 },
	">": func(o int) bool { return o > 0 }, ">=": func(o int) bool { return o >= 0 },
}

// compare orders two values of one type; ok is false beside NaN.
func compare(a, b any) (order int, ok bool) {
	switch a := a.(type) {
	case bool:
		return boolOrder(a) - boolOrder(b.(bool)), true
	case int64:
		return ordered(a, b.(int64)), true
	case float64:
		return floatOrder(a, b.(float64))
	case *scalar.Decimal:
		return scalar.Compare(a, b.(*scalar.Decimal))
	case string:
		return strings.Compare(a, b.(string)), true
	case []byte:
		return bytes.Compare(a, b.([]byte)), true
	case arrow.Date32:
		return ordered(a, b.(arrow.Date32)), true
	case arrow.Time64:
		return ordered(a, b.(arrow.Time64)), true
	case arrow.Timestamp:
		return ordered(a, b.(arrow.Timestamp)), true
	case scalar.Instant:
		return ordered(a, b.(scalar.Instant)), true
	case scalar.Duration:
		x, err1 := a.Total()
		y, err2 := b.(scalar.Duration).Total()
		return ordered(x, y), err1 == nil && err2 == nil
	}
	return 0, false
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ordered[T ~int64 | ~int32](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func floatOrder(a, b float64) (int, bool) {
	switch {
	case a < b:
		return -1, true
	case a > b:
		return 1, true
	case a == b:
		return 0, true
	}
	return 0, false
}

// arithmetic types an operator between numbers: integers stay integers, except
// under /; a float makes floats; decimals are exact.
func (c *checker) arithmetic(n *node, op string, a, b *node) *node {
	t, ok := commonNumber(a.typ, b.typ)
	if !ok {
		c.fail(n, "%s and %s do not mix%s", a.typ.name(), b.typ.name(), mixHint(a.typ, b.typ))
	}
	switch op {
	case "&", "|", "^", "<<", ">>":
		if t.class() != connectors.Int64 {
			c.fail(n, "%s is for integers only", op)
		}
		return c.bits(n, op, c.convert(a, t, nil), c.convert(b, t, nil))
	}
	if t.class() == connectors.Int64 && (op == "/" || op == "**" && !wholePower(b)) {
		if op == "/" && t.soft { // 1/3 of two constants stays exact enough for both
			return c.decimal(n, op, a, b)
		}
		t = of(connectors.Float64)
	}
	switch t.class() {
	case connectors.Int64:
		return c.integer(n, op, c.convert(a, t, nil), c.convert(b, t, nil), t)
	case connectors.Float64:
		return c.float(n, op, c.convert(a, t, nil), c.convert(b, t, nil))
	}
	return c.decimal(n, op, a, b)
}

// wholePower says whether n is a constant under which an integer stays one.
func wholePower(n *node) bool {
	v, ok := n.value.(int64)
	return n.op == opConst && ok && v >= 0
}

func (c *checker) integer(n *node, op string, a, b *node, t typ) *node {
	var f func(a, b int64) (int64, bool)
	failure := errOverflow
	switch op {
	case "+":
		f = func(a, b int64) (int64, bool) { s := a + b; return s, (s > a) == (b > 0) }
	case "-":
		f = func(a, b int64) (int64, bool) { s := a - b; return s, (s < a) == (b > 0) }
	case "*":
		f = mulInt
	case "//", "%":
		failure = scalar.ErrDivision
		f = func(a, b int64) (int64, bool) { return floorInt(op == "%", a, b) }
	case "**":
		f = powInt
	}
	return c.call(n, impl{name: op + ".int", fn: func(v []any) (any, error) {
		r, ok := f(v[0].(int64), v[1].(int64))
		if !ok {
			if errors.Is(failure, scalar.ErrDivision) && v[1].(int64) != 0 {
				return nil, errOverflow
			}
			return nil, failure
		}
		return r, nil
	}, build: intKernel(f, failure)}, t, a, b)
}

func mulInt(a, b int64) (int64, bool) {
	if (a|b)>>31 == 0 || a == 0 || b == 0 {
		return a * b, true
	}
	p := a * b
	return p, p/b == a && (a != -1 || b != math.MinInt64) && (b != -1 || a != math.MinInt64)
}

// floorInt divides towards minus infinity, or gives what is left over.
func floorInt(rest bool, a, b int64) (int64, bool) {
	if b == 0 || a == math.MinInt64 && b == -1 {
		return 0, false
	}
	q, r := a/b, a%b
	if r != 0 && (r < 0) != (b < 0) {
		q, r = q-1, r+b
	}
	if rest {
		return r, true
	}
	return q, true
}

func powInt(a, b int64) (int64, bool) {
	result, ok := int64(1), true
	for b > 0 && ok {
		if b&1 == 1 {
			if result, ok = mulInt(result, a); !ok {
				return 0, false
			}
		}
		if b >>= 1; b > 0 {
			a, ok = mulInt(a, a)
		}
	}
	return result, ok
}

func (c *checker) float(n *node, op string, a, b *node) *node {
	var f func(a, b float64) (float64, error)
	switch op {
	case "+":
		f = func(a, b float64) (float64, error) { return a + b, nil }
	case "-":
		f = func(a, b float64) (float64, error) { return a - b, nil }
	case "*":
		f = func(a, b float64) (float64, error) { return a * b, nil }
	case "/":
		f = func(a, b float64) (float64, error) {
			if b == 0 {
				return 0, scalar.ErrDivision
			}
			return a / b, nil
		}
	case "//":
		f = func(a, b float64) (float64, error) {
			if b == 0 {
				return 0, scalar.ErrDivision
			}
			return math.Floor(a / b), nil
		}
	case "%":
		f = func(a, b float64) (float64, error) {
			if b == 0 {
				return 0, scalar.ErrDivision
			}
			r := math.Mod(a, b)
			if r != 0 && (r < 0) != (b < 0) {
				r += b
			}
			return r, nil
		}
	case "**":
		f = func(a, b float64) (float64, error) {
			r := math.Pow(a, b)
			if math.IsNaN(r) && !math.IsNaN(a) && !math.IsNaN(b) || math.IsInf(r, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
				return 0, scalar.ErrRange
			}
			return r, nil
		}
	}
	return c.call(n, impl{
		name: op + ".float", fn: func(v []any) (any, error) { return f(v[0].(float64), v[1].(float64)) },
		build: floatKernel(f),
	}, of(connectors.Float64), a, b)
}

func (c *checker) decimal(n *node, op string, a, b *node) *node {
	soft := a.typ.soft && b.typ.soft
	asDecimal := func(x *node) *node {
		switch v := x.value.(type) { // a constant has no more digits than it needs
		case int64:
			return c.constant(x, scalar.DecimalOf(v), typ{Type: decimalOf(scalar.DecimalOf(v)), soft: x.typ.soft})
		case *scalar.Decimal:
			return c.constant(x, v, typ{Type: decimalOf(v), soft: x.typ.soft})
		}
		if x.typ.class() == connectors.Numeric {
			return x
		}
		p, s, _ := x.typ.digits()
		return c.convert(x, typ{Type: connectors.NewDecimal(p, s), soft: x.typ.soft}, nil)
	}
	a, b = asDecimal(a), asDecimal(b)
	var t connectors.Type
	var f func(a, b *scalar.Decimal) (*scalar.Decimal, error)
	switch op {
	case "+":
		t, f = decimalSum(a.typ, b.typ), scalar.Add
	case "-":
		t, f = decimalSum(a.typ, b.typ), scalar.Sub
	case "*":
		t, f = decimalProduct(a.typ, b.typ), scalar.Mul
	case "/":
		t = decimalQuotient(a.typ, b.typ)
		scale := t.Scale
		f = func(a, b *scalar.Decimal) (*scalar.Decimal, error) {
			if t.Kind == connectors.Numeric {
				return scalar.Div(a, b, max(a.Scale(), b.Scale())+numericDigits)
			}
			return scalar.Div(a, b, scale)
		}
	case "//":
		t, f = connectors.Type{Kind: connectors.Numeric}, scalar.FloorDiv
		if q := decimalQuotient(a.typ, b.typ); q.Kind == connectors.Decimal {
			t = connectors.NewDecimal(q.Precision-q.Scale+1, 0)
		}
	case "%":
		t, f = decimalCommon(a.typ, b.typ), scalar.Mod
	case "**":
		exponent, ok := b.value.(*scalar.Decimal)
		if b.op != opConst || !ok || exponent.Scale() > 0 || exponent.Sign() < 0 {
			c.fail(n, "a decimal can be raised to a constant whole number only: use float() for others")
		}
		power, err := exponent.Int64()
		if err != nil {
			c.fail(n, "%v", err)
		}
		t = connectors.Type{Kind: connectors.Numeric}
		if p, s, ok := a.typ.digits(); ok && power < 100 {
			t = connectors.NewDecimal(max(p*int(power), 1), s*int(power))
		}
		f = func(a, b *scalar.Decimal) (*scalar.Decimal, error) {
			e, err := b.Int64()
			if err != nil {
				return nil, err
			}
			return a.Pow(e)
		}
	}
	return c.call(n, impl{name: op + ".decimal", fn: func(v []any) (any, error) {
		r, err := f(v[0].(*scalar.Decimal), v[1].(*scalar.Decimal))
		if err != nil {
			return nil, err
		}
		return r, nil
	}, build: decimalKernel(op, a.typ, b.typ, t)}, typ{Type: t, soft: soft}, a, b)
}

func (c *checker) bits(n *node, op string, a, b *node) *node {
	return c.call(n, impl{name: op, fn: func(v []any) (any, error) {
		x, y := v[0].(int64), v[1].(int64)
		switch op {
		case "&":
			return x & y, nil
		case "|":
			return x | y, nil
		case "^":
			return x ^ y, nil
		}
		if y < 0 || y > 63 {
			return nil, errShift
		}
		if op == ">>" {
			return x >> y, nil
		}
		if r := x << y; r>>y == x {
			return r, nil
		}
		return nil, errOverflow
	}}, of(connectors.Int64), a, b)
}

// timeArithmetic types + - * with dates, timestamps and durations; nil when
// there is nothing of the kind.
func (c *checker) timeArithmetic(n *node, op string, a, b *node) *node {
	span := of(connectors.Interval)
	isSpan := func(x *node) bool { return x.typ.Kind == connectors.Interval }
	softText := func(x *node) bool { return x.typ.soft && x.typ.class() == connectors.Text }
	switch {
	case op == "-" && a.typ.isTime() && softText(b):
		b = c.convert(b, a.typ, nil)
	case op == "-" && b.typ.isTime() && softText(a):
		a = c.convert(a, b.typ, nil)
	}
	switch {
	case op == "*" && isSpan(a) && b.typ.class() == connectors.Int64:
		return c.call(n, impl{name: "*.interval", fn: func(v []any) (any, error) { return v[0].(scalar.Duration).Times(v[1].(int64)) }}, span, a, b)
	case op == "*" && isSpan(b) && a.typ.class() == connectors.Int64:
		return c.timeArithmetic(n, op, b, a)
	case (op == "+" || op == "-") && isSpan(a) && isSpan(b):
		return c.call(n, impl{name: op + ".interval", fn: func(v []any) (any, error) {
			d, err := v[1].(scalar.Duration).Times(sign(op))
			if err != nil {
				return nil, err
			}
			return v[0].(scalar.Duration).Plus(d)
		}}, span, a, b)
	case op == "+" && isSpan(a) && (b.typ.isTime() || b.typ.Kind == connectors.Time):
		return c.timeArithmetic(n, op, b, a)
	case (op == "+" || op == "-") && a.typ.isTime() && isSpan(b):
		out := a.typ
		if a.typ.Kind == connectors.Date && (b.op != opConst || !wholeDays(b.value)) {
			out = of(connectors.Timestamp)
			a = c.convert(a, out, nil)
		}
		return c.call(n, impl{name: op + ".time", fn: func(v []any) (any, error) {
			d, err := v[1].(scalar.Duration).Times(sign(op))
			if err != nil {
				return nil, err
			}
			return shift(v[0], d)
		}}, out.general(), a, b)
	case (op == "+" || op == "-") && a.typ.Kind == connectors.Time && isSpan(b):
		return c.call(n, impl{name: op + ".clock", fn: func(v []any) (any, error) {
			us, err := v[1].(scalar.Duration).Total()
			if err != nil {
				return nil, err
			}
			return arrow.Time64(((int64(v[0].(arrow.Time64))+sign(op)*(us%scalar.Day))%scalar.Day + scalar.Day) % scalar.Day), nil
		}}, of(connectors.Time), a, b)
	case op == "-" && (a.typ.isTime() && b.typ.isTime() || a.typ.Kind == connectors.Time && b.typ.Kind == connectors.Time):
		t := c.common(n, a, b)
		return c.call(n, impl{name: "-.times", fn: func(v []any) (any, error) { return between(v[0], v[1]) }}, span, c.convert(a, t, nil), c.convert(b, t, nil))
	}
	return nil
}

func sign(op string) int64 {
	if op == "-" {
		return -1
	}
	return 1
}

func wholeDays(v any) bool {
	d, ok := v.(scalar.Duration)
	return ok && d.Micros == 0
}

// shift moves a date or a timestamp by a duration.
func shift(v any, d scalar.Duration) (any, error) {
	switch v := v.(type) {
	case arrow.Date32:
		if err := scalar.RegularDate(v); err != nil {
			return nil, err
		}
		ts, err := scalar.Midnight(v)
		if err != nil {
			return nil, err
		}
		if ts, err = d.AddTo(ts); err != nil {
			return nil, err
		}
		return scalar.DateOf(ts), nil
	case arrow.Timestamp:
		return d.AddTo(v)
	case scalar.Instant:
		ts, err := d.AddTo(arrow.Timestamp(v))
		return scalar.Instant(ts), err
	}
	return nil, errors.New("not a time")
}

// between is the duration from b to a, in days and the rest.
func between(a, b any) (any, error) {
	micros := func(v any) (int64, error) {
		switch v := v.(type) {
		case arrow.Date32:
			if err := scalar.RegularDate(v); err != nil {
				return 0, err
			}
			ts, err := scalar.Midnight(v)
			return int64(ts), err
		case arrow.Timestamp:
			return int64(v), scalar.Regular(v)
		case scalar.Instant:
			return int64(v), scalar.Regular(arrow.Timestamp(v))
		case arrow.Time64:
			return int64(v), nil
		}
		return 0, errors.New("not a time")
	}
	x, err := micros(a)
	if err != nil {
		return nil, err
	}
	y, err := micros(b)
	if err != nil {
		return nil, err
	}
	d := x - y
	if (d < x) != (y > 0) {
		return nil, scalar.ErrRange
	}
	return scalar.Span(d), nil
}

// concat joins two texts.
func (c *checker) concat(n, a, b *node) *node {
	t := of(connectors.Text)
	t.soft = a.typ.soft && b.typ.soft
	return c.call(n, impl{name: "concat", fn: func(v []any) (any, error) {
		x, y := v[0].(string), v[1].(string)
		if err := c.budget.spend(len(x) + len(y)); err != nil {
			return nil, err
		}
		return x + y, nil
	}, build: concatKernel}, t, c.convert(a, t, nil), c.convert(b, t, nil))
}

func (c *checker) repeat(n, text, times *node) *node {
	return c.call(n, impl{name: "repeat", fn: func(v []any) (any, error) {
		s, k := v[0].(string), v[1].(int64)
		if k <= 0 || s == "" {
			return "", nil
		}
		if k > maxRowText {
			return nil, errBudget
		}
		if err := c.budget.spend(len(s) * int(k)); err != nil {
			return nil, err
		}
		return strings.Repeat(s, int(k)), nil
	}}, of(connectors.Text), text, times)
}

// textTest types a test of one text against another.
func (c *checker) textTest(n *node, name string, a, b *node, test func(s, t string) bool) *node {
	a, b = c.text(n, a), c.text(n, b)
	return c.call(n, impl{
		name: name, fn: func(v []any) (any, error) { return test(v[0].(string), v[1].(string)), nil },
		build: textTestKernel(test),
	}, of(connectors.Bool), a, b)
}

// text insists on a text.
func (c *checker) text(n, a *node) *node {
	switch {
	case a.typ.class() == connectors.Text, a.typ.isNull(), a.typ.Kind == connectors.UUID:
		return c.convert(a, of(connectors.Text), nil)
	case a.typ.Kind == connectors.JSON:
		return c.convert(a, of(connectors.Text), nil)
	}
	c.fail(n, "a text is expected here, not %s: use str()", a.typ.name())
	return nil
}

func (c *checker) matches(n, a, pattern *node) *node {
	text, ok := pattern.value.(string)
	if pattern.op != opConst || !ok {
		c.fail(n, "a regular expression must be a constant text")
	}
	re, err := regexp.Compile(text)
	if err != nil {
		c.fail(pattern, "%q is not a regular expression: %v", text, err)
	}
	return c.call(n, impl{
		name: "matches", fn: func(v []any) (any, error) { return re.MatchString(v[0].(string)), nil },
		build: textTestKernel(func(s, _ string) bool { return re.MatchString(s) }),
	}, of(connectors.Bool), c.text(n, a))
}
