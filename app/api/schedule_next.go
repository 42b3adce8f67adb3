package api

import "time"

type scheduleNextAnswer struct {
	Next []time.Time `json:"next"` // with the offset of their zone
}

func scheduleNext(c *call) (any, error) {
	count := c.number("count", 5, 1, 50)
	if err := c.err(); err != nil {
		return nil, err
	}
	times, err := c.Control.NextTimes(c.ctx, c.param("schedule"), c.param("timezone"), count)
	return scheduleNextAnswer{list(times)}, err
}
