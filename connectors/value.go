package connectors

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// AppendValue writes the value at row i of arr in canonical text (see Bound):
// the same text for equal values, whatever database they come from. Bytes are
// base64. A null writes nothing; ask arr.IsNull first.
func AppendValue(dst []byte, arr arrow.Array, t Type, i int) []byte {
	switch a := arr.(type) {
	case *array.Boolean:
		return strconv.AppendBool(dst, a.Value(i))
	case *array.Int8:
		return strconv.AppendInt(dst, int64(a.Value(i)), 10)
	case *array.Int16:
		return strconv.AppendInt(dst, int64(a.Value(i)), 10)
	case *array.Int32:
		return strconv.AppendInt(dst, int64(a.Value(i)), 10)
	case *array.Int64:
		return strconv.AppendInt(dst, a.Value(i), 10)
	case *array.Uint8:
		return strconv.AppendUint(dst, uint64(a.Value(i)), 10)
	case *array.Uint16:
		return strconv.AppendUint(dst, uint64(a.Value(i)), 10)
	case *array.Uint32:
		return strconv.AppendUint(dst, uint64(a.Value(i)), 10)
	case *array.Uint64:
		return strconv.AppendUint(dst, a.Value(i), 10)
	case *array.Float32:
		return appendFloat(dst, float64(a.Value(i)), 32)
	case *array.Float64:
		return appendFloat(dst, a.Value(i), 64)
	case *array.Decimal128:
		return AppendDecimal128(dst, a.Value(i), t.Scale)
	case *array.Decimal256:
		return AppendDecimal256(dst, a.Value(i), t.Scale)
	case *array.String:
		return append(dst, a.Value(i)...)
	case *array.Binary:
		return base64.StdEncoding.AppendEncode(dst, a.Value(i))
	case *array.Date32:
		return AppendDate(dst, a.Value(i))
	case *array.Time64:
		return AppendTime(dst, a.Value(i))
	case *array.Timestamp:
		ts := a.Value(i)
		dst = AppendTimestamp(dst, ts, 'T')
		if t.Kind == TimestampTZ && ts != TimestampInfinity && ts != TimestampMinInfinity {
			dst = append(dst, 'Z')
		}
		return dst
	case *array.FixedSizeBinary:
		return AppendUUID(dst, a.Value(i))
	}
	panic(fmt.Sprintf("connectors: no text form for Arrow type %s", arr.DataType()))
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// AppendUUID writes 16 bytes as 8-4-4-4-12 lower-case hex digits.
func AppendUUID(dst, u []byte) []byte {
	for i, part := range [...][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, u[part[0]:part[1]])
	}
	return dst
}

// AppendRowJSON writes row i as one JSON object, exactly: integers and finite
// floats are numbers; decimals, numerics, dates, times, uuids and non-finite
// floats are strings in canonical text; bytes are base64 strings; json and
// array columns are nested as they are; null is null, but a json column that is
// NULL is left out, so that what stands there as null is the JSON null.
func AppendRowJSON(dst []byte, batch arrow.RecordBatch, columns []Column, i int) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for c, col := range columns {
		if col.Type.Kind == JSON && batch.Column(c).IsNull(i) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = AppendJSONString(dst, col.Name)
		dst = append(dst, ':')
		dst = appendJSONValue(dst, batch.Column(c), col.Type, i)
	}
	return append(dst, '}')
}

func appendJSONValue(dst []byte, arr arrow.Array, t Type, i int) []byte {
	if arr.IsNull(i) {
		return append(dst, "null"...)
	}
	switch {
	case t.Kind == Bool, t.Kind.IsInteger(), t.Kind == JSON, t.Kind == Array:
		return AppendValue(dst, arr, t, i)
	case t.Kind == Float32:
		if f := float64(arr.(*array.Float32).Value(i)); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return appendFloat(dst, f, 32)
		}
	case t.Kind == Float64:
		if f := arr.(*array.Float64).Value(i); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return appendFloat(dst, f, 64)
		}
	case t.Kind == Text, t.Kind == Enum, t.Kind == Numeric, t.Kind == Interval:
		return AppendJSONString(dst, arr.(*array.String).Value(i))
	}
	dst = append(dst, '"')
	dst = AppendValue(dst, arr, t, i)
	return append(dst, '"')
}

// AppendJSONString writes s as a JSON string; invalid UTF-8 becomes U+FFFD.
func AppendJSONString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
