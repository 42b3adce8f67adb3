package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"arus/app/model"
	"arus/app/transform/expression"
	"arus/connectors"
)

// Step is one step of a table's list as it was written.
type Step struct {
	Type string
	spec spec
}

// spec is a step's configuration.
type spec interface {
	// check finds what is wrong with the configuration whatever the columns are.
	check(f *faults)
	// compile finds what is wrong with it for the columns that reach it, and
	// says what leaves it. After a fault the runner is not used.
	compile(c *compilation) runner
}

// maxSteps is how many steps a table may have.
const maxSteps = 200

// newSpec makes the empty configuration of a step type; nil for an unknown one.
func newSpec(kind string) spec {
	switch kind {
	case "rename":
		return &rename{}
	case "remove_fields":
		return &removeFields{}
	case "compute":
		return &compute{}
	case "filter":
		return &filter{}
	case "map_values":
		return &mapValues{}
	case "type_cast":
		return &typeCast{}
	case "concat_fields":
		return &concatFields{Separator: " ", Target: "concatenated"}
	case "script":
		return &script{}
	case "mask":
		return &mask{Character: "*"}
	case "trim":
		return &trim{Side: "both"}
	case "lower", "upper":
		return &changeCase{upper: kind == "upper"}
	case "replace":
		return &replace{}
	case "split":
		return &split{}
	case "parse_json":
		return &parseJSON{Type: typeName{Type: connectors.Type{Kind: connectors.Text}}}
	case "flatten":
		return &flatten{}
	case "deduplicate":
		return &deduplicate{Keep: "first"}
	case "add_constant":
		return &addConstant{}
	}
	return nil
}

// StepTypes lists the types of steps.
func StepTypes() []string {
	return []string{
		"rename", "remove_fields", "compute", "filter", "map_values", "type_cast", "concat_fields", "script",
		"mask", "trim", "lower", "upper", "replace", "split", "parse_json", "flatten", "deduplicate", "add_constant",
	}
}

// Parse reads a table's transform_config. The faults are in the words of the
// person who wrote it and name their place: transform_config[2].config.column.
// An empty or absent list has no steps.
func Parse(config json.RawMessage) ([]Step, []model.FieldError) {
	f := &faults{path: "transform_config"}
	config = bytes.TrimSpace(config)
	if len(config) == 0 || string(config) == "null" {
		return nil, nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(config, &raw); err != nil {
		f.add("", "must be a JSON array of steps")
		return nil, f.list
	}
	if len(raw) > maxSteps {
		f.add("", "has %d steps, at most %d are allowed", len(raw), maxSteps)
		return nil, f.list
	}
	steps := make([]Step, 0, len(raw))
	for i, r := range raw {
		at := f.at("[" + strconv.Itoa(i) + "]")
		var head struct {
			Type    string          `json:"type"`
			Config  json.RawMessage `json:"config"`
			Comment string          `json:"comment"`
		}
		if !at.decode("", r, &head) {
			continue
		}
		s := newSpec(head.Type)
		switch {
		case head.Type == "":
			at.add(".type", "is required: one of %s", strings.Join(StepTypes(), ", "))
			continue
		case s == nil:
			hint := ""
			if near := expression.Nearest(head.Type, StepTypes()); near != "" {
				hint = fmt.Sprintf("; did you mean %s?", near)
			}
			at.add(".type", "%q is not one of %s%s", head.Type, strings.Join(StepTypes(), ", "), hint)
			continue
		}
		if len(head.Config) == 0 || string(head.Config) == "null" {
			head.Config = json.RawMessage("{}")
		}
		inner := at.at(".config")
		if inner.decode("", head.Config, s) {
			s.check(inner)
		}
		steps = append(steps, Step{Type: head.Type, spec: s})
	}
	if len(f.list) > 0 {
		return nil, f.list
	}
	return steps, nil
}

// ScriptNames lists the names of the scripts that the steps call.
func ScriptNames(steps []Step) []string {
	var names []string
	for _, s := range steps {
		if sc, ok := s.spec.(*script); ok && !slices.Contains(names, sc.ScriptName) {
			names = append(names, sc.ScriptName)
		}
	}
	return names
}

// WithoutMemory lets the steps that compare rows with each other pass every row:
// for single rows that go their way again.
func WithoutMemory(steps []Step) []Step {
	list := slices.Clone(steps)
	for i, s := range list {
		if _, remembers := s.spec.(*deduplicate); remembers {
			list[i].spec = passing{}
		}
	}
	return list
}

// passing is a step that does nothing.
type passing struct{}

func (passing) check(*faults) {}

func (passing) compile(*compilation) runner { return unchanged{} }

// Error is what is wrong with a list of steps.
type Error struct{ Faults []model.FieldError }

func (e *Error) Error() string {
	words := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		words[i] = f.Error()
	}
	return strings.Join(words, "; ")
}

// faults collects what is wrong, with its place.
type faults struct {
	path string
	list []model.FieldError
	up   *faults
}

// at is the same collection for a place below.
func (f *faults) at(below string) *faults { return &faults{path: f.path + below, up: f} }

