package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"arus/connectors"
)

// Source reads tables. It exists so that what was loaded can be read back, and
// reads plain tables of other programs by the same types.
type Source struct{ *db }

const opRead = "read"

// Read streams rows by one SELECT, which sees one state of the table. Of a table
// that Arus made, each key's current row is read once.
func (s *Source) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	object := req.Table.String()
	if len(req.Columns) == 0 {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: opRead, Object: object, Err: errors.New("no columns are asked for")}
	}
	r, err := s.find(ctx, opRead, req.Table.TableRef)
	if err != nil {
		return err
	}
	columns := make([]relationColumn, len(req.Columns))
	for i, c := range req.Columns {
		have, ok := r.column(c.Name)
		if !ok {
			return notThere(opRead, object, c.Name)
		}
		have.Type = c.Type
		columns[i] = have
	}
	if req.Range != nil {
		return &connectors.Error{
			Kind: connectors.KindUnsupported, Op: opRead, Object: object,
			Err: errors.New("stretches of a key cannot be read"), Hint: "read the table in one piece",
		}
	}
	var where []string
	if req.Window != nil {
		var bounding []relationColumn
		for _, one := range req.Window.Apart() {
			c, ok := r.column(one.Column)
			if !ok {
				return notThere(opRead, object, one.Column)
			}
			bounding = append(bounding, c)
		}
		bounds, err := s.condition(*req.Window, bounding...)
		if err != nil {
			return s.fail(ctx, opRead, object, "", err)
		}
		where = append(where, bounds)
	}
	sql := selectCurrent(r, selectList(columns), where...)
	order := make([]string, len(req.OrderBy))
	for i, name := range req.OrderBy {
		by, ok := r.column(name)
		if !ok {
			return notThere(opRead, object, name)
		}
		order[i] = orderExpr(by)
	}
	if len(order) > 0 {
		sql += " ORDER BY " + strings.Join(order, ", ")
	}
	return s.stream(ctx, opRead, object, sql, columns, req.Limits, s.grantSelect(r.TableRef), emit)
}

// find describes a table that must be there.
func (d *db) find(ctx context.Context, op string, ref connectors.TableRef) (*relation, error) {
	if ref.Schema == "" {
		ref.Schema = d.defaultSchema()
	}
	r, err := d.lookUp(ctx, ref)
	if err != nil {
		return nil, d.fail(ctx, op, ref.String(), "", err)
	}
	if r == nil {
		return nil, &connectors.Error{
			Kind: connectors.KindNotFound, Op: op, Object: ref.String(), Err: errors.New("there is no such table"),
			Hint: "check that the table exists and that the user may see it",
		}
	}
	return r, nil
}

func notThere(op, table, column string) error {
	return &connectors.Error{
		Kind: connectors.KindNotFound, Op: op, Object: table + "." + column,
		Err: errors.New("there is no such column"), Hint: "discover the table again",
	}
}

// selectCurrent reads each row of a table once, without those that were deleted.
func selectCurrent(r *relation, what string, where ...string) string {
	sql := "SELECT " + what + " FROM " + qualified(r.TableRef)
	if r.replaces() {
		sql += " FINAL"
	}
	if r.hides() {
		where = append(where, present)
	}
	if len(where) > 0 {
		sql += " WHERE " + strings.Join(where, " AND ")
	}
	return sql
}

func (d *db) grantSelect(ref connectors.TableRef) string {
	return "GRANT SELECT ON " + qualified(ref) + " TO " + ident(d.user)
}

func selectList(columns []relationColumn) string {
	exprs := make([]string, len(columns))
	for i, c := range columns {
		exprs[i] = selectExpr(c)
	}
	return strings.Join(exprs, ", ")
}

// selectExpr reads a column in the form that its scanner expects.
func selectExpr(c relationColumn) string {
	name := ident(c.Name)
	n := parseNative(c.Native)
	switch c.Type.Kind {
	case connectors.Bool:
		return "toUInt8(" + name + ")"
	case connectors.Date:
		if n.base == "String" {
			return name
		}
		return "toInt32(" + name + ")"
	case connectors.Timestamp, connectors.TimestampTZ:
		if n.base == "String" {
			return name
		}
		return orderExpr(c)
	case connectors.Decimal:
		if n.base == "Decimal" {
			return name // toString of wide decimals is wrong on old servers
		}
		return "toString(" + name + ")"
	case connectors.UUID, connectors.Float32, connectors.Float64, connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64,
		connectors.Uint8, connectors.Uint16, connectors.Uint32, connectors.Uint64:
		return name
	}
	if n.base == "String" || n.base == "FixedString" {
		return name
	}
	return "toString(" + name + ")"
}

