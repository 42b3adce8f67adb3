package connectors

import "strings"

// Column is one column of a table as a connector sees it.
type Column struct {
	Name      string
	Type      Type
	Native    string // the database's own spelling of the type, for people
	Nullable  bool
	Generated bool // computed by the source; copied as a plain value

	// NullShare is the share of rows without a value, 0-1, by the database's
	// statistics, for columns with a watermark's name; nil when it does not say.
	NullShare *float64
}

// TableRef names a table. Schema is empty where a database has none.
type TableRef struct {
	Schema string
	Name   string
}

// String is schema.name, or name without a schema; for people, never for SQL.
func (r TableRef) String() string {
	if r.Schema == "" {
		return r.Name
	}
	return r.Schema + "." + r.Name
}

// Table is what discovery knows about a table.
type Table struct {
	TableRef
	DefaultSchema bool // Schema is the source's own default, so names need no prefix
	View          bool
	Managed       bool // has the metadata columns, so Arus made it (only from Destination.Table)
	Declared      bool // somebody declared it: columns that no load brings have their defaults (likewise)
	Columns       []Column
	PrimaryKey    []string   // column names in key order; empty without a key
	UniqueKeys    [][]string // of NOT NULL columns, besides the primary key
	Indexed       []string   // columns that lead an index
	RowEstimate   int64      // -1 when the source does not say
	Bytes         int64      // -1 when the source does not say
}

// Column finds a column by its exact name, then by its name without regard to case.
func (t Table) Column(name string) (Column, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c, true
		}
	}
	return Column{}, false
}

// ColumnNames lists the names of the columns in order.
func ColumnNames(columns []Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}
