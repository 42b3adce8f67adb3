package model

import "time"

// RunStatus is the state of a run, or of one table within a run.
type RunStatus string

// The run states. Every state but running is final.
const (
	RunRunning   RunStatus = "running"
	RunSuccess   RunStatus = "success"
	RunFailed    RunStatus = "failed"
	RunCancelled RunStatus = "cancelled"
	RunSkipped   RunStatus = "skipped"
)

// RunQueued is shown for a run that was asked for and waits for its turn; it is
// not yet recorded, and no state a recorded run has.
const RunQueued RunStatus = "queued"

// RunStatuses lists every RunStatus.
func RunStatuses() []RunStatus {
	return []RunStatus{RunRunning, RunSuccess, RunFailed, RunCancelled, RunSkipped}
}

// Final reports whether the run is over.
func (s RunStatus) Final() bool { return s != RunRunning && s != "" }

// CanMove reports whether a run may go from one state to the next. The empty state is the moment before the run exists: a
// run starts as running or as skipped, a running one ends once, and nothing leaves a final state.
func CanMove(from, to RunStatus) bool {
	switch from {
	case "":
		return to == RunRunning || to == RunSkipped
	case RunRunning:
		return to == RunSuccess || to == RunFailed || to == RunCancelled
	default:
		return false
	}
}

// TriggerType is what started a run.
type TriggerType string

// The triggers.
const (
	TriggerScheduled   TriggerType = "scheduled"
	TriggerManual      TriggerType = "manual"
	TriggerBackfill    TriggerType = "backfill"
	TriggerFullRefresh TriggerType = "full_refresh"
)

// TriggerTypes lists every TriggerType.
func TriggerTypes() []TriggerType {
	return []TriggerType{TriggerScheduled, TriggerManual, TriggerBackfill, TriggerFullRefresh}
}

// RunWork is what a run does.
type RunWork string

// The kinds of work: copying tables, loading dead letters again, building targets anew from raw rows.
const (
	WorkCopy    RunWork = "copy"
	WorkLetters RunWork = "letters"
	WorkRebuild RunWork = "rebuild"
)

// RunCounts says what became of the rows of a run: Read = Loaded + Filtered + DeadLetters.
type RunCounts struct {
	Read        int64 `json:"rows_read"`
	Loaded      int64 `json:"rows_loaded"`
	Filtered    int64 `json:"rows_filtered"`
	DeadLetters int64 `json:"dead_letters"`
}

// Run is one execution of a pipeline. Its rows_synced column of the seed is Counts.Loaded. Tables is filled only where a
// single run is fetched.
type Run struct {
	ID           string         `json:"id"`
	PipelineID   string         `json:"pipeline_id"`
	UserID       string         `json:"user_id,omitempty"` // who started it, empty: the schedule, or the account is gone
	Status       RunStatus      `json:"status"`
	Trigger      TriggerType    `json:"trigger_type"`
	Work         RunWork        `json:"work"`
	StartedAt    time.Time      `json:"started_at"`
	FinishedAt   time.Time      `json:"finished_at,omitzero"` // zero: still running
	DurationMS   int64          `json:"duration_ms"`
	RowsSynced   int64          `json:"rows_synced"`
	Counts       RunCounts      `json:"counts"`
	ErrorMessage string         `json:"error_message,omitempty"`
	CreatedAt    time.Time      `json:"created_at,omitzero"`
	Tables       []RunTableStat `json:"tables,omitempty"`
}

// RunTableStat is what one run did to one table.
type RunTableStat struct {
	ID                  string    `json:"id"`
	RunID               string    `json:"run_id"`
	TableName           string    `json:"table_name"` // PipelineTable.Key
	Target              string    `json:"target,omitempty"`
	Status              RunStatus `json:"status"`
	Mode                SyncMode  `json:"mode,omitempty"` // as it was really read, after any fallback
	LoadMode            LoadMode  `json:"load_mode,omitempty"`
	RowsExtracted       int64     `json:"rows_extracted"`
	RowsLoadedRaw       int64     `json:"rows_loaded_raw"`
	RowsLoadedAnalytics int64     `json:"rows_loaded_analytics"`
	RowsFiltered        int64     `json:"rows_filtered"`
	RowsFailed          int64     `json:"rows_failed"`
	RowsDeleted         int64     `json:"rows_deleted"` // deleted or marked in the target
	WatermarkBefore     string    `json:"watermark_before,omitempty"`
	WatermarkAfter      string    `json:"watermark_after,omitempty"`
	DurationMS          int64     `json:"duration_ms"`
	ErrorMessage        string    `json:"error_message,omitempty"`

	StartedAt time.Time    `json:"started_at,omitzero"` // zero: not known
	Phases    []TablePhase `json:"phases,omitempty"`    // in their order
}

// TablePhase is a stretch of the time that a run spent on a table.
type TablePhase struct {
	Phase string `json:"phase"` // of the engine
	AtMS  int64  `json:"at_ms"` // since the table's start
	MS    int64  `json:"ms"`
}

// LogLevel is the weight of a run's log line.
type LogLevel string

// The log levels.
const (
	LogDebug   LogLevel = "DEBUG"
	LogInfo    LogLevel = "INFO"
	LogWarning LogLevel = "WARNING"
	LogError   LogLevel = "ERROR"
)

// LogLevels lists every LogLevel.
func LogLevels() []LogLevel { return []LogLevel{LogDebug, LogInfo, LogWarning, LogError} }

// RunLog is one line of a run's log. IDs grow in the order the lines were written.
type RunLog struct {
	ID        int64     `json:"id"`
	RunID     string    `json:"run_id"`
	Timestamp time.Time `json:"timestamp"`
	Level     LogLevel  `json:"level"`
	Message   string    `json:"message"`
}
