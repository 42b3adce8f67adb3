package model

import "time"

// QualityOptions say how the loads of a pipeline are checked. ThresholdPct, the discrepancy of row counts in percent that
// is tolerated, is the runtime setting's when nil.
type QualityOptions struct {
	Off          bool     `json:"off,omitempty"`
	ThresholdPct *float64 `json:"threshold_pct,omitempty"`
	Checksum     bool     `json:"checksum,omitempty"` // compare the loaded window with the source, value by value
}

// DefaultThresholdPct is the tolerated discrepancy when nothing else is said.
const DefaultThresholdPct = 5.0

func (q QualityOptions) validate(f *faults) {
	if t := q.ThresholdPct; t != nil && !(*t >= 0 && *t <= 100) {
		f.add("options.quality.threshold_pct", "must be between 0 and 100")
	}
}

// CheckType is the kind of a quality check.
type CheckType string

// The checks.
const (
	CheckRowCount CheckType = "row_count"
	CheckNulls    CheckType = "null_check"
	CheckChecksum CheckType = "checksum"
)

// CheckTypes lists every CheckType.
func CheckTypes() []CheckType { return []CheckType{CheckRowCount, CheckNulls, CheckChecksum} }

// CheckStatus is the outcome of a quality check.
type CheckStatus string

// The outcomes. A warning is a finding that a person should look at, and no breach.
const (
	CheckPassed  CheckStatus = "passed"
	CheckFailed  CheckStatus = "failed"
	CheckWarning CheckStatus = "warning"
)

// CheckStatuses lists every CheckStatus.
func CheckStatuses() []CheckStatus { return []CheckStatus{CheckPassed, CheckFailed, CheckWarning} }

// QualityCheck is what one check of one table found after a run. RowsExtracted is what was sent or what the source holds,
// RowsLoaded what the destination holds of it.
type QualityCheck struct {
	ID              string      `json:"id"`
	PipelineID      string      `json:"pipeline_id"`
	RunID           string      `json:"run_id"`
	TableName       string      `json:"table_name"` // PipelineTable.Key
	Type            CheckType   `json:"check_type"`
	Status          CheckStatus `json:"status"`
	RowsExtracted   int64       `json:"rows_extracted"`
	RowsLoaded      int64       `json:"rows_loaded"`
	DiscrepancyPct  float64     `json:"discrepancy_pct"`
	NullColumns     string      `json:"null_columns,omitempty"`     // "column(count), ..."
	RequiredColumns string      `json:"required_columns,omitempty"` // "column, ..."
	Message         string      `json:"message,omitempty"`
	CheckedAt       time.Time   `json:"checked_at"`
}
