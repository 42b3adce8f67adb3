package api

import "arus/app/model"

type cancelAnswer struct {
	RunID  string          `json:"run_id"`
	Status model.RunStatus `json:"status"`
}

func runCancel(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return cancelAnswer{id, model.RunCancelled}, c.Control.CancelRun(c.ctx, id)
}
