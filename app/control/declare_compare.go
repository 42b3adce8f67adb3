package control

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compareDeclarations lists the objects that differ.
func compareDeclarations(before, after Declaration) ([]PlannedChange, error) {
	b, err := objects(before)
	if err != nil {
		return nil, err
	}
	a, err := objects(after)
	if err != nil {
		return nil, err
	}
	keys := maps.Clone(b)
	maps.Copy(keys, a)
	changes := []PlannedChange{}
	for _, key := range slices.SortedFunc(maps.Keys(keys), compareKeys) {
		x, had := b[key]
		y, has := a[key]
		c := PlannedChange{Action: ConfigUpdate, Kind: key.kind, Name: key.name}
		switch {
		case !had:
			c.Action = ConfigCreate
		case !has:
			c.Action = ConfigDelete
		default:
			if c.Fields = fieldChanges(x, y); len(c.Fields) == 0 {
				continue
			}
		}
		changes = append(changes, c)
	}
	return changes, nil
}

type objectKey struct {
	order      int
	kind, name string
}

func compareKeys(a, b objectKey) int {
	return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.name, b.name))
}

// objects are the leaves of each object by path.
func objects(d Declaration) (map[objectKey]map[string]json.RawMessage, error) {
	out := map[objectKey]map[string]json.RawMessage{}
	var errs []error
	add := func(order int, kind, name string, v any) {
		text, err := json.Marshal(v)
		if err == nil {
			var tree any
			if tree, err = jsonTree(text); err == nil {
				leaves := map[string]json.RawMessage{}
				flatten(leaves, "", tree)
				out[objectKey{order, kind, name}] = leaves
			}
		}
		errs = append(errs, err)
	}
	for key, value := range d.Settings {
		add(0, "setting", key, map[string]settingText{"value": value})
	}
	for _, v := range d.Users {
		add(1, "user", v.Email, v)
	}
	for _, v := range d.Sources {
		add(2, "source", v.Name, v)
	}
	for _, v := range d.Destinations {
		add(3, "destination", v.Name, v)
	}
	for _, v := range d.Targets {
		add(4, "notification_target", v.Name, v)
	}
	for _, v := range d.Pipelines {
		add(5, "pipeline", v.Name, v)
	}
	return out, errors.Join(errs...)
}

// flatten takes a tree apart. Items of lists that have a name go by it, so that
// a table that was added is not a change of all that follow.
func flatten(out map[string]json.RawMessage, path string, tree any) {
	switch v := tree.(type) {
	case map[string]any:
		for key, value := range v {
			at := key
			if path != "" {
				at = path + "." + key
			}
			if key == "transform_config" {
				out[at] = rawJSON(value)
				continue
			}
			flatten(out, at, value)
		}
	case []any:
		for i, item := range v {
			name := fmt.Sprint(i)
			if m, ok := item.(map[string]any); ok {
				for _, key := range []string{"name", "source_table", "target"} {
					if text, ok := m[key].(string); ok {
						name = text
						break
					}
				}
				if schema, ok := m["source_schema"].(string); ok {
					name = schema + "." + name
				}
				out[fmt.Sprintf("%s[%s].position", path, name)] = rawJSON(i)
			}
			flatten(out, fmt.Sprintf("%s[%s]", path, name), item)
		}
	default:
		out[path] = rawJSON(v)
	}
}

func rawJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

func fieldChanges(before, after map[string]json.RawMessage) []FieldChange {
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	var list []FieldChange
	for _, path := range slices.Sorted(maps.Keys(keys)) {
		if string(before[path]) != string(after[path]) {
			list = append(list, FieldChange{Path: path, Before: before[path], After: after[path]})
		}
	}
	return list
}

// trimmed cuts a value for a line of a plan.
func trimmed(text json.RawMessage) string {
	s := strings.TrimSpace(string(text))
	if r := []rune(s); len(r) > 120 {
		return string(r[:117]) + "..."
	}
	return s
}

// String is the change for people: a line for the object and one for each field.
func (c PlannedChange) String() string {
	sign := map[ConfigAction]string{ConfigCreate: "+", ConfigUpdate: "~", ConfigDelete: "-"}[c.Action]
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q", sign, strings.ReplaceAll(c.Kind, "_", " "), c.Name)
	for _, f := range c.Fields {
		switch {
		case f.Before == nil:
			fmt.Fprintf(&b, "\n    + %s: %s", f.Path, trimmed(f.After))
		case f.After == nil:
			fmt.Fprintf(&b, "\n    - %s: %s", f.Path, trimmed(f.Before))
		default:
			fmt.Fprintf(&b, "\n    ~ %s: %s -> %s", f.Path, trimmed(f.Before), trimmed(f.After))
		}
	}
	return b.String()
}
