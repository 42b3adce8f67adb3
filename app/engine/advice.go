package engine

import (
	"fmt"
	"slices"
	"strings"

	"arus/connectors"
)

// Advice says by which column a table would be read incrementally, and why.
type Advice struct {
	Column   string   `json:"column"` // empty: every run reads the whole table
	Reason   string   `json:"reason"`
	Warnings []string `json:"warnings"` // what makes the column less good than it could be
}

// Advise chooses the watermark column of a table nobody configured.
func Advise(t connectors.Table) Advice {
	c, reason, _ := chooseWatermark(t, "")
	a := Advice{Reason: reason, Warnings: []string{}}
	warn := func(format string, args ...any) { a.Warnings = append(a.Warnings, fmt.Sprintf(format, args...)) }
	for _, col := range t.Columns {
		if tellsDeletion(col.Name) {
			warn("column %s looks as if it marked deleted rows: they stay as they are unless it is named as the soft delete column", col.Name)
		}
	}
	if c == nil {
		return a
	}
	a.Column = c.Name
	if _, created := connectors.WatermarkRank(c.Name); created {
		warn("it tells when a row was made: changes to old rows are not found")
	}
	if !slices.Contains(t.Indexed, c.Name) {
		warn("it leads no index: every run scans the table")
	}
	switch {
	case !c.Nullable:
	case c.NullShare == nil:
		warn("it may be NULL: such rows are read again by every run")
	case *c.NullShare > 0:
		warn("%.1f %% of its values are NULL: such rows are read again by every run", *c.NullShare*100)
	}
	if c.Type.Kind == connectors.Date {
		warn("it has no time of day: every run reads the last day again")
	}
	if len(t.PrimaryKey) == 0 && len(t.UniqueKeys) == 0 {
		warn("the table has no key: what was read since the watermark is replaced as a whole")
	}
	return a
}

// tellsDeletion says whether a column's name suggests that it marks rows as
// deleted. That is advice only: nothing is deleted by a name.
func tellsDeletion(name string) bool {
	switch strings.ReplaceAll(strings.ToLower(name), "_", "") {
	case "deletedat", "deletedon", "deleteddate", "datedeleted", "deletetime", "isdeleted", "deleted", "removedat", "isremoved":
		return true
	}
	return false
}

// chooseWatermark is the configured column, else the best recognised one whose
// type can order rows in time; nil when there is none.
func chooseWatermark(t connectors.Table, configured string) (*connectors.Column, string, error) {
	if configured != "" {
		c, ok := t.Column(configured)
		if !ok {
			return nil, "", unknownColumn(t, "watermark", configured)
		}
		if !canOrder(c.Type.Kind) {
			return nil, "", &connectors.Error{
				Kind: connectors.KindInvalid, Op: "use as watermark", Object: t.String() + "." + c.Name,
				Err: fmt.Errorf("a column of type %s cannot say which rows are new", c.Type), Hint: "choose a timestamp, date or ever-growing number",
			}
		}
		return &c, "watermark " + c.Name + " as configured", nil
	}
	var best *connectors.Column
	top := -1
	for i, c := range t.Columns {
		switch c.Type.Kind {
		case connectors.Timestamp, connectors.TimestampTZ, connectors.Date:
			if rank, _ := connectors.WatermarkRank(c.Name); rank >= 0 && (top < 0 || rank < top) {
				best, top = &t.Columns[i], rank
			}
		}
	}
	if best == nil {
		return nil, "no watermark column (a timestamp or date named updated_at, modified_at, last_modified, updated or created_at), so every run reads the whole table", nil
	}
	return best, fmt.Sprintf("watermark %s by its name and type (%s)", best.Name, best.Type.Kind), nil
}
