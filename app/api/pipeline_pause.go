package api

import "arus/app/model"

type pauseAnswer struct {
	PipelineID string               `json:"pipeline_id"`
	Status     model.PipelineStatus `json:"status"`
}

func pipelinePause(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	p, err := c.Control.PausePipeline(c.ctx, id)
	return pauseAnswer{p.ID, p.Status}, err
}
