package api

func linkUpdate(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body linkBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	l, err := c.Control.UpdateLink(c.ctx, id, body.events())
	return linkView(l), err
}
