package mysql

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// syntax is how values are spelled.
type syntax uint8

const (
	fieldSyntax   syntax = iota // a field of LOAD DATA: tab between, newline after, backslash before
	literalSyntax               // a literal of INSERT in a session with NO_BACKSLASH_ESCAPES
)

// encoder appends the value at row i, which is not null.
type encoder func(dst []byte, i int) ([]byte, error)

// Limits of DATE, DATETIME and TIME.
const (
	minDate = arrow.Date32(-719528) // 0000-01-01
	maxDate = arrow.Date32(2932896) // 9999-12-31
	minTS   = arrow.Timestamp(int64(minDate) * 86_400_000_000)
	maxTS   = arrow.Timestamp((int64(maxDate)+1)*86_400_000_000 - 1)
	maxTime = arrow.Time64((838*3600+59*60+59)*1_000_000 + 999_999) // MariaDB; MySQL itself refuses the last fraction
)

// encoderFor binds a column of a batch to its spelling. Values that the native
// type would change are errors.
func (x syntax) encoderFor(c connectors.Column, arr arrow.Array) (encoder, error) {
	switch a := arr.(type) {
	case *array.Boolean:
		return func(dst []byte, i int) ([]byte, error) {
			if a.Value(i) {
				return append(dst, '1'), nil
			}
			return append(dst, '0'), nil
		}, nil
	case *array.Int8:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendInt(dst, int64(a.Value(i)), 10), nil }, nil
	case *array.Int16:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendInt(dst, int64(a.Value(i)), 10), nil }, nil
	case *array.Int32:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendInt(dst, int64(a.Value(i)), 10), nil }, nil
	case *array.Int64:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendInt(dst, a.Value(i), 10), nil }, nil
	case *array.Uint8:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendUint(dst, uint64(a.Value(i)), 10), nil }, nil
	case *array.Uint16:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendUint(dst, uint64(a.Value(i)), 10), nil }, nil
	case *array.Uint32:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendUint(dst, uint64(a.Value(i)), 10), nil }, nil
	case *array.Uint64:
		return func(dst []byte, i int) ([]byte, error) { return strconv.AppendUint(dst, a.Value(i), 10), nil }, nil
	case *array.Float32:
		return func(dst []byte, i int) ([]byte, error) { return appendFloat(dst, float64(a.Value(i))) }, nil
	case *array.Float64:
		return func(dst []byte, i int) ([]byte, error) { return appendFloat(dst, a.Value(i)) }, nil
	case *array.Decimal128:
		return func(dst []byte, i int) ([]byte, error) {
			v := a.Value(i)
			if v == connectors.DecimalNaN128 {
				return dst, errUnheld("NaN")
			}
			return connectors.AppendDecimal128(dst, v, c.Type.Scale), nil
		}, nil
	case *array.Decimal256:
		return func(dst []byte, i int) ([]byte, error) {
			v := a.Value(i)
			if v == connectors.DecimalNaN256 {
				return dst, errUnheld("NaN")
			}
			return x.quoted(dst, func(dst []byte) []byte { return connectors.AppendDecimal256(dst, v, c.Type.Scale) }), nil
		}, nil
	case *array.Date32:
		return func(dst []byte, i int) ([]byte, error) {
			v := a.Value(i)
			if v < minDate || v > maxDate {
				return dst, errUnheld(string(connectors.AppendDate(nil, v)))
			}
			return x.closed(connectors.AppendDate(x.opened(dst), v)), nil
		}, nil
	case *array.Time64:
		return func(dst []byte, i int) ([]byte, error) {
			v := a.Value(i)
			if v < -maxTime || v > maxTime {
				return dst, errUnheld(string(connectors.AppendTime(nil, v)))
			}
			return x.closed(connectors.AppendTime(x.opened(dst), v)), nil
		}, nil
	case *array.Timestamp:
		return func(dst []byte, i int) ([]byte, error) {
			v := a.Value(i)
			if v < minTS || v > maxTS {
				return dst, errUnheld(string(connectors.AppendTimestamp(nil, v, ' ')))
			}
			return x.closed(connectors.AppendTimestamp(x.opened(dst), v, ' ')), nil
		}, nil
	case *array.FixedSizeBinary:
		return func(dst []byte, i int) ([]byte, error) {
			return x.closed(connectors.AppendUUID(x.opened(dst), a.Value(i))), nil
		}, nil
	case *array.Binary:
		return func(dst []byte, i int) ([]byte, error) {
			if x == literalSyntax {
				return append(hex.AppendEncode(append(dst, "x'"...), a.Value(i)), '\''), nil
			}
			return hex.AppendEncode(dst, a.Value(i)), nil
		}, nil
	case *array.String:
		return func(dst []byte, i int) ([]byte, error) {
			s := a.Value(i)
			if !utf8.ValidString(s) {
				return dst, errUnheld("a text that is not UTF-8")
			}
			return x.appendText(dst, s), nil
		}, nil
	}
	return nil, fmt.Errorf("no form for Arrow type %s", arr.DataType())
}

