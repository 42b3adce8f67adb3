package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// pipelineSettingsPage is how a pipeline runs; its part "next" says when a
// schedule that is being written would be due.
func pipelineSettingsPage(v *visit) error {
	if v.query("part") == "next" {
		return v.fragment(pages.Next(v.nextRuns(v.query("schedule"), v.query("options.timezone"))))
	}
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.settingsForm(http.StatusOK, o, components.Form{Values: settingValues(o.Pipeline)})
}

func (v *visit) nextRuns(schedule, zone string) pages.NextView {
	n := pages.NextView{Words: scheduleWords(schedule)}
	times, err := v.Control.NextTimes(v.ctx, schedule, zone, 5)
	if invalid, ok := errors.AsType[*control.InvalidError](err); ok && len(invalid.Faults) > 0 {
		n.Fault = invalid.Faults[0].Message
	} else if err != nil {
		n.Fault = err.Error()
	}
	n.Times = times
	return n
}

func (v *visit) settingsForm(status int, o control.Overview, f components.Form) error {
	names, err := v.Control.PipelineNames(v.ctx)
	if err != nil {
		return err
	}
	delete(names, o.ID)
	head, surround := v.pipelineHead(o, "/settings")
	return v.showAs(status, surround, pages.PipelineSettings(pages.SettingsView{
		Head: head, Form: f, Others: nameOptions(names), NextLive: "/pipelines/" + o.ID + "/settings?part=next",
		Next: v.nextRuns(f.Value("schedule"), f.Value("options.timezone")),
	}))
}

// settingValues writes the settings into the fields of their form.
func settingValues(p model.Pipeline) url.Values {
	o, policies := p.Options, p.Options.Policies.OrDefault()
	values := url.Values{}
	for name, value := range map[string]string{
		"name": p.Name, "status": string(p.Status), "schedule": p.Schedule, "depends_on": p.DependsOn, "target_schema": p.TargetSchema,
		"options.timezone": o.Timezone, "options.misfire": string(o.Misfire), "options.drift": string(o.Drift), "options.deletes.mode": string(o.Deletes.Mode),
		"options.transform_errors": string(o.TransformErrors), "options.policies.nul": string(policies.NUL), "options.policies.utf8": string(policies.UTF8),
		"options.policies.date": string(policies.Date), "options.policies.number": string(policies.Number), "options.policies.long": string(policies.Long),
		"max_retries": strconv.Itoa(p.MaxRetries), "timeout_seconds": strconv.Itoa(p.TimeoutSeconds), "options.parallel": strconv.Itoa(o.Parallel),
		"options.overdue_seconds": strconv.Itoa(o.OverdueSeconds), "options.deletes.every_seconds": strconv.Itoa(o.Deletes.EverySeconds),
		"options.dead_letters.max_rows": strconv.FormatInt(o.DeadLetters.MaxRows, 10),
	} {
		values.Set(name, value)
	}
	if o.Deletes.Mode == model.DeletesIgnore {
		values.Set("options.deletes.mode", "")
	}
	if o.TransformErrors == model.TransformDeadLetter {
		values.Set("options.transform_errors", "")
	}
	if o.RunAfterUpstream {
		values.Set("options.run_after_upstream", "true")
	}
	return values
}

// pipelineSettings changes how a pipeline runs. What the form does not show
// stays as it is.
func pipelineSettings(v *visit) error {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	faults := map[string]string{}
	number := func(name string) int {
		n, err := strconv.Atoi(v.value(name))
		if err != nil {
			faults[name] = "must be a whole number"
		}
		return n
	}
	name, schedule, after, schema := v.value("name"), v.value("schedule"), v.value("depends_on"), v.value("target_schema")
	status := model.PipelineStatus(v.value("status"))
	retries, timeout := number("max_retries"), number("timeout_seconds")
	options := o.Options
	options.Parallel, options.OverdueSeconds = number("options.parallel"), number("options.overdue_seconds")
	options.Deletes.EverySeconds = number("options.deletes.every_seconds")
	options.DeadLetters.MaxRows = int64(number("options.dead_letters.max_rows"))
	options.Timezone, options.Misfire = v.value("options.timezone"), model.Misfire(v.value("options.misfire"))
	options.RunAfterUpstream = v.checked("options.run_after_upstream")
	options.Drift, options.Deletes.Mode = model.DriftPolicy(v.value("options.drift")), model.DeleteMode(v.value("options.deletes.mode"))
	options.TransformErrors = model.TransformErrors(v.value("options.transform_errors"))
	for _, kind := range []string{"nul", "utf8", "date", "number", "long"} {
		options.Policies.Set(kind, v.value("options.policies."+kind))
	}
	if len(faults) > 0 {
		return v.settingsForm(http.StatusUnprocessableEntity, o, components.Form{Values: v.r.PostForm, Faults: faults})
	}
	_, err = v.Control.UpdatePipeline(v.ctx, o.ID, control.PipelineUpdate{
		Name: &name, Status: &status, Schedule: &schedule, DependsOn: &after, TargetSchema: &schema, MaxRetries: &retries, TimeoutSeconds: &timeout, Options: &options,
	})
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.settingsForm(http.StatusUnprocessableEntity, o, f)
	}
	return v.done("/pipelines/"+o.ID+"/settings", "The settings are saved.")
}
