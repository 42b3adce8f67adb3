package web

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// runList is every run.
func runList(v *visit) error {
	list := v.list()
	list.Query.Del("part")
	names, err := v.Control.PipelineNames(v.ctx)
	if err != nil {
		return err
	}
	runs, total, err := v.Control.ListRuns(v.ctx, control.RunFilter{
		Pipeline: list.Filter("pipeline"), Status: model.RunStatus(list.Filter("status")), Table: list.Filter("table"), Page: listPage(list),
	})
	if err != nil {
		return err
	}
	list.Total = total
	view := pages.RunsView{List: list, Live: partOf(list, "list"), Runs: v.runRows(runs, names)}
	if list.Page == 1 && list.Filter("status") == "" {
		_, view.Waiting, err = v.Control.ListRuns(v.ctx, control.RunFilter{Pipeline: list.Filter("pipeline"), Status: model.RunQueued, Page: control.Page{Limit: 1}})
		if err != nil {
			return err
		}
	}
	if v.query("part") == "list" {
		return v.fragment(pages.RunList(view))
	}
	view.Pipelines = nameOptions(names)
	return v.show(page{title: "Runs"}, pages.Runs(view))
}

// partOf is the address of a part of a list's page, as the list stands.
func partOf(l components.List, part string) string {
	address := l.AtPage(l.Page)
	if strings.Contains(address, "?") {
		return address + "&part=" + part
	}
	return address + "?part=" + part
}

// nameOptions are choices of names by id, sorted.
func nameOptions(names map[string]string) []components.Option {
	list := make([]components.Option, 0, len(names))
	for id, name := range names {
		list = append(list, components.Option{Value: id, Label: name})
	}
	slices.SortFunc(list, func(a, b components.Option) int { return cmp.Compare(a.Label, b.Label) })
	return list
}

func (v *visit) runRows(runs []model.Run, names map[string]string) []pages.RunRow {
	rows := make([]pages.RunRow, len(runs))
	for i, r := range runs {
		rows[i] = v.runRow(r, names[r.PipelineID])
	}
	return rows
}

func (v *visit) runRow(r model.Run, pipeline string) pages.RunRow {
	row := pages.RunRow{
		ID: r.ID, PipelineID: r.PipelineID, Pipeline: pipeline, Status: string(r.Status), Trigger: string(r.Trigger), Error: r.ErrorMessage,
		Started: r.StartedAt, Took: time.Duration(r.DurationMS) * time.Millisecond, Rows: r.Counts.Loaded, DeadLetters: r.Counts.DeadLetters,
	}
	if r.Status == model.RunRunning {
		row.Took = max(0, v.Now().Sub(r.StartedAt)).Truncate(time.Second)
		for _, t := range v.board.progress(r.ID) {
			row.Rows += t.Rows
		}
	}
	return row
}
