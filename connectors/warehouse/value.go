package warehouse

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"arus/connectors"
)

// class is the form in which a type is stored; see the package comment.
type class uint8

const (
	classInt class = iota + 1
	classUint64
	classFloat
	classScaled // decimals of up to 18 digits
	classWide   // decimals of more
	classNumeric
	classText
	classBytes
	classDate
	classTime
	classTimestamp
	classUUID
)

// maxScaled is how many digits an INTEGER holds.
const maxScaled = 18

func classOf(t connectors.Type) class {
	switch t.Kind {
	case connectors.Uint64:
		return classUint64
	case connectors.Float32, connectors.Float64:
		return classFloat
	case connectors.Decimal:
		if t.Precision <= maxScaled {
			return classScaled
		}
		return classWide
	case connectors.Numeric:
		return classNumeric
	case connectors.Bytes:
		return classBytes
	case connectors.Date:
		return classDate
	case connectors.Time:
		return classTime
	case connectors.Timestamp, connectors.TimestampTZ:
		return classTimestamp
	case connectors.UUID:
		return classUUID
	}
	if t.Kind == connectors.Bool || t.Kind.IsInteger() {
		return classInt
	}
	return classText
}

const nan = "NaN"

// encoder gives the stored form of row i of an array.
type encoder func(i int) driver.Value

// newEncoder encodes an array of the type t for a column of the type stored,
// which holds t.
func newEncoder(arr arrow.Array, stored connectors.Type) (encoder, error) {
	var get encoder
	switch a := arr.(type) {
	case *array.Boolean:
		get = func(i int) driver.Value {
			if a.Value(i) {
				return int64(1)
			}
			return int64(0)
		}
	case *array.Int8:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Int16:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Int32:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Int64:
		get = func(i int) driver.Value { return a.Value(i) }
	case *array.Uint8:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Uint16:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Uint32:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Uint64:
		get = func(i int) driver.Value { return storeUint(a.Value(i)) }
	case *array.Float32:
		get = func(i int) driver.Value { return storeFloat(float64(a.Value(i))) }
	case *array.Float64:
		get = func(i int) driver.Value { return storeFloat(a.Value(i)) }
	case *array.Decimal128:
		wide := classOf(stored) == classWide
		get = func(i int) driver.Value { return storeDecimal128(a.Value(i), wide) }
	case *array.Decimal256:
		get = func(i int) driver.Value { return storeDecimal256(a.Value(i)) }
	case *array.String:
		get = func(i int) driver.Value { return a.Value(i) }
	case *array.Binary:
		get = func(i int) driver.Value { return storeBytes(a.Value(i)) }
	case *array.Date32:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Time64:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.Timestamp:
		get = func(i int) driver.Value { return int64(a.Value(i)) }
	case *array.FixedSizeBinary:
		get = func(i int) driver.Value { return string(connectors.AppendUUID(nil, a.Value(i))) }
	default:
		return nil, fmt.Errorf("no form for Arrow type %s", arr.DataType())
	}
	if arr.NullN() == 0 {
		return get, nil
	}
	return func(i int) driver.Value {
		if arr.IsNull(i) {
			return nil
		}
		return get(i)
	}, nil
}

func storeUint(v uint64) driver.Value {
	if v <= math.MaxInt64 {
		return int64(v)
	}
	return strconv.FormatUint(v, 10)
}

func storeFloat(f float64) driver.Value {
	if math.IsNaN(f) {
		return nan
	}
	return f
}

// storeBytes keeps an empty value apart from NULL, which the driver does not:
// it stands as an empty TEXT.
func storeBytes(b []byte) driver.Value {
	if len(b) == 0 {
		return ""
	}
	return b
}

func storeDecimal128(n decimal128.Num, wide bool) driver.Value {
	if wide {
		b := make([]byte, 16)
		binary.BigEndian.PutUint64(b, uint64(n.HighBits())^1<<63)
		binary.BigEndian.PutUint64(b[8:], n.LowBits())
		return b
	}
	if n == connectors.DecimalNaN128 {
		return nan
	}
	return int64(n.LowBits())
}

