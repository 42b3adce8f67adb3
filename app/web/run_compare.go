package web

import (
	"fmt"
	"slices"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// runCompare shows a run beside the last good one of its pipeline before it.
func runCompare(v *visit) error {
	run, err := v.Control.GetRun(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	p, err := v.Control.Pipeline(v.ctx, run.PipelineID)
	if err != nil {
		return err
	}
	view := pages.CompareView{Pipeline: p.Name, This: v.runRow(run, p.Name), ChangesAt: "/pipelines/" + p.ID + "/schema-changes"}
	good, err := v.Control.LastGood(v.ctx, run)
	switch {
	case err == nil:
		row := v.runRow(good, p.Name)
		view.Good = &row
		view.Tables = tablePairs(run, good)
	case !control.IsNotFound(err):
		return err
	}
	if view.Good != nil {
		changes, _, err := v.Control.ListSchemaChanges(v.ctx, control.ChangeFilter{Pipeline: p.ID, Page: control.Page{Limit: 50}})
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.DetectedAt.After(good.StartedAt) && (run.FinishedAt.IsZero() || !c.DetectedAt.After(run.FinishedAt)) && c.RunID != good.ID {
				view.Changes = append(view.Changes, pages.SchemaChange{Table: c.SourceTable, Kind: string(c.Kind), Column: c.Column, From: c.From, To: c.To})
			}
		}
	}
	return v.show(page{title: "Compare", crumbs: []components.Link{{Label: "Runs", Href: "/runs"}, {Label: "Run of " + p.Name, Href: "/runs/" + run.ID}}}, pages.Compare(view))
}

// tablePairs puts the tables of two runs side by side: first what did not
// succeed, then what took longest.
func tablePairs(this, good model.Run) []pages.TablePair {
	var list []pages.TablePair
	at := map[string]int{}
	for _, t := range this.Tables {
		row := tableRow(t)
		at[t.TableName] = len(list)
		list = append(list, pages.TablePair{Name: t.TableName, This: &row})
	}
	for _, t := range good.Tables {
		row := tableRow(t)
		i, ok := at[t.TableName]
		if !ok {
			i = len(list)
			list = append(list, pages.TablePair{Name: t.TableName})
		}
		list[i].Good = &row
	}
	for i := range list {
		list[i].Notes = differences(list[i].This, list[i].Good)
	}
	slices.SortStableFunc(list, func(a, b pages.TablePair) int { return pairRank(a) - pairRank(b) })
	return list
}

func pairRank(p pages.TablePair) int {
	switch {
	case p.This != nil && p.This.Status != string(model.RunSuccess):
		return 0
	case len(p.Notes) > 0:
		return 1
	}
	return 2
}

func tableRow(t model.RunTableStat) pages.TableOfRun {
	return pages.TableOfRun{
		Name: t.TableName, Target: t.Target, Status: string(t.Status), Mode: string(t.Mode), Error: t.ErrorMessage, Read: t.RowsExtracted,
		Loaded: max(t.RowsLoadedAnalytics, t.RowsLoadedRaw), Filtered: t.RowsFiltered, Failed: t.RowsFailed, Deleted: t.RowsDeleted, Took: time.Duration(t.DurationMS) * time.Millisecond,
	}
}

// much is from which factor on a figure is said to differ, and little from which
// time on that is worth a word.
const (
	much   = 2
	little = time.Second
)

// differences says what is not as it was.
func differences(this, good *pages.TableOfRun) []string {
	switch {
	case this == nil:
		return []string{"this run did not do it"}
	case good == nil:
		return []string{"it was not in the good run"}
	}
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if this.Error != "" {
		message, _ := splitHint(this.Error)
		say("%s", message)
	}
	if this.Mode != good.Mode && this.Mode != "" && good.Mode != "" {
		say("read as %s, then as %s", modeWords(this.Mode), modeWords(good.Mode))
	}
	if this.Target != good.Target && this.Target != "" && good.Target != "" {
		say("loaded into %s, then into %s", this.Target, good.Target)
	}
	if this.Status != string(model.RunSuccess) {
		return list
	}
	switch {
	case this.Loaded == 0 && good.Loaded > 0:
		say("no rows, then %s", components.Number(good.Loaded))
	case good.Loaded > 0 && this.Loaded >= much*good.Loaded:
		say("%.1f times the rows", float64(this.Loaded)/float64(good.Loaded))
	case this.Loaded > 0 && good.Loaded >= much*this.Loaded:
		say("%d %% of the rows", this.Loaded*100/good.Loaded)
	}
	if this.Took >= little && good.Took > 0 && this.Took >= much*good.Took {
		say("%.1f times as long", this.Took.Seconds()/good.Took.Seconds())
	}
	if this.Failed > good.Failed {
		say("%s more", components.Plural(this.Failed-good.Failed, "dead letter"))
	}
	return list
}

func modeWords(mode string) string {
	if mode == string(model.ModeFullRefresh) {
		return "a full refresh"
	}
	return mode
}
