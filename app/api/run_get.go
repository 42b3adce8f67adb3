package api

func runGet(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	r, err := c.Control.GetRun(c.ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := c.Control.Pipeline(c.ctx, r.PipelineID)
	return runDetail{runView(r, p.Name), convert(r.Tables, statView)}, err
}
