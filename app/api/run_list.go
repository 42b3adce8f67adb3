package api

import (
	"arus/app/control"
	"arus/app/model"
)

type runPage struct {
	Runs   []runItem `json:"runs"`
	Total  int       `json:"total"`
	Limit  int       `json:"limit"`
	Offset int       `json:"offset"`
}

func runList(c *call) (any, error) {
	page := c.page(50, 200)
	if err := c.err(); err != nil {
		return nil, err
	}
	runs, total, err := c.Control.ListRuns(c.ctx, control.RunFilter{Pipeline: c.param("pipeline_id"), Status: model.RunStatus(c.param("status")), Page: page})
	if err != nil {
		return nil, err
	}
	names, err := c.Control.PipelineNames(c.ctx)
	out := runPage{Runs: []runItem{}, Total: total, Limit: page.Limit, Offset: page.Offset}
	for _, r := range runs {
		out.Runs = append(out.Runs, runView(r, names[r.PipelineID]))
	}
	return out, err
}
