package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// field appends one value of a bound array in binary COPY form, length first.
type field func(dst []byte, i int) ([]byte, error)

// encoder turns record batches into binary COPY tuples of the native types.
type encoder struct {
	columns []connectors.Column
	fields  []field
	arrays  []arrow.Array
	tail    []byte   // two further fields of every tuple, if any
	groups  []uint16 // scratch of numerics
	major   int      // of the server
}

// bind prepares the encoder for one batch.
func (e *encoder) bind(batch arrow.RecordBatch) error {
	if int(batch.NumCols()) != len(e.columns) {
		return fmt.Errorf("the batch has %d columns, the load has %d", batch.NumCols(), len(e.columns))
	}
	e.fields, e.arrays = e.fields[:0], e.arrays[:0]
	for i, c := range e.columns {
		values := batch.Column(i)
		f := e.bindField(values, c.Type)
		if f == nil {
			return &valueError{column: c.Name, err: fmt.Errorf("a batch of Arrow type %s for a column of type %s", values.DataType(), c.Type)}
		}
		if values.NullN() == 0 {
			values = nil // never asked
		}
		e.fields, e.arrays = append(e.fields, f), append(e.arrays, values)
	}
	return nil
}

// row appends tuple i of the bound batch.
func (e *encoder) row(dst []byte, i int) (_ []byte, err error) {
	count := len(e.fields)
	if e.tail != nil {
		count += 2
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(count))
	for c, f := range e.fields {
		if nulls := e.arrays[c]; nulls != nil && nulls.IsNull(i) {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		if dst, err = f(dst, i); err != nil {
			return dst, &valueError{column: e.columns[c].Name, err: err}
		}
	}
	return append(dst, e.tail...), nil
}

func appendInt16(dst []byte, v int16) []byte {
	return append(dst, 0, 0, 0, 2, byte(uint16(v)>>8), byte(v))
}

func appendInt32(dst []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 4), uint32(v))
}

func appendInt64(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0, 0, 0, 8), uint64(v))
}

func appendInterval(dst []byte, micros int64, days, months int32) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, 0, 0, 0, 16), uint64(micros))
	dst = binary.BigEndian.AppendUint32(dst, uint32(days))
	return binary.BigEndian.AppendUint32(dst, uint32(months))
}

