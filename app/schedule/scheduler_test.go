package schedule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite" // makes the source's file

	"arus/app/auth"
	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
	"arus/connectors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a service with a scheduler at a time that the test sets. Runs wait
// while the gate is closed.
type bundle struct {
	*control.Service
	t     testing.TB
	ctx   context.Context
	src   model.Source
	sched *Scheduler

	mu   sync.Mutex
	at   time.Time
	gate chan struct{}

	begun chan string // pipelines of which a run began while the gate was closed
}

func (b *bundle) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bundle) set(at time.Time) {
	b.mu.Lock()
	b.at = at
	b.mu.Unlock()
}

func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func setup(t testing.TB, start string) *bundle {
	t.Helper()
	b := &bundle{t: t, gate: make(chan struct{}), begun: make(chan string, 100)}
	at, err := time.Parse(time.RFC3339, start)
	b.must(err)
	b.at = at
	close(b.gate)
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	b.Service = controltest.Open(t, filepath.Join(dir, "data"), b.now, log)
	b.ctx = auth.WithActor(t.Context(), auth.Schedule())
	sqlite := b.Registry["sqlite"]
	open := sqlite.OpenSource
	sqlite.OpenSource = func(ctx context.Context, cfg connectors.Config) (connectors.Source, error) {
		b.mu.Lock()
		gate := b.gate
		b.mu.Unlock()
		select {
		case <-gate:
			return open(ctx, cfg)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b.Registry["sqlite"] = sqlite
	file := filepath.Join(dir, "shop.db")
	db, err := sql.Open("sqlite", "file:"+file)
	b.must(err)
	for i := range 12 {
		_, err = db.Exec(fmt.Sprintf("CREATE TABLE t%d (id INTEGER PRIMARY KEY, note TEXT)", i))
		b.must(err)
	}
	b.must(db.Close())
	cfg, err := b.Registry.ParseURL("sqlite://" + filepath.ToSlash(file))
	b.must(err)
	b.src, err = b.AddSource(b.ctx, control.SourceInput{Name: "shop", Connection: cfg})
	b.must(err)
	_, err = b.AddDestination(b.ctx, control.DestinationInput{Name: "dwh", Connection: connectors.Config{Type: "embedded"}, IsDefault: true})
	b.must(err)
	b.restart()
	b.Events.Observe(func(e control.Event) {
		b.sched.Observe(e)
		if d, ok := e.Data.(control.RunEvent); ok && e.Type == control.RunStarted {
			select {
			case b.begun <- d.PipelineID:
			default: // nobody counts
			}
		}
	})
	return b
}

// restart makes a scheduler that knows only what the state file does.
func (b *bundle) restart() {
	b.sched = &Scheduler{Control: b.Service, Log: b.Log, Now: b.now}
	b.sched.reset()
}

// add stores a pipeline of the table t with the number.
func (b *bundle) add(n int, schedule string, options model.PipelineOptions, after string) model.Pipeline {
	b.t.Helper()
	p, err := b.AddPipeline(b.ctx, control.PipelineInput{
		Name: fmt.Sprintf("p%d", n), Source: b.src.ID, Choices: []control.TableChoice{{Name: fmt.Sprintf("t%d", n)}}, Schedule: schedule, Options: options, DependsOn: after,
	})
	b.must(err)
	return p
}

// tick moves the clock to a time, lets the scheduler look, and waits for what it
// started unless the gate is closed.
func (b *bundle) tick(clock string) {
	b.t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05", "2026-"+clock)
	b.must(err)
	b.set(at)
	b.must(b.sched.tick(b.ctx))
	select {
	case <-b.gate:
		b.sched.waits.Wait()
		b.must(b.sched.tick(b.ctx)) // what the end of a run made due
		b.sched.waits.Wait()
	default:
	}
}

// began waits until runs of so many pipelines began.
func (b *bundle) began(n int) {
	b.t.Helper()
	for range n {
		select {
		case <-b.begun:
		case <-time.After(20 * time.Second):
			b.t.Fatal("no run began")
		}
	}
}

// close holds up runs until what it returns is called.
func (b *bundle) close() func() {
	b.mu.Lock()
	b.gate = make(chan struct{})
	gate := b.gate
	b.mu.Unlock()
	for len(b.begun) > 0 {
		<-b.begun
	}
	return func() { close(gate); b.sched.waits.Wait() }
}

// runs are the runs of a pipeline by when they began and how they ended.
func (b *bundle) runs(p model.Pipeline) string {
	b.t.Helper()
	list, _, err := b.ListRuns(b.ctx, control.RunFilter{Pipeline: p.ID, Page: control.Page{Limit: 100}})
	b.must(err)
	text := ""
	for _, r := range slices.Backward(list) {
		if r.Trigger != model.TriggerScheduled {
			text += "(" + string(r.Trigger) + ")"
		}
		text += r.StartedAt.Format("02T15:04 ") + string(r.Status) + " "
	}
	return text
}

func (b *bundle) want(p model.Pipeline, want string) {
	b.t.Helper()
	if want != "" {
		want += " "
	}
	if got := b.runs(p); got != want {
		b.t.Errorf("%s ran %q, want %q", p.Name, got, want)
	}
}

func TestRunsWhenDue(t *testing.T) {
	t.Parallel()
	b := setup(t, "2026-03-28T00:59:00Z")
	hourly := b.add(0, "30 * * * *", model.PipelineOptions{}, "")
	berlin := b.add(1, "30 2 * * *", model.PipelineOptions{Timezone: "Europe/Berlin"}, "") // on 29 March at the end of the gap, 01:00 UTC
	never := b.add(2, "manual", model.PipelineOptions{}, "")
	every := b.add(3, "every 90m", model.PipelineOptions{}, "")
	b.tick("03-28T01:00:00")
	b.tick("03-28T01:29:59")
	b.want(hourly, "")
	b.tick("03-28T01:30:00")
	b.tick("03-28T01:30:01")
	b.tick("03-28T02:30:20")
	b.want(hourly, "28T01:30 success 28T02:30 success")
	b.want(berlin, "28T01:30 success")
	b.want(every, "28T01:30 success")
	b.tick("03-29T00:59:59")
	b.tick("03-29T01:00:00")
	b.want(berlin, "28T01:30 success 29T01:00 success")
	b.want(never, "")
}

func TestWhatWasMissedIsMadeUpForOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, "2026-03-01T00:00:00Z")
	once := b.add(0, "0 * * * *", model.PipelineOptions{}, "")
	skip := b.add(1, "0 * * * *", model.PipelineOptions{Misfire: model.MisfireSkip}, "")
	b.tick("03-01T00:30:00")
	b.tick("03-01T01:00:00")
	b.restart() // stopped from two to half past six
	b.tick("03-01T06:30:00")
	b.tick("03-01T06:30:01")
	b.want(once, "01T01:00 success 01T06:30 success")
	b.want(skip, "01T01:00 success")
	b.tick("03-01T07:00:00")
	b.tick("03-03T07:30:00") // the machine slept for two days
	b.tick("03-03T07:30:01")
	b.tick("03-03T08:00:30") // a little late is in time
	b.want(once, "01T01:00 success 01T06:30 success 01T07:00 success 03T07:30 success 03T08:00 success")
	b.want(skip, "01T01:00 success 01T07:00 success 03T08:00 success")
	b.set(b.now().Add(-90 * time.Minute)) // the clock is set back: nothing comes due twice
	b.must(b.sched.tick(b.ctx))
	b.tick("03-03T07:00:10")
	b.tick("03-03T08:30:00")
	b.want(skip, "01T01:00 success 01T07:00 success 03T08:00 success")
}

