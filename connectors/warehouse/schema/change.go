package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Decode reads the body of a request for a new table. What the body does not say
// about the configuration has its default.
func Decode(body []byte) (*Table, error) {
	t := &Table{Config: DefaultConfig()}
	if err := decode(body, t); err != nil {
		return nil, err
	}
	t.fill()
	return t, nil
}

// fill makes absent lists empty ones.
func (t *Table) fill() {
	if t.Columns == nil {
		t.Columns = []Column{}
	}
	if t.PrimaryKeyColumns == nil {
		t.PrimaryKeyColumns = []int{}
	}
}

func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return fail(Invalid, MsgBadJSON)
}

// DecodeColumn reads the body of a request for a new column.
func DecodeColumn(body []byte) (AddColumn, error) {
	var c AddColumn
	err := decode(body, &c)
	return c, err
}

// Create checks a new table and gives it its first version, with the enum cases
// that its defaults need.
func Create(t *Table) (*Table, Enums, error) {
	next := t.Clone()
	next.fill()
	next.Version = 1
	if err := Validate(next); err != nil {
		return nil, nil, err
	}
	enums, err := next.defaultCases(Enums{}, 0)
	return next, enums, err
}

// defaultCases adds the cases of the defaults of the columns from an ID on.
func (t *Table) defaultCases(enums Enums, from int) (Enums, error) {
	enums = enums.Clone()
	if enums == nil {
		enums = Enums{}
	}
	for id := from; id < len(t.Columns); id++ {
		if need := t.Columns[id].DefaultCases(); len(need) > 0 {
			cases, _, err := t.DataType(id).Cases(enums[id], need)
			if err != nil {
				return nil, err
			}
			enums[id] = cases
		}
	}
	return enums, nil
}

// Change is one effect that a new version of a schema has.
type Change struct {
	Kind   ChangeKind `json:"kind"`
	Column string     `json:"column,omitempty"`
	ID     int        `json:"id"`
	Detail string     `json:"detail"` // for people
}

// ChangeKind names what a change does.
type ChangeKind string

// The kinds of changes.
const (
	TableCreated        ChangeKind = "create table"
	ColumnAdded         ChangeKind = "add column"
	ColumnDropped       ChangeKind = "delete column"
	ColumnConfigured    ChangeKind = "configure column"
	TableConfigured     ChangeKind = "configure table"
	DeclarationAccepted ChangeKind = "declare table"
)

// Update is a table's next version.
type Update struct {
	Next    *Table
	Enums   Enums
	Changes []Change
	Dropped []int // the columns whose data goes
}

// Update checks next against the table and says what changes. Nothing may be
// done when it fails; with no change Next is the table itself.
func (t *Table) Update(next *Table, enums Enums) (Update, error) {
	next = next.Clone()
	next.fill()
	next.Incarnation = t.Incarnation
	next.Loaded = t.Loaded && next.Loaded
	if err := ValidateUpdate(t, next); err != nil {
		return Update{}, err
	}
	u := Update{Next: next}
	for id, is := range next.Columns {
		if id >= len(t.Columns) {
			detail := is.Type
			if is.DefaultValue != nil {
				detail += fmt.Sprintf(" with default %q", *is.DefaultValue)
			}
			u.Changes = append(u.Changes, Change{ColumnAdded, is.Name, id, detail})
			continue
		}
		was := t.Columns[id]
		if is.Deleted && !was.Deleted {
			u.Dropped = append(u.Dropped, id)
			u.Changes = append(u.Changes, Change{ColumnDropped, is.Name, id, "its data goes, its ID is not used again"})
		}
		if is.Config != was.Config {
			u.Changes = append(u.Changes, Change{ColumnConfigured, is.Name, id, fmt.Sprintf("%+v", is.Config)})
		}
	}
	if next.Config != t.Config {
		u.Changes = append(u.Changes, Change{TableConfigured, "", -1, configDiff(t.Config, next.Config)})
	}
	if t.Loaded && !next.Loaded {
		u.Changes = append(u.Changes, Change{DeclarationAccepted, "", -1, "loads keep its shape"})
	}
	if len(u.Changes) == 0 {
		return Update{Next: t, Enums: enums}, nil
	}
	next.Version = t.Version + 1
	var err error
	if u.Enums, err = next.defaultCases(enums, len(t.Columns)); err != nil {
		return Update{}, err
	}
	for _, id := range u.Dropped {
		delete(u.Enums, id)
	}
	return u, nil
}

