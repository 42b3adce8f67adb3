package web

import (
	"net/http"
	"net/url"
	"strings"

	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// sourceEditPage is the form of a source, destinationEditPage of a destination.
func sourceEditPage(v *visit) error      { return connectionEditPage(v, true) }
func destinationEditPage(v *visit) error { return connectionEditPage(v, false) }

func connectionEditPage(v *visit, source bool) error {
	e, err := v.end(source)
	if err != nil {
		return err
	}
	return v.editEnd(e, http.StatusOK, components.Form{Values: e.values()})
}

// values are what stands in the fields of the form of what is stored.
func (e end) values() url.Values {
	values := connectionValues(e.config)
	values.Set("name", e.name)
	switch record := e.record.(type) {
	case model.Source:
		values.Set("schema_include", strings.Join(record.SchemaInclude, "\n"))
		values.Set("table_include", strings.Join(record.TableInclude, "\n"))
		values.Set("table_exclude", strings.Join(record.TableExclude, "\n"))
		values.Set("sync_method", string(record.SyncMethod))
		if record.Options.Views {
			values.Set("views", "true")
		}
	case model.Destination:
		values.Set("raw_schema", record.RawSchema)
		values.Set("target_schema", record.TargetSchema)
		if record.IsDefault {
			values.Set("is_default", "true")
		}
	}
	return values
}

// editFields are the fields of what is stored.
func (v *visit) editFields(e end, f components.Form) pages.ConnectionFields {
	f.Values.Set("type", e.config.Type)
	fields := v.connectionFields(f, e.source)
	fields.Edit, fields.Secret = true, e.secret
	return fields
}

func (v *visit) editEnd(e end, status int, f components.Form) error {
	return v.showAs(status, e.page("Edit"), pages.ConnectionNew(pages.ConnectionNewView{
		Fields: v.editFields(e, f), Title: "Edit " + e.name, Action: e.path() + "/edit", Back: e.path(), Submit: "Save and test",
	}))
}

// sourceEdit changes a source and begins its test, destinationEdit a destination.
func sourceEdit(v *visit) error      { return connectionEdit(v, true) }
func destinationEdit(v *visit) error { return connectionEdit(v, false) }

func connectionEdit(v *visit, source bool) error {
	e, err := v.end(source)
	if err != nil {
		return err
	}
	if err := v.changeEnd(e); err != nil {
		return v.refused(0, err, func(status int, f components.Form) error { return v.editEnd(e, status, f) })
	}
	if err := v.beginCheck(e); err != nil {
		return err
	}
	return v.done(e.path()+"#check", "The changes are saved.")
}

// sourceClonePage asks for the name of a copy, sourceClone makes it.
func sourceClonePage(v *visit) error      { return connectionClonePage(v, true) }
func destinationClonePage(v *visit) error { return connectionClonePage(v, false) }

func connectionClonePage(v *visit, source bool) error {
	e, err := v.end(source)
	if err != nil {
		return err
	}
	return v.cloneEndForm(e, components.Form{Values: url.Values{"name": {e.name + " copy"}}})
}

func (v *visit) cloneEndForm(e end, f components.Form) error {
	return v.confirm(e.page("Clone"), components.Confirm{
		Title: "Clone " + e.name, Text: "The copy gets the same settings and the same password. Change them afterwards.",
		Action: e.path() + "/clone", Submit: "Clone", Back: e.path(), Form: f, Extra: pages.CloneName(f),
	})
}

func sourceClone(v *visit) error      { return connectionClone(v, true) }
func destinationClone(v *visit) error { return connectionClone(v, false) }

func connectionClone(v *visit, source bool) error {
	e, err := v.end(source)
	if err != nil {
		return err
	}
	var made end
	if source {
		var s model.Source
		s, err = v.Control.CloneSource(v.ctx, e.id, v.value("name"))
		made = sourceEnd(s)
	} else {
		var d model.Destination
		d, err = v.Control.CloneDestination(v.ctx, e.id, v.value("name"))
		made = destinationEnd(d)
	}
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.cloneEndForm(e, f)
	}
	return v.done(made.path()+"/edit", "The copy is made. Change what is to be different.")
}

// sourceCheck begins a test of a source, destinationCheck of a destination.
func sourceCheck(v *visit) error      { return connectionTest(v, true) }
func destinationCheck(v *visit) error { return connectionTest(v, false) }

func connectionTest(v *visit, source bool) error {
	e, err := v.end(source)
	if err != nil {
		return err
	}
	if err := v.beginCheck(e); err != nil {
		return err
	}
	if v.partial() {
		return v.checkPart(e)
	}
	return v.redirect(e.path()+"#check", components.Flash{})
}

// checkPart is the test alone.
func (v *visit) checkPart(e end) error {
	view, err := v.checkView(e.id, e.config.Type, e.path(), e.source)
	if err != nil {
		return err
	}
	return v.fragment(pages.CheckStages(view))
}
