package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"arus/connectors"
)

// maxFields bounds what a look at a collection remembers, and what a
// destination could take as columns.
const maxFields = 2000

// field is what was seen of one top-level field.
type field struct {
	name  string
	class class
	nulls bool
	row   int64 // the last document that had it
}

// shape is what the documents seen so far have in common. Its size depends on
// the number of their fields only.
type shape struct {
	fields []field
	byName map[string]int
	rows   int64
}

func newShape() *shape {
	return &shape{fields: []field{{name: "_id"}}, byName: map[string]int{"_id": 0}}
}

var errFields = fmt.Errorf("the documents have more than %d different fields", maxFields)

// add looks at one document.
func (s *shape) add(doc []byte) error {
	s.rows++
	next := 0 // documents tend to have the fields of the one before, in its order
	err := each(doc, func(key []byte, v value) error {
		at := next
		if at >= len(s.fields) || s.fields[at].name != string(key) {
			var ok bool
			if at, ok = s.byName[string(key)]; !ok {
				if err := checkName(key); err != nil {
					return err
				}
				if len(s.fields) == maxFields {
					return errFields
				}
				at = len(s.fields)
				s.fields = append(s.fields, field{name: string(key)})
				s.byName[string(key)] = at
			}
		}
		next = at + 1
		f := &s.fields[at]
		if f.row == s.rows {
			return fmt.Errorf("the field %q stands in it twice", key)
		}
		f.row = s.rows
		c, ok := v.class()
		if !ok {
			return errMalformed
		}
		f.class |= c
		f.nulls = f.nulls || v.null()
		return nil
	})
	if err != nil {
		return &documentError{identify(doc), err}
	}
	return nil
}

func checkName(key []byte) error {
	switch {
	case len(key) == 0:
		return errors.New("a field has an empty name")
	case !utf8.Valid(key):
		return fmt.Errorf("the name of the field %q is not UTF-8", key)
	}
	return nil
}

// describe puts the shape into the table and gives a note for each field whose
// values have no type in common.
func (s *shape) describe(table connectors.Table) (connectors.Table, []string) {
	var notes []string
	table.Columns = make([]connectors.Column, len(s.fields))
	for i, f := range s.fields {
		t, conflict := f.class.logical()
		c := connectors.Column{Name: f.name, Type: t, Native: f.class.String(), Nullable: true}
		if i == 0 {
			c = idColumn(c, f)
			conflict = conflict || c.Type.Kind == connectors.Text && f.class&^(aString|anID) != 0
		}
		table.Columns[i] = c
		switch {
		case conflict:
			notes = append(notes, fmt.Sprintf("%s: the field %q holds %s: it is kept as JSON text", table.TableRef, f.name, f.class))
		case t.Kind == connectors.Numeric && f.class&aDouble != 0:
			notes = append(notes, fmt.Sprintf("%s: the field %q holds %s: it is kept as exact decimal numbers", table.TableRef, f.name, f.class))
		}
	}
	if len(table.PrimaryKey) > 0 && s.fields[0].nulls {
		table.PrimaryKey, table.Columns[0].Nullable = nil, true
		notes = append(notes, fmt.Sprintf("%s: a document has null as its _id: the table has no key", table.TableRef))
	}
	return table, notes
}

// idColumn makes _id a type that a key can have: JSON, which most databases
// cannot compare, becomes its text.
func idColumn(c connectors.Column, f field) connectors.Column {
	c.Nullable = false
	switch {
	case f.class == 0:
		c.Type, c.Native = objectID, anID.String() // what a server makes up
	case c.Type.Kind == connectors.JSON:
		c.Type, c.Native = connectors.Type{Kind: connectors.Text}, c.Native+jsonText
	}
	return c
}

// Settle looks at every document, once. A field that only ever was null is text.
// What could not be typed is said by Notes.
func (s *Source) Settle(ctx context.Context, table connectors.Table) (connectors.Table, error) {
	const op = "look at the documents of"
	look := newShape()
	q := query{table: table, op: op}
	if len(table.PrimaryKey) > 0 {
		q.sort = byID
	}
	if err := s.scan(ctx, q, func(doc bson.Raw) error { return look.add(doc) }); err != nil {
		return connectors.Table{}, documentFault(op, table, err)
	}
	table.RowEstimate = look.rows
	table, notes := look.describe(table)
	s.note(notes...)
	return table, nil
}

// sampleEnd is how many documents of each end of a collection a sample has.
const sampleEnd = 500

// Sample looks at the ends of a collection. What is known is kept, since a field that
// a few documents have need not be among them.
func (s *Source) Sample(ctx context.Context, table connectors.Table, known []connectors.Column) (connectors.Table, bool, error) {
	if len(table.PrimaryKey) == 0 { // a view, or a time series
		return table, false, nil
	}
	look := newShape()
	err := s.ends(ctx, query{table: table, op: "look at the ends of", limit: sampleEnd}, func(doc bson.Raw) error { return look.add(doc) })
	if ctx.Err() == nil && isDocumentError(err) {
		return table, false, nil // a look at all says it in full
	}
	if err != nil {
		return table, false, err
	}
	sampled, notes := look.describe(table)
	if look.rows == 0 || len(sampled.PrimaryKey) == 0 || !ordered(sampled.Columns[0]) {
		return table, false, nil
	}
	for _, f := range look.fields {
		_, conflict := f.class.logical()
		if conflict && !slices.ContainsFunc(known, func(k connectors.Column) bool { return k.Name == f.name && k.Type.Kind == connectors.JSON }) {
			return table, false, nil
		}
	}
	for _, k := range known {
		i := slices.IndexFunc(sampled.Columns, func(c connectors.Column) bool { return c.Name == k.Name })
		if i < 0 {
			if holds, ok := classOf(k.Type); ok {
				k.Native, k.Nullable = holds.String(), true
				sampled.Columns = append(sampled.Columns, k)
				continue
			}
			return table, false, nil
		}
		if k.Type.Kind == connectors.JSON && i > 0 { // holds everything
			sampled.Columns[i].Type = k.Type
			continue
		}
		holds, ok := classOf(k.Type)
		seen := look.fields[look.byName[k.Name]].class
		if joined, conflict := (holds | seen).logical(); !ok || conflict || !joined.Equal(k.Type) {
			return table, false, nil
		}
		sampled.Columns[i].Type = k.Type
	}
	s.note(notes...)
	return sampled, true, nil
}

// classOf is every kind of value that a column of the type has room for.
func classOf(t connectors.Type) (class, bool) {
	for _, c := range []class{aBool, anInt32, integers, anInt32 | anInt64 | aDouble, numbers, aDate, anID, aUUID, aBinary, aString, nested} {
		if l, _ := c.logical(); l.Equal(t) {
			return c, true
		}
	}
	return 0, false
}

func isDocumentError(err error) bool {
	_, ok := errors.AsType[*documentError](err)
	return ok
}

// documentFault says of a document that it cannot be a row.
func documentFault(op string, table connectors.Table, err error) error {
	if _, ok := errors.AsType[*documentError](err); !ok {
		return err
	}
	hint := "mend the document, or read the collection through a view that leaves the field out"
	if errors.Is(err, errFields) {
		hint = "fields whose names are data belong into a document of their own: read the collection through a view that does so"
	}
	return typeError(op, table.String(), hint, err)
}

// Notes says what a person should know about the documents read so far, each
// thing once.
func (s *Source) Notes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes)
}

func (s *Source) note(notes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range notes {
		if !slices.Contains(s.notes, n) {
			s.notes = append(s.notes, n)
		}
	}
}
