package segment

import (
	"encoding/binary"
	"fmt"

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

func putDecimal128(dst []byte, n decimal128.Num) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(n.HighBits())), n.LowBits())
}

func getDecimal128(b []byte) decimal128.Num {
	return decimal128.New(int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:]))
}

func putDecimal256(dst []byte, n decimal256.Num) []byte {
	words := n.Array()
	for i := range words {
		dst = binary.BigEndian.AppendUint64(dst, words[len(words)-1-i])
	}
	return dst
}

func getDecimal256(b []byte) decimal256.Num {
	w := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return decimal256.New(w(0), w(1), w(2), w(3))
}
