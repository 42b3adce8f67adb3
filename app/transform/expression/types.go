package expression

import (
	"arus/connectors"
)

// typ is the type of an expression. Soft ones belong to constants, which take
// the type of what they meet: 0.2 is a decimal beside a decimal and a float
// beside a float, '2024-01-01' is a date beside a date. The kind Invalid is that
// of None.
type typ struct {
	connectors.Type
	soft bool
}

func of(kind connectors.Kind) typ { return typ{Type: connectors.Type{Kind: kind}} }

// class is the kind that stands for those whose values behave alike.
func (t typ) class() connectors.Kind {
	switch k := t.Kind; {
	case k == connectors.Uint64, k == connectors.Decimal:
		return connectors.Numeric
	case k.IsInteger():
		return connectors.Int64
	case k == connectors.Float32:
		return connectors.Float64
	case k == connectors.Enum:
		return connectors.Text
	default:
		return k
	}
}

func (t typ) isNull() bool { return t.Kind == connectors.Invalid }

func (t typ) isNumber() bool {
	switch t.class() {
	case connectors.Int64, connectors.Float64, connectors.Numeric:
		return true
	}
	return false
}

func (t typ) isTime() bool {
	switch t.Kind {
	case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
		return true
	}
	return false
}

// name is the type for people.
func (t typ) name() string {
	if t.isNull() {
		return "None"
	}
	return t.Type.String()
}

// digits are the precision and scale that hold every value of an integer or
// decimal type; ok is false for numerics.
func (t typ) digits() (precision, scale int, ok bool) {
	switch t.Kind {
	case connectors.Decimal:
		return t.Precision, t.Scale, true
	case connectors.Bool:
		return 1, 0, true
	case connectors.Int8, connectors.Uint8:
		return 3, 0, true
	case connectors.Int16, connectors.Uint16:
		return 5, 0, true
	case connectors.Int32, connectors.Uint32:
		return 10, 0, true
	case connectors.Int64:
		return 19, 0, true
	case connectors.Uint64:
		return 20, 0, true
	}
	return 0, 0, false
}

// general is the type without what only one column declares.
func (t typ) general() typ {
	g := typ{Type: connectors.Type{Kind: t.class()}, soft: t.soft}
	switch t.Kind {
	case connectors.Decimal:
		g.Type = t.Type
	case connectors.Uint64:
		g.Type = connectors.NewDecimal(20, 0)
	case connectors.Array:
		g.Elem = t.Elem
	case connectors.JSON:
		g.Parsed = t.Parsed
	}
	return g
}

// final is the type that a column of such values has.
func (t typ) final() connectors.Type {
	if t.soft && t.class() == connectors.Numeric {
		return connectors.Type{Kind: connectors.Float64}
	}
	return t.Type
}

// decimalSum, decimalProduct and so on are the types of exact results.
func decimalSum(a, b typ) connectors.Type {
	p1, s1, ok1 := a.digits()
	p2, s2, ok2 := b.digits()
	if !ok1 || !ok2 {
		return connectors.Type{Kind: connectors.Numeric}
	}
	s := max(s1, s2)
	return connectors.NewDecimal(max(p1-s1, p2-s2)+s+1, s)
}

func decimalProduct(a, b typ) connectors.Type {
	p1, s1, ok1 := a.digits()
	p2, s2, ok2 := b.digits()
	if !ok1 || !ok2 {
		return connectors.Type{Kind: connectors.Numeric}
	}
	return connectors.NewDecimal(p1+p2, s1+s2)
}

// Digits after the point that a division has beyond those of its operands, for
// decimals, and for numerics and constants, whose digits are not bounded.
const (
	divisionDigits = 6
	numericDigits  = 20
)

func decimalQuotient(a, b typ) connectors.Type {
	p1, s1, ok1 := a.digits()
	_, s2, ok2 := b.digits()
	if !ok1 || !ok2 {
		return connectors.Type{Kind: connectors.Numeric}
	}
	s := max(s1, s2) + divisionDigits
	if a.soft && b.soft {
		s = max(s1, s2) + numericDigits
	}
	return connectors.NewDecimal(p1-s1+s2+s, s)
}

func decimalCommon(a, b typ) connectors.Type {
	p1, s1, ok1 := a.digits()
	p2, s2, ok2 := b.digits()
	if !ok1 || !ok2 {
		return connectors.Type{Kind: connectors.Numeric}
	}
	s := max(s1, s2)
	return connectors.NewDecimal(max(p1-s1, p2-s2)+s, s)
}

// common is the type that holds the values of both; ok is false when there is none.
func common(a, b typ) (typ, bool) {
	switch {
	case a.isNull():
		return b, true
	case b.isNull():
		return a, true
	case a.Type.Equal(b.Type) && a.soft == b.soft && a.Kind != connectors.Array:
		return a, true
	case a.isNumber() && b.isNumber():
		return commonNumber(a, b)
	case a.class() == b.class():
		g := a.general()
		g.soft = a.soft && b.soft
		if a.Kind == connectors.Array && (a.Elem == nil || b.Elem == nil || !a.Elem.Equal(*b.Elem)) {
			g.Elem = nil
		}
		return g, true
	}
	text := func(t typ) bool { return t.class() == connectors.Text && t.soft }
	switch {
	case text(b) && (a.isTime() || a.Kind == connectors.Time || a.Kind == connectors.UUID || a.Kind == connectors.Interval):
		return a.general(), true
	case text(a) && (b.isTime() || b.Kind == connectors.Time || b.Kind == connectors.UUID || b.Kind == connectors.Interval):
		return b.general(), true
	case a.Kind == connectors.UUID && b.class() == connectors.Text, b.Kind == connectors.UUID && a.class() == connectors.Text:
		return of(connectors.Text), true
	case a.Kind == connectors.Date && b.Kind == connectors.Timestamp, b.Kind == connectors.Date && a.Kind == connectors.Timestamp:
		return of(connectors.Timestamp), true
	}
	return typ{}, false
}

func commonNumber(a, b typ) (typ, bool) {
	ac, bc := a.class(), b.class()
	if ac == bc {
		switch ac {
		case connectors.Int64:
			return typ{Type: connectors.Type{Kind: connectors.Int64}, soft: a.soft && b.soft}, true
		case connectors.Float64:
			return of(connectors.Float64), true
		}
		return typ{Type: decimalCommon(a, b), soft: a.soft && b.soft}, true
	}
	softDecimal := func(t typ) bool { return t.soft && t.class() == connectors.Numeric }
	switch {
	case softDecimal(a) && b.soft, softDecimal(b) && a.soft: // constants both
		return typ{Type: decimalCommon(a, b), soft: true}, true
	case softDecimal(a) || softDecimal(b): // 1.5 beside an integer or a float
		return of(connectors.Float64), true
	case ac == connectors.Float64 && bc == connectors.Int64, bc == connectors.Float64 && ac == connectors.Int64:
		return of(connectors.Float64), true
	case ac == connectors.Float64 || bc == connectors.Float64:
		return typ{}, false // a decimal never becomes a float by itself
	}
	return typ{Type: decimalCommon(a, b)}, true
}
