package warehouse

import (
	"errors"
	"fmt"
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
	if q == nil {
		return nil, errors.New("a table of the warehouse is opened by a query only")
	}
	if rows := q.made[args[2]]; rows != nil {
		return rows, c.Declare(rows.declaration)
	}
	if q.tables[args[2]] == nil {
		return nil, errors.New("a table of the warehouse is opened by a query only")
	}
	t := &virtualTable{session: q, view: q.tables[args[2]], read: &Read{Table: args[2], Path: "rows"}}
	t.ids = t.view.layout.visible()
	rows, err := t.view.Rows(q.ctx)
	if err != nil {
		return nil, err
	}
	t.rows = rows
	q.reads = append(q.reads, t.read)
	return t, c.Declare(t.view.layout.declaration())
}

// visible are the IDs of the columns that queries see.
func (l *layout) visible() []int {
	var ids []int
	for id, col := range l.columns {
		if !col.deleted && col.name != rowColumn {
			ids = append(ids, id)
		}
	}
	return ids
}

// declaration is the table as SQLite knows it.
func (l *layout) declaration() string {
	var columns []string
	for _, id := range l.visible() {
		def := connectors.Quote(l.columns[id].name, '"')
		if l.numberCollation(id) {
			def += " COLLATE arus_number"
		}
		columns = append(columns, def)
	}
	return "CREATE TABLE t (" + strings.Join(columns, ", ") + ")"
}

// numberCollation says whether a column compares texts as numbers.
func (l *layout) numberCollation(id int) bool {
	kind := l.columns[id].read.Kind
	return kind == connectors.Uint64 || kind == connectors.Numeric
}

// virtualTable is a table of one query.
type virtualTable struct {
	session *session
	view    *View
	ids     []int // by the virtual table's column
	rows    int64
	read    *Read
}

// plan is what BestIndex tells Filter, in the form of a text.
type plan struct {
	used  uint64
	terms []term
}

// term is a comparison whose constant is an argument of Filter.
type term struct {
	column int
	op     compareOp
}

func (p plan) String() string {
	out := []byte(strconv.FormatUint(p.used, 16))
	for _, t := range p.terms {
		out = fmt.Appendf(out, " %d:%d", t.column, t.op)
	}
	return string(out)
}

