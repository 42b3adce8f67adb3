package control

import (
	"context"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// PipelineHealth is how one pipeline stands, in short.
type PipelineHealth struct {
	ID, Name    string
	Status      model.PipelineStatus
	Schedule    string
	LastRun     *model.Run // nil: never
	LastSuccess time.Time  // zero: never
	NextAt      time.Time  // zero: not by itself
	Queued      bool
	Incidents   []model.Incident
	Changes     int // of schemas, that wait for a decision
}

// Trouble says whether a person should look at it.
func (h PipelineHealth) Trouble() bool {
	return len(h.Incidents) > 0 || h.Changes > 0 || h.Failing()
}

// Failing says whether its last run failed.
func (h PipelineHealth) Failing() bool {
	return h.LastRun != nil && h.LastRun.Status == model.RunFailed
}

// Incident says whether an incident of a kind is open.
func (h PipelineHealth) Incident(kind model.NotifyEvent) bool {
	for _, i := range h.Incidents {
		if i.Kind == kind {
			return true
		}
	}
	return false
}

// Health says how every pipeline stands, by name.
func (s *Service) Health(ctx context.Context) ([]PipelineHealth, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	pipelines, err := s.Store.PipelineBriefs(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(pipelines))
	for i, p := range pipelines {
		ids[i] = p.ID
	}
	latest, err := s.Store.LatestRuns(ctx, ids)
	if err != nil {
		return nil, err
	}
	states, err := s.Store.ScheduleStates(ctx)
	if err != nil {
		return nil, err
	}
	incidents, err := s.Store.Incidents(ctx)
	if err != nil {
		return nil, err
	}
	changes, _, err := s.Store.ListSchemaChanges(ctx, store.ChangeFilter{Status: model.ChangePending, Page: store.Page{Limit: 1000}})
	if err != nil {
		return nil, err
	}
	at := make(map[string]*PipelineHealth, len(pipelines))
	list := make([]PipelineHealth, len(pipelines))
	for i, p := range pipelines {
		list[i] = PipelineHealth{ID: p.ID, Name: p.Name, Status: p.Status, Schedule: p.Schedule, LastSuccess: p.LastSuccess}
		at[p.ID] = &list[i]
		if run, ok := latest[p.ID]; ok {
			list[i].LastRun = &run
		}
		if p.Status == model.PipelineActive {
			list[i].NextAt = states[p.ID].NextAt
		}
	}
	for _, i := range incidents {
		if h := at[i.PipelineID]; h != nil {
			h.Incidents = append(h.Incidents, i)
		}
	}
	for _, c := range changes {
		if h := at[c.PipelineID]; h != nil {
			h.Changes++
		}
	}
	for _, x := range s.runs.queue(ctx) {
		if h := at[x.pipeline.ID]; h != nil {
			h.Queued = true
		}
	}
	return list, nil
}

// RecentRuns gives the newest runs, without counting how many there are.
func (s *Service) RecentRuns(ctx context.Context, limit int) ([]model.Run, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.RecentRuns(ctx, limit)
}
