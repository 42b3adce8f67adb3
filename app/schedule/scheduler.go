// Package schedule starts the runs that pipelines are due for: by their own
// schedules, and after the pipelines that they depend on.
//
// What is owed lies in the state file and not here. When a time comes due, that a
// run is owed since then is written down before it is started; the first run of
// the pipeline that begins later settles that in the transaction of its end,
// whoever started it. So a time that passes while the program is stopped, while
// the machine sleeps, while the previous run goes on or between the two writes of
// a crash is made up for by one run, and none is made up for twice.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/zeebo/xxh3"

	"arus/app/control"
	"arus/app/model"
)

// Control is what the scheduler needs of the use cases.
type Control interface {
	ScheduledPipelines(ctx context.Context) ([]control.ScheduledPipeline, error)
	ScheduleStates(ctx context.Context) (map[string]model.ScheduleState, error)
	SaveSchedules(ctx context.Context, states []model.ScheduleState, gone []string) error
	PendingSchedules(ctx context.Context) ([]model.ScheduleState, error)
	ForgetPending(ctx context.Context, pipelineIDs []string) error
	StartScheduled(ctx context.Context, pipelineID string) (wait func(context.Context) (cancelled bool, err error), err error)
	Busy() map[string]bool
	Settings(ctx context.Context) (model.Settings, error)
	CheckOverdue(ctx context.Context) error
	Beat()
}

// Scheduler starts runs. Construct it with all fields set, pass it the events
// and Run it once. It goes by Now alone: that a machine slept or its clock was
// set makes no difference to what is due.
type Scheduler struct {
	Control Control
	Log     *slog.Logger
	Now     func() time.Time

	mu      sync.Mutex // held while a tick goes on
	entries map[string]*entry
	waits   sync.WaitGroup

	flags   sync.Mutex
	changed bool // the configuration is to be read again
	settled bool // what is owed is to be read again
	started map[string]bool
	hold    map[string]time.Time // not to be started before
}

// entry is a pipeline that runs by itself.
type entry struct {
	name    string
	times   model.Schedule
	skip    bool
	jitter  time.Duration
	state   model.ScheduleState
	pending bool
}

const (
	// tickEvery is how exact the scheduler is. A tick on which nothing is due
	// compares times and reads nothing.
	tickEvery = time.Second
	// grace is how late a run may begin where what is missed is left out.
	grace = time.Minute
	// rereadEvery bounds how long a change can go unnoticed whose event was lost.
	rereadEvery = time.Minute
	// retryAfter is when a run that could not be started or recorded is tried again.
	retryAfter = time.Minute
)

// Run starts runs until ctx ends; the runs themselves are control's to end.
func (s *Scheduler) Run(ctx context.Context) error {
	s.reset()
	jobs, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithStopTimeout(time.Minute))
	if err != nil {
		return fmt.Errorf("start the schedule: %w", err)
	}
	for _, job := range []struct {
		name  string
		every time.Duration
		do    func(context.Context) error
	}{
		{"start what is due", tickEvery, s.tick},
		{"read the configuration again", rereadEvery, func(context.Context) error { s.reread(); return nil }},
		{"look for what is overdue", time.Minute, s.Control.CheckOverdue},
	} {
		task := func() {
			if err := job.do(ctx); err != nil && ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "the schedule did not do its work", "work", job.name, "error", err)
			}
		}
		if _, err := jobs.NewJob(gocron.DurationJob(job.every), gocron.NewTask(task), gocron.WithName(job.name), gocron.WithSingletonMode(gocron.LimitModeReschedule)); err != nil {
			return errors.Join(fmt.Errorf("start the schedule: %w", err), jobs.Shutdown())
		}
	}
	jobs.Start()
	<-ctx.Done()
	err = jobs.Shutdown()
	s.waits.Wait()
	return err
}

func (s *Scheduler) reset() {
	s.flags.Lock()
	defer s.flags.Unlock()
	s.started, s.hold, s.changed, s.settled = map[string]bool{}, map[string]time.Time{}, true, true
}

// Observe takes the events that make the scheduler look again. It is quick.
func (s *Scheduler) Observe(e control.Event) {
	switch d := e.Data.(type) {
	case control.ConfigChange:
		if d.Object == "pipeline" || d.Object == "settings" || d.Object == "source" || d.Object == "destination" {
			s.reread()
		}
	case control.RunEvent:
		if e.Type == control.RunFinished {
			s.flags.Lock()
			s.settled = true
			s.flags.Unlock()
		}
	}
}

