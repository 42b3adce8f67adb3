package api

import "arus/app/control"

type backfillBody struct {
	From     string   `json:"from"`
	FromDate string   `json:"from_date"`
	To       string   `json:"to"`
	Tables   []string `json:"tables"`
}

func pipelineBackfill(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body backfillBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	from := body.From
	if from == "" {
		from = body.FromDate
	}
	if from == "" {
		c.fault("from", "is required: a date such as 2026-01-31")
	}
	if body.From != "" && body.FromDate != "" && body.From != body.FromDate {
		c.fault("from_date", "says another date than from")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.start(control.RunRequest{Pipeline: id, BackfillFrom: from, BackfillTo: body.To, Tables: body.Tables})
}
