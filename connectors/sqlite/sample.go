package sqlite

import (
	"context"
	dbdriver "database/sql/driver"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// A sample is what a look at all values would give as long as every value is one
// that leaves the look's answer as it is. An exact read takes those and no others:
// the first other one ends it, and the table is looked at as a whole.

const (
	sampleEnd    = 1000 // rows of each end of a table
	sampleProbes = 16   // places between them
	probeRows    = 64
)

// Sample looks at both ends of the table and at places between them.
func (s *Source) Sample(ctx context.Context, table connectors.Table, known []connectors.Column) (sampled connectors.Table, ok bool, err error) {
	const op = "look at some values of"
	object := table.String()
	err = s.with(ctx, op, object, func(c *lite.Conn) error {
		r, err := s.relation(ctx, c, table)
		if err != nil {
			return err
		}
		l := newLook(r, table)
		if len(l.found) > 0 {
			if err := l.sample(ctx, c, r); err != nil {
				return err
			}
		}
		sampled = l.settled()
		ok = !slices.ContainsFunc(l.found, func(e *evidence) bool { return !e.lasts(sampled.Columns[e.at].Type) }) &&
			!slices.ContainsFunc(known, func(k connectors.Column) bool {
				c, there := sampled.Column(k.Name)
				return there && !c.Type.Equal(k.Type)
			})
		return nil
	})
	return sampled, ok, err
}

func (l *look) sample(ctx context.Context, c *lite.Conn, r *relation) error {
	rows := 0
	visit := func(where string, args ...dbdriver.Value) error {
		return c.Scan(ctx, l.query()+where, args, func(row *lite.Row) error {
			rows++
			l.add(row)
			return nil
		})
	}
	end := " LIMIT " + strconv.Itoa(sampleEnd)
	if err := visit(end); err != nil || rows < sampleEnd || r.View {
		return err
	}
	if r.rowid == "" {
		if len(r.PrimaryKey) == 0 {
			return nil
		}
		return visit(" ORDER BY " + strings.Join(quoted(r.PrimaryKey), " DESC, ") + " DESC" + end)
	}
	first, err := c.One(ctx, "SELECT min("+r.rowid+") FROM "+qualified(r.TableRef))
	if err != nil {
		return err
	}
	last, err := c.One(ctx, "SELECT max("+r.rowid+") FROM "+qualified(r.TableRef))
	if err != nil {
		return err
	}
	step := (uint64(lite.Int(last)) - uint64(lite.Int(first))) / (sampleProbes + 1)
	for i := range uint64(sampleProbes) {
		at := int64(uint64(lite.Int(first)) + (i+1)*step)
		if err := visit(" WHERE "+r.rowid+" >= ? ORDER BY "+r.rowid+" LIMIT "+strconv.Itoa(probeRows), at); err != nil {
			return err
		}
	}
	return visit(" ORDER BY " + r.rowid + " DESC" + end)
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = ident(n)
	}
	return out
}

// lasts says whether the values seen are all among those that an exact read of
// the type takes.
func (e *evidence) lasts(t connectors.Type) bool {
	takes := takenBy(t, e.column.Type)
	return (takes.has(lite.Integer) || e.ints == 0) && (takes.has(lite.Real) || e.reals == 0) &&
		(takes.has(lite.Text) || e.texts == 0) && (takes.has(lite.Blob) || e.blobs == 0)
}

// classes is a set of storage classes.
type classes uint8

func classesOf(all ...lite.Class) (set classes) {
	for _, c := range all {
		set |= 1 << c
	}
	return set
}

func (s classes) has(c lite.Class) bool { return s>>c&1 != 0 }

// takenBy are the classes whose values leave a column of the declared type at the
// type t, as far as it takes them.
func takenBy(t, declared connectors.Type) classes {
	switch t.Kind {
	case connectors.Text:
		if declared.Kind == connectors.Text { // whose numbers alone would be numbers
			return classesOf(lite.Null, lite.Text)
		}
		return classesOf(lite.Null, lite.Integer, lite.Real, lite.Text)
	case connectors.Bytes:
		return classesOf(lite.Null, lite.Blob)
	case connectors.UUID: // texts and blobs of them do not go together
		return classesOf(lite.Null, lite.Text)
	case connectors.Numeric:
		if declared.Kind != connectors.Numeric && declared.Kind != connectors.Decimal {
			return classesOf(lite.Null, lite.Integer, lite.Real)
		}
	}
	return classesOf(lite.Null, lite.Integer, lite.Real, lite.Text, lite.Blob)
}

// exactly makes a decoder take only what leaves the column's type as it is.
func (r *relation) exactly(d decoder, col connectors.Column, key []string) decoder {
	own, _ := r.Column(col.Name)
	takes := takenBy(col.Type, own.Type)
	if slices.Contains(key, col.Name) {
		takes &^= classesOf(lite.Null) // a key with one is none
	}
	length := 0
	if col.Type.Kind == connectors.Text {
		length = col.Type.Length
	}
	finite := col.Type.Kind == connectors.Numeric && own.Type.Kind != connectors.Numeric && own.Type.Kind != connectors.Decimal
	return func(v lite.Value) (int, bool) {
		n, ok := d(v)
		switch {
		case !ok || !takes.has(v.Class):
			return n, false
		case length > 0 && len(v.Text) > length && utf8.RuneCountInString(v.Text) > length:
			return n, false
		case finite && v.Class == lite.Real && math.Abs(v.Float()) > math.MaxFloat64:
			return n, false
		}
		return n, true
	}
}

// outside looks for a value that a window does not find, since it has no place in
// the order of the column's type. A table that has one was sampled in vain.
func (r *relation) outside(ctx context.Context, c *lite.Conn, req connectors.ReadRequest) error {
	if req.Window == nil {
		return nil
	}
	for _, w := range req.Window.Apart() {
		col, ok := columnOf(req, w.Column)
		if !ok {
			continue // selectRows says it
		}
		where := stranger(col)
		if where == "" {
			continue
		}
		err := c.Scan(ctx, "SELECT "+ident(col.Name)+" FROM "+qualified(r.TableRef)+" WHERE "+where+" LIMIT 1", nil, func(row *lite.Row) error {
			return contradicts("read", req.Table.String()+"."+col.Name, row.Value(0), col.Type)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stranger is the condition of values that are none of the column's type, by what
// an index finds where there is one; "" where all values have their place.
func stranger(col connectors.Column) string {
	name := ident(col.Name)
	spelled := func(pattern string) string {
		return "typeof(" + name + ") NOT IN ('text', 'null') OR " + name + " NOT GLOB '" + pattern + "'"
	}
	const date = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]"
	switch col.Type.Kind {
	case connectors.Int16, connectors.Int64, connectors.Float64, connectors.Decimal:
		return name + " >= ''"
	case connectors.Numeric:
		return "typeof(" + name + ") = 'blob' OR typeof(" + name + ") = 'text' AND arus_cmp(" + name + ", 0) IS NULL"
	case connectors.Date:
		return spelled(date)
	case connectors.Timestamp, connectors.TimestampTZ:
		return spelled(date + "*")
	case connectors.Time:
		return spelled("[0-9][0-9]:[0-9][0-9]*")
	case connectors.UUID:
		return name + " IS NOT NULL AND arus_uuid(" + name + ") IS NULL"
	case connectors.Text:
		return name + " >= x''"
	}
	return ""
}
