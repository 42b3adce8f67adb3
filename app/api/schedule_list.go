package api

import "arus/app/control"

type scheduleAnswer struct {
	Paused    bool                   `json:"paused"` // by the setting schedule_paused
	Schedules []control.ScheduleView `json:"schedules"`
}

func scheduleList(c *call) (any, error) {
	list, paused, err := c.Control.ListSchedules(c.ctx)
	return scheduleAnswer{paused, list}, err
}
