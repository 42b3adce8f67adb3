package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"arus/app/model"
	"arus/app/transform"
)

// stepsOf are the stored steps of a table.
func (s *site) stepsOf(table string) string {
	s.t.Helper()
	p, err := s.service.Pipeline(s.admin, s.pipeline.ID)
	s.must(err)
	for _, t := range p.Tables {
		if t.Key() == table {
			return string(t.TransformConfig)
		}
	}
	s.t.Fatalf("no table %s", table)
	return ""
}

func TestTransformPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	viewer, editor := s.client(model.RoleViewer), s.client(model.RoleEditor)
	at := "/pipelines/" + s.pipeline.ID + "/transforms"
	// As JSON.
	form := url.Values{"table": {"customers"}, "do": {"preview"}, "steps": {`[{"type": "rename", "config": {"mapping": {"email": "mail"}}}]`}}
	_, text := s.post(editor, at, form)
	contains(t, "the preview", text, "Before", "email", "After step 1", "mail", "new")
	form.Set("steps", `[{"type": "no_such_step"}]`)
	status, text := s.post(editor, at, form)
	if contains(t, "a wrong step", text, "is-invalid", "no_such_step"); status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong step: %d", status)
	}
	if s.stepsOf("customers") != "" {
		t.Errorf("a preview is stored: %s", s.stepsOf("customers"))
	}

	// As a form, as a browser without scripts sends it.
	_, text = s.post(editor, at, url.Values{"table": {"customers"}, "do": {"add"}, "add": {"rename"}})
	contains(t, "the added step", text, "Rename columns", `name="step.0.mapping.0"`)
	rename := url.Values{"table": {"customers"}, "step": {"rename"}, "step.0.mapping.0": {"email", ""}, "step.0.mapping.1": {"mail", ""}}
	rename.Set("do", "add")
	rename.Set("add", "filter")
	_, text = s.post(editor, at, rename)
	contains(t, "two steps", text, `value="mail"`, `name="step.1.condition"`)
	both := url.Values{
		"table": {"customers"}, "step": {"rename", "filter"}, "step.0.mapping.0": {"email"}, "step.0.mapping.1": {"mail"}, "step.1.condition": {"email is not None"}, "step.1.comment": {"only with mail"},
	}
	both.Set("do", "preview")
	status, text = s.post(editor, at, both)
	if contains(t, "a column that is gone", text, "is-invalid", "email", "Mend what is marked"); status != http.StatusUnprocessableEntity {
		t.Errorf("a column that is gone: %d", status)
	}
	both.Set("do", "up:1")
	_, text = s.post(editor, at, both)
	if !strings.Contains(text, `name="step.0.condition"`) || !strings.Contains(text, `name="step.1.mapping.0"`) {
		t.Error("the steps do not change places")
	}
	turned := url.Values{
		"table": {"customers"}, "step": {"filter", "rename"}, "step.1.mapping.0": {"email"}, "step.1.mapping.1": {"mail"}, "step.0.condition": {"email is not None"}, "step.0.comment": {"only with mail"}, "do": {"save"},
	}
	_, text = s.post(editor, at, turned)
	contains(t, "the saved steps", text, "The steps of customers are saved", "only with mail")
	if got, want := s.stepsOf("customers"), `[{"type":"filter","config":{"condition":"email is not None"},"comment":"only with mail"},{"type":"rename","config":{"mapping":{"email":"mail"}}}]`; got != want {
		t.Errorf("stored: %s", got)
	}
	_, text = s.get(viewer, at+"?table=customers")
	if contains(t, "the steps for a viewer", text, "only with mail"); strings.Contains(text, `name="do"`) {
		t.Error("a viewer is offered to change them")
	}
}

// TestStepFormsHoldEverything takes every step of the transforms' own cases through the form and back.
func TestStepFormsHoldEverything(t *testing.T) {
	t.Parallel()
	for _, name := range transform.StepTypes() {
		if k, ok := findKind(name); !ok || k.label == "" {
			t.Errorf("the step %s has no form", name)
		}
	}
	for _, steps := range []string{
		`[{"type":"rename","config":{"mapping":{"b":"a","a":"b"}}}]`,
		`[{"type":"type_cast","config":{"columns":{"a":"int","b":{"type":"date","format":"%d.%m.%Y","timezone":"UTC"},"c":{"type":"decimal(12,2)","decimal":",","thousands":"."}}}}]`,
		`[{"type":"map_values","config":{"column":"a","mapping":{"1":"one","2":2,"3":null,"4":"4"," 5":true},"default":"true","type":"text"}}]`,
		`[{"type":"concat_fields","config":{"fields":["a","b"],"separator":", ","target":"c","drop_source":true}}]`,
		`[{"type":"split","config":{"column":"a","separator":" ","into":["x","y"]}},{"type":"lower","config":{"columns":["x"]}},{"type":"upper","config":{"columns":["y"]}}]`,
		`[{"type":"replace","config":{"columns":["a"],"find":"(x+)","with":"$1","regex":true}},{"type":"replace","config":{"columns":["a"],"find":"x","with":""}}]`,
		`[{"type":"mask","config":{"columns":["a"],"method":"partial","keep_start":2,"keep_end":0,"character":"#"}},{"type":"mask","config":{"columns":["b"],"method":"constant","value":null}}]`,
		`[{"type":"parse_json","config":{"column":"a","path":"$.a[0]","target":"b","type":"int"}},{"type":"flatten","config":{"column":"a","columns":{"z":"int","b":"text"},"prefix":"p_","drop_source":true}}]`,
		`[{"type":"deduplicate","config":{"columns":["a"],"keep":"last","max_keys":10}},{"type":"add_constant","config":{"column":"a","value":"12","type":"text"}},{"type":"trim","config":{"columns":["a"],"side":"left","characters":"-"}}]`,
		`[{"type":"script","config":{"script_name":"clean"}},{"type":"remove_fields","config":{"fields":["a"]}},{"type":"compute","config":{"expression":"a = b < 3"}},{"type":"filter","config":{"condition":"a\nand b"},"comment":"why"}]`,
	} {
		if _, faults := transform.Parse([]byte(steps)); len(faults) > 0 {
			t.Fatalf("%s: %v", steps, faults)
		}
		drafts, ok := storedDrafts([]byte(steps))
		if !ok {
			t.Errorf("the form does not show %s", steps)
			continue
		}
		views, _ := stepViews(drafts, nil, nil)
		sent := url.Values{}
		for i, v := range views { // as a browser sends it
			sent.Add("step", v.Type)
			sent.Set(stepName(i, "comment"), v.Note.Form.Value(v.Note.Name))
			for _, input := range v.Inputs {
				for _, row := range input.Rows {
					for c, cell := range row {
						sent.Add(input.Field.Name+"."+string(rune('0'+c)), cell)
					}
				}
				if value := input.Field.Form.Value(input.Field.Name); value != "" || input.Kind != fieldBox {
					sent.Set(input.Field.Name, value)
				}
			}
		}
		if got := string(draftsJSON(sentDrafts(sent))); got != steps {
			t.Errorf("%s\nbecomes\n%s", steps, got)
		}
	}
	for _, steps := range []string{`[{"type":"trim","config":{"columns":["a\nb"]}}]`, `[{"type":"rename","config":{"mapping":[]}}]`, `{}`} {
		if _, ok := storedDrafts([]byte(steps)); ok {
			t.Errorf("the form shows %s", steps)
		}
	}
}
