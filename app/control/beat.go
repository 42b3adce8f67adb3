package control

import (
	"context"
	"time"
)

// The states of the scheduler.
const (
	SchedulerRunning = "running"
	SchedulerPaused  = "paused" // it works, and all schedules rest
	SchedulerStopped = "stopped"
)

// beatEvery is how old the schedule's last look may be; it looks every second.
const beatEvery = time.Minute

// Beat says that the schedule has just looked for what is due.
func (s *Service) Beat() { s.beat.Store(s.Now().UnixNano()) }

// SchedulerState says whether the schedule works. One that is about to begin, in a program that was started a moment ago, does.
func (s *Service) SchedulerState(ctx context.Context, started time.Time) string {
	last := time.Unix(0, s.beat.Load())
	if last.Before(started) {
		last = started
	}
	if s.Now().Sub(last) > beatEvery {
		return SchedulerStopped
	}
	if settings, err := s.settings(ctx); err == nil && settings.SchedulePaused {
		return SchedulerPaused
	}
	return SchedulerRunning
}
