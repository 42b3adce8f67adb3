package api

func dashboardSummary(c *call) (any, error) { return c.Control.Summarize(c.ctx) }
