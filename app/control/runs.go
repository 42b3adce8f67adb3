package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"arus/app/auth"
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
	BackfillTo   string // the end of the backfill; empty = the newest row
	Reconcile    bool   // compare the keys of both sides, where deletions are followed
	Force        bool   // whatever the pipeline it depends on has done
	RetryOf      string // a run of the pipeline: only its tables that did not succeed
	Trigger      model.TriggerType
	Progress     func(engine.Event) `json:"-"`
}

// Run runs a stored pipeline once and waits for its end; when ctx ends, so does
// the run.
func (s *Service) Run(ctx context.Context, req RunRequest) (engine.Report, error) {
	if err := s.may(ctx, auth.RunPipelines); err != nil {
		return engine.Report{}, err
	}
	job, err := s.job(ctx, req)
	if err != nil {
		return engine.Report{}, err
	}
	started, err := s.begin(ctx, s.execution(ctx, job, req.Progress))
	if err != nil {
		return engine.Report{}, err
	}
	return started.Wait(context.WithoutCancel(ctx))
}

// job puts together what the engine needs for one run.
func (s *Service) job(ctx context.Context, req RunRequest) (engine.Job, error) {
	p, src, dst, err := s.whole(ctx, req.Pipeline)
	if err != nil {
		return engine.Job{}, err
	}
	if p.Status == model.PipelineInactive {
		return engine.Job{}, fault("the run", "pipeline", "%q is inactive", p.Name)
	}
	for _, want := range req.Tables {
		if !hasTable(p, want) {
			return engine.Job{}, fault("the run", "tables", "pipeline %q has no enabled table %q", p.Name, want)
		}
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return engine.Job{}, err
	}
	job := engine.Job{
		Pipeline: p, Only: req.Tables, Trigger: req.Trigger, SourceName: src.Name, SyncMethod: src.SyncMethod,
		Names: s.names(p, dst), FullRefresh: req.FullRefresh,
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
	if err := s.prepare(ctx, &job, req, dst, settings); err != nil {
		return engine.Job{}, err
	}
	switch {
	case req.BackfillFrom == "" && req.BackfillTo != "":
		return engine.Job{}, fault("the run", "backfill_from", "is required together with backfill_to")
	case req.BackfillFrom != "" && req.FullRefresh:
		return engine.Job{}, fault("the run", "backfill_from", "goes without a full refresh")
	case req.BackfillFrom != "":
		if _, _, err := connectors.ParseTimestamp(req.BackfillFrom); err != nil {
			return engine.Job{}, fault("the run", "backfill_from", "%q is no date: write it as 2026-01-31 or 2026-01-31T15:04:05", req.BackfillFrom)
		}
		if _, _, err := connectors.ParseTimestamp(req.BackfillTo); req.BackfillTo != "" && err != nil {
			return engine.Job{}, fault("the run", "backfill_to", "%q is no date: write it as 2026-01-31 or 2026-01-31T15:04:05", req.BackfillTo)
		}
		job.BackfillFrom, job.BackfillTo, job.Trigger = req.BackfillFrom, req.BackfillTo, model.TriggerBackfill
	case req.FullRefresh:
		job.Trigger = model.TriggerFullRefresh
	case job.Trigger == "":
		job.Trigger = model.TriggerManual
	}
	return job, nil
}

func hasTable(p model.Pipeline, key string) bool {
	for _, t := range p.Tables {
		if t.Enabled && t.Key() == key {
			return true
		}
	}
	return false
}

// RunFilter narrows a list of runs. Pipeline is an id or name; empty fields do
// not filter.
type RunFilter struct {
	Pipeline string
	Status   model.RunStatus
	Table    string // only runs that did this table
	Page
}

// ListRuns gives one page of the runs, newest first, and how many match.
func (s *Service) ListRuns(ctx context.Context, f RunFilter) ([]model.Run, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	filter := store.RunFilter{Status: f.Status, Table: f.Table, Page: f.Page}
	if f.Pipeline != "" {
		p, err := s.Store.FindPipeline(ctx, f.Pipeline)
		if err != nil {
			return nil, 0, err
		}
		filter.PipelineID = p.ID
	}
	if f.Status == model.RunQueued {
		list := []model.Run{}
		for _, x := range s.runs.queue(ctx) {
			if filter.PipelineID == "" || x.pipeline.ID == filter.PipelineID {
				list = append(list, x.queuedRun())
			}
		}
		total := len(list)
		list = list[min(f.Offset, total):]
		return list[:min(max(f.Limit, 1), len(list))], total, nil
	}
	if f.Status != "" && !slices.Contains(model.RunStatuses(), f.Status) {
		return nil, 0, fault("the filter", "status", "%q is not one of queued, %s", f.Status, words(model.RunStatuses()))
	}
	return s.Store.ListRuns(ctx, filter)
}

// queuedRun is a run that waits, as it will be.
func (x *execution) queuedRun() model.Run {
	return model.Run{ID: x.id, PipelineID: x.pipeline.ID, UserID: x.user, Status: model.RunQueued, Trigger: x.trigger, StartedAt: x.queued, CreatedAt: x.queued}
}

// GetRun gives a run with its tables; one that waits has the status queued.
func (s *Service) GetRun(ctx context.Context, id string) (model.Run, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.Run{}, err
	}
	if x, running := s.runs.find(ctx, id); x != nil && !running {
		return x.queuedRun(), nil
	}
	run, err := s.Store.GetRun(ctx, id)
	if x, _ := s.runs.find(ctx, id); errors.Is(err, ErrNotFound) && x != nil { // it begins at this moment
		return x.queuedRun(), nil
	}
	return run, err
}

