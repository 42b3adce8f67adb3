package schema

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
)

// Base is one of AresDB's data types, or Other for the types this warehouse has
// beside them.
type Base uint8

// The base types; in the order of their numbers on the wire.
const (
	Other Base = iota
	Bool
	Int8
	Uint8
	Int16
	Uint16
	Int32
	Uint32
	Float32
	SmallEnum
	BigEnum
	UUID
	GeoPoint
	GeoShape
	Int64
)

// Type is a column's data type.
type Type struct {
	Base  Base
	Array bool            // of Base
	other connectors.Type // where Base is Other
}

// baseInfo describes a base type: its bits on the wire, and what it is in rows.
type baseInfo struct {
	name string
	bits uint32
	kind connectors.Kind
}

func infos() [Int64 + 1]baseInfo {
	return [...]baseInfo{
		Other: {}, Bool: {"Bool", 1, connectors.Bool},
		Int8: {"Int8", 8, connectors.Int8}, Uint8: {"Uint8", 8, connectors.Uint8},
		Int16: {"Int16", 16, connectors.Int16}, Uint16: {"Uint16", 16, connectors.Uint16},
		Int32: {"Int32", 32, connectors.Int32}, Uint32: {"Uint32", 32, connectors.Uint32},
		Float32: {"Float32", 32, connectors.Float32}, SmallEnum: {"SmallEnum", 8, connectors.Enum}, BigEnum: {"BigEnum", 16, connectors.Enum},
		UUID: {"UUID", 128, connectors.UUID}, GeoPoint: {"GeoPoint", 64, connectors.Text}, GeoShape: {"GeoShape", 0, connectors.Text},
		Int64: {"Int64", 64, connectors.Int64},
	}
}

// otherNames are the types beside AresDB's.
func otherNames() map[string]connectors.Kind {
	return map[string]connectors.Kind{
		"Uint64": connectors.Uint64, "Float64": connectors.Float64, "Decimal": connectors.Decimal, "Numeric": connectors.Numeric,
		"String": connectors.Text, "Bytes": connectors.Bytes, "Date": connectors.Date, "Time": connectors.Time,
		"Timestamp": connectors.Timestamp, "TimestampTZ": connectors.TimestampTZ, "Interval": connectors.Interval,
		"JSON": connectors.JSON, "Enum": connectors.Enum, "Array": connectors.Array,
	}
}

// Of is the base type by itself.
func Of(b Base) Type { return Type{Base: b} }

// Is says whether the type is the base type itself, no array of it.
func (t Type) Is(b Base) bool { return t.Base == b && !t.Array }

// Code is the type's number on the wire, 0 for a type that AresDB does not have.
func (t Type) Code() uint32 {
	if t.Base == Other {
		return 0
	}
	code := uint32(t.Base-Bool)<<16 | infos()[t.Base].bits
	if t.Array {
		code |= 1 << 24
	}
	return code
}

// TypeOfCode is the inverse of Code.
func TypeOfCode(code uint32) (Type, bool) {
	t := Type{Base: Base(code>>16) + Bool, Array: code>>24&1 == 1}
	if code>>25 != 0 || t.Base > Int64 || t.Code() != code || t.Array && t.Base == GeoShape {
		return Type{}, false
	}
	return t, true
}

// Bits is the width of a value on the wire, 0 where it varies.
func (t Type) Bits() int {
	if t.Array {
		return 0
	}
	return int(infos()[t.Base].bits)
}

// IsEnum says whether the type has a dictionary of cases.
func (t Type) IsEnum() bool { return t.Base == SmallEnum || t.Base == BigEnum }

// Capacity is how many cases an enum has at most.
func (t Type) Capacity() int {
	switch t.Base {
	case SmallEnum:
		return 1 << 8
	case BigEnum:
		return 1 << 16
	}
	return 0
}

// IsNumeric says whether values can be added and compared by an upsert.
func (t Type) IsNumeric() bool {
	if t.Array {
		return false
	}
	switch t.Base {
	case Int8, Uint8, Int16, Uint16, Int32, Uint32, Int64, Float32:
		return true
	case Other:
		k := t.other.Kind
		return k == connectors.Uint64 || k == connectors.Float64
	}
	return false
}

// keyable says whether the type can be part of a primary key, or sort an archive.
func (t Type) keyable() bool {
	if t.Array || t.Base == GeoShape {
		return false
	}
	return t.Base != Other || t.other.Kind != connectors.Array && t.other.Kind != connectors.JSON
}

// Read is the logical type that readers see: the strings of enums, text of geo
// types and JSON text of arrays. Cases may be nil.
func (t Type) Read(cases []string) connectors.Type {
	switch {
	case t.Base == Other:
		return t.other
	case t.Array:
		elem := Type{Base: t.Base}.Read(cases)
		return connectors.Type{Kind: connectors.Array, Elem: &elem}
	case t.IsEnum():
		return connectors.Type{Kind: connectors.Enum, Values: cases}
	}
	return connectors.Type{Kind: infos()[t.Base].kind}
}

