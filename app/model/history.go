package model

import "time"

// QueryEntry is a query that somebody ran in the console.
type QueryEntry struct {
	ID         int64     `json:"id"`
	UserID     string    `json:"user_id"`
	At         time.Time `json:"at"`
	SQL        string    `json:"sql"`
	DurationMS int64     `json:"duration_ms"`
	Rows       int       `json:"rows"` // that were shown
	Error      string    `json:"error,omitempty"`
}

// TableJob is one time that a job of a table of the built-in warehouse ran.
type TableJob struct {
	ID     int64     `json:"id"`
	Table  string    `json:"table"`
	Job    string    `json:"job"` // archiving, backfill, snapshot, retention, compaction
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"` // who asked for it
	Rows   int64     `json:"rows"`  // that it moved or removed
	Files  int       `json:"files"` // that it wrote
	Detail string    `json:"detail,omitempty"`
	Error  string    `json:"error,omitempty"`
}
