package api

import (
	"time"

	"arus/app/model"
)

// runItem is a run in a list.
type runItem struct {
	ID           string            `json:"id"`
	PipelineID   string            `json:"pipeline_id"`
	PipelineName string            `json:"pipeline_name"`
	Status       model.RunStatus   `json:"status"`
	StartedAt    time.Time         `json:"started_at"`
	FinishedAt   *time.Time        `json:"finished_at"`
	DurationMS   int64             `json:"duration_ms"`
	TriggerType  model.TriggerType `json:"trigger_type"`
	RowsSynced   int64             `json:"rows_synced"`
	RowsRead     int64             `json:"rows_read"`
	RowsFiltered int64             `json:"rows_filtered"`
	DeadLetters  int64             `json:"dead_letters"`
	UserID       *string           `json:"user_id"`
	ErrorMessage *string           `json:"error_message"`
	Table        *runTable         `json:"table,omitempty"`
}

// runDetail is one run.
type runDetail struct {
	runItem
	PerTable []runTable `json:"per_table"`
}

type runTable struct {
	Table           string          `json:"table"`
	Target          *string         `json:"target"`
	Status          model.RunStatus `json:"status"`
	Mode            *model.SyncMode `json:"mode"`
	LoadMode        *model.LoadMode `json:"load_mode"`
	RowsExtracted   int64           `json:"rows_extracted"`
	RowsRaw         int64           `json:"rows_loaded_raw"`
	RowsLoaded      int64           `json:"rows_loaded_analytics"`
	RowsFiltered    int64           `json:"rows_filtered"`
	RowsFailed      int64           `json:"rows_failed"`
	WatermarkBefore *string         `json:"watermark_before"`
	WatermarkAfter  *string         `json:"watermark_after"`
	DurationMS      int64           `json:"duration_ms"`
	ErrorMessage    *string         `json:"error_message"`
}

func runView(r model.Run, pipeline string) runItem {
	return runItem{
		ID: r.ID, PipelineID: r.PipelineID, PipelineName: pipeline, Status: r.Status, StartedAt: r.StartedAt, FinishedAt: stamp(r.FinishedAt),
		DurationMS: r.DurationMS, TriggerType: r.Trigger, RowsSynced: r.RowsSynced, RowsRead: r.Counts.Read, RowsFiltered: r.Counts.Filtered,
		DeadLetters: r.Counts.DeadLetters, UserID: orNil(r.UserID), ErrorMessage: orNil(r.ErrorMessage),
	}
}

func statView(t model.RunTableStat) runTable {
	return runTable{
		Table: t.TableName, Target: orNil(t.Target), Status: t.Status, Mode: orNil(t.Mode), LoadMode: orNil(t.LoadMode), RowsExtracted: t.RowsExtracted,
		RowsRaw: t.RowsLoadedRaw, RowsLoaded: t.RowsLoadedAnalytics, RowsFiltered: t.RowsFiltered, RowsFailed: t.RowsFailed,
		WatermarkBefore: orNil(t.WatermarkBefore), WatermarkAfter: orNil(t.WatermarkAfter), DurationMS: t.DurationMS, ErrorMessage: orNil(t.ErrorMessage),
	}
}
