package sqlite

import (
	"context"
	dbdriver "database/sql/driver"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// A stretch of a key is compared as SQLite itself orders the stored values, by storage class and by the column's own
// collation, so that the key's index serves it and that it takes in values of every class. A bound is one constant that
// all values are compared with: each value lies on one side of it, whatever it is.

// constant is a bound as SQLite compares it. Its kind says how it is stored, not the column's type, which may have been
// settled anew since the table was divided.
func constant(b connectors.Bound) (v dbdriver.Value, err error) {
	switch b.Kind {
	case connectors.Int16, connectors.Int64:
		v, err = strconv.ParseInt(b.Text, 10, 64)
	case connectors.Float64:
		v, err = strconv.ParseFloat(b.Text, 64)
	case connectors.Decimal, connectors.Numeric:
		if v, err = strconv.ParseInt(b.Text, 10, 64); err != nil {
			v, err = strconv.ParseFloat(b.Text, 64)
		}
	case connectors.Bytes:
		v, err = base64.StdEncoding.DecodeString(b.Text)
	case connectors.Text, connectors.Enum, connectors.Date, connectors.Time, connectors.Timestamp, connectors.TimestampTZ, connectors.UUID:
		v = b.Text
	default:
		err = errValue
	}
	if err != nil {
		return nil, fmt.Errorf("the bound %q is not %s: divide the table again", b.Text, b.Kind)
	}
	return v, nil
}

// rangeCondition is a stretch of a key as a condition; "" for the whole table.
func rangeCondition(r connectors.KeyRange) (string, []dbdriver.Value, error) {
	var terms []string
	var args []dbdriver.Value
	row := "(" + connectors.QuoteList(r.Columns, '"') + ")"
	for _, side := range []struct {
		op     string
		bounds []connectors.Bound
	}{{" >= ", r.From}, {" < ", r.To}} {
		if side.bounds == nil {
			continue
		}
		if len(side.bounds) != len(r.Columns) {
			return "", nil, fmt.Errorf("a bound of %d values for a key of %d columns", len(side.bounds), len(r.Columns))
		}
		for _, b := range side.bounds {
			v, err := constant(b)
			if err != nil {
				return "", nil, err
			}
			args = append(args, v)
		}
		terms = append(terms, row+side.op+"("+strings.TrimSuffix(strings.Repeat("?, ", len(side.bounds)), ", ")+")")
	}
	return strings.Join(terms, " AND "), args, nil
}

// Chunks walks the key's index and takes every rows-th key as a bound.
func (s *Source) Chunks(ctx context.Context, table connectors.Table, key []string, rows int64) ([]connectors.KeyRange, error) {
	const op = "divide"
	object := table.String()
	var ranges []connectors.KeyRange
	err := s.with(ctx, op, object, func(c *lite.Conn) error {
		r, err := s.relation(ctx, c, table)
		if err != nil {
			return err
		}
		columns := make([]connectors.Column, len(key))
		for i, name := range key {
			var ok bool
			if columns[i], ok = table.Column(name); !ok {
				return &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: object + "." + name, Err: errNoColumn, Hint: "discover the table again"}
			}
		}
		if !r.indexed(key) {
			ranges = []connectors.KeyRange{{Columns: key}}
			return nil
		}
		ranges, err = divide(ctx, c, r, columns, max(rows, 1))
		return err
	})
	return ranges, err
}

// indexed says whether the key begins an index of the table.
func (r *relation) indexed(key []string) bool {
	return len(key) > 0 && !r.View && slices.ContainsFunc(append(slices.Clone(r.UniqueKeys), r.PrimaryKey), func(columns []string) bool {
		return len(columns) >= len(key) && slices.EqualFunc(columns[:len(key)], key, strings.EqualFold)
	})
}

func divide(ctx context.Context, c *lite.Conn, r *relation, key []connectors.Column, rows int64) ([]connectors.KeyRange, error) {
	names := connectors.ColumnNames(key)
	selected := make([]string, len(key))
	for i, n := range names {
		selected[i] = "+" + ident(n)
	}
	from := " FROM " + qualified(r.TableRef)
	after := " ORDER BY " + connectors.QuoteList(names, '"') + " LIMIT 1 OFFSET " + strconv.FormatInt(rows, 10)
	ask := func(expressions, tail string, k connectors.KeyRange, row func([]dbdriver.Value) error) error {
		where, args, err := rangeCondition(k)
		if err != nil {
			return err
		}
		if where != "" {
			where = " WHERE " + where
		}
		return c.Each(ctx, "SELECT "+expressions+from+where+tail, args, row)
	}
	var ranges []connectors.KeyRange
	next := connectors.KeyRange{Columns: names}
	for {
		next.To = nil
		err := ask(strings.Join(selected, ", "), after, next, func(row []dbdriver.Value) error {
			next.To = boundsOf(key, row)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if next.To != nil {
			// The bound is spelled in the canonical way, the value perhaps not: it serves if rows lie before it.
			serves := false
			err := ask("1", " LIMIT 1", next, func([]dbdriver.Value) error {
				serves = true
				return nil
			})
			if err != nil {
				return nil, err
			}
			if !serves {
				next.To = nil
			}
		}
		ranges = append(ranges, next)
		if next.To == nil {
			return ranges, nil
		}
		next.From = next.To
	}
}

// boundsOf makes a key's values bounds; nil where one of them cannot be.
func boundsOf(key []connectors.Column, row []dbdriver.Value) []connectors.Bound {
	bounds := make([]connectors.Bound, len(key))
	for i, c := range key {
		if row[i] == nil {
			return nil
		}
		var err error
		if bounds[i], err = boundOf(c, lite.ValueOf(row[i])); err != nil {
			return nil
		}
		if _, err = constant(bounds[i]); err != nil {
			return nil
		}
	}
	return bounds
}
