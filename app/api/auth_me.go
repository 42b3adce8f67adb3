package api

func authMe(c *call) (any, error) {
	u, err := c.Control.Me(c.ctx)
	return meView(u), err
}
