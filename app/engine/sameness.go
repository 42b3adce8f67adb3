package engine

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// appendComparable writes a value such that the forms two databases keep one
// value in become the same text: a zone that the other side has no type for, a
// boolean kept as a number, trailing zeros of a decimal, the blanks of char(n),
// the sign of a zero, a span of time kept as an interval, the spelling of JSON.
// It never makes different values equal.
func appendComparable(dst []byte, arr arrow.Array, t, other connectors.Type, row int) []byte {
	start := len(dst)
	dst = connectors.AppendValue(dst, arr, t, row)
	switch {
	case t.Kind == connectors.TimestampTZ && other.Kind != connectors.TimestampTZ:
		return bytes.TrimSuffix(dst, []byte("Z"))
	case t.Kind == connectors.Bool && other.Kind.IsInteger():
		if string(dst[start:]) == "true" {
			return append(dst[:start], '1')
		}
		return append(dst[:start], '0')
	case t.Kind == connectors.Time && other.Kind == connectors.Interval:
		return append(dst[:start], spanAsInterval(string(dst[start:]))...)
	case (t.Kind == connectors.Float32 || t.Kind == connectors.Float64) && string(dst[start:]) == "-0":
		return append(dst[:start], '0')
	case isDecimal(t.Kind) && isDecimal(other.Kind) && t.Scale != other.Scale, t.Kind != other.Kind && isDecimal(t.Kind), t.Kind == connectors.Numeric:
		return append(dst[:start], plainDecimal(string(dst[start:]))...)
	case t.Kind == connectors.Text && isDecimal(other.Kind):
		return append(dst[:start], plainDecimal(string(dst[start:]))...)
	case t.Kind == connectors.Text && (t.Fixed || other.Fixed):
		return bytes.TrimRight(dst, " ")
	case isJSON(t.Kind) || isJSON(other.Kind):
		if plain, ok := plainJSON(dst[start:]); ok {
			return append(dst[:start], plain...)
		}
	}
	return dst
}

func isDecimal(k connectors.Kind) bool { return k == connectors.Decimal || k == connectors.Numeric }

func isJSON(k connectors.Kind) bool { return k == connectors.JSON || k == connectors.Array }

// plainDecimal drops zeros that do not change the value.
func plainDecimal(s string) string {
	if !strings.ContainsRune(s, '.') || strings.ContainsAny(s, "eE") {
		return s
	}
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" || s == "" {
		return "0"
	}
	return s
}

// spanAsInterval spells a time of day or a wide time as PostgreSQL does an
// interval of hours, minutes and seconds: -01:00:05.5 is PT-1H-5.5S.
func spanAsInterval(s string) string {
	digits, negative := strings.CutPrefix(s, "-")
	var b strings.Builder
	b.WriteString("PT")
	for i, part := range strings.SplitN(digits, ":", 3) {
		part = strings.TrimLeft(part, "0")
		switch {
		case part == "":
			continue
		case strings.HasPrefix(part, "."):
			part = "0" + part
		}
		if negative {
			b.WriteByte('-')
		}
		b.WriteString(part)
		b.WriteByte("HMS"[i])
	}
	if b.Len() == len("PT") {
		return "PT0S"
	}
	return b.String()
}

// plainJSON spells JSON in one way: sorted keys, no blanks, plain numbers.
func plainJSON(text []byte) ([]byte, bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		return nil, false
	}
	plain, err := json.Marshal(plainNumbers(v))
	return plain, err == nil
}

// plainNumber spells a JSON number as its digits and the power of ten behind
// them, without zeros at either end: 1.50, 15e-1 and 0.15e1 are 15e-1.
func plainNumber(s string) string {
	digits, negative := strings.CutPrefix(s, "-")
	mantissa, power := digits, 0
	if at := strings.IndexAny(digits, "eE"); at >= 0 {
		n, err := strconv.Atoi(digits[at+1:])
		if err != nil {
			return s // no database keeps such a number but as text
		}
		mantissa, power = digits[:at], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits, power = strings.TrimLeft(whole+fraction, "0"), power-len(fraction)
	for strings.HasSuffix(digits, "0") {
		digits, power = digits[:len(digits)-1], power+1
	}
	switch {
	case digits == "":
		return "0"
	case negative:
		digits = "-" + digits
	}
	return digits + "e" + strconv.Itoa(power)
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return json.Number(plainNumber(v.String()))
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	}
	return v
}
