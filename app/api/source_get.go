package api

func sourceGet(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	s, err := c.Control.Source(c.ctx, id)
	if err != nil {
		return nil, err
	}
	tables, err := c.Control.SourceTables(c.ctx)
	return sourceDetailView(s, tables[s.ID]), err
}
