package api

import (
	"arus/app/control"
	"arus/app/model"
)

// pipelineRuns is a bare list. With asset_name the figures are of that table.
func pipelineRuns(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	page := c.page(20, 100)
	if err := c.err(); err != nil {
		return nil, err
	}
	p, err := c.Control.Pipeline(c.ctx, id)
	if err != nil {
		return nil, err
	}
	filter := control.RunFilter{Pipeline: id, Status: model.RunStatus(c.param("status")), Page: page}
	if asset := c.param("asset_name"); asset != "" {
		if filter.Table, err = c.Control.AssetTable(c.ctx, p, asset); err != nil {
			return nil, err
		}
	}
	runs, total, err := c.Control.ListRuns(c.ctx, filter)
	if err != nil {
		return nil, err
	}
	c.total(total)
	views := make([]runItem, len(runs))
	for i, r := range runs {
		views[i] = runView(r, p.Name)
		if filter.Table == "" {
			continue
		}
		whole, err := c.Control.GetRun(c.ctx, r.ID)
		if err != nil {
			return nil, err
		}
		for _, t := range whole.Tables {
			if t.TableName == filter.Table {
				stat := statView(t)
				views[i].Table = &stat
				views[i].Status, views[i].RowsSynced, views[i].DurationMS, views[i].ErrorMessage = t.Status, t.RowsLoadedAnalytics, t.DurationMS, orNil(t.ErrorMessage)
			}
		}
	}
	return views, nil
}
