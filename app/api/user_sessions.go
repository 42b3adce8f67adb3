package api

func userSessions(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	if _, err := c.Control.User(c.ctx, id); err != nil {
		return nil, err
	}
	return c.sessions(id)
}
