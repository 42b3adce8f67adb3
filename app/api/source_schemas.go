package api

type schemasAnswer struct {
	SourceID string   `json:"source_id"`
	Schemas  []string `json:"schemas"`
}

func sourceSchemas(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	schemas, err := c.Control.Schemas(c.ctx, id)
	if err != nil {
		return nil, discoveryError{err}
	}
	return schemasAnswer{SourceID: id, Schemas: list(schemas)}, nil
}
