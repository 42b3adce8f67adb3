package control

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"arus/app/auth"
	"arus/app/engine"
	"arus/app/model"
)

// ErrStopping is the answer to a run that is asked for while the program stops.
var ErrStopping = errors.New("the program is stopping and starts no run")

// errQueueLeft ends a run that never began.
var errQueueLeft = errors.New("the run was taken out of the queue before it began")

// execution is one run that was asked for: waiting for its turn, or running.
type execution struct {
	id       string // of the run, also while it waits
	pipeline model.Pipeline
	source   string
	trigger  model.TriggerType
	user     string
	queued   time.Time
	ctx      context.Context
	cancel   context.CancelCauseFunc
	job      engine.Job
	progress func(engine.Event)
	request  *queuedRequest // in which form it outlives the program while it waits; nil: whoever asked for it waits too, or asks again
	resumed  bool           // it is in the state already

	done   chan struct{} // closed when it is over
	report engine.Report
	err    error
}

// runner runs executions in their order, as many at a time as the settings say,
// one of each pipeline.
type runner struct {
	s *Service

	mu       sync.Mutex
	waiting  []*execution
	running  map[string]*execution // by run id
	stopping bool
	wg       sync.WaitGroup
}

func newRunner(s *Service) *runner {
	return &runner{s: s, running: map[string]*execution{}}
}

// add takes an execution in. ErrRunActive: its pipeline runs or waits already.
func (r *runner) add(x *execution) error {
	settings, err := r.s.settings(x.ctx)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.s.Store.Moved()
	defer r.mu.Unlock()
	if r.stopping {
		return ErrStopping
	}
	same := func(o *execution) bool { return o.pipeline.ID == x.pipeline.ID }
	if slices.ContainsFunc(r.waiting, same) {
		return ErrRunActive
	}
	for _, o := range r.running {
		if same(o) {
			return ErrRunActive
		}
	}
	if x.done = make(chan struct{}); x.id == "" {
		x.id, x.queued = id.String(), r.s.Now()
	}
	r.waiting = append(r.waiting, x)
	r.dispatch(settings)
	if at := slices.Index(r.waiting, x); at >= 0 && !x.resumed {
		if err := x.stored(x.ctx, r.s.Store); err != nil {
			r.waiting = slices.Delete(r.waiting, at, at+1)
			return err
		}
	}
	return nil
}

// dispatch starts what may start now. The caller holds the lock.
func (r *runner) dispatch(settings model.Settings) {
	if r.stopping {
		return
	}
	bySource := map[string]int{}
	for _, x := range r.running {
		bySource[x.source]++
	}
	r.waiting = slices.DeleteFunc(r.waiting, func(x *execution) bool {
		if len(r.running) >= settings.MaxConcurrentRuns || bySource[x.source] >= settings.MaxConcurrentPerSource {
			return false
		}
		bySource[x.source]++
		r.running[x.id] = x
		r.wg.Go(func() { r.run(x) })
		return true
	})
}

func (r *runner) run(x *execution) {
	x.report, x.err = r.s.execute(x)
	r.mu.Lock()
	if x.err != nil && !r.stopping { // its beginning took it out of the state, unless there was none
		x.forgotten(x.ctx, r.s)
	}
	delete(r.running, x.id)
	r.mu.Unlock()
	r.s.Store.Moved()
	x.cancel(nil)
	close(x.done)
	r.wake()
}

// wake starts what may start since something ended or a setting changed.
func (r *runner) wake() {
	settings, err := r.s.settings(context.Background())
	if err != nil {
		settings = model.Settings{MaxConcurrentRuns: 1, MaxConcurrentPerSource: 1}
	}
	r.mu.Lock()
	defer r.s.Store.Moved()
	defer r.mu.Unlock()
	r.dispatch(settings)
}

