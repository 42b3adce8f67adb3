package warehouse

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"arus/connectors"
)

// Keys, sort columns and the bounds of a read are compared as bytes: every value
// has a form whose memcmp order is the value's own, and which ends by itself, so
// that the forms of several columns stand one after the other.

// orderer appends the ordered form of row i.
type orderer func(dst []byte, i int) []byte

// newOrderer gives the ordered form of an array of the given stored type. With
// nulls a byte goes before: 0 for a null, which sorts first, 1 for a value.
func newOrderer(arr arrow.Array, t connectors.Type, nulls bool) (orderer, error) {
	put, err := plainOrderer(arr, t)
	if err != nil || !nulls {
		return put, err
	}
	return func(dst []byte, i int) []byte {
		if arr.IsNull(i) {
			return append(dst, 0)
		}
		return put(append(dst, 1), i)
	}, nil
}

func plainOrderer(arr arrow.Array, t connectors.Type) (orderer, error) {
	switch a := arr.(type) {
	case *array.Boolean:
		return func(dst []byte, i int) []byte {
			if a.Value(i) {
				return append(dst, 1)
			}
			return append(dst, 0)
		}, nil
	case *array.Int8:
		return func(dst []byte, i int) []byte { return append(dst, uint8(a.Value(i))^0x80) }, nil
	case *array.Int16:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint16(dst, uint16(a.Value(i))^1<<15) }, nil
	case *array.Int32:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint32(dst, uint32(a.Value(i))^1<<31) }, nil
	case *array.Int64:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint64(dst, uint64(a.Value(i))^1<<63) }, nil
	case *array.Uint8:
		return func(dst []byte, i int) []byte { return append(dst, a.Value(i)) }, nil
	case *array.Uint16:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint16(dst, a.Value(i)) }, nil
	case *array.Uint32:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint32(dst, a.Value(i)) }, nil
	case *array.Uint64:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint64(dst, a.Value(i)) }, nil
	case *array.Float32:
		return func(dst []byte, i int) []byte { return orderFloat(dst, float64(a.Value(i))) }, nil
	case *array.Float64:
		return func(dst []byte, i int) []byte { return orderFloat(dst, a.Value(i)) }, nil
	case *array.Decimal128:
		return func(dst []byte, i int) []byte { return orderDecimal128(dst, a.Value(i)) }, nil
	case *array.Decimal256:
		return func(dst []byte, i int) []byte { return orderDecimal256(dst, a.Value(i)) }, nil
	case *array.Date32:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint32(dst, uint32(a.Value(i))^1<<31) }, nil
	case *array.Time64:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint64(dst, uint64(a.Value(i))^1<<63) }, nil
	case *array.Timestamp:
		return func(dst []byte, i int) []byte { return binary.BigEndian.AppendUint64(dst, uint64(a.Value(i))^1<<63) }, nil
	case *array.FixedSizeBinary:
		return func(dst []byte, i int) []byte { return append(dst, a.Value(i)...) }, nil
	case *array.Binary:
		return func(dst []byte, i int) []byte { return orderBytes(dst, a.Value(i)) }, nil
	case *array.String:
		if t.Kind == connectors.Numeric {
			return func(dst []byte, i int) []byte { return orderNumeric(dst, a.Value(i)) }, nil
		}
		return func(dst []byte, i int) []byte { return orderBytes(dst, a.Value(i)) }, nil
	}
	return nil, fmt.Errorf("no order for Arrow type %s", arr.DataType())
}

