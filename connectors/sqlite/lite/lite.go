// Package lite is a thin hold on the SQLite driver below database/sql: values
// come as the storage class has them, without conversions, and a cancelled
// context interrupts a statement between rows as well as before the first one.
package lite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Mode says how a file is opened.
type Mode string

// The modes of opening.
const (
	ReadOnly  Mode = "ro"
	ReadWrite Mode = "rw"
	Create    Mode = "rwc"
)

// Conn is one connection; one goroutine uses it at a time.
type Conn struct {
	conn  driver.Conn
	db    uintptr // the sqlite3 handle
	mutex uintptr // the handle's own, see unlock
	pool  *sql.DB // that owns the connection; nil = none

	modules []*module // kept for SQLite, which has the addresses of their functions
}

// URI names a file for SQLite; params are further query parameters.
func URI(path string, mode Mode, params string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	abs = filepath.ToSlash(abs)
	if runtime.GOOS == "windows" {
		abs = "/" + abs
	}
	uri := "file:" + (&url.URL{Path: abs}).EscapedPath() + "?mode=" + string(mode)
	if params != "" {
		uri += "&" + params
	}
	return uri, nil
}

// Open opens a file. The driver carries the functions the caller registered.
func Open(d *sqlite.Driver, path string, mode Mode, params string) (*Conn, error) {
	uri, err := URI(path, mode, params)
	if err != nil {
		return nil, err
	}
	return open(d, uri)
}

// MemoryStrict opens an empty database in memory, in which "x" is a name and
// never a text.
func MemoryStrict(d *sqlite.Driver) (*Conn, error) {
	return open(d, "file::memory:?mode=memory&_dqs=0")
}

// LimitLength bounds texts and blobs, in bytes.
func (c *Conn) LimitLength(ctx context.Context, n int) error {
	// The driver limits connections of database/sql only: the pool is of this one,
	// and closes it.
	c.pool = sql.OpenDB(lent{c.conn})
	conn, err := c.pool.Conn(ctx)
	if err != nil {
		return err
	}
	_, err = sqlite.Limit(conn, sqlite3.SQLITE_LIMIT_LENGTH, n)
	return errors.Join(err, conn.Close())
}

// lent gives a connection that is open to database/sql.
type lent struct{ conn driver.Conn }

// Connect gives the connection.
func (l lent) Connect(context.Context) (driver.Conn, error) { return l.conn, nil }

// Driver is nobody's question.
func (l lent) Driver() driver.Driver { return nil }

func open(d *sqlite.Driver, uri string) (*Conn, error) {
	conn, err := d.Open(uri)
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn}
	// The driver interrupts only the first step of a query. The handle lets
	// this package interrupt the others; a test fails should it be renamed.
	if f := reflect.Indirect(reflect.ValueOf(conn)).FieldByName("db"); f.IsValid() && f.Kind() == reflect.Uintptr {
		c.db = uintptr(f.Uint())
		c.unlock()
	}
	return c, nil
}

// unlock makes the connection one of SQLite's multi-thread mode: the driver opens
// all in the serialized mode, which locks a mutex for every value of every row.
// SQLite tells the modes apart by whether the handle has a mutex.
func (c *Conn) unlock() {
	handle := *(**sqlite3.Tsqlite3)(unsafe.Pointer(&c.db))
	c.mutex, handle.Fmutex = handle.Fmutex, 0
}

// lock gives the handle its mutex back, which goes with it.
func (c *Conn) lock() {
	if c.mutex != 0 {
		handle := *(**sqlite3.Tsqlite3)(unsafe.Pointer(&c.db))
		handle.Fmutex, c.mutex = c.mutex, 0
	}
}

// Close closes the connection; a transaction that is open is rolled back.
func (c *Conn) Close() error {
	c.lock()
	if c.pool != nil {
		return c.pool.Close()
	}
	return c.conn.Close()
}

// watch interrupts the connection when ctx ends, until stop is called.
func (c *Conn) watch(ctx context.Context) (stop func()) {
	if ctx.Done() == nil || c.db == 0 {
		return func() {}
	}
	var mu sync.Mutex
	stopped := false
	unhook := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			sqlite3.Xsqlite3_interrupt(nil, c.db)
		}
	})
	return func() {
		unhook()
		mu.Lock()
		stopped = true
		mu.Unlock()
	}
}

func named(args []driver.Value) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, a := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return out
}

// Exec runs statements that give no rows.
func (c *Conn) Exec(ctx context.Context, sql string, args ...driver.Value) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer c.watch(ctx)()
	_, err := c.conn.(driver.ExecerContext).ExecContext(context.WithoutCancel(ctx), sql, named(args))
	return ended(ctx, err)
}

// Rows are the rows of a query. The values of one row are valid until the next.
type Rows struct {
	ctx  context.Context
	rows driver.Rows
	stop func()
	row  []driver.Value
	err  error
}

// Query starts a query.
func (c *Conn) Query(ctx context.Context, sql string, args ...driver.Value) (*Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	stop := c.watch(ctx)
	rows, err := c.conn.(driver.QueryerContext).QueryContext(context.WithoutCancel(ctx), sql, named(args))
	if err != nil {
		stop()
		return nil, ended(ctx, err)
	}
	return &Rows{ctx: ctx, rows: rows, stop: stop, row: make([]driver.Value, len(rows.Columns()))}, nil
}

