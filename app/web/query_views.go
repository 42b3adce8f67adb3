package web

import (
	"net/http"

	"arus/connectors/warehouse"
	"arus/views/components"
	"arus/views/pages"
)

// queryViews is the views of the warehouse.
func queryViews(v *visit) error { return v.viewsPage(http.StatusOK, components.Form{}) }

func (v *visit) viewsPage(status int, f components.Form) error {
	views, err := v.Control.WarehouseViews(v.ctx)
	if err != nil {
		return err
	}
	view := pages.QueryViewsView{Form: f}
	for _, w := range views {
		view.Views = append(view.Views, pages.ViewLine{Name: w.Name, SQL: w.SQL})
	}
	return v.showAs(status, page{title: "Views", crumbs: queryCrumbs()}, pages.QueryViews(view))
}

// queryViewSave keeps a statement as a view.
func queryViewSave(v *visit) error {
	w := warehouse.ViewDefinition{Name: v.value("name"), SQL: v.value("sql")}
	if err := v.Control.SetWarehouseView(v.ctx, w); err != nil {
		if status := v.queryStatus(err); status >= http.StatusInternalServerError {
			return err
		}
		said := queryFailed(err)
		f := components.Form{Values: v.r.PostForm, Message: "The view is not saved: " + said.Message}
		if said.Hint != "" {
			f.Message += " (" + said.Hint + ")"
		}
		return v.viewsPage(http.StatusUnprocessableEntity, f)
	}
	return v.done("/query/views", "The view "+w.Name+" is saved.")
}

// queryViewDeletePage asks whether a view is to be dropped.
func queryViewDeletePage(v *visit) error {
	name := v.path("view")
	views, err := v.Control.WarehouseViews(v.ctx)
	if err != nil {
		return err
	}
	for _, w := range views {
		if w.Name == name {
			return v.confirm(page{title: "Drop " + name, crumbs: append(queryCrumbs(), components.Link{Label: "Views", Href: "/query/views"})}, components.Confirm{
				Title: "Drop the view " + name + "?", Text: "The statement is forgotten; the tables that it reads stay.",
				Consequences: []string{"Queries and views that name it do not work any more."}, Action: "/query/views/" + name + "/delete", Submit: "Drop the view", Back: "/query/views", Danger: true,
			})
		}
	}
	return errNoPage
}

// queryViewDelete drops a view.
func queryViewDelete(v *visit) error {
	name := v.path("view")
	if err := v.Control.DropWarehouseView(v.ctx, name); err != nil {
		return err
	}
	return v.done("/query/views", "The view "+name+" is dropped.")
}
