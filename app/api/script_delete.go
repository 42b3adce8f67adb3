package api

func scriptDelete(c *call) (any, error) {
	pipeline, id, err := c.ids("script_id")
	if err != nil {
		return nil, err
	}
	return deletedAnswer{true}, c.Control.DeleteScript(c.ctx, pipeline, id)
}
