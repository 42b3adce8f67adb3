package api

import (
	"arus/app/control"
	"arus/app/engine"
	"arus/app/model"
)

type triggerBody struct {
	FullRefresh bool     `json:"full_refresh"`
	Reconcile   bool     `json:"reconcile"` // compare the keys of both sides too
	Force       bool     `json:"force"`     // whatever the pipeline it depends on has done
	Tables      []string `json:"tables"`
}

// triggerAnswer is a run that was started, or with wait its outcome.
type triggerAnswer struct {
	RunID      string          `json:"run_id"`
	Status     model.RunStatus `json:"status"`
	Error      *string         `json:"error"`
	Results    []tableResult   `json:"results"`
	StartedAt  *string         `json:"started_at"`
	FinishedAt *string         `json:"finished_at"`
	DurationMS int64           `json:"duration_ms"`
	RowsSynced int64           `json:"rows_synced"`
}

type tableResult struct {
	Table       string          `json:"table"`
	Rows        int64           `json:"rows"`
	Status      model.RunStatus `json:"status"`
	Error       *string         `json:"error"`
	DurationMS  int64           `json:"duration_ms"`
	DeadLetters int64           `json:"dead_letters"`
}

func pipelineTrigger(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body triggerBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	return c.start(control.RunRequest{Pipeline: id, FullRefresh: body.FullRefresh, Reconcile: body.Reconcile, Force: body.Force, Tables: body.Tables})
}

// start starts a run and answers at once, or with wait=true when it is over.
func (c *call) start(req control.RunRequest) (any, error) {
	wait := c.flag("wait")
	if err := c.err(); err != nil {
		return nil, err
	}
	started, err := c.Control.StartRun(c.ctx, req)
	return c.started(started, err, wait)
}

// started is the answer to a run that was started.
func (c *call) started(started control.Started, err error, wait bool) (any, error) {
	if err != nil {
		return nil, err
	}
	if !wait {
		return accepted(triggerAnswer{RunID: started.RunID, Status: started.Status, Results: []tableResult{}}), nil
	}
	report, err := started.Wait(c.ctx)
	if err != nil {
		return nil, err
	}
	run, err := c.Control.GetRun(c.ctx, started.RunID)
	return outcome(report, run), err
}

func outcome(r engine.Report, run model.Run) triggerAnswer {
	const layout = "2006-01-02T15:04:05.000Z"
	out := triggerAnswer{
		RunID: r.RunID, Status: r.Status, Error: orNil(run.ErrorMessage), Results: []tableResult{}, DurationMS: r.DurationMS, RowsSynced: r.RowsLoaded,
	}
	if !run.StartedAt.IsZero() {
		out.StartedAt = orNil(run.StartedAt.UTC().Format(layout))
	}
	if !run.FinishedAt.IsZero() {
		out.FinishedAt = orNil(run.FinishedAt.UTC().Format(layout))
	}
	for _, t := range r.Tables {
		out.Results = append(out.Results, tableResult{t.Table, t.RowsLoaded, t.Status, orNil(t.Error), t.DurationMS, t.DeadLetters})
	}
	return out
}
