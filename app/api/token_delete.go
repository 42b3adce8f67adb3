package api

func tokenDelete(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return deletedAnswer{true}, c.Control.DeleteToken(c.ctx, id)
}