// LastGood gives the newest successful run of the same pipeline before a run,
// with its tables.
func (s *Service) LastGood(ctx context.Context, run model.Run) (model.Run, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.Run{}, err
	}
	good, err := s.Store.SuccessBefore(ctx, run.PipelineID, run.StartedAt)
	if err != nil {
		return model.Run{}, err
	}
	return s.Store.GetRun(ctx, good.ID)
}

// RunLogs gives log lines of a run after the line with id after.
func (s *Service) RunLogs(ctx context.Context, runID string, after int64, limit int) ([]model.RunLog, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.ListRunLogs(ctx, runID, after, limit)
}

// LogFilter selects lines of a run's log.
type LogFilter = store.LogFilter

// RunLogPage gives one page of the log of a run, oldest first, and how many
// lines match.
func (s *Service) RunLogPage(ctx context.Context, f LogFilter) ([]model.RunLog, int, error) {
	if _, err := s.GetRun(ctx, f.RunID); err != nil {
		return nil, 0, err
	}
	return s.Store.RunLogPage(ctx, f)
}

// DailyStats are the figures of one day, in UTC.
type DailyStats = store.DailyStats

// RunStats gives the figures of the last days, the days without runs too.
func (s *Service) RunStats(ctx context.Context, days int) ([]DailyStats, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	now := s.Now().UTC()
	from := time.Date(now.Year(), now.Month(), now.Day()-days+1, 0, 0, 0, 0, time.UTC)
	have, err := s.Store.DailyStats(ctx, from)
	if err != nil {
		return nil, err
	}
	list := make([]DailyStats, days)
	for i := range list {
		list[i].Date = from.AddDate(0, 0, i).Format(time.DateOnly)
		if at := slices.IndexFunc(have, func(d DailyStats) bool { return d.Date == list[i].Date }); at >= 0 {
			list[i] = have[at]
		}
	}
	return list, nil
}

// words lists the members of an enumeration for a message.
func words[T ~string](list []T) string {
	all := make([]string, len(list))
	for i, w := range list {
		all[i] = string(w)
	}
	return strings.Join(all, ", ")
}
