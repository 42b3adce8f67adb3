package mysql

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	driver "github.com/go-sql-driver/mysql"

	"arus/connectors"
)

// source reads the tables of one server.
type source struct{ *server }

// Max is the greatest value in the order of the canonical text for text
// columns, else in the type's own.
func (s *source) Max(ctx context.Context, table connectors.Table, name string) (b connectors.Bound, ok bool, err error) {
	object := table.String() + "." + name
	err = s.with(ctx, func(ss *session) error {
		r := reading{ss: ss, table: table.TableRef}
		column, found := table.Column(name)
		if !found {
			column = connectors.Column{Name: name}
		}
		if err := r.look(ctx, []connectors.Column{column}); err != nil {
			return s.fail("read", object, err)
		}
		n := r.natives[0]
		column.Type = n.logical()
		r.columns = []connectors.Column{column}
		statement := "SELECT MAX(" + n.comparison() + ") FROM " + qualified(table.TableRef)
		err := ss.guard(ctx, func() error {
			return r.stream(ctx, statement, connectors.Limits{}, func(batch arrow.RecordBatch) error {
				defer batch.Release()
				if a := batch.Column(0); batch.NumRows() > 0 && !a.IsNull(0) {
					b = connectors.Bound{Kind: column.Type.Kind, Text: string(connectors.AppendValue(nil, a, column.Type, 0))}
					ok = true
				}
				return nil
			})
		})
		return s.fail("read", object, err)
	})
	return b, ok, err
}

// Read streams the rows in one consistent snapshot.
func (s *source) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	object := req.Table.String()
	return s.with(ctx, func(ss *session) error {
		r := reading{ss: ss, table: req.Table.TableRef, columns: req.Columns}
		var failed error
		emitted := func(batch arrow.RecordBatch) error {
			failed = emit(batch)
			return failed
		}
		err := r.read(ctx, req, emitted)
		switch {
		case err == nil:
			return nil
		case failed != nil:
			ss.broken = true
			return failed
		}
		return s.fail("read", object, err)
	})
}

// reading is one read: what is read and where it stands, for its errors.
type reading struct {
	ss      *session
	table   connectors.TableRef
	columns []connectors.Column
	natives []native // of the columns
	all     []native
}

func (r *reading) read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	for _, statement := range []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION READ ONLY"} {
		if _, err := r.ss.exec(ctx, statement); err != nil {
			return err
		}
	}
	// Opening the table first keeps it from being replaced until the end, so that the look at the columns and the
	// snapshot, which begins with the first row read, are of one table. A snapshot older than the table shows it empty.
	_, opened := r.ss.exec(ctx, "SELECT 1 FROM "+qualified(r.table)+" LIMIT 0")
	if _, answered := errors.AsType[*driver.MySQLError](opened); opened != nil && !answered {
		return opened
	}
	if err := r.look(ctx, req.Columns); err != nil { // says better than the server what is missing
		return err
	}
	if opened != nil {
		return opened
	}
	statement, err := r.statement(req)
	if err != nil {
		return err
	}
	err = r.ss.guard(ctx, func() error { return r.stream(ctx, statement, req.Limits, emit) })
	if err != nil {
		return err
	}
	_, err = r.ss.exec(ctx, "COMMIT")
	return err
}

// look finds the native types of the columns as they are now.
func (r *reading) look(ctx context.Context, columns []connectors.Column) error {
	all, err := r.ss.columns(ctx, r.ss.flavour.tableIs(r.table))
	if err != nil {
		return err
	}
	for _, natives := range all {
		r.all = natives
	}
	if len(r.all) == 0 {
		return &connectors.Error{
			Kind: connectors.KindNotFound, Op: "read", Object: r.table.String(),
			Hint: "check that the table still exists and that the account may SELECT from it", Err: errors.New("there is no such table"),
		}
	}
	for _, c := range columns {
		n, err := r.native(c.Name)
		if err != nil {
			return err
		}
		r.natives = append(r.natives, n)
	}
	return nil
}

