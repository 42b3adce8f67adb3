package sqlite

import (
	"context"
	dbdriver "database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// maxBatch bounds a batch, in bytes. A file gives the next one at once: larger ones
// gain nothing.
const maxBatch = 2 << 20

// Read streams rows by one SELECT, which is one snapshot.
func (s *Source) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	const op = "read"
	object := req.Table.String()
	return s.with(ctx, op, object, func(c *lite.Conn) error {
		r, err := s.relation(ctx, c, req.Table)
		if err != nil {
			return err
		}
		sql, args, err := selectRows(r, req)
		if err != nil {
			return err
		}
		limits := req.Limits.OrDefault()
		limits.Bytes = min(limits.Bytes, maxBatch)
		b := connectors.NewBatcher(req.Columns, limits, emit)
		defer b.Release()
		decode := make([]decoder, len(req.Columns))
		for i, col := range req.Columns {
			decode[i] = newDecoder(col.Type, b.Builders[i])
			if req.Exact {
				decode[i] = r.exactly(decode[i], col, req.Table.PrimaryKey)
			}
		}
		if req.Exact {
			if err := r.outside(ctx, c, req); err != nil {
				return err
			}
		}
		err = c.Scan(ctx, sql, args, func(row *lite.Row) error {
			size := 0
			for i, d := range decode {
				n, ok := d(row.Value(i))
				if !ok {
					return r.contradiction(op, req, i, row)
				}
				size += n
			}
			return b.EndRow(size)
		})
		if err != nil {
			return err
		}
		return b.Flush()
	})
}

// contradiction is the error for a value that is not of the column's type.
func (r *relation) contradiction(op string, req connectors.ReadRequest, i int, row *lite.Row) error {
	where := ""
	if r.rowid != "" {
		where = fmt.Sprintf(" in the row with %s %d", r.rowid, row.Value(len(req.Columns)).Num)
	}
	col := req.Columns[i]
	reason := misfit{fmt.Errorf("%s%s is not %s", row.Value(i).Brief(), where, col.Type)}
	return &connectors.Error{Kind: connectors.KindType, Op: op, Object: req.Table.String() + "." + col.Name, Err: reason, Hint: settleAnew}
}

const settleAnew = "run it again: the types are then settled anew by what the column holds"

// contradicts is the error for a column's value that is not of its type.
func contradicts(op, object string, v lite.Value, t connectors.Type) error {
	return &connectors.Error{Kind: connectors.KindType, Op: op, Object: object, Err: misfit{fmt.Errorf("%s is not %s", v.Brief(), t)}, Hint: settleAnew}
}

// misfit is a value that is not of its column's type.
type misfit struct{ error }

// Is makes it a connectors.ErrMisfit: where a sample told the type, it told wrong.
func (misfit) Is(target error) bool { return target == connectors.ErrMisfit }

