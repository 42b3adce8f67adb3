package web

import (
	"net/http"
	"strings"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// usersShown is how many pipelines stand on the page of a source or destination.
const usersShown = 8

// sourceShow is one source with its tables, destinationShow one destination.
func sourceShow(v *visit) error      { return connectionShow(v, true) }
func destinationShow(v *visit) error { return connectionShow(v, false) }

func connectionShow(v *visit, source bool) error {
	e, err := v.end(source)
	if err != nil {
		return err
	}
	switch v.query("part") {
	case "check":
		return v.checkPart(e)
	case "tables":
		tables, err := v.tablesOf(e)
		if err != nil {
			return err
		}
		return v.fragment(pages.FoundTables(tables))
	}
	return v.showEnd(e, http.StatusOK, nil)
}

// showEnd draws a source or destination; failure is what went wrong with
// something that was asked for on its page.
func (v *visit) showEnd(e end, status int, failure *components.Failure) error {
	view := pages.ConnectionView{
		Source: e.source, ID: e.id, Name: e.name, Path: e.path(), List: e.list(), Noun: e.noun(), Kind: e.config.Type, Address: connectionSummary(e.config), Edits: string(e.edits()),
		ConnectionState: e.ConnectionState, Failure: failure, Default: e.isDefault, Wizard: e.source && v.can(auth.EditPipelines),
	}
	view.Error, view.Hint = splitHint(e.Error)
	var err error
	if view.Check, err = v.checkView(e.id, e.config.Type, e.path(), e.source); err != nil {
		return err
	}
	f := control.PipelineFilter{Page: control.Page{Limit: usersShown}}
	if e.source {
		f.SourceID = e.id
	} else {
		f.DestinationID = e.id
	}
	users, total, err := v.Control.Overviews(v.ctx, f)
	if err != nil {
		return err
	}
	for _, o := range users {
		view.Pipelines = append(view.Pipelines, v.pipelineRow(o))
	}
	view.Users = total
	view.Facts = v.facts(e)
	if view.Tables, err = v.tablesOf(e); err != nil {
		return err
	}
	p := e.page(e.name)
	if e.Status == string(model.ConnectionError) {
		p.icon, p.status = "bad", "failing"
	}
	return v.showAs(status, p, pages.ConnectionShow(view))
}

// facts are the settings of a source or destination, without its secrets.
func (v *visit) facts(e end) []components.Pair {
	secret := "none"
	if e.secret {
		secret = "set"
	}
	list := []components.Pair{
		{Key: "Kind", Content: components.Database(e.config.Type)},
		{Key: "Address", Value: connectionSummary(e.config)},
	}
	if !v.Control.Registry[e.config.Type].File {
		user := e.config.Username
		if user == "" {
			user = "none"
		}
		list = append(list, components.Pair{Key: "User", Value: user}, components.Pair{Key: "Password", Value: secret},
			components.Pair{Key: "Encryption", Value: tlsWords(model.TLSMode(e.config.Options[control.OptSSLMode]))})
	}
	switch record := e.record.(type) {
	case model.Source:
		if len(record.SchemaInclude) > 0 {
			list = append(list, components.Pair{Key: "Schemas", Value: strings.Join(record.SchemaInclude, ", ")})
		}
		if len(record.TableInclude) > 0 {
			list = append(list, components.Pair{Key: "Only these tables", Value: strings.Join(record.TableInclude, ", ")})
		}
		if len(record.TableExclude) > 0 {
			list = append(list, components.Pair{Key: "Without these tables", Value: strings.Join(record.TableExclude, ", ")})
		}
		if record.Options.Views {
			list = append(list, components.Pair{Key: "Views", Value: "are tables too"})
		}
	case model.Destination:
		list = append(list, components.Pair{Key: "Tables go to", Value: record.TargetSchema}, components.Pair{Key: "Raw rows go to", Value: record.RawSchema})
	}
	return list
}

// sourceDiscover looks for the tables of a source, destinationDiscover for those
// of a destination.
func sourceDiscover(v *visit) error      { return connectionDiscover(v, true) }
func destinationDiscover(v *visit) error { return connectionDiscover(v, false) }

func connectionDiscover(v *visit, source bool) error {
	e, err := v.end(source)
	if err != nil {
		return err
	}
	found, err := v.discover(e)
	if err != nil {
		failure, ok := v.endFailure("The tables could not be looked for", err)
		if !ok {
			return err
		}
		return v.showEnd(e, http.StatusBadGateway, &failure)
	}
	return v.done(e.path()+"#tables", components.Plural(len(found), "table")+" found.")
}

func (v *visit) discover(e end) ([]connectors.Table, error) {
	if e.source {
		return v.Control.Discover(v.ctx, e.id)
	}
	return v.Control.DiscoverDestination(v.ctx, e.id)
}

// endFailure is what a database said, as a card; ok is false for a fault of
// another kind.
func (v *visit) endFailure(title string, err error) (components.Failure, bool) {
	if connectors.KindOf(err) == "" {
		return components.Failure{}, false
	}
	message, hint := splitHint(err.Error())
	return components.Failure{Title: title, Message: message, Hint: hint, Details: title + "\n" + err.Error()}, true
}
