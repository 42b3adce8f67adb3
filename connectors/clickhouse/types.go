package clickhouse

import (
	"encoding/json"
	"strconv"
	"strings"

	"arus/connectors"
)

// A logical type is kept in the server's type where that can hold every value
// of it, else exactly as text:
//
//	bool          Bool (21.12), UInt8 before
//	int, uint     Int8..Int64, UInt8..UInt64
//	float         Float32, Float64, NaN and infinities included
//	decimal(p,s)  Decimal(p, s) to 38 digits, to 76 since 21.6; more is String
//	numeric       String, the exact text
//	text, bytes   String; LowCardinality(String) for short fixed text (20.1)
//	enum          LowCardinality(String) (20.1), String before
//	date          Date32 (21.9). Before, String as 2006-01-02: Date holds 1970 to
//	              2105 only, and the type is decided before the values are seen
//	timestamp(tz) DateTime64(6, 'UTC') (20.5). Before, String with all six
//	              fractional digits, so that text order is time order
//	time, interval, json, array  String
//	uuid          UUID
//
// Date32 and DateTime64 end where the server's calendar ends (see years): values
// beyond are an error that names the column. What the server's type does not say
// of the logical one stands in the column's comment.

// version is what is known of the server's version.
type version struct{ major, minor int }

func (v version) atLeast(major, minor int) bool {
	return v.major > major || v.major == major && v.minor >= minor
}

func (v version) hasBool() bool           { return v.atLeast(21, 12) }
func (v version) hasWideDecimal() bool    { return v.atLeast(21, 6) }
func (v version) hasDate32() bool         { return v.atLeast(21, 9) }
func (v version) hasDateTime64() bool     { return v.atLeast(20, 5) } // with conversions from and to microseconds
func (v version) hasLowCardinality() bool { return v.atLeast(20, 1) }

// years is the first and the last year of Date32 and DateTime64.
func (v version) years() (first, last int) {
	switch {
	case v.atLeast(22, 8):
		return 1900, 2299
	case v.atLeast(21, 4):
		return 1925, 2283
	}
	return 1970, 2105
}

// lowCardinalityText is the longest fixed text that is likely to repeat: codes
// of countries, currencies, states.
const lowCardinalityText = 8

// native is the type of a column without Nullable.
func (v version) native(t connectors.Type) string {
	switch t.Kind {
	case connectors.Bool:
		if v.hasBool() {
			return "Bool"
		}
		return "UInt8"
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		return "Int" + strconv.Itoa(8<<(t.Kind-connectors.Int8))
	case connectors.Uint8, connectors.Uint16, connectors.Uint32, connectors.Uint64:
		return "UInt" + strconv.Itoa(8<<(t.Kind-connectors.Uint8))
	case connectors.Float32:
		return "Float32"
	case connectors.Float64:
		return "Float64"
	case connectors.Decimal:
		if t.Precision <= connectors.MaxDecimal128 || v.hasWideDecimal() {
			return "Decimal(" + strconv.Itoa(t.Precision) + ", " + strconv.Itoa(t.Scale) + ")"
		}
	case connectors.Date:
		if v.hasDate32() {
			return "Date32"
		}
	case connectors.Timestamp, connectors.TimestampTZ:
		if v.hasDateTime64() {
			return "DateTime64(6, 'UTC')"
		}
	case connectors.UUID:
		return "UUID"
	case connectors.Enum:
		if v.hasLowCardinality() {
			return "LowCardinality(String)"
		}
	case connectors.Text:
		if v.hasLowCardinality() && t.Fixed && t.Length > 0 && t.Length <= lowCardinalityText {
			return "LowCardinality(String)"
		}
	}
	return "String"
}

// columnType is the full type of a column. Key columns cannot be Nullable, and
// gain nothing from a dictionary.
func (v version) columnType(c connectors.Column, key bool) string {
	native := v.native(c.Type)
	inner, dictionary := strings.CutPrefix(native, "LowCardinality(")
	inner = strings.TrimSuffix(inner, ")")
	switch {
	case key && dictionary:
		return inner
	case key || !c.Nullable:
		return native
	case dictionary:
		return "LowCardinality(Nullable(" + inner + "))"
	}
	return "Nullable(" + native + ")"
}

