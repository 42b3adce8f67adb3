package transform

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// unchanged is the runner of steps that only change names.
type unchanged struct{}

func (unchanged) run(context.Context, *frame) error { return nil }

// rename gives columns other names, all at once.
type rename struct {
	Mapping map[string]string `json:"mapping"`
}

func (s *rename) check(f *faults) {
	for _, old := range slices.Sorted(maps.Keys(s.Mapping)) {
		if s.Mapping[old] == "" {
			f.add(".mapping."+old, "the new name is empty")
		}
	}
}

func (s *rename) compile(c *compilation) runner {
	renamed := make(map[int]string, len(s.Mapping))
	for _, old := range slices.Sorted(maps.Keys(s.Mapping)) {
		if i := c.find("mapping."+old, old); i >= 0 {
			renamed[i] = s.Mapping[old]
		}
	}
	taken := map[string]string{}
	for i, col := range c.columns {
		old, name := col.Name, col.Name
		if n, ok := renamed[i]; ok {
			name = n
		}
		if first, again := taken[name]; again {
			c.faults.add(".mapping", "the columns %s and %s would both be named %s", first, old, name)
		}
		taken[name] = old
		c.columns[i].Name = name
	}
	return unchanged{}
}

// removeFields drops columns.
type removeFields struct {
	Fields []string `json:"fields"`
}

func (s *removeFields) check(f *faults) { f.columnList("fields", s.Fields, false) }

func (s *removeFields) compile(c *compilation) runner {
	return picker{c.drop(c.findAll("fields", s.Fields))}
}

// picker keeps the columns at the given places.
type picker struct{ at []int }

func (p picker) run(_ context.Context, f *frame) error {
	f.pick(p.at)
	return nil
}

// addConstant adds a column that has the same value in every row.
type addConstant struct {
	Column string          `json:"column"`
	Value  json.RawMessage `json:"value"`
	Type   *typeName       `json:"type"`
}

func (s *addConstant) check(f *faults) {
	f.required("column", s.Column)
	if f.typed(".type", s.Type); !f.clean() {
		return
	}
	if _, err := s.value(); err != nil {
		f.add(".value", "%v", err)
	}
}

func (s *addConstant) value() (literal, error) {
	if len(s.Value) == 0 {
		return literal{}, fmt.Errorf("is required; null needs a type")
	}
	if s.Type != nil {
		return typedLiteral(s.Value, s.Type.Type)
	}
	return parseLiteral(s.Value)
}

func (s *addConstant) compile(c *compilation) runner {
	l, err := s.value()
	if err != nil {
		c.faults.add(".value", "%v", err)
		return unchanged{}
	}
	return &constantColumn{at: c.put(s.Column, l.t, l.value == nil), literal: l}
}

// literal is a value of a configuration with its type.
type literal struct {
	t     connectors.Type
	value any
}

// parseLiteral types a JSON value by itself: integers are int64, other numbers
// exact decimals, texts text, objects and lists JSON.
func parseLiteral(raw json.RawMessage) (literal, error) {
	text := strings.TrimSpace(string(raw))
	switch {
	case text == "null":
		return literal{}, fmt.Errorf("null has no type: name one")
	case text == "true" || text == "false":
		return literal{connectors.Type{Kind: connectors.Bool}, text == "true"}, nil
	case text[0] == '"':
		return typedLiteral(raw, connectors.Type{Kind: connectors.Text})
	case text[0] == '{' || text[0] == '[':
		return literal{connectors.Type{Kind: connectors.JSON}, text}, nil
	}
	d, err := scalar.ParseDecimal(text)
	if err != nil {
		return literal{}, err
	}
	if i, err := d.Int64(); err == nil && !strings.ContainsAny(text, ".eE") {
		return literal{connectors.Type{Kind: connectors.Int64}, i}, nil
	}
	return literal{connectors.NewDecimal(d.Precision(), d.Scale()), d}, nil
}

// typedLiteral reads a JSON value as one of a type.
func typedLiteral(raw json.RawMessage, t connectors.Type) (literal, error) {
	v, err := scalar.Convert(string(raw), connectors.Type{Kind: connectors.JSON}, t, nil)
	if err != nil {
		return literal{}, err
	}
	b := array.NewBuilder(memory.DefaultAllocator, t.Arrow())
	defer b.Release()
	if err := scalar.Appender(b, t)(v); err != nil {
		return literal{}, err
	}
	return literal{t, v}, nil
}

type constantColumn struct {
	at int
	literal
	whole arrow.Array // as long as the longest batch so far
}

func (s *constantColumn) run(_ context.Context, f *frame) error {
	if s.whole == nil || s.whole.Len() < f.n {
		b := array.NewBuilder(memory.DefaultAllocator, s.t.Arrow())
		defer b.Release()
		b.Reserve(f.n)
		put := scalar.Appender(b, s.t)
		for range f.n {
			if err := put(s.value); err != nil {
				return err
			}
		}
		if s.whole != nil {
			s.whole.Release()
		}
		s.whole = b.NewArray()
	}
	f.set(s.at, array.NewSlice(s.whole, 0, int64(f.n)))
	return nil
}

func (s *constantColumn) close() error {
	if s.whole != nil {
		s.whole.Release()
		s.whole = nil
	}
	return nil
}