func storeDecimal256(n decimal256.Num) driver.Value {
	words := n.Array()
	b := make([]byte, 32)
	for i, w := range words {
		if i == 3 {
			w ^= 1 << 63
		}
		binary.BigEndian.PutUint64(b[8*(3-i):], w)
	}
	return b
}

func loadDecimal128(b []byte) decimal128.Num {
	return decimal128.New(int64(binary.BigEndian.Uint64(b)^1<<63), binary.BigEndian.Uint64(b[8:]))
}

func loadDecimal256(b []byte) decimal256.Num {
	w := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return decimal256.New(w(0)^1<<63, w(1), w(2), w(3))
}

// decoder appends a stored value to its builder; ok is false when it is not of the type.
type decoder func(v driver.Value) (size int, ok bool)

func intDecoder[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | arrow.Date32 | arrow.Time64 | arrow.Timestamp](size int, add func(T)) decoder {
	return func(v driver.Value) (int, bool) {
		x, ok := v.(int64)
		add(T(x))
		return size, ok && int64(T(x)) == x
	}
}

func newDecoder(t connectors.Type, builder array.Builder) decoder {
	var put decoder
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		put = func(v driver.Value) (int, bool) {
			x, ok := v.(int64)
			b.Append(x != 0)
			return 1, ok
		}
	case *array.Int8Builder:
		put = intDecoder(1, b.Append)
	case *array.Int16Builder:
		put = intDecoder(2, b.Append)
	case *array.Int32Builder:
		put = intDecoder(4, b.Append)
	case *array.Int64Builder:
		put = intDecoder(8, b.Append)
	case *array.Uint8Builder:
		put = intDecoder(1, b.Append)
	case *array.Uint16Builder:
		put = intDecoder(2, b.Append)
	case *array.Uint32Builder:
		put = intDecoder(4, b.Append)
	case *array.Uint64Builder:
		put = func(v driver.Value) (int, bool) {
			x, ok := loadUint(v)
			b.Append(x)
			return 8, ok
		}
	case *array.Float32Builder:
		put = func(v driver.Value) (int, bool) {
			x, ok := loadFloat(v)
			b.Append(float32(x))
			return 4, ok
		}
	case *array.Float64Builder:
		put = func(v driver.Value) (int, bool) {
			x, ok := loadFloat(v)
			b.Append(x)
			return 8, ok
		}
	case *array.Decimal128Builder:
		put = func(v driver.Value) (int, bool) {
			switch x := v.(type) {
			case int64:
				b.Append(decimal128.FromI64(x))
				return 16, true
			case []byte:
				if len(x) == 16 {
					b.Append(loadDecimal128(x))
					return 16, true
				}
			case string:
				b.Append(connectors.DecimalNaN128)
				return 16, x == nan
			}
			return 0, false
		}
	case *array.Decimal256Builder:
		put = func(v driver.Value) (int, bool) {
			x, ok := v.([]byte)
			if !ok || len(x) != 32 {
				return 0, false
			}
			b.Append(loadDecimal256(x))
			return 32, true
		}
	case *array.StringBuilder:
		put = func(v driver.Value) (int, bool) {
			x, ok := v.(string)
			b.Append(x)
			return 4 + len(x), ok
		}
	case *array.BinaryBuilder:
		put = func(v driver.Value) (int, bool) {
			switch x := v.(type) {
			case []byte:
				b.Append(x)
				return 4 + len(x), true
			case string:
				b.Append([]byte(x))
				return 4 + len(x), x == ""
			}
			return 0, false
		}
	case *array.Date32Builder:
		put = intDecoder(4, b.Append)
	case *array.Time64Builder:
		put = intDecoder(8, b.Append)
	case *array.TimestampBuilder:
		put = intDecoder(8, b.Append)
	case *array.FixedSizeBinaryBuilder:
		put = func(v driver.Value) (int, bool) {
			s, _ := v.(string)
			u, ok := parseUUID(s)
			b.Append(u[:])
			return 16, ok
		}
	default:
		return func(driver.Value) (int, bool) { return 0, false }
	}
	return func(v driver.Value) (int, bool) {
		if v == nil {
			builder.AppendNull()
			return 1, true
		}
		return put(v)
	}
}

func loadUint(v driver.Value) (uint64, bool) {
	switch x := v.(type) {
	case int64:
		return uint64(x), x >= 0
	case string:
		u, err := strconv.ParseUint(x, 10, 64)
		return u, err == nil
	}
	return 0, false
}

