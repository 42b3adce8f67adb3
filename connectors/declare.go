package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Declaration is a table as somebody wants it to be in a database.
type Declaration struct {
	Target    TableRef
	Columns   []DeclaredColumn // a column's position is its ID
	Key       []string
	Time      string   // of a fact table: the column of seconds since 1970 by whose UTC day rows lie together
	Sort      []string // what rows of a day are sorted by, where the database sorts; names of deleted columns stay
	Retention int      // days that rows are kept where the database drops them by itself; 0 = for ever
	Notes     []string // what no server can keep of what was declared
}

// DeclaredColumn is one column of a declaration. An enum with values takes those
// alone, one without takes any.
type DeclaredColumn struct {
	Column
	Default *string // in canonical text (see AppendValue); nil = null
	Deleted bool    // it is no more; its place stays
}

// DeclareOptions say how declarations are pushed.
type DeclareOptions struct {
	Apply bool      // do what the plan says, unless a table is refused
	Drop  bool      // columns that are deleted may go with their data
	Now   time.Time // the days around it get partitions where a database wants them made
}

// Declarer is the ability of a destination to make tables what declarations say.
type Declarer interface {
	// Declare plans what makes the tables what they are to be. It does so too when
	// that is asked for and no table is refused: in one transaction where the
	// server has them for this, else table by table in the order given.
	Declare(ctx context.Context, tables []Declaration, opts DeclareOptions) ([]DeclarationPlan, error)
}

// DeclarationPlan is what makes one table what its declaration says.
type DeclarationPlan struct {
	Table      string              `json:"table"`
	Changes    []DeclarationChange `json:"changes"`
	Statements []string            `json:"statements"`
	Refused    []string            `json:"refused"` // why it cannot be; then nothing changes
	Drift      []string            `json:"drift"`   // what the server has that the declaration has not
	Notes      []string            `json:"notes"`   // what the server cannot keep of the declaration
}

