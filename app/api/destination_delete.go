package api

func destinationDelete(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return deletedAnswer{true}, c.Control.DeleteDestination(c.ctx, id)
}
