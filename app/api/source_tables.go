package api

import (
	"encoding/json"

	"arus/app/control"
	"arus/app/model"
)

// tableBody is one table that is to be copied.
type tableBody struct {
	Name            string           `json:"name"`
	SourceTable     string           `json:"source_table"`
	Schema          string           `json:"schema"`
	SourceSchema    string           `json:"source_schema"`
	TargetSchema    *string          `json:"target_schema"`
	TargetTable     *string          `json:"target_table"`
	LoadMode        *model.LoadMode  `json:"load_mode"`
	SyncMode        *model.SyncMode  `json:"sync_mode"`
	DetectedSync    *model.SyncMode  `json:"detected_sync"`
	WatermarkColumn *string          `json:"watermark_column"`
	KeyColumns      *[]string        `json:"key_columns"`
	Lookback        *int             `json:"lookback_seconds"`
	Transform       *json.RawMessage `json:"transform_config"`
	Enabled         *bool            `json:"enabled"`
}

// choice is the table in the words of control.
func (b tableBody) choice() control.TableChoice {
	t := control.TableChoice{
		Schema: b.Schema, Name: b.Name, TargetSchema: b.TargetSchema, TargetTable: b.TargetTable, LoadMode: b.LoadMode, SyncMode: b.SyncMode,
		WatermarkColumn: b.WatermarkColumn, KeyColumns: b.KeyColumns, LookbackSeconds: b.Lookback, Transform: b.Transform, Enabled: b.Enabled,
	}
	if t.Name == "" {
		t.Name = b.SourceTable
	}
	if t.Schema == "" {
		t.Schema = b.SourceSchema
	}
	if t.SyncMode == nil {
		t.SyncMode = b.DetectedSync
	}
	if t.Transform != nil && string(*t.Transform) == "null" {
		t.Transform = nil
	}
	return t
}

type sourceTablesBody struct {
	Tables []tableBody `json:"tables"`
}

type sourceTablesAnswer struct {
	ID         string `json:"id"`
	Updated    int    `json:"updated"`
	Created    bool   `json:"auto_created"`
	PipelineID string `json:"pipeline_id"`
}

func sourceTables(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var body sourceTablesBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	p, made, err := c.Control.ChooseTables(c.ctx, id, convert(body.Tables, tableBody.choice))
	return sourceTablesAnswer{ID: id, Updated: len(p.Tables), Created: made, PipelineID: p.ID}, err
}
