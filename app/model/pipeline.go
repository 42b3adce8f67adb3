package model

import (
	"encoding/json"
	"fmt"
	"time"
)

// PipelineStatus says whether a pipeline's schedule runs.
type PipelineStatus string

// The pipeline statuses. Paused keeps the schedule for later; inactive is refused by every trigger.
const (
	PipelineActive   PipelineStatus = "active"
	PipelinePaused   PipelineStatus = "paused"
	PipelineInactive PipelineStatus = "inactive"
)

// PipelineStatuses lists every PipelineStatus.
func PipelineStatuses() []PipelineStatus {
	return []PipelineStatus{PipelineActive, PipelinePaused, PipelineInactive}
}

// LoadMode says whether rows go straight into the typed table or first, as JSON, into the raw landing table.
type LoadMode string

// The load modes.
const (
	LoadDirect LoadMode = "direct"
	LoadRaw    LoadMode = "raw"
)

// LoadModes lists every LoadMode.
func LoadModes() []LoadMode { return []LoadMode{LoadDirect, LoadRaw} }

// SyncMode says whether a table is read from its watermark on or as a whole.
type SyncMode string

// The sync modes.
const (
	ModeIncremental SyncMode = "incremental"
	ModeFullRefresh SyncMode = "full_refresh"
)

// SyncModes lists every SyncMode.
func SyncModes() []SyncMode { return []SyncMode{ModeIncremental, ModeFullRefresh} }

// NullWatermark says what happens to rows whose watermark column is NULL.
type NullWatermark string

// The policies for NULL watermarks: include reads and counts such rows on the first load, skip never reads them.
const (
	NullInclude NullWatermark = "include"
	NullSkip    NullWatermark = "skip"
)

// NullWatermarks lists every NullWatermark.
func NullWatermarks() []NullWatermark { return []NullWatermark{NullInclude, NullSkip} }

// UnsetSchema is the schema name the seed stores where nobody chose one.
const UnsetSchema = "public"

// PipelineOptions are the settings of a pipeline beyond its columns. 0 leaves a number to the program: Parallel is how many
// tables, or chunks of tables, are copied at a time, ChunkRows how many rows of a large first load make a chunk.
type PipelineOptions struct {
	Parallel        int           `json:"parallel,omitempty"`
	ChunkRows       int64         `json:"chunk_rows,omitempty"`
	DeadLetters     Tolerance     `json:"dead_letters,omitzero"`
	LookbackSeconds int           `json:"lookback_seconds,omitempty"`
	NullWatermark   NullWatermark `json:"null_watermark,omitempty"`
	Policies        Policies      `json:"policies,omitzero"`

	TransformErrors TransformErrors `json:"transform_errors,omitempty"` // empty: dead letters

	Drift            DriftPolicy    `json:"drift,omitempty"` // empty: as the runtime setting auto_alter_schema says
	Deletes          Deletes        `json:"deletes,omitzero"`
	Quality          QualityOptions `json:"quality,omitzero"`
	RunAfterUpstream bool           `json:"run_after_upstream,omitempty"` // a success of the pipeline in DependsOn starts this one
	RawRetentionDays int            `json:"raw_retention_days,omitempty"` // 0: raw rows are kept
	FollowTables     bool           `json:"follow_tables,omitempty"`      // tables that are new at the source are taken in before a run, unless the runtime setting auto_discover_tables is off

	Timezone       string  `json:"timezone,omitempty"`        // of the schedule; empty: as the runtime setting timezone says
	Misfire        Misfire `json:"misfire,omitempty"`         // empty: run once
	OverdueSeconds int     `json:"overdue_seconds,omitempty"` // after so long without a success it is overdue; 0: after two scheduled times
}

func (o PipelineOptions) validate(f *faults, dependsOn string) {
	if o.Drift != "" {
		oneOf(f, "options.drift", o.Drift, DriftPolicies())
	}
	if o.TransformErrors != "" {
		oneOf(f, "options.transform_errors", o.TransformErrors, TransformErrorsList())
	}
	o.Deletes.validate(f)
	o.Quality.validate(f)
	if o.RunAfterUpstream && dependsOn == "" {
		f.add("options.run_after_upstream", "needs depends_on: there is no pipeline to run after")
	}
	f.atLeastZero("options.raw_retention_days", o.RawRetentionDays)
	o.validateSchedule(f)
}

// TransformErrors says what happens to a row for which a transform step has no answer: it is kept as a dead letter, or the
// table fails.
type TransformErrors string

// The choices for rows that fail in a transform.
const (
	TransformDeadLetter TransformErrors = "dead_letter"
	TransformFail       TransformErrors = "fail"
)

// TransformErrorsList lists every TransformErrors.
func TransformErrorsList() []TransformErrors {
	return []TransformErrors{TransformDeadLetter, TransformFail}
}

