package warehouse

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"modernc.org/sqlite/vtab"

	"arus/connectors"
)

// moduleName is the virtual table module that a query's tables are of.
const moduleName = "arus_table"

// registry finds the query that a virtual table belongs to: the driver, which
// the module is registered with once, hands a module nothing but texts.
type registry struct {
	mu   sync.Mutex
	next int
	open map[string]*session
}

// sessions are the queries that run.
var sessions = sync.OnceValue(func() *registry { return &registry{open: map[string]*session{}} })

func (r *registry) add(q *session) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	id := strconv.Itoa(r.next)
	r.open[id] = q
	return id
}

func (r *registry) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, id)
}

func (r *registry) find(id string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[id]
}

type module struct{}

func (module) Create(c vtab.Context, args []string) (vtab.Table, error) {
	return module{}.Connect(c, args)
}

// Connect declares a table's columns. args are the module, the database, the
// table and the session.
func (module) Connect(c vtab.Context, args []string) (vtab.Table, error) {
	if len(args) < 4 {
		return nil, errors.New("a table of the warehouse is opened by a query only")
	}
	q := sessions().find(args[3])
	if q == nil || q.tables[args[2]] == nil {
		return nil, errors.New("a table of the warehouse is opened by a query only")
	}
	t := &virtualTable{session: q, view: q.tables[args[2]]}
	var columns []string
	for id, col := range t.view.layout.columns {
		if col.deleted || col.name == rowColumn {
			continue
		}
		t.ids = append(t.ids, id)
		def := connectors.Quote(col.name, '"')
		if col.read.Kind == connectors.Uint64 || col.read.Kind == connectors.Numeric {
			def += " COLLATE arus_number"
		}
		columns = append(columns, def)
	}
	rows, err := t.view.Rows(q.ctx)
	if err != nil {
		return nil, err
	}
	t.rows = rows
	return t, c.Declare("CREATE TABLE t (" + strings.Join(columns, ", ") + ")")
}

// virtualTable is a table of one query.
type virtualTable struct {
	session *session
	view    *View
	ids     []int // by the virtual table's column
	rows    int64
}

// BestIndex asks for the columns that are used and nothing else.
func (t *virtualTable) BestIndex(info *vtab.IndexInfo) error {
	info.IdxStr = strconv.FormatUint(info.ColUsed, 16)
	info.EstimatedRows = t.rows
	info.EstimatedCost = float64(t.rows) + 1
	return nil
}

func (t *virtualTable) Open() (vtab.Cursor, error) { return &cursor{table: t}, nil }
func (t *virtualTable) Disconnect() error          { return nil }
func (t *virtualTable) Destroy() error             { return nil }

// cursor is one pass over a table.
type cursor struct {
	table *virtualTable
	scan  *Scanner
	place []int // by the virtual table's column: its place in the batch, -1 = unused
	batch arrow.RecordBatch
	show  []shower
	at    int
	row   int64
	ended bool
}

// lastUsed is the bit of ColUsed that stands for all columns from there on.
const lastUsed = 63

// Filter begins the pass.
func (c *cursor) Filter(_ int, used string, _ []vtab.Value) error {
	if err := c.end(); err != nil {
		return err
	}
	mask, err := strconv.ParseUint(used, 16, 64)
	if err != nil {
		return err
	}
	c.place, c.row, c.ended = make([]int, len(c.table.ids)), 0, false
	var columns []int
	for i, id := range c.table.ids {
		c.place[i] = -1
		if mask>>min(i, lastUsed)&1 == 1 {
			c.place[i] = len(columns)
			columns = append(columns, id)
		}
	}
	c.scan = c.table.view.Scan(c.table.session.ctx, ScanRequest{Columns: columns})
	return c.load()
}

// load takes the next batch.
func (c *cursor) load() error {
	if c.batch != nil {
		c.batch.Release()
		c.batch = nil
	}
	batch, err := c.scan.Next()
	if err != nil {
		if _, ok := errors.AsType[*connectors.Error](err); ok && c.table.session.err == nil {
			c.table.session.err = err
		}
		c.ended = true
		return err
	}
	c.batch, c.at = batch, 0
	if batch == nil {
		c.ended = true
		return nil
	}
	c.show = c.show[:0]
	for i, id := range c.table.ids {
		if c.place[i] >= 0 {
			c.show = append(c.show, newShower(batch.Column(c.place[i]), c.table.view.layout.columns[id].read))
		}
	}
	return nil
}

// Next goes to the next row.
func (c *cursor) Next() error {
	c.row++
	if c.at++; int64(c.at) < c.batch.NumRows() {
		return nil
	}
	return c.load()
}

// Eof says whether the rows are at their end.
func (c *cursor) Eof() bool { return c.ended }

// Column gives a value of the row.
func (c *cursor) Column(i int) (vtab.Value, error) {
	if i < 0 || i >= len(c.place) || c.place[i] < 0 {
		return nil, nil
	}
	return c.show[c.place[i]](c.at), nil
}

// Rowid numbers the rows of the pass.
func (c *cursor) Rowid() (int64, error) { return c.row, nil }

// Close ends the pass.
func (c *cursor) Close() error { return c.end() }

func (c *cursor) end() error {
	if c.batch != nil {
		c.batch.Release()
		c.batch = nil
	}
	if c.scan == nil {
		return nil
	}
	err := c.scan.Close()
	c.scan = nil
	return err
}
