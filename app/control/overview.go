package control

import (
	"context"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// Summary are the figures of everything.
type Summary = store.Summary

// Summarize gives the figures of everything, as of now.
func (s *Service) Summarize(ctx context.Context) (Summary, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return Summary{}, err
	}
	return s.Store.Summarize(ctx)
}

// Overview is a pipeline with what lists say of it.
type Overview struct {
	model.Pipeline
	SourceName      string
	SourceType      model.SourceType
	DestinationName string
	DestinationType model.DestinationType
	Figures         store.PipelineFigures
	LastRun         *model.Run // nil: never
	Queued          bool
}

// Overviews gives one page of the pipelines with what lists say of them.
func (s *Service) Overviews(ctx context.Context, filter store.PipelineFilter) ([]Overview, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	list, total, err := s.Store.ListPipelines(ctx, filter)
	if err != nil {
		return nil, 0, err
	}
	views, err := s.overviews(ctx, list)
	return views, total, err
}

// PipelineFilter narrows a list of pipelines.
type PipelineFilter = store.PipelineFilter

// Overview gives one pipeline with what lists say of it.
func (s *Service) Overview(ctx context.Context, idOrName string) (Overview, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return Overview{}, err
	}
	p, err := s.Store.FindPipeline(ctx, idOrName)
	if err != nil {
		return Overview{}, err
	}
	views, err := s.overviews(ctx, []model.Pipeline{p})
	if err != nil {
		return Overview{}, err
	}
	return views[0], nil
}

func (s *Service) overviews(ctx context.Context, list []model.Pipeline) ([]Overview, error) {
	ids := make([]string, len(list))
	for i, p := range list {
		ids[i] = p.ID
	}
	if len(ids) == 0 {
		return []Overview{}, nil
	}
	figures, err := s.Store.PipelineFigures(ctx, ids...)
	if err != nil {
		return nil, err
	}
	latest, err := s.Store.LatestRuns(ctx, ids)
	if err != nil {
		return nil, err
	}
	sources, err := all(func(page store.Page) ([]model.Source, int, error) { return s.Store.ListSources(ctx, page) })
	if err != nil {
		return nil, err
	}
	destinations, err := all(func(page store.Page) ([]model.Destination, int, error) { return s.Store.ListDestinations(ctx, page) })
	if err != nil {
		return nil, err
	}
	queued := map[string]bool{}
	for _, x := range s.runs.queue(ctx) {
		queued[x.pipeline.ID] = true
	}
	views := make([]Overview, len(list))
	for i, p := range list {
		v := Overview{Pipeline: p, Figures: figures[p.ID], Queued: queued[p.ID]}
		for _, src := range sources {
			if src.ID == p.SourceID {
				v.SourceName, v.SourceType = src.Name, src.Type
			}
		}
		for _, dst := range destinations {
			if dst.ID == p.DestinationID {
				v.DestinationName, v.DestinationType = dst.Name, dst.Type
			}
		}
		if run, ok := latest[p.ID]; ok {
			v.LastRun = &run
		}
		views[i] = v
	}
	return views, nil
}

// PipelineNames gives the names of all pipelines by id.
func (s *Service) PipelineNames(ctx context.Context) (map[string]string, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.PipelineNames(ctx)
}

// Asset is a node of the data flow: a table at the source, in the raw layer or
// at the destination.
type Asset struct {
	ID     string // unique within the pipeline
	Name   string
	Layer  string // source, raw or target
	Schema string
	Status string
	Type   string // of the database
	Table  string // key of the pipeline's table
	Mode   model.SyncMode
	Last   *model.RunTableStat
}

// Flow is what one pipeline moves from where to where.
type Flow struct {
	Overview
	Source, Destination string // databases, without secrets
	Assets              []Asset
	Edges               [][2]string // ids of assets
}

// The states of an asset that are not those of a run.
const (
	AssetNotStarted = "not_started"
	AssetPaused     = "paused"
	AssetStale      = "stale"
)