// Stored is the logical type that is kept: the number of an enum's case, else Read's.
func (t Type) Stored() connectors.Type {
	if !t.Array {
		switch t.Base {
		case SmallEnum:
			return connectors.Type{Kind: connectors.Uint8}
		case BigEnum:
			return connectors.Type{Kind: connectors.Uint16}
		}
	}
	return t.Read(nil)
}

// FromLogical is the type of a column that a load brings. Enums of a database
// stay text: their cases are not this warehouse's.
func FromLogical(l connectors.Type) Type {
	if l.Kind == connectors.Array && l.Elem != nil {
		if elem := FromLogical(*l.Elem); elem.Base != Other && !elem.Array {
			return Type{Base: elem.Base, Array: true}
		}
	}
	if l.Kind == connectors.Bool || l.Kind == connectors.UUID || l.Kind == connectors.Float32 || l.Kind.IsInteger() {
		for b, info := range infos() {
			if info.kind == l.Kind && Base(b) != Other {
				return Type{Base: Base(b)}
			}
		}
	}
	return Type{other: l}
}

// Name spells the type so that ParseType gives it back: Uint32, SmallEnum[],
// String(40,fixed), Decimal(12,2), Timestamp(6), Time(3,wide), JSON(parsed),
// Enum("a","b"), Decimal(10,2)[].
func (t Type) Name() string {
	if t.Base != Other {
		if t.Array {
			return infos()[t.Base].name + "[]"
		}
		return infos()[t.Base].name
	}
	return logicalName(t.other)
}

func logicalName(l connectors.Type) string {
	if l.Kind == connectors.Array && l.Elem != nil {
		return FromLogical(*l.Elem).Name() + "[]"
	}
	name := ""
	for n, k := range otherNames() {
		if k == l.Kind {
			name = n
		}
	}
	var params []string
	switch l.Kind {
	case connectors.Decimal:
		params = []string{strconv.Itoa(l.Precision), strconv.Itoa(l.Scale)}
	case connectors.Enum:
		for _, v := range l.Values {
			text, _ := json.Marshal(v)
			params = append(params, string(text))
		}
	default:
		if n := max(l.Length, l.Precision); n > 0 {
			params = append(params, strconv.Itoa(n))
		}
		for _, flag := range []struct {
			on   bool
			name string
		}{{l.Fixed, "fixed"}, {l.Wide, "wide"}, {l.Parsed, "parsed"}} {
			if flag.on {
				params = append(params, flag.name)
			}
		}
	}
	if len(params) == 0 {
		return name
	}
	return name + "(" + strings.Join(params, ",") + ")"
}

// ParseType is the inverse of Name. AresDB's arrays are of AresDB's types; the
// array of another type is what a load brought.
func ParseType(name string) (Type, bool) {
	if elem, ok := strings.CutSuffix(name, "[]"); ok {
		t, ok := ParseType(elem)
		switch {
		case !ok:
			return Type{}, false
		case t.Base == GeoShape:
			return Type{}, false
		case t.Base != Other && !t.Array:
			return Type{Base: t.Base, Array: true}, true
		}
		l := t.Read(nil)
		return Type{other: connectors.Type{Kind: connectors.Array, Elem: &l}}, true
	}
	for b, info := range infos() {
		if Base(b) != Other && info.name == name {
			return Type{Base: Base(b)}, true
		}
	}
	base, rest, hasParams := strings.Cut(name, "(")
	kind, ok := otherNames()[base]
	if !ok {
		return Type{}, false
	}
	l := connectors.Type{Kind: kind}
	if hasParams {
		params, closed := strings.CutSuffix(rest, ")")
		if !closed || !parseParams(&l, params) {
			return Type{}, false
		}
	}
	if kind == connectors.Decimal && connectors.NewDecimal(l.Precision, l.Scale).Kind != connectors.Decimal {
		return Type{}, false
	}
	return Type{other: l}, true
}

func parseParams(l *connectors.Type, params string) bool {
	if l.Kind == connectors.Enum {
		return json.Unmarshal([]byte("["+params+"]"), &l.Values) == nil
	}
	for i, p := range strings.Split(params, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(p))
		isText := l.Kind == connectors.Text || l.Kind == connectors.Bytes
		switch {
		case p == "fixed" && isText:
			l.Fixed = true
		case p == "wide" && l.Kind == connectors.Time:
			l.Wide = true
		case p == "parsed" && l.Kind == connectors.JSON:
			l.Parsed = true
		case err != nil || n < 0:
			return false
		case i == 1 && l.Kind == connectors.Decimal:
			l.Scale = n
		case i == 0 && isText:
			l.Length = n
		case i == 0 && slices.Contains([]connectors.Kind{connectors.Decimal, connectors.Time, connectors.Timestamp, connectors.TimestampTZ}, l.Kind):
			l.Precision = n
		default:
			return false
		}
	}
	return true
}
