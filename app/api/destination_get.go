package api

func destinationGet(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	d, err := c.Control.Destination(c.ctx, id)
	if err != nil {
		return nil, err
	}
	figures, err := c.Control.DestinationFigures(c.ctx)
	return destinationDetailView(d, figures[d.ID]), err
}
