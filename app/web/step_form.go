package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// stepKind is how one type of step is edited.
type stepKind struct {
	name, label, says string
	fields            []stepField
}

// stepField is one key of a step's config. Its kind says how it is written in a
// form and in JSON.
type stepField struct {
	name, label, kind, help string
	required                bool
	options                 []components.Option
	columns                 []string // of rows
}

// The kinds of fields: a text, one of several lines, a whole number, a box, a
// choice, names one a line, a JSON value or else a text, and an object whose
// pairs are rows.
const (
	fieldText   = "text"
	fieldCode   = "code"
	fieldWhole  = "whole"
	fieldBox    = "box"
	fieldChoice = "choice"
	fieldNames  = "names"
	fieldValue  = "value"
	fieldTexts  = "rows of texts"
	fieldValues = "rows of values"
	fieldCasts  = "rows of casts"
)

const valueHelp = "A number, true, false, null, or text; text that looks like one of them in double quotes."

// stepKinds are the types of steps in the order in which they are offered.
func stepKinds() []stepKind {
	columns := stepField{name: "columns", label: "Columns", kind: fieldNames, required: true, help: "One a line."}
	column := stepField{name: "column", label: "Column", kind: fieldText, required: true}
	drop := stepField{name: "drop_source", label: "Remove what it was made from", kind: fieldBox}
	choice := func(name, label string, values ...string) stepField {
		return stepField{name: name, label: label, kind: fieldChoice, options: components.Options(values...), required: true}
	}
	return []stepKind{
		{"filter", "Filter rows", "Keeps the rows for which the condition is true.", []stepField{
			{name: "condition", label: "Condition", kind: fieldCode, required: true, help: "Such as amount > 0 and country == 'ID'. Unknown is not true."},
		}},
		{"compute", "Compute a column", "Makes a column, or replaces one.", []stepField{
			{name: "expression", label: "Expression", kind: fieldCode, required: true, help: "name = expression, such as total = price * quantity."},
		}},
		{"rename", "Rename columns", "All at once, so names may change places.", []stepField{
			{name: "mapping", label: "Names", kind: fieldTexts, columns: []string{"Column", "New name"}},
		}},
		{"remove_fields", "Remove columns", "They are not loaded.", []stepField{{name: "fields", label: "Columns", kind: fieldNames, help: "One a line."}}},
		{"type_cast", "Change types", "A value that cannot be converted makes its row a dead letter.", []stepField{
			{name: "columns", label: "Types", kind: fieldCasts, columns: []string{"Column", "Type", "Format", "Zone", "Decimal sign", "Thousands sign"}, help: "Types: int, float, str, bool, decimal(12,2), date, timestamp, timestamptz, uuid, json ... The rest may stay empty; formats: %Y-%m-%d, iso, unix, unix_ms, hex."},
		}},
		{"trim", "Trim text", "Takes spaces or other characters off the ends.", []stepField{
			columns, choice("side", "Side", "both", "left", "right"), {name: "characters", label: "Characters", kind: fieldText, help: "Empty: white space."},
		}},
		{"lower", "Lower case", "", []stepField{columns}},
		{"upper", "Upper case", "", []stepField{columns}},
		{"replace", "Replace text", "", []stepField{
			columns,
			{name: "find", label: "Find", kind: fieldText, required: true},
			{name: "with", label: "Put in its place", kind: fieldText},
			{name: "regex", label: "It is a regular expression; $1 in its place is what the first brackets found", kind: fieldBox},
		}},
		{"map_values", "Map values", "Replaces values by others. NULL stays NULL.", []stepField{
			column,
			{name: "mapping", label: "Values", kind: fieldValues, columns: []string{"Value", "Becomes"}, help: valueHelp},
			{name: "default", label: "All others become", kind: fieldValue, help: "Empty: they stay as they are."},
			{name: "type", label: "Type of the result", kind: fieldText, help: "Empty: as the values are."},
		}},
		{"concat_fields", "Join columns", "NULLs are left out with their separator.", []stepField{
			{name: "fields", label: "Columns", kind: fieldNames, required: true, help: "One a line, in this order."},
			{name: "separator", label: "Separator", kind: fieldText},
			{name: "target", label: "New column", kind: fieldText, required: true},
			drop,
		}},
		{"split", "Split a column", "What is left over stands in the last column.", []stepField{
			column,
			{name: "separator", label: "Separator", kind: fieldText, required: true},
			{name: "into", label: "New columns", kind: fieldNames, required: true, help: "One a line."},
			drop,
		}},
		{"parse_json", "Take from JSON", "Where the path leads nowhere, NULL.", []stepField{
			column,
			{name: "path", label: "Path", kind: fieldText, required: true, help: "Such as $.address.city or $.items[0]."},
			{name: "target", label: "New column", kind: fieldText},
			{name: "type", label: "Type", kind: fieldText, help: "Empty: text."},
			{name: "format", label: "Format", kind: fieldText, help: "Of dates and times, such as %Y-%m-%d."},
		}},
		{"flatten", "Flatten JSON", "Makes a column of each key.", []stepField{
			column,
			{name: "columns", label: "Keys", kind: fieldTexts, columns: []string{"Key", "Type"}, help: "None: the first rows decide, and all later ones hold to it."},
			{name: "prefix", label: "Prefix of the new columns", kind: fieldText, help: "Empty: the column's name and an underscore."},
			drop,
		}},
		{"mask", "Mask values", "NULL stays NULL.", []stepField{
			columns, choice("method", "Method", "hash", "partial", "constant"),
			{name: "salt", label: "Salt of the hash", kind: fieldText},
			{name: "keep_start", label: "Keep at the start", kind: fieldWhole, help: "Of partial: how many characters."},
			{name: "keep_end", label: "Keep at the end", kind: fieldWhole, help: "Of partial; empty: 4."},
			{name: "character", label: "Character", kind: fieldText, help: "Of partial; empty: *"},
			{name: "value", label: "Value", kind: fieldValue, help: "Of constant. " + valueHelp},
		}},
		{"deduplicate", "Remove repeated rows", "Within one reading of the table, in its order.", []stepField{
			{name: "columns", label: "Columns that tell rows apart", kind: fieldNames, help: "One a line. None: all."},
			choice("keep", "Keep", "first", "last"),
			{name: "max_keys", label: "At most so many keys", kind: fieldWhole, help: "Empty: 2,000,000."},
		}},
		{"add_constant", "Add a constant", "", []stepField{
			{name: "column", label: "New column", kind: fieldText, required: true},
			{name: "value", label: "Value", kind: fieldValue, required: true, help: valueHelp},
			{name: "type", label: "Type", kind: fieldText, help: "Empty: as the value is."},
		}},
		{"script", "Run a script", "A Python script of this pipeline.", []stepField{{name: "script_name", label: "Script", kind: fieldChoice, required: true}}},
	}
}

