package api

func pipelineGet(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	o, err := c.Control.Overview(c.ctx, id)
	if err != nil {
		return nil, err
	}
	marks, err := c.Control.Watermarks(c.ctx, id)
	if err != nil {
		return nil, err
	}
	targets, err := c.Control.Targets(c.ctx, o.Pipeline)
	return pipelineDetailView(o, marks, targets), err
}
