package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// Read streams rows by one COPY, which is one snapshot.
//
// COPY takes that snapshot before it opens the table. Had it to wait for a table
// that is being reloaded, it would then see the new rows not yet and the old ones
// no more: nothing, without an error. So the table is opened by a statement in
// front, which keeps it from being replaced until the COPY ends.
func (s *Source) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	const op = "read"
	object := req.Table.String()
	sql, err := selectRows(req)
	if err != nil {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: object, Err: err}
	}
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer s.release(conn)
	return s.copyOut(ctx, conn, object, "", sql, req, emit)
}

// copyOut runs the query and decodes what it gives. When decoding or emit
// fails, the query is cancelled on the server and the rest is discarded, so
// that the connection stays usable. What settings say holds for the query alone.
func (s *Source) copyOut(ctx context.Context, conn *pgconn.PgConn, object, settings, sql string, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	const op = "read"
	queryCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	// What the server has sent already goes on arriving after a cancel.
	untilCancelled := func(batch arrow.RecordBatch) error {
		if ctx.Err() != nil {
			batch.Release()
			return context.Cause(ctx)
		}
		return emit(batch)
	}
	d, err := newDecoder(req.Columns, req.Limits, conn.ParameterStatus("server_encoding") == "SQL_ASCII", untilCancelled)
	if err != nil {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: object, Err: err}
	}
	defer d.batcher.Release()
	d.stop = cancel
	_, err = conn.CopyTo(queryCtx, d, settings+"SELECT FROM "+qualified(req.Table.TableRef)+" LIMIT 0; COPY ("+sql+") TO STDOUT (FORMAT binary)")
	if d.err != nil {
		if fault, ok := errors.AsType[*valueError](d.err); ok {
			return typeError(op, object, fault.column, fault.hint, fault.err)
		}
		return d.err
	}
	if err == nil {
		if err = d.finish(); err == nil {
			return nil
		}
		if d.err != nil {
			return d.err // of emit
		}
	}
	return s.fail(ctx, op, object, s.grantSelect(req.Table.TableRef), err)
}

func (s *Source) grantSelect(ref connectors.TableRef) string {
	grant := "GRANT SELECT ON " + qualified(ref) + " TO " + ident(s.user)
	if ref.Schema != "" {
		grant = "GRANT USAGE ON SCHEMA " + ident(ref.Schema) + " TO " + ident(s.user) + "; " + grant
	}
	return grant
}

func selectRows(req connectors.ReadRequest) (string, error) {
	if len(req.Columns) == 0 {
		return "", errors.New("no columns are asked for")
	}
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, c := range req.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(selectExpr(c))
	}
	b.WriteString(" FROM ")
	b.WriteString(qualified(req.Table.TableRef))
	var where []string
	if req.Window != nil {
		window, err := condition(*req.Window)
		if err != nil {
			return "", err
		}
		where = append(where, "("+window+")")
	}
	if req.Range != nil {
		part, err := within(*req.Range)
		if err != nil {
			return "", err
		}
		where = append(where, part)
	}
	if len(where) > 0 {
		b.WriteString(" WHERE ")
		b.WriteString(strings.Join(where, " AND "))
	}
	for i, name := range req.OrderBy {
		if i == 0 {
			b.WriteString(" ORDER BY ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(orderExpr(req, name))
	}
	return b.String(), nil
}

func orderExpr(req connectors.ReadRequest, name string) string {
	c, ok := req.Table.Column(name)
	if !ok {
		for _, c = range req.Columns {
			if ok = c.Name == name; ok {
				break
			}
		}
	}
	if ok && (c.Type.Kind == connectors.Text || c.Type.Kind == connectors.Enum) {
		return bytewise(ident(name))
	}
	return ident(name)
}

// Max reads the greatest value through the decoder, so that its text is the
// canonical one.
func (s *Source) Max(ctx context.Context, table connectors.Table, column string) (connectors.Bound, bool, error) {
	const op = "find the greatest value of"
	object := table.String() + "." + column
	c, ok := table.Column(column)
	if !ok {
		return connectors.Bound{}, false, &connectors.Error{
			Kind: connectors.KindNotFound, Op: op, Object: object,
			Err: errors.New("there is no such column"), Hint: "discover the table again",
		}
	}
	name := ident(c.Name)
	var sql string
	switch c.Type.Kind {
	case connectors.JSON, connectors.Array, connectors.Bytes, connectors.Interval:
		return connectors.Bound{}, false, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: op, Object: object,
			Err: fmt.Errorf("a %s has no order to read by", c.Type.Kind), Hint: "choose a number, a date, a time or a text",
		}
	case connectors.UUID, connectors.Bool:
		sql = "SELECT " + selectExpr(c) + " FROM " + qualified(table.TableRef) + " WHERE " + name + " IS NOT NULL ORDER BY " + name + " DESC LIMIT 1"
	case connectors.Text, connectors.Enum:
		sql = "SELECT pg_catalog.max(" + bytewise(name) + ") FROM " + qualified(table.TableRef)
	default:
		greatest := c
		greatest.Name = "greatest"
		sql = "SELECT " + selectExpr(greatest) + " FROM (SELECT pg_catalog.max(" + name + ") AS greatest FROM " + qualified(table.TableRef) + ") m"
	}
	conn, err := s.acquire(ctx)
	if err != nil {
		return connectors.Bound{}, false, err
	}
	defer s.release(conn)
	bound := connectors.Bound{Kind: c.Type.Kind}
	found := false
	err = s.copyOut(ctx, conn, object, "", sql, connectors.ReadRequest{Table: table, Columns: []connectors.Column{c}}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		if values := batch.Column(0); values.Len() > 0 && !values.IsNull(0) {
			bound.Text, found = string(connectors.AppendValue(nil, values, c.Type, 0)), true
		}
		return nil
	})
	return bound, found, err
}
