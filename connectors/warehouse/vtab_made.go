package warehouse

import "modernc.org/sqlite/vtab"

// madeRows is a table that a query makes for itself: groups, or values that SQLite
// is to evaluate an expression for.
type madeRows struct {
	declaration string
	rows        int
	value       func(column, row int) any
}

func (t *madeRows) BestIndex(info *vtab.IndexInfo) error {
	info.EstimatedRows, info.EstimatedCost = int64(t.rows), float64(t.rows)
	return nil
}

func (t *madeRows) Open() (vtab.Cursor, error) { return &madeCursor{table: t}, nil }
func (t *madeRows) Disconnect() error          { return nil }
func (t *madeRows) Destroy() error             { return nil }

type madeCursor struct {
	table *madeRows
	at    int
}

func (c *madeCursor) Filter(int, string, []vtab.Value) error {
	c.at = 0
	return nil
}

func (c *madeCursor) Next() error {
	c.at++
	return nil
}

func (c *madeCursor) Eof() bool                        { return c.at >= c.table.rows } //nolint:staticcheck // the interface's name
func (c *madeCursor) Column(i int) (vtab.Value, error) { return c.table.value(i, c.at), nil }
func (c *madeCursor) Rowid() (int64, error)            { return int64(c.at), nil }
func (c *madeCursor) Close() error                     { return nil }
