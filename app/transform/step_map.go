package transform

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// mapValues replaces values by others, found by their text. NULL stays NULL.
// Values that are not listed become the default, or stay where there is none.
type mapValues struct {
	Column  string                     `json:"column"`
	Mapping map[string]json.RawMessage `json:"mapping"`
	Default json.RawMessage            `json:"default"`
	Type    *typeName                  `json:"type"`
}

func (s *mapValues) check(f *faults) {
	f.required("column", s.Column)
	f.typed(".type", s.Type)
	if s.Mapping == nil {
		f.add(".mapping", "is required")
	}
}

func (s *mapValues) compile(c *compilation) runner {
	at := c.find("column", s.Column)
	if at < 0 {
		return unchanged{}
	}
	from := c.columns[at].Type
	to := s.resultType(c, from)
	m := &mapping{at: at, from: from, to: to, byText: map[string]int{}}
	if len(s.Default) == 0 {
		if err := scalar.Convertible(from, to, nil); err != nil {
			c.faults.add(".type", "values that are not listed stay, but %v: give a default or another type", err)
		}
	}
	read := func(key string, raw json.RawMessage) {
		l, err := typedLiteral(raw, to)
		if err != nil {
			c.faults.add(key, "%v", err)
		}
		m.values = append(m.values, l.value)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Mapping)) {
		m.byText[key] = len(m.values)
		read(".mapping."+key, s.Mapping[key])
	}
	if from.Kind == connectors.Bool { // true and false in JSON's spelling too
		for python, plain := range map[string]string{"True": "true", "False": "false"} {
			if i, ok := m.byText[plain]; ok {
				if _, both := m.byText[python]; !both {
					m.byText[python] = i
				}
			}
		}
	}
	m.absent = -1
	if len(s.Default) > 0 {
		m.absent = len(m.values)
		read(".default", s.Default)
	}
	c.change(at, to, false)
	c.columns[at].Nullable = true
	return m
}

// resultType is the declared type, or the column's where it holds all the new
// values, else the least that holds them, and the old ones that stay.
func (s *mapValues) resultType(c *compilation, from connectors.Type) connectors.Type {
	if s.Type != nil {
		return s.Type.Type
	}
	raws := slices.Collect(maps.Values(s.Mapping))
	if len(s.Default) > 0 {
		raws = append(raws, s.Default)
	}
	holds := true
	var kinds []literal
	for _, raw := range raws {
		if string(raw) == "null" {
			continue
		}
		l, err := parseLiteral(raw)
		if err != nil {
			c.faults.add(".mapping", "%v", err)
			return from
		}
		kinds = append(kinds, l)
		if !exactlyHolds(from, l) {
			holds = false
		}
	}
	if holds || len(kinds) == 0 {
		return from
	}
	if len(s.Default) == 0 { // old values stay among the new ones
		kinds = append(kinds, literal{t: from})
	}
	to := kinds[0].t
	for _, l := range kinds[1:] {
		to = widest(to, l.t)
	}
	if to.Kind == connectors.Text {
		to.Length, to.Fixed = 0, false
	}
	return to
}

// exactlyHolds says whether a column of type t holds a literal as it is written:
// texts in texts, whole numbers in integers.
func exactlyHolds(t connectors.Type, l literal) bool {
	switch l.t.Kind {
	case connectors.Text:
		if t.Kind != connectors.Text && t.Kind != connectors.Enum && t.Kind != connectors.UUID && t.Kind != connectors.Date &&
			t.Kind != connectors.Timestamp && t.Kind != connectors.TimestampTZ && t.Kind != connectors.Time {
			return false
		}
	case connectors.Bool:
		if t.Kind != connectors.Bool {
			return false
		}
	case connectors.Int64, connectors.Decimal, connectors.Numeric:
		isNumber := t.Kind.IsInteger() || t.Kind == connectors.Decimal || t.Kind == connectors.Numeric || t.Kind == connectors.Float32 || t.Kind == connectors.Float64
		if !isNumber || t.Kind.IsInteger() && l.t.Kind != connectors.Int64 {
			return false
		}
		if t.Kind == connectors.Decimal && l.t.Kind == connectors.Decimal && l.t.Scale > t.Scale {
			return false
		}
	case connectors.JSON:
		return t.Kind == connectors.JSON
	}
	v, err := scalar.Convert(l.value, l.t, t, nil)
	if err != nil {
		return false
	}
	b := array.NewBuilder(memory.DefaultAllocator, t.Arrow())
	defer b.Release()
	return scalar.Appender(b, t)(v) == nil
}

