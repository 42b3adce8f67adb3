package control

import (
	"context"

	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// RunRequest says how to run a stored pipeline.
type RunRequest struct {
	Pipeline     string   // id or name
	Tables       []string // keys; empty = all that are enabled
	FullRefresh  bool
	BackfillFrom string // date or timestamp; empty = none
	Trigger      model.TriggerType
	Progress     func(engine.Event)
}

// Run runs a stored pipeline once.
func (s *Service) Run(ctx context.Context, req RunRequest) (engine.Report, error) {
	p, src, dst, err := s.whole(ctx, req.Pipeline)
	if err != nil {
		return engine.Report{}, err
	}
	if p.Status == model.PipelineInactive {
		return engine.Report{}, fault("the run", "pipeline", "%q is inactive", p.Name)
	}
	for _, want := range req.Tables {
		if !hasTable(p, want) {
			return engine.Report{}, fault("the run", "tables", "pipeline %q has no enabled table %q", p.Name, want)
		}
	}
	job := engine.Job{
		Pipeline: p, Only: req.Tables, Trigger: req.Trigger, SourceName: src.Name, SyncMethod: src.SyncMethod,
		Names: s.names(p, dst), Holds: s.Registry[string(dst.Type)].Holds, FullRefresh: req.FullRefresh,
		Open: func(ctx context.Context) (connectors.Source, connectors.Destination, error) {
			source, err := s.storedSource(ctx, src)
			if err != nil {
				return nil, nil, err
			}
			destination, err := s.storedDestination(ctx, dst)
			if err != nil {
				_ = source.Close()
				return nil, nil, err
			}
			return source, destination, nil
		},
	}
	switch {
	case req.BackfillFrom != "" && req.FullRefresh:
		return engine.Report{}, fault("the run", "backfill_from", "goes without a full refresh")
	case req.BackfillFrom != "":
		if _, _, err := connectors.ParseTimestamp(req.BackfillFrom); err != nil {
			return engine.Report{}, fault("the run", "backfill_from", "%q is no date: write it as 2026-01-31 or 2026-01-31T15:04:05", req.BackfillFrom)
		}
		job.BackfillFrom, job.Trigger = req.BackfillFrom, model.TriggerBackfill
	case req.FullRefresh:
		job.Trigger = model.TriggerFullRefresh
	case job.Trigger == "":
		job.Trigger = model.TriggerManual
	}
	return s.engine(req.Progress).Run(ctx, job)
}

func hasTable(p model.Pipeline, key string) bool {
	for _, t := range p.Tables {
		if t.Enabled && t.Key() == key {
			return true
		}
	}
	return false
}

// ListRuns gives one page of the runs, newest first, and how many match.
// pipeline is an id or name; empty means all.
func (s *Service) ListRuns(ctx context.Context, pipeline string, limit, offset int) ([]model.Run, int, error) {
	filter := store.RunFilter{Page: store.Page{Limit: limit, Offset: offset}}
	if pipeline != "" {
		p, err := s.Store.FindPipeline(ctx, pipeline)
		if err != nil {
			return nil, 0, err
		}
		filter.PipelineID = p.ID
	}
	return s.Store.ListRuns(ctx, filter)
}

// GetRun gives a run with its tables.
func (s *Service) GetRun(ctx context.Context, id string) (model.Run, error) {
	return s.Store.GetRun(ctx, id)
}

// RunLogs gives log lines of a run after the line with id after.
func (s *Service) RunLogs(ctx context.Context, runID string, after int64, limit int) ([]model.RunLog, error) {
	return s.Store.ListRunLogs(ctx, runID, after, limit)
}
