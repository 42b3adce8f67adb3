// Package declare reads the desired state of tables from files that people
// write: YAML or JSON, one table or a list of them, in the shape of the
// warehouse's schemas, with columns of keys and sort orders by name or by ID, and
// with the cases of enum columns. It turns them into declarations for servers.
package declare

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"arus/connectors/warehouse/schema"
)

// Table is one declared table.
type Table struct {
	Name  string
	Cases []Cases
	body  []byte // as the warehouse's interface takes it
}

// Cases are the enum cases that a column is to have, in the order of their numbers.
type Cases struct {
	Column string
	Names  []string
}

// New is the table where there is none yet.
func (t Table) New() (*schema.Table, error) { return schema.Decode(t.body) }

// Next is what becomes of the table that there is.
func (t Table) Next(current *schema.Table) (*schema.Table, error) { return current.DecodePush(t.body) }

// Read reads a file. A field that nobody knows is an error: it is a slip.
func Read(text []byte) ([]Table, error) {
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("the file is neither YAML nor JSON: %w", err)
	}
	var top any
	if err := json.Unmarshal(asJSON, &top); err != nil {
		return nil, fmt.Errorf("the file is neither YAML nor JSON: %w", err)
	}
	list, ok := top.([]any)
	if m, isMap := top.(map[string]any); isMap {
		if tables, given := m["tables"]; given && len(m) == 1 {
			list, ok = tables.([]any)
		} else {
			list, ok = []any{m}, true
		}
	}
	if !ok {
		return nil, fmt.Errorf("the file must hold a table, or tables: with a list of them")
	}
	out := make([]Table, 0, len(list))
	for i, item := range list {
		t, err := read(item)
		if err != nil {
			return nil, fmt.Errorf("table %d of the file: %w", i+1, err)
		}
		if slices.ContainsFunc(out, func(o Table) bool { return o.Name == t.Name }) {
			return nil, fmt.Errorf("the table %s stands in the file twice", t.Name)
		}
		out = append(out, t)
	}
	return out, nil
}

func read(item any) (Table, error) {
	m, ok := item.(map[string]any)
	if !ok {
		return Table{}, fmt.Errorf("it is no object with name, columns and primaryKeyColumns")
	}
	cases, err := takeCases(m)
	if err != nil {
		return Table{}, err
	}
	name, _ := m["name"].(string)
	if !schema.ValidName(name) {
		return Table{}, fmt.Errorf("%q is no name of a table: letters, digits and _, not a digit first", name)
	}
	if err := known(name, m, reflect.TypeFor[schema.Table]()); err != nil {
		return Table{}, err
	}
	columns, ok := m["columns"].([]any)
	if !ok {
		return Table{}, fmt.Errorf("%s has no columns", name)
	}
	ids := map[string]int{}
	for id, c := range columns {
		if c, ok := c.(map[string]any); ok && c["deleted"] != true {
			if n, ok := c["name"].(string); ok {
				ids[n] = id
			}
		}
	}
	for _, field := range []string{"primaryKeyColumns", "archivingSortColumns"} {
		list, _ := m[field].([]any)
		for i, c := range list {
			if n, ok := c.(string); ok {
				id, found := ids[n]
				if !found {
					return Table{}, fmt.Errorf("%s.%s: there is no column %q", name, field, n)
				}
				list[i] = id
			}
		}
	}
	body, err := json.Marshal(m)
	return Table{name, cases, body}, err
}

// takeCases takes the enum cases out of the columns, where the warehouse does not
// keep them.
func takeCases(m map[string]any) ([]Cases, error) {
	var all []Cases
	var err error
	columns, _ := m["columns"].([]any)
	for _, item := range columns {
		c, _ := item.(map[string]any)
		given, ok := c["enumCases"]
		if !ok {
			continue
		}
		delete(c, "enumCases")
		name, _ := c["name"].(string)
		typ, _ := c["type"].(string)
		list, ok := given.([]any)
		t, known := schema.ParseType(typ)
		if !ok || !known || !t.IsEnum() {
			return nil, fmt.Errorf("%v.%s: enumCases is a list of names, for SmallEnum and BigEnum columns", m["name"], name)
		}
		if c["deleted"] == true {
			continue
		}
		cases := Cases{Column: name}
		for _, v := range list {
			text, ok := v.(string)
			if !ok || slices.Contains(cases.Names, text) {
				return nil, fmt.Errorf("%v.%s: the enum case %v is no text, or stands there twice", m["name"], name, v)
			}
			cases.Names = append(cases.Names, text)
		}
		if cases.Names, err = defaultFirst(c, cases.Names); err != nil {
			return nil, fmt.Errorf("%v.%s: %w", m["name"], name, err)
		}
		if _, _, err := t.Cases(nil, cases.Names); err != nil {
			return nil, fmt.Errorf("%v.%s: %w", m["name"], name, err)
		}
		all = append(all, cases)
	}
	return all, nil
}