func (r *reading) native(name string) (native, error) {
	for _, n := range r.all {
		if n.name == name {
			return n, nil
		}
	}
	for _, n := range r.all {
		if strings.EqualFold(n.name, name) {
			return n, nil
		}
	}
	return native{}, &connectors.Error{
		Kind: connectors.KindNotFound, Op: "read", Object: r.table.String() + "." + name,
		Hint: "the table's columns have changed: discover them again", Err: errors.New("there is no such column"),
	}
}

func (r *reading) statement(req connectors.ReadRequest) (string, error) {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, n := range r.natives {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(n.selection())
	}
	b.WriteString(" FROM " + qualified(r.table))
	where, err := r.where(req)
	if err != nil {
		return "", err
	}
	b.WriteString(where)
	for i, name := range req.OrderBy {
		n, err := r.native(name)
		if err != nil {
			return "", err
		}
		if i == 0 {
			b.WriteString(" ORDER BY ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(n.comparison())
	}
	return b.String(), nil
}

// where joins the conditions of the request's window and range.
func (r *reading) where(req connectors.ReadRequest) (string, error) {
	invalid := func(column, hint string, err error) error {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "read", Object: r.table.String() + "." + column, Hint: hint, Err: err}
	}
	var parts []string
	if w := req.Window; w != nil {
		var either []string
		for i, name := range append([]string{w.Column}, w.Or...) {
			n, err := r.native(name)
			if err != nil {
				return "", err
			}
			one := connectors.Window{Column: name, Lower: w.Lower, Upper: w.Upper, Nulls: w.Nulls && i == 0}
			condition, err := windowCondition(n, n.comparison(), one)
			if err != nil {
				return "", invalid(n.name, "reset the table's watermark", err)
			}
			either = append(either, condition)
		}
		parts = append(parts, "("+strings.Join(either, " OR ")+")")
	}
	if k := req.Range; k != nil {
		key := make([]native, len(k.Columns))
		for i, name := range k.Columns {
			var err error
			if key[i], err = r.native(name); err != nil {
				return "", err
			}
		}
		condition, err := rangeCondition(key, *k)
		if err != nil {
			return "", invalid(strings.Join(k.Columns, ", "), "divide the table again", err)
		}
		if condition != "" {
			parts = append(parts, condition)
		}
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), nil
}

// windowCondition is the window as a condition: both bounds inclusive, rows
// without a value only when asked for.
func windowCondition(n native, expr string, w connectors.Window) (string, error) {
	var parts []string
	for _, side := range []struct {
		op    string
		bound *connectors.Bound
	}{{" >= ", w.Lower}, {" <= ", w.Upper}} {
		if side.bound == nil {
			continue
		}
		v, err := boundLiteral(n.logical().Kind, *side.bound)
		if err != nil {
			return "", err
		}
		parts = append(parts, expr+side.op+v)
	}
	name := ident(n.name)
	if len(parts) == 0 {
		if w.Nulls {
			return "1 = 1", nil
		}
		return name + " IS NOT NULL", nil
	}
	condition := strings.Join(parts, " AND ")
	if w.Nulls {
		condition = "(" + condition + " OR " + name + " IS NULL)"
	}
	return condition, nil
}

// boundLiteral spells a bound for comparison with a column of the kind. Texts
// are binary literals, because they are compared by their bytes.
func boundLiteral(kind connectors.Kind, b connectors.Bound) (string, error) {
	invalid := fmt.Errorf("%q is not a value of %s", b.Text, kind)
	switch {
	case kind.IsInteger() || kind == connectors.Decimal || kind == connectors.Numeric:
		if !isNumber(b.Text) {
			return "", invalid
		}
		return b.Text, nil
	case kind == connectors.Bool:
		switch b.Text {
		case "true", "1":
			return "1", nil
		case "false", "0":
			return "0", nil
		}
		return "", invalid
	case kind == connectors.Float32 || kind == connectors.Float64:
		f, err := strconv.ParseFloat(b.Text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return "", invalid
		}
		return strconv.FormatFloat(f, 'e', -1, 64), nil
	case kind == connectors.Date || kind == connectors.Timestamp || kind == connectors.TimestampTZ:
		ts, _, err := connectors.ParseTimestamp(b.Text)
		if err != nil || ts == connectors.TimestampInfinity || ts == connectors.TimestampMinInfinity {
			return "", invalid
		}
		return "TIMESTAMP" + literal(string(connectors.AppendTimestamp(nil, ts, ' '))), nil
	case kind == connectors.Time:
		if _, err := connectors.ParseTime(b.Text); err != nil {
			return "", invalid
		}
		return "TIME" + literal(b.Text), nil
	case kind == connectors.Bytes:
		raw, err := base64.StdEncoding.DecodeString(b.Text)
		if err != nil {
			return "", invalid
		}
		return "x'" + hex.EncodeToString(raw) + "'", nil
	}
	return "x'" + hex.EncodeToString([]byte(b.Text)) + "'", nil
}

func isNumber(s string) bool {
	digits, point := 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c-'0' <= 9:
			digits++
		case c == '.' && !point:
			point = true
		case c == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0
}

// stream runs the query and decodes its rows into batches.
func (r *reading) stream(ctx context.Context, statement string, limits connectors.Limits, emit func(arrow.RecordBatch) error) error {
	result, err := r.ss.stream(ctx, statement)
	if err != nil {
		return err
	}
	batcher := connectors.NewBatcher(r.columns, limits, emit)
	defer batcher.Release()
	decoders := make([]decoder, len(r.columns))
	for i, c := range r.columns {
		if decoders[i], err = newDecoder(c.Type, r.natives[i], batcher.Builders[i]); err != nil {
			r.ss.broken = true
			return r.columnError(i, err)
		}
	}
	fields := make([][]byte, len(decoders))
	for n := 0; ; n++ {
		if n&1023 == 0 && ctx.Err() != nil {
			r.ss.broken = true
			return ctx.Err()
		}
		size, err := result.next(fields)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.ss.broken = true
			return err
		}
		for i, field := range fields {
			if field == nil {
				batcher.Builders[i].AppendNull()
			} else if err := decoders[i](field); err != nil {
				r.ss.broken = true
				return r.valueError(i, field, err)
			}
		}
		if err := batcher.EndRow(size); err != nil {
			r.ss.broken = true
			return err
		}
	}
	if err := result.close(); err != nil {
		return err
	}
	return batcher.Flush()
}

