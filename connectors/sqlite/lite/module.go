package lite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Virtual tables that SQLite reads by way of this package and not of the driver:
// a module of the driver's looks every call up under a lock, and gives every value
// as an any. Here a connection has its own module, whose functions know it, and a
// value goes into SQLite's register as it is.

// Table is a virtual table, which is read only.
type Table interface {
	// Plan chooses how a statement will read the table.
	Plan(p *Plan) error
	Open() Cursor
}

// Cursor is one pass over a table after another.
type Cursor interface {
	// Filter begins a pass; plan is the ID of a Plan. It says whether there is a row.
	Filter(plan int, args []driver.Value) (bool, error)
	// Next goes to the next row and says whether there is one.
	Next() (bool, error)
	// Column gives the value of a column of the row to out; nothing is a NULL.
	Column(out Out, i int)
	// Row numbers the row.
	Row() (int64, error)
	Close() error
}

// Plan is one way in which a statement can read a table.
type Plan struct {
	Terms []Term
	Used  uint64 // a bit for each column that is used, the last for all from there on
	ID    int    // what Filter will get
	Cost  float64
	Rows  int64
}

// Term is a comparison of a column. Those with an Arg, from 1, have their constant
// among the arguments of Filter, in that place.
type Term struct {
	Column int
	Op     int
	Usable bool
	Arg    int
}

// The operators of terms.
const (
	Equal        = sqlite3.SQLITE_INDEX_CONSTRAINT_EQ
	Less         = sqlite3.SQLITE_INDEX_CONSTRAINT_LT
	LessEqual    = sqlite3.SQLITE_INDEX_CONSTRAINT_LE
	Greater      = sqlite3.SQLITE_INDEX_CONSTRAINT_GT
	GreaterEqual = sqlite3.SQLITE_INDEX_CONSTRAINT_GE
	IsNull       = sqlite3.SQLITE_INDEX_CONSTRAINT_ISNULL
	IsNotNull    = sqlite3.SQLITE_INDEX_CONSTRAINT_ISNOTNULL
)

// Module makes virtual tables of a module's name: open gives the table of a name
// with its declaration. The connection alone has it.
func (c *Conn) Module(name string, open func(table string) (t Table, declaration string, err error)) error {
	if c.db == 0 {
		return errors.New("the SQLite driver does not show its handle")
	}
	tls := libc.NewTLS()
	defer tls.Close()
	m := &module{open: open, tables: slots[Table]{}, cursors: slots[Cursor]{}}
	size := unsafe.Sizeof(sqlite3.Sqlite3_module{})
	p := allocate(tls, size+scratchBytes)
	m.scratch = p + size
	native := at[sqlite3.Sqlite3_module](p)
	*native = sqlite3.Sqlite3_module{
		FiVersion: 1,
		// Two functions, though they do the same: with one, the module's name would be
		// a table by itself.
		FxCreate:     function(m, m.connect),
		FxConnect:    function(m, m.connect),
		FxBestIndex:  function(m, m.bestIndex),
		FxDisconnect: function(m, m.disconnect),
		FxDestroy:    function(m, m.disconnect),
		FxOpen:       function(m, m.openCursor),
		FxClose:      function(m, m.closeCursor),
		FxFilter:     function(m, m.filter),
		FxNext:       function(m, m.next),
		FxEof:        function(m, m.ended),
		FxColumn:     function(m, m.column),
		FxRowid:      function(m, m.row),
	}
	// SQLite gives the memory back when it needs the module no more.
	text := cText(tls, name)
	defer sqlite3.Xsqlite3_free(tls, text)
	if rc := sqlite3.Xsqlite3_create_module_v2(tls, c.db, text, p, p, function(m, sqlite3.Xsqlite3_free)); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("the module %s cannot be made: SQLite says %d", name, rc)
	}
	c.modules = append(c.modules, m)
	return nil
}

// module is the Go side of a module.
type module struct {
	open    func(table string) (Table, string, error)
	tables  slots[Table]
	cursors slots[Cursor]
	args    []driver.Value
	scratch uintptr // SQLite's memory, of scratchBytes
	kept    []any   // functions whose addresses SQLite has
}

// scratchBytes is how long a text can be that goes to SQLite without memory of its own.
const scratchBytes = 1 << 12

// slots gives things numbers.
type slots[T any] struct {
	all  []T
	free []int
}

func (s *slots[T]) add(v T) int {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.all[i], s.free = v, s.free[:n-1]
		return i
	}
	s.all = append(s.all, v)
	return len(s.all) - 1
}

