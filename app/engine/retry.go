package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"arus/connectors"
)

// The wait before retry n is a random part of the first wait * 2^n, at most
// maxWait, or the first wait where that is more.
const (
	firstWait = 2 * time.Second // of a job that says nothing else
	maxWait   = time.Minute
)

// retries tries something again that failed for a passing reason. It is used
// by one goroutine.
type retries struct {
	engine *Engine
	log    *runLog // nil before there is a run
	table  string  // "" = the run as a whole
	max    int
	first  time.Duration // 0: firstWait
	done   int           // since the last progress
	total  int
}

// Again does what comes before a run as often as a run would try it: once and most times
// more, while a fresh attempt may mend what fails.
func (e *Engine) Again(ctx context.Context, most int, first time.Duration, do func() error) error {
	r := retries{engine: e, max: most, first: first}
	for {
		if err := do(); err == nil || !r.again(ctx, err) {
			return err
		}
	}
}

// warn says something in the run's log, where there is one.
func (r *retries) warn(ctx context.Context, message string) {
	if r.log != nil {
		r.log.add(ctx, slog.LevelWarn, r.table, message)
		return
	}
	r.engine.Log.WarnContext(ctx, "what comes before the run failed", "reason", message)
}

// again waits and says whether to try once more after err. Only what a fresh
// connection may mend is tried again, and nothing is once ctx is done.
func (r *retries) again(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || !connectors.Retryable(err) {
		return false
	}
	if r.done >= r.max {
		if r.max > 0 {
			r.warn(ctx, fmt.Sprintf("not tried again: all %d retries are used up", r.max))
		}
		return false
	}
	wait := r.engine.backoff(r.first, r.done)
	r.done++
	r.total++
	r.warn(ctx, fmt.Sprintf("retry %d of %d in %s over fresh connections, because of a %s error: %s",
		r.done, r.max, wait.Round(time.Millisecond), connectors.KindOf(err), err))
	r.engine.progress(Event{Table: r.table, Phase: PhaseRetry, Attempt: r.total + 1, Estimate: -1})
	return r.engine.wait(ctx, wait) == nil && ctx.Err() == nil
}

// progressed forgets the retries so far: what was gained since is kept.
func (r *retries) progressed() { r.done = 0 }

// backoff grows exponentially and is fully jittered.
func (e *Engine) backoff(first time.Duration, n int) time.Duration {
	if first == 0 {
		first = firstWait
	}
	ceiling := max(maxWait, first)
	if n < 10 {
		ceiling = min(ceiling, first<<n)
	}
	random := rand.Float64
	if e.Random != nil {
		random = e.Random
	}
	return time.Duration(random() * float64(ceiling))
}

func (e *Engine) wait(ctx context.Context, d time.Duration) error {
	if e.Wait != nil {
		return e.Wait(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
