package transform

import (
	"context"
	"regexp"
	"strings"
	"unicode"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// maxValue bounds a text that a step makes.
const maxValue = 64 << 20

// texts is the runner of steps that make a text of each text.
type texts struct {
	at     []int
	change func(s string) string
}

func (s *texts) run(_ context.Context, f *frame) error {
	for _, at := range s.at {
		f.set(at, mapText(f.arrays[at].(*array.String), s.change))
	}
	return nil
}

// mapText changes every text; equal neighbours are changed once.
func mapText(arr *array.String, change func(string) string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.Reserve(arr.Len())
	b.ReserveData(len(arr.ValueBytes()))
	last, changed, started := "", "", false
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		if v := arr.Value(i); !started || v != last {
			last, changed, started = v, change(v), true
		}
		b.Append(changed)
	}
	return b.NewArray()
}

// textColumns checks the columns of a text step and gives them their new type.
func (c *compilation) textColumns(names []string, keepLength bool) []int {
	at := c.findAll("columns", names)
	for k, i := range at {
		if i < 0 {
			continue
		}
		c.text("columns", i)
		t := connectors.Type{Kind: connectors.Text}
		if old := c.columns[i].Type; keepLength && old.Kind == connectors.Text {
			t = old
			t.Fixed = false
		}
		c.change(at[k], t, false)
	}
	return at
}

// trim takes characters off the ends of texts, blanks unless it names others.
type trim struct {
	Columns    []string `json:"columns"`
	Side       string   `json:"side"`
	Characters string   `json:"characters"`
}

func (s *trim) check(f *faults) {
	f.columnList("columns", s.Columns, true)
	if s.Side != "both" && s.Side != "left" && s.Side != "right" {
		f.add(".side", "%q is not one of both, left, right", s.Side)
	}
}

func (s *trim) compile(c *compilation) runner {
	in := unicode.IsSpace
	if s.Characters != "" {
		in = func(r rune) bool { return strings.ContainsRune(s.Characters, r) }
	}
	return &texts{c.textColumns(s.Columns, true), func(v string) string {
		if s.Side != "right" {
			v = strings.TrimLeftFunc(v, in)
		}
		if s.Side != "left" {
			v = strings.TrimRightFunc(v, in)
		}
		return v
	}}
}

// changeCase makes texts lower or upper case.
type changeCase struct {
	Columns []string `json:"columns"`
	upper   bool
}

func (s *changeCase) check(f *faults) { f.columnList("columns", s.Columns, true) }

func (s *changeCase) compile(c *compilation) runner {
	if s.upper {
		return &texts{c.textColumns(s.Columns, true), strings.ToUpper}
	}
	return &texts{c.textColumns(s.Columns, true), strings.ToLower}
}

// replace puts one text in the place of another, or of what a regular expression finds.
type replace struct {
	Columns []string `json:"columns"`
	Find    string   `json:"find"`
	With    string   `json:"with"`
	Regex   bool     `json:"regex"`
}

func (s *replace) check(f *faults) {
	f.columnList("columns", s.Columns, true)
	f.required("find", s.Find)
	if s.Regex {
		if _, err := regexp.Compile(s.Find); err != nil {
			f.add(".find", "is not a regular expression: %v", err)
		}
	}
}

func (s *replace) compile(c *compilation) runner {
	at := c.textColumns(s.Columns, len(s.With) <= len(s.Find) && !s.Regex)
	r := &replacing{at: at, find: s.Find, with: s.With}
	if s.Regex {
		re, err := regexp.Compile(s.Find)
		if err != nil {
			c.faults.add(".find", "is not a regular expression: %v", err)
		}
		r.regex = re
	}
	return r
}

type replacing struct {
	at         []int
	find, with string
	regex      *regexp.Regexp
}

func (s *replacing) run(_ context.Context, f *frame) error {
	for _, at := range s.at {
		arr := f.arrays[at].(*array.String)
		row := -1
		tooLong := map[string]bool{}
		f.set(at, mapText(arr, func(v string) string {
			if s.regex != nil {
				return s.regex.ReplaceAllString(v, s.with)
			}
			if k := strings.Count(v, s.find); k > 0 && len(s.with) > len(s.find) && k > (maxValue-len(v))/(len(s.with)-len(s.find)) {
				tooLong[v] = true
				return ""
			}
			return strings.ReplaceAll(v, s.find, s.with)
		}))
		for row++; len(tooLong) > 0 && row < f.n; row++ {
			if !arr.IsNull(row) && tooLong[arr.Value(row)] {
				f.fail(row, "the text would be longer than 64 MiB")
			}
		}
	}
	return nil
}