// Policy says what happens to a value that the destination cannot hold.
type Policy string

// The policies: replace it by the nearest thing that can be held and count it,
// keep the row as a dead letter, or fail the table.
const (
	PolicyReplace    Policy = "replace"
	PolicyDeadLetter Policy = "dead_letter"
	PolicyFail       Policy = "fail"
)

// PolicyList lists every Policy.
func PolicyList() []Policy { return []Policy{PolicyReplace, PolicyDeadLetter, PolicyFail} }

// Policies are a pipeline's choices by kind of value; "" is the default.
type Policies struct {
	NUL    Policy `json:"nul,omitempty"`    // U+0000 in text; replaced by U+FFFD
	UTF8   Policy `json:"utf8,omitempty"`   // text that is not UTF-8; replaced by U+FFFD
	Date   Policy `json:"date,omitempty"`   // zero, out-of-range and infinite dates; replaced by NULL
	Number Policy `json:"number,omitempty"` // NaN and infinities; replaced by NULL
	Long   Policy `json:"long,omitempty"`   // text and bytes over the target's length; cut
}

// OrDefault fills in the defaults: texts are mended, everything else that does
// not fit is kept as a dead letter.
func (p Policies) OrDefault() Policies {
	setDefault(&p.NUL, PolicyReplace)
	setDefault(&p.UTF8, PolicyReplace)
	setDefault(&p.Date, PolicyDeadLetter)
	setDefault(&p.Number, PolicyDeadLetter)
	setDefault(&p.Long, PolicyDeadLetter)
	return p
}

// Set sets one policy by its name.
func (p *Policies) Set(name, value string) bool {
	field, ok := map[string]*Policy{"nul": &p.NUL, "utf8": &p.UTF8, "date": &p.Date, "number": &p.Number, "long": &p.Long}[name]
	if ok {
		*field = Policy(value)
	}
	return ok
}

func (p Policies) validate(f *faults) {
	p = p.OrDefault()
	oneOf(f, "options.policies.nul", p.NUL, PolicyList())
	oneOf(f, "options.policies.utf8", p.UTF8, PolicyList())
	oneOf(f, "options.policies.date", p.Date, PolicyList())
	oneOf(f, "options.policies.number", p.Number, PolicyList())
	oneOf(f, "options.policies.long", p.Long, PolicyList())
}

// Pipeline copies tables from one source to one destination. TimeoutSeconds 0 means no limit. Tables are in the order they
// were given in.
type Pipeline struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	SourceID       string          `json:"source_id"`
	DestinationID  string          `json:"destination_id"`
	Status         PipelineStatus  `json:"status"`
	Schedule       string          `json:"schedule,omitempty"` // cron expression, empty: none
	MaxRetries     int             `json:"max_retries"`
	TimeoutSeconds int             `json:"timeout_seconds"`
	DependsOn      string          `json:"depends_on,omitempty"`
	TargetSchema   string          `json:"target_schema"`
	LoadMode       LoadMode        `json:"load_mode"`
	SyncKey        string          `json:"sync_key,omitempty"` // identity of a one-line sync by its endpoints
	Options        PipelineOptions `json:"options"`
	Tables         []PipelineTable `json:"tables"`
	CreatedAt      time.Time       `json:"created_at,omitzero"`
	UpdatedAt      time.Time       `json:"updated_at,omitzero"`
}

// NewPipeline returns a pipeline with the seed's defaults, the numeric ones included.
func NewPipeline(name, sourceID, destinationID string) Pipeline {
	p := Pipeline{Name: name, SourceID: sourceID, DestinationID: destinationID, MaxRetries: 3, TimeoutSeconds: 300}
	p.SetDefaults()
	return p
}

// SetDefaults gives unset names and enumerations the seed's defaults, in the tables too. Numbers are left alone, since
// zero retries and no timeout are choices.
func (p *Pipeline) SetDefaults() {
	setDefault(&p.Status, PipelineActive)
	setDefault(&p.TargetSchema, UnsetSchema)
	setDefault(&p.LoadMode, LoadDirect)
	setDefault(&p.Options.NullWatermark, NullInclude)
	for i := range p.Tables {
		p.Tables[i].SetDefaults()
	}
}

