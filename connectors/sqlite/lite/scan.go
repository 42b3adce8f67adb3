package lite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Class is how SQLite stores a value.
type Class uint8

// The storage classes.
const (
	Null Class = iota
	Integer
	Real
	Text
	Blob
)

// Value is one value of a row.
type Value struct {
	Class Class
	Num   int64  // of an Integer; the bits of a Real
	Text  string // of a Text, or the bytes of a Blob
}

// Float is the number of a Real.
func (v Value) Float() float64 { return math.Float64frombits(uint64(v.Num)) }

// Bytes are those of a Text or a Blob, which nobody may change.
func (v Value) Bytes() []byte { return unsafe.Slice(unsafe.StringData(v.Text), len(v.Text)) }

// Brief spells a value for a message.
func (v Value) Brief() string { return Brief(v.driver()) }

// driver is the value as the driver has it, with memory of its own.
func (v Value) driver() driver.Value {
	switch v.Class {
	case Integer:
		return v.Num
	case Real:
		return v.Float()
	case Text:
		return strings.Clone(v.Text)
	case Blob:
		return []byte(v.Text)
	}
	return nil
}

// ValueOf is a value of the driver's.
func ValueOf(v driver.Value) Value {
	switch x := v.(type) {
	case int64:
		return Value{Class: Integer, Num: x}
	case float64:
		return Value{Class: Real, Num: int64(math.Float64bits(x))}
	case string:
		return Value{Class: Text, Text: x}
	case []byte:
		return Value{Class: Blob, Text: unsafe.String(unsafe.SliceData(x), len(x))}
	}
	return Value{}
}

// Row is the row that a scan has come to. Its values lie in SQLite's memory: they
// are good for the call that it is given to.
type Row struct {
	tls  *libc.TLS
	stmt uintptr
	vm   *sqlite3.TVdbe
}

// Value gives the value of a column of the result.
func (r *Row) Value(i int) Value {
	mem := at[sqlite3.TMem](r.vm.FpResultRow + uintptr(i)*unsafe.Sizeof(sqlite3.TMem{}))
	switch mem.Fflags & sqlite3.MEM_AffMask {
	case sqlite3.MEM_Null:
		return Value{}
	case sqlite3.MEM_Int:
		return Value{Class: Integer, Num: *(*int64)(unsafe.Pointer(&mem.Fu))}
	case sqlite3.MEM_Real:
		return Value{Class: Real, Num: *(*int64)(unsafe.Pointer(&mem.Fu))}
	case sqlite3.MEM_Str:
		if mem.Fenc == sqlite3.SQLITE_UTF8 {
			return Value{Class: Text, Text: text(mem.Fz, mem.Fn)}
		}
	case sqlite3.MEM_Blob:
		if mem.Fflags&sqlite3.MEM_Zero == 0 {
			return Value{Class: Blob, Text: text(mem.Fz, mem.Fn)}
		}
	}
	return r.converted(int32(i))
}

// converted asks SQLite itself: the value is in another form than it is given in.
func (r *Row) converted(i int32) Value {
	switch sqlite3.Xsqlite3_column_type(r.tls, r.stmt, i) {
	case sqlite3.SQLITE_INTEGER:
		return Value{Class: Integer, Num: sqlite3.Xsqlite3_column_int64(r.tls, r.stmt, i)}
	case sqlite3.SQLITE_FLOAT:
		return Value{Class: Real, Num: int64(math.Float64bits(sqlite3.Xsqlite3_column_double(r.tls, r.stmt, i)))}
	case sqlite3.SQLITE_TEXT:
		p := sqlite3.Xsqlite3_column_text(r.tls, r.stmt, i)
		return Value{Class: Text, Text: text(p, sqlite3.Xsqlite3_column_bytes(r.tls, r.stmt, i))}
	case sqlite3.SQLITE_BLOB:
		p := sqlite3.Xsqlite3_column_blob(r.tls, r.stmt, i)
		return Value{Class: Blob, Text: text(p, sqlite3.Xsqlite3_column_bytes(r.tls, r.stmt, i))}
	}
	return Value{}
}

func text(p uintptr, n int32) string {
	if p == 0 || n <= 0 {
		return ""
	}
	return unsafe.String(at[byte](p), n)
}

// Scan runs a query and gives its rows one by one, without a copy of their values.
func (c *Conn) Scan(ctx context.Context, sql string, args []driver.Value, row func(*Row) error) error {
	rows, err := c.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	r, empty, err := c.stepping(rows.rows)
	for err == nil && !empty {
		if err = row(r); err == nil {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		step := sqlite3.Xsqlite3_step(r.tls, r.stmt)
		if step == sqlite3.SQLITE_DONE {
			break
		}
		if step != sqlite3.SQLITE_ROW { // the statement says at its end what befell it
			if err = rows.Close(); err == nil {
				err = fmt.Errorf("SQLite ended the query with its code %d", step)
			}
			return ended(ctx, err)
		}
	}
	return errors.Join(err, rows.Close())
}

// stepping gets hold of a statement of the driver's that has come to its first
// row; empty says that there is none. A test fails should the driver's fields be
// renamed.
func (c *Conn) stepping(rows driver.Rows) (r *Row, empty bool, err error) {
	conn, of := reflect.Indirect(reflect.ValueOf(c.conn)), reflect.Indirect(reflect.ValueOf(rows))
	tls, stmt, none := conn.FieldByName("tls"), of.FieldByName("pstmt"), of.FieldByName("empty")
	if !tls.IsValid() || tls.Type() != reflect.TypeFor[*libc.TLS]() || !stmt.IsValid() || stmt.Kind() != reflect.Uintptr || !none.IsValid() || none.Kind() != reflect.Bool {
		return nil, false, errors.New("the SQLite driver does not show its statement")
	}
	p := uintptr(stmt.Uint())
	return &Row{tls: (*libc.TLS)(tls.UnsafePointer()), stmt: p, vm: at[sqlite3.TVdbe](p)}, none.Bool(), nil
}
