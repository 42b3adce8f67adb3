package api

type queryBody struct {
	SQL   string `json:"sql"`
	Limit int    `json:"limit"`
}

// queryPost answers one SELECT over the built-in warehouse.
func queryPost(c *call) (any, error) {
	var body queryBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	return c.Control.QueryWarehouse(c.ctx, body.SQL, body.Limit)
}
