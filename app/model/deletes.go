package model

// DeleteMode says what happens in the target to rows that are gone from the source.
type DeleteMode string

// The modes.
const (
	DeletesIgnore DeleteMode = "ignore"
	DeletesDelete DeleteMode = "delete"
	DeletesMark   DeleteMode = "mark"
)

// DeleteModes lists every DeleteMode.
func DeleteModes() []DeleteMode { return []DeleteMode{DeletesIgnore, DeletesDelete, DeletesMark} }

// Deletes says how a pipeline follows rows that vanish from its source: every EverySeconds the keys of both sides are
// compared after a table's load; 0 means only when a run is asked to. A comparison that would delete or mark more than
// MaxShare of the target's rows changes nothing and fails the table; 0 means DefaultMaxShare, 1 no limit.
type Deletes struct {
	Mode         DeleteMode `json:"mode,omitempty"`
	EverySeconds int        `json:"every_seconds,omitempty"`
	MaxShare     float64    `json:"max_share,omitempty"`
}

// DefaultMaxShare is the share of rows that one comparison may delete when nothing else is said.
const DefaultMaxShare = 0.3

// Limit is MaxShare or its default.
func (d Deletes) Limit() float64 {
	if d.MaxShare <= 0 {
		return DefaultMaxShare
	}
	return d.MaxShare
}

func (d Deletes) validate(f *faults) {
	if d.Mode != "" {
		oneOf(f, "options.deletes.mode", d.Mode, DeleteModes())
	}
	f.atLeastZero("options.deletes.every_seconds", d.EverySeconds)
	if !(d.MaxShare >= 0 && d.MaxShare <= 1) {
		f.add("options.deletes.max_share", "must be between 0 and 1")
	}
}

// SoftDelete says what happens to rows that the source marks as deleted.
type SoftDelete string

// The ways: keep loads them like any other row, remove deletes them from the target.
const (
	SoftDeleteKeep   SoftDelete = "keep"
	SoftDeleteRemove SoftDelete = "remove"
)

// SoftDeletes lists every SoftDelete.
func SoftDeletes() []SoftDelete { return []SoftDelete{SoftDeleteKeep, SoftDeleteRemove} }

// DeleteMode is how the pipeline follows deletions in one of its tables.
func (p Pipeline) DeleteMode(t PipelineTable) DeleteMode {
	switch {
	case t.Deletes != "":
		return t.Deletes
	case p.Options.Deletes.Mode != "":
		return p.Options.Deletes.Mode
	}
	return DeletesIgnore
}
