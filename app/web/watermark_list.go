package web

import (
	"arus/views/pages"
)

// watermarkList is how far the tables of a pipeline are loaded.
func watermarkList(v *visit) error {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	marks, err := v.Control.Watermarks(v.ctx, o.ID)
	if err != nil {
		return err
	}
	head, surround := v.pipelineHead(o, "/watermarks")
	view := pages.WatermarksView{Head: head}
	for _, m := range marks {
		view.Marks = append(view.Marks, pages.Mark{Table: m.SourceTable, Column: m.Column, Value: m.Value, Type: m.Type, RunID: m.LastRunID, Rows: m.RowCount, At: m.LastSyncedAt})
	}
	return v.show(surround, pages.Watermarks(view))
}
