package web

import (
	"fmt"
	"net/http"

	"arus/app/control"
	"arus/views/components"
	"arus/views/pages"
)

// rowFilters is how many comparisons the form of a table's rows has.
const rowFilters = 3

// warehouseRows is a page of a table's rows.
func warehouseRows(v *visit) error {
	_, head, err := v.tableHead("rows")
	if err != nil {
		return err
	}
	list := v.list()
	list.Query.Del("sql")
	view := pages.WarehouseRowsView{Head: head, Ops: components.Options(control.CompareOps()...)}
	request := control.BrowseRequest{Table: head.Name, Sort: list.Sort, Desc: list.Desc, Page: listPage(list)}
	for i := range rowFilters {
		f := pages.RowFilter{Column: list.Filter(fmt.Sprintf("column%d", i)), Op: list.Filter(fmt.Sprintf("op%d", i)), Value: list.Filter(fmt.Sprintf("value%d", i))}
		if f.Op == "" {
			f.Op = "="
		}
		view.Filters = append(view.Filters, f)
		if f.Column != "" {
			request.Filter = append(request.Filter, control.RowFilter(f))
		} else {
			for _, field := range []string{"column", "op", "value"} { // what filters nothing stands in no address
				list.Query.Del(fmt.Sprintf("%s%d", field, i))
			}
		}
	}
	browsed, err := v.Control.BrowseTable(v.ctx, request)
	status := http.StatusOK
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		view.Form, status = f, http.StatusUnprocessableEntity
	}
	if browsed.Table != nil {
		for _, c := range browsed.Table.Columns {
			if !c.Deleted {
				view.Columns = append(view.Columns, components.Option{Value: c.Name, Label: c.Name})
			}
		}
	}
	list.Total = int(browsed.Total)
	view.List, view.SQL = list, browsed.SQL
	view.Result = pages.ResultView{Columns: browsed.Columns, Rows: browsed.Rows.Rows}
	return v.showAs(status, tablePage(head.Name, "Rows"), pages.WarehouseRows(view))
}
