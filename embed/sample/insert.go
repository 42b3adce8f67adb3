package sample

import (
	"context"
	"database/sql"
	"strings"
)

// rowsPerInsert balances the cost of a statement against that of its text.
const rowsPerInsert = 32

// inserter adds rows to one table, several with each statement.
type inserter struct {
	tx      *sql.Tx
	stmt    *sql.Stmt
	table   string
	columns []string
	args    []any
}

func newInserter(tx *sql.Tx, table string, columns []string) *inserter {
	return &inserter{tx: tx, table: table, columns: columns, args: make([]any, 0, rowsPerInsert*len(columns))}
}

// add takes one value for each column.
func (in *inserter) add(ctx context.Context, row []any) error {
	in.args = append(in.args, row...)
	if len(in.args) < rowsPerInsert*len(in.columns) {
		return nil
	}
	if in.stmt == nil {
		var err error
		if in.stmt, err = in.tx.PrepareContext(ctx, in.text(rowsPerInsert)); err != nil {
			return err
		}
	}
	_, err := in.stmt.ExecContext(ctx, in.args...)
	in.args = in.args[:0]
	return err
}

// flush writes the rows that did not fill a statement.
func (in *inserter) flush(ctx context.Context) error {
	if len(in.args) == 0 {
		return nil
	}
	_, err := in.tx.ExecContext(ctx, in.text(len(in.args)/len(in.columns)), in.args...)
	in.args = in.args[:0]
	return err
}

func (in *inserter) close() {
	if in.stmt != nil {
		_ = in.stmt.Close()
	}
}

// text is the statement for that many rows; the names are this package's own.
func (in *inserter) text(rows int) string {
	row := "(?" + strings.Repeat(",?", len(in.columns)-1) + ")"
	return "INSERT INTO " + in.table + " (" + strings.Join(in.columns, ", ") + ") VALUES " + row + strings.Repeat(","+row, rows-1)
}
