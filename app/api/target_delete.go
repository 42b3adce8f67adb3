package api

func targetDelete(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return deletedAnswer{true}, c.Control.DeleteTarget(c.ctx, id)
}
