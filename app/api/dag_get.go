package api

import (
	"arus/app/control"
	"arus/app/model"
)

type dagPipeline struct {
	ID             string               `json:"id"`
	Name           string               `json:"name"`
	SourceName     string               `json:"source_name"`
	Status         string               `json:"status"`
	PipelineStatus model.PipelineStatus `json:"pipeline_status"`
	DependsOn      *string              `json:"depends_on"`
	Assets         []dagAsset           `json:"assets"`
	Edges          []dagEdge            `json:"edges"`
	TableCount     int                  `json:"table_count"`
	LastRunStatus  *model.RunStatus     `json:"last_run_status"`
	HasRaw         bool                 `json:"has_raw_mode"`
}

type dagAsset struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Layer      string         `json:"layer"`
	Status     string         `json:"status"`
	Type       string         `json:"type"`
	Address    string         `json:"host"`
	Schema     string         `json:"schema"`
	Table      string         `json:"table"`
	SyncMode   model.SyncMode `json:"sync_mode"`
	Rows       int64          `json:"rows"`
	DurationMS int64          `json:"duration_ms"`
	Error      *string        `json:"error"`
}

// dagEdge names its ends, and tells ends of the same name apart by their ids.
type dagEdge struct {
	From   string `json:"from"`
	To     string `json:"to"`
	FromID string `json:"from_id"`
	ToID   string `json:"to_id"`
}

func dagView(f control.Flow) dagPipeline {
	v := dagPipeline{
		ID: f.ID, Name: f.Name, SourceName: f.SourceName, Status: control.AssetNotStarted, PipelineStatus: f.Status, DependsOn: orNil(f.DependsOn),
		Assets: []dagAsset{}, Edges: []dagEdge{},
	}
	if f.LastRun != nil {
		v.LastRunStatus, v.Status = &f.LastRun.Status, string(f.LastRun.Status)
	}
	names := map[string]string{}
	for _, a := range f.Assets {
		names[a.ID] = a.Name
		d := dagAsset{ID: a.ID, Name: a.Name, Layer: a.Layer, Status: a.Status, Type: a.Type, Address: f.Destination, Schema: a.Schema, Table: a.Table, SyncMode: a.Mode}
		switch a.Layer {
		case "source":
			d.Address = f.Source
			v.TableCount++
		case "raw":
			v.HasRaw = true
		}
		if a.Last != nil {
			d.DurationMS, d.Error = a.Last.DurationMS, orNil(a.Last.ErrorMessage)
			d.Rows = map[string]int64{"source": a.Last.RowsExtracted, "raw": a.Last.RowsLoadedRaw, "target": a.Last.RowsLoadedAnalytics}[a.Layer]
		}
		v.Assets = append(v.Assets, d)
	}
	for _, e := range f.Edges {
		v.Edges = append(v.Edges, dagEdge{names[e[0]], names[e[1]], e[0], e[1]})
	}
	return v
}

func dagGet(c *call) (any, error) {
	flows, err := c.Control.Flows(c.ctx, c.param("pipeline_id"))
	return convert(flows, dagView), err
}