// stepDraft is a step as it stands in the form; its values have the names of the
// config's keys.
type stepDraft struct {
	kind   stepKind
	values url.Values
}

func findKind(name string) (stepKind, bool) {
	list := stepKinds()
	at := slices.IndexFunc(list, func(k stepKind) bool { return k.name == name })
	if at < 0 {
		return stepKind{}, false
	}
	return list[at], true
}

// newDraft is an empty step, with what its config has by default.
func newDraft(k stepKind) stepDraft {
	d := stepDraft{k, url.Values{}}
	for _, f := range k.fields {
		if f.kind == fieldChoice && len(f.options) > 0 {
			d.values.Set(f.name, f.options[0].Value)
		}
	}
	switch k.name {
	case "concat_fields":
		d.values.Set("separator", " ")
		d.values.Set("target", "concatenated")
	case "mask":
		d.values.Set("method", "hash")
	}
	return d
}

// sentDrafts are the steps of a form that was sent, in its order.
func sentDrafts(form url.Values) []stepDraft {
	var list []stepDraft
	for i, name := range form["step"] {
		k, ok := findKind(name)
		if !ok {
			continue
		}
		d := stepDraft{k, url.Values{"comment": form[stepName(i, "comment")]}}
		for _, f := range k.fields {
			if len(f.columns) == 0 {
				d.values[f.name] = form[stepName(i, f.name)]
				continue
			}
			for c := range f.columns {
				d.values[rowName(f.name, c)] = form[stepName(i, rowName(f.name, c))]
			}
		}
		list = append(list, d)
	}
	return list
}

func stepName(i int, field string) string { return "step." + strconv.Itoa(i) + "." + field }

func rowName(field string, column int) string { return field + "." + strconv.Itoa(column) }

// storedDrafts reads the steps of a table for the form; ok is false when they
// hold what the form has no field for, and are to be edited as JSON.
func storedDrafts(config model.JSON) (list []stepDraft, ok bool) {
	if len(bytes.TrimSpace(config)) == 0 {
		return nil, true
	}
	var raw []struct {
		Type    string          `json:"type"`
		Config  json.RawMessage `json:"config"`
		Comment string          `json:"comment"`
	}
	if json.Unmarshal(config, &raw) != nil {
		return nil, false
	}
	for _, r := range raw {
		k, known := findKind(r.Type)
		pairs, object := pairsOf(r.Config)
		if !known || !object {
			return nil, false
		}
		d := newDraft(k)
		for _, f := range k.fields {
			if f.kind == fieldText {
				d.values.Del(f.name) // an absent text is the default, which the help names
			}
		}
		if k.name == "concat_fields" {
			d = newDraft(k)
		}
		d.values.Set("comment", r.Comment)
		for _, p := range pairs {
			at := slices.IndexFunc(k.fields, func(f stepField) bool { return f.name == p.key })
			if at < 0 || !d.read(k.fields[at], p.raw) {
				return nil, false
			}
		}
		list = append(list, d)
	}
	return list, true
}

