package connectors

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"
)

// AppendParsed appends to a builder of t's Arrow form the value whose canonical
// text (see AppendValue) is given. A value that t does not hold exactly is an
// error, and nothing is appended.
func AppendParsed(b array.Builder, t Type, text string) error {
	switch b := b.(type) {
	case *array.BooleanBuilder:
		v, err := strconv.ParseBool(text)
		return appended(err, func() { b.Append(v) })
	case *array.Int8Builder:
		v, err := strconv.ParseInt(text, 10, 8)
		return appended(err, func() { b.Append(int8(v)) })
	case *array.Int16Builder:
		v, err := strconv.ParseInt(text, 10, 16)
		return appended(err, func() { b.Append(int16(v)) })
	case *array.Int32Builder:
		v, err := strconv.ParseInt(text, 10, 32)
		return appended(err, func() { b.Append(int32(v)) })
	case *array.Int64Builder:
		v, err := strconv.ParseInt(text, 10, 64)
		return appended(err, func() { b.Append(v) })
	case *array.Uint8Builder:
		v, err := strconv.ParseUint(text, 10, 8)
		return appended(err, func() { b.Append(uint8(v)) })
	case *array.Uint16Builder:
		v, err := strconv.ParseUint(text, 10, 16)
		return appended(err, func() { b.Append(uint16(v)) })
	case *array.Uint32Builder:
		v, err := strconv.ParseUint(text, 10, 32)
		return appended(err, func() { b.Append(uint32(v)) })
	case *array.Uint64Builder:
		v, err := strconv.ParseUint(text, 10, 64)
		return appended(err, func() { b.Append(v) })
	case *array.Float32Builder:
		v, err := parseFloat(text)
		if err == nil && float64(float32(v)) != v && !math.IsNaN(v) && strconv.FormatFloat(v, 'g', -1, 32) != strconv.FormatFloat(v, 'g', -1, 64) {
			err = errors.New("a float32 does not hold it")
		}
		return appended(err, func() { b.Append(float32(v)) })
	case *array.Float64Builder:
		v, err := parseFloat(text)
		return appended(err, func() { b.Append(v) })
	case *array.Decimal128Builder:
		v, err := ParseDecimal128(text, t.Precision, t.Scale)
		return appended(err, func() { b.Append(v) })
	case *array.Decimal256Builder:
		v, err := ParseDecimal256(text, t.Precision, t.Scale)
		return appended(err, func() { b.Append(v) })
	case *array.Date32Builder:
		v, err := ParseDate(text)
		if bad, ok := InvalidDate(text); ok {
			v, err = bad, nil
		}
		return appended(err, func() { b.Append(v) })
	case *array.Time64Builder:
		v, err := ParseTime(text)
		if err == nil && !t.Wide && (v < 0 || v > microsPerDay) {
			err = errTime
		}
		return appended(err, func() { b.Append(v) })
	case *array.TimestampBuilder:
		v, err := parseStamp(t.Kind, text)
		return appended(err, func() { b.Append(v) })
	case *array.FixedSizeBinaryBuilder:
		v, err := uuid.Parse(text)
		return appended(err, func() { b.Append(v[:]) })
	case *array.BinaryBuilder:
		v, err := base64.StdEncoding.DecodeString(text)
		if err == nil && t.Length > 0 && len(v) > t.Length {
			err = fmt.Errorf("%d bytes where %d fit", len(v), t.Length)
		}
		return appended(err, func() { b.Append(v) })
	case *array.StringBuilder:
		return appended(holdsText(t, text), func() { b.Append(text) })
	}
	return fmt.Errorf("a %s has no text form", t)
}

func appended(err error, add func()) error {
	if n, ok := errors.AsType[*strconv.NumError](err); ok {
		return n.Err // without the text, which the caller names
	}
	if err == nil {
		add()
	}
	return err
}

func parseFloat(text string) (float64, error) {
	switch text {
	case "NaN", "Infinity", "-Infinity":
	default: // ParseFloat reads more spellings than this program writes
		for i := range len(text) {
			if c := text[i]; c-'0' > 9 && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
				return 0, strconv.ErrSyntax
			}
		}
	}
	return strconv.ParseFloat(text, 64)
}

func parseStamp(kind Kind, text string) (arrow.Timestamp, error) {
	naive := text
	if kind == TimestampTZ {
		naive = strings.TrimSuffix(text, "Z")
	}
	if bad, ok := InvalidTimestamp(naive); ok {
		return bad, nil
	}
	v, zoned, err := ParseTimestamp(text)
	switch {
	case err != nil || v == TimestampInfinity || v == TimestampMinInfinity:
		return v, err
	case kind == TimestampTZ && !zoned:
		return v, errors.New("a timestamp without a zone")
	case kind == Timestamp && zoned:
		return v, errors.New("a timestamp with a zone")
	}
	return v, nil
}

// holdsText says why a kind whose Arrow form is a string does not hold a text.
func holdsText(t Type, text string) error {
	switch t.Kind {
	case Text:
		if t.Length > 0 && len(text) > t.Length {
			if n := utf8.RuneCountInString(text); n > t.Length {
				return fmt.Errorf("a text of %d characters where %d fit", n, t.Length)
			}
		}
	case Enum:
		if len(t.Values) > 0 && !slices.Contains(t.Values, text) {
			return errors.New("no value of the enumeration")
		}
	case Numeric:
		switch text {
		case "NaN", "Infinity", "-Infinity":
			return nil
		}
		digits := false
		for i := range len(text) {
			switch c := text[i]; {
			case c-'0' <= 9:
				digits = true
			case (c == '-' || c == '+') && (i == 0 || text[i-1] == 'e' || text[i-1] == 'E'):
			case c == '.' || digits && (c == 'e' || c == 'E'):
			default:
				return errDecimal
			}
		}
		if !digits {
			return errDecimal
		}
	case JSON, Array:
		if !json.Valid([]byte(text)) {
			return errors.New("not JSON")
		}
		if t.Kind == Array && (text == "" || text[0] != '[') {
			return errors.New("not a JSON array")
		}
	case Interval:
		if text == "" {
			return errors.New("not an interval")
		}
	}
	return nil
}

// AppendRowParsed appends one row, in the JSON that AppendRowJSON writes, to
// builders of the columns. A column that the object lacks is null, a field that
// no column has is passed over. After an error a row stands there all the same,
// of nulls from the column on that failed: leave it out.
func AppendRowParsed(builders []array.Builder, columns []Column, row []byte) error {
	var fields map[string]json.RawMessage
	failed := json.Unmarshal(row, &fields)
	for i, c := range columns {
		if failed == nil {
			failed = appendField(builders[i], c, fields)
		}
		if failed != nil {
			builders[i].AppendNull()
		}
	}
	return failed
}

func appendField(b array.Builder, c Column, fields map[string]json.RawMessage) error {
	raw, ok := fields[c.Name]
	if !ok || string(raw) == "null" && c.Type.Kind != JSON {
		b.AppendNull()
		return nil
	}
	text := string(raw)
	if raw[0] == '"' && c.Type.Kind != JSON && c.Type.Kind != Array {
		if err := json.Unmarshal(raw, &text); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	if err := AppendParsed(b, c.Type, text); err != nil {
		return fmt.Errorf("column %s: %.80q: %w", c.Name, text, err)
	}
	return nil
}
