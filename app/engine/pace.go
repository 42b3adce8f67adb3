package engine

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"arus/connectors"
)

// Pace lets the runs of a process that also answers requests leave a processor
// to the answers. While nobody asks, nothing is held back. While somebody does,
// no more pieces of work that keep a processor busy go on at a time than there
// are processors, and while many ask, one less: an answer then finds a processor
// instead of queueing behind everything that computes, which costs it ten
// milliseconds for each of them and each step of its way. A run thus keeps its
// share of all processors but one.
//
// A piece of work takes a place and gives it back whenever it waits. A place that
// is kept for longer than keep is as good as free, so nothing stands still because
// of one, and a long piece of work holds up no other run.
//
// A nil Pace holds nothing back.
type Pace struct {
	now        func() time.Time
	processors func() int
	asked      atomic.Int64 // when somebody last asked, Unix nanoseconds

	mu      sync.Mutex
	since   time.Time // the beginning of the stretch in which requests are counted
	count   int       // requests in it
	busy    time.Time // until then many ask
	inside  []*turn   // that have a place
	waiting []*turn   // in their order
	stats   PaceStats
}

// PaceStats count what a Pace did since its beginning.
type PaceStats struct {
	Pieces int64 // pieces of work
	Waited int64 // of them: those that had to wait for a place
	Inside int   // places that are taken now
}

const (
	// calm is how long after the last request nobody asks any more.
	calm = time.Second
	// many requests within a stretch are many for as long as two of them.
	many        = 10
	manyStretch = 500 * time.Millisecond
	// keep is how long a place counts as taken, lookAgain how often those that wait
	// look whether somebody still asks.
	keep      = 500 * time.Millisecond
	lookAgain = 50 * time.Millisecond
)

// NewPace returns a Pace by the clock.
func NewPace(now func() time.Time) *Pace {
	return &Pace{now: now, processors: func() int { return runtime.GOMAXPROCS(0) }}
}

// Ask says that somebody waits for an answer.
func (p *Pace) Ask() {
	if p == nil {
		return
	}
	now := p.now()
	p.asked.Store(now.UnixNano())
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := now.Sub(p.since); age < 0 || age >= manyStretch {
		p.since, p.count = now, 0
	}
	if p.count++; p.count >= many {
		p.busy = now.Add(2 * manyStretch)
	}
}

// Stats gives the counts.
func (p *Pace) Stats() PaceStats {
	if p == nil {
		return PaceStats{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Inside = len(p.inside)
	return s
}

// isAsked says whether somebody waits for an answer now, or did a moment ago.
func (p *Pace) isAsked() bool {
	if p == nil {
		return false
	}
	age := time.Duration(p.now().UnixNano() - p.asked.Load())
	return age >= 0 && age < calm // the clock may have been set back
}

// Breathe lets whoever is ready to go on do so. It is for work that cannot tell
// its waiting from its computing, between two small parts of it.
func (p *Pace) Breathe() {
	if p.isAsked() {
		runtime.Gosched()
	}
}

// full says whether there is no place. The caller holds the lock.
func (p *Pace) full() bool {
	if !p.isAsked() {
		return false
	}
	places := p.processors()
	if p.now().Before(p.busy) {
		places--
	}
	now, taken := p.now(), 0
	for _, t := range p.inside {
		if now.Sub(t.since) < keep {
			taken++
		}
	}
	return taken >= max(1, places)
}

// enter takes a place. It waits until there is one or until ctx ends, and takes
// one in any case.
func (p *Pace) enter(ctx context.Context, t *turn) {
	p.mu.Lock()
	p.stats.Pieces++
	if len(p.waiting) == 0 && !p.full() {
		p.seat(t)
		p.mu.Unlock()
		return
	}
	p.stats.Waited++
	t.come = make(chan struct{})
	p.waiting = append(p.waiting, t)
	p.mu.Unlock()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		select {
		case <-t.come:
			return
		case <-ctx.Done():
			p.force(t)
			return
		case <-look.C:
			p.mu.Lock()
			p.admit()
			p.mu.Unlock()
		}
	}
}

// force gives a place to one that waits, whether there is one or not.
func (p *Pace) force(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.Index(p.waiting, t); at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
		p.seat(t)
	}
}

// seat gives a place. The caller holds the lock.
func (p *Pace) seat(t *turn) {
	t.since = p.now()
	p.inside = append(p.inside, t)
}

// admit gives the places there are to those that wait. The caller holds the lock.
func (p *Pace) admit() {
	for len(p.waiting) > 0 && !p.full() {
		t := p.waiting[0]
		p.waiting = p.waiting[1:]
		p.seat(t)
		close(t.come)
	}
}

// leave gives a place back.
func (p *Pace) leave(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.Index(p.inside, t); at >= 0 {
		p.inside = slices.Delete(p.inside, at, at+1)
	}
	p.admit()
}

// turn is the place that one goroutine has for its work, or has not. Whoever
// makes one defers give.
type turn struct {
	pace  *Pace // nil: its work needs none
	has   bool
	since time.Time     // of the place
	come  chan struct{} // closed when it is this one's turn
}

// ownTurn is for the engine's own work.
func (c *tableCopy) ownTurn() *turn { return &turn{pace: c.engine.Pace} }

// turn is for the work of an end: one that is no Local waits for a server, which
// needs no place.
func (c *tableCopy) turn(end any) *turn {
	if _, local := end.(connectors.Local); !local {
		return &turn{}
	}
	return c.ownTurn()
}

func (t *turn) take(ctx context.Context) {
	if t.pace != nil && !t.has {
		t.pace.enter(ctx, t)
		t.has = true
	}
}

func (t *turn) give() {
	if t.has {
		t.has = false
		t.pace.leave(t)
	}
}
