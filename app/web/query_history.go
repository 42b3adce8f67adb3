package web

import (
	"arus/views/components"
	"arus/views/pages"
)

// queryHistory is the visitor's own queries.
func queryHistory(v *visit) error {
	list := v.list()
	queries, total, err := v.Control.ListQueries(v.ctx, listPage(list))
	if err != nil {
		return err
	}
	list.Total = total
	return v.show(page{title: "Your queries", crumbs: queryCrumbs()}, pages.QueryHistory(pages.QueryHistoryView{List: list, Queries: queryLines(queries)}))
}

func queryCrumbs() []components.Link { return []components.Link{{Label: "SQL", Href: "/query"}} }

// queryClearPage asks whether the visitor's queries are to be forgotten.
func queryClearPage(v *visit) error {
	return v.confirm(page{title: "Forget", crumbs: queryCrumbs()}, components.Confirm{
		Title: "Forget your queries?", Text: "The history of your queries becomes empty. Views and audit lines stay.", Action: "/query/history/clear", Submit: "Forget them", Back: "/query/history", Danger: true,
	})
}

// queryClear forgets the visitor's queries.
func queryClear(v *visit) error {
	if err := v.Control.ClearQueries(v.ctx); err != nil {
		return err
	}
	return v.done("/query/history", "Your queries are forgotten.")
}