func loadFloat(v driver.Value) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case string:
		return math.NaN(), x == nan
	}
	return 0, false
}

var errBound = errors.New("not a value of the column")

// storeText gives the stored form of a value in canonical text, as a Bound has it.
func storeText(t connectors.Type, text string) (driver.Value, error) {
	switch classOf(t) {
	case classInt:
		if t.Kind == connectors.Bool {
			b, err := strconv.ParseBool(text)
			if b {
				return int64(1), err
			}
			return int64(0), err
		}
		v, err := strconv.ParseInt(text, 10, 64)
		return v, err
	case classUint64:
		v, err := strconv.ParseUint(text, 10, 64)
		return storeUint(v), err
	case classFloat:
		v, err := strconv.ParseFloat(text, 64)
		return storeFloat(v), err
	case classScaled:
		v, err := connectors.ParseDecimal128(text, t.Precision, t.Scale)
		return storeDecimal128(v, false), err
	case classWide:
		if t.Precision <= connectors.MaxDecimal128 {
			v, err := connectors.ParseDecimal128(text, t.Precision, t.Scale)
			return storeDecimal128(v, true), err
		}
		v, err := connectors.ParseDecimal256(text, t.Precision, t.Scale)
		return storeDecimal256(v), err
	case classDate:
		v, err := parseDate(text)
		return int64(v), err
	case classTime:
		v, err := connectors.ParseTime(text)
		return int64(v), err
	case classTimestamp:
		v, err := parseTimestamp(text)
		return int64(v), err
	case classUUID:
		u, ok := parseUUID(text)
		if !ok {
			return nil, errBound
		}
		return string(connectors.AppendUUID(nil, u[:])), nil
	case classNumeric:
		if _, ok := parseNumber(text); !ok {
			return nil, errBound
		}
		return text, nil
	case classText:
		return text, nil
	}
	return nil, errBound
}

// parseDate reads a date, and one that no calendar has.
func parseDate(s string) (arrow.Date32, error) {
	d, err := connectors.ParseDate(s)
	if err != nil {
		if invalid, ok := connectors.InvalidDate(s); ok {
			return invalid, nil
		}
	}
	return d, err
}

// parseTimestamp reads a timestamp, and one that no calendar has.
func parseTimestamp(s string) (arrow.Timestamp, error) {
	ts, _, err := connectors.ParseTimestamp(s)
	if err != nil {
		if invalid, ok := connectors.InvalidTimestamp(strings.TrimSuffix(s, "Z")); ok {
			return invalid, nil
		}
	}
	return ts, err
}

func parseUUID(s string) (u [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			continue
		}
		c := s[i]
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return u, false
		}
		u[n/2] = u[n/2]<<4 | c
		n++
	}
	return u, true
}

// number is a decimal number for comparing; special ranks NaN above and the
// infinities beyond all others.
type number struct {
	rat     *big.Rat
	special int
}

func parseNumber(s string) (number, bool) {
	switch s {
	case nan:
		return number{special: 2}, true
	case "Infinity":
		return number{special: 1}, true
	case "-Infinity":
		return number{special: -1}, true
	}
	digits := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c-'0' <= 9:
			digits = true
		case c == '.', (c == '-' || c == '+') && i == 0:
		case (c == 'e' || c == 'E') && digits:
			if e, err := strconv.Atoi(s[i+1:]); err != nil || e > 1_000_000 || e < -1_000_000 {
				return number{}, false
			}
			i = len(s)
		default:
			return number{}, false
		}
	}
	if !digits {
		return number{}, false
	}
	r, ok := new(big.Rat).SetString(s)
	return number{rat: r}, ok
}

func (n number) compare(o number) int {
	if n.special != 0 || o.special != 0 {
		return n.special - o.special
	}
	return n.rat.Cmp(o.rat)
}

// compareNumbers is the collation of numerics and of large unsigned integers;
// what is no number sorts last.
func compareNumbers(a, b string) int {
	x, ok := parseNumber(a)
	y, ok2 := parseNumber(b)
	switch {
	case ok && ok2:
		return x.compare(y)
	case ok:
		return -1
	case ok2:
		return 1
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