func (f *faults) add(below, format string, args ...any) {
	fault := model.FieldError{Field: f.path + below, Message: fmt.Sprintf(format, args...)}
	for ; f != nil; f = f.up {
		f.list = append(f.list, fault)
	}
}

func (f *faults) clean() bool { return len(f.list) == 0 }

func (f *faults) required(key, value string) {
	if value == "" {
		f.add("."+key, "is required")
	}
}

// columnList checks a list of column names by itself.
func (f *faults) columnList(key string, names []string, required bool) {
	if required && len(names) == 0 {
		f.add("."+key, "is required: the names of columns")
	}
	for i, n := range names {
		at := "." + key + "[" + strconv.Itoa(i) + "]"
		if n == "" {
			f.add(at, "is empty")
		} else if slices.Contains(names[:i], n) {
			f.add(at, "%q is listed twice", n)
		}
	}
}

// decode reads JSON strictly into a struct and says in words what does not fit.
func (f *faults) decode(below string, raw json.RawMessage, into any) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	d.UseNumber()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		return true
	}
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := below
		if mistyped.Field != "" {
			where += "." + mistyped.Field
		}
		f.add(where, "must be %s, not %s", kindWord(mistyped), mistyped.Value)
		return false
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		f.add(below, "has no key %s", name)
		return false
	}
	f.add(below, "%s", strings.TrimPrefix(err.Error(), "json: "))
	return false
}

func kindWord(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "string":
		return "a text"
	case "slice":
		return "a list"
	case "struct", "map":
		return "an object"
	case "bool":
		return "true or false"
	}
	return "a whole number"
}

// typeName reads a type as people write it. What is wrong with it is kept until
// the step is checked, when its place is known.
type typeName struct {
	connectors.Type
	err error
}

func (t *typeName) UnmarshalJSON(raw []byte) error {
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		t.err = errors.New("a type must be a text, such as int, decimal(12,2) or date")
		return nil
	}
	t.Type, t.err = ParseType(name)
	return nil
}

// typed checks a type's name.
func (f *faults) typed(below string, t *typeName) {
	if t != nil && t.err != nil {
		f.add(below, "%v", t.err)
	}
}

// ParseType reads a type's name: int, float, str, bool as in Python, or a
// logical type with its parameters: int32, decimal(12,2), text(40), enum('a','b').
func ParseType(name string) (connectors.Type, error) {
	word, rest, has := strings.Cut(strings.TrimSpace(name), "(")
	word = strings.ToLower(strings.TrimSpace(word))
	var params []string
	if has {
		inner, ok := strings.CutSuffix(strings.TrimSpace(rest), ")")
		if !ok {
			return connectors.Type{}, fmt.Errorf("the type %q has no closing bracket", name)
		}
		for p := range strings.SplitSeq(inner, ",") {
			params = append(params, strings.TrimSpace(p))
		}
	}
	number := func(i, low, high int) (int, error) {
		v, err := strconv.Atoi(params[i])
		if err != nil || v < low || v > high {
			return 0, fmt.Errorf("the type %q: %q is not a number from %d to %d", name, params[i], low, high)
		}
		return v, nil
	}
	if alias, ok := map[string]string{
		"int": "int64", "integer": "int64", "bigint": "int64", "smallint": "int16", "float": "float64", "double": "float64", "real": "float32",
		"str": "text", "string": "text", "varchar": "text", "boolean": "bool", "datetime": "timestamp", "binary": "bytes",
	}[word]; ok {
		word = alias
	}
	t := connectors.Type{Kind: connectors.ParseKind(word)}
	switch {
	case t.Kind == connectors.Invalid:
		hint := ""
		if near := expression.Nearest(word, typeNames()); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return t, fmt.Errorf("%q is not a type%s", name, hint)
	case t.Kind == connectors.Decimal && len(params) == 0:
		t.Kind = connectors.Numeric
	case t.Kind == connectors.Decimal && len(params) <= 2:
		precision, err := number(0, 1, connectors.MaxDecimal256)
		if err != nil {
			return t, err
		}
		scale := 0
		if len(params) == 2 {
			if scale, err = number(1, 0, precision); err != nil {
				return t, err
			}
		}
		t = connectors.NewDecimal(precision, scale)
	case (t.Kind == connectors.Text || t.Kind == connectors.Bytes) && len(params) == 1:
		length, err := number(0, 1, 1<<30)
		if err != nil {
			return t, err
		}
		t.Length = length
	case t.Kind == connectors.Enum && len(params) > 0:
		for _, p := range params {
			t.Values = append(t.Values, strings.ReplaceAll(strings.Trim(p, "'\""), "''", "'"))
		}
	case t.Kind == connectors.Array && len(params) > 0:
		elem, err := ParseType(strings.Join(params, ","))
		if err != nil {
			return t, err
		}
		t.Elem = &elem
	case len(params) > 0:
		return t, fmt.Errorf("the type %q takes no such parameters", word)
	}
	return t, nil
}

func typeNames() []string {
	names := []string{"int", "float", "str", "bool"}
	for k := connectors.Bool; k <= connectors.Array; k++ {
		names = append(names, k.String())
	}
	return names
}
