package web

import (
	"net/url"
	"slices"

	"arus/app/control"
	"arus/connectors/warehouse/schema"
	"arus/views/components"
	"arus/views/pages"
)

// warehouseNewPage is the form of a table that is declared: a fact table's first
// columns stand there already.
func warehouseNewPage(v *visit) error {
	values := url.Values{"kind": {"fact"}, "columns[0].name": {"ts"}, "columns[0].type": {"Uint32"}, "columns[1].name": {"id"}, "columns[1].type": {"Int64"}, "columns[1].key": {"1"}}
	configValues(schema.DefaultConfig(), values)
	f := newTableForm(values)
	return v.newTable(f, f.form(), nil, false)
}

func (v *visit) newTable(f *tableForm, form components.Form, plan []pages.TableChange, planned bool) error {
	view := pages.TableFormView{New: true, Form: form, Columns: f.number, Types: typeNames(), Config: allConfigFields(), Planned: planned, Plan: plan, Fact: f.values.Get("kind") == "fact"}
	view.Token = planToken(plan)
	return v.showAs(statusOf(form), page{title: "Declare a table", crumbs: []components.Link{{Label: "Warehouse", Href: "/warehouse"}}}, pages.TableForm(view))
}

// warehouseNew plans a table, and makes it when the plan was looked at.
func warehouseNew(v *visit) error {
	f := newTableForm(v.r.PostForm)
	if v.value("do") == "more" {
		return v.newTable(f, components.Form{Values: f.values}, nil, false)
	}
	t := &schema.Table{Name: v.value("name"), IsFactTable: v.value("kind") == "fact", Config: schema.DefaultConfig()}
	t.Columns, t.PrimaryKeyColumns, t.ArchivingSortColumns = f.columns(0)
	f.config(&t.Config, configFields(t.IsFactTable))
	if len(f.faults) > 0 {
		return v.newTable(f, f.form(), nil, false)
	}
	update, err := control.PlanCreate(t)
	if err == nil {
		if names, lerr := v.Control.WarehouseTables(v.ctx); lerr == nil && slices.Contains(names, t.Name) {
			err = &schema.Error{Class: schema.Conflict, Message: schema.MsgTableExists}
		}
	}
	if err != nil {
		form, ok := f.refuse(err)
		if !ok {
			return err
		}
		return v.newTable(f, form, nil, false)
	}
	plan := createPlan(update)
	apply, changed := v.planned(planToken(plan))
	if !apply {
		form := components.Form{Values: f.values}
		if changed {
			form.Message = "The table is not what it was when the plan was shown: look at the plan again."
		}
		return v.newTable(f, form, plan, true)
	}
	made, err := v.Control.AddWarehouseTable(v.ctx, t)
	if err != nil {
		form, ok := f.refuse(err)
		if !ok {
			return err
		}
		return v.newTable(f, form, nil, false)
	}
	return v.done("/warehouse/"+made.Name, "The table "+made.Name+" is there.")
}

// createPlan says what making a table does, column by column.
func createPlan(u schema.Update) []pages.TableChange {
	t := u.Next
	list := []pages.TableChange{{Kind: "create " + tableKind(t.IsFactTable) + " table", Detail: t.Name}}
	for id, c := range tableColumns(t, u.Enums) {
		detail := c.Type
		switch {
		case c.Time:
			detail += ", the time"
		case c.Key > 0:
			detail += ", part of the key"
		case c.Sort > 0:
			detail += ", part of the order of archived days"
		}
		if c.HasDefault {
			detail += ", default " + c.Default
		}
		list = append(list, pages.TableChange{Kind: "add column", Column: t.Columns[id].Name, Detail: detail})
	}
	return list
}
