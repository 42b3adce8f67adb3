package control

import (
	"context"
	"sync"
	"time"

	"arus/app/store"
)

// rememberedEntries bounds what one memory holds.
const rememberedEntries = 10_000

// remembered holds values that were made from the state file, as long as nothing that they were made from has changed.
type remembered[T any] struct {
	mu sync.RWMutex
	by map[string]answer[T]
}

type answer[T any] struct {
	value T
	seen  *store.Seen
}

// get gives the value held under the key, or makes it. An error is not held.
func (m *remembered[T]) get(ctx context.Context, st *store.Store, key string, compute func(context.Context) (T, error)) (T, error) {
	m.mu.RLock()
	h, ok := m.by[key]
	m.mu.RUnlock()
	if ok && st.Unchanged(ctx, h.seen) {
		return h.value, nil
	}
	watched, seen := store.Watch(ctx)
	value, err := compute(watched)
	store.PassOn(ctx, seen)
	if err != nil {
		return value, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil || len(m.by) >= rememberedEntries {
		m.by = map[string]answer[T]{}
	}
	m.by[key] = answer[T]{value, seen}
	return value, nil
}

// touchEvery is how often the use of one session or token is written down, and saveTouchesEvery how often uses are written at
// all: together, so that a request seldom waits for a write.
const (
	touchEvery       = time.Minute
	saveTouchesEvery = 20 * time.Second
)

// touches gathers the uses of sessions and tokens.
type touches struct {
	mu      sync.Mutex
	last    map[string]time.Time
	pending []store.Touch
	since   time.Time // the oldest that is pending
}

// add takes in a use, unless one of the same was taken within the last moment, and says whether it is time to save.
func (t *touches) add(use store.Touch) (save bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.last[use.ID]; !ok || use.At.Sub(at) >= touchEvery {
		if t.last == nil || len(t.last) >= rememberedEntries {
			t.last = map[string]time.Time{}
		}
		t.last[use.ID] = use.At
		if t.pending = append(t.pending, use); len(t.pending) == 1 {
			t.since = use.At
		}
	}
	return len(t.pending) > 0 && use.At.Sub(t.since) >= saveTouchesEvery || len(t.pending) >= rememberedEntries
}

// take hands over what is pending.
func (t *touches) take() []store.Touch {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.pending
	t.pending = nil
	return list
}

// saveTouches writes down the uses that are pending.
func (s *Service) saveTouches(ctx context.Context) error {
	list := s.touched.take()
	if len(list) == 0 {
		return nil
	}
	return s.Store.SaveTouches(ctx, list)
}

// Seen is what of the state and the queue an answer was made from.
type Seen = store.Seen

// Watch returns a context in which whatever is read is noted in the Seen.
func Watch(ctx context.Context) (context.Context, *Seen) { return store.Watch(ctx) }

// Unchanged says whether all that was seen is still so.
func (s *Service) Unchanged(ctx context.Context, seen *Seen) bool {
	return s.Store.Unchanged(ctx, seen)
}