// Validate returns every fault of the pipeline and its tables, nil when there is none.
func (p Pipeline) Validate() []FieldError {
	var f faults
	f.name(p.Name)
	f.required("source_id", p.SourceID)
	f.required("destination_id", p.DestinationID)
	oneOf(&f, "status", p.Status, PipelineStatuses())
	f.length("schedule", p.Schedule, 100)
	f.atLeastZero("max_retries", p.MaxRetries)
	f.atLeastZero("timeout_seconds", p.TimeoutSeconds)
	if p.DependsOn != "" && p.DependsOn == p.ID {
		f.add("depends_on", "a pipeline cannot wait for itself")
	}
	f.length("target_schema", p.TargetSchema, 255)
	oneOf(&f, "load_mode", p.LoadMode, LoadModes())
	f.atLeastZero("options.parallel", p.Options.Parallel)
	f.atLeastZero("options.lookback_seconds", p.Options.LookbackSeconds)
	if p.Options.ChunkRows < 0 {
		f.add("options.chunk_rows", "must not be negative")
	}
	p.Options.DeadLetters.validate(&f)
	oneOf(&f, "options.null_watermark", p.Options.NullWatermark, NullWatermarks())
	p.Options.Policies.validate(&f)
	p.Options.validate(&f, p.DependsOn)
	seen := make(map[string]int, len(p.Tables))
	for i, t := range p.Tables {
		at := fmt.Sprintf("tables[%d].", i)
		t.validate(&f, at)
		if first, again := seen[t.Key()]; again {
			f.add(at+"source_table", "%q is already tables[%d]", t.Key(), first)
		} else {
			seen[t.Key()] = i
		}
	}
	return f
}

// PipelineTable is one table of a pipeline and how it is read and loaded. Unset names (TargetSchema, TargetTable,
// WatermarkColumn) leave the choice to the pipeline or to detection.
type PipelineTable struct {
	ID               string          `json:"id"`
	PipelineID       string          `json:"pipeline_id"`
	SourceTable      string          `json:"source_table"`
	SourceSchema     string          `json:"source_schema"`
	TargetSchema     string          `json:"target_schema,omitempty"`
	TargetTable      string          `json:"target_table,omitempty"`
	SyncMode         SyncMode        `json:"sync_mode"`
	LoadMode         LoadMode        `json:"load_mode"`
	WatermarkColumn  string          `json:"watermark_column,omitempty"`
	KeyColumns       []string        `json:"key_columns"`
	LookbackSeconds  int             `json:"lookback_seconds"`
	SoftDeleteColumn string          `json:"soft_delete_column,omitempty"` // set in rows that the source means to be deleted
	SoftDelete       SoftDelete      `json:"soft_delete,omitempty"`        // empty: keep
	Deletes          DeleteMode      `json:"deletes,omitempty"`            // empty: as the pipeline says
	TransformConfig  json.RawMessage `json:"transform_config,omitempty"`   // JSON array of step objects, nil: none
	Enabled          bool            `json:"enabled"`
	Position         int             `json:"position"` // set by the store from the order of Pipeline.Tables
}

// NewPipelineTable returns an enabled table with the seed's defaults.
func NewPipelineTable(schema, table string) PipelineTable {
	t := PipelineTable{SourceSchema: schema, SourceTable: table, Enabled: true}
	t.SetDefaults()
	return t
}

// SetDefaults gives unset names and enumerations the seed's defaults.
func (t *PipelineTable) SetDefaults() {
	setDefault(&t.SourceSchema, UnsetSchema)
	setDefault(&t.SyncMode, ModeIncremental)
	setDefault(&t.LoadMode, LoadDirect)
}

// Key names the table within its pipeline, for its watermark and its statistics: the plain table name, with the schema in
// front of it where that is not the default. Validate makes sure that no two tables of a pipeline share a key.
func (t PipelineTable) Key() string {
	if t.SourceSchema == "" || t.SourceSchema == UnsetSchema {
		return t.SourceTable
	}
	return t.SourceSchema + "." + t.SourceTable
}

func (t PipelineTable) validate(f *faults, at string) {
	f.required(at+"source_table", t.SourceTable)
	f.length(at+"source_table", t.SourceTable, 255)
	f.length(at+"source_schema", t.SourceSchema, 255)
	if key := t.Key(); key != t.SourceTable {
		f.length(at+"source_schema with source_table", key, 255) // the key is a VARCHAR(255) of its own
	}
	f.length(at+"target_schema", t.TargetSchema, 255)
	f.length(at+"target_table", t.TargetTable, 255)
	f.length(at+"watermark_column", t.WatermarkColumn, 255)
	oneOf(f, at+"sync_mode", t.SyncMode, SyncModes())
	oneOf(f, at+"load_mode", t.LoadMode, LoadModes())
	f.columns(at+"key_columns", t.KeyColumns)
	f.atLeastZero(at+"lookback_seconds", t.LookbackSeconds)
	f.length(at+"soft_delete_column", t.SoftDeleteColumn, 255)
	if t.SoftDelete != "" {
		oneOf(f, at+"soft_delete", t.SoftDelete, SoftDeletes())
	}
	if t.SoftDelete == SoftDeleteRemove && t.SoftDeleteColumn == "" {
		f.add(at+"soft_delete_column", "is required to remove rows that the source marks as deleted")
	}
	if t.Deletes != "" {
		oneOf(f, at+"deletes", t.Deletes, DeleteModes())
	}
	f.stepList(at+"transform_config", t.TransformConfig)
}
