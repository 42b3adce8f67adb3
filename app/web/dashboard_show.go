package web

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// How much of everything the first page shows.
const (
	shownTroubles  = 8
	shownPipelines = 12
	shownRuns      = 8
)

// dashboardShow is the first page: what is wrong, then the figures.
func dashboardShow(v *visit) error {
	days := 7
	if n, err := strconv.Atoi(v.query("days")); err == nil && (n == 30 || n == 90) {
		days = n
	}
	sums, err := v.sums.get(v.ctx, days)
	if err != nil {
		return err
	}
	sum, stats, health := sums.summary, sums.stats, slices.Clone(sums.health)
	runs, err := v.Control.RecentRuns(v.ctx, shownRuns)
	if err != nil {
		return err
	}
	vitals, err := v.Control.StateSize(v.ctx)
	if err != nil {
		return err
	}
	d := pages.DashboardView{
		Days: days, Path: v.r.URL.RequestURI(), HasSources: sum.TotalSources > 0, Pipelines: len(health), Summary: summaryFigures(sum),
		StateBytes: vitals.FileBytes, LogBytes: vitals.LogBytes, Rows: sum.RowsSynced, Tables: sum.UniqueTables, Destinations: sum.TotalDestinations, Sources: sum.TotalSources,
	}
	for _, day := range stats {
		d.Chart = append(d.Chart, pages.ChartDay{Date: day.Date, Runs: day.Runs, Failed: day.Failed, Rows: day.Rows})
	}
	names := map[string]string{}
	for _, h := range health {
		names[h.ID] = h.Name
		if h.Failing() {
			d.Failing++
		}
		if h.Trouble() {
			d.Troubled++
			d.Troubles = append(d.Troubles, troubles(h)...)
		}
	}
	d.MoreTroubles = max(0, len(d.Troubles)-shownTroubles)
	d.Troubles = d.Troubles[:min(len(d.Troubles), shownTroubles)]
	slices.SortStableFunc(health, func(a, b control.PipelineHealth) int {
		return freshnessRank(a) - freshnessRank(b)
	})
	for _, h := range health[:min(len(health), shownPipelines)] {
		d.Freshness = append(d.Freshness, pages.Freshness{ID: h.ID, Name: h.Name, State: healthState(h), LastSuccess: h.LastSuccess, NextAt: h.NextAt, Schedule: h.Schedule})
	}
	for _, r := range runs {
		d.Runs = append(d.Runs, recentRun(r, names[r.PipelineID]))
	}
	p := page{title: "Dashboard", script: []string{"uplot.js"}, style: []string{"uplot.css"}}
	switch {
	case d.Failing > 0:
		p.status, p.icon = fmt.Sprintf("%d failing", d.Failing), "bad"
	case sum.RunningPipelines > 0:
		p.status, p.icon = fmt.Sprintf("%d running", sum.RunningPipelines), "busy"
	}
	return v.show(p, pages.Dashboard(d))
}

func recentRun(r model.Run, pipeline string) pages.RecentRun {
	return pages.RecentRun{
		ID: r.ID, Pipeline: pipeline, PipelineID: r.PipelineID, Status: string(r.Status), Trigger: string(r.Trigger),
		StartedAt: r.StartedAt, DurationMS: r.DurationMS, Rows: r.RowsSynced, Error: r.ErrorMessage, Running: !r.Status.Final(),
	}
}

// summaryFigures are the numbers at the top.
func summaryFigures(sum control.Summary) []components.Figure {
	active := components.Figure{
		Label: "Active pipelines", Value: fmt.Sprintf("%s of %s", components.Number(sum.ActivePipelines), components.Number(sum.TotalPipelines)),
		Note: components.Number(sum.RunningPipelines) + " running now", Icon: "route", Href: "/pipelines",
	}
	failing := components.Figure{Label: "Failing", Value: components.Number(sum.DegradedPipelines), Note: "their last run failed", Icon: "alert-triangle", Href: "/pipelines?status=failing", Tone: "good"}
	if sum.DegradedPipelines > 0 {
		failing.Tone = "bad"
	} else {
		failing.Note, failing.Icon = "every last run went well", "circle-check"
	}
	runs := components.Figure{Label: "Runs, 24 h", Value: components.Number(sum.TotalRuns24h), Note: components.Number(sum.FailedRuns24h) + " failed", Icon: "history", Href: "/runs"}
	if sum.FailedRuns24h > 0 {
		runs.Tone = "warn"
	}
	return []components.Figure{
		failing, active, runs,
		{Label: "Rows, 24 h", Value: components.Short(sum.RowsSynced24h), Note: components.Short(sum.RowsSynced) + " in all kept runs", Icon: "trending-up"},
		{Label: "Success rate", Value: strconv.FormatFloat(sum.Uptime7d, 'f', -1, 64) + " %", Note: "in the last 7 days", Icon: "heartbeat"},
	}
}

// troubles are what is wrong with a pipeline, the worst first.
func troubles(h control.PipelineHealth) []pages.Trouble {
	var list []pages.Trouble
	add := func(state, text, href string, since time.Time) {
		list = append(list, pages.Trouble{State: state, Pipeline: h.Name, PipelineID: h.ID, Text: text, Href: href, Since: since})
	}
	if h.Failing() {
		since, text := h.LastRun.StartedAt, h.LastRun.ErrorMessage
		for _, i := range h.Incidents {
			if i.Kind == model.EventFailure {
				since = i.OpenedAt
				if i.Runs > 1 {
					text = components.Plural(i.Runs, "run") + " failed in a row. " + text
				}
			}
		}
		add("failing", text, "/runs/"+h.LastRun.ID, since)
	}
	for _, i := range h.Incidents {
		switch i.Kind {
		case model.EventOverdue:
			add("overdue", "It has not succeeded in time.", "/pipelines/"+h.ID, i.OpenedAt)
		case model.EventDeadLetter:
			add("dead letters", "Rows did not fit their table and wait for a decision.", "/pipelines/"+h.ID+"/dead-letters", i.OpenedAt)
		case model.EventQualityBreach:
			add("quality check failed", "A check of the loaded rows found something.", "/pipelines/"+h.ID+"/quality", i.OpenedAt)
		}
	}
	if h.Changes > 0 {
		add("drifting", components.Plural(h.Changes, "change")+" of the source's schema to decide about.", "/pipelines/"+h.ID+"/schema-changes", time.Time{})
	}
	return list
}

// healthState is a pipeline's state in one word.
func healthState(h control.PipelineHealth) string {
	switch {
	case h.LastRun != nil && h.LastRun.Status == model.RunRunning:
		return "running"
	case h.Queued:
		return "queued"
	case h.Failing():
		return "failing"
	case h.Status != model.PipelineActive:
		return string(h.Status)
	case h.Incident(model.EventOverdue):
		return "overdue"
	case h.LastRun == nil:
		return "not_started"
	case h.Changes > 0:
		return "drifting"
	}
	return string(h.LastRun.Status)
}

// freshnessRank orders pipelines: first what needs a look, last what is paused.
func freshnessRank(h control.PipelineHealth) int {
	switch healthState(h) {
	case "failing":
		return 0
	case "overdue":
		return 1
	case "running", "queued":
		return 2
	case "drifting":
		return 3
	case "not_started":
		return 5
	case string(model.PipelinePaused), string(model.PipelineInactive):
		return 6
	}
	return 4
}