// Columns names the columns of the result.
func (r *Rows) Columns() []string { return r.rows.Columns() }

// Next gives the next row; false at the end or on an error, which Err tells.
func (r *Rows) Next() ([]driver.Value, bool) {
	if r.err = r.ctx.Err(); r.err != nil {
		return nil, false
	}
	if err := r.rows.Next(r.row); err != nil {
		if !errors.Is(err, io.EOF) {
			r.err = ended(r.ctx, err)
		}
		return nil, false
	}
	return r.row, true
}

// Err is the error that ended the rows, nil at their end.
func (r *Rows) Err() error { return r.err }

// Close ends the query.
func (r *Rows) Close() error {
	r.stop()
	return r.rows.Close()
}

// Each runs a query and gives its rows one by one.
func (c *Conn) Each(ctx context.Context, sql string, args []driver.Value, row func([]driver.Value) error) error {
	rows, err := c.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	for {
		values, ok := rows.Next()
		if !ok {
			break
		}
		if err := row(values); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// One gives the single value of a query, nil when it has no row.
func (c *Conn) One(ctx context.Context, sql string, args ...driver.Value) (driver.Value, error) {
	var value driver.Value
	err := c.Each(ctx, sql, args, func(row []driver.Value) error {
		value = row[0]
		return nil
	})
	return value, err
}

// Stmt is a prepared statement that gives no rows.
type Stmt struct {
	stmt driver.Stmt
	args []driver.NamedValue
}

// Prepare prepares a statement with n parameters.
func (c *Conn) Prepare(ctx context.Context, sql string, n int) (*Stmt, error) {
	stmt, err := c.conn.(driver.ConnPrepareContext).PrepareContext(ctx, sql)
	if err != nil {
		return nil, err
	}
	s := &Stmt{stmt: stmt, args: make([]driver.NamedValue, n)}
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	return s, nil
}

// Set sets parameter i, from 0.
func (s *Stmt) Set(i int, v driver.Value) { s.args[i].Value = v }

// Exec runs the statement with the parameters set. It is not interrupted once
// it has begun: it is short.
func (s *Stmt) Exec(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := s.stmt.(driver.StmtExecContext).ExecContext(context.WithoutCancel(ctx), s.args)
	return err
}

// Changed is Exec that says how many rows the statement changed.
func (s *Stmt) Changed(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	result, err := s.stmt.(driver.StmtExecContext).ExecContext(context.WithoutCancel(ctx), s.args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Close frees the statement.
func (s *Stmt) Close() error { return s.stmt.Close() }

// ended replaces the echo of an interrupt by the context's own error.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Code is SQLite's primary result code of an error, 0 when it is none of SQLite's.
func Code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// The result codes that callers tell apart.
const (
	Perm       = sqlite3.SQLITE_PERM
	Busy       = sqlite3.SQLITE_BUSY
	Locked     = sqlite3.SQLITE_LOCKED
	IsReadOnly = sqlite3.SQLITE_READONLY
	Corrupt    = sqlite3.SQLITE_CORRUPT
	Full       = sqlite3.SQLITE_FULL
	CantOpen   = sqlite3.SQLITE_CANTOPEN
	Auth       = sqlite3.SQLITE_AUTH
	NotADB     = sqlite3.SQLITE_NOTADB
	Constraint = sqlite3.SQLITE_CONSTRAINT
	IOErr      = sqlite3.SQLITE_IOERR
)

// String is a value that must be text.
func String(v driver.Value) string {
	s, _ := v.(string)
	return s
}

// Int is a value that must be an integer.
func Int(v driver.Value) int64 {
	i, _ := v.(int64)
	return i
}

// Brief spells a value for a message.
func Brief(v driver.Value) string {
	switch x := v.(type) {
	case string:
		if len(x) > 40 {
			x = strings.ToValidUTF8(x[:40], "") + "..."
		}
		return fmt.Sprintf("%q", x)
	case []byte:
		return fmt.Sprintf("a blob of %d bytes", len(x))
	case nil:
		return "NULL"
	}
	return fmt.Sprint(v)
}

// Get gives parameter i as it was set.
func (s *Stmt) Get(i int) driver.Value { return s.args[i].Value }

// Reader is a prepared query for single rows.
type Reader struct {
	stmt driver.Stmt
	row  []driver.Value
}

// PrepareQuery prepares a query whose first row is wanted.
func (c *Conn) PrepareQuery(ctx context.Context, sql string) (*Reader, error) {
	stmt, err := c.conn.(driver.ConnPrepareContext).PrepareContext(ctx, sql)
	if err != nil {
		return nil, err
	}
	return &Reader{stmt: stmt}, nil
}

// Row gives the first row, which is valid until the next call; ok is false when
// there is none. It is not interrupted once it has begun: it is short.
func (r *Reader) Row(ctx context.Context, args ...driver.Value) (row []driver.Value, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	rows, err := r.stmt.(driver.StmtQueryContext).QueryContext(context.WithoutCancel(ctx), named(args))
	if err != nil {
		return nil, false, err
	}
	if r.row == nil {
		r.row = make([]driver.Value, len(rows.Columns()))
	}
	err = rows.Next(r.row)
	cerr := rows.Close()
	if errors.Is(err, io.EOF) {
		return nil, false, cerr
	}
	return r.row, err == nil, errors.Join(err, cerr)
}

// Close frees the query.
func (r *Reader) Close() error { return r.stmt.Close() }