func (s *Scheduler) reread() {
	s.flags.Lock()
	s.changed = true
	s.flags.Unlock()
}

// tick starts what is due now.
func (s *Scheduler) tick(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// First who is busy: a run that is not among them has ended before and said so, and what is read of what is owed knows it.
	busy := s.Control.Busy()
	s.flags.Lock()
	for id := range s.started {
		busy[id] = true
	}
	changed, settled := s.changed, s.settled
	s.changed, s.settled = false, false
	s.flags.Unlock()
	err := s.advance(ctx, busy, changed, changed || settled)
	if err != nil {
		s.flags.Lock() // what was to be read is still to be read
		s.changed, s.settled = s.changed || changed, s.settled || settled || changed
		s.flags.Unlock()
		return err
	}
	s.Control.Beat()
	return nil
}

func (s *Scheduler) advance(ctx context.Context, busy map[string]bool, changed, settled bool) error {
	now := s.Now().UTC()
	if changed {
		if err := s.read(ctx, now); err != nil {
			return err
		}
	}
	if settled {
		if err := s.readPending(ctx); err != nil {
			return err
		}
	}
	if err := s.due(ctx, busy, now); err != nil {
		return err
	}
	return s.start(ctx, busy, now)
}

// read takes over the configuration as it is now.
func (s *Scheduler) read(ctx context.Context, now time.Time) error {
	pipelines, err := s.Control.ScheduledPipelines(ctx)
	if err != nil {
		return err
	}
	settings, err := s.Control.Settings(ctx)
	if err != nil {
		return err
	}
	known, err := s.Control.ScheduleStates(ctx)
	if err != nil {
		return err
	}
	entries := make(map[string]*entry, len(pipelines))
	var save []model.ScheduleState
	for _, p := range pipelines {
		e := &entry{name: p.Name, times: p.Times, skip: p.Options.Misfire == model.MisfireSkip, jitter: settings.ScheduleJitter, state: p.State}
		e.pending = !p.State.PendingAt.IsZero()
		spec := fmt.Sprintf("%s in %s", p.Schedule, p.Options.Zone(settings.TimeZone))
		if p.State.Spec != spec || p.State.Since.IsZero() || p.State.NextAt.IsZero() != p.Times.IsZero() {
			e.state = model.ScheduleState{PipelineID: p.ID, Spec: spec, NextAt: p.Times.Next(now), LastAt: p.State.LastAt, PendingAt: p.State.PendingAt, Since: now}
			save = append(save, e.state)
		}
		entries[p.ID] = e
	}
	var gone []string
	for id := range known {
		if entries[id] == nil {
			gone = append(gone, id)
		}
	}
	if len(save) > 0 || len(gone) > 0 {
		if err := s.Control.SaveSchedules(ctx, save, gone); err != nil {
			return err
		}
	}
	s.entries = entries
	return nil
}

// readPending takes over what is owed.
func (s *Scheduler) readPending(ctx context.Context) error {
	list, err := s.Control.PendingSchedules(ctx)
	if err != nil {
		return err
	}
	for _, e := range s.entries {
		e.pending, e.state.PendingAt = false, time.Time{}
	}
	for _, st := range list {
		if e := s.entries[st.PipelineID]; e != nil {
			e.pending, e.state.PendingAt = true, st.PendingAt
		}
	}
	return nil
}

// due writes down what has come due. Of several times that passed only the last
// one counts.
func (s *Scheduler) due(ctx context.Context, busy map[string]bool, now time.Time) error {
	var save []model.ScheduleState
	for id, e := range s.entries {
		at := e.state.NextAt
		if at.IsZero() || now.Before(at.Add(e.delay(at))) {
			continue
		}
		next := e.times.Next(at)
		missed := 0
		for !next.IsZero() && !next.After(now) {
			at, next = next, e.times.Next(next)
			if missed++; missed > 1000 { // far behind: from here on
				at, next = now, e.times.Next(now)
			}
		}
		st := e.state
		st.NextAt, st.LastAt, st.PendingAt = next, at, at
		if e.skip {
			if late := now.Sub(at.Add(e.delay(at))); late > grace || busy[id] || e.pending {
				s.Log.InfoContext(ctx, "left out a scheduled run", "pipeline", e.name, "due", at, "late", late.Round(time.Second), "running", busy[id])
				st.PendingAt = time.Time{}
			}
		} else if missed > 0 {
			s.Log.WarnContext(ctx, "one run makes up for the times that were missed", "pipeline", e.name, "missed", missed, "last", at)
		}
		save = append(save, st)
	}
	if len(save) == 0 {
		return nil
	}
	if err := s.Control.SaveSchedules(ctx, save, nil); err != nil {
		return err
	}
	for _, st := range save {
		e := s.entries[st.PipelineID]
		if st.PendingAt.IsZero() { // it may be owed one since earlier
			st.PendingAt = e.state.PendingAt
		}
		e.state, e.pending = st, !st.PendingAt.IsZero()
	}
	return nil
}