// read takes one key of a config; false when the form cannot show it.
func (d stepDraft) read(f stepField, raw json.RawMessage) bool {
	if string(raw) == "null" && f.kind != fieldValue {
		return true
	}
	switch f.kind {
	case fieldText, fieldCode, fieldChoice:
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return false
		}
		d.values.Set(f.name, text)
	case fieldWhole:
		d.values.Set(f.name, string(raw))
	case fieldBox:
		d.values.Del(f.name)
		if string(raw) == "true" {
			d.values.Set(f.name, "true")
		}
	case fieldNames:
		var names []string
		if json.Unmarshal(raw, &names) != nil || slices.ContainsFunc(names, func(n string) bool { return strings.TrimSpace(n) != n || strings.Contains(n, "\n") }) {
			return false
		}
		d.values.Set(f.name, strings.Join(names, "\n"))
	case fieldValue:
		d.values.Set(f.name, valueText(raw))
	default:
		return d.readRows(f, raw)
	}
	return true
}

func (d stepDraft) readRows(f stepField, raw json.RawMessage) bool {
	pairs, ok := pairsOf(raw)
	if !ok {
		return false
	}
	for c := range f.columns {
		d.values.Del(rowName(f.name, c))
	}
	for _, p := range pairs {
		cells := make([]string, len(f.columns))
		cells[0] = p.key
		switch {
		case f.kind == fieldValues:
			cells[1] = valueText(p.raw)
		case f.kind == fieldCasts && p.raw[0] == '{':
			var cast map[string]string
			if json.Unmarshal(p.raw, &cast) != nil {
				return false
			}
			for i, key := range castKeys() {
				cells[i+1] = cast[key]
			}
		default:
			if json.Unmarshal(p.raw, &cells[1]) != nil {
				return false
			}
		}
		for c, cell := range cells {
			d.values.Add(rowName(f.name, c), cell)
		}
	}
	return true
}

func castKeys() []string { return []string{"type", "format", "timezone", "decimal", "thousands"} }

// pair is a key of a JSON object with its value.
type pair struct {
	key string
	raw json.RawMessage
}

// pairsOf reads a JSON object in its order; nothing is an empty one.
func pairsOf(raw json.RawMessage) (list []pair, ok bool) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return nil, true
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		token, err := d.Token()
		key, text := token.(string)
		var p pair
		if err != nil || !text || d.Decode(&p.raw) != nil {
			return nil, false
		}
		p.key = key
		list = append(list, p)
	}
	return list, true
}

// valueText writes a JSON value into a field, and textValue reads it back: what
// is no JSON is a text.
func valueText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && len(raw) > 0 && raw[0] == '"' && text != "" && !json.Valid([]byte(text)) && strings.TrimSpace(text) == text {
		return text
	}
	return string(raw)
}

func textValue(text string) json.RawMessage {
	if trimmed := strings.TrimSpace(text); json.Valid([]byte(trimmed)) {
		return json.RawMessage(trimmed)
	}
	return quoted(text)
}

func quoted(text string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string always can be
	return bytes.TrimSpace(b.Bytes())
}

// draftsJSON writes steps as a table's transform_config.
func draftsJSON(list []stepDraft) model.JSON {
	steps := make([]string, len(list))
	for i, d := range list {
		steps[i] = d.json()
	}
	return model.JSON("[" + strings.Join(steps, ",") + "]")
}

func (d stepDraft) json() string {
	var keys []string
	for _, f := range d.kind.fields {
		if raw := d.write(f); raw != nil {
			keys = append(keys, fmt.Sprintf("%s:%s", quoted(f.name), raw))
		}
	}
	comment := ""
	if text := strings.TrimSpace(d.values.Get("comment")); text != "" {
		comment = fmt.Sprintf(`,"comment":%s`, quoted(text))
	}
	return fmt.Sprintf(`{"type":%s,"config":{%s}%s}`, quoted(d.kind.name), strings.Join(keys, ","), comment)
}

