package api

func targetUpdate(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body targetBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	in := body.input(c)
	if err := c.err(); err != nil {
		return nil, err
	}
	t, err := c.Control.UpdateTarget(c.ctx, id, in)
	return targetView(t), err
}