// stream runs a SELECT and appends its rows to batches.
func (d *db) stream(ctx context.Context, op, object, sql string, columns []relationColumn, limits connectors.Limits, grant string, emit func(arrow.RecordBatch) error) error {
	var ofEmit error
	logical := make([]connectors.Column, len(columns))
	for i, c := range columns {
		logical[i] = c.Column
	}
	batcher := connectors.NewBatcher(logical, limits, func(batch arrow.RecordBatch) error {
		if ctx.Err() != nil { // a whole block may have arrived before
			batch.Release()
			return context.Cause(ctx)
		}
		ofEmit = emit(batch)
		return ofEmit
	})
	defer batcher.Release()
	cells := make([]cell, len(columns))
	dest := make([]any, len(columns))
	for i, c := range columns {
		cell, err := newCell(c, batcher.Builders[i])
		if err != nil {
			return &connectors.Error{Kind: connectors.KindType, Op: op, Object: object, Err: err}
		}
		cells[i], dest[i] = cell, cell.dest
	}
	err := d.query(ctx, sql, func(rows driver.Rows) error {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		size := 0
		for i := range cells {
			n, err := cells[i].store()
			if err != nil {
				return &valueError{kind: connectors.KindType, column: columns[i].Name, err: err}
			}
			size += n
		}
		return batcher.EndRow(size)
	})
	if err == nil {
		err = batcher.Flush()
	}
	if ofEmit != nil {
		return ofEmit
	}
	return d.fail(ctx, op, object, grant, err)
}

// cell is where one column's value of a row arrives, and how it enters the
// batch; store gives its size.
type cell struct {
	dest  any
	store func() (int, error)
}

// plain is a cell whose scanned form is what the builder takes.
func plain[T any](size int, nullable bool, null func(), add func(T)) cell {
	if nullable {
		p := new(*T)
		return cell{p, func() (int, error) {
			if *p == nil {
				null()
			} else {
				add(**p)
			}
			return size, nil
		}}
	}
	p := new(T)
	return cell{p, func() (int, error) { add(*p); return size, nil }}
}

// parsed is a cell that arrives as text.
func parsed(nullable bool, null func(), add func(string) error) cell {
	if nullable {
		p := new(*string)
		return cell{p, func() (int, error) {
			if *p == nil {
				null()
				return 1, nil
			}
			return len(**p) + 1, add(**p)
		}}
	}
	p := new(string)
	return cell{p, func() (int, error) { return len(*p) + 1, add(*p) }}
}

