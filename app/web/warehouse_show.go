package web

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"arus/app/control"
	"arus/app/declare"
	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
	"arus/views/components"
	"arus/views/pages"
)

// tableHead looks at a table for the head of one of its pages.
func (v *visit) tableHead(tab string) (warehouse.Description, pages.WarehouseHead, error) {
	d, err := v.Control.DescribeTable(v.ctx, v.path("table"))
	if err != nil {
		return d, pages.WarehouseHead{}, err
	}
	_, jobs, err := v.Control.ListTableJobs(v.ctx, d.Table.Name, control.Page{Limit: 1})
	return d, pages.WarehouseHead{
		Name: d.Table.Name, Kind: tableKind(d.Table.IsFactTable), Version: d.Table.Version, Loaded: d.Table.Loaded,
		Rows: d.Rows(), Days: len(d.Days), Jobs: jobs, Tab: tab,
	}, err
}

// warehouseShow is one table: its columns, settings and who uses it.
func warehouseShow(v *visit) error {
	d, head, err := v.tableHead("")
	if err != nil {
		return err
	}
	view := pages.WarehouseTableView{Head: head, Columns: tableColumns(d.Table, d.Enums), Config: configPairs(d.Table)}
	view.Figures = []components.Figure{
		{Label: "Rows", Value: components.Number(d.Rows()), Note: components.Number(d.LiveRows) + " live", Icon: "table"},
		{Label: "On disk", Value: components.Bytes(d.Bytes()), Note: components.Plural(d.Files, "file") + ", live " + components.Bytes(d.LiveBytes), Icon: "database"},
	}
	if d.Table.IsFactTable {
		view.Figures = append(view.Figures,
			components.Figure{Label: "Days", Value: components.Number(len(d.Days)), Note: daysWords(d.Days), Icon: "calendar"},
			components.Figure{Label: "Archived", Value: agoWords(d.Archived, v.Now()), Note: components.Plural(d.LateRows, "late row"), Icon: "archive"})
	} else {
		view.Figures = append(view.Figures, components.Figure{Label: "Snapshot", Value: agoWords(d.Snapshot, v.Now()), Note: components.Plural(d.Upserts, "change") + " since", Icon: "archive"})
	}
	uses, err := v.Control.UsesOfTable(v.ctx, head.Name)
	if err != nil {
		return err
	}
	view.Views = uses.Views
	for _, p := range uses.Pipelines {
		view.Pipelines = append(view.Pipelines, components.Link{Label: p.Name, Href: "/pipelines/" + p.ID})
	}
	text, err := declare.Write(d.Table, caseNames(d.Table, d.Enums))
	if err != nil {
		return err
	}
	view.File = string(text)
	return v.show(tablePage(head.Name, head.Name), pages.WarehouseTable(view))
}

// caseNames are the cases of the enum columns by name.
func caseNames(t *schema.Table, enums schema.Enums) map[string][]string {
	names := map[string][]string{}
	for id, cases := range enums {
		if id < len(t.Columns) && !t.Columns[id].Deleted && len(cases) > 0 {
			names[t.Columns[id].Name] = cases
		}
	}
	return names
}

func agoWords(at, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return components.Relative(at, now)
}

func daysWords(days []warehouse.Day) string {
	if len(days) == 0 {
		return "none archived"
	}
	return dayText(days[len(days)-1].Day) + " to " + dayText(days[0].Day)
}

// dayText writes a day that is counted from 1970.
func dayText(day int64) string { return time.Unix(day*86400, 0).UTC().Format(time.DateOnly) }

// tableColumns are the columns of a table for its page.
func tableColumns(t *schema.Table, enums schema.Enums) []pages.WarehouseColumn {
	list := make([]pages.WarehouseColumn, len(t.Columns))
	for id, c := range t.Columns {
		list[id] = pages.WarehouseColumn{
			ID: id, Name: c.Name, Type: c.Type, Deleted: c.Deleted, HasDefault: c.DefaultValue != nil, IgnoreCase: c.CaseInsensitive,
			HLL: c.HLLConfig.IsHLLColumn, Must: c.NotNull, Time: t.IsFactTable && id == 0, Cases: enums[id],
			Key: slices.Index(t.PrimaryKeyColumns, id) + 1, Sort: slices.Index(t.ArchivingSortColumns, id) + 1,
		}
		if c.DefaultValue != nil {
			list[id].Default = *c.DefaultValue
		}
		if !c.Deleted {
			list[id].Enum = t.DataType(id).IsEnum()
		}
	}
	return list
}

