package api

func sessionRevoke(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return deletedAnswer{true}, c.Control.RevokeSession(c.ctx, id)
}
