package mysql

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// decoder appends one value that is not NULL, as the text protocol spells it.
type decoder func([]byte) error

var (
	errInteger = errors.New("not an integer of the column's range")
	errFloat   = errors.New("not a number")
	errBool    = errors.New("not 0 or 1")
	errUUID    = errors.New("not a uuid")
)

func newDecoder(t connectors.Type, n native, builder array.Builder) (decoder, error) {
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(v []byte) error {
			if len(v) != 1 || v[0]&^1 != '0' {
				return errBool
			}
			b.Append(v[0] == '1')
			return nil
		}, nil
	case *array.Int8Builder:
		return integer(math.MinInt8, math.MaxInt8, func(v int64) { b.Append(int8(v)) }), nil
	case *array.Int16Builder:
		return integer(math.MinInt16, math.MaxInt16, func(v int64) { b.Append(int16(v)) }), nil
	case *array.Int32Builder:
		return integer(math.MinInt32, math.MaxInt32, func(v int64) { b.Append(int32(v)) }), nil
	case *array.Int64Builder:
		return integer(math.MinInt64, math.MaxInt64, b.Append), nil
	case *array.Uint8Builder:
		return natural(math.MaxUint8, func(v uint64) { b.Append(uint8(v)) }), nil
	case *array.Uint16Builder:
		return natural(math.MaxUint16, func(v uint64) { b.Append(uint16(v)) }), nil
	case *array.Uint32Builder:
		return natural(math.MaxUint32, func(v uint64) { b.Append(uint32(v)) }), nil
	case *array.Uint64Builder:
		return natural(math.MaxUint64, b.Append), nil
	case *array.Float32Builder:
		return func(v []byte) error {
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil {
				return errFloat
			}
			b.Append(float32(f))
			return nil
		}, nil
	case *array.Float64Builder:
		return func(v []byte) error {
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil {
				return errFloat
			}
			b.Append(f)
			return nil
		}, nil
	case *array.Decimal128Builder:
		return func(v []byte) error {
			d, err := connectors.ParseDecimal128(v, t.Precision, t.Scale)
			b.Append(d)
			return err
		}, nil
	case *array.Decimal256Builder:
		return func(v []byte) error {
			d, err := connectors.ParseDecimal256(v, t.Precision, t.Scale)
			b.Append(d)
			return err
		}, nil
	case *array.Date32Builder:
		return func(v []byte) error {
			d, err := connectors.ParseDate(v)
			if err != nil {
				var invalid bool
				if d, invalid = connectors.InvalidDate(v); invalid {
					err = nil
				}
			}
			b.Append(d)
			return err
		}, nil
	case *array.Time64Builder:
		return func(v []byte) error {
			d, err := connectors.ParseTime(v)
			b.Append(d)
			return err
		}, nil
	case *array.TimestampBuilder:
		return func(v []byte) error {
			ts, _, err := connectors.ParseTimestamp(v)
			if err != nil {
				var invalid bool
				if ts, invalid = connectors.InvalidTimestamp(v); invalid {
					err = nil
				}
			}
			b.Append(ts)
			return err
		}, nil
	case *array.FixedSizeBinaryBuilder:
		var u [16]byte
		return func(v []byte) error {
			if !parseUUID(&u, v) {
				return errUUID
			}
			b.Append(u[:])
			return nil
		}, nil
	case *array.StringBuilder:
		bytes := b.BinaryBuilder
		return func(v []byte) error {
			bytes.Append(v)
			return nil
		}, nil
	case *array.BinaryBuilder:
		return func(v []byte) error {
			b.Append(v)
			return nil
		}, nil
	}
	return nil, fmt.Errorf("%s cannot be read as %s", n.column, t)
}

func integer(lo, hi int64, appendValue func(int64)) decoder {
	return func(b []byte) error {
		v, ok := parseInt(b, lo, hi)
		if !ok {
			return errInteger
		}
		appendValue(v)
		return nil
	}
}

func natural(hi uint64, appendValue func(uint64)) decoder {
	return func(b []byte) error {
		v, ok := parseUint(b, hi)
		if !ok {
			return errInteger
		}
		appendValue(v)
		return nil
	}
}

// parseUUID reads 36 characters with hyphens.
func parseUUID(u *[16]byte, b []byte) bool {
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return false
	}
	at := 0
	for _, part := range [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		n, err := hex.Decode(u[at:], b[part[0]:part[1]])
		if err != nil {
			return false
		}
		at += n
	}
	return true
}
