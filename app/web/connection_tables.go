package web

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// catalogueOf is what was last found in a source or destination.
func (v *visit) catalogueOf(e end) (control.Catalogue, error) {
	if e.source {
		return v.Control.Catalogue(v.ctx, e.id)
	}
	return v.Control.DestinationCatalogue(v.ctx, e.id)
}

// tablesOf is a page of the tables that were last found, filtered by the address.
// Nothing is asked of the database.
func (v *visit) tablesOf(e end) (pages.FoundTablesView, error) {
	list := v.list()
	list.Path = e.path()
	list.Query.Del("part")
	view := pages.FoundTablesView{List: list, Source: e.source, Refresh: e.path() + "/discover", Path: e.path()}
	catalogue, err := v.catalogueOf(e)
	if err != nil {
		return view, err
	}
	view.Seen, view.All = catalogue.At, len(catalogue.Tables)
	copied := map[string]int64{}
	if e.source {
		if copied, err = v.Control.CopiedTables(v.ctx, e.id); err != nil {
			return view, err
		}
	}
	tables := filterTables(catalogue.Tables, list.Filter("q"), list.Filter("show"), func(t connectors.Table) bool { return copied[tableKey(t)] > 0 })
	sortTables(tables, list)
	list.Total = len(tables)
	view.List = list
	for _, t := range onPage(tables, list) {
		row := foundTable(t)
		row.Href = e.path() + "/table?" + url.Values{"schema": {t.Schema}, "name": {t.Name}}.Encode()
		row.Copied = copied[tableKey(t)]
		view.Tables = append(view.Tables, row)
	}
	return view, nil
}

// tableKey is the key that a pipeline gives a table of its source.
func tableKey(t connectors.Table) string { return tableOf(t).Key() }

// tableOf is the table in the words of a pipeline.
func tableOf(t connectors.Table) model.PipelineTable {
	schema := t.Schema
	if t.DefaultSchema {
		schema = model.UnsetSchema
	}
	return model.PipelineTable{SourceSchema: schema, SourceTable: t.Name}
}

func onPage(tables []connectors.Table, l components.List) []connectors.Table {
	from := min(l.Offset(), len(tables))
	return tables[from:min(from+l.Size, len(tables))]
}

// filterTables are the tables whose name has a text in it or matches a pattern,
// and that are of a sort: copied, other, views, warnings or keyless.
func filterTables(tables []connectors.Table, text, sort string, copied func(connectors.Table) bool) []connectors.Table {
	named := nameFilter(text)
	list := make([]connectors.Table, 0, len(tables))
	for _, t := range tables {
		if !named(t.TableRef) {
			continue
		}
		fits := true
		switch sort {
		case "copied":
			fits = copied(t)
		case "other":
			fits = !copied(t)
		case "views":
			fits = t.View
		case "warnings":
			fits = len(control.Advise(t).Warnings) > 0
		case "keyless":
			fits = len(t.PrimaryKey) == 0 && len(t.UniqueKeys) == 0
		case "whole":
			fits = control.Advise(t).Column == ""
		}
		if fits {
			list = append(list, t)
		}
	}
	return list
}

// nameFilter admits the names that match a pattern with * or ?, else those with
// the text in them.
func nameFilter(text string) func(connectors.TableRef) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return func(connectors.TableRef) bool { return true }
	}
	lower := func(r connectors.TableRef) connectors.TableRef {
		return connectors.TableRef{Schema: strings.ToLower(r.Schema), Name: strings.ToLower(r.Name)}
	}
	if f := (connectors.TableFilter{Include: strings.Fields(text)}); strings.ContainsAny(text, "*?[{") && f.Check() == nil {
		return func(r connectors.TableRef) bool { return f.Admits(lower(r)) }
	}
	return func(r connectors.TableRef) bool { return strings.Contains(lower(r).String(), text) }
}

func sortTables(tables []connectors.Table, l components.List) {
	by := func(a, b connectors.Table) int {
		switch l.Sort {
		case "rows":
			return cmp.Compare(a.RowEstimate, b.RowEstimate)
		case "size":
			return cmp.Compare(a.Bytes, b.Bytes)
		case "columns":
			return cmp.Compare(len(a.Columns), len(b.Columns))
		case "name":
			return cmp.Compare(a.String(), b.String())
		}
		return 0
	}
	slices.SortStableFunc(tables, func(a, b connectors.Table) int {
		if l.Desc {
			a, b = b, a
		}
		return by(a, b)
	})
}

