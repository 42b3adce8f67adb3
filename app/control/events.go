package control

import (
	"context"
	"sync"
	"time"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
)

// EventType says what happened.
type EventType string

// The events. The data of a RunStarted and a RunFinished is a RunEvent, of a
// RunProgress a ProgressEvent, of a ConfigChanged a ConfigChange, of an
// AlertsChanged an AlertEvent.
const (
	RunStarted    EventType = "run.started"
	RunProgress   EventType = "run.progress"
	RunFinished   EventType = "run.finished"
	ConfigChanged EventType = "config.changed"
	AlertsChanged EventType = "alerts.changed"
)

// Event is something that happened. IDs grow by one.
type Event struct {
	ID   uint64    `json:"id"`
	At   time.Time `json:"at"`
	Type EventType `json:"type"`
	Data any       `json:"data"`
}

// RunEvent is the beginning or the end of a run.
type RunEvent struct {
	RunID        string            `json:"run_id"`
	PipelineID   string            `json:"pipeline_id"`
	PipelineName string            `json:"pipeline_name"`
	Trigger      model.TriggerType `json:"trigger_type"`
	Status       model.RunStatus   `json:"status"`
	RowsSynced   int64             `json:"rows_synced"`
	DurationMS   int64             `json:"duration_ms"`
	Error        string            `json:"error,omitempty"`
	Report       *engine.Report    `json:"-"` // of a finished run
}

// ProgressEvent is how far one table of a run is.
type ProgressEvent struct {
	RunID      string       `json:"run_id"`
	PipelineID string       `json:"pipeline_id"`
	Table      string       `json:"table"`
	Phase      engine.Phase `json:"phase"`
	Rows       int64        `json:"rows"`
	Estimate   int64        `json:"estimate"`
}

// AlertEvent says that incidents began or ended.
type AlertEvent struct {
	Opened []model.Incident `json:"opened"`
	Closed []model.Incident `json:"closed"`
}

// ConfigChange says what was changed in the configuration.
type ConfigChange struct {
	Action string `json:"action"` // noun.verb
	Object string `json:"object"`
	ID     string `json:"id"`
	Name   string `json:"name"`
}

// keptEvents is how many events a listener that comes back can catch up with;
// subscriberBuffer is how many one may be behind before it is let go.
const (
	keptEvents       = 1024
	subscriberBuffer = 256
)

// Bus passes events on to those who listen. Nobody can hold it up: a listener
// that does not keep up is let go and comes back with the last id it saw.
type Bus struct {
	now func() time.Time

	mu        sync.Mutex
	last      uint64
	kept      []Event // the newest, oldest first
	listeners map[chan Event]struct{}
	observers []func(Event)
}

// NewBus returns a Bus.
func NewBus(now func() time.Time) *Bus {
	// Ids go on from the time of the start, so that an id of an earlier process
	// is older than every new one.
	return &Bus{now: now, last: uint64(max(now().UnixMilli(), 0)) << 12, listeners: map[chan Event]struct{}{}}
}

// Observe adds a function that is called for every event, before Emit returns.
// It must be quick and must not call the Bus. Call it before the first event.
func (b *Bus) Observe(fn func(Event)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.observers = append(b.observers, fn)
}

// Emit numbers an event and passes it on.
func (b *Bus) Emit(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	e.ID, e.At = b.last, b.now().UTC()
	if b.kept = append(b.kept, e); len(b.kept) > keptEvents {
		b.kept = append(b.kept[:0:0], b.kept[len(b.kept)-keptEvents/2:]...)
	}
	for _, fn := range b.observers {
		fn(e)
	}
	for c := range b.listeners {
		select {
		case c <- e:
		default:
			delete(b.listeners, c)
			close(c)
		}
	}
}

// Last is the id of the newest event.
func (b *Bus) Last() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// Listen gives events to whoever may read; see Bus.Listen.
func (s *Service) Listen(ctx context.Context, after uint64) (<-chan Event, bool, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, false, err
	}
	events, missed := s.Events.Listen(ctx, after)
	return events, missed, nil
}

// Listen gives the events after the one with the id after, as far as they are
// kept, and all that follow; 0 gives those that follow. missed says that some in
// between are gone. The channel is closed when ctx ends or the listener falls
// behind.
func (b *Bus) Listen(ctx context.Context, after uint64) (events <-chan Event, missed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var old []Event
	if after != 0 {
		missed = after < b.last
		for i, e := range b.kept {
			if e.ID > after {
				old, missed = b.kept[i:], e.ID != after+1
				break
			}
		}
	}
	c := make(chan Event, len(old)+subscriberBuffer)
	for _, e := range old {
		c <- e
	}
	b.listeners[c] = struct{}{}
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, ok := b.listeners[c]; ok {
			delete(b.listeners, c)
			close(c)
		}
	})
	return c, missed
}
