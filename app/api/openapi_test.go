package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// description is the document of all routes, as a client reads it.
var description = sync.OnceValues(func() (map[string]any, error) {
	text, err := json.Marshal(describe(slices.Concat(routes(), tableRoutes()), "test"))
	var doc map[string]any
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	return doc, err
})

// at follows a path of keys.
func at(v any, keys ...string) any {
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

// conforms says where a value is not as its schema says. A name that the schema does not have is a fault too.
func conforms(doc, schema, v any, where string) []string {
	s, ok := schema.(map[string]any)
	if !ok {
		return []string{where + ": no schema"}
	}
	if ref, ok := s["$ref"].(string); ok {
		return conforms(doc, at(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...), v, where)
	}
	if alternatives, ok := s["anyOf"].([]any); ok {
		var faults []string
		for _, one := range alternatives {
			if faults = conforms(doc, one, v, where); len(faults) == 0 {
				return nil
			}
		}
		return faults
	}
	if c, ok := s["const"]; ok && c != v {
		return []string{fmt.Sprintf("%s: is %v, not %v", where, v, c)}
	}
	if list, ok := s["enum"].([]any); ok && !slices.Contains(list, v) {
		return []string{fmt.Sprintf("%s: %v is not one of %v", where, v, list)}
	}
	var faults []string
	kind, _ := s["type"].(string)
	wrong := func() []string { return []string{fmt.Sprintf("%s: %T is no %s", where, v, kind)} }
	switch kind {
	case "null":
		if v != nil {
			return wrong()
		}
	case "string":
		if _, ok := v.(string); !ok {
			return wrong()
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return wrong()
		}
	case "number", "integer":
		n, ok := v.(float64)
		if !ok || kind == "integer" && n != float64(int64(n)) {
			return wrong()
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			return wrong()
		}
		for i, one := range list {
			faults = append(faults, conforms(doc, s["items"], one, fmt.Sprintf("%s[%d]", where, i))...)
		}
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			return wrong()
		}
		properties, _ := s["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			switch inner, ok := properties[name]; {
			case ok:
				faults = append(faults, conforms(doc, inner, m[name], where+"."+name)...)
			case s["additionalProperties"] != nil:
				faults = append(faults, conforms(doc, s["additionalProperties"], m[name], where+"."+name)...)
			default:
				faults = append(faults, where+"."+name+": is not described")
			}
		}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := m[name.(string)]; !ok {
				faults = append(faults, fmt.Sprintf("%s.%s: is missing", where, name))
			}
		}
	}
	return faults
}

// TestWhatIsAnsweredAndTakenIsDescribed holds what every route answers and what it was sent against its description: every
// name and type.
func TestWhatIsAnsweredAndTakenIsDescribed(t *testing.T) {
	t.Parallel()
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t)
	rows := samples()
	table := routes()
	slices.SortStableFunc(table, func(x, y route) int { // what reads first, what removes last
		rank := map[string]int{http.MethodGet: 0, http.MethodDelete: 2}
		order := func(rt route) int {
			if r, ok := rank[rt.method]; ok {
				return r
			}
			return 1
		}
		return order(x) - order(y)
	})
	for _, rt := range table {
		row := rows[rt.method+" "+rt.path]
		path := row.path
		if path == "" {
			path = rt.path
		}
		body := b.resolve(row.body)
		op := at(doc, "paths", rt.path, strings.ToLower(rt.method))
		name := rt.method + " " + rt.path
		if body != "" && rt.in != nil {
			var given any
			if json.Unmarshal([]byte(body), &given) != nil {
				continue // it takes text
			}
			for _, fault := range conforms(doc, at(op, "requestBody", "content", "application/json", "schema"), given, "body") {
				if !strings.Contains(fault, "body.colour") { // the sample's own nonsense
					t.Errorf("%s: %s", name, fault)
				}
			}
		}
		a := b.do("admin", rt.method, b.resolve(path), body)
		var answer any
		if json.Unmarshal([]byte(a.text), &answer) != nil || rt.out == nil && a.status < 400 {
			continue // a stream, a file
		}
		responses := at(op, "responses")
		schema := at(responses, fmt.Sprint(a.status), "content", "application/json", "schema")
		if a.status >= 400 {
			schema = at(responses, "default", "content", "application/json", "schema")
		}
		if m, ok := answer.(map[string]any); ok { // what stands beside the data
			delete(m, "ignored")
			delete(m, "message")
		}
		for _, fault := range conforms(doc, schema, answer, "answer") {
			t.Errorf("%s: %d: %s", name, a.status, fault)
		}
	}
	b.wait()
}
