package web

import (
	"net/url"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// pipelineRun starts a run and leads to it.
func pipelineRun(v *visit) error {
	return v.startRun(control.RunRequest{Pipeline: v.path("id"), Trigger: model.TriggerManual}, "The run has started.")
}

// startRun starts a run and leads to it, or says that one is going on.
func (v *visit) startRun(req control.RunRequest, said string) error {
	started, err := v.Control.StartRun(v.ctx, req)
	if err != nil {
		return err
	}
	if started.Status == model.RunQueued {
		said = "The run waits for a free place."
	}
	return v.done("/runs/"+started.RunID, said)
}

// pipelineRefreshPage asks whether everything is to be read anew.
func pipelineRefreshPage(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.confirm(pipelinePage(p, "Full refresh"), components.Confirm{
		Title: "Read everything again?", Text: "Every enabled table of " + p.Name + " is read from the beginning and replaces its target.",
		Consequences: []string{"The targets stay readable until the new rows are complete.", "Large tables put load on the source."},
		Action:       "/pipelines/" + p.ID + "/full-refresh", Submit: "Start the full refresh", Back: "/pipelines/" + p.ID,
	})
}

// pipelineRefresh reads everything anew.
func pipelineRefresh(v *visit) error {
	return v.startRun(control.RunRequest{Pipeline: v.path("id"), FullRefresh: true}, "The full refresh has started.")
}

// pipelineBackfillPage asks which days are to be read again.
func pipelineBackfillPage(v *visit) error {
	return v.backfillForm(components.Form{Values: url.Values{}})
}

func (v *visit) backfillForm(f components.Form) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.confirm(pipelinePage(p, "Backfill"), components.Confirm{
		Title: "Backfill", Text: "Rows whose watermark lies in this range are read again and brought up to date. No watermark moves.",
		Action: "/pipelines/" + p.ID + "/backfill", Submit: "Start the backfill", Back: "/pipelines/" + p.ID, Form: f, Extra: pages.Backfill(f),
	})
}

// pipelineBackfill reads a range of days again.
func pipelineBackfill(v *visit) error {
	from := v.value("backfill_from")
	if from == "" {
		return v.backfillForm(components.Form{Values: v.r.PostForm, Faults: map[string]string{"backfill_from": "is required"}})
	}
	started, err := v.Control.StartRun(v.ctx, control.RunRequest{Pipeline: v.path("id"), BackfillFrom: from, BackfillTo: v.value("backfill_to")})
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.backfillForm(f)
	}
	return v.done("/runs/"+started.RunID, "The backfill has started.")
}

// pipelinePage is what surrounds a small page of a pipeline.
func pipelinePage(p model.Pipeline, title string) page {
	return page{title: title, crumbs: []components.Link{{Label: "Pipelines", Href: "/pipelines"}, {Label: p.Name, Href: "/pipelines/" + p.ID}}}
}