// DeclarationChange is one effect of a plan.
type DeclarationChange struct {
	Kind   string `json:"kind"`
	Column string `json:"column,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// The kinds of DeclarationChange.
const (
	DeclareCreate  = "create table"
	DeclareAccept  = "declare table"
	DeclareAdd     = "add column"
	DeclareDrop    = "drop column"
	DeclareCases   = "add enum cases"
	DeclareRetains = "change retention"
)

// Mark is what a server keeps of a declaration beside the table itself, in the
// comment of the column MetaRunID.
type Mark struct {
	Key  []string `json:"key"`
	Time string   `json:"time,omitempty"`
	Sort []string `json:"sort,omitempty"`
}

const markPrefix = "arus:declared "

// Mark gives the declaration's mark.
func (d Declaration) Mark() Mark { return Mark{Key: d.Key, Time: d.Time, Sort: d.Sort} }

// Comment spells a mark for a server.
func (m Mark) Comment() string {
	text, _ := json.Marshal(m) // strings alone
	return markPrefix + string(text)
}

// ParseMark reads a comment; nil where it is no mark.
func ParseMark(comment string) *Mark {
	text, ok := strings.CutPrefix(comment, markPrefix)
	var m Mark
	if !ok || json.Unmarshal([]byte(text), &m) != nil || len(m.Key) == 0 {
		return nil
	}
	return &m
}

// Present is a table as a server has it, in the words that a connector compares.
type Present struct {
	Managed bool
	Mark    *Mark
	Key     []string // where there is no mark
	Time    string   // the column that partitions it; "" = none
	Columns []PresentColumn
	Extras  []string // indexes, constraints, ... of which declarations do not speak
}

// PresentColumn is a column in a server's own spelling: one that is there, or one
// that is to be.
type PresentColumn struct {
	Name    string
	Native  string
	Default string   // normal form of the connector; "" = null
	Cases   []string // the values of a closed enum
}

// Column finds a column by its exact name.
func (p *Present) Column(name string) (PresentColumn, bool) {
	i := slices.IndexFunc(p.Columns, func(c PresentColumn) bool { return c.Name == name })
	if i < 0 {
		return PresentColumn{}, false
	}
	return p.Columns[i], true
}

// Difference is what lies between a declaration and a table that is there.
type Difference struct {
	Plan   DeclarationPlan
	Add    []int // IDs
	Drop   []string
	Recase []int // IDs of columns with more enum cases
	Mark   bool  // the mark is missing or another
}

// NewPlan is an empty plan for a declaration, with lists that are not nil.
func NewPlan(d Declaration) DeclarationPlan {
	return DeclarationPlan{Table: d.Target.String(), Changes: []DeclarationChange{}, Statements: []string{}, Refused: []string{}, Drift: []string{}, Notes: append([]string{}, d.Notes...)}
}

// Differ compares a declaration with the table that is there. want are the
// declaration's columns, by ID, in the server's spelling.
func (d Declaration) Differ(have *Present, want []PresentColumn, opts DeclareOptions) Difference {
	diff := Difference{Plan: NewPlan(d)}
	p := &diff.Plan
	refuse := func(format string, args ...any) { p.Refused = append(p.Refused, fmt.Sprintf(format, args...)) }
	if !have.Managed {
		refuse("the table was not made by Arus: choose another name, or drop it")
		return diff
	}
	mark := Mark{Key: have.Key, Time: have.Time, Sort: d.Sort}
	if have.Mark != nil {
		mark = *have.Mark
	}
	switch {
	case !slices.Equal(mark.Key, d.Key):
		refuse("the key is (%s) and cannot become (%s)", strings.Join(mark.Key, ", "), strings.Join(d.Key, ", "))
	case mark.Time != d.Time:
		refuse("the table's time column is %s and cannot become %s: a fact table stays one", none(mark.Time), none(d.Time))
	case !slices.Equal(mark.Sort, d.Sort):
		refuse("the sort columns are (%s) and cannot become (%s)", strings.Join(mark.Sort, ", "), strings.Join(d.Sort, ", "))
	}
	d.differColumns(&diff, have, want, opts)
	p.Drift = append(p.Drift, have.Extras...)
	if len(p.Refused) > 0 {
		p.Changes, diff.Add, diff.Drop, diff.Recase = []DeclarationChange{}, nil, nil, nil
		return diff
	}
	if have.Mark == nil {
		diff.Mark = true
		p.Changes = append([]DeclarationChange{{DeclareAccept, "", "loads keep its shape"}}, p.Changes...)
	}
	return diff
}

func none(name string) string {
	if name == "" {
		return "none"
	}
	return name
}

func (d Declaration) differColumns(diff *Difference, have *Present, want []PresentColumn, opts DeclareOptions) {
	p := &diff.Plan
	refuse := func(format string, args ...any) { p.Refused = append(p.Refused, fmt.Sprintf(format, args...)) }
	live, last, lastName := map[string]bool{}, -1, ""
	for id, c := range d.Columns {
		if c.Deleted {
			continue
		}
		live[c.Name] = true
		is, there := have.Column(c.Name)
		at := slices.IndexFunc(have.Columns, func(h PresentColumn) bool { return h.Name == c.Name })
		switch {
		case !there:
			diff.Add = append(diff.Add, id)
			detail := want[id].Native
			if c.Default != nil {
				detail += fmt.Sprintf(" with default %q", *c.Default)
			}
			p.Changes = append(p.Changes, DeclarationChange{DeclareAdd, c.Name, detail})
			continue
		}
		if len(diff.Add) > 0 {
			refuse("column %s stands before column %s, which the server has: the place of a column is its ID, and new ones come last", d.Columns[diff.Add[len(diff.Add)-1]].Name, c.Name)
		}
		if at < last {
			refuse("column %s stands after column %s, on the server before it: the place of a column is its ID and does not change", c.Name, lastName)
		}
		last, lastName = at, c.Name
		d.differColumn(diff, id, is, want[id])
	}
	for _, h := range have.Columns {
		switch {
		case live[h.Name]:
		case !slices.ContainsFunc(d.Columns, func(c DeclaredColumn) bool { return c.Deleted && c.Name == h.Name }):
			p.Drift = append(p.Drift, "column "+h.Name+" "+h.Native)
		case opts.Drop:
			diff.Drop = append(diff.Drop, h.Name)
			p.Changes = append(p.Changes, DeclarationChange{DeclareDrop, h.Name, "its data goes"})
		default:
			p.Notes = append(p.Notes, "column "+h.Name+" is deleted and keeps its place and data until columns may be dropped")
		}
	}
}

func (d Declaration) differColumn(diff *Difference, id int, is, want PresentColumn) {
	p := &diff.Plan
	switch {
	case is.Native != want.Native:
		p.Refused = append(p.Refused, fmt.Sprintf("column %s is %s and cannot become %s: add a column of that type and delete this one", is.Name, is.Native, want.Native))
	case is.Default != want.Default:
		p.Refused = append(p.Refused, fmt.Sprintf("the default of column %s is %s and cannot become %s", is.Name, none(is.Default), none(want.Default)))
	case len(is.Cases) > len(want.Cases) || !slices.Equal(is.Cases, want.Cases[:len(is.Cases)]):
		p.Refused = append(p.Refused, fmt.Sprintf("the enum cases of column %s are (%s) and cannot become (%s): cases are only appended", is.Name, strings.Join(is.Cases, ", "), strings.Join(want.Cases, ", ")))
	case len(is.Cases) == 0 && len(want.Cases) > 0:
		p.Refused = append(p.Refused, fmt.Sprintf("column %s takes any value and cannot be bound to cases", is.Name))
	case len(is.Cases) < len(want.Cases):
		diff.Recase = append(diff.Recase, id)
		p.Changes = append(p.Changes, DeclarationChange{DeclareCases, is.Name, strings.Join(want.Cases[len(is.Cases):], ", ")})
	}
}

// CreationPlan is the plan for a table that is not there.
func (d Declaration) CreationPlan() DeclarationPlan {
	p := NewPlan(d)
	kind := "dimension table"
	if d.Time != "" {
		kind = "fact table, by the UTC day of " + d.Time
	}
	p.Changes = append(p.Changes, DeclarationChange{DeclareCreate, "", kind + ", key (" + strings.Join(d.Key, ", ") + ")"})
	return p
}

// Refused says whether any of the plans is refused.
func Refused(plans []DeclarationPlan) bool {
	return slices.ContainsFunc(plans, func(p DeclarationPlan) bool { return len(p.Refused) > 0 })
}

// PhysicalKey is a key with the time column, without which a server that divides
// a table by it keeps no key.
func (m Mark) PhysicalKey() []string {
	if m.Time == "" || slices.Contains(m.Key, m.Time) {
		return m.Key
	}
	return append(slices.Clone(m.Key), m.Time)
}

// Moves says whether a row of the mark's table lies elsewhere once its time is another.
func (m *Mark) Moves() bool { return m != nil && m.Time != "" && !slices.Contains(m.Key, m.Time) }

const (
	daySeconds = 86400
	daysAhead  = 7
	daysBack   = 90
)

// PartitionDays are the days, counted from 1970, that get partitions when a table
// is made: those that are kept, at most 90, and a week ahead.
func (d Declaration) PartitionDays(now time.Time) (from, to int64) {
	back := int64(daysBack)
	if d.Retention > 0 {
		back = min(back, int64(d.Retention))
	}
	today := now.Unix() / daySeconds
	return max(today-back, 0), today + daysAhead
}

// DaysAhead are the days, counted from 1970, that a load makes partitions for.
func DaysAhead(now time.Time) (from, to int64) {
	today := max(now.Unix()/daySeconds, 0)
	return today, today + daysAhead
}

// DayName is a day counted from 1970 as 20060102, and its first second.
func DayName(day int64) (name string, start int64) {
	return time.Unix(day*daySeconds, 0).UTC().Format("20060102"), day * daySeconds
}
