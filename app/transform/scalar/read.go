package scalar

import (
	"encoding/json"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"arus/connectors"
)

// Reader gives the values of an array of type t one by one. A value that its
// column's type does not allow (a numeric that is no number) is an error.
func Reader(t connectors.Type, arr arrow.Array) func(i int) (any, error) {
	read := reader(t, arr)
	return func(i int) (any, error) {
		if arr.IsNull(i) {
			return nil, nil
		}
		return read(i)
	}
}

func reader(t connectors.Type, arr arrow.Array) func(i int) (any, error) {
	switch a := arr.(type) {
	case *array.Boolean:
		return func(i int) (any, error) { return a.Value(i), nil }
	case *array.Int8:
		return func(i int) (any, error) { return int64(a.Value(i)), nil }
	case *array.Int16:
		return func(i int) (any, error) { return int64(a.Value(i)), nil }
	case *array.Int32:
		return func(i int) (any, error) { return int64(a.Value(i)), nil }
	case *array.Int64:
		return func(i int) (any, error) { return a.Value(i), nil }
	case *array.Uint8:
		return func(i int) (any, error) { return int64(a.Value(i)), nil }
	case *array.Uint16:
		return func(i int) (any, error) { return int64(a.Value(i)), nil }
	case *array.Uint32:
		return func(i int) (any, error) { return int64(a.Value(i)), nil }
	case *array.Uint64:
		return func(i int) (any, error) {
			return NewDecimal(new(big.Int).SetUint64(a.Value(i)), 0), nil
		}
	case *array.Float32:
		return func(i int) (any, error) { return float64(a.Value(i)), nil }
	case *array.Float64:
		return func(i int) (any, error) { return a.Value(i), nil }
	case *array.Decimal128:
		return func(i int) (any, error) { return OfDecimal128(a.Value(i), t.Scale), nil }
	case *array.Decimal256:
		return func(i int) (any, error) {
			if v := a.Value(i); v != connectors.DecimalNaN256 {
				return NewDecimal(connectors.BigOf256(v), t.Scale), nil
			}
			return nan, nil
		}
	case *array.Binary:
		return func(i int) (any, error) { return a.Value(i), nil }
	case *array.Date32:
		return func(i int) (any, error) { return a.Value(i), nil }
	case *array.Time64:
		return func(i int) (any, error) { return a.Value(i), nil }
	case *array.Timestamp:
		if t.Kind == connectors.TimestampTZ {
			return func(i int) (any, error) { return Instant(a.Value(i)), nil }
		}
		return func(i int) (any, error) { return a.Value(i), nil }
	case *array.FixedSizeBinary:
		return func(i int) (any, error) { return string(connectors.AppendUUID(nil, a.Value(i))), nil }
	case *array.String:
		switch t.Kind {
		case connectors.Numeric:
			return func(i int) (any, error) { return ParseDecimal(a.Value(i)) }
		case connectors.Interval:
			return func(i int) (any, error) { return ParseDuration(a.Value(i)) }
		case connectors.Array:
			return func(i int) (any, error) { return ParseList(a.Value(i), t.Elem) }
		}
		return func(i int) (any, error) { return a.Value(i), nil }
	}
	return func(int) (any, error) { return nil, errors.New("no value form for " + arr.DataType().String()) }
}

// OfDecimal128 is the decimal of the Arrow form.
func OfDecimal128(v decimal128.Num, scale int) *Decimal {
	if v == connectors.DecimalNaN128 {
		return nan
	}
	return NewDecimal(connectors.BigOf128(v), scale)
}

// ElemType is the type that the elements of an array value have.
func ElemType(elem *connectors.Type) connectors.Type {
	if elem != nil {
		switch k := elem.Kind; {
		case k == connectors.Bool, k == connectors.Text, k == connectors.Enum, k == connectors.Float64, k == connectors.Numeric:
			return connectors.Type{Kind: k}
		case k == connectors.Decimal:
			return connectors.Type{Kind: connectors.Numeric}
		case k == connectors.Float32:
			return connectors.Type{Kind: connectors.Float64}
		case k == connectors.Uint64:
			return connectors.Type{Kind: connectors.Numeric}
		case k.IsInteger():
			return connectors.Type{Kind: connectors.Int64}
		}
	}
	return connectors.Type{Kind: connectors.JSON}
}

// ParseList reads a JSON array text into values of ElemType.
func ParseList(s string, elem *connectors.Type) ([]any, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(s), &raw); err != nil {
		return nil, errors.New(quoted(s) + " is not a JSON array")
	}
	t := ElemType(elem)
	list := make([]any, len(raw))
	for i, r := range raw {
		if string(r) == "null" {
			continue
		}
		if t.Kind == connectors.JSON {
			list[i] = JSONText(r)
			continue
		}
		v, err := Convert(string(r), connectors.Type{Kind: connectors.JSON}, t, nil)
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	return list, nil
}

// Appender puts values of type t, in their Go form, into a builder of t's Arrow
// form. A value that does not fit the type is an error and appends nothing.
func Appender(b array.Builder, t connectors.Type) func(v any) error {
	put := appender(b, t)
	return func(v any) error {
		if v == nil {
			b.AppendNull()
			return nil
		}
		return put(v)
	}
}

