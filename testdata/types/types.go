// Package types holds what is known of every native type: its values at their limits, the logical type and the canonical
// text that they have, and where a destination cannot hold them. The files <dialect>.json are written by hand, the files
// <dialect>-to-<destination>.txt by the matrix test of package app, and docs/types.md from both.
package types

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
)

//go:embed *.json *.txt
var files embed.FS

// Dialects are the sources with goldens, in the order of the docs.
var Dialects = []string{"postgresql", "mysql", "mongodb", "sqlite"}

// Golden is all that is known of one source's types.
type Golden struct {
	Dialect string
	Setup   []string
	Groups  []Group
}

// Group is a table with a column per type.
type Group struct {
	Name    string
	Columns []Column
}

// Column is a native type and its values.
type Column struct {
	Type    string
	Name    string // where one type is tried in several ways
	Logical string
	NotNull bool `json:"not_null"`
	Key     bool
	Offline bool // the test server has no such type
	TimesID int  `json:"times_id"` // generated as the row's id times this
	Values  []Value
}

// Title is what the column is called in goldens and docs.
func (c Column) Title() string {
	if c.Name == "" {
		return c.Type
	}
	return c.Type + " (" + c.Name + ")"
}

// Value is a literal, its canonical text and what becomes of it by destination ("mysql", or "mysql raw" for raw mode alone):
// another text, null, or with a leading ! words of the error that refuses it.
type Value struct {
	Literal string
	Want    *string // nil: NULL
	In      map[string]*string
}

// UnmarshalJSON reads [literal], [literal, want] or [literal, want, in].
func (v *Value) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	into := []any{&v.Literal, &v.Want, &v.In}
	if len(parts) == 0 || len(parts) > len(into) {
		return fmt.Errorf("a value has %d parts", len(parts))
	}
	for i, p := range parts {
		if err := json.Unmarshal(p, into[i]); err != nil {
			return err
		}
	}
	if len(parts) == 1 {
		v.Want = &v.Literal
	}
	if v.Want != nil {
		text := repeated(*v.Want)
		v.Want = &text
	}
	return nil
}

// repeated spells out *<n> <text>.
func repeated(s string) string {
	rest, ok := strings.CutPrefix(s, "*")
	count, text, found := strings.Cut(rest, " ")
	n, err := strconv.Atoi(count)
	if !ok || !found || err != nil {
		return s
	}
	return strings.Repeat(text, n)
}

// Load reads the goldens of a dialect.
func Load(dialect string) (Golden, error) {
	data, err := files.ReadFile(dialect + ".json")
	if err != nil {
		return Golden{}, err
	}
	var g Golden
	err = json.Unmarshal(data, &g)
	return g, err
}

// Mapping reads what the matrix test found a destination to make of a dialect's types.
func Mapping(dialect, destination string) (string, error) {
	data, err := files.ReadFile(MappingFile(dialect, destination))
	return string(data), err
}

// MappingFile names the file of Mapping.
func MappingFile(dialect, destination string) string { return dialect + "-to-" + destination + ".txt" }

// Table is a table to be made at a source, and what must arrive of it.
type Table struct {
	Name    string
	Columns []TableColumn // without the id
	Key     []string      // empty: the id
	Rows    []Row
	Alone   bool               // holds one value that the destination refuses or changes
	In      map[string]*string // of that value
}

// TableColumn is a column of a Table.
type TableColumn struct {
	Column

	As string // its name in the table
}

// Row is the values of one row beside its id. A nil literal is left to the column's default.
type Row struct {
	ID      int
	Literal []*string
	Want    []any // the canonical text or nil
}

// Refused says whether a load in a mode fails, and with which words.
func (t Table) Refused(destination, mode string) (words string, refused bool) {
	if in, _ := t.in(destination, mode); in != nil {
		return strings.CutPrefix(*in, "!")
	}
	return "", false
}

// Changed says whether a value arrives as another one; nil is NULL.
func (t Table) Changed(destination, mode string) (text any, changed bool) {
	in, ok := t.in(destination, mode)
	return textOrNull(in), ok
}

func (t Table) in(destination, mode string) (*string, bool) {
	if in, ok := t.In[destination+" "+mode]; ok {
		return in, ok
	}
	in, ok := t.In[destination]
	return in, ok
}

// Tables lays the values out in tables. Values that a destination refuses or changes stand in tables of their own.
func (g Golden) Tables(destination string) []Table {
	var tables []Table
	for _, group := range g.Groups {
		table := Table{Name: group.Name}
		var values [][]Value
		for i, c := range group.Columns {
			if c.Offline {
				continue
			}
			column := TableColumn{c, columnName(i, c)}
			var plain []Value
			for n, v := range c.Values {
				alone := Table{
					Name: fmt.Sprintf("%s_%d_%d", group.Name, i, n), Columns: []TableColumn{column}, Alone: true, In: v.In,
					Rows: []Row{{1, []*string{&v.Literal}, []any{textOrNull(v.Want)}}},
				}
				_, direct := alone.in(destination, "direct")
				if _, raw := alone.in(destination, "raw"); direct || raw {
					tables = append(tables, alone)
				} else {
					plain = append(plain, v)
				}
			}
			table.Columns = append(table.Columns, column)
			values = append(values, plain)
			if c.Key {
				table.Key = append(table.Key, column.As)
			}
		}
		table.Rows = rows(table, values)
		tables = append(tables, table)
	}
	return tables
}

// rows gives the n-th row the n-th value of every column, and puts a row without values in front where there may be one.
func rows(table Table, values [][]Value) []Row {
	count, first := 0, 0
	for _, list := range values {
		count = max(count, len(list))
	}
	if len(table.Key) > 0 {
		first = 1
	}
	var out []Row
	for n := first; n <= count; n++ {
		row := Row{ID: n}
		for i, c := range table.Columns {
			list, at := values[i], n-1
			if c.NotNull && len(list) > 0 {
				at = max(0, min(at, len(list)-1))
			}
			var literal *string
			var want any
			switch {
			case c.TimesID != 0:
				want = strconv.Itoa(n * c.TimesID)
			case at >= 0 && at < len(list):
				literal, want = &list[at].Literal, textOrNull(list[at].Want)
			}
			row.Literal, row.Want = append(row.Literal, literal), append(row.Want, want)
		}
		out = append(out, row)
	}
	return out
}

func textOrNull(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

// columnName is a plain name that tells the type.
func columnName(i int, c Column) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(c.Title()))
	return fmt.Sprintf("c%02d_%s", i, strings.Trim(name[:min(len(name), 30)], "_"))
}

// Spell writes a logical type with everything that Type.Equal compares.
func Spell(t connectors.Type) string {
	s := t.String()
	switch t.Kind {
	case connectors.Time, connectors.Timestamp, connectors.TimestampTZ:
		s = t.Kind.String()
		if t.Precision > 0 {
			s += "(" + strconv.Itoa(t.Precision) + ")"
		}
		if t.Wide {
			s += " wide"
		}
	case connectors.JSON:
		if t.Parsed {
			s += " parsed"
		}
	}
	return s
}

// Offline lists the columns that only a unit test can try.
func (g Golden) Offline() []Column {
	var list []Column
	for _, group := range g.Groups {
		list = append(list, slices.DeleteFunc(slices.Clone(group.Columns), func(c Column) bool { return !c.Offline })...)
	}
	return list
}
