package api

func sourcePreview(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	limit := c.number("limit", 50, 1, 200)
	table := c.param("table")
	if table == "" {
		c.fault("table", "is required")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.Control.Preview(c.ctx, id, c.param("schema"), table, limit)
}
