package web

import (
	"arus/app/control"
	"arus/app/model"
	"arus/views/pages"
)

// changeList are the changes found in the schemas of a pipeline's tables.
func changeList(v *visit) error {
	list := v.list()
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	changes, total, err := v.Control.ListSchemaChanges(v.ctx, control.ChangeFilter{Pipeline: o.ID, Status: model.ChangeStatus(list.Filter("status")), Page: listPage(list)})
	if err != nil {
		return err
	}
	list.Total = total
	head, surround := v.pipelineHead(o, "/schema-changes")
	view := pages.ChangesView{Head: head, List: list}
	for _, c := range changes {
		view.Changes = append(view.Changes, pages.SchemaChange{
			ID: c.ID, Table: c.SourceTable, Kind: string(c.Kind), Column: c.Column, From: c.From, To: c.To, Status: string(c.Status), By: c.DecidedBy, RunID: c.RunID,
			At: c.DetectedAt, Open: c.DoneRunID == "",
		})
	}
	return v.show(surround, pages.SchemaChanges(view))
}

// changeApply lets the next run follow a change, changeIgnore leaves it alone.
func changeApply(v *visit) error { return v.decideChange(true, "The next run follows the change.") }

func changeIgnore(v *visit) error { return v.decideChange(false, "The change is left alone.") }

func (v *visit) decideChange(apply bool, said string) error {
	c, err := v.Control.DecideSchemaChange(v.ctx, v.path("change"), apply)
	if err != nil {
		return err
	}
	return v.done("/pipelines/"+c.PipelineID+"/schema-changes", said)
}
