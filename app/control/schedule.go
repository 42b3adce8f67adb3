package control

import (
	"context"
	"errors"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// FinishRun ends the run with its status, counts and message. In the same
// transaction it settles what the schedule owed, and owes a run to the pipelines
// that run after this one.
func (s state) FinishRun(ctx context.Context, r model.Run) error {
	return s.Atomically(ctx, func(tx *store.Store) error {
		run, err := tx.FinishRun(ctx, r.ID, store.RunResult{Status: r.Status, Counts: r.Counts, ErrorMessage: r.ErrorMessage})
		if err != nil {
			return err
		}
		return tx.SettleSchedule(ctx, run)
	})
}

// StartRun records the start, with which a run is no longer in the queue. One
// that is skipped is over with it.
func (s state) StartRun(ctx context.Context, r *model.Run) error {
	return s.Atomically(ctx, func(tx *store.Store) error {
		if r.ID != "" {
			if err := tx.DequeueRun(ctx, r.ID); err != nil {
				return err
			}
		}
		if err := tx.StartRun(ctx, r); err != nil || r.Status != model.RunSkipped {
			return err
		}
		return tx.SettleSchedule(ctx, *r)
	})
}

// ScheduledPipeline is a pipeline whose runs the program starts by itself.
type ScheduledPipeline struct {
	model.Pipeline
	Times model.Schedule // zero: it only runs after another one
	State model.ScheduleState
}

// ScheduledPipelines are the active pipelines that have a schedule or run after
// another one; none while the schedule as a whole is paused.
func (s *Service) ScheduledPipelines(ctx context.Context) ([]ScheduledPipeline, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	settings, err := s.settings(ctx)
	if err != nil || settings.SchedulePaused {
		return nil, err
	}
	states, err := s.Store.ScheduleStates(ctx)
	if err != nil {
		return nil, err
	}
	pipelines, err := all(func(page store.Page) ([]model.Pipeline, int, error) {
		return s.Store.ListPipelines(ctx, store.PipelineFilter{Status: model.PipelineActive, Page: page})
	})
	list := []ScheduledPipeline{}
	for _, p := range pipelines {
		times, bad := model.ParseSchedule(p.Schedule, p.Options.Zone(settings.TimeZone))
		if bad != nil { // of an earlier version: a save would refuse it
			s.Log.ErrorContext(ctx, "a pipeline's schedule cannot be read, so it does not run by itself", "pipeline", p.Name, "error", bad)
			times = model.Schedule{}
		}
		if times.IsZero() && (p.DependsOn == "" || !p.Options.RunAfterUpstream) {
			continue
		}
		list = append(list, ScheduledPipeline{Pipeline: p, Times: times, State: states[p.ID]})
	}
	return list, err
}

// ScheduleStates are what is remembered of every schedule, by pipeline.
func (s *Service) ScheduleStates(ctx context.Context) (map[string]model.ScheduleState, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.ScheduleStates(ctx)
}

// SaveSchedules remembers states and forgets those of the pipelines in gone. A
// run that is owed stays so.
func (s *Service) SaveSchedules(ctx context.Context, states []model.ScheduleState, gone []string) error {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return err
	}
	return s.Store.SaveSchedules(ctx, states, gone)
}

// PendingSchedules are the states of the pipelines that are owed a run.
func (s *Service) PendingSchedules(ctx context.Context) ([]model.ScheduleState, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.PendingSchedules(ctx)
}

// ForgetPending says that the pipelines are owed no run any more.
func (s *Service) ForgetPending(ctx context.Context, pipelineIDs []string) error {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return err
	}
	return s.Store.ForgetPending(ctx, pipelineIDs)
}

// Busy are the pipelines of which a run waits or goes on.
func (s *Service) Busy() map[string]bool {
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	busy := make(map[string]bool, len(s.runs.waiting)+len(s.runs.running))
	for _, x := range s.runs.waiting {
		busy[x.pipeline.ID] = true
	}
	for _, x := range s.runs.running {
		busy[x.pipeline.ID] = true
	}
	return busy
}