// write is one key of a config; nil where it is left out.
func (d stepDraft) write(f stepField) json.RawMessage {
	text := d.values.Get(f.name)
	switch f.kind {
	case fieldBox:
		if text == "" {
			return nil
		}
		return json.RawMessage("true")
	case fieldNames:
		var names []string
		for line := range strings.Lines(text) {
			if name := strings.TrimSpace(line); name != "" {
				names = append(names, string(quoted(name)))
			}
		}
		if len(names) == 0 {
			return nil
		}
		return json.RawMessage("[" + strings.Join(names, ",") + "]")
	case fieldTexts, fieldValues, fieldCasts:
		return d.writeRows(f)
	}
	if text == "" && f.name != "separator" && f.name != "with" {
		return nil
	}
	switch f.kind {
	case fieldValue:
		return textValue(text)
	case fieldWhole:
		if _, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
			return json.RawMessage(strings.TrimSpace(text))
		}
	case fieldCode, fieldChoice:
		text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	}
	return quoted(text)
}

func (d stepDraft) writeRows(f stepField) json.RawMessage {
	var pairs []string
	keys := d.values[rowName(f.name, 0)]
	for i, key := range keys {
		cell := func(c int) string {
			if list := d.values[rowName(f.name, c)]; i < len(list) {
				return list[i]
			}
			return ""
		}
		if key == "" && cell(1) == "" {
			continue
		}
		value := quoted(cell(1))
		switch f.kind {
		case fieldValues:
			value = textValue(cell(1))
		case fieldCasts:
			var options []string
			for c, name := range castKeys()[1:] {
				if text := cell(c + 2); text != "" {
					options = append(options, fmt.Sprintf("%s:%s", quoted(name), quoted(text)))
				}
			}
			if len(options) > 0 {
				value = json.RawMessage(fmt.Sprintf(`{"type":%s,%s}`, value, strings.Join(options, ",")))
			}
		}
		pairs = append(pairs, fmt.Sprintf("%s:%s", quoted(key), value))
	}
	if len(pairs) == 0 {
		return nil
	}
	return json.RawMessage("{" + strings.Join(pairs, ",") + "}")
}

// stepViews draws steps; faults are by place: transform_config[2].config.column.
// What is wrong with no field of a step is said of the step, and what is wrong
// with no step is left over.
func stepViews(list []stepDraft, scripts []components.Option, faults []model.FieldError) (views []pages.StepForm, rest []string) {
	form := components.Form{Values: url.Values{}, Faults: map[string]string{}}
	steps := make([][]string, len(list))
	for _, fault := range faults {
		i, field, ok := faultPlace(fault.Field)
		if !ok || i >= len(list) {
			rest = append(rest, strings.TrimSpace(fault.Field+" "+fault.Message))
			continue
		}
		if slices.ContainsFunc(list[i].kind.fields, func(f stepField) bool { return f.name == field }) {
			name := stepName(i, field)
			form.Faults[name] = strings.TrimPrefix(form.Faults[name]+"; "+fault.Message, "; ")
		} else {
			steps[i] = append(steps[i], fault.Message)
		}
	}
	for i, d := range list {
		view := pages.StepForm{Index: i, Type: d.kind.name, Label: d.kind.label, Says: d.kind.says, Fault: strings.Join(steps[i], "; "), First: i == 0, Last: i == len(list)-1}
		form.Values.Set(stepName(i, "comment"), d.values.Get("comment"))
		view.Note = components.Field{Form: form, Name: stepName(i, "comment"), Label: "Note"}
		for _, f := range d.kind.fields {
			name := stepName(i, f.name)
			input := pages.StepInput{Kind: f.kind, Columns: f.columns, Field: components.Field{Form: form, Name: name, Label: f.label, Help: f.help, Required: f.required, Options: f.options}}
			if len(f.columns) > 0 {
				input.Kind = "rows"
				for r := range d.values[rowName(f.name, 0)] {
					row := make([]string, len(f.columns))
					for c := range row {
						if cells := d.values[rowName(f.name, c)]; r < len(cells) {
							row[c] = cells[r]
						}
					}
					if strings.Join(row, "") != "" {
						input.Rows = append(input.Rows, row)
					}
				}
				input.Rows = append(input.Rows, make([]string, len(f.columns))) // to go on in
			}
			if f.name == "script_name" {
				input.Field.Options = scripts
			}
			form.Values.Set(name, d.values.Get(f.name))
			view.Inputs = append(view.Inputs, input)
		}
		views = append(views, view)
	}
	return views, rest
}

// faultPlace takes the number of the step and the key of its config from the
// place of a fault.
func faultPlace(place string) (step int, field string, ok bool) {
	_, rest, ok := strings.Cut(place, "transform_config[")
	number, rest, closed := strings.Cut(rest, "]")
	step, err := strconv.Atoi(number)
	if !ok || !closed || err != nil || step < 0 {
		return 0, "", false
	}
	field = strings.TrimPrefix(rest, ".config.")
	if end := strings.IndexAny(field, ".["); end >= 0 {
		field = field[:end]
	}
	return step, field, true
}
