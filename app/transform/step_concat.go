package transform

import (
	"context"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// concatFields joins the texts of columns. NULLs are left out with their
// separator; where all are NULL, so is the result.
type concatFields struct {
	Fields     []string `json:"fields"`
	Separator  string   `json:"separator"`
	Target     string   `json:"target"`
	DropSource bool     `json:"drop_source"`
}

func (s *concatFields) check(f *faults) {
	if len(s.Fields) == 0 {
		f.add(".fields", "is required: the names of columns")
	}
	f.required("target", s.Target)
}

func (s *concatFields) compile(c *compilation) runner {
	at := c.findAll("fields", s.Fields)
	if slices.Contains(at, -1) {
		return unchanged{}
	}
	r := &joining{from: at, separator: s.Separator}
	for _, i := range at {
		r.types = append(r.types, c.columns[i].Type)
		if c.columns[i].Type.Kind == connectors.Bytes {
			c.faults.add(".fields", "column %s is bytes: cast it to text with the format hex or base64 first", c.columns[i].Name)
		}
	}
	r.to = c.put(s.Target, connectors.Type{Kind: connectors.Text}, true)
	if s.DropSource {
		gone := slices.DeleteFunc(slices.Clone(at), func(i int) bool { return i == r.to })
		r.stay = c.drop(gone)
	}
	return r
}

type joining struct {
	from      []int
	types     []connectors.Type
	separator string
	to        int
	stay      []int // nil: all
}

func (s *joining) run(_ context.Context, f *frame) error {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.Reserve(f.n)
	spell := make([]func([]byte, int) []byte, len(s.from))
	for k, at := range s.from {
		spell[k] = textOf(f.arrays[at], s.types[k])
	}
	var text []byte
	for i := range f.n {
		text = text[:0]
		found := false
		for k, at := range s.from {
			if f.arrays[at].IsNull(i) {
				continue
			}
			if found {
				text = append(text, s.separator...)
			}
			text = spell[k](text, i)
			found = true
		}
		if found {
			b.BinaryBuilder.Append(text)
		} else {
			b.AppendNull()
		}
	}
	f.set(s.to, b.NewArray())
	if s.stay != nil {
		f.pick(s.stay)
	}
	return nil
}

// split divides texts at a separator into columns. What is left over stands in
// the last of them; where parts are missing, the columns are NULL.
type split struct {
	Column     string   `json:"column"`
	Separator  string   `json:"separator"`
	Into       []string `json:"into"`
	DropSource bool     `json:"drop_source"`
}

func (s *split) check(f *faults) {
	f.required("column", s.Column)
	f.required("separator", s.Separator)
	f.columnList("into", s.Into, true)
}

func (s *split) compile(c *compilation) runner {
	at := c.find("column", s.Column)
	if at < 0 {
		return unchanged{}
	}
	c.text("column", at)
	r := &splitting{from: at, separator: s.Separator}
	for _, name := range s.Into {
		r.to = append(r.to, c.put(name, connectors.Type{Kind: connectors.Text}, true))
	}
	if s.DropSource && !slices.Contains(r.to, at) {
		r.stay = c.drop([]int{at})
	}
	return r
}

type splitting struct {
	from      int
	separator string
	to        []int
	stay      []int
}

func (s *splitting) run(_ context.Context, f *frame) error {
	arr := f.arrays[s.from].(*array.String)
	builders := make([]*array.StringBuilder, len(s.to))
	for k := range builders {
		builders[k] = array.NewStringBuilder(memory.DefaultAllocator)
		builders[k].Reserve(f.n)
	}
	for i := range f.n {
		if arr.IsNull(i) {
			for _, b := range builders {
				b.AppendNull()
			}
			continue
		}
		rest, more := arr.Value(i), true
		for k, b := range builders {
			part := rest
			switch {
			case !more:
				b.AppendNull()
				continue
			case k == len(builders)-1:
				more = false
			default:
				part, rest, more = strings.Cut(rest, s.separator)
			}
			b.Append(part)
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
