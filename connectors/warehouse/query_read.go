package warehouse

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Read says what a query read of one table, and what there is.
type Read struct {
	Table string
	// Path is how the rows are read: "columns" for groups that are made from
	// whole columns, "top" for the first rows of an order, "scan" for columns that are given as they are stored, "rows"
	// for rows that SQLite takes one by one, "manifest" for a count that needs no row.
	Path                string
	Scans               int64
	Files, FilesRead    int64
	Days, DaysRead      int64
	Groups, GroupsRead  int64 // row groups of 65,536 rows
	Rows, RowsRead      int64 // in files
	LiveRead, Delivered int64 // live rows read; rows or groups that SQLite got
	Columns             []string
	Sorted              []string // archiving sort columns by whose order rows were found
	Indexed             bool     // a join looks rows up by a hash index in memory
}

// String is one line for people.
func (r *Read) String() string {
	out := fmt.Sprintf("%s by %s: files %d of %d, days %d of %d, row groups %d of %d, rows %d of %d, live rows %d, delivered %d, columns %s",
		r.Table, r.Path, r.FilesRead, r.Files, r.DaysRead, r.Days, r.GroupsRead, r.Groups, r.RowsRead, r.Rows, r.LiveRead, r.Delivered, strings.Join(r.Columns, " "))
	if len(r.Sorted) > 0 {
		out += ", found by the order of " + strings.Join(r.Sorted, " ")
	}
	if r.Scans > 1 {
		out += fmt.Sprintf(", %d scans", r.Scans)
	}
	if r.Indexed {
		out += ", looked up in memory"
	}
	return out
}

// batchShower shows a column of a scan of stored values.
func (v *View) batchShower(id int, arr arrow.Array) shower {
	col := v.layout.columns[id]
	if !col.typ.IsEnum() || col.typ.Array {
		return newShower(arr, col.read)
	}
	cases := v.layout.enums[id]
	if x, ok := arr.(*array.Uint8); ok {
		return nullable(arr, caseTexts(x.Uint8Values(), cases))
	}
	x, _ := arr.(*array.Uint16)
	return nullable(arr, caseTexts(x.Uint16Values(), cases))
}

// caseTexts shows the names of an enum's cases.
func caseTexts[T uint8 | uint16](numbers []T, cases []string) shower {
	return func(a *atom, i int) { a.setText(cases[numbers[i]]) }
}

// checkCases refuses numbers of enum cases that the dictionary does not have.
func (v *View) checkCases(id int, arr arrow.Array) error {
	col := v.layout.columns[id]
	if !col.typ.IsEnum() || col.typ.Array {
		return nil
	}
	n := len(v.layout.enums[id])
	bad := func(c int) error {
		return v.table.readError(fmt.Errorf("column %s: its dictionary has no case %d", col.name, c))
	}
	switch a := arr.(type) {
	case *array.Uint8:
		if n > 255 {
			return nil
		}
		for i, c := range a.Uint8Values() {
			if int(c) >= n && a.IsValid(i) {
				return bad(int(c))
			}
		}
	case *array.Uint16:
		for i, c := range a.Uint16Values() {
			if int(c) >= n && a.IsValid(i) {
				return bad(int(c))
			}
		}
	}
	return nil
}
