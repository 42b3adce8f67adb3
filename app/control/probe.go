package control

import (
	"context"
	"slices"
	"sync"
	"time"

	"arus/app/auth"
	"arus/connectors"
)

// probeTimeout bounds a connection test that nobody waits for.
const probeTimeout = time.Minute

// keptProbes is how many outcomes of tests are remembered.
const keptProbes = 200

// Probe is a connection test that goes on by itself, so that its stages can be
// watched and whoever asked for it may leave.
type Probe struct {
	Started time.Time

	over   chan struct{} // closed when it is over
	mu     sync.Mutex
	stages []connectors.Stage
	result TestResult
	err    error
}

// ProbeState is how far a test is. Result and Err are those of its end.
type ProbeState struct {
	Started time.Time
	Running bool
	Stages  []connectors.Stage
	Result  TestResult
	Err     error
}

// State says how far the test is.
func (p *Probe) State() ProbeState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := ProbeState{Started: p.Started, Stages: slices.Clone(p.stages), Result: p.result, Err: p.err}
	select {
	case <-p.over:
		s.Stages = slices.Clone(p.result.Stages)
	default:
		s.Running = true
	}
	return s
}

// Wait waits for the end of the test, or of ctx.
func (p *Probe) Wait(ctx context.Context) {
	select {
	case <-p.over:
	case <-ctx.Done():
	}
}

func (p *Probe) each(stage connectors.Stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stages = append(p.stages, stage)
}

// probes are the tests of the stored sources and destinations, the latest of each.
type probes struct {
	mu     sync.Mutex
	byID   map[string]*Probe
	wg     sync.WaitGroup
	cancel []context.CancelFunc
	ended  bool
}

// start begins a test unless one goes on.
func (p *probes) start(ctx context.Context, id string, now time.Time, run func(ctx context.Context, each func(connectors.Stage)) (TestResult, error)) (*Probe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil, ErrStopping
	}
	if old := p.byID[id]; old != nil && old.State().Running {
		return old, nil
	}
	if p.byID == nil || len(p.byID) >= keptProbes {
		p.byID, p.cancel = p.running()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	probe := &Probe{Started: now, over: make(chan struct{})}
	p.byID[id], p.cancel = probe, append(p.cancel, cancel)
	p.wg.Go(func() {
		defer cancel()
		result, err := run(ctx, probe.each)
		probe.mu.Lock()
		defer probe.mu.Unlock()
		probe.result, probe.err = result, err
		close(probe.over)
	})
	return probe, nil
}

// running forgets the tests that are over.
func (p *probes) running() (map[string]*Probe, []context.CancelFunc) {
	left := map[string]*Probe{}
	for id, probe := range p.byID {
		if probe.State().Running {
			left[id] = probe
		}
	}
	if len(left) == 0 {
		return left, nil
	}
	return left, p.cancel
}

// stop ends the tests.
func (p *probes) stop() {
	p.mu.Lock()
	p.ended = true
	for _, cancel := range p.cancel {
		cancel()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// StartSourceTest begins a test of a stored source, as TestSource does it.
func (s *Service) StartSourceTest(ctx context.Context, idOrName string) (*Probe, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return nil, err
	}
	src, err := s.Store.FindSource(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	return s.known.probes.start(ctx, src.ID, s.Now(), func(ctx context.Context, each func(connectors.Stage)) (TestResult, error) {
		return s.testSource(ctx, src, selectionOf(src).filter(), each)
	})
}

// StartDestinationTest begins a test of a stored destination, as TestDestination
// does it.
func (s *Service) StartDestinationTest(ctx context.Context, idOrName string) (*Probe, error) {
	if err := s.may(ctx, auth.ProbeConnections); err != nil {
		return nil, err
	}
	dst, err := s.Store.FindDestination(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	pipelines, err := s.pipelinesInto(ctx, dst)
	if err != nil {
		return nil, err
	}
	return s.known.probes.start(ctx, dst.ID, s.Now(), func(ctx context.Context, each func(connectors.Stage)) (TestResult, error) {
		return s.testDestination(ctx, dst, pipelines, each)
	})
}

// LastTest is the latest test of a source or destination, by its id; nil when
// there was none since the program started.
func (s *Service) LastTest(ctx context.Context, id string) (*Probe, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	s.known.probes.mu.Lock()
	defer s.known.probes.mu.Unlock()
	return s.known.probes.byID[id], nil
}
