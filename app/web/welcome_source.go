package web

import (
	"net/http"
	"strings"

	"arus/app/control"
	"arus/views/components"
	"arus/views/pages"
)

// welcomeSourcePage is the source with its test and, where it does not work, the
// form that mends it.
func welcomeSourcePage(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" || v.query("new") != "" {
		return v.welcomeStart(http.StatusOK, newValues(v, true))
	}
	if v.query("part") == "check" {
		return v.wizardCheck(w, w.source)
	}
	return v.welcomeSource(http.StatusOK, w, components.Form{Values: w.source.values()}, nil)
}

// wizardCheck is the test of a source or destination within the wizard.
func (v *visit) wizardCheck(w wizard, e end) error {
	view, err := v.wizardEnd(w, e, components.Form{Values: e.values()})
	if err != nil {
		return err
	}
	if !view.Check.Running && !view.Check.Passed {
		view.Focus = true
	}
	return v.fragment(pages.WelcomeCheck(view))
}

func (v *visit) wizardEnd(w wizard, e end, f components.Form) (pages.WelcomeEndView, error) {
	at := stepSource
	if !e.source {
		at = stepDestination
	}
	view := pages.WelcomeEndView{
		Head: w.head(at), Fields: v.editFields(e, f), Noun: e.noun(), Name: e.name, Kind: e.config.Type, Address: connectionSummary(e.config), Path: at, Source: e.source,
	}
	var err error
	view.Check, err = v.checkView(e.id, e.config.Type, at, e.source)
	return view, err
}

func (v *visit) welcomeSource(status int, w wizard, f components.Form, failure *components.Failure) error {
	view, err := v.wizardEnd(w, w.source, f)
	if err != nil {
		return err
	}
	view.Failure = failure
	view.Open = f.Failed()
	return v.showAs(status, wizardPage(), pages.WelcomeEnd(view))
}

// welcomeSource stores the source or mends it, and tests it.
func welcomeSource(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" {
		return v.welcomeNewSource()
	}
	if err := v.changeEnd(w.source); err != nil {
		return v.refused(0, err, func(status int, f components.Form) error { return v.welcomeSource(status, w, f, nil) })
	}
	return v.welcomeTest(w.source)
}

func (v *visit) welcomeNewSource() error {
	if f, ok := v.connectionPart(true); ok {
		if v.partial() {
			fields := v.connectionFields(f, true)
			fields.Address = stepSource
			return v.fragment(pages.ConnectionForm(fields))
		}
		return v.welcomeStart(http.StatusOK, f)
	}
	e, err := v.addEnd(true)
	if err != nil {
		return v.refused(0, err, v.welcomeStart)
	}
	if _, err := v.Control.ChangeDraft(v.ctx, func(d *control.Draft) { *d = control.Draft{Source: e.id} }); err != nil {
		return err
	}
	return v.welcomeTest(e)
}

// welcomeTest begins a test and leads to the step that shows it.
func (v *visit) welcomeTest(e end) error {
	if err := v.beginCheck(e); err != nil {
		return err
	}
	if e.source {
		return v.redirect(stepSource, components.Flash{})
	}
	return v.redirect(stepDestination, components.Flash{})
}

// welcomeCheck tests the source or the destination once more.
func welcomeCheck(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	e := w.source
	if v.value("end") == "destination" {
		e = w.target
	}
	if e.id == "" {
		return v.redirect("/welcome", components.Flash{})
	}
	return v.welcomeTest(e)
}

// fewTables is up to how many tables all are ticked at first.
const fewTables = 50

// welcomeLook looks for the tables of the source and goes on.
func welcomeLook(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" {
		return v.redirect("/welcome", components.Flash{})
	}
	tables, err := v.discover(w.source)
	if err != nil {
		failure, ok := v.endFailure("The tables could not be looked for", err)
		if !ok {
			return err
		}
		return v.welcomeSource(http.StatusBadGateway, w, components.Form{Values: w.source.values()}, &failure)
	}
	copied, err := v.Control.CopiedTables(v.ctx, w.source.id)
	if err != nil {
		return err
	}
	_, err = v.Control.ChangeDraft(v.ctx, func(d *control.Draft) {
		there := map[string]bool{}
		for _, t := range tables {
			there[tableID(t.TableRef)] = true
		}
		kept := d.Tables[:0]
		for _, t := range d.Tables {
			if there[tableID(t)] {
				kept = append(kept, t)
			}
		}
		d.Tables = kept
		if d.Picked || len(tables) > fewTables {
			return
		}
		d.Tables = nil
		for _, t := range tables {
			if copied[tableKey(t)] == 0 {
				d.Tables = append(d.Tables, t.TableRef)
			}
		}
	})
	if err != nil {
		return err
	}
	if back := v.value("back"); strings.HasPrefix(back, stepTables) {
		return v.done(back, components.Plural(len(tables), "table")+" found.")
	}
	return v.redirect(stepDestination, components.Flash{})
}
