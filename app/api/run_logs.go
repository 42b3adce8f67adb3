package api

import (
	"time"

	"arus/app/control"
	"arus/app/model"
)

type runLogs struct {
	RunID  string    `json:"run_id"`
	Logs   []logLine `json:"logs"`
	Total  int       `json:"total"`
	Limit  int       `json:"limit"`
	Offset int       `json:"offset"`
}

type logLine struct {
	ID        int64          `json:"id"`
	Timestamp time.Time      `json:"timestamp"`
	Level     model.LogLevel `json:"level"`
	Message   string         `json:"message"`
}

func runLogsGet(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	page := c.page(100, 500)
	if err := c.err(); err != nil {
		return nil, err
	}
	lines, total, err := c.Control.RunLogPage(c.ctx, control.LogFilter{RunID: id, Page: page})
	return runLogs{id, convert(lines, func(l model.RunLog) logLine { return logLine{l.ID, l.Timestamp, l.Level, l.Message} }), total, page.Limit, page.Offset}, err
}
