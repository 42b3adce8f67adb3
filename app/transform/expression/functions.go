package expression

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// functionNames are all that can be called, for messages; methods are functions
// whose first argument is what they are called on.
var functionNames = strings.Fields(`abs float int str round max min len sum bool
decimal date time timestamp timestamptz duration now today coalesce nullif
floor ceil sqrt exp log pow sha256
lower upper strip trim lstrip rstrip title capitalize replace split join startswith endswith contains find count
isdigit isalpha isalnum isspace zfill ljust rjust removeprefix removesuffix casefold get
year month day hour minute second microsecond weekday isoweekday quarter yearday days seconds total_seconds epoch
date_trunc strftime isoformat`)

// aliases are other spellings of functions.
var aliases = map[string]string{
	"trim": "strip", "length": "len", "starts_with": "startswith", "ends_with": "endswith", "startsWith": "startswith", "endsWith": "endswith",
	"string": "str", "casefold": "lower", "toLower": "lower", "toUpper": "upper", "format": "strftime", "fromisoformat": "timestamp",
}

// function types a call.
func (c *checker) function(n *node, name string, args []*node) *node {
	if alias, ok := aliases[name]; ok {
		name = alias
	}
	if n.at == 1 { // a method: date and time of a timestamp are its parts
		switch name {
		case "timestamp":
			name = "epoch"
		case "int", "float", "str", "bool", "decimal", "now", "today", "abs", "round", "max", "min", "sum", "coalesce":
			c.fail(n, "%s is a function, not a method: write %s(...)", name, name)
		}
	}
	arity := func(least, most int) {
		if len(args) < least || len(args) > most {
			c.fail(n, "%s takes %s, not %d", name, count(least, most), len(args))
		}
	}
	text := of(connectors.Text)
	switch name {
	case "abs":
		arity(1, 1)
		return c.abs(n, args[0])
	case "round":
		arity(1, 2)
		return c.round(n, args)
	case "floor", "ceil":
		arity(1, 1)
		return c.floor(n, name, args[0])
	case "max", "min", "sum":
		return c.aggregate(n, name, args)
	case "sqrt", "exp", "log":
		arity(1, 1)
		return c.floatFunction(n, name, args[0])
	case "pow":
		arity(2, 2)
		return c.binary(n, "**", args[0], args[1])
	case "len":
		arity(1, 1)
		return c.length(n, args[0])
	case "int", "float", "str", "bool", "decimal", "date", "time", "timestamp", "timestamptz", "duration":
		return c.cast(n, name, args)
	case "now", "today":
		arity(0, 0)
		ts := arrow.Timestamp(c.now.UnixMicro())
		if name == "today" {
			return c.constant(n, scalar.DateOf(ts), of(connectors.Date))
		}
		return c.constant(n, scalar.Instant(ts), of(connectors.TimestampTZ))
	case "coalesce":
		arity(1, 100)
		r := args[len(args)-1]
		for i := len(args) - 2; i >= 0; i-- {
			r = c.otherwise(n, args[i], r)
		}
		return r
	case "nullif":
		arity(2, 2)
		return c.choose(n, c.comparison(n, "==", args[0], args[1]), c.constant(n, nil, typ{}), args[0])
	case "sha256":
		arity(1, 1)
		if args[0].typ.Kind != connectors.Bytes {
			args[0] = c.text(n, args[0])
		}
		return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			b, ok := v[0].([]byte)
			if !ok {
				b = []byte(v[0].(string))
			}
			sum := sha256.Sum256(b)
			return hex.EncodeToString(sum[:]), nil
		}}, text, args[0])
	case "get":
		arity(2, 3)
		value := c.index(n, args[0], args[1])
		if len(args) == 3 {
			return c.otherwise(n, value, args[2])
		}
		return value
	}
	if r := c.textFunction(n, name, args, arity); r != nil {
		return r
	}
	if r := c.timeFunction(n, name, args, arity); r != nil {
		return r
	}
	hint := ""
	if near := Nearest(name, functionNames); near != "" {
		hint = "; did you mean " + near + "?"
	}
	c.fail(n, "there is no function %s%s", name, hint)
	return nil
}

func count(least, most int) string {
	s := strconv.Itoa(least)
	if most >= 100 {
		s += " or more"
	} else if most != least {
		s += " to " + strconv.Itoa(most)
	}
	if s == "1" {
		return "1 argument"
	}
	return s + " arguments"
}

