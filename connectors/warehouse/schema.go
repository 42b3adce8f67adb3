package warehouse

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"arus/connectors"
)

// maxName is the longest name of a table or column, in bytes.
const maxName = 255

// maxColumns is how many columns a table may ever have had (IDs 0 to 65535); a
// live file holds fewer.
const (
	maxColumns     = 65536
	maxLiveColumns = 2000
)

// rowColumn is the hidden key of tables that have no key of their own.
const rowColumn = "_arus_row"

var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// schema is schema.json: AresDB's table schema, with the types this warehouse
// has beside AresDB's.
type schema struct {
	Name              string         `json:"name"`
	Columns           []schemaColumn `json:"columns"`
	PrimaryKeyColumns []int          `json:"primaryKeyColumns"`
	IsFactTable       bool           `json:"isFactTable"`
	Config            tableConfig    `json:"config"`
	Incarnation       int            `json:"incarnation"`
	Version           int            `json:"version"`
}

// schemaColumn is one column; its position is its ID.
type schemaColumn struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Deleted   bool     `json:"deleted,omitempty"`
	NotNull   bool     `json:"notNull,omitempty"`
	Config    struct{} `json:"config"`
	HLLConfig struct{} `json:"hllConfig"`

	typ connectors.Type
}

// tableConfig has AresDB's defaults for what a dimension table uses.
type tableConfig struct {
	BatchSize               int `json:"batchSize"`
	SnapshotThreshold       int `json:"snapshotThreshold"`
	SnapshotIntervalMinutes int `json:"snapshotIntervalMinutes"`
}

func newSchema(name string) *schema {
	return &schema{
		Name: name, Columns: []schemaColumn{}, PrimaryKeyColumns: []int{},
		Config: tableConfig{BatchSize: 2_097_152, SnapshotThreshold: 6_291_456, SnapshotIntervalMinutes: 360}, Version: 1,
	}
}

func (s *schema) clone() *schema {
	c := *s
	c.Columns = slices.Clone(s.Columns)
	c.PrimaryKeyColumns = slices.Clone(s.PrimaryKeyColumns)
	return &c
}

// resolve checks what was read from disk and fills in the types.
func (s *schema) resolve() error {
	for i := range s.Columns {
		t, err := parseType(s.Columns[i].Type)
		if err != nil {
			return err
		}
		s.Columns[i].typ = t
	}
	for _, id := range s.PrimaryKeyColumns {
		if id < 0 || id >= len(s.Columns) {
			return fmt.Errorf("the schema's key names column %d, which does not exist", id)
		}
	}
	if len(s.PrimaryKeyColumns) == 0 {
		return errors.New("the schema has no primary key")
	}
	return nil
}

// id finds a live column, -1 when there is none.
func (s *schema) id(name string) int {
	return slices.IndexFunc(s.Columns, func(c schemaColumn) bool { return !c.Deleted && c.Name == name })
}

func (s *schema) add(name string, t connectors.Type, notNull bool) {
	s.Columns = append(s.Columns, schemaColumn{Name: name, Type: typeName(t), NotNull: notNull, typ: t})
}

// keyNames is the key as people chose it: none for a table that has only the hidden one.
func (s *schema) keyNames() []string {
	var names []string
	for _, id := range s.PrimaryKeyColumns {
		if s.Columns[id].Name != rowColumn {
			names = append(names, s.Columns[id].Name)
		}
	}
	return names
}

// rowidColumn is the ID of the key column that is SQLite's rowid, -1 without one.
func (s *schema) rowidColumn() int {
	if len(s.PrimaryKeyColumns) != 1 {
		return -1
	}
	id := s.PrimaryKeyColumns[0]
	if k := s.Columns[id].typ.Kind; k.IsInteger() && k != connectors.Uint64 {
		return id
	}
	return -1
}

// managed says whether a load made the table: it has the metadata columns.
func (s *schema) managed() bool {
	return s.id(connectors.MetaRunID) >= 0 && s.id(connectors.MetaSyncedAt) >= 0
}

