package engine

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// appendComparable writes a value such that the forms two databases keep one
// value in become the same text: a zone that the other side has no type for, a
// boolean kept as a number, trailing zeros of a decimal, the blanks of char(n),
// the spelling of JSON. It never makes different values equal.
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

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return json.Number(plainDecimal(v.String()))
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
