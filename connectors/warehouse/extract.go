package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// condition is the WHERE of a window, "" without one.
func (s *schema) condition(w *connectors.Window) (string, []driver.Value, error) {
	if w == nil {
		return "", nil, nil
	}
	id := s.id(w.Column)
	if id < 0 {
		return "", nil, fmt.Errorf("the table has no column %s", w.Column)
	}
	var terms []string
	var args []driver.Value
	for _, b := range []struct {
		op    string
		bound *connectors.Bound
	}{{">=", w.Lower}, {"<=", w.Upper}} {
		if b.bound == nil {
			continue
		}
		v, err := storeText(s.Columns[id].typ, b.bound.Text)
		if err != nil {
			return "", nil, fmt.Errorf("the bound %q is no %s, which column %s is", b.bound.Text, s.Columns[id].typ, w.Column)
		}
		terms, args = append(terms, columnName(id)+" "+b.op+" ?"), append(args, v)
	}
	where := strings.Join(terms, " AND ")
	switch {
	case where == "" && w.Nulls:
		return "", nil, nil
	case where == "":
		where = columnName(id) + " IS NOT NULL"
	case w.Nulls:
		where = "(" + where + ") OR " + columnName(id) + " IS NULL"
	}
	return " WHERE " + where, args, nil
}

// with lends a snapshot of a table to f.
func (s *Source) with(ctx context.Context, op, name string, f func(*live) error) error {
	if err := checkName(op, name); err != nil {
		return err
	}
	l, err := tableOf(s.dir, name).open(ctx)
	if err != nil {
		return err
	}
	return fail(ctx, op, name, errors.Join(f(l), l.close()))
}

// Read streams rows of one snapshot. Any column can be asked for by its name,
// the metadata columns too.
func (s *Source) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	const op = "read"
	name := req.Table.Name
	return s.with(ctx, op, name, func(l *live) error {
		invalid := func(err error) error {
			return &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: name, Err: err, Hint: "discover the table again"}
		}
		if len(req.Columns) == 0 {
			return invalid(errors.New("no columns are asked for"))
		}
		ids := make([]int, len(req.Columns))
		for i, c := range req.Columns {
			if ids[i] = l.schema.id(c.Name); ids[i] < 0 {
				return &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: name + "." + c.Name, Err: errors.New("there is no such column"), Hint: "discover the table again"}
			}
			if have := l.schema.Columns[ids[i]].typ; have.Kind != c.Type.Kind || !holds(c.Type, have) {
				return &connectors.Error{Kind: connectors.KindType, Op: op, Object: name + "." + c.Name, Err: fmt.Errorf("the column is %s, not %s", have, c.Type), Hint: "discover the table again"}
			}
		}
		where, args, err := l.schema.condition(req.Window)
		if err != nil {
			return invalid(err)
		}
		sql := "SELECT " + columnList(ids) + " FROM rows" + where
		order := make([]int, len(req.OrderBy))
		for i, o := range req.OrderBy {
			if order[i] = l.schema.id(o); order[i] < 0 {
				return invalid(fmt.Errorf("there is no column %s to order by", o))
			}
		}
		if len(order) > 0 {
			sql += " ORDER BY " + columnList(order)
		}
		return l.stream(ctx, sql, args, req.Columns, req.Limits, emit)
	})
}

// stream decodes the rows of a SELECT of stored columns.
func (l *live) stream(ctx context.Context, sql string, args []driver.Value, columns []connectors.Column, limits connectors.Limits, emit func(arrow.RecordBatch) error) error {
	b := connectors.NewBatcher(columns, limits, emit)
	defer b.Release()
	decode := make([]decoder, len(columns))
	for i, c := range columns {
		decode[i] = newDecoder(c.Type, b.Builders[i])
	}
	err := l.conn.Each(ctx, sql, args, func(row []driver.Value) error {
		size := 0
		for i, d := range decode {
			n, ok := d(row[i])
			if !ok {
				return &connectors.Error{
					Kind: connectors.KindType, Op: "read", Object: l.schema.Name + "." + columns[i].Name,
					Err: fmt.Errorf("%s is stored, which is not %s", lite.Brief(row[i]), columns[i].Type), Hint: "the table's file was changed by hand: run a full refresh",
				}
			}
			size += n
		}
		return b.EndRow(size)
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

// Max finds the greatest value of a column.
func (s *Source) Max(ctx context.Context, table connectors.Table, column string) (connectors.Bound, bool, error) {
	const op = "find the greatest value of"
	var bound connectors.Bound
	found := false
	err := s.with(ctx, op, table.Name, func(l *live) error {
		object := table.Name + "." + column
		id := l.schema.id(column)
		if id < 0 {
			return &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: object, Err: errors.New("there is no such column"), Hint: "discover the table again"}
		}
		c := connectors.Column{Name: column, Type: l.schema.Columns[id].typ}
		switch c.Type.Kind {
		case connectors.JSON, connectors.Array, connectors.Bytes, connectors.Interval:
			return &connectors.Error{
				Kind: connectors.KindUnsupported, Op: op, Object: object,
				Err: fmt.Errorf("a %s has no order to read by", c.Type.Kind), Hint: "choose a number, a date, a time or a text",
			}
		}
		name := columnName(id)
		sql := "SELECT " + name + " FROM rows WHERE " + name + " IS NOT NULL ORDER BY " + name + " DESC LIMIT 1"
		return l.stream(ctx, sql, nil, []connectors.Column{c}, connectors.Limits{}, func(batch arrow.RecordBatch) error {
			defer batch.Release()
			bound = connectors.Bound{Kind: c.Type.Kind, Text: string(connectors.AppendValue(nil, batch.Column(0), c.Type, 0))}
			found = true
			return nil
		})
	})
	return bound, found && err == nil, err
}
