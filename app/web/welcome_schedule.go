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

// ownSchedule is the choice of a schedule that is written by hand.
const ownSchedule = "own"

// schedulePresets are the usual schedules.
func schedulePresets() []components.Option {
	return []components.Option{
		{Value: "*/15 * * * *", Label: "every 15 minutes"},
		{Value: "0 * * * *", Label: "every hour"},
		{Value: "0 */6 * * *", Label: "every 6 hours"},
		{Value: "0 3 * * *", Label: "every day at 03:00"},
		{Value: "0 3 * * 1", Label: "every Monday at 03:00"},
		{Value: "manual", Label: "only when somebody starts it"},
		{Value: ownSchedule, Label: "another one, written below"},
	}
}

// welcomeSchedulePage asks when the tables are to be copied; its part "next"
// says when a schedule that is being chosen would be due.
func welcomeSchedulePage(v *visit) error {
	if v.query("part") == "next" {
		return v.fragment(pages.Next(v.nextRuns(chosenSchedule(v.r.URL.Query()), "")))
	}
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" || w.target.id == "" || w.pipeline.ID == "" && len(w.draft.Tables) == 0 {
		return v.redirect(w.next(), components.Flash{})
	}
	values := url.Values{"name": {w.source.name + "-to-" + w.target.name}, "preset": {"0 * * * *"}, "load_mode": {string(model.LoadDirect)}}
	if w.pipeline.ID != "" {
		values.Set("name", w.pipeline.Name)
		values.Set("preset", ownSchedule)
		values.Set("schedule", w.pipeline.Schedule)
		values.Set("load_mode", string(w.pipeline.LoadMode))
	}
	return v.welcomeSchedule(http.StatusOK, w, components.Form{Values: values})
}

// chosenSchedule is the usual schedule that was chosen, or the written one.
func chosenSchedule(values url.Values) string {
	if preset := values.Get("preset"); preset != ownSchedule && preset != "" {
		return preset
	}
	return values.Get("schedule")
}

func (v *visit) welcomeSchedule(status int, w wizard, f components.Form) error {
	catalogue, err := v.Control.Catalogue(v.ctx, w.source.id)
	if err != nil {
		return err
	}
	return v.showAs(status, wizardPage(), pages.WelcomeSchedule(pages.WelcomeScheduleView{
		Head: w.head(stepSchedule), Form: f, Presets: schedulePresets(), Next: v.nextRuns(chosenSchedule(f.Values), ""), NextLive: stepSchedule + "?part=next",
		Picked: pickedSum(catalogue, pickedTables(w.draft)), Change: w.pipeline.ID != "",
	}))
}

// welcomeSchedule makes the pipeline, or changes it, and starts its first run.
func welcomeSchedule(v *visit) error {
	w, err := v.wizard()
	if err != nil {
		return err
	}
	if w.source.id == "" || w.target.id == "" {
		return v.redirect(w.next(), components.Flash{})
	}
	refuse := func(err error) error {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.welcomeSchedule(http.StatusUnprocessableEntity, w, f)
	}
	name, schedule, mode := v.value("name"), chosenSchedule(v.r.PostForm), model.LoadMode(v.value("load_mode"))
	choices, err := v.draftChoices(w)
	if err != nil {
		return err
	}
	if len(choices) == 0 {
		return v.redirect(stepTables, components.Flash{})
	}
	if w.pipeline.ID != "" {
		_, err = v.Control.UpdatePipeline(v.ctx, w.pipeline.ID, control.PipelineUpdate{Name: &name, Schedule: &schedule, LoadMode: &mode, Choices: &choices})
	} else {
		w.pipeline, err = v.Control.AddPipeline(v.ctx, control.PipelineInput{
			Name: name, Source: w.source.id, Destination: w.target.id, Choices: choices, Schedule: schedule, LoadMode: mode, TargetSchema: v.value("target_schema"),
		})
	}
	if err != nil {
		return refuse(err)
	}
	w.draft.Pipeline = w.pipeline.ID
	return v.firstRun(w.draft)
}

// draftChoices are the tables that were ticked, as a pipeline takes them.
func (v *visit) draftChoices(w wizard) ([]control.TableChoice, error) {
	catalogue, err := v.Control.Catalogue(v.ctx, w.source.id)
	if err != nil {
		return nil, err
	}
	byDefault := map[connectors.TableRef]bool{}
	for _, t := range catalogue.Tables {
		byDefault[t.TableRef] = t.DefaultSchema
	}
	method := model.SyncAuto
	if record, ok := w.source.record.(model.Source); ok {
		method = record.SyncMethod
	}
	var choices []control.TableChoice
	for _, t := range w.draft.Tables {
		c := control.TableChoice{Schema: t.Schema, Name: t.Name}
		if byDefault[t] {
			c.Schema = ""
		}
		if method == model.SyncFullRefresh {
			c.SyncMode = new(model.ModeFullRefresh)
		}
		choices = append(choices, c)
	}
	return choices, nil
}