func (s *slots[T]) remove(i int) {
	s.all[i] = *new(T)
	s.free = append(s.free, i)
}

// at is what stands in memory that is not Go's.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// function is a Go function as SQLite, which is Go, calls one by its address.
func function[F any](m *module, f F) uintptr {
	m.kept = append(m.kept, f)
	return *(*uintptr)(unsafe.Pointer(&f))
}

// allocate gives zeroed memory of SQLite's.
func allocate(tls *libc.TLS, n uintptr) uintptr {
	p := sqlite3.Xsqlite3_malloc64(tls, sqlite3.Tsqlite3_uint64(n))
	if p == 0 {
		panic("SQLite has no memory") // as Go does when it has none
	}
	clear(unsafe.Slice(at[byte](p), n))
	return p
}

func cText(tls *libc.TLS, s string) uintptr {
	p := allocate(tls, uintptr(len(s))+1)
	copy(unsafe.Slice(at[byte](p), len(s)), s)
	return p
}

// cTable and cCursor are what SQLite has of a table and a cursor.
type (
	cTable struct {
		base sqlite3.Sqlite3_vtab
		slot int
	}
	cCursor struct {
		base  sqlite3.Sqlite3_vtab_cursor
		slot  int
		ended int32
	}
)

func (m *module) connect(tls *libc.TLS, db, _ uintptr, argc int32, argv, table, message uintptr) int32 {
	// The arguments are the names of the module, the database and the table.
	if argc < 3 {
		return sqlite3.SQLITE_MISUSE
	}
	t, declaration, err := m.open(libc.GoString(unsafe.Slice(at[uintptr](argv), argc)[2]))
	if err != nil {
		*at[uintptr](message) = cText(tls, err.Error())
		return sqlite3.SQLITE_ERROR
	}
	text := cText(tls, declaration)
	defer sqlite3.Xsqlite3_free(tls, text)
	if rc := sqlite3.Xsqlite3_declare_vtab(tls, db, text); rc != sqlite3.SQLITE_OK {
		return rc
	}
	p := allocate(tls, unsafe.Sizeof(cTable{}))
	at[cTable](p).slot = m.tables.add(t)
	*at[uintptr](table) = p
	return sqlite3.SQLITE_OK
}

// failed says an error in its own words.
func failed(tls *libc.TLS, table uintptr, err error) int32 {
	t := &at[cTable](table).base
	sqlite3.Xsqlite3_free(tls, t.FzErrMsg)
	t.FzErrMsg = cText(tls, err.Error())
	return sqlite3.SQLITE_ERROR
}

func (m *module) bestIndex(tls *libc.TLS, table, info uintptr) int32 {
	x := at[sqlite3.Sqlite3_index_info](info)
	p := &Plan{Used: uint64(x.FcolUsed), Terms: make([]Term, x.FnConstraint)}
	if len(p.Terms) > 0 {
		for i, c := range unsafe.Slice(at[sqlite3.Tsqlite3_index_constraint](x.FaConstraint), len(p.Terms)) {
			p.Terms[i] = Term{Column: int(c.FiColumn), Op: int(c.Fop), Usable: c.Fusable != 0}
		}
	}
	if err := m.tables.all[at[cTable](table).slot].Plan(p); err != nil {
		return failed(tls, table, err)
	}
	if len(p.Terms) > 0 {
		usage := unsafe.Slice(at[sqlite3.Tsqlite3_index_constraint_usage](x.FaConstraintUsage), len(p.Terms))
		for i, t := range p.Terms {
			usage[i].FargvIndex = int32(t.Arg)
		}
	}
	x.FidxNum, x.FestimatedCost, x.FestimatedRows = int32(p.ID), p.Cost, sqlite3.Tsqlite3_int64(p.Rows)
	return sqlite3.SQLITE_OK
}

func (m *module) disconnect(tls *libc.TLS, table uintptr) int32 {
	m.tables.remove(at[cTable](table).slot)
	sqlite3.Xsqlite3_free(tls, table)
	return sqlite3.SQLITE_OK
}

func (m *module) openCursor(tls *libc.TLS, table, cursor uintptr) int32 {
	p := allocate(tls, unsafe.Sizeof(cCursor{}))
	at[cCursor](p).slot = m.cursors.add(m.tables.all[at[cTable](table).slot].Open())
	*at[uintptr](cursor) = p
	return sqlite3.SQLITE_OK
}