// Max finds the greatest value of a column.
func (s *Source) Max(ctx context.Context, table connectors.Table, column string) (connectors.Bound, bool, error) {
	const op = "find the greatest value of"
	object := table.String() + "." + column
	col, ok := table.Column(column)
	if !ok {
		return connectors.Bound{}, false, &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: object, Err: errNoColumn, Hint: "discover the table again"}
	}
	var bound connectors.Bound
	found := false
	err := s.with(ctx, op, object, func(c *lite.Conn) error {
		name, from := ident(col.Name), " FROM "+qualified(table.TableRef)
		sql := "SELECT max(" + name + ")" + from
		switch col.Type.Kind {
		case connectors.JSON, connectors.Array, connectors.Bytes, connectors.Interval, connectors.Invalid:
			return &connectors.Error{
				Kind: connectors.KindUnsupported, Op: op, Object: object,
				Err: fmt.Errorf("a %s has no order to read by", col.Type.Kind), Hint: "choose a number, a date, a time or a text",
			}
		case connectors.Timestamp, connectors.TimestampTZ:
			// The greatest text names the last day, give or take a zone: only
			// the values from the day before need to be read as timestamps.
			last, err := c.One(ctx, sql)
			if err != nil {
				return err
			}
			if last == nil {
				return nil
			}
			v := lite.ValueOf(last)
			ts, _, ok := timestampOf(v)
			if !ok {
				return contradicts(op, object, v, col.Type)
			}
			sql = "SELECT max(arus_ts(" + name + "))" + from + " WHERE " + name + " >= '" + day(ts, -2) + "'"
		case connectors.Text, connectors.Enum:
			sql = "SELECT max(" + orderKey(col) + ")" + from
		case connectors.Numeric, connectors.UUID, connectors.Bool:
			sql = "SELECT " + name + from + " WHERE " + name + " IS NOT NULL ORDER BY " + orderKey(col) + " DESC LIMIT 1"
		}
		v, err := c.One(ctx, sql)
		if err != nil || v == nil {
			return err
		}
		found = true
		if ts, ok := v.(int64); ok && (col.Type.Kind == connectors.Timestamp || col.Type.Kind == connectors.TimestampTZ) {
			text := connectors.AppendTimestamp(nil, arrow.Timestamp(ts), 'T')
			if col.Type.Kind == connectors.TimestampTZ {
				text = append(text, 'Z')
			}
			bound = connectors.Bound{Kind: col.Type.Kind, Text: string(text)}
			return nil
		}
		bound, err = boundOf(col, lite.ValueOf(v))
		if err != nil {
			return contradicts(op, object, lite.ValueOf(v), col.Type)
		}
		return nil
	})
	return bound, found && err == nil, err
}

// boundOf spells a value through the decoder, so that its text is the canonical one.
func boundOf(col connectors.Column, v lite.Value) (connectors.Bound, error) {
	var bound connectors.Bound
	b := connectors.NewBatcher([]connectors.Column{col}, connectors.Limits{}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		bound = connectors.Bound{Kind: col.Type.Kind, Text: string(connectors.AppendValue(nil, batch.Column(0), col.Type, 0))}
		return nil
	})
	defer b.Release()
	if _, ok := newDecoder(col.Type, b.Builders[0])(v); !ok {
		return bound, errValue
	}
	return bound, errors.Join(b.EndRow(0), b.Flush())
}

// relation gives what describe found out about the table.
func (s *Source) relation(ctx context.Context, c *lite.Conn, table connectors.Table) (*relation, error) {
	found, err := describe(ctx, c, table.View, func(ref connectors.TableRef) bool { return ref.Name == table.Name })
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &connectors.Error{Kind: connectors.KindNotFound, Op: "find", Object: table.String(), Err: errors.New("there is no such table"), Hint: "discover the tables again"}
	}
	return found[0], nil
}

