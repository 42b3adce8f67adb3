package model

import (
	"encoding/json"
	"time"
)

// JSON is JSON text that is passed on as it is.
type JSON = json.RawMessage

// MaxScript is how many bytes a script may have.
const MaxScript = 256 << 10

// Script is a transform script of one pipeline.
type Script struct {
	ID          string    `json:"id"`
	PipelineID  string    `json:"pipeline_id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Content     string    `json:"content"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Validate returns every fault of the script, nil when there is none.
func (s Script) Validate() []FieldError {
	var f faults
	f.required("name", s.Name)
	f.length("name", s.Name, 255)
	f.length("description", s.Description, 10_000)
	f.required("content", s.Content)
	if len(s.Content) > MaxScript {
		f.add("content", "has %d bytes, at most %d are allowed", len(s.Content), MaxScript)
	}
	return f
}
