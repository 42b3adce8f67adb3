package segment

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/parquet-go/parquet-go"

	"arus/connectors"
)

// How many digits of a decimal an INT32 and an INT64 hold.
const (
	maxTiny  = 9
	maxShort = 18
)

// nodeOf is the Parquet type of a logical type.
func nodeOf(t connectors.Type) (parquet.Node, error) {
	switch t.Kind {
	case connectors.Bool:
		return parquet.Leaf(parquet.BooleanType), nil
	case connectors.Int8:
		return parquet.Int(8), nil
	case connectors.Int16:
		return parquet.Int(16), nil
	case connectors.Int32:
		return parquet.Int(32), nil
	case connectors.Int64:
		return parquet.Int(64), nil
	case connectors.Uint8:
		return parquet.Uint(8), nil
	case connectors.Uint16:
		return parquet.Uint(16), nil
	case connectors.Uint32:
		return parquet.Uint(32), nil
	case connectors.Uint64:
		return parquet.Uint(64), nil
	case connectors.Float32:
		return parquet.Leaf(parquet.FloatType), nil
	case connectors.Float64:
		return parquet.Leaf(parquet.DoubleType), nil
	case connectors.Decimal:
		switch {
		case t.Precision <= maxTiny:
			return parquet.Decimal(t.Scale, t.Precision, parquet.Int32Type), nil
		case t.Precision <= maxShort:
			return parquet.Decimal(t.Scale, t.Precision, parquet.Int64Type), nil
		case t.Precision <= connectors.MaxDecimal128:
			return parquet.Decimal(t.Scale, t.Precision, parquet.FixedLenByteArrayType(16)), nil
		}
		return parquet.Decimal(t.Scale, t.Precision, parquet.FixedLenByteArrayType(32)), nil
	case connectors.Numeric, connectors.Text, connectors.Enum, connectors.Interval:
		return parquet.String(), nil
	case connectors.JSON, connectors.Array:
		return parquet.JSON(), nil
	case connectors.Bytes:
		return parquet.Leaf(parquet.ByteArrayType), nil
	case connectors.Date:
		return parquet.Date(), nil
	case connectors.Time:
		return parquet.TimeAdjusted(parquet.Microsecond, false), nil
	case connectors.Timestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, false), nil
	case connectors.TimestampTZ:
		return parquet.TimestampAdjusted(parquet.Microsecond, true), nil
	case connectors.UUID:
		return parquet.UUID(), nil
	}
	return nil, fmt.Errorf("no Parquet type for %s", t)
}

// root is a file's schema with its columns in their order; parquet.Group sorts
// them by name.
type root struct {
	parquet.Group
	fields []parquet.Field
}

func (r root) Fields() []parquet.Field { return r.fields }

// GoType is asked for by nobody who writes columns; names may be any.
func (r root) GoType() reflect.Type { return reflect.TypeFor[struct{}]() }

type field struct {
	parquet.Node
	name string
}

func (f field) Name() string { return f.name }

// Value belongs to rows of Go values, which are not used.
func (f field) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// valuer gives the values of an array as Parquet values; nulls are asked for
// before.
func valuer(arr arrow.Array) (func(i int) parquet.Value, error) {
	switch a := arr.(type) {
	case *array.Boolean:
		return func(i int) parquet.Value { return parquet.BooleanValue(a.Value(i)) }, nil
	case *array.Int8:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(a.Value(i))) }, nil
	case *array.Int16:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(a.Value(i))) }, nil
	case *array.Int32:
		return func(i int) parquet.Value { return parquet.Int32Value(a.Value(i)) }, nil
	case *array.Int64:
		return func(i int) parquet.Value { return parquet.Int64Value(a.Value(i)) }, nil
	case *array.Uint8:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(a.Value(i))) }, nil
	case *array.Uint16:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(a.Value(i))) }, nil
	case *array.Uint32:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(a.Value(i))) }, nil
	case *array.Uint64:
		return func(i int) parquet.Value { return parquet.Int64Value(int64(a.Value(i))) }, nil
	case *array.Float32:
		return func(i int) parquet.Value { return parquet.FloatValue(a.Value(i)) }, nil
	case *array.Float64:
		return func(i int) parquet.Value { return parquet.DoubleValue(a.Value(i)) }, nil
	case *array.Decimal128:
		switch p := a.DataType().(*arrow.Decimal128Type).Precision; {
		case p <= maxTiny:
			return func(i int) parquet.Value { return parquet.Int32Value(tinyDecimal(a.Value(i))) }, nil
		case p <= maxShort:
			return func(i int) parquet.Value { return parquet.Int64Value(shortDecimal(a.Value(i))) }, nil
		}
		return func(i int) parquet.Value { return parquet.FixedLenByteArrayValue(putDecimal128(a.Value(i))) }, nil
	case *array.Decimal256:
		return func(i int) parquet.Value { return parquet.FixedLenByteArrayValue(putDecimal256(a.Value(i))) }, nil
	case *array.String:
		return func(i int) parquet.Value { return parquet.ByteArrayValue(unsafeBytes(a.Value(i))) }, nil
	case *array.Binary:
		return func(i int) parquet.Value { return parquet.ByteArrayValue(a.Value(i)) }, nil
	case *array.Date32:
		return func(i int) parquet.Value { return parquet.Int32Value(int32(a.Value(i))) }, nil
	case *array.Time64:
		return func(i int) parquet.Value { return parquet.Int64Value(int64(a.Value(i))) }, nil
	case *array.Timestamp:
		return func(i int) parquet.Value { return parquet.Int64Value(int64(a.Value(i))) }, nil
	case *array.FixedSizeBinary:
		return func(i int) parquet.Value { return parquet.FixedLenByteArrayValue(a.Value(i)) }, nil
	}
	return nil, fmt.Errorf("no Parquet form for Arrow type %s", arr.DataType())
}

// minTiny and minShort stand for NaN among decimals of up to 9 and 18 digits.
const (
	minTiny  = -1 << 31
	minShort = -1 << 63
)

func tinyDecimal(n decimal128.Num) int32 {
	if n == connectors.DecimalNaN128 {
		return minTiny
	}
	return int32(n.LowBits())
}

func wideDecimal(v int32) decimal128.Num {
	if v == minTiny {
		return connectors.DecimalNaN128
	}
	return decimal128.FromI64(int64(v))
}

func shortDecimal(n decimal128.Num) int64 {
	if n == connectors.DecimalNaN128 {
		return minShort
	}
	return int64(n.LowBits())
}

func longDecimal(v int64) decimal128.Num {
	if v == minShort {
		return connectors.DecimalNaN128
	}
	return decimal128.FromI64(v)
}

func putDecimal128(n decimal128.Num) []byte {
	b := make([]byte, 16)
	binary.BigEndian.PutUint64(b, uint64(n.HighBits()))
	binary.BigEndian.PutUint64(b[8:], n.LowBits())
	return b
}

func getDecimal128(b []byte) decimal128.Num {
	return decimal128.New(int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:]))
}

func putDecimal256(n decimal256.Num) []byte {
	b := make([]byte, 32)
	for i, w := range n.Array() {
		binary.BigEndian.PutUint64(b[8*(3-i):], w)
	}
	return b
}

func getDecimal256(b []byte) decimal256.Num {
	w := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return decimal256.New(w(0), w(1), w(2), w(3))
}
