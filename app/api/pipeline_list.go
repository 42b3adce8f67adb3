package api

import (
	"slices"

	"arus/app/control"
	"arus/app/model"
)

type pipelinePage struct {
	Pipelines []pipelineItem `json:"pipelines"`
	Total     int            `json:"total"`
	Limit     int            `json:"limit"`
	Offset    int            `json:"offset"`
}

func pipelineList(c *call) (any, error) {
	page := c.page(50, 200)
	status := model.PipelineStatus(c.param("status"))
	if status != "" && !slices.Contains(model.PipelineStatuses(), status) {
		c.fault("status", "must be active, paused or inactive")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	views, total, err := c.Control.Overviews(c.ctx, control.PipelineFilter{
		SourceID: c.param("source_id"), DestinationID: c.param("destination_id"), Status: status, Page: page,
	})
	return pipelinePage{Pipelines: convert(views, pipelineView), Total: total, Limit: page.Limit, Offset: page.Offset}, err
}