// delay spreads the runs of one time, each pipeline's by a part of its own, by
// less than half the way to its next time.
func (e *entry) delay(at time.Time) time.Duration {
	if e.jitter <= 0 {
		return 0
	}
	most := e.jitter
	if next := e.times.Next(at); !next.IsZero() {
		most = min(most, next.Sub(at)/2)
	}
	part := float64(xxh3.HashString(e.state.PipelineID)>>11) / (1 << 53)
	return time.Duration(float64(most) * part).Truncate(time.Second)
}

// start starts the runs that are owed and can begin.
func (s *Scheduler) start(ctx context.Context, busy map[string]bool, now time.Time) error {
	var owed []string
	for id, e := range s.entries {
		if e.pending {
			owed = append(owed, id)
		}
	}
	if len(owed) == 0 {
		return nil
	}
	var forget []string
	for _, id := range owed {
		e := s.entries[id]
		s.flags.Lock()
		held := now.Before(s.hold[id])
		s.flags.Unlock()
		if held || busy[id] {
			continue // it is looked at again when that run is over
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if late := now.Sub(e.state.PendingAt); e.skip && late > grace+e.delay(e.state.PendingAt) {
			s.Log.InfoContext(ctx, "left out a scheduled run", "pipeline", e.name, "due", e.state.PendingAt, "late", late.Round(time.Second))
			forget = append(forget, id)
			continue
		}
		wait, err := s.Control.StartScheduled(ctx, id)
		switch {
		case err == nil:
			s.follow(ctx, id, wait)
		case errors.Is(err, control.ErrRunActive), errors.Is(err, control.ErrStopping), ctx.Err() != nil:
		case isRefused(err): // trying again would not help: it is not as it was when it came due
			s.Log.ErrorContext(ctx, "start a scheduled run", "pipeline", e.name, "error", err)
			forget = append(forget, id)
		default:
			s.Log.ErrorContext(ctx, "start a scheduled run; it is tried again", "pipeline", e.name, "error", err)
			s.holdBack(id)
		}
	}
	return s.forget(ctx, forget)
}

func isRefused(err error) bool {
	_, invalid := errors.AsType[*control.InvalidError](err)
	return invalid || control.IsNotFound(err)
}

func (s *Scheduler) holdBack(id string) {
	s.flags.Lock()
	s.hold[id] = s.Now().Add(retryAfter)
	s.flags.Unlock()
}

func (s *Scheduler) forget(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := s.Control.ForgetPending(ctx, ids); err != nil {
		return err
	}
	for _, id := range ids {
		if e := s.entries[id]; e != nil {
			e.pending, e.state.PendingAt = false, time.Time{}
		}
	}
	return nil
}

// follow waits for the end of a run. One that somebody cancelled is not made up
// for; one that ended with the program is, at the next start.
func (s *Scheduler) follow(ctx context.Context, id string, wait func(context.Context) (bool, error)) {
	s.flags.Lock()
	s.started[id] = true
	delete(s.hold, id)
	s.flags.Unlock()
	s.waits.Go(func() {
		cancelled, err := wait(ctx)
		switch {
		case ctx.Err() != nil: // the program ends
		case cancelled:
			if err := s.Control.ForgetPending(ctx, []string{id}); err != nil {
				s.Log.ErrorContext(ctx, "end what a cancelled run was owed", "pipeline", id, "error", err)
			}
		case err != nil && !errors.Is(err, control.ErrStopping):
			s.Log.ErrorContext(ctx, "record a scheduled run; it is tried again", "pipeline", id, "error", err)
			s.holdBack(id)
		}
		s.flags.Lock()
		delete(s.started, id)
		s.settled = true
		s.flags.Unlock()
	})
}
