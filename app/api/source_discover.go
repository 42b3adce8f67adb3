package api

import (
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

// discoveredTable is a table of a source as it is now.
type discoveredTable struct {
	Name        string             `json:"name"`
	Schema      string             `json:"schema"`
	View        bool               `json:"view"`
	RowEstimate int64              `json:"row_count_estimate"`
	Columns     []discoveredColumn `json:"columns"`
	Sync        model.SyncMode     `json:"detected_sync"`
	Watermark   *string            `json:"watermark_column"`
	Reason      string             `json:"watermark_reason"`
	Warnings    []string           `json:"warnings"`
	Enabled     bool               `json:"enabled"`
}

type discoveredColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Native   string `json:"native_type"`
	Nullable bool   `json:"nullable"`
	PK       bool   `json:"pk"`
}

type discoverAnswer struct {
	SourceID string            `json:"source_id"`
	Tables   []discoveredTable `json:"tables"`
}

func discoveredView(t connectors.Table) discoveredTable {
	advice := control.Advise(t)
	v := discoveredTable{
		Name: t.Name, Schema: t.Schema, View: t.View, RowEstimate: max(t.RowEstimate, 0), Columns: []discoveredColumn{},
		Sync: model.ModeFullRefresh, Watermark: orNil(advice.Column), Reason: advice.Reason, Warnings: list(advice.Warnings), Enabled: true,
	}
	if advice.Column != "" {
		v.Sync = model.ModeIncremental
	}
	key := map[string]bool{}
	for _, name := range t.PrimaryKey {
		key[name] = true
	}
	for _, col := range t.Columns {
		v.Columns = append(v.Columns, discoveredColumn{Name: col.Name, Type: col.Type.String(), Native: col.Native, Nullable: col.Nullable, PK: key[col.Name]})
	}
	return v
}

func sourceDiscover(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	tables, err := c.Control.Discover(c.ctx, id)
	if err != nil {
		return nil, discoveryError{err}
	}
	return discoverAnswer{SourceID: id, Tables: convert(tables, discoveredView)}, nil
}
