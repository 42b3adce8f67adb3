package api

type resumedAll struct {
	Count     int               `json:"resumed_count"`
	Pipelines []changedPipeline `json:"pipelines"`
}

func pipelineResumeAll(c *call) (any, error) {
	list, err := c.Control.ResumeAll(c.ctx)
	return resumedAll{len(list), convert(list, changedView)}, err
}
