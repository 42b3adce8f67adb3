package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"arus/app/model"
)

// TestTheLeaseHasOneHolder lets many start a run of one pipeline at once: one
// of them may. What a killed program held is free again after the rescue.
func TestTheLeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	p, other := addPipeline(t, s, "p"), addPipeline(t, s, "other")
	for range 3 {
		var started, refused atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				switch err := s.StartRun(t.Context(), &model.Run{PipelineID: p.ID}); {
				case err == nil:
					started.Add(1)
				case errors.Is(err, ErrRunActive):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if started.Load() != 1 || refused.Load() != 19 {
			t.Errorf("%d runs began and %d were refused, want 1 and 19", started.Load(), refused.Load())
		}
		if err := s.StartRun(t.Context(), &model.Run{PipelineID: p.ID, Status: model.RunSkipped}); err != nil {
			t.Errorf("a skipped run needs no lease: %v", err)
		}
		run := model.Run{PipelineID: other.ID}
		if err := s.StartRun(t.Context(), &run); err != nil {
			t.Errorf("another pipeline: %v", err)
		}
		if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrLocked) {
			t.Errorf("a second process opens the directory: %v", err)
		}
		rescued, err := s.RescueRuns(t.Context(), "killed") // as a start after a crash does
		if err != nil || len(rescued) != 2 {
			t.Errorf("rescued %d runs, %v, want 2", len(rescued), err)
		}
	}
}
