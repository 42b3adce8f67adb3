package declare

import (
	"fmt"
	"slices"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// Declaration is the table as a server is told of it; the schema that the
// destination's tables lie in is for the caller to add.
func (t Table) Declaration() (connectors.Declaration, error) {
	table, err := t.New()
	if err != nil {
		return connectors.Declaration{}, err
	}
	if table, _, err = schema.Create(table); err != nil {
		return connectors.Declaration{}, err
	}
	d := connectors.Declaration{Target: connectors.TableRef{Name: table.Name}}
	name := func(id int) string { return table.Columns[id].Name }
	for id, c := range table.Columns {
		d.Columns = append(d.Columns, t.column(table, id, c))
	}
	for _, id := range table.PrimaryKeyColumns {
		d.Key = append(d.Key, name(id))
	}
	for _, id := range table.ArchivingSortColumns {
		d.Sort = append(d.Sort, name(id))
	}
	if !table.IsFactTable {
		return d, nil
	}
	d.Time, d.Retention = name(0), table.Config.RecordRetentionInDays
	if table.Config.AllowMissingEventTime {
		d.Notes = append(d.Notes, "rows without an event time are refused: the day tells where a row lies")
	}
	if source := table.Config.TimeSource; source != "" && source != d.Time {
		d.Notes = append(d.Notes, fmt.Sprintf("loads have to bring %s themselves: %s is turned into it in the built-in warehouse alone", d.Time, source))
	}
	return d, nil
}

func (t Table) column(table *schema.Table, id int, c schema.Column) connectors.DeclaredColumn {
	typ := table.DataType(id)
	out := connectors.DeclaredColumn{Deleted: c.Deleted, Column: connectors.Column{
		Name: c.Name, Type: typ.Read(t.cases(c)), Nullable: !c.NotNull && !table.IsKey(id) && (!table.IsFactTable || id > 0),
	}}
	if text, ok := c.Default(); ok {
		out.Default = &text
	}
	return out
}

// cases are those of a closed enum; nil where the file names none.
func (t Table) cases(c schema.Column) []string {
	i := slices.IndexFunc(t.Cases, func(x Cases) bool { return x.Column == c.Name })
	if i < 0 || c.Deleted {
		return nil
	}
	return t.Cases[i].Names
}
