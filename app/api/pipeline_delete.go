package api

func pipelineDelete(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return deletedAnswer{true}, c.Control.DeletePipeline(c.ctx, id)
}
