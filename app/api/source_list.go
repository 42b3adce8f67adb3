package api

type sourcePage struct {
	Sources []sourceItem `json:"sources"`
	Total   int          `json:"total"`
	Limit   int          `json:"limit"`
	Offset  int          `json:"offset"`
}

func sourceList(c *call) (any, error) {
	page := c.page(50, 200)
	sources, total, err := c.Control.ListSources(c.ctx, page.Limit, page.Offset)
	if err != nil {
		return nil, err
	}
	tables, err := c.Control.SourceTables(c.ctx)
	out := sourcePage{Sources: []sourceItem{}, Total: total, Limit: page.Limit, Offset: page.Offset}
	for _, s := range sources {
		out.Sources = append(out.Sources, sourceView(s, tables[s.ID]))
	}
	return out, err
}
