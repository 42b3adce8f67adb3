package api

import (
	"time"

	"arus/app/model"
)

type watermarkItem struct {
	Table      string     `json:"table"`
	Column     *string    `json:"watermark_col"`
	Value      *string    `json:"watermark_value"`
	Type       *string    `json:"watermark_type"`
	RowCount   int64      `json:"row_count"`
	LastRunID  *string    `json:"last_run_id"`
	LastSynced *time.Time `json:"last_synced_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

func watermarkView(m model.Watermark) watermarkItem {
	return watermarkItem{m.SourceTable, orNil(m.Column), orNil(m.Value), orNil(m.Type), m.RowCount, orNil(m.LastRunID), stamp(m.LastSyncedAt), m.UpdatedAt}
}

func watermarkList(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	if _, err := c.Control.Pipeline(c.ctx, id); err != nil {
		return nil, err
	}
	marks, err := c.Control.Watermarks(c.ctx, id)
	return convert(marks, watermarkView), err
}
