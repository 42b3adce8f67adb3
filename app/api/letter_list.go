package api

import (
	"encoding/json"
	"time"

	"arus/app/control"
	"arus/app/engine"
)

type letterItem struct {
	ID         string          `json:"id"`
	SourceName string          `json:"source_name"`
	TableName  string          `json:"table_name"`
	RunID      string          `json:"run_id"`
	RowData    json.RawMessage `json:"row_data"`
	ErrorText  string          `json:"error_text"`
	FailedAt   time.Time       `json:"failed_at"`
}

func letterView(l engine.Letter) letterItem {
	return letterItem{l.ID, l.Source, l.Table, l.RunID, l.Row, l.Reason, l.FailedAt}
}

// letterList is a bare list, newest first; X-Total-Count says how many there are.
func letterList(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	page := c.page(50, 200)
	if err := c.err(); err != nil {
		return nil, err
	}
	letters, total, err := c.Control.ListLetters(c.ctx, control.LetterFilter{Pipeline: id, Table: c.param("table"), RunID: c.param("run_id"), Page: page})
	if err != nil {
		return nil, err
	}
	c.total(total)
	return convert(letters, letterView), nil
}
