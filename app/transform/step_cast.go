package transform

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// typeCast gives columns other types. A value that cannot be converted fails
// its row.
type typeCast struct {
	Columns map[string]castTarget `json:"columns"`
}

// castTarget is a type's name, or an object with a format.
type castTarget struct {
	Type      connectors.Type
	Format    string
	Timezone  string
	Decimal   string
	Thousands string
	err       error
}

func (t *castTarget) UnmarshalJSON(raw []byte) error {
	var name typeName
	if len(raw) == 0 || raw[0] != '{' {
		if err := name.UnmarshalJSON(raw); err != nil {
			return err
		}
		t.Type, t.err = name.Type, name.err
		return nil
	}
	f := &faults{}
	var object struct {
		Type      string `json:"type"`
		Format    string `json:"format"`
		Timezone  string `json:"timezone"`
		Decimal   string `json:"decimal"`
		Thousands string `json:"thousands"`
	}
	if !f.decode("", raw, &object) {
		t.err = errors.New(f.list[0].Message)
		return nil
	}
	parsed, err := ParseType(object.Type)
	*t = castTarget{parsed, object.Format, object.Timezone, object.Decimal, object.Thousands, err}
	return nil
}

func (t castTarget) format() (*scalar.Format, error) {
	return scalar.NewFormat(scalar.FormatOptions{Layout: t.Format, Timezone: t.Timezone, Decimal: t.Decimal, Thousands: t.Thousands})
}

func (s *typeCast) check(f *faults) {
	if len(s.Columns) == 0 {
		f.add(".columns", "is required: columns with their types")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Columns)) {
		target := s.Columns[name]
		_, err := target.format()
		if target.err != nil {
			err = target.err
		}
		if err != nil {
			f.add(".columns."+name, "%v", err)
		}
	}
}

func (s *typeCast) compile(c *compilation) runner {
	var casts casting
	for _, name := range slices.Sorted(maps.Keys(s.Columns)) {
		at := c.find("columns."+name, name)
		if at < 0 {
			continue
		}
		target := s.Columns[name]
		format, err := target.format()
		from := c.columns[at].Type
		if err == nil {
			err = scalar.Convertible(from, target.Type, format)
		}
		if err != nil {
			c.faults.add(".columns."+name, "%v", err)
			continue
		}
		casts = append(casts, cast{at, name, from, target.Type, format})
		if !from.Equal(target.Type) || format != nil {
			c.change(at, target.Type, oneToOne(from, target.Type) && format == nil)
		}
		if from.Kind == connectors.JSON && target.Type.Kind != connectors.JSON {
			c.columns[at].Nullable = true // the JSON null becomes NULL
		}
	}
	return casts
}

// oneToOne says whether a conversion keeps different values different.
func oneToOne(from, to connectors.Type) bool {
	switch {
	case from.Kind == to.Kind && from.Kind != connectors.Decimal:
		return true
	case from.Kind == connectors.Decimal && to.Kind == connectors.Decimal:
		return to.Scale >= from.Scale
	case from.Kind.IsInteger():
		return to.Kind.IsInteger() || to.Kind == connectors.Decimal || to.Kind == connectors.Numeric || to.Kind == connectors.Text
	case from.Kind == connectors.UUID, from.Kind == connectors.Enum, from.Kind == connectors.Date, from.Kind == connectors.Timestamp, from.Kind == connectors.TimestampTZ:
		return to.Kind == connectors.Text || from.Kind == connectors.Date && to.Kind == connectors.Timestamp
	case from.Kind == connectors.Decimal:
		return to.Kind == connectors.Numeric || to.Kind == connectors.Text
	}
	return false
}

type cast struct {
	at       int
	name     string
	from, to connectors.Type
	format   *scalar.Format
}

type casting []cast

func (s casting) run(_ context.Context, f *frame) error {
	for _, c := range s {
		f.set(c.at, c.convert(f.arrays[c.at], func(i int, err error) { f.fail(i, "column "+c.name+": "+err.Error()) }))
	}
	return nil
}

