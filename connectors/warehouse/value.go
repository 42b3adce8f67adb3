package warehouse

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

const nan = "NaN"

var errBound = errors.New("not a value of the column")

// appendText appends a value in canonical text (see connectors.AppendValue) to a
// builder of its type.
func appendText(builder array.Builder, t connectors.Type, text string) (err error) {
	integer := func(bits int, add func(int64)) error {
		v, err := strconv.ParseInt(text, 10, bits)
		add(v)
		return err
	}
	natural := func(bits int, add func(uint64)) error {
		v, err := strconv.ParseUint(text, 10, bits)
		add(v)
		return err
	}
	float := func(bits int, add func(float64)) error {
		if n, ok := parseNumber(text); ok && n.special != 0 {
			add([]float64{math.Inf(-1), 0, math.Inf(1), math.NaN()}[n.special+1])
			return nil
		}
		v, err := strconv.ParseFloat(text, bits)
		add(v)
		return err
	}
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		v, perr := strconv.ParseBool(text)
		b.Append(v)
		return perr
	case *array.Int8Builder:
		return integer(8, func(v int64) { b.Append(int8(v)) })
	case *array.Int16Builder:
		return integer(16, func(v int64) { b.Append(int16(v)) })
	case *array.Int32Builder:
		return integer(32, func(v int64) { b.Append(int32(v)) })
	case *array.Int64Builder:
		return integer(64, b.Append)
	case *array.Uint8Builder:
		return natural(8, func(v uint64) { b.Append(uint8(v)) })
	case *array.Uint16Builder:
		return natural(16, func(v uint64) { b.Append(uint16(v)) })
	case *array.Uint32Builder:
		return natural(32, func(v uint64) { b.Append(uint32(v)) })
	case *array.Uint64Builder:
		return natural(64, b.Append)
	case *array.Float32Builder:
		return float(32, func(v float64) { b.Append(float32(v)) })
	case *array.Float64Builder:
		return float(64, b.Append)
	case *array.Decimal128Builder:
		v, perr := connectors.ParseDecimal128(text, t.Precision, t.Scale)
		b.Append(v)
		return perr
	case *array.Decimal256Builder:
		v, perr := connectors.ParseDecimal256(text, t.Precision, t.Scale)
		b.Append(v)
		return perr
	case *array.StringBuilder:
		if t.Kind == connectors.Numeric {
			if _, ok := parseNumber(text); !ok {
				err = errBound
			}
		}
		b.Append(text)
		return err
	case *array.BinaryBuilder:
		v, perr := base64.StdEncoding.DecodeString(text)
		b.Append(v)
		return perr
	case *array.Date32Builder:
		v, perr := parseDate(text)
		b.Append(v)
		return perr
	case *array.Time64Builder:
		v, perr := connectors.ParseTime(text)
		b.Append(v)
		return perr
	case *array.TimestampBuilder:
		v, perr := parseTimestamp(text)
		b.Append(v)
		return perr
	case *array.FixedSizeBinaryBuilder:
		u, ok := parseUUID(text)
		b.Append(u[:])
		if !ok {
			err = errBound
		}
		return err
	}
	return fmt.Errorf("no form for %s", t)
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
