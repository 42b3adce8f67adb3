package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"arus/app/api"
	"arus/connectors/warehouse/schema"
	"arus/views/components"
	"arus/views/pages"
)

// warehouseLoadPage is the form for rows.
func warehouseLoadPage(v *visit) error {
	return v.loadPage(http.StatusOK, pages.TableLoadView{Form: components.Form{Values: map[string][]string{"form": {"text/csv"}}}})
}

func (v *visit) loadPage(status int, view pages.TableLoadView) error {
	d, head, err := v.tableHead("load")
	if err != nil {
		return err
	}
	var names []string
	for _, c := range d.Table.Columns {
		if !c.Deleted {
			names = append(names, c.Name)
		}
	}
	view.Head, view.Columns = head, strings.Join(names, ",")
	return v.showAs(status, tablePage(head.Name, "Load rows"), pages.TableLoad(view))
}

// warehouseLoad merges the rows of a text or a file into a table.
func warehouseLoad(v *visit) error {
	text, field := v.r.PostForm.Get("text"), "text"
	if file, _, err := v.r.FormFile("file"); err == nil {
		body, err := io.ReadAll(file)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("read the file: %w", err)
		}
		if len(body) > 0 {
			text, field = string(body), "file"
		}
	}
	f := components.Form{Values: v.r.PostForm, Faults: map[string]string{}}
	refuse := func(message string) error {
		f.Faults[field] = message
		return v.loadPage(http.StatusUnprocessableEntity, pages.TableLoadView{Form: f})
	}
	if strings.TrimSpace(text) == "" {
		return refuse("has no rows")
	}
	columns, rows, err := api.TextRows(v.value("form"), []byte(text))
	if err != nil {
		return refuse("cannot be read: " + strings.TrimPrefix(err.Error(), "Bad request: "))
	}
	sum, err := v.Control.UpsertRows(v.ctx, v.path("table"), columns, rows)
	if err != nil {
		if e, ok := errors.AsType[*schema.Error](err); ok {
			return refuse("is refused: " + e.Error())
		}
		return err
	}
	view := pages.TableLoadView{Done: true, Form: components.Form{Values: map[string][]string{"form": {v.value("form")}}}, Summary: []components.Pair{
		{Key: "Rows read", Value: components.Number(len(rows))},
		{Key: "Added", Value: components.Number(sum.Inserted)},
		{Key: "Changed", Value: components.Number(sum.Updated)},
		{Key: "Of archived days", Value: components.Number(sum.Backfilled)},
		{Key: "Refused", Value: components.Number(len(sum.Rejected))},
	}}
	for _, r := range sum.Rejected[:min(len(sum.Rejected), 100)] {
		view.Rejected = append(view.Rejected, pages.RejectedRow{Row: r.Row + 1, Reason: r.Reason})
	}
	return v.loadPage(http.StatusOK, view)
}
