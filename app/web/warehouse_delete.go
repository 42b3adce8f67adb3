package web

import (
	"slices"
	"strings"

	"arus/connectors/warehouse"
	"arus/views/components"
)

// warehouseDeletePage asks whether a table is to be dropped.
func warehouseDeletePage(v *visit) error { return v.tableDeleteForm(components.Form{}) }

func (v *visit) tableDeleteForm(f components.Form) error {
	name := v.path("table")
	d, err := v.Control.DescribeTable(v.ctx, name)
	if err != nil {
		names, nerr := v.Control.WarehouseTables(v.ctx)
		if nerr != nil || !slices.Contains(names, name) {
			return err
		}
		d = warehouse.Description{} // it is damaged, and can be dropped all the same
	}
	uses, err := v.Control.UsesOfTable(v.ctx, name)
	if err != nil {
		return err
	}
	c := components.Confirm{
		Title: "Drop " + name + "?", Text: components.Plural(d.Rows(), "row") + " (" + components.Bytes(d.Bytes()) + ") are deleted for good.",
		Action: "/warehouse/" + name + "/delete", Submit: "Drop the table", Back: "/warehouse/" + name, Danger: true, Type: name, Form: f,
	}
	for _, p := range uses.Pipelines {
		c.Consequences = append(c.Consequences, "The pipeline "+p.Name+" makes the table anew when it next loads all of it; an incremental run before that brings new rows only.")
	}
	if len(uses.Views) > 0 {
		c.Consequences = append(c.Consequences, "Views that name it do not work any more: "+strings.Join(uses.Views, ", ")+".")
	}
	if len(uses.Pipelines)+len(uses.Views) == 0 {
		c.Consequences = []string{"No pipeline loads it, and no view names it."}
	}
	c.Consequences = append(c.Consequences, "Only a backup brings it back.")
	return v.confirm(tablePage(name, "Drop"), c)
}

// warehouseDelete drops a table.
func warehouseDelete(v *visit) error {
	name := v.path("table")
	if v.value("confirm") != name {
		return v.tableDeleteForm(components.Form{Values: v.r.PostForm, Faults: map[string]string{"confirm": "must be the table's name"}})
	}
	if err := v.Control.DropWarehouseTable(v.ctx, name); err != nil {
		return err
	}
	return v.done("/warehouse", name+" is dropped.")
}