func configDiff(was, is Config) string {
	a, b := reflect.ValueOf(was), reflect.ValueOf(is)
	text := ""
	for i := range a.NumField() {
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); x != y {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%s %v -> %v", a.Type().Field(i).Name, x, y)
		}
	}
	return text
}

// Push is the change to a desired state, as another service keeps it: an empty
// configuration or sort list keeps the present one, the incarnation is the
// table's, and a version that is given must be above the table's.
func (t *Table) Push(desired *Table, enums Enums) (Update, error) {
	if desired.Version != 0 && desired.Version <= t.Version {
		return Update{}, fail(Conflict, MsgVersion)
	}
	next := desired.Clone()
	if next.Config == (Config{}) {
		next.Config = t.Config
	}
	for id := range min(len(next.Columns), len(t.Columns)) {
		if next.Columns[id].Config == (ColumnConfig{}) {
			next.Columns[id].Config = t.Columns[id].Config
		}
		next.Columns[id].NotNull = t.Columns[id].NotNull
	}
	if len(next.ArchivingSortColumns) == 0 {
		next.ArchivingSortColumns = t.ArchivingSortColumns
	}
	u, err := t.Update(next, enums)
	if err == nil && desired.Version > u.Next.Version {
		u.Next.Version = desired.Version
	}
	return u, err
}

// DecodePush reads the body of a request that changes a table: a whole table, or
// the part of its configuration that is to change.
func (t *Table) DecodePush(body []byte) (*Table, error) {
	var probe struct {
		Columns json.RawMessage `json:"columns"`
	}
	if err := decode(body, &probe); err != nil {
		return nil, err
	}
	if probe.Columns == nil {
		next := t.Clone()
		next.Version = 0
		return next, decode(body, &next.Config)
	}
	// What the body says about the configuration changes, the rest stays.
	next := &Table{Config: t.Config}
	if err := decode(body, next); err != nil {
		return nil, err
	}
	next.fill()
	return next, nil
}

// WithColumn is the table with one column more.
func (t *Table) WithColumn(c AddColumn) (*Table, error) {
	if c.AddToArchivingSortOrder {
		return nil, fail(Conflict, MsgSortChanged)
	}
	if t.ColumnID(c.Name) >= 0 {
		return nil, failColumn(Conflict, MsgColumnDuplicate, c.Name)
	}
	if c.Deleted {
		return nil, failColumn(Invalid, MsgColumnDeleted, c.Name)
	}
	next := t.Clone()
	next.Columns = append(next.Columns, c.Column)
	return next, nil
}

// WithoutColumn is the table with a column deleted.
func (t *Table) WithoutColumn(name string) (*Table, error) {
	id := t.ColumnID(name)
	if id < 0 {
		return nil, fail(NotFound, MsgColumnMissing)
	}
	if err := t.deletable(id); err != nil {
		return nil, err
	}
	next := t.Clone()
	next.Columns[id].Deleted = true
	return next, nil
}

// WithColumnConfig is the table with another configuration of a column.
func (t *Table) WithColumnConfig(name string, body []byte) (*Table, error) {
	id := t.ColumnID(name)
	if id < 0 {
		return nil, fail(NotFound, MsgColumnMissing)
	}
	next := t.Clone()
	return next, decode(body, &next.Columns[id].Config)
}

// EnumColumn finds an enum column.
func (t *Table) EnumColumn(name string) (int, error) {
	id := t.ColumnID(name)
	if id < 0 {
		return -1, fail(NotFound, MsgColumnMissing)
	}
	if !t.DataType(id).IsEnum() {
		return -1, fail(Conflict, MsgNotEnum)
	}
	return id, nil
}
