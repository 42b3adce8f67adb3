package api

import (
	"arus/app/control"
	"arus/app/model"
)

type changePage struct {
	Changes []model.SchemaChange `json:"changes"`
	Total   int                  `json:"total"`
	Limit   int                  `json:"limit"`
	Offset  int                  `json:"offset"`
}

func changeList(c *call) (any, error) {
	filter := control.ChangeFilter{
		Pipeline: c.param("pipeline_id"), Table: c.param("table"), Status: model.ChangeStatus(c.param("status")), Open: c.flag("open"), Page: c.page(50, 200),
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	changes, total, err := c.Control.ListSchemaChanges(c.ctx, filter)
	return changePage{list(changes), total, filter.Limit, filter.Offset}, err
}
