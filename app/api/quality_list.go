package api

import (
	"arus/app/control"
	"arus/app/model"
)

type qualityPage struct {
	Checks []model.QualityCheck `json:"checks"`
	Total  int                  `json:"total"`
	Limit  int                  `json:"limit"`
	Offset int                  `json:"offset"`
}

func qualityList(c *call) (any, error) {
	page := c.page(50, 200)
	if err := c.err(); err != nil {
		return nil, err
	}
	checks, total, err := c.Control.ListQuality(c.ctx, control.QualityFilter{
		Pipeline: c.param("pipeline_id"), RunID: c.param("run_id"), Table: c.param("table"), Status: model.CheckStatus(c.param("status")), Page: page,
	})
	return qualityPage{list(checks), total, page.Limit, page.Offset}, err
}
