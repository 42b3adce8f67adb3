package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/model"
	"arus/connectors"
)

// paced is a Pace on four processors by the bubble's clock, and the number of requests since.
func paced(requests int) *Pace {
	p := NewPace(time.Now)
	p.processors = func() int { return 4 }
	for range requests {
		p.Ask()
	}
	return p
}

// work does pieces of work at once, each until release is closed, and gives how many go on.
func work(ctx context.Context, p *Pace, pieces int, release <-chan struct{}) *sync.WaitGroup {
	var group sync.WaitGroup
	for range pieces {
		group.Go(func() {
			t := &turn{pace: p}
			defer t.give()
			t.take(ctx)
			<-release
		})
	}
	synctest.Wait()
	return &group
}

func TestPlacesAreAsManyAsTheRequestsLeave(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		requests, inside int
	}{{"nobody asks", 0, 20}, {"one asks", 1, 4}, {"many ask", many, 3}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, release := paced(c.requests), make(chan struct{})
				group := work(t.Context(), p, 20, release)
				if s := p.Stats(); s.Inside != c.inside || s.Pieces != 20 || s.Waited != int64(20-c.inside) {
					t.Errorf("%+v, wanted %d inside", s, c.inside)
				}
				close(release)
				group.Wait()
				if s := p.Stats(); s.Inside != 0 {
					t.Errorf("at the end: %+v", s)
				}
			})
		})
	}
}

// TestNothingWaitsOnceNobodyAsks lets the requests end while work waits for a place.
func TestNothingWaitsOnceNobodyAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, release := paced(many), make(chan struct{})
		group := work(t.Context(), p, 20, release)
		time.Sleep(calm + lookAgain)
		synctest.Wait()
		if s := p.Stats(); s.Inside != 20 {
			t.Errorf("nobody asks any more: %+v", s)
		}
		close(release)
		group.Wait()
	})
}

func TestManyRequestsAreManyForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, release := paced(many), make(chan struct{})
		for range 4 { // from now on few ask
			time.Sleep(manyStretch)
			p.Ask()
		}
		group := work(t.Context(), p, 20, release)
		if s := p.Stats(); s.Inside != 4 {
			t.Errorf("few ask: %+v", s)
		}
		close(release)
		group.Wait()
	})
}

// TestAPlaceThatDoesNotComeIsTaken holds all places for good, as would work that waits for work that waits for a place.
func TestAPlaceThatDoesNotComeIsTaken(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(cancel context.CancelFunc, p *Pace){
		"after a while": func(_ context.CancelFunc, p *Pace) {
			time.Sleep(keep - lookAgain)
			p.Ask()
			synctest.Wait()
			if s := p.Stats(); s.Inside != 4 {
				t.Errorf("before its time: %+v", s)
			}
			time.Sleep(2 * lookAgain)
		},
		"after a cancel": func(cancel context.CancelFunc, _ *Pace) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, release := paced(1), make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				group := work(ctx, p, 6, release)
				if s := p.Stats(); s.Inside != 4 {
					t.Errorf("%+v", s)
				}
				end(cancel, p)
				synctest.Wait()
				if s := p.Stats(); s.Inside != 6 {
					t.Errorf("%+v", s)
				}
				close(release)
				group.Wait()
				if s := p.Stats(); s.Inside != 0 {
					t.Errorf("at the end: %+v", s)
				}
			})
		})
	}
}

func TestPlacesAreGivenInTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, first := paced(1), make(chan struct{})
		p.processors = func() int { return 1 }
		group := work(t.Context(), p, 1, first)
		var order []int
		for i := range 5 {
			group.Go(func() {
				t := &turn{pace: p}
				t.take(context.Background())
				defer t.give()
				order = append(order, i) // one at a time
			})
			synctest.Wait()
		}
		close(first)
		group.Wait()
		if fmt.Sprint(order) != "[0 1 2 3 4]" {
			t.Errorf("%v", order)
		}
	})
}

// localSource and localDestination are ends whose work is the process's own.
type localSource struct{ *fakeSource }

func (localSource) Local() {}

type localDestination struct {
	*fakeDestination
	look func() // while a batch is written
}

func (localDestination) Local() {}

func (d localDestination) Begin(ctx context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	l, err := d.fakeDestination.Begin(ctx, req)
	if parts, ok := l.(connectors.PartLoad); ok || err != nil {
		return parts, err
	}
	return lookedAt{l, d.look}, nil
}

type lookedAt struct {
	connectors.Load
	look func()
}

func (l lookedAt) Write(ctx context.Context, batch arrow.RecordBatch) error {
	l.look()
	return l.Load.Write(ctx, batch)
}

// TestRunsGiveTheirPlacesBack makes runs that succeed, fail, panic and are cancelled at every step, beside many requests. The
// bench has one processor, so a place that is held while its holder waits for the queue would stop the run.
func TestRunsGiveTheirPlacesBack(t *testing.T) {
	t.Parallel()
	faulty := errors.New("a fault")
	for _, step := range []string{"", "max", "read", "write", "commit", "cancel at read", "cancel at write", "cancel at commit"} {
		for _, local := range []bool{true, false} {
			t.Run(fmt.Sprint(step, " local ", local), func(t *testing.T) {
				t.Parallel()
				p := paced(many)
				p.now = func() time.Time { return time.Unix(1_800_000_000, 0) } // all the time: no place becomes free by itself
				p.asked.Store(p.now().UnixNano())
				p.busy = p.now().Add(time.Hour)
				p.processors = func() int { return 1 }
				b := newBench(t, fakeTable("a", "id"), fakeTable("b", "id"), fakeTable("c"))
				for _, name := range []string{"a", "b", "c"} {
					b.source.rows[name] = rowsFrom(30, func(i int) int64 { return us + int64(i) })
				}
				b.engine.Pace = p
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b.faults.random = func(at string) error {
					if at == step {
						return faulty
					}
					if "cancel at "+at == step {
						cancel()
					}
					return nil
				}
				if local {
					b.job.Open = func(context.Context) (connectors.Source, connectors.Destination, error) {
						return localSource{b.source}, localDestination{b.dest, func() {
							if n := p.Stats().Inside; n != 1 && ctx.Err() == nil {
								t.Errorf("%d work at a time", n)
							}
						}}, nil
					}
				}
				r, err := b.engine.Run(ctx, b.job)
				if err != nil {
					t.Fatal(err)
				}
				if want := map[bool]model.RunStatus{true: model.RunSuccess, false: r.Status}[step == ""]; r.Status != want || step != "" && r.Status == model.RunSuccess {
					t.Errorf("the run is %s: %s", r.Status, r.Error)
				}
				s := p.Stats()
				if s.Inside != 0 || local && s.Pieces == 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// TestAPanicGivesThePlaceBack lets a reader panic.
func TestAPanicGivesThePlaceBack(t *testing.T) {
	t.Parallel()
	p := NewPace(time.Now)
	func() {
		defer func() { _ = recover() }()
		t := &turn{pace: p}
		t.take(context.Background())
		defer t.give()
		panic("x")
	}()
	if s := p.Stats(); s.Inside != 0 || s.Pieces != 1 {
		t.Errorf("%+v", s)
	}
}
