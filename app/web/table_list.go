package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// tableList are the tables of a pipeline.
func tableList(v *visit) error { return v.tables(http.StatusOK, v.query("q"), components.Form{}) }

func (v *visit) tables(status int, query string, f components.Form) error {
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
	view := pages.TablesView{Head: head, Form: f, Query: query}
	for _, t := range o.Tables {
		if !strings.Contains(strings.ToLower(t.Key()), strings.ToLower(query)) {
			continue
		}
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
	return v.showAs(status, surround, pages.PipelineTables(view))
}

// stepCount is how many steps a table has.
func stepCount(config model.JSON) int {
	var list []json.RawMessage
	if json.Unmarshal(config, &list) != nil {
		return 0
	}
	return len(list)
}

// tableChange changes the tables that were ticked.
func tableChange(v *visit) error {
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	picked := v.r.PostForm["table"]
	refuse := func(f components.Form) error { return v.tables(http.StatusUnprocessableEntity, v.value("q"), f) }
	if len(picked) == 0 {
		return refuse(components.Form{Values: v.r.PostForm, Message: "No table is ticked."})
	}
	if len(picked) > 1 && v.value("target_table") != "" && v.value("target_table") != unset {
		return refuse(components.Form{Values: v.r.PostForm, Faults: map[string]string{"target_table": "goes with a single table"}})
	}
	choices := choicesOf(p)
	for i, t := range p.Tables {
		if slices.Contains(picked, t.Key()) {
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
	return v.done("/pipelines/"+p.ID+"/tables", components.Plural(len(picked), "table")+" changed.")
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
