package postgres

import (
	"strconv"

	"arus/connectors"
)

// pgType is a row of pg_type as far as mapping needs it.
type pgType struct {
	oid    uint32
	name   string
	system bool   // of pg_catalog
	kind   byte   // typtype: b base, d domain, e enum, c composite, r range, p pseudo
	base   uint32 // of a domain
	typmod int32  // of a domain
	elem   uint32 // of an array
	array  bool
	labels []string
}

// maxVarchar is the longest length varchar(n) and char(n) may declare.
const maxVarchar = 10485760

// logical maps a type with its modifier. What has no logical kind of its own is
// text, read by the server's own conversion.
func logical(types map[uint32]pgType, oid uint32, typmod int32) connectors.Type {
	t, ok := types[oid]
	for ok && t.kind == 'd' {
		if t.typmod >= 0 {
			typmod = t.typmod
		}
		t, ok = types[t.base]
	}
	switch {
	case !ok:
		return connectors.Type{Kind: connectors.Text}
	case t.kind == 'e':
		return connectors.Type{Kind: connectors.Enum, Values: t.labels}
	case t.array:
		elem := logical(types, t.elem, typmod)
		return connectors.Type{Kind: connectors.Array, Elem: &elem}
	case !t.system:
		return connectors.Type{Kind: connectors.Text}
	}
	switch t.name {
	case "bool":
		return connectors.Type{Kind: connectors.Bool}
	case "int2":
		return connectors.Type{Kind: connectors.Int16}
	case "int4":
		return connectors.Type{Kind: connectors.Int32}
	case "int8":
		return connectors.Type{Kind: connectors.Int64}
	case "float4":
		return connectors.Type{Kind: connectors.Float32}
	case "float8":
		return connectors.Type{Kind: connectors.Float64}
	case "numeric":
		if typmod < 4 {
			return connectors.Type{Kind: connectors.Numeric}
		}
		precision, scale := int(typmod-4)>>16&0xffff, (int(typmod-4)&0x7ff^1024)-1024
		return connectors.NewDecimal(precision, scale)
	case "money": // its text has a currency sign and a locale, its number has neither
		return connectors.Type{Kind: connectors.Numeric}
	case "varchar":
		return connectors.Type{Kind: connectors.Text, Length: max(int(typmod)-4, 0)}
	case "bpchar":
		return connectors.Type{Kind: connectors.Text, Length: max(int(typmod)-4, 0), Fixed: typmod > 4}
	case "bytea":
		return connectors.Type{Kind: connectors.Bytes}
	case "date":
		return connectors.Type{Kind: connectors.Date}
	case "time":
		return connectors.Type{Kind: connectors.Time, Precision: fraction(typmod)}
	case "timestamp":
		return connectors.Type{Kind: connectors.Timestamp, Precision: fraction(typmod)}
	case "timestamptz":
		return connectors.Type{Kind: connectors.TimestampTZ, Precision: fraction(typmod)}
	case "interval":
		return connectors.Type{Kind: connectors.Interval}
	case "uuid":
		return connectors.Type{Kind: connectors.UUID}
	case "json":
		return connectors.Type{Kind: connectors.JSON}
	case "jsonb":
		return connectors.Type{Kind: connectors.JSON, Parsed: true}
	}
	return connectors.Type{Kind: connectors.Text}
}

// fraction is the number of fractional digits of a time type; without a
// modifier PostgreSQL keeps six.
func fraction(typmod int32) int {
	if typmod < 0 || typmod > 6 {
		return 6
	}
	return int(typmod)
}

// native is the type a column of this logical type gets in a target.
func native(t connectors.Type) string {
	switch t.Kind {
	case connectors.Bool:
		return "boolean"
	case connectors.Int8, connectors.Int16, connectors.Uint8:
		return "smallint"
	case connectors.Int32, connectors.Uint16:
		return "integer"
	case connectors.Int64, connectors.Uint32:
		return "bigint"
	case connectors.Uint64:
		return "numeric(20,0)"
	case connectors.Float32:
		return "real"
	case connectors.Float64:
		return "double precision"
	case connectors.Decimal:
		return "numeric(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")"
	case connectors.Numeric:
		return "numeric"
	case connectors.Bytes:
		return "bytea"
	case connectors.Date:
		return "date"
	case connectors.Time:
		if t.Wide {
			return "interval"
		}
		return "time" + digits(t.Precision) + " without time zone"
	case connectors.Timestamp:
		return "timestamp" + digits(t.Precision) + " without time zone"
	case connectors.TimestampTZ:
		return "timestamp" + digits(t.Precision) + " with time zone"
	case connectors.Interval:
		return "interval"
	case connectors.UUID:
		return "uuid"
	case connectors.JSON:
		if t.Parsed {
			return "jsonb"
		}
		return "json"
	case connectors.Array:
		return "jsonb"
	case connectors.Text:
		switch {
		case t.Length <= 0 || t.Length > maxVarchar:
			return "text"
		case t.Fixed:
			return "character(" + strconv.Itoa(t.Length) + ")"
		}
		return "character varying(" + strconv.Itoa(t.Length) + ")"
	}
	return "text" // enum and whatever is spelled as text
}

