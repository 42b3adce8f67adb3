package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"arus/app/api"
	"arus/app/control"
	"arus/app/model"
	"arus/app/transform"
	"arus/views/components"
	"arus/views/pages"
)

// transformShow are the steps of one table of a pipeline.
func transformShow(v *visit) error {
	e, err := v.stepEditor(v.query("table"))
	if err != nil {
		return err
	}
	if e.at < len(e.pipeline.Tables) {
		e.stored(e.pipeline.Tables[e.at].TransformConfig)
	}
	e.json = e.json || v.query("as") == "json"
	return e.draw(http.StatusOK)
}

// stepEditor is the editor of one table's steps while a request is answered.
type stepEditor struct {
	*visit
	pipeline control.Overview
	at       int // the table's place
	drafts   []stepDraft
	text     string // the steps as JSON
	json     bool   // they are edited so
	faults   []model.FieldError
	message  string
	focus    string
	preview  *pages.PreviewView
}

func (v *visit) stepEditor(table string) (*stepEditor, error) {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return nil, err
	}
	e := &stepEditor{visit: v, pipeline: o}
	if table != "" {
		if e.at = slices.IndexFunc(o.Tables, func(t model.PipelineTable) bool { return t.Key() == table }); e.at < 0 {
			return nil, control.ErrNotFound
		}
	}
	return e, nil
}

// stored takes steps as they are stored.
func (e *stepEditor) stored(config model.JSON) {
	var ok bool
	e.drafts, ok = storedDrafts(config)
	e.text, e.json = indented(config), !ok
}

// steps is what stands in the editor.
func (e *stepEditor) steps() model.JSON {
	if !e.json {
		return draftsJSON(e.drafts)
	}
	if text := strings.TrimSpace(e.text); text != "" {
		return model.JSON(text)
	}
	return model.JSON("[]")
}

// draw shows the editor: alone where one of its buttons asked for it.
func (e *stepEditor) draw(status int) error {
	scripts, total, err := e.Control.ListScripts(e.ctx, e.pipeline.ID, control.Page{Limit: maxChoices})
	if err != nil {
		return err
	}
	names := make([]components.Option, len(scripts))
	for i, s := range scripts {
		names[i] = components.Option{Value: s.Name, Label: s.Name}
	}
	head, surround := e.pipelineHead(e.pipeline, "/transforms")
	view := pages.TransformsView{
		Head: head, Path: "/pipelines/" + e.pipeline.ID + "/transforms", Tables: tableOptions(e.pipeline.Pipeline), Scripts: total, JSON: e.json, Focus: e.focus, Preview: e.preview,
		Form: components.Form{Values: url.Values{"steps": {e.text}}, Message: e.message},
	}
	if e.at < len(e.pipeline.Tables) {
		view.Table = e.pipeline.Tables[e.at].Key()
	}
	for _, k := range stepKinds() {
		view.Add = append(view.Add, components.Option{Value: k.name, Label: k.label})
	}
	var rest []string
	if e.json {
		for _, f := range e.faults {
			rest = append(rest, strings.TrimSpace(f.Field+" "+f.Message))
		}
		view.Form.Faults = map[string]string{"steps": strings.Join(rest, "; ")}
	} else {
		view.Steps, rest = stepViews(e.drafts, names, e.faults)
		if len(rest) > 0 {
			view.Form.Message = strings.Join(rest, "; ")
		} else if len(e.faults) > 0 {
			view.Form.Message = "Mend what is marked below."
		}
	}
	if len(e.faults) == 0 {
		view.Form.Faults = nil
	}
	if e.partial() && e.r.Method == http.MethodPost {
		return e.write(status, pages.TransformEditor(view))
	}
	return e.showAs(status, surround, pages.Transforms(view))
}

