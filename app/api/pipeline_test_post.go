package api

func pipelineTest(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	r, err := c.Control.TestPipeline(c.ctx, id)
	return testView(r), err
}