// number insists on a number; bools count as 0 and 1.
func (c *checker) number(n, a *node) *node {
	switch {
	case a.typ.class() == connectors.Bool:
		return c.convert(a, of(connectors.Int64), nil)
	case a.typ.isNull():
		return c.constant(a, nil, of(connectors.Float64))
	case a.typ.isNumber():
		return c.convert(a, a.typ.general(), nil)
	}
	c.fail(n, "a number is expected here, not %s: use int(), float() or decimal()", a.typ.name())
	return nil
}

func (c *checker) abs(n, a *node) *node {
	a = c.number(n, a)
	switch a.typ.class() {
	case connectors.Int64:
		return c.call(n, impl{name: "abs.int", fn: func(v []any) (any, error) {
			i := v[0].(int64)
			if i == math.MinInt64 {
				return nil, errOverflow
			}
			return max(i, -i), nil
		}, build: intKernel(func(a, _ int64) (int64, bool) { return max(a, -a), a != math.MinInt64 }, errOverflow)}, a.typ, a)
	case connectors.Float64:
		return c.call(n, impl{
			name: "abs.float", fn: func(v []any) (any, error) { return math.Abs(v[0].(float64)), nil },
			build: floatKernel(func(a, _ float64) (float64, error) { return math.Abs(a), nil }),
		}, a.typ, a)
	}
	return c.call(n, impl{name: "abs.decimal", fn: func(v []any) (any, error) {
		d := v[0].(*scalar.Decimal)
		if d.Sign() < 0 {
			return d.Neg(), nil
		}
		return d, nil
	}}, a.typ, a)
}

// round is Python's: half to even; without digits a float becomes an integer.
func (c *checker) round(n *node, args []*node) *node {
	a := c.number(n, args[0])
	if a.typ.soft && a.typ.class() == connectors.Numeric {
		a = c.convert(a, of(connectors.Float64), nil)
	}
	digits := int64(0)
	if len(args) == 2 && (args[1].op != opConst || args[1].value != nil) {
		d, ok := args[1].value.(int64)
		if args[1].op != opConst || !ok || d < -30 || d > 60 {
			c.fail(n, "the number of digits must be a constant whole number from -30 to 60")
		}
		digits = d
	}
	whole := len(args) == 1 || args[1].op == opConst && args[1].value == nil
	switch a.typ.class() {
	case connectors.Int64:
		if digits >= 0 {
			return a
		}
		return c.call(n, impl{name: "round.int", fn: func(v []any) (any, error) {
			i, err := scalar.DecimalOf(v[0].(int64)).RoundTo(int(digits)).Int64()
			if err != nil {
				return nil, errOverflow
			}
			return i, nil
		}}, a.typ, a)
	case connectors.Float64:
		if whole {
			return c.call(n, impl{name: "round.float", fn: func(v []any) (any, error) {
				return scalar.Convert(math.RoundToEven(v[0].(float64)), connectors.Type{Kind: connectors.Float64}, connectors.Type{Kind: connectors.Int64}, nil)
			}}, of(connectors.Int64), a)
		}
		round := func(f float64) float64 { return roundFloat(f, int(digits)) }
		return c.call(n, impl{
			name: "round.digits", fn: func(v []any) (any, error) { return round(v[0].(float64)), nil },
			build: floatKernel(func(a, _ float64) (float64, error) { return round(a), nil }),
		}, of(connectors.Float64), a)
	}
	t := connectors.Type{Kind: connectors.Numeric}
	if p, s, ok := a.typ.digits(); ok {
		scale := min(max(int(digits), 0), s)
		t = connectors.NewDecimal(p-s+1+scale, scale)
	}
	return c.call(n, impl{name: "round.decimal", fn: func(v []any) (any, error) {
		d := v[0].(*scalar.Decimal)
		if t.Kind == connectors.Numeric {
			return d.RoundTo(min(int(digits), d.Scale())), nil
		}
		return d.RoundTo(min(int(digits), d.Scale())).Rescale(t.Scale), nil
	}, build: roundKernel(a.typ, t, int(digits))}, typ{Type: t}, a)
}

// roundFloat rounds to decimal digits by the float's exact value.
func roundFloat(f float64, digits int) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	if digits >= 0 {
		r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
		return r
	}
	unit := math.Pow10(-digits)
	return math.RoundToEven(f/unit) * unit
}

