package transform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// parseJSON takes the value at a path out of a JSON column into a column of its
// own. Where the path leads nowhere, or to null, it is NULL.
type parseJSON struct {
	Column string   `json:"column"`
	Path   string   `json:"path"`
	Target string   `json:"target"`
	Type   typeName `json:"type"`
	Format string   `json:"format"`
}

func (s *parseJSON) check(f *faults) {
	f.required("column", s.Column)
	f.typed(".type", &s.Type)
	if _, err := parsePath(s.Path); err != nil {
		f.add(".path", "%v", err)
	}
	if _, err := scalar.NewFormat(scalar.FormatOptions{Layout: s.Format}); err != nil {
		f.add(".format", "%v", err)
	}
}

func (s *parseJSON) compile(c *compilation) runner {
	at := c.find("column", s.Column)
	path, err := parsePath(s.Path)
	if at < 0 || err != nil {
		return unchanged{}
	}
	c.json("column", at)
	format, err := scalar.NewFormat(scalar.FormatOptions{Layout: s.Format})
	if err != nil {
		c.faults.add(".format", "%v", err)
	}
	target := s.Target
	if target == "" {
		target = path[len(path)-1].key
	}
	if target == "" {
		c.faults.add(".target", "is required where the path ends with a number")
		return unchanged{}
	}
	r := &extracting{from: at, check: c.columns[at].Type.Kind == connectors.Text, path: path, t: s.Type.Type, format: format}
	r.to = c.put(target, s.Type.Type, true)
	return r
}

// json insists that column i holds JSON, or text that may be it.
func (c *compilation) json(key string, i int) {
	switch c.columns[i].Type.Kind {
	case connectors.JSON, connectors.Text, connectors.Array:
	default:
		c.faults.add("."+key, "column %s is %s, neither JSON nor text", c.columns[i].Name, c.columns[i].Type)
	}
}

// pathStep is a key of an object or, without one, an index of an array.
type pathStep struct {
	key   string
	index int
}

// parsePath reads $.a.b[0]['x y'], with or without the $ in front.
func parsePath(s string) ([]pathStep, error) {
	bad := fmt.Errorf("%q is not a path such as $.customer.address.city or items[0].name", s)
	rest := strings.TrimPrefix(strings.TrimSpace(s), "$")
	var path []pathStep
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, "['"), strings.HasPrefix(rest, `["`):
			quote := rest[1:2]
			key, after, ok := strings.Cut(rest[2:], quote+"]")
			if !ok || key == "" {
				return nil, bad
			}
			path, rest = append(path, pathStep{key: key}), after
		case rest[0] == '[':
			number, after, ok := strings.Cut(rest[1:], "]")
			index, err := strconv.Atoi(number)
			if !ok || err != nil {
				return nil, bad
			}
			path, rest = append(path, pathStep{index: index}), after
		default:
			rest = strings.TrimPrefix(rest, ".")
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, bad
			}
			step := pathStep{key: rest[:end]}
			if index, err := strconv.Atoi(step.key); err == nil {
				step.index = index // a key or an index, as what stands there has it
			}
			path, rest = append(path, step), rest[end:]
		}
	}
	if len(path) == 0 || len(path) > 100 {
		return nil, bad
	}
	return path, nil
}

// walk follows a path; found is false where it leads nowhere.
func walk(s string, path []pathStep) (value string, found bool, err error) {
	value = s
	for _, step := range path {
		text := strings.TrimLeft(value, " \n\t\r")
		var next string
		ok := false
		switch {
		case strings.HasPrefix(text, "{") && step.key != "":
			err = scalar.Members(text, func(key, v string) error {
				if key == step.key {
					next, ok = v, true
				}
				return nil
			})
		case strings.HasPrefix(text, "[") && (step.key == "" || strconv.Itoa(step.index) == step.key):
			index := step.index
			if index < 0 {
				count := 0
				if err := scalar.Elements(text, func(int, string) error { count++; return nil }); err != nil {
					return "", false, err
				}
				index += count
			}
			err = scalar.Elements(text, func(i int, v string) error {
				if i == index {
					next, ok = v, true
				}
				return nil
			})
		}
		if err != nil || !ok {
			return "", false, err
		}
		value = next
	}
	return value, true, nil
}

