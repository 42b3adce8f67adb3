package web

import (
	"errors"

	"arus/app/control"
	"arus/app/declare"
	"arus/connectors/warehouse/schema"
	"arus/views/components"
	"arus/views/pages"
)

// warehouseApplyPage is the form for a file of tables.
func warehouseApplyPage(v *visit) error { return v.applyPage(pages.TableApplyView{}) }

func (v *visit) applyPage(view pages.TableApplyView) error {
	return v.showAs(statusOf(view.Form), page{title: "Tables from a file", crumbs: []components.Link{{Label: "Warehouse", Href: "/warehouse"}}}, pages.TableApply(view))
}

// warehouseApply plans what a file of tables says, and does it when the plan was
// looked at and nothing of it is refused.
func warehouseApply(v *visit) error {
	view := pages.TableApplyView{Form: components.Form{Values: v.r.PostForm}}
	tables, err := declare.Read([]byte(v.r.PostForm.Get("text")))
	if err != nil {
		view.Form.Faults = map[string]string{"text": "cannot be read: " + err.Error()}
		return v.applyPage(view)
	}
	refused, isNew := false, map[string]bool{}
	for _, t := range tables {
		p, made, err := v.planFile(t)
		if err != nil {
			return err
		}
		isNew[t.Name] = made
		refused = refused || p.Refused != ""
		view.Ready = view.Ready || len(p.Plan) > 0
		view.Plans = append(view.Plans, p)
	}
	view.Token = planToken(view.Plans)
	if view.Ready = view.Ready && !refused; refused {
		view.Form.Message = "Nothing is applied while a table is refused."
	}
	apply, changed := v.planned(view.Token)
	if changed && !refused {
		view.Form.Message = "The plan is not what it was when it was shown: look at it again."
	}
	if !apply || !view.Ready {
		return v.applyPage(view)
	}
	for i, t := range tables {
		if len(view.Plans[i].Plan) == 0 {
			continue
		}
		if err := v.applyTable(t, isNew[t.Name]); err != nil {
			f, ok := v.form(err)
			if !ok {
				return err
			}
			f.Message = t.Name + ": " + f.Message + ". The tables before it are changed already."
			return v.applyPage(pages.TableApplyView{Form: f})
		}
	}
	return v.done("/warehouse", components.Plural(len(tables), "table")+" as the file says.")
}

// planFile says what a file does to one table, refusals included, and whether it
// makes the table.
func (v *visit) planFile(t declare.Table) (p pages.TablePlan, isNew bool, err error) {
	p.Table = t.Name
	u, err := v.Control.PlanWarehouseTable(v.ctx, t.Name, t.Next)
	if broken, ok := errors.AsType[*schema.Error](err); ok && broken.Message == schema.MsgTableMissing {
		isNew = true
		var next *schema.Table
		if next, err = t.New(); err == nil {
			u, err = control.PlanCreate(next)
		}
	}
	if broken, ok := errors.AsType[*schema.Error](err); ok {
		p.Refused = broken.Error()
		return p, isNew, nil
	}
	if err != nil {
		return p, isNew, err
	}
	if p.Plan = tableChanges(u.Changes); isNew {
		p.Plan = createPlan(u)
	}
	return p, isNew, nil
}

func (v *visit) applyTable(t declare.Table, isNew bool) error {
	if !isNew {
		_, err := v.Control.PushWarehouseTable(v.ctx, t.Name, t.Next)
		return err
	}
	next, err := t.New()
	if err == nil {
		_, err = v.Control.AddWarehouseTable(v.ctx, next)
	}
	return err
}
