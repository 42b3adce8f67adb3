package web

import (
	"fmt"
	"strings"
	"time"

	"arus/app/engine"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// runShow is one run. Its parts draw themselves anew while it goes on.
func runShow(v *visit) error {
	run, err := v.Control.GetRun(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	if v.query("part") == "log" {
		log, err := v.runLog(run)
		if err != nil {
			return err
		}
		return v.fragment(pages.RunLogLines(log))
	}
	p, err := v.Control.Pipeline(v.ctx, run.PipelineID)
	if err != nil {
		return err
	}
	view := v.runView(run, p)
	surround := page{title: "Run of " + p.Name, crumbs: []components.Link{{Label: "Runs", Href: "/runs"}}, status: string(run.Status)}
	switch {
	case view.Active:
		surround.icon = "busy"
	case run.Status == model.RunFailed:
		surround.icon = "bad"
	}
	if v.query("part") == "run" {
		return v.live(surround, pages.RunState(view))
	}
	if view.Log, err = v.runLog(run); err != nil {
		return err
	}
	return v.show(surround, pages.Run(view))
}

// active says whether a run waits or goes on.
func active(r model.Run) bool { return r.Status == model.RunQueued || r.Status == model.RunRunning }

func (v *visit) runView(run model.Run, p model.Pipeline) pages.RunView {
	view := pages.RunView{
		RunRow: v.runRow(run, p.Name), Finished: run.FinishedAt, Read: run.Counts.Read, Filtered: run.Counts.Filtered, Active: active(run),
		Retry: run.Status == model.RunFailed || run.Status == model.RunCancelled, Live: "/runs/" + run.ID + "?part=run", Event: "sse:run-" + run.ID,
	}
	switch run.Work {
	case model.WorkLetters:
		view.Work = ", dead letters again"
	case model.WorkRebuild:
		view.Work = ", rebuild from raw rows"
	}
	live := map[string]tableProgress{}
	for _, t := range v.board.progress(run.ID) {
		live[t.Table] = t
	}
	var longest, took int64
	for _, t := range run.Tables {
		longest = max(longest, t.DurationMS)
		took = max(took, run.DurationMS, t.StartedAt.Sub(run.StartedAt).Milliseconds()+t.DurationMS)
	}
	for _, t := range run.Tables {
		row := pages.TableOfRun{
			Name: t.TableName, Target: t.Target, Status: string(t.Status), Mode: string(t.Mode), Error: t.ErrorMessage, Before: t.WatermarkBefore, After: t.WatermarkAfter,
			Read: t.RowsExtracted, Loaded: max(t.RowsLoadedAnalytics, t.RowsLoadedRaw), Filtered: t.RowsFiltered, Failed: t.RowsFailed, Deleted: t.RowsDeleted,
			Took: time.Duration(t.DurationMS) * time.Millisecond, Share: max(1, components.Percent(t.DurationMS, longest)),
		}
		row.Bars, row.Phases = timeline(run, t, took)
		if now, ok := live[t.TableName]; ok && !t.Status.Final() {
			row = v.progressRow(row, now)
		}
		delete(live, t.TableName)
		if t.Status == model.RunFailed || t.Status == model.RunCancelled {
			view.FailedOnes++
		}
		view.Tables = append(view.Tables, row)
	}
	for _, t := range v.board.progress(run.ID) {
		if _, ok := live[t.Table]; ok && t.Table != "" && view.Active {
			view.Tables = append(view.Tables, v.progressRow(pages.TableOfRun{Name: t.Table, Status: string(model.RunRunning)}, t))
		}
	}
	if view.Active {
		view.Read = max(view.Read, view.Rows)
	}
	view.Compare = run.Status.Final() && run.Status != model.RunSkipped && run.Work == model.WorkCopy
	if run.Status == model.RunFailed {
		f := v.runFailure(run, p)
		view.Failure = &f
	}
	return view
}

// timeline places the phases of a table on the time of its run, in thousandths,
// and says them in words.
func timeline(run model.Run, t model.RunTableStat, took int64) (bars []pages.Bar, said string) {
	if t.StartedAt.IsZero() || took <= 0 {
		return nil, ""
	}
	begin := max(0, t.StartedAt.Sub(run.StartedAt).Milliseconds())
	sums, order := map[string]int64{}, []string{}
	end := int64(0)
	add := func(phase string, at, ms int64) {
		x := min(998, (begin+at)*1000/took)
		bars = append(bars, pages.Bar{Phase: phase, X: int(x), Width: int(min(1000-x, max(2, ms*1000/took)))})
		if sums[phase] == 0 {
			order = append(order, phase)
		}
		sums[phase] += max(1, ms)
		end = at + ms
	}
	for _, p := range t.Phases {
		add(p.Phase, p.AtMS, p.MS)
	}
	if rest := t.DurationMS - end; rest > 0 && t.Status.Final() {
		add("follow", end, rest)
	}
	words := make([]string, len(order))
	for i, phase := range order {
		words[i] = phaseWords(engine.Phase(phase)) + " " + components.Milliseconds(sums[phase])
	}
	return bars, strings.Join(words, ", ")
}

// progressRow is a table that is being copied.
func (v *visit) progressRow(row pages.TableOfRun, t tableProgress) pages.TableOfRun {
	row.Read, row.Done, row.Rate, row.Phase = t.Rows, -1, int64(t.rate()), phaseWords(t.Phase)
	row.Took = v.Now().Sub(t.Since)
	if t.Phase == engine.PhaseDone {
		row.Done, row.Rate, row.Status = 100, 0, "done"
		return row
	}
	if t.Estimate > 0 && t.Rows <= t.Estimate {
		row.Done = components.Percent(t.Rows, t.Estimate)
		if row.Rate > 0 {
			row.Left = (time.Duration((t.Estimate-t.Rows)/row.Rate) * time.Second).Truncate(time.Second)
		}
	}
	return row
}

// phaseWords says where a table stands.
func phaseWords(p engine.Phase) string {
	switch p {
	case engine.PhaseStarted:
		return "starting"
	case engine.PhaseRows:
		return "copying"
	case engine.PhaseCommit:
		return "making the rows visible"
	case engine.PhaseRetry:
		return "waiting to try again"
	case engine.PhaseDone:
		return "done"
	case "follow":
		return "checking"
	}
	return string(p)
}

// runFailure says what failed, where, why and what to do.
func (v *visit) runFailure(run model.Run, p model.Pipeline) components.Failure {
	text, where := run.ErrorMessage, []string{}
	for _, t := range run.Tables {
		if t.Status != model.RunFailed {
			continue
		}
		if len(where) == 0 && t.ErrorMessage != "" {
			text = t.ErrorMessage
		}
		where = append(where, t.TableName)
	}
	message, hint := splitHint(text)
	f := components.Failure{Title: "The run failed", Message: message, Hint: hint}
	switch n := len(where); {
	case n == 1:
		f.Title = "Table " + where[0] + " failed"
	case n > 1:
		f.Title = fmt.Sprintf("%s failed: %s", components.Plural(n, "table"), strings.Join(where[:min(n, 5)], ", "))
		if n > 5 {
			f.Title += " and " + components.Number(n-5) + " more"
		}
	}
	if f.Hint == "" {
		f.Hint = "The log below says what happened before. Retry when the cause is mended: tables that succeeded are not read again."
	}
	f.Details = fmt.Sprintf("Arus %s\npipeline %s\nrun %s\nstarted %s\ntables %s\n%s", v.Version, p.Name, run.ID, run.StartedAt.UTC().Format(time.RFC3339), strings.Join(where, ", "), text)
	f.Actions = []components.Link{{Label: "Settings of the pipeline", Href: "/pipelines/" + p.ID + "/settings"}, {Label: "Source", Href: "/sources/" + p.SourceID}, {Label: "Destination", Href: "/destinations/" + p.DestinationID}}
	f.Actions = v.present(f.Actions)
	return f
}

// present leaves out the links to pages that are not there.
func (v *visit) present(links []components.Link) []components.Link {
	list := links[:0]
	for _, l := range links {
		if parts := strings.Split(l.Href, "/"); len(parts) < 3 || v.has("/"+parts[1]+"/{id}"+strings.Join(append([]string{""}, parts[3:]...), "/")) {
			list = append(list, l)
		}
	}
	return list
}

// splitHint takes the advice, which stands in brackets at the end, from an error.
func splitHint(text string) (message, hint string) {
	rest, ok := strings.CutSuffix(text, ")")
	if !ok {
		return text, ""
	}
	depth := 1
	for i := len(rest) - 1; i > 0; i-- {
		switch rest[i] {
		case ')':
			depth++
		case '(':
			depth--
		}
		if depth > 0 {
			continue
		}
		if rest[i-1] == ' ' {
			return strings.TrimSpace(rest[:i]), rest[i+1:]
		}
		break
	}
	return text, ""
}