// widest is the least type for the values of both.
func widest(a, b connectors.Type) connectors.Type {
	number := func(t connectors.Type) bool {
		return t.Kind.IsInteger() || t.Kind == connectors.Decimal || t.Kind == connectors.Numeric || t.Kind == connectors.Float32 || t.Kind == connectors.Float64
	}
	switch {
	case a.Equal(b):
		return a
	case a.Kind == connectors.JSON || b.Kind == connectors.JSON:
		return connectors.Type{Kind: connectors.JSON}
	case a.Kind.IsInteger() && b.Kind.IsInteger() && a.Kind != connectors.Uint64 && b.Kind != connectors.Uint64:
		return connectors.Type{Kind: connectors.Int64}
	case number(a) && number(b):
		if a.Kind == connectors.Decimal && b.Kind == connectors.Decimal {
			scale := max(a.Scale, b.Scale)
			return connectors.NewDecimal(max(a.Precision-a.Scale, b.Precision-b.Scale)+scale, scale)
		}
		return connectors.Type{Kind: connectors.Numeric}
	}
	return connectors.Type{Kind: connectors.Text}
}

type mapping struct {
	at       int
	from, to connectors.Type
	byText   map[string]int
	values   []any
	absent   int // place of the default; -1: the value stays
}

func (m *mapping) run(_ context.Context, f *frame) error {
	arr := f.arrays[m.at]
	builder := array.NewBuilder(memory.DefaultAllocator, m.to.Arrow())
	defer builder.Release()
	builder.Reserve(f.n)
	if text, ok := arr.(*array.String); ok && m.texts(text, builder) {
		f.set(m.at, builder.NewArray())
		return nil
	}
	put := scalar.Appender(builder, m.to)
	read := scalar.Reader(m.from, arr)
	spell := textOf(arr, m.from)
	same := m.from.Equal(m.to)
	var key []byte
	for i := range f.n {
		if arr.IsNull(i) {
			builder.AppendNull()
			continue
		}
		key = spell(key[:0], i)
		at, ok := m.byText[string(key)]
		if !ok {
			at = m.absent
		}
		if at >= 0 {
			if err := put(m.values[at]); err != nil {
				return fmt.Errorf("column %s: %w", m.to, err)
			}
			continue
		}
		v, err := read(i)
		if err == nil && !same {
			v, err = scalar.Convert(v, m.from, m.to, nil)
		}
		if err == nil {
			err = put(v)
		}
		if err != nil {
			f.fail(i, err.Error())
			builder.AppendNull()
		}
	}
	f.set(m.at, builder.NewArray())
	return nil
}

// texts is the way of texts to unbounded texts, without a boxed value.
func (m *mapping) texts(arr *array.String, builder array.Builder) bool {
	b, ok := builder.(*array.StringBuilder)
	if !ok || m.to.Kind != connectors.Text && !m.from.Equal(m.to) || m.from.Kind != connectors.Text && m.from.Kind != connectors.Enum ||
		m.to.Length > 0 && !m.from.Equal(m.to) {
		return false
	}
	spelt := make([]string, len(m.values))
	for i, v := range m.values {
		if v != nil {
			spelt[i] = scalar.Text(v)
		}
	}
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		v := arr.Value(i)
		at, ok := m.byText[v]
		if !ok {
			at = m.absent
		}
		switch {
		case at < 0:
			b.Append(v)
		case m.values[at] == nil:
			b.AppendNull()
		default:
			b.Append(spelt[at])
		}
	}
	return true
}

// textOf writes the text of an array's values as scalar.Text does.
func textOf(arr arrow.Array, t connectors.Type) func(dst []byte, i int) []byte {
	switch a := arr.(type) {
	case *array.String:
		return func(dst []byte, i int) []byte { return append(dst, a.Value(i)...) }
	case *array.Date32, *array.Int8, *array.Int16, *array.Int32, *array.Int64, *array.Uint8, *array.Uint16, *array.Uint32, *array.Uint64,
		*array.Decimal128, *array.Decimal256, *array.FixedSizeBinary, *array.Time64:
		return func(dst []byte, i int) []byte { return connectors.AppendValue(dst, arr, t, i) }
	case *array.Float32:
		return func(dst []byte, i int) []byte { return append(dst, scalar.FloatText(float64(a.Value(i)), 32)...) }
	}
	read := scalar.Reader(t, arr)
	return func(dst []byte, i int) []byte {
		v, err := read(i)
		if err != nil {
			return dst
		}
		return append(dst, scalar.Text(v)...)
	}
}