// known refuses fields that a struct does not have, within too.
func known(where string, m map[string]any, t reflect.Type) error {
	for key, value := range m {
		i := slices.IndexFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return name == key
		})
		if i < 0 {
			return fmt.Errorf("%s has no field %q", where, key)
		}
		inner := t.Field(i).Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
			list, _ := value.([]any)
			for n, item := range list {
				if fields, ok := item.(map[string]any); ok && inner.Kind() == reflect.Struct {
					if err := known(fmt.Sprintf("%s.%s[%d]", where, key, n), fields, inner); err != nil {
						return err
					}
				}
			}
		}
		if fields, ok := value.(map[string]any); ok && inner.Kind() == reflect.Struct {
			if err := known(where+"."+key, fields, inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// defaultFirst puts the cases of a column's default before the others: they are
// there from the beginning.
func defaultFirst(column map[string]any, names []string) ([]string, error) {
	def, ok := column["defaultValue"].(string)
	if !ok {
		return names, nil
	}
	typ, _ := column["type"].(string)
	need := schema.Column{Type: typ, DefaultValue: &def}.DefaultCases()
	slices.Sort(need)
	need = slices.Compact(need)
	if len(need) > 1 {
		need = need[:0] // of an array, whose cases come in the order of the default
	}
	switch i := slices.IndexFunc(names, func(n string) bool { return slices.Contains(need, n) }); {
	case i > 0:
		return nil, fmt.Errorf("the default %q has to be the first of enumCases", def)
	case i < 0:
		return append(need, names...), nil
	}
	return names, nil
}

// Write gives a table as a file that Read takes, with names for IDs and the enum
// cases of its columns by name.
func Write(t *schema.Table, cases map[string][]string) ([]byte, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	names := func(ids []int) []any {
		out := make([]any, len(ids))
		for i, id := range ids {
			out[i] = id
			if !t.Columns[id].Deleted {
				out[i] = t.Columns[id].Name
			}
		}
		return out
	}
	columns, _ := m["columns"].([]any)
	slim := make([]yaml.MapSlice, len(columns))
	for i, c := range columns {
		for _, field := range []string{"name", "type", "deleted", "defaultValue", "caseInsensitive", "disableAutoExpand", "notNull", "config", "hllConfig"} {
			value, ok := c.(map[string]any)[field]
			if inner, isMap := value.(map[string]any); ok && (!isMap || len(inner) > 0) {
				slim[i] = append(slim[i], yaml.MapItem{Key: field, Value: value})
			}
		}
		if names := cases[t.Columns[i].Name]; len(names) > 0 && !t.Columns[i].Deleted {
			slim[i] = append(slim[i], yaml.MapItem{Key: "enumCases", Value: names})
		}
	}
	out := yaml.MapSlice{{Key: "name", Value: t.Name}, {Key: "isFactTable", Value: t.IsFactTable}, {Key: "columns", Value: slim}, {Key: "primaryKeyColumns", Value: names(t.PrimaryKeyColumns)}}
	if len(t.ArchivingSortColumns) > 0 {
		out = append(out, yaml.MapItem{Key: "archivingSortColumns", Value: names(t.ArchivingSortColumns)})
	}
	var config yaml.MapSlice
	for _, f := range reflect.VisibleFields(reflect.TypeFor[schema.Config]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if v := reflect.ValueOf(t.Config).FieldByIndex(f.Index); v.Interface() != reflect.ValueOf(schema.DefaultConfig()).FieldByIndex(f.Index).Interface() {
			config = append(config, yaml.MapItem{Key: name, Value: v.Interface()})
		}
	}
	if len(config) > 0 {
		out = append(out, yaml.MapItem{Key: "config", Value: config})
	}
	return yaml.Marshal(out)
}
