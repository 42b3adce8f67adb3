package api

func changeIgnore(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return c.Control.DecideSchemaChange(c.ctx, id, false)
}
