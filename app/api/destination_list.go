package api

type destinationPage struct {
	Destinations []destinationItem `json:"destinations"`
	Total        int               `json:"total"`
	Limit        int               `json:"limit"`
	Offset       int               `json:"offset"`
}

func destinationList(c *call) (any, error) {
	page := c.page(50, 200)
	destinations, total, err := c.Control.ListDestinations(c.ctx, page.Limit, page.Offset)
	if err != nil {
		return nil, err
	}
	figures, err := c.Control.DestinationFigures(c.ctx)
	out := destinationPage{Destinations: []destinationItem{}, Total: total, Limit: page.Limit, Offset: page.Offset}
	for _, d := range destinations {
		out.Destinations = append(out.Destinations, destinationView(d, figures[d.ID]))
	}
	return out, err
}