// transformEdit changes the list of steps, shows what they would do, or saves
// them. Nothing is stored before it is saved.
func transformEdit(v *visit) error {
	e, err := v.stepEditor(v.value("table"))
	if err != nil {
		return err
	}
	if e.at >= len(e.pipeline.Tables) {
		return control.ErrNotFound
	}
	if e.json = v.value("as") == "json" || v.r.PostForm.Has("steps"); e.json {
		e.text = v.r.PostForm.Get("steps")
	} else {
		e.drafts = sentDrafts(v.r.PostForm)
	}
	do, which, _ := strings.Cut(v.value("do"), ":")
	i, err := strconv.Atoi(which)
	if err != nil || i < 0 || i >= len(e.drafts) {
		i = -1
	}
	switch do {
	case "add":
		if k, ok := findKind(v.value("add")); ok {
			e.focus = "step-" + strconv.Itoa(len(e.drafts))
			e.drafts = append(e.drafts, newDraft(k))
		}
	case "up", "down":
		to := i - 1
		if do == "down" {
			to = i + 1
		}
		if i >= 0 && to >= 0 && to < len(e.drafts) {
			e.drafts[i], e.drafts[to] = e.drafts[to], e.drafts[i]
			e.focus = fmt.Sprintf("step-%d-%s", to, do)
		}
	case "remove":
		if i >= 0 {
			e.drafts = slices.Delete(e.drafts, i, i+1)
			e.focus = "step-add"
		}
	case "as-json":
		e.text, e.json = indented(draftsJSON(e.drafts)), true
	case "as-form":
		if steps := e.steps(); !json.Valid(steps) {
			e.message = "This is no JSON, so it cannot be shown as a form."
		} else if e.stored(steps); e.json {
			e.message = "These steps hold what the form has no field for."
		}
	case "preview":
		return e.tryOut()
	default:
		return e.save()
	}
	return e.draw(http.StatusOK)
}

// tryOut shows what the steps make of the first rows.
func (e *stepEditor) tryOut() error {
	seen, err := e.Control.PreviewTransforms(e.ctx, control.PreviewRequest{Pipeline: e.pipeline.ID, Table: e.pipeline.Tables[e.at].Key(), Steps: e.steps()})
	if err != nil {
		return e.refuse(err)
	}
	before := map[int]map[string]json.RawMessage{}
	for _, r := range seen.Rows {
		before[r.Source] = objectOf(r.Data)
	}
	view := pages.PreviewView{Before: previewTable(seen.Columns, seen.Rows, nil)}
	view.After = view.Before
	for _, s := range seen.Steps {
		step := pages.StepView{Step: s.Step, Type: s.Type, Rows: previewTable(s.Columns, s.Rows, before), Dropped: len(s.Dropped), Printed: s.Printed, Took: s.Took}
		for _, fault := range s.Failed {
			step.Failed = append(step.Failed, fmt.Sprintf("row %d: %s", fault.Source+1, fault.Reason))
		}
		view.Steps = append(view.Steps, step)
		view.After = step.Rows
	}
	e.preview = &view
	return e.draw(http.StatusOK)
}

func (e *stepEditor) save() error {
	steps, table := e.steps(), e.pipeline.Tables[e.at].Key()
	choices := choicesOf(e.pipeline.Pipeline)
	choices[e.at].Transform = &steps
	if _, err := e.Control.UpdatePipeline(e.ctx, e.pipeline.ID, control.PipelineUpdate{Choices: &choices}); err != nil {
		return e.refuse(err)
	}
	return e.done("/pipelines/"+e.pipeline.ID+"/transforms?table="+url.QueryEscape(table), "The steps of "+table+" are saved.")
}

// refuse shows the steps again with what is wrong with them.
func (e *stepEditor) refuse(err error) error {
	f, ok := e.form(err)
	if !ok {
		status, said := api.Status(err)
		if status != http.StatusBadGateway && status != http.StatusGatewayTimeout && status != http.StatusUnprocessableEntity {
			return err
		}
		f.Message = strings.TrimSpace(said.Message + ". " + said.Hint)
	}
	e.message = f.Message
	if invalid, is := errors.AsType[*control.InvalidError](err); is {
		e.faults = invalid.Faults
	}
	return e.draw(http.StatusUnprocessableEntity)
}

func objectOf(raw json.RawMessage) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	_ = json.Unmarshal(raw, &object) // rows are written as objects
	return object
}

// previewTable writes rows of JSON objects in the order of their columns. Where
// they are given as they were before, what differs is marked.
func previewTable(columns []transform.PreviewColumn, rows []transform.PreviewRow, before map[int]map[string]json.RawMessage) pages.RowsView {
	var view pages.RowsView
	had := map[string]bool{}
	for _, old := range before {
		for name := range old {
			had[name] = true
		}
	}
	for _, c := range columns {
		view.Columns = append(view.Columns, pages.Column{Name: c.Name, Type: c.Type, New: before != nil && !had[c.Name]})
	}
	for _, r := range rows {
		object, old := objectOf(r.Data), before[r.Source]
		line := make([]pages.Cell, len(columns))
		for i, c := range columns {
			value := object[c.Name]
			line[i] = pages.Cell{Text: plainText(value), Null: string(value) == "null", Changed: before != nil && !bytes.Equal(value, old[c.Name])}
		}
		view.Rows = append(view.Rows, line)
	}
	return view
}

// plainText writes a JSON value for reading: a text without its quotes.
func plainText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}
