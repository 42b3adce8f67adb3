package model

import "time"

// Misfire says what happens to a time that passed without a run: the program was not running, the machine slept, or the
// pipeline's previous run was still going on.
type Misfire string

// The policies: one run makes up for all that was missed as soon as it can, or it is left out.
const (
	MisfireRunOnce Misfire = "run_once"
	MisfireSkip    Misfire = "skip"
)

// Misfires lists every Misfire.
func Misfires() []Misfire { return []Misfire{MisfireRunOnce, MisfireSkip} }

func (o PipelineOptions) validateSchedule(f *faults) {
	if o.Timezone != "" {
		if err := zone(new(Settings), o.Timezone); err != nil {
			f.add("options.timezone", "%v", err)
		}
	}
	if o.Misfire != "" {
		oneOf(f, "options.misfire", o.Misfire, Misfires())
	}
	f.atLeastZero("options.overdue_seconds", o.OverdueSeconds)
}

// Zone is the zone in which the pipeline's schedule is read; def is the program's.
func (o PipelineOptions) Zone(def *time.Location) *time.Location {
	if o.Timezone != "" {
		if at, err := time.LoadLocation(o.Timezone); err == nil {
			return at
		}
	}
	if def == nil {
		return time.UTC
	}
	return def
}

// ScheduleState is what is known of a pipeline's schedule beyond a restart.
type ScheduleState struct {
	PipelineID string    `json:"pipeline_id"`
	Spec       string    `json:"-"`                      // what NextAt was computed from; when it changes, NextAt starts anew
	NextAt     time.Time `json:"next_at,omitzero"`       // zero: nothing is scheduled
	LastAt     time.Time `json:"last_due_at,omitzero"`   // the last time that came due
	PendingAt  time.Time `json:"waiting_since,omitzero"` // a run is owed since then; the first one that begins later settles it
	Since      time.Time `json:"since,omitzero"`         // when the schedule was taken up
}
