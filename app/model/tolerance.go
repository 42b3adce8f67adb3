package model

// DefaultDeadLetters is how many rows of one table a load keeps as dead letters where the pipeline does not say: past it
// something is wrong with more than some rows.
const DefaultDeadLetters = 10_000

// Tolerance says how many rows of one table a load may keep as dead letters; with more the table fails instead and nothing
// of that load is kept.
type Tolerance struct {
	MaxRows  int64   `json:"max_rows,omitempty"`  // 0 = DefaultDeadLetters
	MaxShare float64 `json:"max_share,omitempty"` // of the rows read, 0 to 1; 0 = no limit
}

// OrDefault fills in the default.
func (t Tolerance) OrDefault() Tolerance {
	if t.MaxRows == 0 {
		t.MaxRows = DefaultDeadLetters
	}
	return t
}

func (t Tolerance) validate(f *faults) {
	if t.MaxRows < 0 {
		f.add("options.dead_letters.max_rows", "must not be negative")
	}
	if t.MaxShare < 0 || t.MaxShare > 1 {
		f.add("options.dead_letters.max_share", "must lie between 0 and 1")
	}
}