func selectRows(r *relation, req connectors.ReadRequest) (string, []dbdriver.Value, error) {
	invalid := func(err error) error {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "read", Object: req.Table.String(), Err: err}
	}
	if len(req.Columns) == 0 {
		return "", nil, invalid(errors.New("no columns are asked for"))
	}
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, c := range req.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		// Without this check a name that is no column would be read as a text.
		if _, ok := r.Column(c.Name); !ok {
			return "", nil, &connectors.Error{Kind: connectors.KindNotFound, Op: "read", Object: req.Table.String() + "." + c.Name, Err: errNoColumn, Hint: "discover the table again"}
		}
		b.WriteString(ident(c.Name))
	}
	if r.rowid != "" {
		b.WriteString(", " + r.rowid)
	}
	b.WriteString(" FROM " + qualified(req.Table.TableRef))
	var wheres []string
	var args []dbdriver.Value
	if w := req.Window; w != nil {
		var either []string
		for _, one := range w.Apart() {
			col, ok := columnOf(req, one.Column)
			if !ok {
				return "", nil, invalid(fmt.Errorf("there is no column %s to read by", one.Column))
			}
			where, values, err := condition(col, one, req.Exact)
			if err != nil {
				return "", nil, invalid(err)
			}
			either, args = append(either, where), append(args, values...)
		}
		if !slices.Contains(either, "") { // one that admits every row
			wheres = append(wheres, "("+strings.Join(either, " OR ")+")")
		}
	}
	if k := req.Range; k != nil {
		for _, name := range k.Columns {
			if _, ok := r.Column(name); !ok {
				return "", nil, invalid(fmt.Errorf("there is no column %s to read by", name))
			}
		}
		where, values, err := rangeCondition(*k)
		if err != nil {
			return "", nil, invalid(err)
		}
		if where != "" {
			wheres, args = append(wheres, where), append(args, values...)
		}
	}
	if len(wheres) > 0 {
		b.WriteString(" WHERE " + strings.Join(wheres, " AND "))
	}
	for i, name := range req.OrderBy {
		col, ok := columnOf(req, name)
		if !ok {
			return "", nil, invalid(fmt.Errorf("there is no column %s to order by", name))
		}
		if i == 0 {
			b.WriteString(" ORDER BY ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(orderKey(col))
	}
	return b.String(), args, nil
}

// columnOf prefers the request's column: its type is what is read.
func columnOf(req connectors.ReadRequest, name string) (connectors.Column, bool) {
	for _, c := range req.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return req.Table.Column(name)
}

// orderKey is the expression that sorts a column as its type does.
func orderKey(c connectors.Column) string {
	name := ident(c.Name)
	switch c.Type.Kind {
	case connectors.Text, connectors.Enum, connectors.JSON:
		if affinityOf(c.Native) != affText {
			name = "CAST(" + name + " AS TEXT)"
		}
		return name + " COLLATE BINARY"
	case connectors.Timestamp, connectors.TimestampTZ:
		return "arus_ts(" + name + ")"
	case connectors.UUID:
		return "arus_uuid(" + name + ")"
	case connectors.Numeric:
		return "CAST(" + name + " AS REAL)"
	}
	return name
}

// condition is the WHERE of a window, with the bounds in the forms the column
// is stored in. An exact one admits what has no place between them too.
func condition(c connectors.Column, w connectors.Window, exact bool) (string, []dbdriver.Value, error) {
	var terms []string
	var args []dbdriver.Value
	name := ident(c.Name)
	add := func(op string, b *connectors.Bound) error {
		if b == nil {
			return nil
		}
		compare, v := orderKey(c), dbdriver.Value(b.Text)
		var err error
		switch c.Type.Kind {
		case connectors.Int16, connectors.Int64:
			v, err = strconv.ParseInt(b.Text, 10, 64)
		case connectors.Float64:
			v, err = strconv.ParseFloat(b.Text, 64)
		case connectors.Decimal:
			if v, err = strconv.ParseInt(b.Text, 10, 64); err != nil {
				v, err = strconv.ParseFloat(b.Text, 64)
			}
		case connectors.Numeric:
			if !isNumber(b.Text) {
				err = errValue
			}
			compare = "arus_cmp(" + name + ", ?)"
			terms, args = append(terms, compare+" "+op+" 0"), append(args, b.Text)
			return err
		case connectors.Date:
			_, err = connectors.ParseDate(b.Text)
		case connectors.Timestamp, connectors.TimestampTZ:
			var ts arrow.Timestamp
			ts, _, err = connectors.ParseTimestamp(b.Text)
			v = int64(ts)
			// A coarse bound on the text beside the exact one, so that an index serves.
			if days := int64(ts) / microsPerDay; days > minDay && days < maxDay {
				if op == ">=" {
					terms = append(terms, name+" >= '"+day(ts, -2)+"'")
				} else {
					terms = append(terms, name+" < '"+day(ts, 3)+"'")
				}
			}
			if exact {
				terms, args = append(terms, "("+compare+" "+op+" ? OR "+compare+" IS NULL AND "+name+" IS NOT NULL)"), append(args, v)
				break
			}
			terms, args = append(terms, compare+" "+op+" ?"), append(args, v)
		case connectors.UUID:
			u, ok := uuidOf(lite.Value{Class: lite.Text, Text: b.Text})
			if !ok {
				err = errValue
			}
			v = hex.EncodeToString(u[:])
		case connectors.Text, connectors.Enum, connectors.Time:
		default:
			err = fmt.Errorf("a %s cannot bound a read", c.Type)
		}
		if c.Type.Kind != connectors.Timestamp && c.Type.Kind != connectors.TimestampTZ {
			terms, args = append(terms, compare+" "+op+" ?"), append(args, v)
		}
		if err != nil {
			return fmt.Errorf("the bound %q of column %s is not %s: run a full refresh", b.Text, c.Name, c.Type)
		}
		return nil
	}
	if err := errors.Join(add(">=", w.Lower), add("<=", w.Upper)); err != nil {
		return "", nil, err
	}
	where := strings.Join(terms, " AND ")
	switch {
	case w.Nulls && where != "":
		where = "(" + where + " OR " + name + " IS NULL)"
	case !w.Nulls && where == "":
		where = name + " IS NOT NULL"
	case where == "":
	}
	return where, args, nil
}

const (
	microsPerDay = 86_400_000_000
	minDay       = -719_000  // in year 1
	maxDay       = 2_932_000 // in year 9997
)

// day is the date of ts, shifted by days.
func day(ts arrow.Timestamp, shift int) string {
	return string(connectors.AppendDate(nil, arrow.Date32(int(int64(ts)/microsPerDay)+shift)))
}

// decoder appends a value to its builder; ok is false when it is not of the type.
type decoder func(v lite.Value) (size int, ok bool)

func newDecoder(t connectors.Type, builder array.Builder) decoder {
	var put decoder
	var buf [400]byte
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		put = func(v lite.Value) (int, bool) {
			x, ok := boolOf(v)
			b.Append(x)
			return 1, ok
		}
	case *array.Int16Builder:
		put = func(v lite.Value) (int, bool) {
			b.Append(int16(v.Num))
			return 2, v.Class == lite.Integer && v.Num == int64(int16(v.Num))
		}
	case *array.Int64Builder:
		put = func(v lite.Value) (int, bool) {
			b.Append(v.Num)
			return 8, v.Class == lite.Integer
		}
	case *array.Float64Builder:
		put = func(v lite.Value) (int, bool) {
			x, ok := floatOf(v)
			b.Append(x)
			return 8, ok
		}
	case *array.Decimal128Builder:
		put = func(v lite.Value) (int, bool) {
			x, err := decimal128Of(v, t, buf[:0])
			b.Append(x)
			return 16, err == nil
		}
	case *array.Decimal256Builder:
		put = func(v lite.Value) (int, bool) {
			x, err := decimal256Of(v, t, buf[:0])
			b.Append(x)
			return 32, err == nil
		}
	case *array.StringBuilder:
		read := textOf
		switch t.Kind {
		case connectors.JSON:
			read = jsonOf
		case connectors.Numeric:
			read = func(v lite.Value) (string, bool) {
				if v.Class == lite.Text {
					return v.Text, isNumber(v.Text)
				}
				text, ok := numberText(buf[:0], v)
				return string(text), ok
			}
		}
		put = func(v lite.Value) (int, bool) {
			x, ok := read(v)
			b.Append(x)
			return 4 + len(x), ok
		}
	case *array.BinaryBuilder:
		put = func(v lite.Value) (int, bool) {
			x, ok := bytesOf(v)
			b.Append(x)
			return 4 + len(x), ok
		}
	case *array.Date32Builder:
		put = func(v lite.Value) (int, bool) {
			x, ok := dateOf(v)
			b.Append(x)
			return 4, ok
		}
	case *array.Time64Builder:
		put = func(v lite.Value) (int, bool) {
			x, ok := timeOf(v)
			b.Append(x)
			return 8, ok
		}
	case *array.TimestampBuilder:
		wantZone := t.Kind == connectors.TimestampTZ
		put = func(v lite.Value) (int, bool) {
			x, zoned, ok := timestampOf(v)
			b.Append(x)
			return 8, ok && zoned == wantZone
		}
	case *array.FixedSizeBinaryBuilder:
		put = func(v lite.Value) (int, bool) {
			x, ok := uuidOf(v)
			b.Append(x[:])
			return 16, ok
		}
	default:
		return func(lite.Value) (int, bool) { return 0, false }
	}
	return func(v lite.Value) (int, bool) {
		if v.Class == lite.Null {
			builder.AppendNull()
			return 1, true
		}
		return put(v)
	}
}
