package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
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
