package warehouse

import (
	"database/sql/driver"

	"arus/connectors/sqlite/lite"
)

// madeRows is a table that a query makes for itself: groups, or values that SQLite
// is to evaluate an expression for.
type madeRows struct {
	declaration string
	rows        int
	value       func(column, row int) any
}

// Plan knows one way: all rows.
func (t *madeRows) Plan(p *lite.Plan) error {
	p.Rows, p.Cost = int64(t.rows), float64(t.rows)
	return nil
}

// Open begins nothing yet.
func (t *madeRows) Open() lite.Cursor { return &madeCursor{table: t} }

type madeCursor struct {
	table *madeRows
	at    int
	atom  atom
}

func (c *madeCursor) Filter(int, []driver.Value) (bool, error) {
	c.at = 0
	return c.table.rows > 0, nil
}

func (c *madeCursor) Next() (bool, error) {
	c.at++
	return c.at < c.table.rows, nil
}

func (c *madeCursor) Column(out lite.Out, i int) {
	c.atom.set(c.table.value(i, c.at))
	c.atom.out(out)
}

func (c *madeCursor) Row() (int64, error) { return int64(c.at), nil }
func (c *madeCursor) Close() error        { return nil }