func (r *reading) columnError(i int, err error) error {
	return &connectors.Error{
		Kind: connectors.KindType, Op: "read", Object: r.table.String() + "." + r.columns[i].Name,
		Hint: "discover the table again", Err: err,
	}
}

// valueError names the value. Zero and partial dates are the common case.
func (r *reading) valueError(i int, field []byte, err error) error {
	hint := "the column's type has changed: discover the table again"
	switch r.natives[i].data {
	case "date", "datetime", "timestamp":
		hint = "the value is no date: set it to NULL or to a real date in the source, or leave the column out"
	}
	shown := string(field)
	if len(shown) > 64 {
		shown = shown[:64] + "..."
	}
	return &connectors.Error{
		Kind: connectors.KindType, Op: "read", Object: r.table.String() + "." + r.columns[i].Name,
		Hint: hint, Err: fmt.Errorf("value %q of %s: %w", shown, r.natives[i].column, err),
	}
}

// decoder appends one value that is not NULL, as the text protocol spells it.
type decoder func([]byte) error

var (
	errInteger = errors.New("not an integer of the column's range")
	errFloat   = errors.New("not a number")
	errBool    = errors.New("not 0 or 1")
	errUUID    = errors.New("not a uuid")
)

func newDecoder(t connectors.Type, n native, builder array.Builder) (decoder, error) {
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(v []byte) error {
			if len(v) != 1 || v[0]&^1 != '0' {
				return errBool
			}
			b.Append(v[0] == '1')
			return nil
		}, nil
	case *array.Int8Builder:
		return integer(math.MinInt8, math.MaxInt8, func(v int64) { b.Append(int8(v)) }), nil
	case *array.Int16Builder:
		return integer(math.MinInt16, math.MaxInt16, func(v int64) { b.Append(int16(v)) }), nil
	case *array.Int32Builder:
		return integer(math.MinInt32, math.MaxInt32, func(v int64) { b.Append(int32(v)) }), nil
	case *array.Int64Builder:
		return integer(math.MinInt64, math.MaxInt64, b.Append), nil
	case *array.Uint8Builder:
		return natural(math.MaxUint8, func(v uint64) { b.Append(uint8(v)) }), nil
	case *array.Uint16Builder:
		return natural(math.MaxUint16, func(v uint64) { b.Append(uint16(v)) }), nil
	case *array.Uint32Builder:
		return natural(math.MaxUint32, func(v uint64) { b.Append(uint32(v)) }), nil
	case *array.Uint64Builder:
		return natural(math.MaxUint64, b.Append), nil
	case *array.Float32Builder:
		return func(v []byte) error {
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil {
				return errFloat
			}
			b.Append(float32(f))
			return nil
		}, nil
	case *array.Float64Builder:
		return func(v []byte) error {
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil {
				return errFloat
			}
			b.Append(f)
			return nil
		}, nil
	case *array.Decimal128Builder:
		return func(v []byte) error {
			d, err := connectors.ParseDecimal128(v, t.Precision, t.Scale)
			b.Append(d)
			return err
		}, nil
	case *array.Decimal256Builder:
		return func(v []byte) error {
			d, err := connectors.ParseDecimal256(v, t.Precision, t.Scale)
			b.Append(d)
			return err
		}, nil
	case *array.Date32Builder:
		return func(v []byte) error {
			d, err := connectors.ParseDate(v)
			if err != nil {
				var invalid bool
				if d, invalid = connectors.InvalidDate(v); invalid {
					err = nil
				}
			}
			b.Append(d)
			return err
		}, nil
	case *array.Time64Builder:
		return func(v []byte) error {
			d, err := connectors.ParseTime(v)
			b.Append(d)
			return err
		}, nil
	case *array.TimestampBuilder:
		return func(v []byte) error {
			ts, _, err := connectors.ParseTimestamp(v)
			if err != nil {
				var invalid bool
				if ts, invalid = connectors.InvalidTimestamp(v); invalid {
					err = nil
				}
			}
			b.Append(ts)
			return err
		}, nil
	case *array.FixedSizeBinaryBuilder:
		var u [16]byte
		return func(v []byte) error {
			if !parseUUID(&u, v) {
				return errUUID
			}
			b.Append(u[:])
			return nil
		}, nil
	case *array.StringBuilder:
		bytes := b.BinaryBuilder
		return func(v []byte) error {
			bytes.Append(v)
			return nil
		}, nil
	case *array.BinaryBuilder:
		return func(v []byte) error {
			b.Append(v)
			return nil
		}, nil
	}
	return nil, fmt.Errorf("%s cannot be read as %s", n.column, t)
}

func integer(lo, hi int64, appendValue func(int64)) decoder {
	return func(b []byte) error {
		v, ok := parseInt(b, lo, hi)
		if !ok {
			return errInteger
		}
		appendValue(v)
		return nil
	}
}

func natural(hi uint64, appendValue func(uint64)) decoder {
	return func(b []byte) error {
		v, ok := parseUint(b, hi)
		if !ok {
			return errInteger
		}
		appendValue(v)
		return nil
	}
}

// parseUUID reads 36 characters with hyphens.
func parseUUID(u *[16]byte, b []byte) bool {
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return false
	}
	at := 0
	for _, part := range [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		n, err := hex.Decode(u[at:], b[part[0]:part[1]])
		if err != nil {
			return false
		}
		at += n
	}
	return true
}