type extracting struct {
	from, to int
	check    bool // the texts may not be JSON
	path     []pathStep
	t        connectors.Type
	format   *scalar.Format
}

func (s *extracting) run(_ context.Context, f *frame) error {
	arr := f.arrays[s.from].(*array.String)
	b := array.NewBuilder(memory.DefaultAllocator, s.t.Arrow())
	defer b.Release()
	b.Reserve(f.n)
	put := scalar.Appender(b, s.t)
	for i := range f.n {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		if err := s.one(arr.Value(i), put); err != nil {
			f.fail(i, err.Error())
			b.AppendNull()
		}
	}
	f.set(s.to, b.NewArray())
	return nil
}

func (s *extracting) one(text string, put func(any) error) error {
	if s.check && !json.Valid([]byte(text)) {
		return errors.New("the text is not JSON")
	}
	value, found, err := walk(text, s.path)
	if err != nil {
		return err
	}
	if !found {
		return put(nil)
	}
	return putJSON(value, s.t, s.format, put)
}

// putJSON appends a JSON value as one of type t; the JSON null is NULL.
func putJSON(value string, t connectors.Type, format *scalar.Format, put func(any) error) error {
	if value == "null" {
		return put(nil)
	}
	v, err := scalar.Convert(value, connectors.Type{Kind: connectors.JSON}, t, format)
	if err != nil {
		return err
	}
	return put(v)
}

// flatten makes columns of the members of a JSON object. Without declared
// columns the first batch decides which there are, and which types they have.
type flatten struct {
	Column     string      `json:"column"`
	Columns    orderedKeys `json:"columns"`
	Prefix     *string     `json:"prefix"`
	DropSource bool        `json:"drop_source"`
}

// orderedKeys are keys with their types in the order they were written.
type orderedKeys []keyType

type keyType struct {
	key string
	t   connectors.Type
	err error
}

func (o *orderedKeys) UnmarshalJSON(raw []byte) error {
	var types map[string]typeName
	if err := json.Unmarshal(raw, &types); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	depth := 0
	for {
		token, err := d.Token()
		if err != nil {
			return nil // the end: Unmarshal has read it before
		}
		switch token := token.(type) {
		case json.Delim:
			depth++
		case string:
			if t, ok := types[token]; ok && depth == 1 {
				*o = append(*o, keyType{token, t.Type, t.err})
				delete(types, token)
				if _, err := d.Token(); err != nil {
					return err
				}
			}
		}
	}
}

func (s *flatten) check(f *faults) {
	f.required("column", s.Column)
	for _, k := range s.Columns {
		if k.err != nil {
			f.add(".columns."+k.key, "%v", k.err)
		}
	}
}

func (s *flatten) compile(c *compilation) runner {
	at := c.find("column", s.Column)
	if at < 0 {
		return unchanged{}
	}
	c.json("column", at)
	r := &flattening{spec: s, from: at, prefix: s.Column + "_", check: c.columns[at].Type.Kind == connectors.Text}
	if s.Prefix != nil {
		r.prefix = *s.Prefix
	}
	if len(s.Columns) > 0 {
		r.fix(c, s.Columns)
		return r
	}
	c.pending = true
	return r
}

type flattening struct {
	spec   *flatten
	from   int
	prefix string
	check  bool
	keys   []keyType
	places map[string]int // of keys
	to     []int
	stay   []int
}

// fix decides about the columns.
func (s *flattening) fix(c *compilation, keys []keyType) {
	s.keys, s.places = keys, make(map[string]int, len(keys))
	for k, key := range keys {
		s.places[key.key] = k
		s.to = append(s.to, c.put(s.prefix+key.key, key.t, true))
	}
	if s.spec.DropSource && !slices.Contains(s.to, s.from) {
		s.stay = c.drop([]int{s.from})
	}
}

// maxFlat is how many columns a first batch may make.
const maxFlat = 500