// digits declares fractional seconds only where they are fewer than the type's
// own six; zero may also mean "not declared", and six hold either.
func digits(precision int) string {
	if precision <= 0 || precision >= 6 {
		return ""
	}
	return "(" + strconv.Itoa(precision) + ")"
}

// selectExpr reads a column in the binary form that the decoder of its logical
// kind expects, whatever the column's own type is.
func selectExpr(c connectors.Column) string {
	name := ident(c.Name)
	switch c.Type.Kind {
	case connectors.Bool:
		return name + "::pg_catalog.bool"
	case connectors.Int8, connectors.Int16, connectors.Uint8:
		return name + "::pg_catalog.int2"
	case connectors.Int32, connectors.Uint16:
		return name + "::pg_catalog.int4"
	case connectors.Int64, connectors.Uint32:
		return name + "::pg_catalog.int8"
	case connectors.Uint64, connectors.Decimal, connectors.Numeric:
		return name + "::pg_catalog.numeric"
	case connectors.Float32:
		return name + "::pg_catalog.float4"
	case connectors.Float64:
		return name + "::pg_catalog.float8"
	case connectors.Bytes:
		return name + "::pg_catalog.bytea"
	case connectors.Date:
		return name + "::pg_catalog.date"
	case connectors.Time:
		if c.Type.Wide {
			return name + "::pg_catalog.interval"
		}
		return name + "::pg_catalog.time"
	case connectors.Timestamp:
		return name + "::pg_catalog.timestamp"
	case connectors.TimestampTZ:
		return name + "::pg_catalog.timestamptz"
	case connectors.UUID:
		return name + "::pg_catalog.uuid"
	case connectors.Array:
		return "pg_catalog.to_json(" + name + ")::pg_catalog.text"
	}
	return name + "::pg_catalog.text"
}

// narrows says why writing values of type from into a column of type to would
// lose something without the server saying so; "" when it would not. What the
// server itself refuses needs no word here.
func narrows(from, to connectors.Type) string {
	lossy := from.String() + " does not fit " + to.String()
	switch {
	case from.Kind == connectors.Decimal && to.Kind == connectors.Decimal && from.Scale > to.Scale,
		(from.Kind == connectors.Numeric) && to.Kind == connectors.Decimal,
		(from.Kind == connectors.Decimal && from.Scale > 0 || from.Kind == connectors.Numeric) && to.Kind.IsInteger(),
		(from.Kind == connectors.Decimal || from.Kind == connectors.Numeric) && isFloat(to.Kind),
		isFloat(from.Kind) && (to.Kind.IsInteger() || to.Kind == connectors.Decimal || to.Kind == connectors.Numeric),
		from.Kind == connectors.Float64 && to.Kind == connectors.Float32,
		from.Kind.IsInteger() && to.Kind == connectors.Float32 && from.Kind >= connectors.Int32,
		from.Kind.IsInteger() && to.Kind == connectors.Float64 && (from.Kind == connectors.Int64 || from.Kind == connectors.Uint64),
		from.Kind == connectors.Timestamp && to.Kind != connectors.Timestamp && temporal(to.Kind),
		from.Kind == connectors.TimestampTZ && to.Kind != connectors.TimestampTZ && temporal(to.Kind),
		from.Kind == connectors.Date && to.Kind == connectors.TimestampTZ,
		from.Kind == connectors.Interval && to.Kind == connectors.Time,
		temporal(from.Kind) && from.Kind == to.Kind && to.Precision > 0 && to.Precision < 6 && (from.Precision == 0 || from.Precision > to.Precision):
		return lossy
	}
	return ""
}

func isFloat(k connectors.Kind) bool { return k == connectors.Float32 || k == connectors.Float64 }

func temporal(k connectors.Kind) bool {
	return k == connectors.Date || k == connectors.Time || k == connectors.Timestamp || k == connectors.TimestampTZ
}
