package api

func letterGet(c *call) (any, error) {
	pipeline, id, err := c.ids("letter_id")
	if err != nil {
		return nil, err
	}
	l, err := c.Control.Letter(c.ctx, pipeline, id)
	return letterView(l), err
}
