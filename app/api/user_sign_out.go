package api

func userSignOut(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	n, err := c.Control.SignOutEverywhere(c.ctx, id)
	return revokedAnswer{n}, err
}