// find gives the execution of a run that waits or runs.
func (r *runner) find(ctx context.Context, runID string) (x *execution, running bool) {
	r.s.Store.Look(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if x = r.running[runID]; x != nil {
		return x, true
	}
	for _, x := range r.waiting {
		if x.id == runID {
			return x, false
		}
	}
	return nil, false
}

// cancel ends a run, or takes it out of the queue. false: there is no such run.
func (r *runner) cancel(runID string, cause error) bool {
	r.mu.Lock()
	defer r.s.Store.Moved()
	defer r.mu.Unlock()
	if x := r.running[runID]; x != nil {
		x.cancel(cause)
		return true
	}
	at := slices.IndexFunc(r.waiting, func(x *execution) bool { return x.id == runID })
	if at < 0 {
		return false
	}
	x := r.waiting[at]
	r.waiting = slices.Delete(r.waiting, at, at+1)
	x.forgotten(x.ctx, r.s)
	x.leave(cause)
	return true
}

// leave ends an execution that never began.
func (x *execution) leave(cause error) {
	x.err = errors.Join(errQueueLeft, cause)
	x.cancel(cause)
	close(x.done)
}

// counts says how many wait and how many run.
func (r *runner) counts() (waiting, running int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting), len(r.running)
}

// queue lists what waits, in its order.
func (r *runner) queue(ctx context.Context) []*execution {
	r.s.Store.Look(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.waiting)
}

// stop starts nothing more, ends what runs at its next checkpoint and waits for
// it until ctx ends.
func (r *runner) stop(ctx context.Context) error {
	r.mu.Lock()
	r.stopping = true
	for _, x := range r.waiting {
		x.leave(ErrStopping)
	}
	r.waiting = nil
	for _, x := range r.running {
		x.cancel(ErrStopping)
	}
	r.mu.Unlock()
	over := make(chan struct{})
	go func() {
		r.wg.Wait()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return errors.New("some runs did not end in time; the next start continues them from their last checkpoint")
	}
}

// Stop ends the runs, the connection tests and a restore that has not begun.
// Call it once, before the store is closed.
func (s *Service) Stop(ctx context.Context) error {
	err := s.runs.stop(ctx)
	s.restores.stop()
	s.known.probes.stop()
	return errors.Join(err, s.saveTouches(context.WithoutCancel(ctx)))
}

// Started is a run that was asked for.
type Started struct {
	RunID  string
	Status model.RunStatus // running, or RunQueued
	x      *execution
}

// Wait waits for the end of the run; when ctx ends first, the run goes on.
func (st Started) Wait(ctx context.Context) (engine.Report, error) {
	select {
	case <-st.x.done:
		return st.x.report, st.x.err
	case <-ctx.Done():
		return engine.Report{}, ctx.Err()
	}
}

// StartRun starts a run of a stored pipeline, or queues it behind others, and
// returns at once. ErrRunActive: the pipeline runs or waits already.
func (s *Service) StartRun(ctx context.Context, req RunRequest) (Started, error) {
	if err := s.may(ctx, auth.RunPipelines); err != nil {
		return Started{}, err
	}
	job, err := s.job(ctx, req)
	if err != nil {
		return Started{}, err
	}
	x := s.execution(context.WithoutCancel(ctx), job, req.Progress)
	if req.Trigger != model.TriggerScheduled { // what the schedule owes is written down there
		x.request = &queuedRequest{Run: &req}
	}
	return s.begin(ctx, x)
}

// execution makes an execution of a job; life ends the run.
func (s *Service) execution(life context.Context, job engine.Job, progress func(engine.Event)) *execution {
	x := &execution{
		pipeline: job.Pipeline, source: job.Pipeline.SourceID, trigger: job.Trigger, user: auth.ActorOf(life).UserID(),
		job: job, progress: progress,
	}
	x.ctx, x.cancel = context.WithCancelCause(life)
	return x
}

// begin hands an execution to the runner.
func (s *Service) begin(ctx context.Context, x *execution) (Started, error) {
	if err := s.runs.add(x); err != nil {
		x.cancel(nil)
		return Started{}, err
	}
	started := Started{RunID: x.id, Status: model.RunQueued, x: x}
	if _, running := s.runs.find(ctx, x.id); running {
		started.Status = model.RunRunning
	}
	return started, nil
}

