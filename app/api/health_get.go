package api

import "arus/app/control"

type healthAnswer struct {
	Version       string `json:"version"`
	Database      string `json:"database"`
	Scheduler     string `json:"scheduler"`
	UptimeSeconds int64  `json:"uptime_seconds"`
}

// healthGet says what it has just seen, nothing else.
func healthGet(c *call) (any, error) {
	h := healthAnswer{Version: c.Version, Database: "connected", Scheduler: c.Control.SchedulerState(c.ctx, c.Started), UptimeSeconds: int64(c.Now().Sub(c.Started).Seconds())}
	if err := c.Control.Ready(c.ctx); err != nil {
		c.Log.ErrorContext(c.ctx, "the state file does not answer", "error", err)
		h.Database = "error"
	}
	if !c.Ready() {
		h.Scheduler = control.SchedulerStopped
	}
	if h.Database != "connected" || h.Scheduler == control.SchedulerStopped {
		return reply{503, h}, nil
	}
	return h, nil
}
