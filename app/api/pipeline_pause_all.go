package api

import "arus/app/model"

type pausedAll struct {
	Count     int               `json:"paused_count"`
	Pipelines []changedPipeline `json:"pipelines"`
}

type changedPipeline struct {
	ID     string               `json:"id"`
	Name   string               `json:"name"`
	Status model.PipelineStatus `json:"status"`
}

func changedView(p model.Pipeline) changedPipeline { return changedPipeline{p.ID, p.Name, p.Status} }

func pipelinePauseAll(c *call) (any, error) {
	list, err := c.Control.PauseAll(c.ctx)
	return pausedAll{len(list), convert(list, changedView)}, err
}
