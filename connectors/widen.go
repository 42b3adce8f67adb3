package connectors

import "slices"

// Widen gives the smallest type that holds every value of a and of b unchanged
// in meaning; ok is false when there is none:
//
//	int8 < int16 < int32 < int64 < decimal < numeric; an unsigned integer is
//	held by the next larger signed one, uint64 by decimal(20,0)
//	decimals grow to the integer digits and the scale of both
//	float32 < float64
//	text and bytes grow to the greater length; fixed ones of two lengths lose
//	their padding
//	times, timestamps to the finer fraction; an enum to one that starts with
//	the other's values; arrays by their elements
func Widen(a, b Type) (Type, bool) {
	switch {
	case a.Equal(b):
		return a, true
	case isExact(a.Kind) && isExact(b.Kind):
		return widenExact(a, b), true
	case isFloat(a.Kind) && isFloat(b.Kind):
		return Type{Kind: max(a.Kind, b.Kind)}, true
	case a.Kind != b.Kind:
		return Type{}, false
	}
	switch a.Kind {
	case Text, Bytes:
		t := Type{Kind: a.Kind, Fixed: a.Fixed && b.Fixed && a.Length == b.Length}
		if a.Length > 0 && b.Length > 0 {
			t.Length = max(a.Length, b.Length)
		}
		return t, true
	case Time, Timestamp, TimestampTZ:
		return Type{Kind: a.Kind, Precision: max(a.Precision, b.Precision), Wide: a.Wide || b.Wide}, true
	case Enum:
		short, long := a, b
		if len(short.Values) > len(long.Values) {
			short, long = long, short
		}
		return long, slices.Equal(short.Values, long.Values[:len(short.Values)])
	case JSON: // the spelling is kept where either database keeps it
		return Type{Kind: JSON}, true
	case Array:
		if a.Elem == nil || b.Elem == nil {
			return Type{Kind: Array}, true
		}
		elem, ok := Widen(*a.Elem, *b.Elem)
		return Type{Kind: Array, Elem: &elem}, ok
	}
	return a, true // parameters of other kinds say nothing about their values
}

func isExact(k Kind) bool { return k.IsInteger() || k == Decimal || k == Numeric }
func isFloat(k Kind) bool { return k == Float32 || k == Float64 }

// integerDigits are the decimal digits that an integer kind may take.
var integerDigits = map[Kind]int{Int8: 3, Int16: 5, Int32: 10, Int64: 19, Uint8: 3, Uint16: 5, Uint32: 10, Uint64: 20}

func widenExact(a, b Type) Type {
	if a.Kind.IsInteger() && b.Kind.IsInteger() {
		return widenInteger(a.Kind, b.Kind)
	}
	if a.Kind == Numeric || b.Kind == Numeric {
		return Type{Kind: Numeric}
	}
	whole := func(t Type) int {
		if t.Kind == Decimal {
			return t.Precision - t.Scale
		}
		return integerDigits[t.Kind]
	}
	scale := max(a.Scale, b.Scale)
	return NewDecimal(max(whole(a), whole(b))+scale, scale)
}

func widenInteger(a, b Kind) Type {
	if unsigned(a) == unsigned(b) {
		return Type{Kind: max(a, b)}
	}
	signed, other := a, b
	if unsigned(signed) {
		signed, other = b, a
	}
	if other == Uint64 {
		return NewDecimal(integerDigits[Uint64], 0)
	}
	return Type{Kind: max(signed, other-Uint8+Int16)}
}

func unsigned(k Kind) bool { return k >= Uint8 && k <= Uint64 }
