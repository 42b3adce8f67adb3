package web

import (
	"net/http"
	"net/url"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// wizard is how far somebody has come with setting up a pipeline. What was
// deleted meanwhile is not there.
type wizard struct {
	draft    control.Draft
	source   end // id "": none yet
	target   end
	pipeline model.Pipeline
	run      model.Run
}

func (v *visit) wizard() (w wizard, err error) {
	if w.draft, err = v.Control.Draft(v.ctx); err != nil {
		return w, err
	}
	find := func(id string, look func() error) {
		if id == "" || err != nil {
			return
		}
		if err = look(); control.IsNotFound(err) {
			err = nil
		}
	}
	find(w.draft.Source, func() (err error) { w.source, err = v.endOf(true, w.draft.Source); return err })
	find(w.draft.Destination, func() (err error) { w.target, err = v.endOf(false, w.draft.Destination); return err })
	find(w.draft.Pipeline, func() (err error) { w.pipeline, err = v.Control.Pipeline(v.ctx, w.draft.Pipeline); return err })
	find(w.draft.Run, func() (err error) { w.run, err = v.Control.GetRun(v.ctx, w.draft.Run); return err })
	return w, err
}

// The steps of the wizard and their addresses.
const (
	stepSource      = "/welcome/source"
	stepDestination = "/welcome/destination"
	stepTables      = "/welcome/tables"
	stepSchedule    = "/welcome/schedule"
	stepRun         = "/welcome/run"
)

// next is the first step that is not done.
func (w wizard) next() string {
	switch {
	case w.pipeline.ID != "":
		return stepRun
	case w.source.id == "" || w.source.Status != string(model.ConnectionConnected):
		return stepSource
	case w.target.id == "":
		return stepDestination
	}
	return stepTables
}

// head is what stands above a step.
func (w wizard) head(at string) pages.WizardHead {
	h := pages.WizardHead{Source: w.source.name, Destination: w.target.name, Begun: w.source.id != ""}
	done := map[string]bool{
		stepSource: w.source.id != "" && w.source.Status == string(model.ConnectionConnected), stepDestination: w.target.id != "",
		stepTables: w.pipeline.ID != "" || len(w.draft.Tables) > 0, stepSchedule: w.pipeline.ID != "", stepRun: w.run.Status == model.RunSuccess,
	}
	reachable := true
	for _, s := range []struct{ path, label string }{
		{"", "Account"}, {stepSource, "Source"}, {stepDestination, "Destination"}, {stepTables, "Tables"}, {stepSchedule, "Schedule"}, {stepRun, "First run"},
	} {
		step := pages.WizardStep{Label: s.label, Done: s.path == "" || done[s.path], Active: s.path == at}
		if reachable && s.path != "" && !step.Active {
			step.Href = s.path
		}
		reachable = reachable && step.Done
		h.Steps = append(h.Steps, step)
	}
	return h
}

func wizardPage() page { return page{title: "Set up a pipeline"} }

// welcomeShow leads to where somebody left, or begins.
func welcomeShow(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id != "" && !final(w.run) {
		return v.redirect(w.next(), components.Flash{})
	}
	return v.welcomeStart(http.StatusOK, newValues(v, true))
}

// final says whether a run is over and all is well.
func final(r model.Run) bool { return r.Status == model.RunSuccess }

// welcomeStart is the first step: sample data, a source that is there, a new one.
func (v *visit) welcomeStart(status int, f components.Form) error {
	sources, total, err := v.Control.ListSources(v.ctx, maxChoices, 0)
	if err != nil {
		return err
	}
	fields := v.connectionFields(f, true)
	fields.Address = stepSource
	view := pages.WelcomeStartView{Head: wizard{}.head(stepSource), Fields: fields, Sources: total}
	for _, s := range sources {
		view.Choices = append(view.Choices, components.Option{Value: s.ID, Label: s.Name})
	}
	return v.showAs(status, wizardPage(), pages.WelcomeStart(view))
}

// welcomeBegin begins anew, with a source or without one.
func welcomeBegin(v *visit) error {
	id := v.value("source")
	if id != "" {
		if _, err := v.Control.Source(v.ctx, id); err != nil {
			return err
		}
	}
	if _, err := v.Control.ChangeDraft(v.ctx, func(d *control.Draft) { *d = control.Draft{Source: id} }); err != nil {
		return err
	}
	if id == "" {
		return v.redirect("/welcome", components.Flash{})
	}
	e, err := v.endOf(true, id)
	if err != nil {
		return err
	}
	if err := v.beginCheck(e); err != nil {
		return err
	}
	return v.redirect(stepSource, components.Flash{})
}

// welcomeSample copies the sample data with one click.
func welcomeSample(v *visit) error {
	p, err := v.Control.AddSample(v.ctx, v.SampleRows)
	if err != nil {
		return err
	}
	return v.firstRun(control.Draft{Source: p.SourceID, Destination: p.DestinationID, Pipeline: p.ID, Picked: true})
}

// firstRun starts the run of a pipeline that was set up, and leads to it.
func (v *visit) firstRun(d control.Draft) error {
	started, err := v.Control.StartRun(v.ctx, control.RunRequest{Pipeline: d.Pipeline, Trigger: model.TriggerManual})
	if err != nil {
		return err
	}
	d.Run = started.RunID
	if _, err := v.Control.ChangeDraft(v.ctx, func(old *control.Draft) { *old = d }); err != nil {
		return err
	}
	return v.redirect(stepRun, components.Flash{})
}

// tableID is a table in a form.
func tableID(r connectors.TableRef) string {
	return url.PathEscape(r.Schema) + "/" + url.PathEscape(r.Name)
}
