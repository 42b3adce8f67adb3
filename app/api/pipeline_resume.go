package api

func pipelineResume(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	p, err := c.Control.ResumePipeline(c.ctx, id)
	return pauseAnswer{p.ID, p.Status}, err
}