// configPairs says a table's settings in words.
func configPairs(t *schema.Table) []components.Pair {
	c := t.Config
	minutes := func(n uint32) string { return components.Duration(time.Duration(n) * time.Minute) }
	list := []components.Pair{{Key: "Loads", Value: map[bool]string{true: "may change its shape: no one declared it", false: "keep its shape"}[t.Loaded]}}
	if !t.IsFactTable {
		return append(list,
			components.Pair{Key: "Snapshot after", Value: components.Plural(c.SnapshotThreshold, "change")},
			components.Pair{Key: "Snapshot at least every", Value: components.Duration(time.Duration(c.SnapshotIntervalMinutes) * time.Minute)})
	}
	kept := "for ever"
	if c.RecordRetentionInDays > 0 {
		kept = components.Plural(c.RecordRetentionInDays, "day")
	}
	missing := "are refused"
	if c.AllowMissingEventTime {
		missing = "have the time of their arrival"
	}
	list = append(list,
		components.Pair{Key: "Rows are kept", Value: kept},
		components.Pair{Key: "Archived when older than", Value: minutes(c.ArchivingDelayMinutes)},
		components.Pair{Key: "Archived every", Value: minutes(c.ArchivingIntervalMinutes)},
		components.Pair{Key: "Late rows moved every", Value: minutes(c.BackfillIntervalMinutes) + ", or at " + components.Bytes(c.BackfillThresholdInBytes)},
		components.Pair{Key: "Rows without a time", Value: missing})
	if c.TimeSource != "" {
		list = append(list, components.Pair{Key: "Time of a load's rows", Value: "its column " + c.TimeSource})
	}
	return list
}

// warehouseDays is the archived days of a fact table.
func warehouseDays(v *visit) error {
	d, head, err := v.tableHead("days")
	if err != nil {
		return err
	}
	list := v.list()
	list.Total = len(d.Days)
	view := pages.TableDaysView{Head: head, LiveRows: d.LiveRows, Late: d.LateRows}
	if d.Cutoff > 0 {
		view.Cutoff = time.Unix(d.Cutoff, 0)
	}
	most := int64(1)
	for _, day := range d.Days {
		most = max(most, day.Rows)
	}
	for _, day := range d.Days[min(list.Offset(), len(d.Days)):min(list.Offset()+list.Size, len(d.Days))] {
		view.Days = append(view.Days, pages.TableDay{Day: dayText(day.Day), Files: day.Files, Rows: day.Rows, Hidden: day.Hidden, Bytes: day.Bytes, Part: components.Percent(day.Rows, most)})
	}
	view.List = list
	return v.show(tablePage(head.Name, "Days"), pages.TableDays(view))
}

// warehouseVersions is the history of a table's schema.
func warehouseVersions(v *visit) error {
	_, head, err := v.tableHead("versions")
	if err != nil {
		return err
	}
	versions, err := v.Control.WarehouseVersions(v.ctx, head.Name)
	if err != nil {
		return err
	}
	view := pages.TableVersionsView{Head: head}
	for i, version := range versions {
		text, err := declare.Write(version.Table, nil)
		if err != nil {
			return err
		}
		line := pages.TableVersion{Version: version.Version, At: version.At, File: string(text)}
		if i+1 < len(versions) {
			// What does not follow the rules of a change was a load that made the table anew.
			u, err := versions[i+1].Table.Update(version.Table, nil)
			if line.Changes = tableChanges(u.Changes); err != nil {
				line.Changes = []pages.TableChange{{Kind: "made anew", Detail: "a load brought another shape"}}
			}
		} else {
			line.Changes = []pages.TableChange{{Kind: "made", Detail: fmt.Sprintf("with %s", components.Plural(len(version.Table.Columns), "column"))}}
		}
		view.Versions = append(view.Versions, line)
	}
	return v.show(tablePage(head.Name, "Versions"), pages.TableVersions(view))
}

func tableChanges(changes []schema.Change) []pages.TableChange {
	list := make([]pages.TableChange, len(changes))
	for i, c := range changes {
		list[i] = pages.TableChange{Kind: string(c.Kind), Column: c.Column, Detail: c.Detail, Danger: c.Kind == schema.ColumnDropped}
	}
	return list
}

// warehouseCases is the cases of an enum column.
func warehouseCases(v *visit) error { return v.casesPage(200, components.Form{}) }

func (v *visit) casesPage(status int, f components.Form) error {
	d, head, err := v.tableHead("")
	if err != nil {
		return err
	}
	id, err := enumColumn(d.Table, v.path("column"))
	if err != nil {
		return err
	}
	cases := d.Enums[id]
	list := v.list()
	list.Total = len(cases)
	view := pages.TableCasesView{Head: head, Column: d.Table.Columns[id].Name, ID: id, Capacity: d.Table.DataType(id).Capacity(), List: list, Form: f}
	for n := list.Offset(); n < min(list.Offset()+list.Size, len(cases)); n++ {
		view.Cases = append(view.Cases, pages.EnumCase{Number: n, Text: cases[n]})
	}
	return v.showAs(status, tablePage(head.Name, "Cases of "+view.Column), pages.TableCases(view))
}

// enumColumn finds the enum column that an address names by its ID.
func enumColumn(t *schema.Table, text string) (int, error) {
	id, err := strconv.Atoi(text)
	if err != nil || id < 0 || id >= len(t.Columns) || t.Columns[id].Deleted || !t.DataType(id).IsEnum() {
		return 0, errNoPage
	}
	return id, nil
}
