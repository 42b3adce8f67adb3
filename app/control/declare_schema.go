package control

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"arus/app/model"
)

// jsonSchema is the part of JSON Schema that a declaration needs.
type jsonSchema struct {
	Schema      string                 `json:"$schema,omitempty"`
	Title       string                 `json:"title,omitempty"`
	Description string                 `json:"description,omitempty"`
	Type        any                    `json:"type,omitempty"` // a name or several
	Enum        []string               `json:"enum,omitempty"`
	Const       any                    `json:"const,omitempty"`
	Properties  map[string]*jsonSchema `json:"properties,omitempty"`
	Required    []string               `json:"required,omitempty"`
	Additional  any                    `json:"additionalProperties,omitempty"` // false, or the schema of the others
	Items       *jsonSchema            `json:"items,omitempty"`
}

// DeclarationSchema is the JSON Schema of a configuration file, for editors.
func DeclarationSchema() ([]byte, error) {
	text, err := json.MarshalIndent(declarationSchema(), "", "  ")
	return append(text, '\n'), err
}

func declarationSchema() *jsonSchema {
	s := schemaOf(reflect.TypeFor[Declaration]())
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", "The configuration of Arus"
	s.Properties["version"].Const = DeclarationVersion
	settings := &jsonSchema{Type: "object", Properties: map[string]*jsonSchema{}, Additional: false}
	for _, setting := range model.SettingList() {
		settings.Properties[setting.Key] = &jsonSchema{Type: []string{"string", "number", "boolean"}, Description: setting.Doc}
	}
	s.Properties["settings"] = settings
	reference := "${env:NAME} or ${file:PATH}, never the password itself"
	s.Properties["sources"].Items.Properties["password"].Description = reference
	s.Properties["destinations"].Items.Properties["password"].Description = reference
	return s
}

// enumerations are the types that take certain words only.
func enumerations() map[reflect.Type][]string {
	m := map[reflect.Type][]string{}
	enumerate(m, model.SourceTypes())
	enumerate(m, model.DestinationTypes())
	enumerate(m, model.TargetTypes())
	enumerate(m, model.Roles())
	enumerate(m, model.SyncMethods())
	enumerate(m, model.SyncModes())
	enumerate(m, model.LoadModes())
	enumerate(m, model.PipelineStatuses())
	enumerate(m, model.SoftDeletes())
	enumerate(m, model.DeleteModes())
	enumerate(m, model.NotifyEvents())
	enumerate(m, model.NullWatermarks())
	enumerate(m, model.PolicyList())
	enumerate(m, model.DriftPolicies())
	enumerate(m, model.TransformErrorsList())
	enumerate(m, model.Misfires())
	enumerate(m, model.TLSModes())
	return m
}

func enumerate[T ~string](m map[reflect.Type][]string, values []T) {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	m[reflect.TypeFor[T]()] = words
}

// schemaOf makes the schema of a type from its JSON fields. A field without
// omitempty or omitzero is required.
func schemaOf(t reflect.Type) *jsonSchema {
	if words, ok := enumerations()[t]; ok {
		return &jsonSchema{Type: "string", Enum: words}
	}
	if t == reflect.TypeFor[model.JSON]() { // transform steps
		return &jsonSchema{Type: "array", Items: &jsonSchema{Type: "object"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Bool:
		return &jsonSchema{Type: "boolean"}
	case reflect.Int, reflect.Int64:
		return &jsonSchema{Type: "integer"}
	case reflect.Float64:
		return &jsonSchema{Type: "number"}
	case reflect.Slice:
		return &jsonSchema{Type: "array", Items: schemaOf(t.Elem())}
	case reflect.Map:
		return &jsonSchema{Type: "object", Additional: schemaOf(t.Elem())}
	case reflect.Struct:
		s := &jsonSchema{Type: "object", Properties: map[string]*jsonSchema{}, Additional: false}
		for f := range t.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			s.Properties[name] = schemaOf(f.Type)
			if options == "" {
				s.Required = append(s.Required, name)
			}
		}
		return s
	}
	return &jsonSchema{Type: "string"}
}

// checkTree holds a tree against a schema and says all that is wrong, by path.
func checkTree(s *jsonSchema, tree any, path string) []model.FieldError {
	fault := func(at, format string, args ...any) []model.FieldError {
		if at == "" {
			at = "the file"
		}
		return []model.FieldError{{Field: at, Message: fmt.Sprintf(format, args...)}}
	}
	if want := wrongType(s, tree); want != "" {
		return fault(path, "must be %s", want)
	}
	if text, ok := tree.(string); ok && len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
		return fault(path, "%q is not one of %s", text, strings.Join(s.Enum, ", "))
	}
	if s.Const != nil && fmt.Sprint(tree) != fmt.Sprint(s.Const) {
		return fault(path, "must be %v: this program knows no other form", s.Const)
	}
	var faults []model.FieldError
	switch v := tree.(type) {
	case []any:
		for i, item := range v {
			if s.Items != nil {
				faults = append(faults, checkTree(s.Items, item, fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case map[string]any:
		at := func(key string) string {
			if path == "" {
				return key
			}
			return path + "." + key
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			switch field, ok := s.Properties[key]; {
			case ok:
				faults = append(faults, checkTree(field, v[key], at(key))...)
			case s.Additional == false:
				faults = append(faults, fault(at(key), "is not known here; known are %s", strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", "))...)
			default:
				if others, ok := s.Additional.(*jsonSchema); ok {
					faults = append(faults, checkTree(others, v[key], at(key))...)
				}
			}
		}
		for _, key := range s.Required {
			if _, ok := v[key]; !ok {
				faults = append(faults, fault(at(key), "is required")...)
			}
		}
	}
	return faults
}

// wrongType says what a value should be; "" when it is that.
func wrongType(s *jsonSchema, tree any) string {
	is := ""
	switch v := tree.(type) {
	case nil:
		is = "null"
	case string:
		is = "string"
	case bool:
		is = "boolean"
	case json.Number:
		is = "number"
		if _, err := v.Int64(); err == nil {
			is = "integer"
		}
	case []any:
		is = "array"
	case map[string]any:
		is = "object"
	}
	var want []string
	switch t := s.Type.(type) {
	case string:
		want = []string{t}
	case []string:
		want = t
	default:
		return ""
	}
	for _, w := range want {
		if w == is || w == "number" && is == "integer" {
			return ""
		}
	}
	words := map[string]string{"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list", "object": "a mapping"}
	said := make([]string, len(want))
	for i, w := range want {
		said[i] = words[w]
	}
	return strings.Join(said, " or ")
}