func TestADueRunWaitsForThePreviousOne(t *testing.T) {
	t.Parallel()
	b := setup(t, "2026-03-01T00:00:00Z")
	once := b.add(0, "* * * * *", model.PipelineOptions{}, "")
	skip := b.add(1, "* * * * *", model.PipelineOptions{Misfire: model.MisfireSkip}, "")
	b.tick("03-01T00:00:30")
	open := b.close()
	b.tick("03-01T00:01:00")
	b.began(2)
	for _, at := range []string{"02:00", "03:00", "04:00"} { // they go on for three minutes
		b.tick("03-01T00:" + at)
	}
	open()
	b.tick("03-01T00:04:20")
	b.tick("03-01T00:04:40")
	b.want(once, "01T00:01 success 01T00:04 success")
	b.want(skip, "01T00:01 success")
	b.tick("03-01T00:05:00")
	b.want(skip, "01T00:01 success 01T00:05 success")

	// A run by hand that begins after the time was due is as good.
	open = b.close()
	b.tick("03-01T00:05:30")
	manual, err := b.StartRun(b.ctx, control.RunRequest{Pipeline: once.ID})
	b.must(err)
	b.began(1)
	b.tick("03-01T00:06:00")
	open()
	_, err = manual.Wait(b.ctx)
	b.must(err)
	b.tick("03-01T00:06:10")
	b.tick("03-01T00:06:20")
	b.want(once, "01T00:01 success 01T00:04 success 01T00:05 success (manual)01T00:05 success 01T00:06 success")
}

// slowly lets something happen while due times are written down.
type slowly struct {
	Control
	meanwhile func()
}

func (s slowly) SaveSchedules(ctx context.Context, states []model.ScheduleState, gone []string) error {
	s.meanwhile()
	return s.Control.SaveSchedules(ctx, states, gone)
}

