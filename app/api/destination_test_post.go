package api

func destinationTest(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	r, err := c.Control.TestDestination(c.ctx, id)
	return testView(r), err
}
