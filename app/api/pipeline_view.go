package api

import (
	"encoding/json"
	"time"

	"arus/app/control"
	"arus/app/model"
)

// pipelineItem is a pipeline in a list.
type pipelineItem struct {
	ID              string               `json:"id"`
	Name            string               `json:"name"`
	SourceID        string               `json:"source_id"`
	SourceName      string               `json:"source_name"`
	DestinationID   string               `json:"destination_id"`
	DestinationName string               `json:"destination_name"`
	Status          model.PipelineStatus `json:"status"`
	Schedule        *string              `json:"schedule"`
	TargetSchema    string               `json:"target_schema"`
	LoadMode        model.LoadMode       `json:"load_mode"`
	DependsOn       *string              `json:"depends_on"`
	EnabledTables   int                  `json:"enabled_table_count"`
	RowsSynced      int64                `json:"total_rows_synced"`
	Errors7d        int64                `json:"error_count_7d"`
	LastRun         *time.Time           `json:"last_run"`
	LastRunID       *string              `json:"last_run_id"`
	LastRunStatus   *model.RunStatus     `json:"last_run_status"`
	LastSuccess     *time.Time           `json:"last_success"`
	CreatedAt       time.Time            `json:"created_at"`
}

// pipelineDetail is one pipeline.
type pipelineDetail struct {
	ID             string                `json:"id"`
	Name           string                `json:"name"`
	Source         pipelineEnd           `json:"source"`
	Destination    pipelineEnd           `json:"destination"`
	Status         model.PipelineStatus  `json:"status"`
	Schedule       *string               `json:"schedule"`
	TargetSchema   string                `json:"target_schema"`
	LoadMode       model.LoadMode        `json:"load_mode"`
	DependsOn      *string               `json:"depends_on"`
	MaxRetries     int                   `json:"max_retries"`
	TimeoutSeconds int                   `json:"timeout_seconds"`
	Options        model.PipelineOptions `json:"options"`
	Tables         []pipelineTable       `json:"tables"`
	Stats          pipelineStats         `json:"stats"`
	LastRun        *runItem              `json:"last_run"`
	CreatedAt      time.Time             `json:"created_at"`
	UpdatedAt      time.Time             `json:"updated_at"`
}

type pipelineEnd struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

type pipelineTable struct {
	ID              string          `json:"id"`
	Name            string          `json:"name"`
	Schema          string          `json:"schema"`
	TargetSchema    string          `json:"target_schema"`
	TargetTable     *string         `json:"target_table"`
	SyncMode        model.SyncMode  `json:"sync_mode"`
	LoadMode        model.LoadMode  `json:"load_mode"`
	Transform       json.RawMessage `json:"transform_config"`
	WatermarkColumn *string         `json:"watermark_column"`
	WatermarkValue  *string         `json:"watermark_value"`
	LastSynced      *time.Time      `json:"last_synced"`
	KeyColumns      []string        `json:"key_columns"`
	Lookback        int             `json:"lookback_seconds"`
	Enabled         bool            `json:"enabled"`
}

type pipelineStats struct {
	Rows       int64 `json:"total_rows_synced"`
	Runs       int64 `json:"total_runs"`
	Successful int64 `json:"successful_runs"`
	Failed     int64 `json:"failed_runs"`
}

func pipelineView(o control.Overview) pipelineItem {
	v := pipelineItem{
		ID: o.ID, Name: o.Name, SourceID: o.SourceID, SourceName: o.SourceName, DestinationID: o.DestinationID, DestinationName: o.DestinationName,
		Status: o.Status, Schedule: orNil(o.Schedule), TargetSchema: o.TargetSchema, LoadMode: o.LoadMode, DependsOn: orNil(o.DependsOn),
		RowsSynced: o.Figures.Rows, Errors7d: o.Figures.Failures7d, LastSuccess: stamp(o.Figures.LastSuccess), CreatedAt: o.CreatedAt,
	}
	for _, t := range o.Tables {
		if t.Enabled {
			v.EnabledTables++
		}
	}
	if o.LastRun != nil {
		v.LastRun, v.LastRunID, v.LastRunStatus = stamp(o.LastRun.StartedAt), &o.LastRun.ID, &o.LastRun.Status
	}
	return v
}

func pipelineDetailView(o control.Overview, marks []model.Watermark, targets map[string]string) pipelineDetail {
	v := pipelineDetail{
		ID: o.ID, Name: o.Name, Source: pipelineEnd{o.SourceID, o.SourceName, string(o.SourceType)},
		Destination: pipelineEnd{o.DestinationID, o.DestinationName, string(o.DestinationType)}, Status: o.Status, Schedule: orNil(o.Schedule),
		TargetSchema: o.TargetSchema, LoadMode: o.LoadMode, DependsOn: orNil(o.DependsOn), MaxRetries: o.MaxRetries, TimeoutSeconds: o.TimeoutSeconds,
		Options: o.Options, Tables: []pipelineTable{}, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
		Stats: pipelineStats{o.Figures.Rows, o.Figures.Runs, o.Figures.Successes, o.Figures.Failures},
	}
	if o.LastRun != nil {
		run := runView(*o.LastRun, o.Name)
		v.LastRun = &run
	}
	byTable := map[string]model.Watermark{}
	for _, m := range marks {
		byTable[m.SourceTable] = m
	}
	for _, t := range o.Tables {
		mark := byTable[t.Key()]
		row := pipelineTable{
			ID: t.ID, Name: t.SourceTable, Schema: t.SourceSchema, TargetSchema: targets[t.Key()], TargetTable: orNil(t.TargetTable),
			SyncMode: t.SyncMode, LoadMode: t.LoadMode, Transform: t.TransformConfig, WatermarkColumn: orNil(t.WatermarkColumn),
			WatermarkValue: orNil(mark.Value), LastSynced: stamp(mark.LastSyncedAt), KeyColumns: list(t.KeyColumns), Lookback: t.LookbackSeconds,
			Enabled: t.Enabled,
		}
		if row.WatermarkColumn == nil {
			row.WatermarkColumn = orNil(mark.Column)
		}
		v.Tables = append(v.Tables, row)
	}
	return v
}
