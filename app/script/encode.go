package script

import (
	"encoding/binary"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// The range of Python's dates and datetimes; values outside it travel as their text.
const (
	minDay, maxDay     = -719162, 2932896 // 0001-01-01 to 9999-12-31
	minStamp, maxStamp = int64(minDay) * 86_400_000_000, (int64(maxDay)+1)*86_400_000_000 - 1
)

// appendBatch writes a batch as the worker reads it: the number of rows, then by column the rows that are null, the values
// packed, and the values that Python has no type for, as text.
func appendBatch(dst []byte, batch arrow.RecordBatch, columns []connectors.Column) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(batch.NumRows()))
	for i, c := range columns {
		arr := batch.Column(i)
		dst = appendNulls(dst, arr)
		var odd []int32
		dst, odd = appendValues(dst, arr, c.Type)
		dst = appendBlock(dst, bytesOf(odd))
		dst = appendTexts(dst, len(odd), func(dst []byte, n int) []byte { return connectors.AppendValue(dst, arr, c.Type, int(odd[n])) })
	}
	return dst
}

func appendNulls(dst []byte, arr arrow.Array) []byte {
	var nulls []int32
	if arr.NullN() > 0 {
		for i := range arr.Len() {
			if arr.IsNull(i) {
				nulls = append(nulls, int32(i))
			}
		}
	}
	return appendBlock(dst, bytesOf(nulls))
}

// appendValues packs the values of a column and lists the rows that need their text.
func appendValues(dst []byte, arr arrow.Array, t connectors.Type) ([]byte, []int32) {
	var odd []int32
	switch a := arr.(type) {
	case *array.Boolean:
		dst = binary.LittleEndian.AppendUint32(dst, uint32(a.Len()))
		for i := range a.Len() {
			b := byte(0)
			if a.IsValid(i) && a.Value(i) {
				b = 1
			}
			dst = append(dst, b)
		}
	case *array.Int8:
		dst = appendBlock(dst, bytesOf(a.Int8Values()))
	case *array.Int16:
		dst = appendBlock(dst, bytesOf(a.Int16Values()))
	case *array.Int32:
		dst = appendBlock(dst, bytesOf(a.Int32Values()))
	case *array.Int64:
		dst = appendBlock(dst, bytesOf(a.Int64Values()))
	case *array.Uint8:
		dst = appendBlock(dst, a.Uint8Values())
	case *array.Uint16:
		dst = appendBlock(dst, bytesOf(a.Uint16Values()))
	case *array.Uint32:
		dst = appendBlock(dst, bytesOf(a.Uint32Values()))
	case *array.Uint64:
		dst = appendBlock(dst, bytesOf(a.Uint64Values()))
	case *array.Float32:
		dst = appendBlock(dst, bytesOf(a.Float32Values()))
	case *array.Float64:
		dst = appendBlock(dst, bytesOf(a.Float64Values()))
	case *array.Date32:
		dst = appendBlock(dst, bytesOf(a.Date32Values()))
		for i, v := range a.Date32Values() {
			if (v < minDay || v > maxDay) && a.IsValid(i) {
				odd = append(odd, int32(i))
			}
		}
	case *array.Timestamp:
		dst = appendBlock(dst, bytesOf(a.TimestampValues()))
		for i, v := range a.TimestampValues() {
			if (int64(v) < minStamp || int64(v) > maxStamp) && a.IsValid(i) {
				odd = append(odd, int32(i))
			}
		}
	case *array.Time64:
		dst = appendBlock(dst, bytesOf(a.Time64Values()))
	case *array.FixedSizeBinary: // uuid
		dst = binary.LittleEndian.AppendUint32(dst, uint32(16*a.Len()))
		for i := range a.Len() {
			if a.IsValid(i) {
				dst = append(dst, a.Value(i)...)
			} else {
				dst = append(dst, make([]byte, 16)...)
			}
		}
	case *array.String:
		dst = appendTexts(dst, a.Len(), func(dst []byte, i int) []byte {
			if a.IsNull(i) {
				return dst
			}
			return append(dst, a.Value(i)...)
		})
	case *array.Binary:
		dst = appendTexts(dst, a.Len(), func(dst []byte, i int) []byte {
			if a.IsNull(i) {
				return dst
			}
			return append(dst, a.Value(i)...)
		})
	default: // decimals
		dst = appendTexts(dst, a.Len(), func(dst []byte, i int) []byte {
			if a.IsNull(i) {
				return dst
			}
			return connectors.AppendValue(dst, a, t, i)
		})
	}
	return dst, odd
}

func appendBlock(dst, block []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(block))), block...)
}

// appendTexts writes n values of any length: a block of offsets, then a block of what they point into.
func appendTexts(dst []byte, n int, value func([]byte, int) []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(4*(n+1)))
	offsets := len(dst)
	dst = append(dst, make([]byte, 4*(n+1)+4)...)
	start := len(dst)
	for i := range n {
		dst = value(dst, i)
		binary.LittleEndian.PutUint32(dst[offsets+4*(i+1):], uint32(len(dst)-start))
	}
	binary.LittleEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst
}

// bytesOf is the memory of a slice of numbers: every system that Arus runs on is little-endian, as the frames are.
func bytesOf[T any](values []T) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
}
