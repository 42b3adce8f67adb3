package web

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// sourceNewPage is the form of a new source, destinationNewPage of a new
// destination.
func sourceNewPage(v *visit) error { return v.newEnd(true, http.StatusOK, newValues(v, true)) }

func destinationNewPage(v *visit) error { return v.newEnd(false, http.StatusOK, newValues(v, false)) }

func newValues(v *visit, source bool) components.Form {
	kind := v.query("type")
	if _, ok := v.Control.Registry[kind]; !ok {
		kind = string(model.SourcePostgreSQL)
	}
	values := url.Values{"type": {kind}, "sync_method": {string(model.SyncAuto)}}
	if !source {
		values.Del("sync_method")
	}
	return components.Form{Values: values}
}

func (v *visit) newEnd(source bool, status int, f components.Form) error {
	e := end{source: source}
	fields := v.connectionFields(f, source)
	fields.Address = e.list() + "/new"
	if v.partial() {
		return v.write(http.StatusOK, pages.ConnectionForm(fields))
	}
	return v.showAs(status, e.page("New "+e.noun()), pages.ConnectionNew(pages.ConnectionNewView{
		Fields: fields, Title: "New " + e.noun(), Action: e.list() + "/new", Back: e.list(), Submit: "Save and test",
	}))
}

// sourceNew stores a source and begins its test, destinationNew a destination.
func sourceNew(v *visit) error      { return connectionNew(v, true) }
func destinationNew(v *visit) error { return connectionNew(v, false) }

func connectionNew(v *visit, source bool) error {
	if f, ok := v.connectionPart(source); ok {
		return v.newEnd(source, http.StatusOK, f)
	}
	e, err := v.addEnd(source)
	if err != nil {
		return v.refused(0, err, func(status int, f components.Form) error { return v.newEnd(source, status, f) })
	}
	if err := v.beginCheck(e); err != nil {
		return err
	}
	return v.done(e.path()+"#check", e.name+" is stored.")
}

// beginCheck starts a test and waits a moment for it.
func (v *visit) beginCheck(e end) error {
	probe, err := v.startCheck(e)
	if err == nil && !v.partial() {
		v.await(probe)
	}
	return err
}

func (v *visit) startCheck(e end) (*control.Probe, error) {
	if e.source {
		return v.Control.StartSourceTest(v.ctx, e.id)
	}
	return v.Control.StartDestinationTest(v.ctx, e.id)
}

// addEnd stores what the form says.
func (v *visit) addEnd(source bool) (end, error) {
	cfg, err := v.connection()
	if err != nil {
		return end{}, err
	}
	name := v.value("name")
	if name == "" && v.value("url") != "" { // a URL alone is enough
		name = strings.TrimSuffix(filepath.Base(cfg.Database), filepath.Ext(cfg.Database))
	}
	if source {
		s, err := v.Control.AddSource(v.ctx, control.SourceInput{
			Name: name, Connection: cfg, SyncMethod: model.SyncMethod(v.value("sync_method")), Schemas: lines(v.value("schema_include")),
			Include: lines(v.value("table_include")), Exclude: lines(v.value("table_exclude")), Views: v.checked("views"),
		})
		return sourceEnd(s), err
	}
	d, err := v.Control.AddDestination(v.ctx, control.DestinationInput{
		Name: name, Connection: cfg, RawSchema: v.value("raw_schema"), TargetSchema: v.value("target_schema"), IsDefault: v.checked("is_default"),
	})
	return destinationEnd(d), err
}

// changeEnd changes a source or destination by what the form says.
func (v *visit) changeEnd(e end) error {
	cfg, err := v.connection()
	if err != nil {
		return err
	}
	name := v.value("name")
	connect := func(old *connectors.Config) error {
		*old = cfg
		return nil
	}
	if e.source {
		method, views := model.SyncMethod(v.value("sync_method")), v.checked("views")
		schemas, include, exclude := lines(v.value("schema_include")), lines(v.value("table_include")), lines(v.value("table_exclude"))
		_, err = v.Control.UpdateSource(v.ctx, e.id, control.SourceUpdate{
			Name: &name, Connection: connect, SyncMethod: &method, Schemas: &schemas, Include: &include, Exclude: &exclude, Views: &views,
		})
		return err
	}
	raw, target, isDefault := v.value("raw_schema"), v.value("target_schema"), v.checked("is_default")
	_, err = v.Control.UpdateDestination(v.ctx, e.id, control.DestinationUpdate{
		Name: &name, Connection: connect, RawSchema: &raw, TargetSchema: &target, IsDefault: &isDefault,
	})
	return err
}
