package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// tableList are the tables of a pipeline.
func tableList(v *visit) error { return v.tables(http.StatusOK, v.list(), components.Form{}) }

func (v *visit) tables(status int, list components.List, f components.Form) error {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	marks, err := v.Control.Watermarks(v.ctx, o.ID)
	if err != nil {
		return err
	}
	targets, err := v.Control.Targets(v.ctx, o.Pipeline)
	if err != nil {
		return err
	}
	values := map[string]model.Watermark{}
	for _, m := range marks {
		values[m.SourceTable] = m
	}
	head, surround := v.pipelineHead(o, "/tables")
	view := pages.TablesView{Head: head, Form: f, Query: list.Query.Encode(), All: len(o.Tables)}
	matching := matchingTables(o.Pipeline, list.Filter)
	list.Total = len(matching)
	for _, i := range matching[min(list.Offset(), len(matching)):min(list.Offset()+list.Size, len(matching))] {
		t := o.Tables[i]
		mark := values[t.Key()]
		row := pages.TableRow{
			Key: t.Key(), Target: targets[t.Key()] + "." + cmp.Or(t.TargetTable, t.SourceTable), Mode: string(t.SyncMode), Load: string(t.LoadMode), Watermark: t.WatermarkColumn,
			KeyColumns: strings.Join(t.KeyColumns, ", "), Value: mark.Value, Enabled: t.Enabled, Steps: stepCount(t.TransformConfig),
		}
		if row.Watermark == "" && mark.Column != "" {
			row.Watermark = mark.Column
		}
		view.Tables = append(view.Tables, row)
	}
	view.List = list
	return v.showAs(status, surround, pages.PipelineTables(view))
}

// matchingTables are the places of the tables that the filters select.
func matchingTables(p model.Pipeline, filter func(string) string) []int {
	text, mode, copied := strings.ToLower(strings.TrimSpace(filter("q"))), filter("mode"), filter("copied")
	var list []int
	for i, t := range p.Tables {
		if strings.Contains(strings.ToLower(t.Key()), text) && (mode == "" || mode == string(t.SyncMode)) && (copied == "" || (copied == "yes") == t.Enabled) {
			list = append(list, i)
		}
	}
	return list
}

// stepCount is how many steps a table has.
func stepCount(config model.JSON) int {
	var list []json.RawMessage
	if json.Unmarshal(config, &list) != nil {
		return 0
	}
	return len(list)
}

// tableChange changes the tables that were ticked, or all that the filters
// select.
func tableChange(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	at := &url.URL{Path: "/pipelines/" + p.ID + "/tables", RawQuery: v.value("list")}
	list := components.NewList(at)
	refuse := func(f components.Form) error { return v.tables(http.StatusUnprocessableEntity, list, f) }
	picked := map[string]bool{}
	for _, key := range v.r.PostForm["table"] {
		picked[key] = true
	}
	if v.checked("matching") {
		for _, i := range matchingTables(p, list.Filter) {
			picked[p.Tables[i].Key()] = true
		}
	}
	if len(picked) == 0 {
		return refuse(components.Form{Values: v.r.PostForm, Message: "No table is ticked."})
	}
	if len(picked) > 1 && v.value("target_table") != "" && v.value("target_table") != unset {
		return refuse(components.Form{Values: v.r.PostForm, Faults: map[string]string{"target_table": "goes with a single table"}})
	}
	choices := choicesOf(p)
	for i, t := range p.Tables {
		if picked[t.Key()] {
			v.tableChoice(&choices[i])
		}
	}
	if _, err := v.Control.UpdatePipeline(v.ctx, p.ID, control.PipelineUpdate{Choices: &choices}); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return refuse(f)
	}
	return v.done(at.RequestURI(), components.Plural(len(picked), "table")+" changed.")
}

// unset takes a field back to what is found by itself.
const unset = "-"

// tableChoice takes what was filled in; an empty field leaves what is there.
func (v *visit) tableChoice(c *control.TableChoice) {
	text := func(name string, into **string) {
		if value := v.value(name); value == unset {
			*into = new(string)
		} else if value != "" {
			*into = &value
		}
	}
	text("watermark_column", &c.WatermarkColumn)
	text("target_schema", &c.TargetSchema)
	text("target_table", &c.TargetTable)
	if value := v.value("enabled"); value != "" {
		enabled := value == "true"
		c.Enabled = &enabled
	}
	if mode := model.SyncMode(v.value("sync_mode")); mode != "" {
		c.SyncMode = &mode
	}
	if mode := model.LoadMode(v.value("load_mode")); mode != "" {
		c.LoadMode = &mode
	}
	if value := v.value("key_columns"); value != "" {
		key := []string{}
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" && part != unset {
				key = append(key, part)
			}
		}
		c.KeyColumns = &key
	}
}
