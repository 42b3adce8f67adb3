package model

import "time"

// Watermark is how far one table of a pipeline has been loaded. Value is exact text of the logical type Type; Boundary
// holds fingerprints of the rows at that very value, so that ties read again are known. A full refresh leaves Column and
// Value empty.
type Watermark struct {
	ID           string    `json:"id"`
	PipelineID   string    `json:"pipeline_id"`
	SourceTable  string    `json:"source_table"` // PipelineTable.Key
	Column       string    `json:"watermark_col,omitempty"`
	Value        string    `json:"watermark_value,omitempty"`
	Type         string    `json:"watermark_type,omitempty"`
	Boundary     []byte    `json:"-"`
	RowCount     int64     `json:"row_count"`
	LastRunID    string    `json:"last_run_id,omitempty"`
	LastSyncedAt time.Time `json:"last_synced_at,omitzero"` // zero: never
	CreatedAt    time.Time `json:"created_at,omitzero"`
	UpdatedAt    time.Time `json:"updated_at,omitzero"`
}