// TestARunThatEndsDuringATickIsNotRunAgain lets a run end after the scheduler
// has read what is owed.
func TestARunThatEndsDuringATickIsNotRunAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, "2026-03-01T00:00:00Z")
	first := b.add(0, "1 * * * *", model.PipelineOptions{}, "")
	b.add(1, "2 * * * *", model.PipelineOptions{}, "")
	b.tick("03-01T00:00:30")
	open := b.close()
	b.tick("03-01T00:01:00")
	b.began(1)
	var once sync.Once
	b.sched.Control = slowly{b.Service, func() { once.Do(open) }}
	b.tick("03-01T00:02:00")
	b.sched.waits.Wait()
	b.tick("03-01T00:02:10")
	b.want(first, "01T00:01 success")
}

func TestWhatEndedWithTheProgramIsRunAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, "2026-03-01T00:00:00Z")
	p := b.add(0, "0 * * * *", model.PipelineOptions{}, "")
	b.tick("03-01T00:30:00")
	// Killed: the run stays as it was, and the next start ends it.
	b.must(b.sched.Control.SaveSchedules(b.ctx, []model.ScheduleState{{PipelineID: p.ID, Spec: b.state(p).Spec, NextAt: b.now().Add(90 * time.Minute), PendingAt: b.now(), Since: b.now()}}, nil))
	run := model.Run{PipelineID: p.ID}
	b.must(b.Store.StartRun(b.ctx, &run))
	b.must(b.Rescue(b.ctx))
	b.restart()
	b.tick("03-01T00:40:00")
	b.tick("03-01T00:41:00")
	b.want(p, "01T00:30 failed 01T00:40 success")
	// Killed after the end of the run, before anything else: nothing is run again.
	b.restart()
	b.tick("03-01T00:42:00")
	b.want(p, "01T00:30 failed 01T00:40 success")

	// Cancelled by somebody: that is an answer.
	open := b.close()
	b.tick("03-01T02:00:00")
	b.began(1)
	list, _, err := b.ListRuns(b.ctx, control.RunFilter{Status: model.RunRunning})
	b.must(err)
	if len(list) == 1 {
		b.must(b.CancelRun(b.ctx, list[0].ID))
	} else {
		t.Fatalf("%d runs go on", len(list))
	}
	b.sched.waits.Wait()
	open()
	b.tick("03-01T02:00:10")
	b.tick("03-01T02:00:20")
	b.want(p, "01T00:30 failed 01T00:40 success 01T02:00 cancelled")

	// Stopped in good order: the run is still owed.
	b.close()
	ctx, stop := context.WithCancel(b.ctx)
	b.set(b.now().Add(time.Hour))
	b.must(b.sched.tick(ctx))
	b.began(1)
	stop()
	b.sched.waits.Wait()
	b.must(b.Stop(context.WithoutCancel(ctx)))
	if st := b.state(p); st.PendingAt.IsZero() {
		t.Errorf("nothing is owed after %s", b.runs(p))
	}
}

func (b *bundle) state(p model.Pipeline) model.ScheduleState {
	states, err := b.ScheduleStates(b.ctx)
	b.must(err)
	return states[p.ID]
}

func TestChangesApplyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, "2026-03-01T00:00:00Z")
	p := b.add(0, "0 * * * *", model.PipelineOptions{}, "")
	b.tick("03-01T00:10:00")
	schedule := "*/15 * * * *"
	_, err := b.UpdatePipeline(b.ctx, p.ID, control.PipelineUpdate{Schedule: &schedule})
	b.must(err)
	b.tick("03-01T00:10:01")
	b.tick("03-01T00:15:00")
	b.want(p, "01T00:15 success")
	_, err = b.PausePipeline(b.ctx, p.ID)
	b.must(err)
	b.tick("03-01T00:31:00")
	_, err = b.ResumePipeline(b.ctx, p.ID)
	b.must(err)
	b.tick("03-01T00:40:00") // what was due meanwhile is left out
	b.want(p, "01T00:15 success")
	b.tick("03-01T00:45:00")
	b.must(b.PauseSchedule(b.ctx, true))
	b.tick("03-01T01:10:00")
	if list, paused, err := b.ListSchedules(b.ctx); err != nil || !paused || len(list) != 1 || !list[0].NextAt.IsZero() {
		t.Errorf("%+v, %v, %v", list, paused, err)
	}
	b.must(b.PauseSchedule(b.ctx, false))
	b.tick("03-01T01:11:00")
	b.tick("03-01T01:15:00")
	b.want(p, "01T00:15 success 01T00:45 success 01T01:15 success")
	if list, _, err := b.ListSchedules(b.ctx); err != nil || len(list) != 1 || list[0].NextAt.Format("15:04") != "01:30" || list[0].LastDueAt.Format("15:04") != "01:15" {
		t.Errorf("%+v, %v", list, err)
	}
	b.must(b.ChangeSettings(b.ctx, map[string]string{"timezone": "Asia/Kathmandu", "schedule_jitter": "5m"}, nil))
	b.tick("03-01T01:15:01")
	b.must(b.DeletePipeline(b.ctx, p.ID))
	b.tick("03-01T02:00:00")
	if states, err := b.ScheduleStates(b.ctx); err != nil || len(states) != 0 {
		t.Errorf("%v, %v", states, err)
	}
	bad := "61 * * * *"
	_, err = b.AddPipeline(b.ctx, control.PipelineInput{Name: "bad", Source: b.src.ID, Choices: []control.TableChoice{{Name: "t1"}}, Schedule: bad, Options: model.PipelineOptions{Timezone: "Mars"}})
	if invalid, ok := errors.AsType[*control.InvalidError](err); !ok || len(invalid.Faults) != 2 {
		t.Errorf("a wrong schedule in a wrong zone: %v", err)
	}
}

