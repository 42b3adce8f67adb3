package web

import (
	"net/http"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// Values of the choice of a destination that are no id.
const (
	chooseBuiltIn = "built-in"
	chooseNew     = "new"
)

// welcomeDestinationPage asks where the tables go. A destination that is chosen
// and does not work is shown with its test and the form that mends it.
func welcomeDestinationPage(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" {
		return v.redirect("/welcome", components.Flash{})
	}
	if v.query("part") == "check" {
		return v.wizardCheck(w, w.target)
	}
	if v.query("new") != "" {
		return v.welcomeNewTarget(http.StatusOK, w, newValues(v, false))
	}
	if w.target.id != "" && v.query("choose") == "" && w.target.config.Type != string(model.DestinationEmbedded) {
		return v.welcomeTarget(http.StatusOK, w, components.Form{Values: w.target.values()})
	}
	return v.welcomeChoice(http.StatusOK, w, components.Form{})
}

func (v *visit) welcomeChoice(status int, w wizard, f components.Form) error {
	list, _, err := v.Control.ListDestinations(v.ctx, maxChoices, 0)
	if err != nil {
		return err
	}
	view := pages.WelcomeDestinationView{Head: w.head(stepDestination), Form: f, Chosen: chooseBuiltIn}
	builtIn := ""
	for _, d := range list {
		e := destinationEnd(d)
		if d.Type == model.DestinationEmbedded && d.Database == "" {
			builtIn = d.ID
			continue
		}
		view.Choices = append(view.Choices, pages.WelcomeChoice{ID: e.id, Name: e.name, Kind: e.config.Type, Text: connectionSummary(e.config), Status: e.Status})
	}
	if w.target.id != "" && w.target.id != builtIn {
		view.Chosen = w.target.id
	}
	return v.showAs(status, wizardPage(), pages.WelcomeDestination(view))
}

func (v *visit) welcomeNewTarget(status int, w wizard, f components.Form) error {
	fields := v.connectionFields(f, false)
	fields.Address = stepDestination
	if v.partial() {
		return v.write(http.StatusOK, pages.ConnectionForm(fields))
	}
	return v.showAs(status, wizardPage(), pages.WelcomeNewDestination(pages.WelcomeEndView{Head: w.head(stepDestination), Fields: fields, Path: stepDestination}))
}

func (v *visit) welcomeTarget(status int, w wizard, f components.Form) error {
	view, err := v.wizardEnd(w, w.target, f)
	if err != nil {
		return err
	}
	view.Open = f.Failed()
	return v.showAs(status, wizardPage(), pages.WelcomeEnd(view))
}

// welcomeDestination takes the choice, or stores or mends the destination.
func welcomeDestination(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" {
		return v.redirect("/welcome", components.Flash{})
	}
	switch choice := v.value("destination"); choice {
	case "":
	case chooseBuiltIn:
		d, err := v.Control.AddBuiltIn(v.ctx)
		if err != nil {
			return err
		}
		return v.takeTarget(d.ID, stepTables)
	case chooseNew:
		return v.redirect(stepDestination+"?new=yes", components.Flash{})
	default:
		d, err := v.Control.Destination(v.ctx, choice)
		if err != nil {
			return err
		}
		if d.Type == model.DestinationEmbedded {
			return v.takeTarget(d.ID, stepTables)
		}
		if err := v.beginCheck(destinationEnd(d)); err != nil {
			return err
		}
		return v.takeTarget(d.ID, stepDestination)
	}
	if v.value("edit") != "" && w.target.id != "" {
		if err := v.changeEnd(w.target); err != nil {
			return v.refused(0, err, func(status int, f components.Form) error { return v.welcomeTarget(status, w, f) })
		}
		return v.welcomeTest(w.target)
	}
	if f, ok := v.connectionPart(false); ok {
		return v.welcomeNewTarget(http.StatusOK, w, f)
	}
	e, err := v.addEnd(false)
	if err != nil {
		return v.refused(0, err, func(status int, f components.Form) error { return v.welcomeNewTarget(status, w, f) })
	}
	if err := v.beginCheck(e); err != nil {
		return err
	}
	if e.config.Type == string(model.DestinationEmbedded) {
		return v.takeTarget(e.id, stepTables)
	}
	return v.takeTarget(e.id, stepDestination)
}

func (v *visit) takeTarget(id, next string) error {
	if _, err := v.Control.ChangeDraft(v.ctx, func(d *control.Draft) { d.Destination = id }); err != nil {
		return err
	}
	return v.redirect(next, components.Flash{})
}
