package api

import (
	"time"

	"arus/app/control"
	"arus/app/model"
)

type recentRun struct {
	ID           string            `json:"id"`
	RunID        string            `json:"run_id"`
	PipelineID   string            `json:"pipeline_id"`
	PipelineName string            `json:"pipeline_name"`
	Status       model.RunStatus   `json:"status"`
	TriggerType  model.TriggerType `json:"trigger_type"`
	RowsSynced   int64             `json:"rows_synced"`
	DurationMS   int64             `json:"duration_ms"`
	StartedAt    time.Time         `json:"started_at"`
	Error        *string           `json:"error_message"`
}

func dashboardRecent(c *call) (any, error) {
	limit := c.number("limit", 10, 1, 50)
	if err := c.err(); err != nil {
		return nil, err
	}
	runs, _, err := c.Control.ListRuns(c.ctx, control.RunFilter{Page: control.Page{Limit: limit}})
	if err != nil {
		return nil, err
	}
	names, err := c.Control.PipelineNames(c.ctx)
	return convert(runs, func(r model.Run) recentRun {
		return recentRun{r.ID, r.ID, r.PipelineID, names[r.PipelineID], r.Status, r.Trigger, r.RowsSynced, r.DurationMS, r.StartedAt, orNil(r.ErrorMessage)}
	}), err
}