func appender(builder array.Builder, t connectors.Type) func(v any) error {
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(v any) error { b.Append(v.(bool)); return nil }
	case *array.Int8Builder:
		return integer(func(v int64) { b.Append(int8(v)) }, -1<<7, 1<<7-1)
	case *array.Int16Builder:
		return integer(func(v int64) { b.Append(int16(v)) }, -1<<15, 1<<15-1)
	case *array.Int32Builder:
		return integer(func(v int64) { b.Append(int32(v)) }, -1<<31, 1<<31-1)
	case *array.Int64Builder:
		return integer(b.Append, -1<<63, 1<<63-1)
	case *array.Uint8Builder:
		return integer(func(v int64) { b.Append(uint8(v)) }, 0, 1<<8-1)
	case *array.Uint16Builder:
		return integer(func(v int64) { b.Append(uint16(v)) }, 0, 1<<16-1)
	case *array.Uint32Builder:
		return integer(func(v int64) { b.Append(uint32(v)) }, 0, 1<<32-1)
	case *array.Uint64Builder:
		return func(v any) error {
			d := v.(*Decimal).Trunc()
			if !d.IsFinite() || !d.coef.IsUint64() {
				return ErrRange
			}
			b.Append(d.coef.Uint64())
			return nil
		}
	case *array.Float32Builder:
		return func(v any) error { b.Append(float32(v.(float64))); return nil }
	case *array.Float64Builder:
		return func(v any) error { b.Append(v.(float64)); return nil }
	case *array.Decimal128Builder:
		return func(v any) error {
			d, err := fitDecimal(v.(*Decimal), t)
			if err != nil {
				return err
			}
			if d == nan {
				b.Append(connectors.DecimalNaN128)
				return nil
			}
			b.Append(connectors.Decimal128Of(d.coef))
			return nil
		}
	case *array.Decimal256Builder:
		return func(v any) error {
			d, err := fitDecimal(v.(*Decimal), t)
			if err != nil {
				return err
			}
			if d == nan {
				b.Append(connectors.DecimalNaN256)
				return nil
			}
			b.Append(connectors.Decimal256Of(d.coef))
			return nil
		}
	case *array.BinaryBuilder:
		return func(v any) error { b.Append(v.([]byte)); return nil }
	case *array.Date32Builder:
		return func(v any) error { b.Append(v.(arrow.Date32)); return nil }
	case *array.Time64Builder:
		return func(v any) error {
			us := v.(arrow.Time64)
			if !t.Wide && (us < 0 || int64(us) > Day) {
				return errors.New(quoted(Text(us)) + " is not a time of day")
			}
			b.Append(us)
			return nil
		}
	case *array.TimestampBuilder:
		return func(v any) error {
			if in, ok := v.(Instant); ok {
				b.Append(arrow.Timestamp(in))
			} else {
				b.Append(v.(arrow.Timestamp))
			}
			return nil
		}
	case *array.FixedSizeBinaryBuilder:
		return func(v any) error {
			u, err := parseUUID(v.(string))
			if err != nil {
				return err
			}
			b.Append(u[:])
			return nil
		}
	case *array.StringBuilder:
		return func(v any) error {
			s := textOf(v)
			if t.Kind == connectors.Text && t.Length > 0 && len(s) > t.Length && utf8.RuneCountInString(s) > t.Length {
				return errors.New(quoted(s) + " is longer than " + strconv.Itoa(t.Length) + " characters")
			}
			b.Append(s)
			return nil
		}
	}
	return func(any) error { return errors.New("no value form for " + builder.Type().String()) }
}

func integer(put func(int64), low, high int64) func(any) error {
	return func(v any) error {
		n := v.(int64)
		if n < low || n > high {
			return errors.New(strconv.FormatInt(n, 10) + " is out of range")
		}
		put(n)
		return nil
	}
}

// fitDecimal gives d the type's scale and checks its digits.
func fitDecimal(d *Decimal, t connectors.Type) (*Decimal, error) {
	if d.form == notNumber {
		return nan, nil
	}
	if d.form != finite {
		return nil, errors.New(shortened(d.String()) + " does not fit " + t.String())
	}
	r := d.Rescale(t.Scale)
	if r.Precision() > t.Precision {
		return nil, errors.New(shortened(d.String()) + " does not fit " + t.String())
	}
	return r, nil
}

// textOf is the text that a String column holds for a value.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		return string(AppendJSON(nil, v))
	}
	return Text(v)
}

// JSONText is a JSON value as an element of a list, where a string is a text.
type JSONText string

// AppendJSON writes a value as JSON: numbers as numbers, what JSON has no form
// for as text.
func AppendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		if d := DecimalOfFloat(v, 64); d.IsFinite() {
			return strconv.AppendFloat(dst, v, 'g', -1, 64)
		}
	case *Decimal:
		if v.IsFinite() {
			return append(dst, v.String()...)
		}
	case JSONText:
		return append(dst, v...)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, e)
		}
		return append(dst, ']')
	}
	return connectors.AppendJSONString(dst, Text(v))
}

func parseUUID(s string) (u [16]byte, err error) {
	text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(s), "urn:uuid:"), "{"), "}")
	n := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '-':
			continue
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return u, errors.New(quoted(s) + " is not a UUID")
		}
		if n < 32 {
			u[n/2] = u[n/2]<<4 | c
		}
		n++
	}
	if n != 32 {
		return u, errors.New(quoted(s) + " is not a UUID")
	}
	return u, nil
}
