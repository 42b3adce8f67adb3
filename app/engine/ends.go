package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"arus/connectors"
)

// ends keeps a run's connections. Tables share one pair; a table whose
// connections failed marks theirs as broken, and whoever comes next gets a
// fresh pair while the others finish with what they have.
type ends struct {
	open  func(context.Context) (connectors.Source, connectors.Destination, error)
	log   *runLog
	mu    sync.Mutex
	fresh *pair // what the next taker gets; nil = open another
	said  []string
}

// pair is one source and one destination, opened together.
type pair struct {
	source      connectors.Source
	destination connectors.Destination
	users       int
	broken      bool
	release     func() // after it is closed
}

// cutTime is what connections get, once a run was ended from outside, to stop the
// server's statements and to roll back. Then they are closed hard: who cancels
// does not wait for a server that is out of reach.
const cutTime = 3500 * time.Millisecond

// cutAfter cuts the connections when ctx has been over for cutTime. The function
// that it returns, to be called after they are closed, leaves them alone.
func cutAfter(ctx context.Context, connections ...any) (release func()) {
	released := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(cutTime)
		defer timer.Stop()
		select {
		case <-released:
		case <-timer.C:
			for _, c := range connections {
				if c, ok := c.(connectors.Cutter); ok {
					c.Cut()
				}
			}
		}
	})
	return func() {
		stop()
		close(released)
	}
}

// take gives a pair that nobody has found broken; give ends its use. The context
// is the run's: its end ends the connections, see cutAfter.
func (e *ends) take(ctx context.Context) (*pair, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fresh == nil {
		source, destination, err := e.open(ctx)
		if err != nil {
			return nil, err
		}
		e.fresh = &pair{source: source, destination: destination, release: cutAfter(ctx, source, destination)}
	}
	e.fresh.users++
	return e.fresh, nil
}

// give hands a pair back. A broken one is closed with its last user.
func (e *ends) give(ctx context.Context, p *pair, broken bool) {
	e.mu.Lock()
	p.users--
	if broken {
		p.broken = true
		if e.fresh == p {
			e.fresh = nil
		}
	}
	over := p.broken && p.users == 0
	e.mu.Unlock()
	if over {
		e.end(ctx, p)
	}
}

// close closes the pair that is left, at the end of the run.
func (e *ends) close(ctx context.Context) {
	e.mu.Lock()
	p := e.fresh
	e.fresh = nil
	e.mu.Unlock()
	if p != nil {
		e.end(ctx, p)
	}
}

func (e *ends) end(ctx context.Context, p *pair) {
	if n, ok := p.source.(connectors.Noter); ok {
		for _, note := range n.Notes() {
			e.mu.Lock()
			again := slices.Contains(e.said, note)
			e.said = append(e.said, note)
			e.mu.Unlock()
			if !again {
				e.log.add(ctx, slog.LevelWarn, "", note)
			}
		}
	}
	if err := errors.Join(p.source.Close(), p.destination.Close()); err != nil && !p.broken {
		e.log.add(ctx, slog.LevelWarn, "", "close the connections: "+err.Error())
	}
	p.release()
}
