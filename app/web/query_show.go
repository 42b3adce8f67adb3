package web

import (
	"errors"
	"net/http"
	"strconv"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

const (
	// tablesBeside is how many tables the page for SQL lists.
	tablesBeside = 60
	recentBeside = 8
)

// queryShow is the page for SQL. The address may bring a statement: the text
// itself, a table's, or one of the history.
func queryShow(v *visit) error {
	view := pages.QueryView{SQL: v.query("sql"), Size: 100}
	if name := v.query("table"); name != "" {
		view.SQL = "SELECT *\nFROM " + connectors.Quote(name, '"') + "\nLIMIT 100"
	}
	if from := v.query("from"); from != "" {
		id, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			return errNoPage
		}
		e, err := v.Control.Query(v.ctx, id)
		if err != nil {
			return err
		}
		view.SQL = e.SQL
	}
	return v.queryPage(http.StatusOK, view)
}

// queryPage draws the page with what stands beside the editor.
func (v *visit) queryPage(status int, view pages.QueryView) error {
	names, err := v.Control.WarehouseTables(v.ctx)
	if err != nil {
		return err
	}
	views, err := v.Control.WarehouseViews(v.ctx)
	if err != nil {
		return err
	}
	for _, w := range views {
		view.Tables = append(view.Tables, components.Option{Value: w.Name, Label: "view"})
	}
	for _, name := range names[:min(len(names), tablesBeside)] {
		view.Tables = append(view.Tables, components.Option{Value: name})
	}
	if len(names) > 0 {
		view.Example = "SELECT count(*) FROM " + connectors.Quote(names[0], '"')
	}
	recent, _, err := v.Control.ListQueries(v.ctx, control.Page{Limit: recentBeside})
	if err != nil {
		return err
	}
	view.Recent = queryLines(recent)
	return v.showAs(status, page{title: "SQL", script: []string{"uplot.js", "query.js"}, style: []string{"uplot.css"}}, pages.Query(view))
}

func queryLines(list []model.QueryEntry) []pages.QueryLine {
	lines := make([]pages.QueryLine, len(list))
	for i, e := range list {
		lines[i] = pages.QueryLine{ID: e.ID, SQL: e.SQL, At: e.At, MS: e.DurationMS, Rows: e.Rows, Error: e.Error}
	}
	return lines
}

// queryWords are the names that the editor completes: tables with their columns,
// and views.
func queryWords(v *visit) error {
	names, err := v.Control.WarehouseTables(v.ctx)
	if err != nil {
		return err
	}
	views, err := v.Control.WarehouseViews(v.ctx)
	if err != nil {
		return err
	}
	words := map[string][]string{}
	for i, name := range names {
		words[name] = []string{}
		if i >= wordTables {
			continue
		}
		t, err := v.Control.WarehouseTable(v.ctx, name)
		if err != nil {
			continue // a damaged table completes no columns
		}
		for _, c := range t.Columns {
			if !c.Deleted && len(words[name]) < wordColumns {
				words[name] = append(words[name], c.Name)
			}
		}
	}
	for _, w := range views {
		words[w.Name] = []string{}
	}
	return v.json(words)
}

// The tables and columns of each that the editor completes.
const (
	wordTables  = 300
	wordColumns = 500
)

// queryFailed says in the words of a card why a query gave nothing.
func queryFailed(err error) components.Failure {
	f := components.Failure{Title: "This statement gives no answer", Message: err.Error()}
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		if e.Err != nil {
			f.Message = e.Err.Error()
		}
		if e.Kind == connectors.KindNotFound {
			f.Message = e.Object + ": " + f.Message
		}
		f.Hint = e.Hint
		if e.Kind == connectors.KindTimeout {
			f.Title, f.Hint = "The query was given up", "Narrow it by days or keys, so that it reads less; EXPLAIN says what it reads."
		}
	}
	return f
}
