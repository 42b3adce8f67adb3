package web

import (
	"context"
	"sync"
	"time"

	"arus/app/control"
)

// figuresAge is how long figures of the last hours and days may be shown although
// nothing happened meanwhile.
const figuresAge = 30 * time.Second

// figures are the sums over many runs. They change when a run begins or ends or
// the configuration is changed, so they are kept until then.
type figures struct {
	server *Server
	board  *board

	mu   sync.Mutex
	days map[int]dashboard
}

// dashboard is what the first page sums up.
type dashboard struct {
	version uint64 // of the board, before it was summed up
	at      time.Time

	summary control.Summary
	health  []control.PipelineHealth
	stats   []control.DailyStats
}

func newFigures(s *Server, b *board) *figures {
	return &figures{server: s, board: b, days: map[int]dashboard{}}
}

// get gives the figures of so many days. Several who ask at once wait for one
// sum. The routes that show them need the permission to read, as the sums do.
func (f *figures) get(ctx context.Context, days int) (dashboard, error) {
	version, now := f.board.version.Load(), f.server.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.days[days]
	if ok && d.version == version && now.Sub(d.at) < figuresAge && now.UTC().YearDay() == d.at.UTC().YearDay() {
		return d, nil
	}
	d = dashboard{version: version, at: now}
	var err error
	if d.summary, err = f.server.Control.Summarize(ctx); err != nil {
		return d, err
	}
	if d.health, err = f.server.Control.Health(ctx); err != nil {
		return d, err
	}
	if d.stats, err = f.server.Control.RunStats(ctx, days); err != nil {
		return d, err
	}
	f.days[days] = d
	return d, nil
}