// Flows gives the data flow of every pipeline, or of one.
func (s *Service) Flows(ctx context.Context, pipeline string) ([]Flow, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	var list []model.Pipeline
	var err error
	if pipeline != "" {
		var p model.Pipeline
		if p, err = s.Store.FindPipeline(ctx, pipeline); err == nil {
			list = []model.Pipeline{p}
		}
	} else {
		list, err = all(func(page store.Page) ([]model.Pipeline, int, error) {
			return s.Store.ListPipelines(ctx, store.PipelineFilter{Page: page})
		})
	}
	if err != nil {
		return nil, err
	}
	views, err := s.overviews(ctx, list)
	if err != nil {
		return nil, err
	}
	flows := make([]Flow, len(views))
	for i, v := range views {
		if flows[i], err = s.flow(ctx, v); err != nil {
			return nil, err
		}
	}
	return flows, nil
}

// Flow gives the data flow of one pipeline.
func (s *Service) Flow(ctx context.Context, v Overview) (Flow, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return Flow{}, err
	}
	return s.flow(ctx, v)
}

func (s *Service) flow(ctx context.Context, v Overview) (Flow, error) {
	src, err := s.Store.GetSource(ctx, v.SourceID)
	if err != nil {
		return Flow{}, err
	}
	dst, err := s.Store.GetDestination(ctx, v.DestinationID)
	if err != nil {
		return Flow{}, err
	}
	stats, err := s.Store.LastTableStats(ctx, v.ID)
	if err != nil {
		return Flow{}, err
	}
	f := Flow{Overview: v, Source: sourceConfig(src).Address(), Destination: destinationConfig(dst).Address(), Assets: []Asset{}, Edges: [][2]string{}}
	names := s.names(v.Pipeline, dst)
	for _, t := range v.Tables {
		if !t.Enabled {
			continue
		}
		a := Asset{Table: t.Key(), Mode: t.SyncMode, Status: assetStatus(v, stats, t.Key())}
		if stat, ok := stats[t.Key()]; ok {
			a.Last = &stat
		}
		table := configuredTable(t)
		from, to := a, a
		from.ID, from.Name, from.Layer, from.Schema, from.Type = "source:"+t.Key(), t.SourceTable, "source", t.SourceSchema, string(src.Type)
		ref := names.Target(table, t)
		to.ID, to.Name, to.Layer, to.Schema, to.Type = "target:"+ref.String(), ref.Name, "target", ref.Schema, string(dst.Type)
		f.Assets = append(f.Assets, from)
		last := from.ID
		if t.LoadMode == model.LoadRaw {
			raw := names.Raw(src.Name, table)
			mid := a
			mid.ID, mid.Name, mid.Layer, mid.Schema, mid.Type = "raw:"+raw.String(), raw.Name, "raw", raw.Schema, string(dst.Type)
			f.Assets = append(f.Assets, mid)
			f.Edges = append(f.Edges, [2]string{last, mid.ID})
			last = mid.ID
		}
		f.Assets = append(f.Assets, to)
		f.Edges = append(f.Edges, [2]string{last, to.ID})
	}
	return f, nil
}

// assetStatus is the state of a table: what goes on now, else its last run's,
// else its pipeline's.
func assetStatus(v Overview, stats map[string]model.RunTableStat, key string) string {
	if v.LastRun != nil && v.LastRun.Status == model.RunRunning {
		return string(model.RunRunning)
	}
	stat, ok := stats[key]
	switch {
	case v.Status != model.PipelineActive:
		return AssetPaused
	case !ok:
		return AssetNotStarted
	case stat.Status == model.RunSuccess && v.LastRun != nil && v.LastRun.Status != model.RunSuccess:
		return AssetStale // it went well once, the last run did not bring it further
	}
	return string(stat.Status)
}

// Targets says where the tables of a pipeline go, by table key.
func (s *Service) Targets(ctx context.Context, p model.Pipeline) (map[string]string, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	dst, err := s.Store.GetDestination(ctx, p.DestinationID)
	if err != nil {
		return nil, err
	}
	names := s.names(p, dst)
	targets := make(map[string]string, len(p.Tables))
	for _, t := range p.Tables {
		targets[t.Key()] = names.Target(configuredTable(t), t).Schema
	}
	return targets, nil
}

// AssetTable finds the table of a pipeline that an asset of its flow belongs to,
// by the asset's id or name.
func (s *Service) AssetTable(ctx context.Context, p model.Pipeline, asset string) (string, error) {
	flows, err := s.Flows(ctx, p.ID)
	if err != nil {
		return "", err
	}
	for _, a := range flows[0].Assets {
		if a.ID == asset || a.Name == asset || a.Table == asset {
			return a.Table, nil
		}
	}
	return "", ErrNotFound
}
