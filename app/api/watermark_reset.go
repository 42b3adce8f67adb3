package api

// watermarkReset makes the next run read a table, or all of them, from the beginning.
func watermarkReset(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return deletedAnswer{true}, c.Control.ResetWatermark(c.ctx, id, c.param("table"))
}