// nativeType is a column's type taken apart.
type nativeType struct {
	base             string // String, Decimal, DateTime64, ...
	args             []string
	nullable         bool
	precision, scale int // Decimal, DateTime64 (scale), FixedString (precision)
}

// parseNative takes the server's spelling of a type apart.
func parseNative(s string) nativeType {
	var t nativeType
	for {
		inner, ok := strings.CutPrefix(s, "LowCardinality(")
		if !ok {
			if inner, ok = strings.CutPrefix(s, "Nullable("); !ok {
				break
			}
			t.nullable = true
		}
		s = strings.TrimSuffix(inner, ")")
	}
	var args string
	t.base, args, _ = strings.Cut(strings.TrimSuffix(s, ")"), "(")
	if args != "" {
		t.args = splitArgs(args)
	}
	number := func(i int) int {
		if i >= len(t.args) {
			return 0
		}
		n, _ := strconv.Atoi(t.args[i])
		return n
	}
	switch t.base {
	case "Decimal":
		t.precision, t.scale = number(0), number(1)
	case "Decimal32", "Decimal64", "Decimal128", "Decimal256":
		t.precision = map[string]int{"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}[t.base]
		t.base, t.scale = "Decimal", number(0)
	case "DateTime64":
		t.scale = number(0)
	case "FixedString":
		t.precision = number(0)
	}
	return t
}

// splitArgs splits at the commas outside quotes and brackets.
func splitArgs(s string) []string {
	var parts []string
	depth, start := 0, 0
	quoted := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted != 0 && c == '\\':
			i++
		case quoted != 0:
			if c == quoted {
				quoted = 0
			}
		case c == '\'' || c == '`' || c == '"':
			quoted = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(s[start:]))
}