// execute runs a job and tells the listeners.
func (s *Service) execute(x *execution) (engine.Report, error) {
	watch := newPhases(s.Now)
	e := s.engine(func(ev engine.Event) {
		watch.see(ev)
		if x.progress != nil {
			x.progress(ev)
		}
		s.Events.Emit(Event{Type: RunProgress, Data: ProgressEvent{
			RunID: x.id, PipelineID: x.pipeline.ID, Table: ev.Table, Phase: ev.Phase, Rows: ev.Rows, Estimate: ev.Estimate,
		}})
	})
	s.followTables(x.ctx, x)
	event := RunEvent{RunID: x.id, PipelineID: x.pipeline.ID, PipelineName: x.pipeline.Name, Trigger: x.trigger, Status: model.RunRunning}
	e.State = runState{state: state{s.Store}, id: x.id, user: x.user, phases: watch, started: func() { s.Events.Emit(Event{Type: RunStarted, Data: event}) }}
	report, err := e.Run(x.ctx, x.job)
	event.Status, event.RowsSynced, event.DurationMS, event.Report = report.Status, report.RowsLoaded, report.DurationMS, &report
	event.Error = report.Error
	for _, t := range report.Tables {
		if event.Error == "" && t.Error != "" {
			event.Error = t.Table + ": " + t.Error
		}
	}
	if err != nil {
		event.Status, event.Error = model.RunFailed, err.Error()
	}
	s.Events.Emit(Event{Type: RunFinished, Data: event})
	return report, err
}

// runState gives the engine's run the id it was promised under, and whoever
// asked for it.
type runState struct {
	state
	id, user string
	phases   *phases
	started  func()
}

// SaveTableStat records the figures of a table with its phases.
func (s runState) SaveTableStat(ctx context.Context, stat *model.RunTableStat) error {
	s.phases.fill(stat)
	return s.state.SaveTableStat(ctx, stat)
}

// Checkpoint does so together with a watermark.
func (s runState) Checkpoint(ctx context.Context, w *model.Watermark, stat *model.RunTableStat) error {
	s.phases.fill(stat)
	return s.state.Checkpoint(ctx, w, stat)
}

// StartRun records the start.
func (s runState) StartRun(ctx context.Context, r *model.Run) error {
	r.ID, r.UserID = s.id, s.user
	begin := func() error { return s.state.StartRun(ctx, r) }
	err := begin()
	if errors.Is(err, ErrRunActive) {
		// No other process has the directory and no other execution is this pipeline's: the end of an earlier run could
		// not be written.
		if _, err = s.Store.RescueRuns(ctx, "the end of the run could not be recorded; the next run continues from the last checkpoint", r.PipelineID); err == nil {
			err = begin()
		}
	}
	if err != nil {
		return err
	}
	s.started()
	return nil
}

// CancelRun ends a run that is going on at its next checkpoint, or takes one
// that waits out of the queue. ErrRunState: it is over.
func (s *Service) CancelRun(ctx context.Context, runID string) error {
	if err := s.may(ctx, auth.RunPipelines); err != nil {
		return err
	}
	who := auth.ActorOf(ctx).Name
	if s.runs.cancel(runID, errors.New("cancelled by "+who)) {
		return s.audit(ctx, s.Store, Change{Action: "run.cancel", ID: runID})
	}
	run, err := s.Store.GetRun(ctx, runID)
	if err != nil {
		return err
	}
	return &RunOverError{RunID: runID, Status: run.Status}
}

// RunOverError is the answer to a wish about a run that is in another state. It
// is an ErrRunState.
type RunOverError struct {
	RunID  string
	Status model.RunStatus
	Want   string
}

func (e *RunOverError) Error() string {
	want := e.Want
	if want == "" {
		want = "be cancelled"
	}
	return "run " + e.RunID + " is " + string(e.Status) + " and cannot " + want
}

// Is makes errors.Is(err, ErrRunState) true.
func (e *RunOverError) Is(target error) bool { return target == ErrRunState }

// RetryRun runs the pipeline of a failed or cancelled run again, in the same way.
func (s *Service) RetryRun(ctx context.Context, runID string) (Started, error) {
	if err := s.may(ctx, auth.RunPipelines); err != nil {
		return Started{}, err
	}
	run, err := s.Store.GetRun(ctx, runID)
	if err != nil {
		return Started{}, err
	}
	if run.Status != model.RunFailed && run.Status != model.RunCancelled {
		return Started{}, &RunOverError{RunID: runID, Status: run.Status, Want: "be tried again"}
	}
	return s.StartRun(ctx, RunRequest{Pipeline: run.PipelineID, RetryOf: run.ID, Force: true, FullRefresh: run.Trigger == model.TriggerFullRefresh})
}