// convert makes the array of the other type; fail hears of the rows for which
// there is no value.
func (c cast) convert(arr arrow.Array, fail func(i int, err error)) arrow.Array {
	if c.format == nil && c.trivial() {
		arr.Retain()
		return arr
	}
	b := array.NewBuilder(memory.DefaultAllocator, c.to.Arrow())
	defer b.Release()
	b.Reserve(arr.Len())
	if c.format == nil && c.direct(arr, b, fail) {
		return b.NewArray()
	}
	read, put := scalar.Reader(c.from, arr), scalar.Appender(b, c.to)
	for i := range arr.Len() {
		v, err := read(i)
		if err == nil {
			v, err = scalar.Convert(v, c.from, c.to, c.format)
		}
		if err == nil {
			err = put(v)
		}
		if err != nil {
			fail(i, err)
			b.AppendNull()
		}
	}
	return b.NewArray()
}

// trivial says whether the Arrow form and every value stay as they are.
func (c cast) trivial() bool {
	if c.from.Kind == connectors.Enum && c.to.Kind == connectors.Text && c.to.Length == 0 {
		return true
	}
	return c.from.Kind == c.to.Kind && c.from.Kind != connectors.Decimal && c.from.Kind != connectors.Enum && c.from.Kind != connectors.Array &&
		(c.to.Length == 0 || c.from.Length > 0 && c.from.Length <= c.to.Length)
}

// direct has the frequent conversions without a boxed value; each does what
// scalar.Convert and scalar.Appender do, or leaves the value to them.
func (c cast) direct(arr arrow.Array, builder array.Builder, fail func(i int, err error)) bool {
	n := arr.Len()
	each := func(one func(i int) error) bool {
		for i := range n {
			if arr.IsNull(i) {
				builder.AppendNull()
			} else if err := one(i); err != nil {
				fail(i, err)
				builder.AppendNull()
			}
		}
		return true
	}
	if text, ok := arr.(*array.String); ok && c.from.Kind == connectors.Text {
		put := scalar.Appender(builder, c.to)
		slow := func(i int) error {
			v, err := scalar.Convert(text.Value(i), c.from, c.to, nil)
			if err == nil {
				err = put(v)
			}
			return err
		}
		switch b := builder.(type) {
		case *array.Int64Builder:
			return each(func(i int) error {
				if v, ok := shortInt(text.Value(i)); ok {
					b.Append(v)
					return nil
				}
				return slow(i)
			})
		case *array.Decimal128Builder:
			return each(func(i int) error {
				if s := text.Value(i); s != "NaN" {
					if v, err := connectors.ParseDecimal128(s, c.to.Precision, c.to.Scale); err == nil {
						b.Append(v)
						return nil
					}
				}
				return slow(i)
			})
		case *array.Date32Builder:
			return each(func(i int) error {
				if v, err := connectors.ParseDate(text.Value(i)); err == nil {
					b.Append(v)
					return nil
				}
				return slow(i)
			})
		}
		return false
	}
	values, ok := integers(arr)
	if !ok {
		return false
	}
	switch b := builder.(type) {
	case *array.Int64Builder:
		return each(func(i int) error { b.Append(values(i)); return nil })
	case *array.Float64Builder:
		return each(func(i int) error { b.Append(float64(values(i))); return nil })
	case *array.StringBuilder:
		if c.to.Kind == connectors.Text && c.to.Length == 0 {
			var digits []byte
			return each(func(i int) error {
				digits = connectors.AppendValue(digits[:0], arr, c.from, i)
				b.BinaryBuilder.Append(digits)
				return nil
			})
		}
	}
	return false
}

// shortInt reads plain digits that cannot overflow.
func shortInt(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	digits, neg := s, s[0] == '-'
	if neg {
		digits = s[1:]
	}
	if digits == "" {
		return 0, false
	}
	v := int64(0)
	for i := range len(digits) {
		d := digits[i] - '0'
		if d > 9 {
			return 0, false
		}
		v = v*10 + int64(d)
	}
	if neg {
		v = -v
	}
	return v, true
}

// integers reads an array of integers that fit an int64.
func integers(arr arrow.Array) (func(i int) int64, bool) {
	switch a := arr.(type) {
	case *array.Int8:
		return func(i int) int64 { return int64(a.Value(i)) }, true
	case *array.Int16:
		return func(i int) int64 { return int64(a.Value(i)) }, true
	case *array.Int32:
		return func(i int) int64 { return int64(a.Value(i)) }, true
	case *array.Int64:
		return a.Value, true
	case *array.Uint8:
		return func(i int) int64 { return int64(a.Value(i)) }, true
	case *array.Uint16:
		return func(i int) int64 { return int64(a.Value(i)) }, true
	case *array.Uint32:
		return func(i int) int64 { return int64(a.Value(i)) }, true
	}
	return nil, false
}