func parsePlan(s string) (p plan, err error) {
	for i, field := range strings.Fields(s) {
		if i == 0 {
			p.used, err = strconv.ParseUint(field, 16, 64)
		} else {
			var t term
			_, err = fmt.Sscanf(field, "%d:%d", &t.column, &t.op)
			p.terms = append(p.terms, t)
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

func compareOpOf(op vtab.ConstraintOp) (compareOp, bool) {
	switch op {
	case vtab.OpEQ:
		return opEqual, true
	case vtab.OpLT:
		return opLess, true
	case vtab.OpLE:
		return opLessEqual, true
	case vtab.OpGT:
		return opGreater, true
	case vtab.OpGE:
		return opGreaterEqual, true
	case vtab.OpISNULL:
		return opNull, true
	case vtab.OpISNOTNULL:
		return opNotNull, true
	}
	return 0, false
}

// BestIndex takes the comparisons that can leave out rows. SQLite compares all
// rows that it gets again.
func (t *virtualTable) BestIndex(info *vtab.IndexInfo) error {
	p := plan{used: info.ColUsed}
	cost, rows := float64(t.rows)+1, float64(t.rows)
	equal := map[int]bool{}
	for i := range info.Constraints {
		c := &info.Constraints[i]
		op, ok := compareOpOf(c.Op)
		if !ok || !c.Usable || c.Column < 0 || c.Column >= len(t.ids) {
			continue
		}
		id := t.ids[c.Column]
		// The module is not told the collation of a comparison.
		if t.view.layout.numberCollation(id) || t.session.collates && op != opNull && op != opNotNull {
			continue
		}
		c.ArgIndex = len(p.terms)
		p.terms = append(p.terms, term{c.Column, op})
		switch op {
		case opEqual:
			equal[id] = true
			rows /= 20
			cost = min(cost, float64(t.rows)*lookupCost(t.rows)+10)
		case opNotNull:
		default:
			rows /= 4
			cost = min(cost, float64(t.rows)/3+10)
		}
	}
	unique := len(equal) > 0
	for _, id := range t.view.layout.key {
		unique = unique && equal[id]
	}
	if unique {
		rows = 1
	}
	info.IdxStr = p.String()
	info.EstimatedRows = int64(max(rows, 1))
	info.EstimatedCost = cost
	return nil
}

// lookupCost is the part of a scan that one of many lookups takes: little where
// the table fits into a hash index.
func lookupCost(rows int64) float64 {
	if rows <= maxIndexRows {
		return 0.02
	}
	return 0.3
}

func (t *virtualTable) Open() (vtab.Cursor, error) { return &cursor{table: t}, nil }
func (t *virtualTable) Disconnect() error          { return nil }
func (t *virtualTable) Destroy() error             { return nil }

// cursor is one pass over a table.
type cursor struct {
	table   *virtualTable
	scan    *Scanner
	pruner  *pruner
	columns []int // IDs, in the order of the batch
	place   []int // by the virtual table's column: its place in the batch, -1 = unused
	batch   arrow.RecordBatch
	show    []shower
	spans   []span
	picked  []int32 // rows of the batch; nil = all
	count   int
	at      int // among them
	row     int // in the batch
	ended   bool

	text    string // of the plan
	plan    plan
	repeats int
	index   *hashIndex
	chain   int32 // the row of the index that is current
}

// lastUsed is the bit of ColUsed that stands for all columns from there on.
const lastUsed = 63

// indexAfter is how many lookups by the same columns it takes to make an index.
const indexAfter = 3

// Filter begins the pass.
func (c *cursor) Filter(_ int, text string, args []vtab.Value) error {
	if err := c.end(); err != nil {
		return err
	}
	if text != c.text || c.repeats == 0 {
		p, err := parsePlan(text)
		if err != nil {
			return err
		}
		c.plan = p
		c.index.release()
		c.text, c.repeats, c.index = text, 0, nil
		c.columns, c.place = nil, make([]int, len(c.table.ids))
		for i, id := range c.table.ids {
			c.place[i] = -1
			if p.used>>min(i, lastUsed)&1 == 1 {
				c.place[i] = len(c.columns)
				c.columns = append(c.columns, id)
			}
		}
	}
	p := c.plan
	c.repeats++
	c.ended = false
	if done, err := c.lookup(p, args); done || err != nil {
		return err
	}
	var conditions []condition
	for i, t := range p.terms {
		if i < len(args) {
			conditions = append(conditions, condition{c.table.ids[t.column], t.op, args[i]})
		}
	}
	return c.start(conditions)
}

func (c *cursor) start(conditions []condition) error {
	t := c.table
	c.pruner = newPruner(t.session.ctx, t.view, conditions, t.read)
	req, err := c.pruner.request(ScanRequest{Columns: c.columns, Stored: true})
	if err != nil {
		return c.failed(err)
	}
	req.LiveMin, req.LiveMax = 0, 0 // the numbers of live rows count all of them
	c.scan = t.view.Scan(t.session.ctx, req)
	return c.load()
}

// failed keeps an error in its own words: SQLite would lose them.
func (c *cursor) failed(err error) error {
	c.ended = true
	if c.table.session.err == nil {
		c.table.session.err = err
	}
	return err
}

// load takes the next batch that has a row which is wanted.
func (c *cursor) load() error {
	for {
		c.release()
		batch, err := c.scan.Next()
		if err != nil {
			return c.failed(err)
		}
		if batch == nil {
			c.ended = true
			c.table.read.LiveRead += c.scan.liveRows
			return nil
		}
		if err := c.take(batch); err != nil {
			return err
		}
		if c.count > 0 {
			return nil
		}
	}
}

// take makes a batch current.
func (c *cursor) take(batch arrow.RecordBatch) error {
	c.batch, c.at, c.spans = batch, 0, c.scan.spans
	c.picked = c.pruner.pick(func(id int) arrow.Array {
		for i, have := range c.columns {
			if have == id {
				return batch.Column(i)
			}
		}
		return nil
	}, int(batch.NumRows()), c.picked[:0:cap(c.picked)])
	if c.count = len(c.picked); c.picked == nil {
		c.count = int(batch.NumRows())
	}
	c.table.read.Delivered += int64(c.count)
	c.show = c.show[:0]
	for i, id := range c.columns {
		if err := c.table.view.checkCases(id, batch.Column(i)); err != nil {
			return c.failed(err)
		}
		c.show = append(c.show, c.table.view.batchShower(id, batch.Column(i)))
	}
	c.settle()
	return nil
}

// settle finds the row of the batch.
func (c *cursor) settle() {
	if c.row = c.at; c.picked != nil && c.at < len(c.picked) {
		c.row = int(c.picked[c.at])
	}
}

// Next goes to the next row.
func (c *cursor) Next() error {
	if c.index != nil {
		c.follow(c.index.next[c.chain])
		return nil
	}
	if c.at++; c.at < c.count {
		c.settle()
		return nil
	}
	return c.load()
}

// Eof says whether the rows are at their end.
func (c *cursor) Eof() bool { return c.ended } //nolint:staticcheck // the interface's name

// Column gives a value of the row.
func (c *cursor) Column(i int) (vtab.Value, error) {
	if i < 0 || i >= len(c.place) || c.place[i] < 0 {
		return nil, nil
	}
	return c.show[c.place[i]](c.row), nil
}

// Rowid is what SQLite knows a row by when it looks for OR in several passes.
func (c *cursor) Rowid() (int64, error) {
	row := int64(c.row)
	for _, s := range c.spans {
		if row < s.rows {
			return s.first + row, nil
		}
		row -= s.rows
	}
	return 0, errors.New("a row of the warehouse has no number")
}

// Close ends the pass.
func (c *cursor) Close() error {
	c.index.release()
	c.index = nil
	return c.end()
}

func (c *cursor) release() {
	if c.batch != nil {
		c.batch.Release()
		c.batch = nil
	}
}

func (c *cursor) end() error {
	c.release()
	return c.endScan()
}

func (c *cursor) endScan() error {
	if c.scan == nil {
		return nil
	}
	err := c.scan.Close()
	c.scan = nil
	return err
}