// foundTable is a table in a list.
func foundTable(t connectors.Table) pages.FoundTable {
	advice := control.Advise(t)
	row := pages.FoundTable{
		Name: t.String(), View: t.View, Rows: t.RowEstimate, Bytes: t.Bytes, Columns: len(t.Columns), Key: strings.Join(t.PrimaryKey, ", "),
		Watermark: advice.Column, Warnings: advice.Warnings,
	}
	if t.DefaultSchema {
		row.Name = t.Name
	}
	if row.Key == "" && len(t.UniqueKeys) > 0 {
		row.Key = strings.Join(t.UniqueKeys[0], ", ")
	}
	return row
}

// sourceTable is a table of a source as it was last found, destinationTable one
// of a destination.
func sourceTable(v *visit) error      { return connectionTable(v, true) }
func destinationTable(v *visit) error { return connectionTable(v, false) }

func connectionTable(v *visit, source bool) error {
	e, err := v.end(source)
	if err != nil {
		return err
	}
	ref := connectors.TableRef{Schema: v.query("schema"), Name: v.query("name")}
	catalogue, err := v.catalogueOf(e)
	if err != nil {
		return err
	}
	if v.query("part") == "rows" {
		return v.fragment(pages.TableRows(v.tableRows(e, ref)))
	}
	at := slices.IndexFunc(catalogue.Tables, func(t connectors.Table) bool {
		return t.Name == ref.Name && (t.Schema == ref.Schema || t.Schema == "") // the warehouse has no schemas
	})
	view := pages.TableView{Name: ref.String(), Noun: e.noun(), End: e.name, Path: e.path(), Source: e.source, Known: at >= 0, Seen: catalogue.At, RowsHref: tableAddress(e, ref) + "&rows=yes", Refresh: e.path() + "/discover"}
	view.RowsLive = tableAddress(e, ref) + "&part=rows"
	if at >= 0 {
		v.describe(&view, catalogue.Tables[at])
	} else if e.source || v.query("rows") == "" {
		return control.ErrNotFound
	}
	if v.query("rows") != "" {
		rows := v.tableRows(e, ref)
		view.Rows = &rows
	}
	p := e.page(ref.Name)
	return v.show(p, pages.TableShow(view))
}

func tableAddress(e end, ref connectors.TableRef) string {
	return e.path() + "/table?" + url.Values{"schema": {ref.Schema}, "name": {ref.Name}}.Encode()
}

func (v *visit) describe(view *pages.TableView, t connectors.Table) {
	advice := control.Advise(t)
	view.FoundTable = foundTable(t)
	view.Reason, view.Warnings = advice.Reason, advice.Warnings
	for _, key := range t.UniqueKeys {
		view.Unique = append(view.Unique, strings.Join(key, ", "))
	}
	for _, c := range t.Columns {
		col := pages.TableColumn{
			Name: c.Name, Type: c.Type.String(), Native: c.Native, Nullable: c.Nullable, Generated: c.Generated, Key: slices.Contains(t.PrimaryKey, c.Name),
			Indexed: slices.Contains(t.Indexed, c.Name), Watermark: c.Name == advice.Column,
		}
		view.Cols = append(view.Cols, col)
	}
}

// tableRows are the first rows of a table, asked of the database now.
func (v *visit) tableRows(e end, ref connectors.TableRef) pages.TableRowsView {
	const limit = 50
	began := time.Now()
	preview := v.Control.Preview
	if !e.source {
		preview = v.Control.PreviewDestination
	}
	rows, err := preview(v.ctx, e.id, ref.Schema, ref.Name, limit)
	view := pages.TableRowsView{Columns: rows.Columns, More: rows.Truncated, Took: time.Since(began)}
	if err != nil {
		f, ok := v.endFailure("The rows could not be read", err)
		if !ok {
			f = components.Failure{Title: "The rows could not be read", Message: err.Error()}
		}
		view.Failure = &f
		return view
	}
	for _, row := range rows.Rows {
		cells := make([]pages.RowCell, len(row))
		for i, value := range row {
			text, ok := value.(string)
			cells[i] = pages.RowCell{Text: short(text), Null: !ok}
		}
		view.Rows = append(view.Rows, cells)
	}
	return view
}

// short cuts a long value.
func short(text string) string {
	const most = 200
	runes := []rune(text)
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