// orderFloat has -0 as 0, and NaN above all.
func orderFloat(dst []byte, f float64) []byte {
	bits := math.Float64bits(f)
	switch {
	case f == 0:
		bits = 1 << 63
	case math.IsNaN(f):
		bits = math.MaxUint64
	case bits>>63 == 1:
		bits = ^bits
	default:
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}

// NaN, which is the lowest number of a decimal's Arrow form, sorts above all.
func orderDecimal128(dst []byte, n decimal128.Num) []byte {
	if n == connectors.DecimalNaN128 {
		return append(dst, bytes.Repeat([]byte{0xff}, 16)...)
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(n.HighBits())^1<<63)
	return binary.BigEndian.AppendUint64(dst, n.LowBits())
}

func orderDecimal256(dst []byte, n decimal256.Num) []byte {
	if n == connectors.DecimalNaN256 {
		return append(dst, bytes.Repeat([]byte{0xff}, 32)...)
	}
	words := n.Array()
	dst = binary.BigEndian.AppendUint64(dst, words[3]^1<<63)
	for i := 2; i >= 0; i-- {
		dst = binary.BigEndian.AppendUint64(dst, words[i])
	}
	return dst
}

// orderBytes ends with 0 1, and has 0 255 for a zero byte.
func orderBytes[T string | []byte](dst []byte, s T) []byte {
	for i := range len(s) {
		if dst = append(dst, s[i]); s[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 1)
}

// orderNumeric orders decimal text of any length by its number: sign, exponent
// of the first digit, digits. What is no number sorts last, as text.
func orderNumeric(dst []byte, s string) []byte {
	const minusInf, minus, zero, plus, plusInf, notNumber, text = 0, 1, 2, 3, 4, 5, 6
	switch s {
	case nan:
		return append(dst, notNumber)
	case "Infinity":
		return append(dst, plusInf)
	case "-Infinity":
		return append(dst, minusInf)
	}
	if _, ok := parseNumber(s); !ok {
		return orderBytes(append(dst, text), s)
	}
	negative := strings.HasPrefix(s, "-")
	mantissa, exponent := strings.TrimLeft(s, "+-"), 0
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		exponent, _ = strconv.Atoi(mantissa[i+1:])
		mantissa = mantissa[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent += len(whole)
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent -= len(whole) + len(fraction) - len(digits)
	digits = strings.TrimRight(digits, "0")
	if digits == "" {
		return append(dst, zero)
	}
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, plus), uint32(int32(exponent))^1<<31)
	dst = append(append(dst, digits...), 0)
	if negative {
		dst[start] = minus
		for i := start + 1; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}

// rowKey is a key in 16 bytes: the ordered form itself where every key of the
// table has one length that fits, else a hash of it that nobody finds a second
// key for.
type rowKey [16]byte

// keyer makes the keys of a table's rows.
type keyer struct {
	exact bool
}

func newKeyer(types []connectors.Type) keyer {
	size := 0
	for _, t := range types {
		switch t.Kind {
		case connectors.Numeric, connectors.Text, connectors.Bytes, connectors.Enum, connectors.Interval, connectors.JSON, connectors.Array:
			return keyer{}
		case connectors.Decimal:
			if size += 16; t.Precision > connectors.MaxDecimal128 {
				size += 16
			}
		case connectors.UUID:
			size += 16
		case connectors.Bool, connectors.Int8, connectors.Uint8:
			size++
		case connectors.Int16, connectors.Uint16:
			size += 2
		case connectors.Int32, connectors.Uint32, connectors.Date:
			size += 4
		default:
			size += 8
		}
	}
	return keyer{exact: size <= 16}
}

func (k keyer) key(ordered []byte) rowKey {
	if k.exact {
		var out rowKey
		copy(out[:], ordered)
		return out
	}
	sum := sha256.Sum256(ordered)
	return rowKey(sum[:16])
}

// hash spreads a key over 64 bits.
func (k rowKey) hash() uint64 {
	a, b := binary.LittleEndian.Uint64(k[:]), binary.LittleEndian.Uint64(k[8:])
	h := (a ^ b>>32 ^ b<<32) * 0x9e3779b97f4a7c15
	h ^= h >> 32
	h = (h ^ b) * 0xd6e8feb86659fd93
	return h ^ h>>32
}
