package schema

import (
	"fmt"
	"slices"
)

// Validate checks a new table in AresDB's order and gives the first fault.
func Validate(t *Table) error {
	if !ValidName(t.Name) {
		return fail(Invalid, fmt.Sprintf(msgName, "table"))
	}
	if len(t.Columns) > MaxColumns {
		return fail(Conflict, MsgColumnLimit)
	}
	if err := t.validateColumns(nil); err != nil {
		return err
	}
	if t.IsFactTable && (len(t.Columns) == 0 || t.Columns[0].Deleted) {
		return fail(Invalid, MsgTimeFirst)
	}
	if !slices.ContainsFunc(t.Columns, func(c Column) bool { return !c.Deleted }) {
		return fail(Invalid, MsgNoColumns)
	}
	if err := t.validateKey(); err != nil {
		return err
	}
	if err := t.validateConfig(); err != nil {
		return err
	}
	return t.validateSort(0)
}

// validateColumns checks the columns one by one. A name may be that of a column
// which was deleted in an earlier version.
func (t *Table) validateColumns(old *Table) error {
	seen := make(map[string]bool, len(t.Columns))
	for id, c := range t.Columns {
		if seen[c.Name] && (!c.Deleted || old == nil) {
			return failColumn(Conflict, MsgColumnDuplicate, c.Name)
		}
		if !c.Deleted || old == nil {
			seen[c.Name] = true
		}
		if !ValidColumnName(c.Name) {
			return fail(Invalid, msgColumnName)
		}
		typ, ok := ParseType(c.Type)
		if !ok {
			return failColumn(Invalid, MsgDataType, c.Name)
		}
		isTime := t.IsFactTable && id == 0
		hll := c.HLLConfig.IsHLLColumn
		switch {
		case isTime && !typ.Is(Uint32):
			return fail(Invalid, MsgTimeFirst)
		case hll && !typ.Is(Uint32) && !typ.Is(Int32) && !typ.Is(Int64) && !typ.Is(UUID):
			return fail(Invalid, fmt.Sprintf("data Type %s not allowed for fast hll aggregation, valid options: [Uint32|Int32|Int64|UUID]", c.Type))
		case isTime && hll:
			return fail(Invalid, MsgTimeHLL)
		case c.DefaultValue == nil:
			continue
		case isTime:
			return fail(Invalid, MsgTimeDefault)
		case hll:
			return fail(Invalid, MsgHLLDefault)
		}
		if _, err := typ.Canonical(*c.DefaultValue); err != nil {
			return err
		}
		if _, _, err := typ.Cases(nil, c.DefaultCases()); err != nil {
			return err
		}
	}
	return nil
}

// member checks one entry of a list of column IDs.
func (t *Table) member(id int, before []int, typeMessage string) error {
	switch {
	case id < 0 || id >= len(t.Columns):
		return fail(Invalid, MsgColumnMissing)
	case t.Columns[id].Deleted:
		return failColumn(Invalid, MsgColumnDeleted, t.Columns[id].Name)
	case slices.Contains(before, id):
		return failColumn(Invalid, MsgColumnRepeated, t.Columns[id].Name)
	case !t.DataType(id).keyable():
		return failColumn(Invalid, typeMessage, t.Columns[id].Name)
	}
	return nil
}

func (t *Table) validateKey() error {
	if len(t.PrimaryKeyColumns) == 0 {
		return fail(Invalid, MsgKeyMissing)
	}
	for i, id := range t.PrimaryKeyColumns {
		if err := t.member(id, t.PrimaryKeyColumns[:i], MsgKeyType); err != nil {
			return err
		}
		if t.Columns[id].HLLConfig.IsHLLColumn {
			return failColumn(Invalid, MsgKeyType, t.Columns[id].Name)
		}
	}
	return nil
}

