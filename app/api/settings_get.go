package api

// settingsGet is a flat map, as the original's.
func settingsGet(c *call) (any, error) {
	values, err := c.Control.ListSettings(c.ctx)
	flat := map[string]string{}
	for _, v := range values {
		flat[v.Key] = v.Value
	}
	return flat, err
}
