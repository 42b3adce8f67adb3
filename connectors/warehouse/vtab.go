package warehouse

import (
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// moduleName is the virtual table module that a query's tables are of.
const moduleName = "arus_table"

// virtual gives a virtual table of the query, and its declaration.
func (q *session) virtual(table string) (lite.Table, string, error) {
	if rows := q.made[table]; rows != nil {
		return rows, rows.declaration, nil
	}
	if q.tables[table] == nil {
		return nil, "", errors.New("a table of the warehouse is opened by a query only")
	}
	t := &virtualTable{session: q, view: q.tables[table], read: &Read{Table: table, Path: "rows"}}
	t.ids = t.view.layout.visible()
	rows, err := t.view.Rows(q.ctx)
	if err != nil {
		return nil, "", q.failed(err)
	}
	t.rows = rows
	q.reads = append(q.reads, t.read)
	return t, t.view.layout.declaration(), nil
}

// failed keeps a table's error as it is: SQLite hands on its text alone.
func (q *session) failed(err error) error {
	if q.err == nil {
		q.err = err
	}
	return err
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
	plans   []plan
}

// plan is what a statement wants of a table.
type plan struct {
	used  uint64
	terms []term
}

// term is a comparison whose constant is an argument of Filter.
type term struct {
	column int
	op     compareOp
}

func compareOpOf(op int) (compareOp, bool) {
	switch op {
	case lite.Equal:
		return opEqual, true
	case lite.Less:
		return opLess, true
	case lite.LessEqual:
		return opLessEqual, true
	case lite.Greater:
		return opGreater, true
	case lite.GreaterEqual:
		return opGreaterEqual, true
	case lite.IsNull:
		return opNull, true
	case lite.IsNotNull:
		return opNotNull, true
	}
	return 0, false
}

// Plan takes the comparisons that can leave out rows. SQLite compares all rows
// that it gets again.
func (t *virtualTable) Plan(info *lite.Plan) error {
	p := plan{used: info.Used}
	cost, rows := float64(t.rows)+1, float64(t.rows)
	equal := map[int]bool{}
	for i := range info.Terms {
		c := &info.Terms[i]
		op, ok := compareOpOf(c.Op)
		if !ok || !c.Usable || t.session.inOrder || c.Column < 0 || c.Column >= len(t.ids) {
			continue
		}
		id := t.ids[c.Column]
		// The module is not told the collation of a comparison.
		if t.view.layout.numberCollation(id) || t.session.collates && op != opNull && op != opNotNull {
			continue
		}
		p.terms = append(p.terms, term{c.Column, op})
		c.Arg = len(p.terms)
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
	info.ID = len(t.plans)
	t.plans = append(t.plans, p)
	info.Rows = int64(max(rows, 1))
	info.Cost = cost
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

// Open begins nothing yet.
func (t *virtualTable) Open() lite.Cursor { return &cursor{table: t, planned: -1} }

// cursor is one pass over a table.
type cursor struct {
	table   *virtualTable
	scan    *Scanner
	pruner  *pruner
	columns []int // IDs, in the order of the batch
	place   []int // by the virtual table's column: its place in the batch, -1 = unused
	batch   arrow.RecordBatch
	show    []shower
	value   atom
	spans   []span
	picked  []int32 // rows of the batch; nil = all
	count   int
	at      int // among them
	row     int // in the batch
	ended   bool

	planned int // the ID of the plan
	plan    plan
	repeats int
	index   *hashIndex
	chain   int32 // the row of the index that is current
}

// lastUsed is the bit of Used that stands for all columns from there on.
const lastUsed = 63

// indexAfter is how many lookups by the same columns it takes to make an index.
const indexAfter = 3

// Filter begins the pass.
func (c *cursor) Filter(id int, args []driver.Value) (bool, error) {
	if err := c.end(); err != nil {
		return false, c.failed(err)
	}
	if id != c.planned {
		c.index.release()
		c.plan, c.planned, c.repeats, c.index = c.table.plans[id], id, 0, nil
		c.columns, c.place = nil, make([]int, len(c.table.ids))
		for i, column := range c.table.ids {
			c.place[i] = -1
			if c.plan.used>>min(i, lastUsed)&1 == 1 {
				c.place[i] = len(c.columns)
				c.columns = append(c.columns, column)
			}
		}
	}
	c.repeats++
	c.ended = false
	if done, err := c.lookup(c.plan, args); done || err != nil {
		return !c.ended, err
	}
	var conditions []condition
	for i, t := range c.plan.terms {
		conditions = append(conditions, condition{c.table.ids[t.column], t.op, args[i]})
	}
	err := c.start(conditions)
	return !c.ended, err
}

func (c *cursor) start(conditions []condition) error {
	t := c.table
	c.pruner = newPruner(t.session.ctx, t.view, conditions, t.read)
	req, err := c.pruner.request(ScanRequest{Columns: c.columns, Stored: true, Memory: c.pruner.memory})
	if err != nil {
		return c.failed(err)
	}
	req.LiveMin, req.LiveMax = 0, 0 // the numbers of live rows count all of them
	c.scan = t.view.Scan(t.session.ctx, req)
	return c.load()
}

func (c *cursor) failed(err error) error {
	c.ended = true
	return c.table.session.failed(err)
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
func (c *cursor) Next() (bool, error) {
	if c.index != nil {
		c.follow(c.index.next[c.chain])
		return !c.ended, nil
	}
	if c.at++; c.at < c.count {
		c.settle()
		return true, nil
	}
	err := c.load()
	return !c.ended, err
}

// Column gives a value of the row.
func (c *cursor) Column(out lite.Out, i int) {
	if place := c.place[i]; place >= 0 {
		c.show[place](&c.value, c.row)
		c.value.out(out)
	}
}

// Row is what SQLite knows a row by when it looks for OR in several passes.
func (c *cursor) Row() (int64, error) {
	row := int64(c.row)
	for _, s := range c.spans {
		if row < s.rows {
			return s.first + row, nil
		}
		row -= s.rows
	}
	return 0, c.failed(errors.New("a row of the warehouse has no number"))
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