func (m *module) closeCursor(tls *libc.TLS, cursor uintptr) int32 {
	slot := at[cCursor](cursor).slot
	err := m.cursors.all[slot].Close()
	m.cursors.remove(slot)
	sqlite3.Xsqlite3_free(tls, cursor)
	if err != nil {
		return sqlite3.SQLITE_ERROR
	}
	return sqlite3.SQLITE_OK
}

// moved takes what Filter and Next say.
func (c *cCursor) moved(tls *libc.TLS, more bool, err error) int32 {
	c.ended = 1
	if err != nil {
		return failed(tls, c.base.FpVtab, err)
	}
	if more {
		c.ended = 0
	}
	return sqlite3.SQLITE_OK
}

func (m *module) filter(tls *libc.TLS, cursor uintptr, plan int32, _ uintptr, argc int32, argv uintptr) int32 {
	m.args = m.args[:0]
	if argc > 0 {
		for _, v := range unsafe.Slice(at[uintptr](argv), argc) {
			m.args = append(m.args, valueOf(tls, v))
		}
	}
	c := at[cCursor](cursor)
	more, err := m.cursors.all[c.slot].Filter(int(plan), m.args)
	return c.moved(tls, more, err)
}

// valueOf copies a value of SQLite's.
func valueOf(tls *libc.TLS, v uintptr) driver.Value {
	bytes := func(p uintptr) []byte {
		return unsafe.Slice(at[byte](p), sqlite3.Xsqlite3_value_bytes(tls, v))
	}
	switch sqlite3.Xsqlite3_value_type(tls, v) {
	case sqlite3.SQLITE_INTEGER:
		return int64(sqlite3.Xsqlite3_value_int64(tls, v))
	case sqlite3.SQLITE_FLOAT:
		return sqlite3.Xsqlite3_value_double(tls, v)
	case sqlite3.SQLITE_TEXT:
		return string(bytes(sqlite3.Xsqlite3_value_text(tls, v)))
	case sqlite3.SQLITE_BLOB:
		if p := sqlite3.Xsqlite3_value_blob(tls, v); p != 0 {
			return append([]byte{}, bytes(p)...)
		}
		return []byte{}
	}
	return nil
}

func (m *module) next(tls *libc.TLS, cursor uintptr) int32 {
	c := at[cCursor](cursor)
	more, err := m.cursors.all[c.slot].Next()
	return c.moved(tls, more, err)
}

func (m *module) ended(_ *libc.TLS, cursor uintptr) int32 { return at[cCursor](cursor).ended }

func (m *module) column(tls *libc.TLS, cursor, ctx uintptr, i int32) int32 {
	m.cursors.all[at[cCursor](cursor).slot].Column(Out{tls, ctx, m}, int(i))
	return sqlite3.SQLITE_OK
}

func (m *module) row(tls *libc.TLS, cursor, row uintptr) int32 {
	c := at[cCursor](cursor)
	n, err := m.cursors.all[c.slot].Row()
	if err != nil {
		return failed(tls, c.base.FpVtab, err)
	}
	*at[int64](row) = n
	return sqlite3.SQLITE_OK
}

// Out takes the value of a column.
type Out struct {
	tls *libc.TLS
	ctx uintptr
	m   *module
}

// Int gives an INTEGER.
func (o Out) Int(v int64) { sqlite3.Xsqlite3_result_int64(o.tls, o.ctx, v) }

// Real gives a REAL; NaN is a NULL.
func (o Out) Real(v float64) { sqlite3.Xsqlite3_result_double(o.tls, o.ctx, v) }

// Text gives a TEXT, which SQLite copies.
func (o Out) Text(s string) {
	p, free := o.copied(s)
	sqlite3.Xsqlite3_result_text64(o.tls, o.ctx, p, sqlite3.Tsqlite3_uint64(len(s)), free, sqlite3.SQLITE_UTF8)
}

// Blob gives a BLOB of a string's bytes, which SQLite copies.
func (o Out) Blob(s string) {
	p, free := o.copied(s)
	sqlite3.Xsqlite3_result_blob64(o.tls, o.ctx, p, sqlite3.Tsqlite3_uint64(len(s)), free)
}

// copied puts bytes where SQLite may read them, and says how it is to take them: a
// short one it copies at once, a long one it owns.
func (o Out) copied(s string) (p, free uintptr) {
	if len(s) <= scratchBytes {
		copy(unsafe.Slice(at[byte](o.m.scratch), len(s)), s)
		return o.m.scratch, sqlite3.SQLITE_TRANSIENT
	}
	f := sqlite3.Xsqlite3_free // of the program, so that its address stays
	return cText(o.tls, s), *(*uintptr)(unsafe.Pointer(&f))
}