func TestDependentsRunAfterTheirUpstream(t *testing.T) {
	t.Parallel()
	b := setup(t, "2026-03-01T00:00:00Z")
	first := b.add(0, "0 * * * *", model.PipelineOptions{}, "")
	after := b.add(1, "", model.PipelineOptions{RunAfterUpstream: true}, first.Name)
	last := b.add(2, "", model.PipelineOptions{RunAfterUpstream: true}, after.Name)
	own := b.add(3, "30 * * * *", model.PipelineOptions{}, first.Name)
	b.tick("03-01T00:30:00")
	b.tick("03-01T01:00:00")
	b.tick("03-01T01:00:02")
	b.tick("03-01T01:00:03")
	b.tick("03-01T01:30:00")
	b.tick("03-01T01:30:01")
	b.want(first, "01T01:00 success")
	b.want(after, "01T01:00 success")
	b.want(last, "01T01:00 success")
	b.want(own, "01T01:30 success")
	b.tick("03-01T01:59:00")
	b.must(b.setStatus(first, model.PipelinePaused))
	b.tick("03-01T02:30:00") // nothing is new for it
	b.tick("03-01T02:30:01")
	b.want(own, "01T01:30 success 01T02:30 skipped")
	// A run by hand counts too, and one that is owed outlasts a restart.
	_, err := b.Run(b.ctx, control.RunRequest{Pipeline: first.ID})
	b.must(err)
	b.restart()
	b.tick("03-01T02:31:00")
	b.want(after, "01T01:00 success 01T02:31 success")
}

func (b *bundle) setStatus(p model.Pipeline, status model.PipelineStatus) error {
	_, err := b.UpdatePipeline(b.ctx, p.ID, control.PipelineUpdate{Status: &status})
	return err
}

func TestJitterSpreadsAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	times, err := model.ParseSchedule("*/10 * * * *", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	at, seen := time.Date(2026, 3, 1, 0, 10, 0, 0, time.UTC), map[time.Duration]bool{}
	for i := range 100 {
		e := &entry{times: times, jitter: time.Hour, state: model.ScheduleState{PipelineID: fmt.Sprint(i)}}
		d := e.delay(at)
		if d < 0 || d >= 5*time.Minute || d != e.delay(at) {
			t.Errorf("a delay of %s", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d different delays", len(seen))
	}
}

// TestStartsAndStops starts and stops the scheduler while runs go on; goleak
// looks for what is left.
func TestStartsAndStops(t *testing.T) {
	t.Parallel()
	b := setup(t, "2026-03-01T00:00:00Z")
	p := b.add(0, "every 10s", model.PipelineOptions{}, "")
	b.tick("03-01T00:00:01")
	for range 50 {
		b.set(b.now().Add(10 * time.Second))
		ctx, stop := context.WithCancel(b.ctx)
		over := make(chan error)
		s := &Scheduler{Control: b.Service, Log: b.Log, Now: b.now}
		go func() { over <- s.Run(ctx) }()
		time.AfterFunc(3*time.Millisecond, stop)
		b.must(<-over)
	}
	// Now one that has the time for it.
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	s := &Scheduler{Control: b.Service, Log: b.Log, Now: b.now}
	finished := make(chan struct{}, 100)
	b.Events.Observe(func(e control.Event) {
		if e.Type == control.RunFinished {
			finished <- struct{}{}
		}
	})
	over := make(chan error)
	b.set(b.now().Add(time.Minute))
	go func() { over <- s.Run(ctx) }()
	select {
	case <-finished:
	case <-time.After(20 * time.Second):
		t.Error("nothing ran")
	}
	stop()
	b.must(<-over)
	t.Log(b.runs(p))
}
