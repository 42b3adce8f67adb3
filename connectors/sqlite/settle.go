package sqlite

import (
	"context"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// Settle looks at every value of the columns whose declaration does not bind
// them, in one scan, and gives each column a type that holds them all exactly.
// A column without values keeps its declared type. Primary keys with NULLs,
// which SQLite allows, are no keys.
func (s *Source) Settle(ctx context.Context, table connectors.Table) (connectors.Table, error) {
	const op = "look at the values of"
	object := table.String()
	err := s.with(ctx, op, object, func(c *lite.Conn) error {
		r, err := s.relation(ctx, c, table)
		if err != nil {
			return err
		}
		l := newLook(r, table)
		if len(l.found) > 0 {
			if err := c.Scan(ctx, l.query(), nil, func(row *lite.Row) error {
				l.add(row)
				return nil
			}); err != nil {
				return err
			}
		}
		table = l.settled()
		return nil
	})
	return table, err
}

// look is what is found out about a table's values.
type look struct {
	table connectors.Table
	found []*evidence
	exprs []string
}

func newLook(r *relation, table connectors.Table) *look {
	l := &look{table: table}
	for i, col := range table.Columns {
		if expr := inspect(r, col); expr != "" {
			e := &evidence{at: i, column: col, fits: true, numbers: true, utf8: true, booleans: true, uuids: true, json: true}
			l.found, l.exprs = append(l.found, e), append(l.exprs, expr)
		}
	}
	return l
}

func (l *look) query() string {
	return "SELECT " + strings.Join(l.exprs, ", ") + " FROM " + qualified(l.table.TableRef)
}

func (l *look) add(row *lite.Row) {
	for i, e := range l.found {
		e.add(row.Value(i))
	}
}

// settled is the table with the types that hold what was found.
func (l *look) settled() connectors.Table {
	table := l.table
	table.Columns = slices.Clone(table.Columns)
	for _, e := range l.found {
		table.Columns[e.at].Type = e.decide()
		if e.nulls > 0 && slices.Contains(table.PrimaryKey, e.column.Name) {
			table.PrimaryKey = nil
		}
	}
	return table
}

// inspect is the expression whose values tell a column's type, "" where SQLite
// itself holds the column to its declaration. Long values are not fetched
// where their storage class is enough.
func inspect(r *relation, col connectors.Column) string {
	name := ident(col.Name)
	if col.Name == r.alias {
		return ""
	}
	key := slices.Contains(r.PrimaryKey, col.Name) && col.Nullable && r.rowid != ""
	if r.strict && !strings.EqualFold(col.Native, "ANY") && !key && !col.Generated && !strings.EqualFold(col.Native, "TEXT") {
		return ""
	}
	switch {
	case col.Type.Kind == connectors.Text && col.Type.Length == 0 && affinityOf(col.Native) == affText:
		if r.strict && !key {
			return ""
		}
		return "CASE WHEN typeof(" + name + ") = 'text' THEN '' ELSE " + name + " END"
	case col.Type.Kind == connectors.Bytes:
		return "CASE WHEN typeof(" + name + ") = 'blob' THEN x'' ELSE " + name + " END"
	}
	return name
}

// evidence is what a scan finds in one column.
type evidence struct {
	at     int
	column connectors.Column

	nulls, ints, reals, texts, blobs int64
	least, greatest                  int64 // of the integers
	infinite                         bool
	fits                             bool // numbers: in the declared decimal
	numbers                          bool // texts: decimal numbers
	utf8                             bool // blobs: valid as text
	booleans, uuids, json            bool
	dates, naive, zoned, times       int64 // texts that are one; a date is also a naive timestamp
	length                           int   // of the longest text, in characters
	buf                              [400]byte
}

func (e *evidence) add(v lite.Value) {
	kind := e.column.Type.Kind
	switch v.Class {
	case lite.Null:
		e.nulls++
		return
	case lite.Integer:
		if e.ints == 0 {
			e.least, e.greatest = v.Num, v.Num
		}
		e.ints++
		e.least, e.greatest = min(e.least, v.Num), max(e.greatest, v.Num)
	case lite.Real:
		e.reals++
		e.infinite = e.infinite || math.Abs(v.Float()) > math.MaxFloat64
	case lite.Text:
		e.texts++
		e.addText(v)
	case lite.Blob:
		e.blobs++
		e.utf8 = e.utf8 && kind != connectors.Bytes && utf8.ValidString(v.Text)
	}
	switch kind {
	case connectors.Decimal:
		e.fits = e.fits && fitsDecimal(v, e.column.Type, e.buf[:0])
	case connectors.Bool:
		if e.booleans {
			_, e.booleans = boolOf(v)
		}
	case connectors.UUID:
		if e.uuids {
			_, e.uuids = uuidOf(v)
		}
	case connectors.JSON:
		if e.json {
			_, e.json = jsonOf(v)
		}
	}
}

func (e *evidence) addText(v lite.Value) {
	switch t := e.column.Type; t.Kind {
	case connectors.Text:
		if t.Length > 0 && e.length <= t.Length {
			e.length = max(e.length, utf8.RuneCountInString(v.Text))
		}
	case connectors.Decimal, connectors.Numeric:
		e.numbers = e.numbers && isNumber(v.Text)
	case connectors.Time:
		if _, ok := timeOf(v); ok {
			e.times++
		}
	case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
		if _, ok := dateOf(v); ok {
			e.dates++
			e.naive++
		} else if _, zoned, ok := timestampOf(v); ok && zoned {
			e.zoned++
		} else if ok {
			e.naive++
		}
	}
}

func (e *evidence) decide() connectors.Type {
	t := e.column.Type
	total := e.ints + e.reals + e.texts + e.blobs
	if total == 0 {
		return t
	}
	onlyText := e.texts == total
	keeps := false
	switch t.Kind {
	case connectors.Int16:
		keeps = e.ints == total && e.least >= -1<<15 && e.greatest < 1<<15
	case connectors.Int64:
		keeps = e.ints == total
	case connectors.Float64:
		keeps = e.ints+e.reals == total && e.smallInts()
	case connectors.Decimal:
		keeps = e.fits
	case connectors.Numeric:
		keeps = e.blobs == 0 && e.numbers
	case connectors.Bool:
		keeps = e.booleans
	case connectors.UUID:
		keeps = e.uuids && (onlyText || e.blobs == total)
	case connectors.JSON:
		keeps = e.json
	case connectors.Time:
		keeps = e.times == total
	case connectors.Date:
		keeps = e.dates == total
	case connectors.Bytes:
		keeps = e.blobs == total
	case connectors.Text:
		if onlyText || e.blobs == 0 && e.column.Native != "" {
			if e.length > t.Length {
				t.Length = 0
			}
			return t
		}
	}
	switch {
	case keeps:
		return t
	case t.Kind == connectors.Date || t.Kind == connectors.Timestamp || t.Kind == connectors.TimestampTZ:
		if e.naive == total {
			return connectors.Type{Kind: connectors.Timestamp}
		}
		if e.zoned == total {
			return connectors.Type{Kind: connectors.TimestampTZ}
		}
	}
	return e.general(total)
}

func (e *evidence) smallInts() bool {
	return e.ints == 0 || e.least >= -exactFloat && e.greatest <= exactFloat
}

// general is the type for values that the declaration says nothing true of.
func (e *evidence) general(total int64) connectors.Type {
	kind := connectors.Text
	switch declared := e.column.Type.Kind; {
	case e.blobs == total, e.blobs > 0 && !e.utf8:
		kind = connectors.Bytes
	case e.blobs > 0:
	case e.ints == total:
		kind = connectors.Int64
	case e.ints+e.reals == total && e.smallInts():
		kind = connectors.Float64
	case e.ints+e.reals == total && !e.infinite,
		declared == connectors.Decimal && e.numbers:
		kind = connectors.Numeric
	}
	return connectors.Type{Kind: kind}
}
