package warehouse

import (
	"database/sql/driver"
	"strings"
)

// report is the answer of EXPLAIN: a row for every table that was read.
type report struct {
	rows [][]driver.Value
}

func newReport(reads []*Read) *report {
	r := &report{}
	for _, x := range reads {
		r.rows = append(r.rows, []driver.Value{
			x.Table, x.Path, x.FilesRead, x.Files, x.DaysRead, x.Days, x.GroupsRead, x.Groups, x.RowsRead, x.Rows, x.LiveRead, x.Delivered,
			strings.Join(x.Columns, " "), strings.Join(x.Sorted, " "), x.Scans, x.String(),
		})
	}
	return r
}

// Columns names the columns of the report.
func (r *report) Columns() []string {
	return []string{
		"table", "path", "files_read", "files", "days_read", "days", "row_groups_read", "row_groups", "rows_read", "rows", "live_rows_read", "delivered",
		"columns", "found_by_order", "scans", "text",
	}
}

// Next gives the next table.
func (r *report) Next() ([]driver.Value, bool) {
	if len(r.rows) == 0 {
		return nil, false
	}
	row := r.rows[0]
	r.rows = r.rows[1:]
	return row, true
}

// Err is nil: the rows are there.
func (r *report) Err() error { return nil }

// Close has nothing to free.
func (r *report) Close() error { return nil }
