package schema

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxName is the longest name of a table or column, in bytes.
	MaxName = 255
	// MaxColumns is how many columns a table can ever have had: IDs 0 to 65535.
	MaxColumns = 65536
	// MaxCase is the longest enum case, in bytes.
	MaxCase = 1024
)

// Table is a table's schema. A column's position is its ID.
type Table struct {
	Name                 string   `json:"name"`
	Columns              []Column `json:"columns"`
	PrimaryKeyColumns    []int    `json:"primaryKeyColumns"`
	IsFactTable          bool     `json:"isFactTable"`
	Config               Config   `json:"config"`
	ArchivingSortColumns []int    `json:"archivingSortColumns,omitempty"`
	Incarnation          int      `json:"incarnation"`
	Version              int      `json:"version"`
	// Loaded says that no person declared the table: a load made it and may make
	// it anew in another shape.
	Loaded bool `json:"loaded,omitempty"`
}

// Column is one column. A deleted one stays as a placeholder.
type Column struct {
	Name              string       `json:"name"`
	Type              string       `json:"type"`
	Deleted           bool         `json:"deleted,omitempty"`
	DefaultValue      *string      `json:"defaultValue,omitempty"`
	CaseInsensitive   bool         `json:"caseInsensitive,omitempty"`
	DisableAutoExpand bool         `json:"disableAutoExpand,omitempty"`
	NotNull           bool         `json:"notNull,omitempty"`
	Config            ColumnConfig `json:"config"`
	HLLConfig         HLLConfig    `json:"hllConfig"`
}

// ColumnConfig is what may change about a column.
type ColumnConfig struct {
	PreloadingDays int   `json:"preloadingDays,omitempty"`
	Priority       int64 `json:"priority,omitempty"`
}

// HLLConfig marks a column of hashes for counting distinct values.
type HLLConfig struct {
	IsHLLColumn bool `json:"isHLLColumn,omitempty"`
}

// Config is what may change about a table. All fields are written, zeroes too.
type Config struct {
	InitPrimaryKeyNumBuckets int    `json:"initPrimaryKeyNumBuckets"`
	BatchSize                int    `json:"batchSize"`
	RedoLogRotationInterval  int    `json:"redoLogRotationInterval"`
	MaxRedoLogFileSize       int    `json:"maxRedoLogFileSize"`
	ArchivingDelayMinutes    uint32 `json:"archivingDelayMinutes"`
	ArchivingIntervalMinutes uint32 `json:"archivingIntervalMinutes"`
	BackfillIntervalMinutes  uint32 `json:"backfillIntervalMinutes"`
	BackfillMaxBufferSize    int64  `json:"backfillMaxBufferSize"`
	BackfillThresholdInBytes int64  `json:"backfillThresholdInBytes"`
	BackfillStoreBatchSize   int    `json:"backfillStoreBatchSize"`
	RecordRetentionInDays    int    `json:"recordRetentionInDays"`
	SnapshotThreshold        int    `json:"snapshotThreshold"`
	SnapshotIntervalMinutes  int    `json:"snapshotIntervalMinutes"`
	AllowMissingEventTime    bool   `json:"allowMissingEventTime"`
	// TimeSource names the column of a load whose timestamp becomes the time
	// column of a fact table; "" = the load has a column of that name.
	TimeSource string `json:"timeSource,omitempty"`
}

// DefaultConfig is what a table has where nothing else is said.
func DefaultConfig() Config {
	return Config{
		BatchSize: 2_097_152, RedoLogRotationInterval: 10_800, MaxRedoLogFileSize: 1 << 30,
		ArchivingDelayMinutes: 1440, ArchivingIntervalMinutes: 180,
		BackfillIntervalMinutes: 60, BackfillMaxBufferSize: 1 << 32, BackfillThresholdInBytes: 1 << 21, BackfillStoreBatchSize: 20_000,
		RecordRetentionInDays: 90, SnapshotThreshold: 6_291_456, SnapshotIntervalMinutes: 360,
	}
}

// Clone copies the table.
func (t *Table) Clone() *Table {
	c := *t
	c.Columns = slices.Clone(t.Columns)
	c.PrimaryKeyColumns = slices.Clone(t.PrimaryKeyColumns)
	c.ArchivingSortColumns = slices.Clone(t.ArchivingSortColumns)
	return &c
}

// ColumnID finds a column that is not deleted, -1 when there is none.
func (t *Table) ColumnID(name string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return !c.Deleted && c.Name == name })
}

// IsKey says whether a column is part of the primary key.
func (t *Table) IsKey(id int) bool { return slices.Contains(t.PrimaryKeyColumns, id) }

// DataType parses a column's type, which was validated.
func (t *Table) DataType(id int) Type {
	typ, _ := ParseType(t.Columns[id].Type)
	return typ
}

// SortPrefix are the archiving sort columns that may narrow a read: up to the
// first placeholder of a deleted column.
func (t *Table) SortPrefix() []int {
	for i, id := range t.ArchivingSortColumns {
		if t.Columns[id].Deleted {
			return t.ArchivingSortColumns[:i]
		}
	}
	return t.ArchivingSortColumns
}

// UnmarshalJSON refuses a default that is given as null.
func (c *Column) UnmarshalJSON(data []byte) error {
	type plain Column
	var raw struct {
		DefaultValue json.RawMessage `json:"defaultValue"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	if string(raw.DefaultValue) == "null" {
		return fail(Invalid, MsgNullDefault)
	}
	return json.Unmarshal(data, (*plain)(c))
}

// AddColumn is the body of a request for a new column.
type AddColumn struct {
	Column
	AddToArchivingSortOrder bool `json:"addToArchivingSortOrder,omitempty"`
}

// UnmarshalJSON decodes the column and the wish beside it.
func (a *AddColumn) UnmarshalJSON(data []byte) error {
	var extra struct {
		AddToArchivingSortOrder bool `json:"addToArchivingSortOrder"`
	}
	if err := json.Unmarshal(data, &extra); err != nil {
		return err
	}
	a.AddToArchivingSortOrder = extra.AddToArchivingSortOrder
	return json.Unmarshal(data, &a.Column)
}

// ValidName says whether a table can have the name: it is a directory's and a
// URL's part.
func ValidName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c != '_' && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return name != "" && len(name) <= MaxName
}

// ValidColumnName says whether a column can have the name.
func ValidColumnName(name string) bool {
	return name != "" && len(name) <= MaxName && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f })
}

// Enums are the cases of enum columns in the order of their numbers, by column ID.
type Enums map[int][]string

// Clone copies the dictionaries.
func (e Enums) Clone() Enums {
	c := maps.Clone(e)
	for id, cases := range c {
		c[id] = slices.Clone(cases)
	}
	return c
}
