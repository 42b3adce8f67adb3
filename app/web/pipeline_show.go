package web

import (
	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// pipelineTabs are the pages of a pipeline.
func pipelineTabs() []struct{ label, path string } {
	return []struct{ label, path string }{
		{"Overview", ""},
		{"Tables", "/tables"},
		{"Transforms", "/transforms"},
		{"Runs", "/runs"},
		{"Dead letters", "/dead-letters"},
		{"Quality", "/quality"},
		{"Schema changes", "/schema-changes"},
		{"Watermarks", "/watermarks"},
		{"Notifications", "/notifications"},
		{"Settings", "/settings"},
	}
}

// pipelineHead is what stands above every page of a pipeline, and what surrounds it.
func (v *visit) pipelineHead(o control.Overview, tab string) (pages.PipelineHead, page) {
	h := pages.PipelineHead{PipelineRow: v.pipelineRow(o), Clone: v.has("/pipelines/{id}/clone")}
	surround := page{title: o.Name, crumbs: []components.Link{{Label: "Pipelines", Href: "/pipelines"}}}
	for _, t := range pipelineTabs() {
		rt, ok := v.route("/pipelines/{id}" + t.path)
		if !ok || !v.can(rt.needs) {
			continue
		}
		h.Tabs = append(h.Tabs, components.Tab{Label: t.label, Href: "/pipelines/" + o.ID + t.path, Active: t.path == tab})
		if t.path == tab && tab != "" {
			surround.title = t.label
			surround.crumbs = append(surround.crumbs, components.Link{Label: o.Name, Href: "/pipelines/" + o.ID})
		}
	}
	if o.LastRun != nil {
		switch o.LastRun.Status {
		case model.RunRunning:
			surround.icon, surround.status = "busy", "running"
		case model.RunFailed:
			surround.icon, surround.status = "bad", "failing"
		}
	}
	return h, surround
}

// pipelineShow is how a pipeline stands.
func pipelineShow(v *visit) error {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	head, surround := v.pipelineHead(o, "")
	view := pages.PipelineView{
		Head: head, Live: "/pipelines/" + o.ID + "?part=state", Event: "sse:pipeline-" + o.ID, Schema: o.TargetSchema, Mode: "loaded directly",
		Runs: o.Figures.Runs, Failed: o.Figures.Failures, LastSuccess: o.Figures.LastSuccess,
	}
	if o.LoadMode == model.LoadRaw {
		view.Mode = "loaded by way of raw rows"
	}
	if v.has("/sources/{id}") {
		view.SourceLink = "/sources/" + o.SourceID
	}
	if v.has("/destinations/{id}") {
		view.DestinationLink = "/destinations/" + o.DestinationID
	}
	if o.DependsOn != "" {
		up, err := v.Control.Pipeline(v.ctx, o.DependsOn)
		if err != nil && !control.IsNotFound(err) {
			return err
		}
		view.After, view.AfterID = up.Name, up.ID
	}
	runs, _, err := v.Control.ListRuns(v.ctx, control.RunFilter{Pipeline: o.ID, Page: control.Page{Limit: 10}})
	if err != nil {
		return err
	}
	view.Recent = v.runRows(runs, nil)
	if err := v.currentRun(o, &view); err != nil {
		return err
	}
	if v.query("part") == "state" {
		return v.live(surround, pages.PipelineState(view))
	}
	return v.show(surround, pages.Pipeline(view))
}

// currentRun is the run of a pipeline that waits or goes on.
func (v *visit) currentRun(o control.Overview, view *pages.PipelineView) error {
	id := ""
	if o.LastRun != nil && active(*o.LastRun) {
		id = o.LastRun.ID
	} else if o.Queued {
		queued, _, err := v.Control.ListRuns(v.ctx, control.RunFilter{Pipeline: o.ID, Status: model.RunQueued, Page: control.Page{Limit: 1}})
		if err != nil || len(queued) == 0 {
			return err
		}
		id = queued[0].ID
	}
	if id == "" {
		return nil
	}
	run, err := v.Control.GetRun(v.ctx, id)
	if err != nil {
		return err
	}
	current := v.runView(run, o.Pipeline)
	view.Current = &current
	return nil
}

// pipelineRuns are the runs of a pipeline.
func pipelineRuns(v *visit) error {
	list := v.list()
	list.Query.Del("part")
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	runs, total, err := v.Control.ListRuns(v.ctx, control.RunFilter{
		Pipeline: o.ID, Status: model.RunStatus(list.Filter("status")), Table: list.Filter("table"), Page: listPage(list),
	})
	if err != nil {
		return err
	}
	list.Total = total
	view := pages.RunsView{List: list, Live: partOf(list, "list"), Runs: v.runRows(runs, nil)}
	if v.query("part") == "list" {
		return v.fragment(pages.PipelineRunList(view))
	}
	head, surround := v.pipelineHead(o, "/runs")
	return v.show(surround, pages.PipelineRuns(head, view))
}