// learn finds the keys of the first rows and the least type for each.
func (s *flattening) learn(_ context.Context, f *frame, c *compilation) error {
	var keys []keyType
	places := map[string]int{}
	if f != nil {
		arr := f.arrays[s.from].(*array.String)
		for i := range f.n {
			if arr.IsNull(i) || s.check && !json.Valid([]byte(arr.Value(i))) || arr.Value(i) == "null" {
				continue
			}
			err := scalar.Members(arr.Value(i), func(key, value string) error {
				at, ok := places[key]
				if !ok {
					if len(keys) == maxFlat {
						return fmt.Errorf("the objects of column %s have more than %d keys: declare the columns", s.spec.Column, maxFlat)
					}
					at = len(keys)
					places[key] = at
					keys = append(keys, keyType{key: key})
				}
				keys[at].t = jsonWidest(keys[at].t, value)
				return nil
			})
			if err != nil && len(keys) == maxFlat {
				return err
			}
		}
	}
	for i := range keys {
		if keys[i].t.Kind == connectors.Invalid { // only nulls so far
			keys[i].t.Kind = connectors.JSON
		}
	}
	s.fix(c, keys)
	return nil
}

func (s *flattening) learned() any { return s.keys }

func (s *flattening) adopt(_ context.Context, learned any, c *compilation) error {
	s.fix(c, learned.([]keyType))
	return nil
}

// jsonWidest widens a type so that it holds a JSON value too.
func jsonWidest(t connectors.Type, value string) connectors.Type {
	var kind connectors.Kind
	switch {
	case value == "null":
		return t
	case value == "true", value == "false":
		kind = connectors.Bool
	case value[0] == '"':
		kind = connectors.Text
	case value[0] == '{', value[0] == '[':
		kind = connectors.JSON
	default:
		kind = connectors.Numeric
		if d, err := scalar.ParseDecimal(value); err == nil && !strings.ContainsAny(value, ".eE") {
			if _, err := d.Int64(); err == nil {
				kind = connectors.Int64
			}
		}
	}
	switch {
	case t.Kind == connectors.Invalid || t.Kind == kind:
		return connectors.Type{Kind: kind}
	case t.Kind == connectors.Int64 && kind == connectors.Numeric, t.Kind == connectors.Numeric && kind == connectors.Int64:
		return connectors.Type{Kind: connectors.Numeric}
	}
	return connectors.Type{Kind: connectors.JSON}
}

func (s *flattening) run(_ context.Context, f *frame) error {
	arr := f.arrays[s.from].(*array.String)
	builders := make([]array.Builder, len(s.keys))
	puts := make([]func(any) error, len(s.keys))
	for k, key := range s.keys {
		builders[k] = array.NewBuilder(memory.DefaultAllocator, key.t.Arrow())
		builders[k].Reserve(f.n)
		puts[k] = scalar.Appender(builders[k], key.t)
	}
	values := make([]string, len(s.keys))
	for i := range f.n {
		clear(values)
		if !arr.IsNull(i) && arr.Value(i) != "null" {
			if err := s.members(arr.Value(i), values); err != nil {
				f.fail(i, err.Error())
			}
		}
		for k, v := range values {
			var err error
			if v == "" {
				err = puts[k](nil)
			} else {
				err = putJSON(v, s.keys[k].t, nil, puts[k])
			}
			if err != nil {
				f.fail(i, "key "+s.keys[k].key+": "+err.Error())
				builders[k].AppendNull()
			}
		}
	}
	for k, b := range builders {
		f.set(s.to[k], b.NewArray())
		b.Release()
	}
	if s.stay != nil {
		f.pick(s.stay)
	}
	return nil
}

// members finds the values of the keys. A key that has no column is a fault
// where the object itself is not kept.
func (s *flattening) members(text string, values []string) error {
	if s.check && !json.Valid([]byte(text)) {
		return errors.New("the text is not JSON")
	}
	return scalar.Members(text, func(key, value string) error {
		if at, ok := s.places[key]; ok {
			values[at] = value
		} else if s.stay != nil {
			return fmt.Errorf("the key %q is not among the columns, and the object itself is dropped", key)
		}
		return nil
	})
}
