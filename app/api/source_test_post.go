package api

func sourceTest(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	r, err := c.Control.TestSource(c.ctx, id)
	return testView(r), err
}