// bindField gives the field of an array; nil when the array is not of the
// type's Arrow form.
func (e *encoder) bindField(values arrow.Array, t connectors.Type) field {
	if !arrow.TypeEqual(values.DataType(), t.Arrow()) {
		return nil
	}
	switch a := values.(type) {
	case *array.Boolean:
		return func(dst []byte, i int) ([]byte, error) {
			v := byte(0)
			if a.Value(i) {
				v = 1
			}
			return append(dst, 0, 0, 0, 1, v), nil
		}
	case *array.Int8:
		return func(dst []byte, i int) ([]byte, error) { return appendInt16(dst, int16(a.Value(i))), nil }
	case *array.Int16:
		return func(dst []byte, i int) ([]byte, error) { return appendInt16(dst, a.Value(i)), nil }
	case *array.Int32:
		return func(dst []byte, i int) ([]byte, error) { return appendInt32(dst, a.Value(i)), nil }
	case *array.Int64:
		return func(dst []byte, i int) ([]byte, error) { return appendInt64(dst, a.Value(i)), nil }
	case *array.Uint8:
		return func(dst []byte, i int) ([]byte, error) { return appendInt16(dst, int16(a.Value(i))), nil }
	case *array.Uint16:
		return func(dst []byte, i int) ([]byte, error) { return appendInt32(dst, int32(a.Value(i))), nil }
	case *array.Uint32:
		return func(dst []byte, i int) ([]byte, error) { return appendInt64(dst, int64(a.Value(i))), nil }
	case *array.Uint64:
		return func(dst []byte, i int) ([]byte, error) {
			return appendGroups(dst, wide{a.Value(i)}, 0, 0), nil
		}
	case *array.Float32:
		return func(dst []byte, i int) ([]byte, error) {
			return appendInt32(dst, int32(math.Float32bits(a.Value(i)))), nil
		}
	case *array.Float64:
		return func(dst []byte, i int) ([]byte, error) {
			return appendInt64(dst, int64(math.Float64bits(a.Value(i)))), nil
		}
	case *array.Decimal128:
		return func(dst []byte, i int) ([]byte, error) { return appendDecimal128(dst, a.Value(i), t.Scale), nil }
	case *array.Decimal256:
		return func(dst []byte, i int) ([]byte, error) { return appendDecimal256(dst, a.Value(i), t.Scale), nil }
	case *array.Binary:
		return func(dst []byte, i int) ([]byte, error) {
			v := a.Value(i)
			return append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...), nil
		}
	case *array.Date32:
		return func(dst []byte, i int) ([]byte, error) {
			days := a.Value(i)
			if days != connectors.DateInfinity && days != connectors.DateMinusInfinity {
				if days < math.MinInt32+epochDays {
					return dst, fmt.Errorf("a date before 4713 BC: %w", errRange)
				}
				days -= epochDays
			}
			return appendInt32(dst, int32(days)), nil
		}
	case *array.Time64:
		if t.Wide {
			return func(dst []byte, i int) ([]byte, error) { return appendInterval(dst, int64(a.Value(i)), 0, 0), nil }
		}
		return func(dst []byte, i int) ([]byte, error) { return appendInt64(dst, int64(a.Value(i))), nil }
	case *array.Timestamp:
		return func(dst []byte, i int) ([]byte, error) {
			us := int64(a.Value(i))
			if us != math.MaxInt64 && us != math.MinInt64 {
				if us <= math.MinInt64+epochMicros {
					return dst, fmt.Errorf("a timestamp before 4713 BC: %w", errRange)
				}
				us -= epochMicros
			}
			return appendInt64(dst, us), nil
		}
	case *array.FixedSizeBinary:
		return func(dst []byte, i int) ([]byte, error) {
			return append(append(dst, 0, 0, 0, 16), a.Value(i)...), nil
		}
	case *array.String:
		return e.bindText(a, t)
	}
	return nil
}

// bindText is for the kinds whose Arrow form is a string.
func (e *encoder) bindText(a *array.String, t connectors.Type) field {
	switch {
	case t.Kind == connectors.Numeric:
		return func(dst []byte, i int) (_ []byte, err error) {
			if dst, e.groups, err = appendNumericBinary(dst, a.Value(i), e.groups); err != nil {
				err = fmt.Errorf("%q: %w", clip(a.Value(i)), err)
			}
			return dst, err
		}
	case t.Kind == connectors.Interval:
		return func(dst []byte, i int) ([]byte, error) {
			micros, days, months, err := parseInterval(a.Value(i), e.major)
			if err != nil {
				return dst, fmt.Errorf("%q: %w", clip(a.Value(i)), err)
			}
			return appendInterval(dst, micros, days, months), nil
		}
	case t.Kind == connectors.Array, t.Kind == connectors.JSON && t.Parsed:
		return func(dst []byte, i int) ([]byte, error) {
			v := a.Value(i)
			dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(v)+1)), 1)
			return append(dst, v...), nil
		}
	}
	text := func(dst []byte, i int) ([]byte, error) {
		v := a.Value(i)
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...), nil
	}
	if !hasNUL(a) {
		return text
	}
	return func(dst []byte, i int) ([]byte, error) {
		if bytes.IndexByte([]byte(a.Value(i)), 0) >= 0 {
			return dst, errNUL
		}
		return text(dst, i)
	}
}

// hasNUL looks through all of an array at once, for what hardly ever occurs.
func hasNUL(a *array.String) bool { return bytes.IndexByte(a.ValueBytes(), 0) >= 0 }

