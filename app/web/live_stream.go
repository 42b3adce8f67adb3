package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"arus/app/api"
	"arus/app/control"
	"arus/app/model"
)

// keepAlive is how often a stream without news says that it is there, and looks
// whether the listener may still listen; flushEvery is how long news are
// gathered, so that a page draws itself anew at most so often.
const (
	keepAlive  = 15 * time.Second
	flushEvery = 500 * time.Millisecond
)

// liveStream tells a page what has changed since it was made; what is new it asks
// for itself. The events: "runs" when a run began or ended, "run-ID" when it moved,
// "pipeline-ID" when a run of it moved, "config" when the configuration was
// changed, "alerts" when incidents began or ended, and "missed" when it is not
// known any more what happened.
func liveStream(v *visit) error {
	after, err := strconv.ParseUint(cmp.Or(v.r.Header.Get("Last-Event-Id"), v.query("after")), 10, 64)
	if err != nil {
		after = 0
	}
	events, missed, err := v.Control.Listen(v.ctx, after)
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	v.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(v.w)
	send := func(text string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(2 * keepAlive))
		_, err := v.w.Write([]byte(text))
		return err == nil && out.Flush() == nil
	}
	begin := "retry: 2000\n\n"
	if missed {
		begin += "event: missed\ndata: 0\n\n"
	}
	if !send(begin) {
		return nil
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	flush := time.NewTimer(flushEvery)
	flush.Stop()
	defer flush.Stop()
	news, order := map[string]bool{}, []string{}
	var last uint64
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return nil
			}
			if len(order) == 0 {
				flush.Reset(flushEvery)
			}
			for _, name := range eventNames(e) {
				if !news[name] {
					news[name] = true
					order = append(order, name)
				}
			}
			last = e.ID
		case <-flush.C:
			var text strings.Builder
			for _, name := range order {
				fmt.Fprintf(&text, "id: %d\nevent: %s\ndata: %d\n\n", last, name, last)
			}
			clear(news)
			order = order[:0]
			if !send(text.String()) {
				return nil
			}
		case <-alive.C:
			if _, err := api.Identify(v.Control, v.r); err != nil || !send(": here\n\n") {
				return nil
			}
		}
	}
}

func eventNames(e control.Event) []string {
	switch data := e.Data.(type) {
	case control.RunEvent:
		return []string{"runs", "run-" + data.RunID, "pipeline-" + data.PipelineID}
	case control.ProgressEvent:
		return []string{"run-" + data.RunID, "pipeline-" + data.PipelineID}
	case control.ConfigChange:
		return []string{"config"}
	case control.AlertEvent:
		return []string{"alerts"}
	}
	return nil
}

// tableProgress is how far one table of a run that goes on is.
type tableProgress struct {
	control.ProgressEvent
	Since time.Time // its first news
	At    time.Time // its last
}

// rate is how many rows a second came so far.
func (p tableProgress) rate() float64 {
	if d := p.At.Sub(p.Since).Seconds(); d > 0 {
		return float64(p.Rows) / d
	}
	return 0
}

// board remembers how far the runs are that go on, so that a page that is loaded
// anew shows it at once.
type board struct {
	now     func() time.Time
	version atomic.Uint64 // grows with whatever changes figures
	mu      sync.Mutex
	runs    map[string][]tableProgress
}

func newBoard(now func() time.Time) *board {
	return &board{now: now, runs: map[string][]tableProgress{}}
}

func (b *board) observe(e control.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, moves := e.Data.(control.ProgressEvent); !moves {
		b.version.Add(1)
	}
	switch data := e.Data.(type) {
	case control.RunEvent:
		if data.Status != model.RunRunning && data.Status != model.RunQueued {
			delete(b.runs, data.RunID)
		}
	case control.ProgressEvent:
		now := b.now()
		list := b.runs[data.RunID]
		for i := range list {
			if list[i].Table == data.Table {
				list[i].ProgressEvent, list[i].At = data, now
				return
			}
		}
		b.runs[data.RunID] = append(list, tableProgress{ProgressEvent: data, Since: now, At: now})
	}
}

// progress is how far the tables of a run are that have begun, in that order.
func (b *board) progress(runID string) []tableProgress {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]tableProgress(nil), b.runs[runID]...)
}