// table describes the table to the outside: without deleted and hidden columns
// and, in tables that loads made, without the metadata columns.
func (s *schema) table() connectors.Table {
	t := connectors.Table{TableRef: connectors.TableRef{Name: s.Name}, DefaultSchema: true, Managed: s.managed(), PrimaryKey: s.keyNames(), RowEstimate: -1, Bytes: -1}
	for _, c := range s.Columns {
		if c.Deleted || c.Name == rowColumn || t.Managed && (c.Name == connectors.MetaRunID || c.Name == connectors.MetaSyncedAt) {
			continue
		}
		t.Columns = append(t.Columns, connectors.Column{Name: c.Name, Type: c.typ, Native: c.Type, Nullable: !c.NotNull})
	}
	if len(t.PrimaryKey) > 0 {
		t.Indexed = t.PrimaryKey[:1]
	}
	return t
}

// forLoad is the schema of a table made anew for a load.
func forLoad(name string, columns []connectors.Column, key []string) (*schema, error) {
	s := newSchema(name)
	for _, c := range columns {
		s.add(c.Name, c.Type, slices.Contains(key, c.Name))
	}
	s.add(connectors.MetaRunID, connectors.Type{Kind: connectors.UUID}, true)
	s.add(connectors.MetaSyncedAt, connectors.Type{Kind: connectors.TimestampTZ}, false)
	if len(key) == 0 {
		s.add(rowColumn, connectors.Type{Kind: connectors.Int64}, true)
		key = []string{rowColumn}
	}
	err := s.setKey(key)
	return s, err
}

func (s *schema) setKey(key []string) error {
	s.PrimaryKeyColumns = s.PrimaryKeyColumns[:0]
	for _, name := range key {
		id := s.id(name)
		if id < 0 {
			return fmt.Errorf("the key column %s is not among the columns", name)
		}
		if slices.Contains(s.PrimaryKeyColumns, id) {
			return fmt.Errorf("the key names column %s twice", name)
		}
		s.PrimaryKeyColumns = append(s.PrimaryKeyColumns, id)
	}
	return nil
}

// same says whether a full refresh with these columns can keep the schema.
func (s *schema) same(o *schema) bool {
	return slices.EqualFunc(s.Columns, o.Columns, func(a, b schemaColumn) bool {
		return a.Name == b.Name && a.Deleted == b.Deleted && a.NotNull == b.NotNull && a.Type == b.Type
	}) && slices.Equal(s.PrimaryKeyColumns, o.PrimaryKeyColumns)
}

// checkColumns refuses what a table cannot have.
func checkColumns(columns []connectors.Column) error {
	seen := map[string]bool{connectors.MetaRunID: true, connectors.MetaSyncedAt: true, rowColumn: true}
	if len(columns) == 0 {
		return errors.New("there are no columns")
	}
	if len(columns)+len(seen) > maxLiveColumns {
		return fmt.Errorf("it has %d columns, and %d are what a table can hold", len(columns), maxLiveColumns-len(seen))
	}
	for _, c := range columns {
		if seen[c.Name] {
			return fmt.Errorf("the column name %q is taken or stands there twice", c.Name)
		}
		seen[c.Name] = true
		if c.Name == "" || len(c.Name) > maxName {
			return fmt.Errorf("a column name has 1 to %d bytes, %q does not", maxName, c.Name)
		}
		if kindNames[c.Type.Kind] == "" {
			return fmt.Errorf("column %s has no type", c.Name)
		}
	}
	return nil
}

// checkName refuses names that are no table's.
func checkName(op, name string) error {
	if len(name) <= maxName && namePattern.MatchString(name) {
		return nil
	}
	return &connectors.Error{
		Kind: connectors.KindInvalid, Op: op, Object: name, Err: errors.New("this cannot be a table's name here"),
		Hint: fmt.Sprintf("use letters, digits and _, not a digit first, at most %d bytes", maxName),
	}
}
