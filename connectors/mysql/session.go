package mysql

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"arus/connectors"
)

// killGrace is how long the request to kill a statement may take, and then the
// statement to end, before the socket is closed under it.
const killGrace = 3 * time.Second

// session is one connection. It runs one statement at a time; cancelling a
// statement's context stops the statement on the server.
type session struct {
	server  *server
	conn    sqldriver.Conn
	socket  *bufferedConn
	plain   bool   // not encrypted: result sets can be read straight from the socket
	id      string // the server's CONNECTION_ID
	flavour flavour
	broken  bool // not fit for another use
}

func (ss *session) close() { _ = ss.conn.Close() }

// guard runs do; when ctx ends first, the statement that do waits for is killed.
// The driver itself must not watch ctx: it would only drop the socket and leave
// the statement running.
func (ss *session) guard(ctx context.Context, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	killed := make(chan struct{})
	var grace *time.Timer
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		ss.kill(context.WithoutCancel(ctx))
		grace = time.AfterFunc(killGrace, func() { _ = ss.socket.Close() })
	})
	err := do()
	if stop() {
		return err
	}
	<-killed
	grace.Stop()
	ss.broken = true
	if err != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return nil
}

// kill stops the running statement over a connection of its own.
func (ss *session) kill(ctx context.Context) {
	if ss.id == "" { // it is only being set up
		_ = ss.socket.Close()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, killGrace)
	defer cancel()
	killer, err := ss.server.connect(ctx)
	if err != nil {
		_ = ss.socket.Close()
		return
	}
	defer killer.close()
	if _, err := killer.conn.(sqldriver.ExecerContext).ExecContext(ctx, "KILL QUERY "+ss.id, nil); err != nil {
		_ = ss.socket.Close()
	}
}

func (ss *session) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return ss.conn.(sqldriver.Pinger).Ping(ctx)
}

// exec runs a statement and counts the rows it affected.
func (ss *session) exec(ctx context.Context, statement string) (affected int64, err error) {
	err = ss.guard(ctx, func() error {
		r, err := ss.conn.(sqldriver.ExecerContext).ExecContext(context.WithoutCancel(ctx), statement, nil)
		if err != nil {
			return err
		}
		affected, err = r.RowsAffected()
		return err
	})
	return affected, err
}

// query gives a small result as text.
func (ss *session) query(ctx context.Context, statement string) (rows [][]sql.NullString, err error) {
	err = ss.guard(ctx, func() error {
		r, err := ss.conn.(sqldriver.QueryerContext).QueryContext(context.WithoutCancel(ctx), statement, nil)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		values := make([]sqldriver.Value, len(r.Columns()))
		for {
			if err := r.Next(values); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			row := make([]sql.NullString, len(values))
			for i, v := range values {
				switch v := v.(type) {
				case nil:
				case []byte:
					row[i] = sql.NullString{String: string(v), Valid: true}
				default:
					row[i] = sql.NullString{String: fmt.Sprint(v), Valid: true}
				}
			}
			rows = append(rows, row)
		}
	})
	return rows, err
}

// queryRow gives the first row of a small result; nil without one.
func (ss *session) queryRow(ctx context.Context, statement string) ([]sql.NullString, error) {
	rows, err := ss.query(ctx, statement)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// ident quotes an identifier.
func ident(name string) string { return connectors.Quote(name, '`') }

// qualified quotes a table's full name.
func qualified(ref connectors.TableRef) string {
	if ref.Schema == "" {
		return ident(ref.Name)
	}
	return ident(ref.Schema) + "." + ident(ref.Name)
}

// literal quotes a text. Every session runs with NO_BACKSLASH_ESCAPES and in
// utf8mb4, so that doubling the quote is all there is to do.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// bufferedConn reads ahead: the driver alone would ask the system for 4 KiB at a time.
type bufferedConn struct {
	net.Conn
	buf  []byte
	r, w int
}

func newBufferedConn(c net.Conn) *bufferedConn {
	return &bufferedConn{Conn: c, buf: make([]byte, 64<<10)}
}

func (c *bufferedConn) Read(p []byte) (int, error) {
	if c.r == c.w {
		if len(p) >= len(c.buf) {
			return c.Conn.Read(p)
		}
		n, err := c.Conn.Read(c.buf)
		c.r, c.w = 0, n
		if n == 0 {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.r:c.w])
	c.r += n
	return n, nil
}