type errUnheld string

func (e errUnheld) Error() string { return string(e) + " has no place in the column's type" }

func (x syntax) opened(dst []byte) []byte {
	if x == literalSyntax {
		return append(dst, '\'')
	}
	return dst
}

func (x syntax) closed(dst []byte) []byte { return x.opened(dst) }

func (x syntax) quoted(dst []byte, value func([]byte) []byte) []byte {
	return x.closed(value(x.opened(dst)))
}

func (x syntax) appendNull(dst []byte) []byte {
	if x == literalSyntax {
		return append(dst, "NULL"...)
	}
	return append(dst, `\N`...)
}

// appendFloat writes all digits of the value as a double: the server reads a
// FLOAT's text as a double first.
func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errUnheld(strconv.FormatFloat(f, 'g', -1, 64))
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64), nil
}

func (x syntax) appendText(dst []byte, s string) []byte {
	if x == literalSyntax {
		dst = append(dst, '\'')
		start := 0
		for i := range len(s) {
			if s[i] == '\'' {
				dst = append(append(dst, s[start:i+1]...), '\'')
				start = i + 1
			}
		}
		return append(append(dst, s[start:]...), '\'')
	}
	start := 0
	for i := range len(s) {
		c := s[i]
		if c > '\\' || fieldEscape[c] == 0 {
			continue
		}
		dst = append(append(dst, s[start:i]...), '\\', fieldEscape[c])
		start = i + 1
	}
	return append(dst, s[start:]...)
}

// fieldEscape is what stands behind the backslash for a byte with a meaning.
var fieldEscape = [256]byte{0: '0', '\t': 't', '\n': 'n', '\\': '\\'}

// rowEncoder appends the fields of row i, without anything around them.
type rowEncoder func(dst []byte, i int) ([]byte, error)

// rowsOf binds a batch to the spelling of its rows.
func (x syntax) rowsOf(object string, columns []connectors.Column, batch arrow.RecordBatch) (rowEncoder, error) {
	encoders := make([]encoder, len(columns))
	arrays := make([]arrow.Array, len(columns))
	for i, c := range columns {
		arrays[i] = batch.Column(i)
		var err error
		if encoders[i], err = x.encoderFor(c, arrays[i]); err != nil {
			return nil, typeError("load", object+"."+c.Name, "", "%w", err)
		}
		if arrays[i].NullN() == 0 {
			arrays[i] = nil
		}
	}
	separator := byte('\t')
	if x == literalSyntax {
		separator = ','
	}
	return func(dst []byte, i int) ([]byte, error) {
		for c, encode := range encoders {
			if c > 0 {
				dst = append(dst, separator)
			}
			if a := arrays[c]; a != nil && a.IsNull(i) {
				dst = x.appendNull(dst)
				continue
			}
			var err error
			if dst, err = encode(dst, i); err != nil {
				return dst, typeError("load", object+"."+columns[c].Name, "mend the value in the source, or load the column as text", "%w", err)
			}
		}
		return dst, nil
	}, nil
}

// jsonRows binds a batch to its rows as JSON objects. Values that the typed
// table could not hold are refused here already, where the column is known.
func (x syntax) jsonRows(object string, columns []connectors.Column, batch arrow.RecordBatch) (rowEncoder, error) {
	checked := make([]connectors.Column, 0, len(columns))
	checks := make([]encoder, 0, len(columns))
	arrays := make([]arrow.Array, 0, len(columns))
	for i, c := range columns {
		encode, err := x.encoderFor(c, batch.Column(i))
		if err != nil {
			return nil, typeError("load", object+"."+c.Name, "", "%w", err)
		}
		switch c.Type.Kind {
		case connectors.Float32, connectors.Float64, connectors.Decimal, connectors.Date, connectors.Time,
			connectors.Timestamp, connectors.TimestampTZ:
			checked, checks, arrays = append(checked, c), append(checks, encode), append(arrays, batch.Column(i))
		}
	}
	var scratch, row []byte
	return func(dst []byte, i int) ([]byte, error) {
		for c, check := range checks {
			if arrays[c].IsNull(i) {
				continue
			}
			var err error
			if scratch, err = check(scratch[:0], i); err != nil {
				return dst, typeError("load", object+"."+checked[c].Name, "mend the value in the source, or load the column as text", "%w", err)
			}
		}
		row = connectors.AppendRowJSON(row[:0], batch, columns, i)
		return x.appendText(dst, string(row)), nil
	}, nil
}