func (c *checker) floor(n *node, name string, a *node) *node {
	a = c.number(n, a)
	if a.typ.soft && a.typ.class() == connectors.Numeric {
		a = c.convert(a, of(connectors.Float64), nil)
	}
	switch a.typ.class() {
	case connectors.Int64:
		return a
	case connectors.Float64:
		f := math.Floor
		if name == "ceil" {
			f = math.Ceil
		}
		return c.call(n, impl{name: name + ".float", fn: func(v []any) (any, error) {
			return scalar.Convert(f(v[0].(float64)), connectors.Type{Kind: connectors.Float64}, connectors.Type{Kind: connectors.Int64}, nil)
		}}, of(connectors.Int64), a)
	}
	t := connectors.Type{Kind: connectors.Numeric}
	if p, s, ok := a.typ.digits(); ok {
		t = connectors.NewDecimal(p-s+1, 0)
	}
	return c.call(n, impl{name: name + ".decimal", fn: func(v []any) (any, error) {
		d := v[0].(*scalar.Decimal)
		if name == "ceil" {
			return d.Neg().Floor().Neg(), nil
		}
		return d.Floor(), nil
	}}, typ{Type: t}, a)
}

func (c *checker) floatFunction(n *node, name string, a *node) *node {
	f := map[string]func(float64) float64{"sqrt": math.Sqrt, "exp": math.Exp, "log": math.Log}[name]
	return c.call(n, impl{name: name, fn: func(v []any) (any, error) {
		x := v[0].(float64)
		r := f(x)
		if math.IsNaN(r) && !math.IsNaN(x) || math.IsInf(r, 0) && !math.IsInf(x, 0) {
			return nil, errors.New("the " + name + " of " + scalar.FloatText(x, 64) + " is not a number")
		}
		return r, nil
	}}, of(connectors.Float64), c.convert(c.number(n, a), of(connectors.Float64), nil))
}

// aggregate types max, min and sum over its arguments, or over one list. A null
// among several arguments makes the result null; in a list nulls are left out.
func (c *checker) aggregate(n *node, name string, args []*node) *node {
	if len(args) == 0 {
		c.fail(n, "%s takes at least 1 argument", name)
	}
	if len(args) == 1 {
		a := args[0]
		if a.typ.Kind != connectors.Array {
			if name == "sum" || a.typ.isNull() {
				c.fail(n, "%s of one value needs a list", name)
			}
			c.fail(n, "%s takes a list, or more than one value", name)
		}
		return c.aggregateList(n, name, a)
	}
	if name == "sum" {
		r := args[0]
		for _, a := range args[1:] {
			r = c.binary(n, "+", r, a)
		}
		return r
	}
	r := args[0]
	for _, a := range args[1:] {
		t := c.common(n, r, a)
		if t.class() == connectors.JSON || t.class() == connectors.Array {
			c.fail(n, "%s values have no order", t.class())
		}
		want := 1
		if name == "min" {
			want = -1
		}
		r = c.call(n, impl{name: name, fn: func(v []any) (any, error) {
			if order, ok := compare(v[1], v[0]); ok && order == want {
				return v[1], nil
			}
			return v[0], nil
		}, build: extremeKernel(want, t)}, t, c.convert(r, t, nil), c.convert(a, t, nil))
	}
	return r
}

func (c *checker) aggregateList(n *node, name string, a *node) *node {
	elem := typ{Type: scalar.ElemType(a.typ.Elem)}
	if elem.Kind == connectors.JSON || name == "sum" && !elem.isNumber() && elem.Kind != connectors.Bool {
		c.fail(n, "%s of %s is not defined", name, a.typ.name())
	}
	out := elem
	if name == "sum" && elem.Kind == connectors.Bool {
		out = of(connectors.Int64)
	}
	return c.call(n, impl{name: name + ".list", fn: func(v []any) (any, error) {
		var best any
		for _, e := range v[0].([]any) {
			if e == nil {
				continue
			}
			if name == "sum" {
				e, _ = scalar.Convert(e, elem.Type, out.Type, nil)
			}
			if best == nil {
				best = e
				continue
			}
			if name == "sum" {
				var err error
				if best, err = addValues(best, e); err != nil {
					return nil, err
				}
				continue
			}
			order, ok := compare(e, best)
			if ok && (order > 0) == (name == "max") && order != 0 {
				best = e
			}
		}
		if best == nil && name == "sum" {
			return scalar.Convert(int64(0), connectors.Type{Kind: connectors.Int64}, out.Type, nil)
		}
		return best, nil
	}}, out, a)
}