func newCell(c relationColumn, builder array.Builder) (cell, error) {
	n := parseNative(c.Native)
	null := builder.AppendNull
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return plain(1, n.nullable, null, func(v uint8) { b.Append(v != 0) }), nil
	case *array.Int8Builder:
		return plain(1, n.nullable, null, b.Append), nil
	case *array.Int16Builder:
		return plain(2, n.nullable, null, b.Append), nil
	case *array.Int32Builder:
		return plain(4, n.nullable, null, b.Append), nil
	case *array.Int64Builder:
		return plain(8, n.nullable, null, b.Append), nil
	case *array.Uint8Builder:
		return plain(1, n.nullable, null, b.Append), nil
	case *array.Uint16Builder:
		return plain(2, n.nullable, null, b.Append), nil
	case *array.Uint32Builder:
		return plain(4, n.nullable, null, b.Append), nil
	case *array.Uint64Builder:
		return plain(8, n.nullable, null, b.Append), nil
	case *array.Float32Builder:
		return plain(4, n.nullable, null, b.Append), nil
	case *array.Float64Builder:
		return plain(8, n.nullable, null, b.Append), nil
	case *array.Decimal128Builder:
		return decimalCell(c, n, null, func(text string) error {
			v, err := connectors.ParseDecimal128(text, c.Type.Precision, c.Type.Scale)
			b.Append(v)
			return err
		}), nil
	case *array.Decimal256Builder:
		return decimalCell(c, n, null, func(text string) error {
			v, err := connectors.ParseDecimal256(text, c.Type.Precision, c.Type.Scale)
			b.Append(v)
			return err
		}), nil
	case *array.StringBuilder:
		return parsed(n.nullable, null, func(s string) error { b.Append(s); return nil }), nil
	case *array.BinaryBuilder:
		return parsed(n.nullable, null, func(s string) error { b.AppendString(s); return nil }), nil
	case *array.Date32Builder:
		if n.base != "String" {
			return plain(4, n.nullable, null, func(v int32) { b.Append(arrow.Date32(v)) }), nil
		}
		return parsed(n.nullable, null, func(s string) error {
			v, err := connectors.ParseDate(s)
			b.Append(v)
			return err
		}), nil
	case *array.TimestampBuilder:
		if n.base != "String" {
			return plain(8, n.nullable, null, func(v int64) { b.Append(arrow.Timestamp(v)) }), nil
		}
		return parsed(n.nullable, null, func(s string) error {
			v, _, err := connectors.ParseTimestamp(s)
			b.Append(v)
			return err
		}), nil
	case *array.Time64Builder:
		return parsed(n.nullable, null, func(s string) error {
			v, err := connectors.ParseTime(s)
			b.Append(v)
			return err
		}), nil
	case *array.FixedSizeBinaryBuilder:
		return plain(16, n.nullable, null, func(v uuid.UUID) { b.Append(v[:]) }), nil
	}
	return cell{}, fmt.Errorf("column %q: a %s cannot be read", c.Name, c.Type)
}

// decimalCell takes the driver's decimals by their text, or text itself.
func decimalCell(c relationColumn, n nativeType, null func(), add func(string) error) cell {
	if n.base != "Decimal" {
		return parsed(n.nullable, null, add)
	}
	d := &decimalScanner{scale: int32(c.Type.Scale)}
	return cell{d, func() (int, error) {
		if d.null {
			null()
			return 16, nil
		}
		return 16, add(d.text)
	}}
}

type decimalScanner struct {
	scale int32
	text  string
	null  bool
}

// Scan takes a value of the driver's decimal type, which is exact.
func (d *decimalScanner) Scan(src any) error {
	if d.null = src == nil; d.null {
		return nil
	}
	v, ok := src.(interface{ StringFixed(places int32) string })
	if !ok {
		return fmt.Errorf("the driver gave a %T for a decimal", src)
	}
	d.text = v.StringFixed(d.scale)
	return nil
}

// Max reads the greatest value through the reader's cells, so that its text is
// the canonical one.
func (s *Source) Max(ctx context.Context, table connectors.Table, column string) (connectors.Bound, bool, error) {
	const op = "find the greatest value of"
	object := table.String() + "." + column
	c, ok := table.Column(column)
	if !ok {
		return connectors.Bound{}, false, notThere(op, table.String(), column)
	}
	if slices.Contains([]connectors.Kind{connectors.JSON, connectors.Array, connectors.Bytes, connectors.Interval, connectors.Time, connectors.Numeric}, c.Type.Kind) {
		return connectors.Bound{}, false, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: op, Object: object,
			Err: fmt.Errorf("a %s has no order to read by here", c.Type.Kind), Hint: "choose a number, a date, a timestamp or a text",
		}
	}
	r, err := s.find(ctx, op, table.TableRef)
	if err != nil {
		return connectors.Bound{}, false, err
	}
	have, ok := r.column(c.Name)
	if !ok {
		return connectors.Bound{}, false, notThere(op, table.String(), column)
	}
	sql := selectCurrent(r, selectExpr(have), "isNotNull("+ident(have.Name)+")") + " ORDER BY " + orderExpr(have) + " DESC LIMIT 1"
	bound := connectors.Bound{Kind: have.Type.Kind}
	found := false
	err = s.stream(ctx, opRead, object, sql, []relationColumn{have}, connectors.Limits{}, s.grantSelect(r.TableRef), func(batch arrow.RecordBatch) error {
		defer batch.Release()
		if values := batch.Column(0); values.Len() > 0 && !values.IsNull(0) {
			bound.Text, found = string(connectors.AppendValue(nil, values, have.Type, 0)), true
		}
		return nil
	})
	return bound, found, err
}