func clip(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

var errInterval = errors.New("not an ISO 8601 duration")

// parseInterval reads a duration as PostgreSQL prints it (P1Y-2M3DT-4H5M6.7S)
// into the three parts that it keeps apart.
func parseInterval(s string, major int) (micros int64, days, months int32, err error) {
	if s == "infinity" || s == "-infinity" {
		switch {
		case major < 17:
			return 0, 0, 0, errors.New("this server has no infinite intervals")
		case s == "infinity":
			return math.MaxInt64, math.MaxInt32, math.MaxInt32, nil
		}
		return math.MinInt64, math.MinInt32, math.MinInt32, nil
	}
	if len(s) < 2 || s[0] != 'P' {
		return 0, 0, 0, errInterval
	}
	var wholeDays, wholeMonths int64
	parts, inTime := 0, false
	for i := 1; i < len(s); {
		if s[i] == 'T' && !inTime {
			inTime = true
			i++
			continue
		}
		number, fraction, n, ok := scanNumber(s[i:])
		i += n
		if !ok || i >= len(s) {
			return 0, 0, 0, errInterval
		}
		unit := s[i]
		i++
		parts++
		if fraction != 0 && unit != 'S' {
			return 0, 0, 0, errInterval
		}
		var fits bool
		switch {
		case unit == 'Y' && !inTime:
			wholeMonths, fits = addMul(wholeMonths, number, 12)
		case unit == 'M' && !inTime:
			wholeMonths, fits = addMul(wholeMonths, number, 1)
		case unit == 'W' && !inTime:
			wholeDays, fits = addMul(wholeDays, number, 7)
		case unit == 'D' && !inTime:
			wholeDays, fits = addMul(wholeDays, number, 1)
		case unit == 'H' && inTime:
			micros, fits = addMul(micros, number, 3_600_000_000)
		case unit == 'M' && inTime:
			micros, fits = addMul(micros, number, 60_000_000)
		case unit == 'S' && inTime:
			if micros, fits = addMul(micros, number, 1_000_000); fits {
				micros, fits = addMul(micros, fraction, 1)
			}
		default:
			return 0, 0, 0, errInterval
		}
		if !fits {
			return 0, 0, 0, errRange
		}
	}
	if parts == 0 {
		return 0, 0, 0, errInterval
	}
	if int64(int32(wholeDays)) != wholeDays || int64(int32(wholeMonths)) != wholeMonths {
		return 0, 0, 0, errRange
	}
	return micros, int32(wholeDays), int32(wholeMonths), nil
}

// scanNumber reads [-+]digits[.digits]; the fraction comes in millionths with
// the number's sign, and finer digits must be zeros.
func scanNumber(s string) (number, fraction int64, n int, ok bool) {
	neg := false
	if n < len(s) && (s[n] == '-' || s[n] == '+') {
		neg = s[n] == '-'
		n++
	}
	first := n
	for ; n < len(s) && s[n]-'0' <= 9; n++ {
		if number > (math.MaxInt64-9)/10 {
			return 0, 0, n, false
		}
		number = number*10 + int64(s[n]-'0')
	}
	if n == first {
		return 0, 0, n, false
	}
	if n < len(s) && s[n] == '.' {
		unit := int64(100_000)
		for n++; n < len(s) && s[n]-'0' <= 9; n++ {
			if unit == 0 && s[n] != '0' {
				return 0, 0, n, false
			}
			fraction += int64(s[n]-'0') * unit
			unit /= 10
		}
	}
	if neg {
		number, fraction = -number, -fraction
	}
	return number, fraction, n, true
}

// addMul is sum + n*unit, and whether it fits.
func addMul(sum, n, unit int64) (int64, bool) {
	product := n * unit
	if product/unit != n {
		return 0, false
	}
	total := sum + product
	return total, (total > sum) == (product > 0)
}
