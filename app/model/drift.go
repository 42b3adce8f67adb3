package model

import (
	"encoding/json"
	"time"
)

// DriftPolicy says what happens when the schema of a source's table changes.
type DriftPolicy string

// The policies: evolve changes the target along with the source, report goes on with the columns and types that the target
// has, freeze fails the table.
const (
	DriftEvolve DriftPolicy = "evolve"
	DriftReport DriftPolicy = "report"
	DriftFreeze DriftPolicy = "freeze"
)

// DriftPolicies lists every DriftPolicy.
func DriftPolicies() []DriftPolicy { return []DriftPolicy{DriftEvolve, DriftReport, DriftFreeze} }

// TableSchema is what the target of one table of a pipeline holds. BaseRunID is the run of its last full load.
type TableSchema struct {
	PipelineID   string          `json:"pipeline_id"`
	SourceTable  string          `json:"source_table"` // PipelineTable.Key
	Columns      json.RawMessage `json:"columns"`      // in the engine's form
	Key          []string        `json:"key_columns"`
	BaseRunID    string          `json:"base_run_id,omitempty"`
	ReconciledAt time.Time       `json:"reconciled_at,omitzero"` // zero: never
	UpdatedAt    time.Time       `json:"updated_at,omitzero"`    // zero: nothing is stored
	Open         int             `json:"open"`                   // changes of its schema that no run has followed
}

// ChangeKind is the kind of a change in a table's schema.
type ChangeKind string

// The kinds of change.
const (
	ColumnAdded      ChangeKind = "column_added"
	ColumnRemoved    ChangeKind = "column_removed"
	TypeWidened      ChangeKind = "type_widened"
	TypeNarrowed     ChangeKind = "type_narrowed"
	TypeIncompatible ChangeKind = "type_incompatible"
	NullAllowed      ChangeKind = "null_allowed"
	KeyChanged       ChangeKind = "key_changed"
)

// ChangeKinds lists every ChangeKind.
func ChangeKinds() []ChangeKind {
	return []ChangeKind{ColumnAdded, ColumnRemoved, TypeWidened, TypeNarrowed, TypeIncompatible, NullAllowed, KeyChanged}
}

// ChangeStatus says what was decided about a change.
type ChangeStatus string

// The decisions. Applied means that the next run follows the change, or that one has: see SchemaChange.DoneRunID.
const (
	ChangePending ChangeStatus = "pending"
	ChangeApplied ChangeStatus = "applied"
	ChangeIgnored ChangeStatus = "ignored"
)

// ChangeStatuses lists every ChangeStatus.
func ChangeStatuses() []ChangeStatus {
	return []ChangeStatus{ChangePending, ChangeApplied, ChangeIgnored}
}

// SchemaChange is one change of a table's schema, as a run found it.
type SchemaChange struct {
	ID          string       `json:"id"`
	PipelineID  string       `json:"pipeline_id"`
	SourceTable string       `json:"source_table"` // PipelineTable.Key
	Kind        ChangeKind   `json:"kind"`
	Column      string       `json:"column,omitempty"`
	From        string       `json:"from,omitempty"`
	To          string       `json:"to,omitempty"`
	RunID       string       `json:"run_id"` // the run that found it
	DetectedAt  time.Time    `json:"detected_at"`
	Status      ChangeStatus `json:"status"`
	DecidedBy   string       `json:"decided_by,omitempty"` // a user, or "policy"
	DecidedAt   time.Time    `json:"decided_at,omitzero"`
	DoneRunID   string       `json:"done_run_id,omitempty"` // the run that followed it, or found it gone; empty: open
}