// StartScheduled starts a run that the schedule owes, or queues it. The function
// it returns waits for its end and says whether somebody cancelled it; the error
// is of a run that could not be recorded, or ErrStopping.
func (s *Service) StartScheduled(ctx context.Context, pipelineID string) (wait func(context.Context) (cancelled bool, err error), err error) {
	started, err := s.StartRun(ctx, RunRequest{Pipeline: pipelineID, Trigger: model.TriggerScheduled})
	return func(ctx context.Context) (bool, error) {
		report, err := started.Wait(ctx)
		if errors.Is(err, errQueueLeft) && !errors.Is(err, ErrStopping) {
			return true, nil
		}
		return report.Status == model.RunCancelled, err
	}, err
}

// ScheduleView is how the schedule of a pipeline stands.
type ScheduleView struct {
	PipelineID   string               `json:"pipeline_id"`
	PipelineName string               `json:"pipeline_name"`
	Status       model.PipelineStatus `json:"status"`
	Schedule     string               `json:"schedule"`
	Timezone     string               `json:"timezone"`
	After        string               `json:"after,omitempty"` // name of the pipeline whose success starts it
	Misfire      model.Misfire        `json:"misfire"`
	Waiting      bool                 `json:"waiting"`              // a run is owed and will start as soon as it can
	LastDueAt    time.Time            `json:"last_due_at,omitzero"` // zero: never
	NextAt       time.Time            `json:"next_at,omitzero"`     // zero: not by itself
}

// ListSchedules says how the schedules stand, and whether all of them are
// paused. Pipelines that never run by themselves are left out.
func (s *Service) ListSchedules(ctx context.Context) (list []ScheduleView, paused bool, err error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, false, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return nil, false, err
	}
	states, err := s.Store.ScheduleStates(ctx)
	if err != nil {
		return nil, false, err
	}
	pipelines, err := all(func(page store.Page) ([]model.Pipeline, int, error) {
		return s.Store.ListPipelines(ctx, store.PipelineFilter{Page: page})
	})
	names := map[string]string{}
	for _, p := range pipelines {
		names[p.ID] = p.Name
	}
	list = []ScheduleView{}
	for _, p := range pipelines {
		zone := p.Options.Zone(settings.TimeZone)
		times, bad := model.ParseSchedule(p.Schedule, zone)
		v := ScheduleView{
			PipelineID: p.ID, PipelineName: p.Name, Status: p.Status, Schedule: p.Schedule, Timezone: zone.String(), Misfire: p.Options.Misfire,
			Waiting: !states[p.ID].PendingAt.IsZero(), LastDueAt: states[p.ID].LastAt,
		}
		if v.Misfire == "" {
			v.Misfire = model.MisfireRunOnce
		}
		if p.DependsOn != "" && p.Options.RunAfterUpstream {
			v.After = names[p.DependsOn]
		}
		if times.IsZero() && v.After == "" && bad == nil {
			continue
		}
		if p.Status == model.PipelineActive && !settings.SchedulePaused && bad == nil {
			if v.NextAt = states[p.ID].NextAt; v.NextAt.IsZero() {
				v.NextAt = times.Next(s.Now())
			}
		}
		list = append(list, v)
	}
	return list, settings.SchedulePaused, err
}

// NextTimes are the next times of a schedule in a zone, the program's when it is
// empty; none for no schedule. The error is an *InvalidError.
func (s *Service) NextTimes(ctx context.Context, schedule, zone string, n int) ([]time.Time, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return nil, err
	}
	at := settings.TimeZone
	if zone != "" {
		if at, err = time.LoadLocation(zone); err != nil || zone == "Local" {
			return nil, fault("the schedule", "timezone", "must be a zone such as UTC or Europe/Berlin, not %q", zone)
		}
	}
	times, err := model.ParseSchedule(schedule, at)
	if err != nil {
		return nil, fault("the schedule", "schedule", "%v", err)
	}
	return times.NextTimes(s.Now(), n), nil
}

// PauseSchedule lets no schedule start a run, or lets them again. Each
// pipeline's own status stays as it is.
func (s *Service) PauseSchedule(ctx context.Context, paused bool) error {
	value := "false"
	if paused {
		value = "true"
	}
	return s.ChangeSettings(ctx, map[string]string{"schedule_paused": value}, nil)
}

// checkSchedule says what is wrong with a schedule.
func checkSchedule(schedule string) error {
	_, err := model.ParseSchedule(schedule, time.UTC)
	return err
}
