package web

import (
	"arus/app/control"
	"arus/app/model"
	"arus/views/pages"
)

// qualityList are the quality checks of a pipeline.
func qualityList(v *visit) error {
	list := v.list()
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	checks, total, err := v.Control.ListQuality(v.ctx, control.QualityFilter{
		Pipeline: o.ID, Table: list.Filter("table"), Status: model.CheckStatus(list.Filter("status")), Page: listPage(list),
	})
	if err != nil {
		return err
	}
	list.Total = total
	head, surround := v.pipelineHead(o, "/quality")
	view := pages.QualityView{Head: head, List: list, Tables: tableOptions(o.Pipeline)}
	for _, c := range checks {
		view.Checks = append(view.Checks, pages.Check{
			Table: c.TableName, Type: string(c.Type), Status: string(c.Status), Message: c.Message, RunID: c.RunID, Sent: c.RowsExtracted, Held: c.RowsLoaded, At: c.CheckedAt,
		})
	}
	return v.show(surround, pages.Quality(view))
}
