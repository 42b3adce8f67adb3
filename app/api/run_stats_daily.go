package api

import "arus/app/control"

func runStatsDaily(c *call) (any, error) {
	days := c.number("days", 7, 1, 30)
	if err := c.err(); err != nil {
		return nil, err
	}
	stats, err := c.Control.RunStats(c.ctx, days)
	return list[control.DailyStats](stats), err
}
