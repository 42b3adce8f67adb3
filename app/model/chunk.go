package model

import (
	"encoding/json"
	"time"
)

// ChunkedLoad is a load of a whole table that is filled in chunks, over one run or several.
type ChunkedLoad struct {
	PipelineID  string
	SourceTable string  // PipelineTable.Key
	Token       string  // names the unfinished load at the destination
	Plan        string  // fingerprint of what is loaded where; another plan starts anew
	Upper       string  // the watermark's upper bound, fixed before the first chunk
	Chunks      []Chunk // by position, from 0 without a gap
	CreatedAt   time.Time
}

// Chunk is one stretch of a chunked load.
type Chunk struct {
	Position int
	Range    json.RawMessage // the stretch of the key, in the engine's form
	Done     bool            // its rows are durable at the destination, though not visible yet
	RunID    string          // the run that loaded it
	Counts   RunCounts
	RawRows  int64
	Boundary []byte // as Watermark.Boundary
}