// unquote undoes the server's quoting of a name or a text; ok is false when s
// does not stand in the quotes.
func unquote(s string, quote byte) (string, bool) {
	if len(s) < 2 || s[0] != quote || s[len(s)-1] != quote {
		return s, false
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
			if special := strings.IndexByte("bfnrt0", s[i]); special >= 0 {
				b.WriteByte("\b\f\n\r\t\x00"[special])
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// logical is the type that a native one stands for by itself.
func logical(t nativeType) connectors.Type {
	switch t.base {
	case "Bool":
		return connectors.Type{Kind: connectors.Bool}
	case "Int8":
		return connectors.Type{Kind: connectors.Int8}
	case "Int16":
		return connectors.Type{Kind: connectors.Int16}
	case "Int32":
		return connectors.Type{Kind: connectors.Int32}
	case "Int64":
		return connectors.Type{Kind: connectors.Int64}
	case "UInt8":
		return connectors.Type{Kind: connectors.Uint8}
	case "UInt16":
		return connectors.Type{Kind: connectors.Uint16}
	case "UInt32":
		return connectors.Type{Kind: connectors.Uint32}
	case "UInt64":
		return connectors.Type{Kind: connectors.Uint64}
	case "Float32":
		return connectors.Type{Kind: connectors.Float32}
	case "Float64":
		return connectors.Type{Kind: connectors.Float64}
	case "Decimal":
		return connectors.NewDecimal(t.precision, t.scale)
	case "Int128", "Int256", "UInt128", "UInt256":
		return connectors.Type{Kind: connectors.Numeric}
	case "Date", "Date32":
		return connectors.Type{Kind: connectors.Date}
	case "DateTime":
		return connectors.Type{Kind: connectors.TimestampTZ}
	case "DateTime64":
		if t.scale > 6 { // nanoseconds have no logical kind: the server's text keeps them
			return connectors.Type{Kind: connectors.Text}
		}
		return connectors.Type{Kind: connectors.TimestampTZ, Precision: t.scale}
	case "UUID":
		return connectors.Type{Kind: connectors.UUID}
	case "FixedString":
		return connectors.Type{Kind: connectors.Bytes, Length: t.precision, Fixed: true}
	case "Enum8", "Enum16":
		var values []string
		for _, arg := range t.args {
			if at := strings.LastIndexByte(arg, '\''); at >= 0 {
				label, _ := unquote(arg[:at+1], '\'')
				values = append(values, label)
			}
		}
		return connectors.Type{Kind: connectors.Enum, Values: values}
	}
	return connectors.Type{Kind: connectors.Text}
}

const commentMark = "arus:"

// typeNote is the form of a logical type in a column's comment.
type typeNote struct {
	Kind      string    `json:"kind"`
	Precision int       `json:"precision,omitempty"`
	Scale     int       `json:"scale,omitempty"`
	Length    int       `json:"length,omitempty"`
	Fixed     bool      `json:"fixed,omitempty"`
	Values    []string  `json:"values,omitempty"`
	Elem      *typeNote `json:"elem,omitempty"`
	Wide      bool      `json:"wide,omitempty"`
	Parsed    bool      `json:"parsed,omitempty"`
}

func noteOf(t connectors.Type) typeNote {
	note := typeNote{Kind: t.Kind.String(), Precision: t.Precision, Scale: t.Scale, Length: t.Length, Fixed: t.Fixed, Values: t.Values, Wide: t.Wide, Parsed: t.Parsed}
	if t.Elem != nil {
		elem := noteOf(*t.Elem)
		note.Elem = &elem
	}
	return note
}

func (n typeNote) logical() connectors.Type {
	t := connectors.Type{Kind: connectors.ParseKind(n.Kind), Precision: n.Precision, Scale: n.Scale, Length: n.Length, Fixed: n.Fixed, Values: n.Values, Wide: n.Wide, Parsed: n.Parsed}
	if n.Elem != nil {
		elem := n.Elem.logical()
		t.Elem = &elem
	}
	return t
}

// comment is what the native type leaves unsaid; empty when it says all.
func comment(native string, t connectors.Type) (string, error) {
	if logical(parseNative(native)).Equal(t) {
		return "", nil
	}
	data, err := json.Marshal(noteOf(t))
	return commentMark + string(data), err
}

// readColumn gives a column's logical type by its comment, unless somebody
// changed the native type to one that cannot keep it.
func readColumn(native, note string) connectors.Type {
	parsed := parseNative(native)
	own := logical(parsed)
	data, ok := strings.CutPrefix(note, commentMark)
	if !ok {
		return own
	}
	var n typeNote
	if err := json.Unmarshal([]byte(data), &n); err != nil {
		return own
	}
	t := n.logical()
	if parsed.base == "String" && t.Kind != connectors.Invalid || keeps(t, parsed) {
		return t
	}
	return own
}

// keeps says whether a native type other than text is one that values of t are
// written to.
func keeps(t connectors.Type, n nativeType) bool {
	switch t.Kind {
	case connectors.Bool:
		return n.base == "Bool" || n.base == "UInt8"
	case connectors.Date:
		return n.base == "Date32"
	case connectors.Timestamp, connectors.TimestampTZ:
		return n.base == "DateTime64" && n.scale == 6
	case connectors.Decimal:
		return n.base == "Decimal" && n.scale == t.Scale && n.precision >= t.Precision
	case connectors.UUID:
		return n.base == "UUID"
	case connectors.Float32:
		return n.base == "Float32" || n.base == "Float64"
	case connectors.Float64:
		return n.base == "Float64"
	}
	if t.Kind.IsInteger() {
		return widens(t.Kind, n.base)
	}
	return false
}

// widens says whether an integer kind fits the native integer type.
func widens(k connectors.Kind, base string) bool {
	to := logical(nativeType{base: base}).Kind
	switch {
	case !to.IsInteger():
		return false
	case k >= connectors.Uint8 && to >= connectors.Uint8, k < connectors.Uint8 && to < connectors.Uint8:
		return to >= k
	case k >= connectors.Uint8: // unsigned into signed
		return to-connectors.Int8 > k-connectors.Uint8
	}
	return false
}

// accepts says whether values of type t can be written to an existing column
// without loss: have is the column's logical type by its comment.
func accepts(t connectors.Type, have connectors.Type, n nativeType) bool {
	if n.base == "String" {
		if have.Kind == t.Kind {
			return t.Kind != connectors.Decimal || have.Scale == t.Scale && have.Precision >= t.Precision
		}
		switch t.Kind { // these are text in any case, so a text column reads the same
		case connectors.Text, connectors.Enum, connectors.JSON, connectors.Array, connectors.Numeric, connectors.Interval:
			return have.Kind == connectors.Text
		}
		return false
	}
	if (t.Kind == connectors.Timestamp || t.Kind == connectors.TimestampTZ) && have.Kind != t.Kind {
		return false
	}
	return keeps(t, n)
}