func addValues(a, b any) (any, error) {
	switch a := a.(type) {
	case int64:
		s := a + b.(int64)
		if (s > a) != (b.(int64) > 0) {
			return nil, errOverflow
		}
		return s, nil
	case float64:
		return a + b.(float64), nil
	case *scalar.Decimal:
		return scalar.Add(a, b.(*scalar.Decimal))
	}
	return nil, errors.New("not numbers")
}

// cast types the conversions: int(x), date(x, '%d.%m.%Y') and so on.
func (c *checker) cast(n *node, name string, args []*node) *node {
	if len(args) == 0 || len(args) > 2 {
		c.fail(n, "%s takes 1 to 2 arguments, not %d", name, len(args))
	}
	a := args[0]
	var format *scalar.Format
	var to typ
	switch name {
	case "decimal":
		return c.castDecimal(n, a, args[1:])
	case "date", "time", "timestamp", "timestamptz":
		to = of(connectors.ParseKind(name))
		if len(args) == 2 {
			layout, ok := args[1].value.(string)
			if args[1].op != opConst || !ok {
				c.fail(n, "the format must be a constant text, such as '%%d.%%m.%%Y'")
			}
			var err error
			if format, err = scalar.NewFormat(scalar.FormatOptions{Layout: layout}); err != nil {
				c.fail(args[1], "%v", err)
			}
		}
	default:
		if len(args) == 2 {
			c.fail(n, "%s takes 1 argument, not 2", name)
		}
		to = of(map[string]connectors.Kind{
			"int": connectors.Int64, "float": connectors.Float64, "str": connectors.Text, "bool": connectors.Bool, "duration": connectors.Interval,
		}[name])
	}
	if a.typ.soft && a.typ.class() == connectors.Numeric && name == "str" {
		a = c.convert(a, of(connectors.Float64), nil)
	}
	if a.typ.class() == connectors.Text && to.class() == connectors.Text {
		return c.convert(a, to, nil)
	}
	return c.convert(a, to, format)
}

func (c *checker) castDecimal(n, a *node, rest []*node) *node {
	if a.typ.soft && a.typ.class() != connectors.Text { // decimal(0.1) is exact
		if d, ok := a.value.(*scalar.Decimal); ok {
			a = c.constant(n, d, typ{Type: decimalOf(d)})
		}
	}
	to := of(connectors.Numeric)
	if p, s, ok := a.typ.digits(); ok {
		to.Type = connectors.NewDecimal(p, s)
	}
	if len(rest) == 1 {
		scale, ok := rest[0].value.(int64)
		if rest[0].op != opConst || !ok || scale < 0 || scale > connectors.MaxDecimal128 {
			c.fail(n, "the number of decimals must be a constant from 0 to %d", connectors.MaxDecimal128)
		}
		whole := connectors.MaxDecimal128 - int(scale)
		if p, s, ok := a.typ.digits(); ok {
			whole = min(whole, p-s+1)
		}
		to.Type = connectors.NewDecimal(max(whole+int(scale), 1), int(scale))
	}
	return c.convert(a, to, nil)
}

func (c *checker) length(n, a *node) *node {
	switch a.typ.class() {
	case connectors.Text, connectors.UUID:
		return c.call(n, impl{name: "len.text", fn: func(v []any) (any, error) { return runes(v[0].(string)), nil }, build: lengthKernel}, of(connectors.Int64), c.text(n, a))
	case connectors.Bytes:
		return c.call(n, impl{name: "len.bytes", fn: func(v []any) (any, error) { return int64(len(v[0].([]byte))), nil }}, of(connectors.Int64), a)
	case connectors.Array:
		return c.call(n, impl{name: "len.list", fn: func(v []any) (any, error) { return int64(len(v[0].([]any))), nil }}, of(connectors.Int64), a)
	case connectors.JSON:
		return c.call(n, impl{name: "len.json", fn: func(v []any) (any, error) { return jsonLength(v[0].(string)) }}, of(connectors.Int64), a)
	case connectors.Invalid:
		return c.constant(n, nil, of(connectors.Int64))
	}
	c.fail(n, "%s has no length", a.typ.name())
	return nil
}
