package connectors

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// Kind is a logical type without its parameters. The set is closed.
type Kind uint8

// The logical kinds.
const (
	Invalid Kind = iota
	Bool
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Float32
	Float64
	Decimal
	Numeric
	Text
	Bytes
	Date
	Time
	Timestamp
	TimestampTZ
	Interval
	UUID
	JSON
	Enum
	Array
)

var kindNames = [...]string{
	Invalid: "invalid", Bool: "bool", Int8: "int8", Int16: "int16", Int32: "int32", Int64: "int64",
	Uint8: "uint8", Uint16: "uint16", Uint32: "uint32", Uint64: "uint64", Float32: "float32", Float64: "float64",
	Decimal: "decimal", Numeric: "numeric", Text: "text", Bytes: "bytes", Date: "date", Time: "time",
	Timestamp: "timestamp", TimestampTZ: "timestamptz", Interval: "interval", UUID: "uuid", JSON: "json",
	Enum: "enum", Array: "array",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// ParseKind is the inverse of Kind.String; Invalid for an unknown name.
func ParseKind(name string) Kind {
	for k, n := range kindNames {
		if n == name {
			return Kind(k)
		}
	}
	return Invalid
}

// IsInteger says whether the kind is one of the eight integer kinds.
func (k Kind) IsInteger() bool { return k >= Int8 && k <= Uint64 }

// Limits of the decimal Arrow forms, in digits. A declared decimal with more
// digits, a negative scale or a scale above its precision is a Numeric.
const (
	MaxDecimal128 = 38
	MaxDecimal256 = 76
)

// DecimalNaN128 and DecimalNaN256 stand for NaN in decimal columns: the
// smallest value of the two's complement form, outside any valid precision.
var (
	DecimalNaN128 = decimal128.New(math.MinInt64, 0)
	DecimalNaN256 = decimal256.New(1<<63, 0, 0, 0)
)

// Infinite dates and timestamps.
const (
	DateInfinity         = arrow.Date32(math.MaxInt32)
	DateMinusInfinity    = arrow.Date32(math.MinInt32)
	TimestampInfinity    = arrow.Timestamp(math.MaxInt64)
	TimestampMinInfinity = arrow.Timestamp(math.MinInt64)
)

// Type is a logical type with its parameters. The zero parameters mean
// "not declared".
type Type struct {
	Kind      Kind
	Precision int      // decimal: digits; time, timestamp, timestamptz: fractional digits 0-6
	Scale     int      // decimal: digits after the point
	Length    int      // text: characters; bytes: bytes; 0 = unbounded
	Fixed     bool     // text, bytes: padded to Length (char(n), binary(n))
	Values    []string // enum: the permitted values in order
	Elem      *Type    // array: the element type
	Wide      bool     // time: a signed span that may exceed a day (MySQL TIME)
	Parsed    bool     // json: the database keeps the parsed form (jsonb, MySQL JSON), not the spelling
}

// NewDecimal gives the decimal type, or numeric where the digits exceed the
// Arrow forms.
func NewDecimal(precision, scale int) Type {
	if precision < 1 || precision > MaxDecimal256 || scale < 0 || scale > precision {
		return Type{Kind: Numeric}
	}
	return Type{Kind: Decimal, Precision: precision, Scale: scale}
}

// Arrow is the type's Arrow form (see the package comment).
func (t Type) Arrow() arrow.DataType {
	switch t.Kind {
	case Bool:
		return arrow.FixedWidthTypes.Boolean
	case Int8:
		return arrow.PrimitiveTypes.Int8
	case Int16:
		return arrow.PrimitiveTypes.Int16
	case Int32:
		return arrow.PrimitiveTypes.Int32
	case Int64:
		return arrow.PrimitiveTypes.Int64
	case Uint8:
		return arrow.PrimitiveTypes.Uint8
	case Uint16:
		return arrow.PrimitiveTypes.Uint16
	case Uint32:
		return arrow.PrimitiveTypes.Uint32
	case Uint64:
		return arrow.PrimitiveTypes.Uint64
	case Float32:
		return arrow.PrimitiveTypes.Float32
	case Float64:
		return arrow.PrimitiveTypes.Float64
	case Decimal:
		if t.Precision <= MaxDecimal128 {
			return &arrow.Decimal128Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
		}
		return &arrow.Decimal256Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
	case Bytes:
		return arrow.BinaryTypes.Binary
	case Date:
		return arrow.FixedWidthTypes.Date32
	case Time:
		return arrow.FixedWidthTypes.Time64us
	case Timestamp:
		return &arrow.TimestampType{Unit: arrow.Microsecond}
	case TimestampTZ:
		return arrow.FixedWidthTypes.Timestamp_us
	case UUID:
		return &arrow.FixedSizeBinaryType{ByteWidth: 16}
	default:
		return arrow.BinaryTypes.String
	}
}

// String renders the type for people and logs: decimal(12,2), text(40), enum('a','b'), array(int32).
func (t Type) String() string {
	name := t.Kind.String()
	switch t.Kind {
	case Decimal:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case Text, Bytes:
		if t.Length > 0 && t.Fixed {
			return fmt.Sprintf("%s(%d) fixed", name, t.Length)
		}
		if t.Length > 0 {
			return fmt.Sprintf("%s(%d)", name, t.Length)
		}
	case Enum:
		quoted := make([]string, len(t.Values))
		for i, v := range t.Values {
			quoted[i] = "'" + strings.ReplaceAll(v, "'", "''") + "'"
		}
		return "enum(" + strings.Join(quoted, ",") + ")"
	case Array:
		if t.Elem != nil {
			return "array(" + t.Elem.String() + ")"
		}
	case Time:
		if t.Wide {
			return "time wide"
		}
	}
	return name
}

// Equal compares two types with all their parameters.
func (t Type) Equal(o Type) bool {
	return t.String() == o.String() && t.Precision == o.Precision && t.Parsed == o.Parsed
}

// Schema is the Arrow schema of the columns; every field is nullable, because
// nullability is the destination's constraint, not the batch's.
func Schema(columns []Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}