// validateSort checks the sort columns from the given position on: earlier ones
// were valid when they came and may be placeholders now.
func (t *Table) validateSort(from int) error {
	if !t.IsFactTable {
		if len(t.ArchivingSortColumns) > 0 {
			return fail(Invalid, MsgSortOnDimension)
		}
		return nil
	}
	for i := from; i < len(t.ArchivingSortColumns); i++ {
		if err := t.member(t.ArchivingSortColumns[i], t.ArchivingSortColumns[:i], MsgSortType); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) validateConfig() error {
	c := t.Config
	for _, f := range []struct {
		name  string
		value int64
		least int64
	}{
		{"BatchSize", int64(c.BatchSize), 1},
		{"RedoLogRotationInterval", int64(c.RedoLogRotationInterval), 1},
		{"MaxRedoLogFileSize", int64(c.MaxRedoLogFileSize), 1},
		{"ArchivingDelayMinutes", int64(c.ArchivingDelayMinutes), 1},
		{"ArchivingIntervalMinutes", int64(c.ArchivingIntervalMinutes), 1},
		{"BackfillIntervalMinutes", int64(c.BackfillIntervalMinutes), 1},
		{"BackfillMaxBufferSize", c.BackfillMaxBufferSize, 1},
		{"BackfillThresholdInBytes", c.BackfillThresholdInBytes, 1},
		{"BackfillStoreBatchSize", int64(c.BackfillStoreBatchSize), 1},
		{"RecordRetentionInDays", int64(c.RecordRetentionInDays), 0},
		{"SnapshotThreshold", int64(c.SnapshotThreshold), 1},
		{"SnapshotIntervalMinutes", int64(c.SnapshotIntervalMinutes), 1},
	} {
		if f.value < f.least {
			return fail(Invalid, fmt.Sprintf(msgConfig, f.name))
		}
	}
	if c.TimeSource != "" && !t.IsFactTable {
		return fail(Invalid, msgTimeSourceUnknown)
	}
	return nil
}

// ValidateUpdate checks that a table may become another one.
func ValidateUpdate(old, next *Table) error {
	if len(next.Columns) > MaxColumns {
		return fail(Conflict, MsgColumnLimit)
	}
	if next.Name != old.Name || next.IsFactTable != old.IsFactTable {
		return fail(Conflict, MsgImmutable)
	}
	if len(next.Columns) < len(old.Columns) {
		return fail(Conflict, MsgColumnCount)
	}
	for id, was := range old.Columns {
		is := next.Columns[id]
		switch {
		case was.Deleted && !is.Deleted:
			return failColumn(Conflict, MsgColumnReuse, is.Name)
		case is.Name != was.Name || is.Type != was.Type || !sameText(is.DefaultValue, was.DefaultValue) || is.CaseInsensitive != was.CaseInsensitive ||
			is.DisableAutoExpand != was.DisableAutoExpand || is.HLLConfig != was.HLLConfig || is.NotNull != was.NotNull:
			return failColumn(Conflict, MsgImmutable, was.Name)
		case is.Deleted && !was.Deleted:
			if err := old.deletable(id); err != nil {
				return err
			}
		}
	}
	if !slices.Equal(next.PrimaryKeyColumns, old.PrimaryKeyColumns) {
		return fail(Conflict, MsgKeyChanged)
	}
	if !slices.Equal(next.ArchivingSortColumns, old.ArchivingSortColumns) {
		return fail(Conflict, MsgSortChanged)
	}
	if old.Config.AllowMissingEventTime && !next.Config.AllowMissingEventTime && old.IsFactTable {
		return fail(Conflict, MsgEventTime)
	}
	if err := next.validateColumns(old); err != nil {
		return err
	}
	return next.validateConfig()
}

// deletable says whether a column that exists may be deleted.
func (t *Table) deletable(id int) error {
	switch {
	case t.IsFactTable && id == 0:
		return fail(Conflict, MsgTimeDeleted)
	case t.IsKey(id):
		return fail(Conflict, MsgKeyDeleted)
	}
	return nil
}

func sameText(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
