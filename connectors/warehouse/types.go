package warehouse

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"arus/connectors"
)

// Type names are AresDB's where it has the type, and beside them what it lacks.
// Parameters stand in parentheses; an array is its element's name with [].
var kindNames = map[connectors.Kind]string{
	connectors.Bool: "Bool", connectors.Int8: "Int8", connectors.Int16: "Int16", connectors.Int32: "Int32", connectors.Int64: "Int64",
	connectors.Uint8: "Uint8", connectors.Uint16: "Uint16", connectors.Uint32: "Uint32", connectors.Uint64: "Uint64",
	connectors.Float32: "Float32", connectors.Float64: "Float64", connectors.Decimal: "Decimal", connectors.Numeric: "Numeric",
	connectors.Text: "String", connectors.Bytes: "Bytes", connectors.Date: "Date", connectors.Time: "Time",
	connectors.Timestamp: "Timestamp", connectors.TimestampTZ: "TimestampTZ", connectors.Interval: "Interval",
	connectors.UUID: "UUID", connectors.JSON: "JSON", connectors.Enum: "Enum", connectors.Array: "Array",
}

// typeName spells a type so that parseType gives it back with all parameters:
// String(40,fixed), Decimal(12,2), Timestamp(6), Time(3,wide), JSON(parsed),
// Enum("a","b"), Int32[].
func typeName(t connectors.Type) string {
	if t.Kind == connectors.Array && t.Elem != nil {
		return typeName(*t.Elem) + "[]"
	}
	var params []string
	switch t.Kind {
	case connectors.Decimal:
		params = []string{strconv.Itoa(t.Precision), strconv.Itoa(t.Scale)}
	case connectors.Enum:
		for _, v := range t.Values {
			text, _ := json.Marshal(v)
			params = append(params, string(text))
		}
	default:
		if n := max(t.Length, t.Precision); n > 0 {
			params = append(params, strconv.Itoa(n))
		}
		for _, flag := range []struct {
			on   bool
			name string
		}{{t.Fixed, "fixed"}, {t.Wide, "wide"}, {t.Parsed, "parsed"}} {
			if flag.on {
				params = append(params, flag.name)
			}
		}
	}
	if len(params) == 0 {
		return kindNames[t.Kind]
	}
	return kindNames[t.Kind] + "(" + strings.Join(params, ",") + ")"
}

// parseType is the inverse of typeName.
func parseType(name string) (connectors.Type, error) {
	unknown := func() (connectors.Type, error) {
		return connectors.Type{}, fmt.Errorf("the schema has an unknown type %q", name)
	}
	if elem, ok := strings.CutSuffix(name, "[]"); ok {
		t, err := parseType(elem)
		return connectors.Type{Kind: connectors.Array, Elem: &t}, err
	}
	base, rest, hasParams := strings.Cut(name, "(")
	var t connectors.Type
	for kind, n := range kindNames {
		if n == base {
			t.Kind = kind
		}
	}
	if t.Kind == connectors.Invalid {
		return unknown()
	}
	if !hasParams {
		return t, nil
	}
	params, ok := strings.CutSuffix(rest, ")")
	if !ok {
		return unknown()
	}
	if t.Kind == connectors.Enum {
		if json.Unmarshal([]byte("["+params+"]"), &t.Values) != nil {
			return unknown()
		}
		return t, nil
	}
	for i, p := range strings.Split(params, ",") {
		n, err := strconv.Atoi(p)
		switch {
		case p == "fixed":
			t.Fixed = true
		case p == "wide":
			t.Wide = true
		case p == "parsed":
			t.Parsed = true
		case err != nil || n < 0:
			return unknown()
		case i == 1:
			t.Scale = n
		case t.Kind == connectors.Text || t.Kind == connectors.Bytes:
			t.Length = n
		default:
			t.Precision = n
		}
	}
	return t, nil
}

// holds says whether a column of type have can take every value of type want
// without a change to what is stored.
func holds(have, want connectors.Type) bool {
	switch {
	case have.Equal(want):
		return true
	case have.Kind.IsInteger() && want.Kind.IsInteger():
		low, high := intRange(have.Kind)
		wantLow, wantHigh := intRange(want.Kind)
		return low <= wantLow && high >= wantHigh
	case have.Kind == connectors.Float64 && want.Kind == connectors.Float32:
		return true
	case have.Kind == connectors.Decimal && want.Kind == connectors.Decimal:
		return have.Scale == want.Scale && have.Precision >= want.Precision && classOf(have) == classOf(want)
	case have.Kind == connectors.Numeric && (want.Kind == connectors.Decimal || want.Kind.IsInteger()):
		return false // another form on disk
	case have.Kind == connectors.Text && (want.Kind == connectors.Text || want.Kind == connectors.Enum):
		return have.Length == 0 || want.Kind == connectors.Text && want.Length > 0 && want.Length <= have.Length
	case have.Kind == want.Kind:
		// The rest differs in declarations that bind no stored value: fractional
		// digits, the members of an enum, the length of bytes.
		return have.Kind != connectors.Time || have.Wide || !want.Wide
	}
	return false
}

func intRange(k connectors.Kind) (low int64, high uint64) {
	bits := map[connectors.Kind]uint{
		connectors.Int8: 8, connectors.Int16: 16, connectors.Int32: 32, connectors.Int64: 64,
		connectors.Uint8: 8, connectors.Uint16: 16, connectors.Uint32: 32, connectors.Uint64: 64,
	}[k]
	if k >= connectors.Uint8 {
		return 0, 1<<bits - 1
	}
	return -1 << (bits - 1), 1<<(bits-1) - 1
}
