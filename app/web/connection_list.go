package web

import (
	"net/http"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// end is a source or a destination: what the pages say of both.
type end struct {
	source    bool
	id, name  string
	config    connectors.Config // without the password
	secret    bool              // a password is stored
	isDefault bool
	record    any // the model.Source or model.Destination
	pages.ConnectionState
}

// The addresses of the two lists.
const (
	sourcesPath      = "/sources"
	destinationsPath = "/destinations"
)

func (e end) list() string {
	if e.source {
		return sourcesPath
	}
	return destinationsPath
}

func (e end) path() string { return e.list() + "/" + e.id }

func (e end) noun() string {
	if e.source {
		return "source"
	}
	return "destination"
}

// edits is the permission to change it.
func (e end) edits() auth.Permission {
	if e.source {
		return auth.EditSources
	}
	return auth.EditDestinations
}

func sourceEnd(s model.Source) end {
	return end{
		source: true, id: s.ID, name: s.Name, config: control.SourceConnection(s), secret: s.PasswordEnc != "", record: s,
		ConnectionState: pages.ConnectionState{Status: string(s.Status), Error: s.LastError, Tested: s.LastTested},
	}
}

func destinationEnd(d model.Destination) end {
	return end{
		id: d.ID, name: d.Name, config: control.DestinationConnection(d), secret: d.PasswordEnc != "", record: d, isDefault: d.IsDefault,
		ConnectionState: pages.ConnectionState{Status: string(d.Status), Error: d.LastError, Tested: d.LastTested},
	}
}

// end is the source or destination of the address.
func (v *visit) end(source bool) (end, error) { return v.endOf(source, v.path("id")) }

func (v *visit) endOf(source bool, id string) (end, error) {
	if source {
		s, err := v.Control.Source(v.ctx, id)
		return sourceEnd(s), err
	}
	d, err := v.Control.Destination(v.ctx, id)
	return destinationEnd(d), err
}

// sourceList is every source, destinationList every destination.
func sourceList(v *visit) error      { return connectionList(v, true) }
func destinationList(v *visit) error { return connectionList(v, false) }

func connectionList(v *visit, source bool) error {
	list := v.list()
	f := control.EndFilter{
		Name: list.Filter("q"), Type: list.Filter("type"), Status: model.ConnectionStatus(list.Filter("status")), Page: listPage(list),
	}
	var ends []end
	var use map[string]control.Use
	if source {
		found, total, used, err := v.Control.Sources(v.ctx, f)
		if err != nil {
			return err
		}
		for _, s := range found {
			ends = append(ends, sourceEnd(s))
		}
		list.Total, use = total, used
	} else {
		found, total, used, err := v.Control.Destinations(v.ctx, f)
		if err != nil {
			return err
		}
		for _, d := range found {
			ends = append(ends, destinationEnd(d))
		}
		list.Total, use = total, used
	}
	view := pages.ConnectionsView{List: list, Source: source, Kinds: v.kindOptions(source), Edits: string(end{source: source}.edits()), Wizard: v.can(auth.EditPipelines)}
	for _, e := range ends {
		view.Ends = append(view.Ends, pages.ConnectionRow{
			ID: e.id, Name: e.name, Kind: e.config.Type, Address: connectionSummary(e.config), ConnectionState: e.ConnectionState, Default: e.isDefault,
			Pipelines: use[e.id].Pipelines, Tables: use[e.id].Tables,
		})
	}
	return v.show(page{title: view.Title()}, pages.Connections(view))
}

// endPage is what surrounds a page below a source or destination.
func (e end) page(title string) page {
	plural := "Destinations"
	if e.source {
		plural = "Sources"
	}
	p := page{title: title, crumbs: []components.Link{{Label: plural, Href: e.list()}}}
	if e.id != "" && title != e.name {
		p.crumbs = append(p.crumbs, components.Link{Label: e.name, Href: e.path()})
	}
	return p
}

// refused draws a form again that was not taken.
func (v *visit) refused(status int, err error, draw func(status int, f components.Form) error) error {
	f, ok := v.connectionForm(err)
	if !ok {
		return err
	}
	if status == 0 {
		status = http.StatusUnprocessableEntity
	}
	return draw(status, f)
}
