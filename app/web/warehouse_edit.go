package web

import (
	"net/url"
	"strconv"

	"arus/connectors/warehouse/schema"
	"arus/views/components"
	"arus/views/pages"
)

// warehouseEditPage is the form that changes a table.
func warehouseEditPage(v *visit) error {
	t, err := v.Control.WarehouseTable(v.ctx, v.path("table"))
	if err != nil {
		return err
	}
	values := url.Values{"columns": {"3"}}
	configValues(t.Config, values)
	f := newTableForm(values)
	return v.editTable(f, f.form(), nil, false)
}

func (v *visit) editTable(f *tableForm, form components.Form, plan []pages.TableChange, planned bool) error {
	d, head, err := v.tableHead("edit")
	if err != nil {
		return err
	}
	view := pages.TableFormView{
		Head: head, Form: form, Columns: f.number, Is: tableColumns(d.Table, d.Enums), Types: typeNames(), Config: configFields(d.Table.IsFactTable),
		Planned: planned, Plan: plan, Token: planToken(plan), Fact: d.Table.IsFactTable,
	}
	return v.showAs(statusOf(form), tablePage(head.Name, "Change"), pages.TableForm(view))
}

// warehouseEdit plans the changes of a table, and makes them when the plan was
// looked at.
func warehouseEdit(v *visit) error {
	f := newTableForm(v.r.PostForm)
	if v.value("do") == "more" {
		return v.editTable(f, components.Form{Values: f.values}, nil, false)
	}
	name := v.path("table")
	next := func(current *schema.Table) (*schema.Table, error) {
		t := current.Clone()
		t.Version = 0
		for _, text := range f.values["delete"] {
			if id, err := strconv.Atoi(text); err == nil && id >= 0 && id < len(t.Columns) {
				t.Columns[id].Deleted = true
			}
		}
		columns, _, _ := f.columns(len(t.Columns))
		t.Columns = append(t.Columns, columns...)
		f.config(&t.Config, configFields(t.IsFactTable))
		return t, nil
	}
	update, err := v.Control.PlanWarehouseTable(v.ctx, name, next)
	if len(f.faults) > 0 {
		return v.editTable(f, f.form(), nil, false)
	}
	if err != nil {
		form, ok := f.refuse(err)
		if !ok {
			return err
		}
		return v.editTable(f, form, nil, false)
	}
	plan := tableChanges(update.Changes)
	apply, changed := v.planned(planToken(plan))
	if !apply || len(plan) == 0 {
		form := components.Form{Values: f.values}
		if changed {
			form.Message = "The plan is not what it was when it was shown: look at it again."
		}
		return v.editTable(f, form, plan, true)
	}
	f = newTableForm(v.r.PostForm)
	update, err = v.Control.PushWarehouseTable(v.ctx, name, next)
	if err != nil {
		form, ok := f.refuse(err)
		if !ok {
			return err
		}
		return v.editTable(f, form, nil, false)
	}
	return v.done("/warehouse/"+name, "The table has version "+strconv.Itoa(update.Next.Version)+": "+components.Plural(len(update.Changes), "change")+" made.")
}
