package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"arus/app/control"
	"arus/app/model"
	"arus/app/transform"
	"arus/views/components"
	"arus/views/pages"
)

// transformShow are the steps of one table of a pipeline.
func transformShow(v *visit) error {
	return v.transforms(http.StatusOK, v.query("table"), components.Form{}, nil)
}

func (v *visit) transforms(status int, table string, f components.Form, preview *pages.PreviewView) error {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	head, surround := v.pipelineHead(o, "/transforms")
	view := pages.TransformsView{Head: head, Tables: tableOptions(o.Pipeline), Form: f, Preview: preview}
	at := slices.IndexFunc(o.Tables, func(t model.PipelineTable) bool { return t.Key() == table })
	if at < 0 && table != "" {
		return control.ErrNotFound
	}
	if at = max(at, 0); at < len(o.Tables) {
		view.Table = o.Tables[at].Key()
		if view.Form.Values == nil {
			view.Form.Values = url.Values{"steps": {indented(o.Tables[at].TransformConfig)}}
		}
	}
	return v.showAs(status, surround, pages.Transforms(view))
}

// transformEdit shows what steps would do, or saves them.
func transformEdit(v *visit) error {
	table, steps := v.value("table"), model.JSON(v.value("steps"))
	if len(steps) == 0 {
		steps = model.JSON("[]")
	}
	if v.value("do") == "preview" {
		seen, err := v.Control.PreviewTransforms(v.ctx, control.PreviewRequest{Pipeline: v.path("id"), Table: table, Steps: steps})
		if err != nil {
			return v.stepFaults(table, err)
		}
		view := pages.PreviewView{Before: previewRows(seen.Columns, seen.Rows)}
		for _, s := range seen.Steps {
			step := pages.StepView{Step: s.Step, Type: s.Type, Rows: previewRows(s.Columns, s.Rows), Dropped: len(s.Dropped), Printed: s.Printed, Took: s.Took}
			for _, fault := range s.Failed {
				step.Failed = append(step.Failed, fmt.Sprintf("row %d: %s", fault.Source+1, fault.Reason))
			}
			view.After = append(view.After, step)
		}
		return v.transforms(http.StatusOK, table, components.Form{Values: v.r.PostForm}, &view)
	}
	p, err := v.Control.Pipeline(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	at := slices.IndexFunc(p.Tables, func(t model.PipelineTable) bool { return t.Key() == table })
	if at < 0 {
		return control.ErrNotFound
	}
	choices := choicesOf(p)
	choices[at].Transform = &steps
	if _, err := v.Control.UpdatePipeline(v.ctx, p.ID, control.PipelineUpdate{Choices: &choices}); err != nil {
		return v.stepFaults(table, err)
	}
	return v.done("/pipelines/"+p.ID+"/transforms?table="+url.QueryEscape(table), "The steps of "+table+" are saved.")
}

// stepFaults shows the steps again with what is wrong with them.
func (v *visit) stepFaults(table string, err error) error {
	f, ok := v.form(err)
	if !ok {
		return err
	}
	if invalid, is := errors.AsType[*control.InvalidError](err); is {
		list := make([]string, len(invalid.Faults))
		for i, fault := range invalid.Faults {
			list[i] = strings.TrimSpace(fault.Field + " " + fault.Message)
		}
		f.Faults = map[string]string{"steps": strings.Join(list, "; ")}
	}
	return v.transforms(http.StatusUnprocessableEntity, table, f, nil)
}

// previewRows writes rows of JSON objects in the order of their columns.
func previewRows(columns []transform.PreviewColumn, rows []transform.PreviewRow) pages.RowsView {
	var view pages.RowsView
	for _, c := range columns {
		view.Columns = append(view.Columns, c.Name+" ("+c.Type+")")
	}
	for _, r := range rows {
		var object map[string]json.RawMessage
		if json.Unmarshal(r.Data, &object) != nil {
			continue
		}
		line := make([]string, len(columns))
		for i, c := range columns {
			line[i] = string(object[c.Name])
		}
		view.Rows = append(view.Rows, line)
	}
	return view
}
