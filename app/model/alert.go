package model

import "time"

// Message is what a notification says, before it takes the form of its target.
type Message struct {
	Event      NotifyEvent    `json:"event"`
	Title      string         `json:"title"`
	Pipeline   string         `json:"pipeline,omitempty"`
	PipelineID string         `json:"pipeline_id,omitempty"`
	RunID      string         `json:"run_id,omitempty"`
	Fields     []MessageField `json:"fields"`
	Cause      string         `json:"cause,omitempty"` // an error, or what else is long
	Link       string         `json:"link,omitempty"`
	At         time.Time      `json:"at"`
}

// MessageField is one line of a Message.
type MessageField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Add adds a line that says something.
func (m *Message) Add(name, value string) {
	if value != "" {
		m.Fields = append(m.Fields, MessageField{name, value})
	}
}

// Delivery is the state of a notification.
type Delivery string

// The states. Failed is final: the target refused it, or did not take it in all attempts.
const (
	DeliveryQueued Delivery = "queued"
	DeliverySent   Delivery = "sent"
	DeliveryFailed Delivery = "failed"
)

// Deliveries lists every Delivery.
func Deliveries() []Delivery { return []Delivery{DeliveryQueued, DeliverySent, DeliveryFailed} }

// Notification is one message to one target: in the queue, or in the history.
type Notification struct {
	ID            string      `json:"id"`
	TargetID      string      `json:"target_id"`
	TargetName    string      `json:"target_name"`
	TargetType    TargetType  `json:"target_type"`
	PipelineID    string      `json:"pipeline_id"`
	RunID         string      `json:"run_id"`
	Event         NotifyEvent `json:"event_type"`
	Dedupe        string      `json:"-"` // what it tells: a target is told once
	Message       Message     `json:"message"`
	Status        Delivery    `json:"status"`
	Attempts      int         `json:"attempts"`
	NextAttemptAt time.Time   `json:"next_attempt_at,omitzero"`
	Answer        string      `json:"answer"` // the last one, or why there was none; never a secret
	CreatedAt     time.Time   `json:"created_at"`
	FinishedAt    time.Time   `json:"finished_at,omitzero"`
}

// Incident is something that a pipeline's people are told of at its beginning and at its end. Kind is EventFailure,
// EventOverdue, EventDeadLetter or EventQualityBreach.
type Incident struct {
	PipelineID string      `json:"pipeline_id"`
	Kind       NotifyEvent `json:"kind"`
	RunID      string      `json:"run_id,omitempty"`
	OpenedAt   time.Time   `json:"opened_at"`
	Runs       int         `json:"runs"` // that it has lasted for
}
