package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"arus/app/control"
	"arus/app/model"
	"arus/app/transform"
	"arus/views/components"
	"arus/views/pages"
)

// sampleRows is how many rows of a table a script is tried with.
const sampleRows = 5

// newScript is what a new script begins with.
const newScript = `def transform(row: dict) -> dict | None:
    # Return the row, changed or not; None drops it.
    return row
`

// scriptNewPage is the editor of a new script.
func scriptNewPage(v *visit) error {
	return v.scriptEditor(http.StatusOK, components.Form{Values: url.Values{"content": {newScript}}}, nil)
}

// scriptShow is the editor of a script.
func scriptShow(v *visit) error {
	s, err := v.Control.Script(v.ctx, v.path("id"), v.path("script"))
	if err != nil {
		return err
	}
	return v.scriptEditor(http.StatusOK, components.Form{Values: url.Values{"name": {s.Name}, "description": {s.Description}, "content": {s.Content}}}, nil)
}

func (v *visit) scriptEditor(status int, f components.Form, test *pages.ScriptTest) error {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	head, surround := v.pipelineHead(o, "/transforms")
	view := pages.ScriptView{Head: head, Form: f, Tables: tableOptions(o.Pipeline), Path: "/pipelines/" + o.ID + "/scripts/new", Test: test}
	surround.crumbs = append(surround.crumbs, components.Link{Label: "Scripts", Href: "/pipelines/" + o.ID + "/scripts"})
	surround.title = "New script"
	if id := v.path("script"); id != "" {
		s, err := v.Control.Script(v.ctx, o.ID, id)
		if err != nil {
			return err
		}
		view.Path, view.ID, surround.title = "/pipelines/"+o.ID+"/scripts/"+s.ID, s.ID, s.Name
	}
	view.Title = surround.title
	if v.partial() {
		return v.write(status, pages.ScriptEditor(view))
	}
	return v.showAs(status, surround, pages.Script(view))
}

// scriptEdit fetches rows to try a script with, tries it, or saves it.
func scriptEdit(v *visit) error {
	switch v.value("do") {
	case "rows":
		return v.scriptRows()
	case "test":
		return v.scriptTest()
	}
	name, description, content := v.value("name"), v.value("description"), v.scriptText()
	in := control.ScriptInput{Name: &name, Description: &description, Content: &content}
	var s model.Script
	var err error
	if id := v.path("script"); id != "" {
		s, err = v.Control.UpdateScript(v.ctx, v.path("id"), id, in)
	} else {
		s, err = v.Control.AddScript(v.ctx, v.path("id"), in)
	}
	if err != nil {
		return v.scriptRefused(err)
	}
	return v.done("/pipelines/"+s.PipelineID+"/scripts/"+s.ID, "The script "+s.Name+" is saved.")
}

// scriptText is the script as it was written: browsers send line ends of their own.
func (v *visit) scriptText() string {
	return strings.ReplaceAll(v.r.PostForm.Get("content"), "\r\n", "\n")
}

func (v *visit) scriptRefused(err error) error {
	f, ok := v.form(err)
	if !ok {
		return err
	}
	return v.scriptEditor(http.StatusUnprocessableEntity, f, nil)
}

// scriptRows fills in the first rows of a table, as they are read.
func (v *visit) scriptRows() error {
	seen, err := v.Control.PreviewTransforms(v.ctx, control.PreviewRequest{Pipeline: v.path("id"), Table: v.value("sample"), Steps: model.JSON("[]"), Rows: sampleRows})
	if err != nil {
		return v.scriptRefused(err)
	}
	f, _ := v.form(nil)
	var rows, types strings.Builder
	for _, r := range seen.Rows {
		rows.Write(r.Data)
		rows.WriteByte('\n')
	}
	for _, c := range seen.Columns {
		fmt.Fprintf(&types, "%s: %s\n", c.Name, c.Type)
	}
	f.Values.Set("rows", rows.String())
	f.Values.Set("types", types.String())
	return v.scriptEditor(http.StatusOK, f, nil)
}

// scriptTest runs the script as it stands over the rows that stand there.
func (v *visit) scriptTest() error {
	rows, err := jsonLines(v.value("rows"))
	if err != nil {
		return v.scriptRefused(err)
	}
	types, err := columnTypes(v.value("types"))
	if err != nil {
		return v.scriptRefused(err)
	}
	name := v.value("name")
	if name == "" {
		name = "script"
	}
	result, err := v.Control.TestScript(v.ctx, name, v.scriptText(), types, rows)
	if err != nil {
		if invalid, ok := errors.AsType[*control.InvalidError](err); ok {
			for i, fault := range invalid.Faults { // rows[2] and columns.x are lines of fields
				if field, place, _ := strings.Cut(fault.Field, "["); field == "rows" && place != "" {
					invalid.Faults[i] = model.FieldError{Field: "rows", Message: "row " + strings.TrimSuffix(place, "]") + " " + fault.Message}
				}
				if column, ok := strings.CutPrefix(fault.Field, "columns."); ok {
					invalid.Faults[i] = model.FieldError{Field: "types", Message: column + ": " + fault.Message}
				}
			}
		}
		return v.scriptRefused(err)
	}
	f, _ := v.form(nil)
	test := pages.ScriptTest{Given: len(rows), Printed: result.Printed}
	given := map[int]map[string]json.RawMessage{}
	for i, r := range rows {
		given[i] = objectOf(r)
	}
	columns := make([]transform.PreviewColumn, len(result.Columns))
	for i, c := range result.Columns {
		columns[i] = transform.PreviewColumn{Name: c.Name, Type: c.Type}
	}
	out := make([]transform.PreviewRow, len(result.Rows))
	for i, r := range result.Rows {
		out[i] = transform.PreviewRow{Source: int(result.Origins[i]), Data: r}
	}
	test.Rows = previewTable(columns, out, given)
	for _, fault := range result.Failed {
		test.Failed = append(test.Failed, fmt.Sprintf("row %d: %s", fault.Row+1, fault.Reason))
	}
	for _, row := range result.Dropped {
		test.Dropped = append(test.Dropped, row+1)
	}
	return v.scriptEditor(http.StatusOK, f, &test)
}

// jsonLines reads JSON objects: one a line, or a list of them.
func jsonLines(text string) ([]json.RawMessage, error) {
	refuse := func(err error) error {
		return &control.InvalidError{What: "the test", Faults: []model.FieldError{{Field: "rows", Message: "must be JSON objects, one a line: " + err.Error()}}}
	}
	var list []json.RawMessage
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return nil, refuse(err)
		}
		return list, nil
	}
	for d := json.NewDecoder(bytes.NewReader([]byte(text))); d.More(); {
		var row json.RawMessage
		if err := d.Decode(&row); err != nil {
			return nil, refuse(err)
		}
		list = append(list, row)
	}
	return list, nil
}

// columnTypes reads lines of "column: type".
func columnTypes(text string) (map[string]string, error) {
	types := map[string]string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		at := strings.LastIndex(line, ":")
		if at < 0 {
			return nil, &control.InvalidError{What: "the test", Faults: []model.FieldError{{Field: "types", Message: fmt.Sprintf("must be lines of column: type, not %q", line)}}}
		}
		types[strings.TrimSpace(line[:at])] = strings.TrimSpace(line[at+1:])
	}
	return types, nil
}
