package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/model"
	"arus/app/transform"
	"arus/connectors"
)

// State is what the engine keeps between runs.
type State interface {
	// Watermark gives the zero Watermark when none is stored.
	Watermark(ctx context.Context, pipelineID, sourceTable string) (model.Watermark, error)
	// Checkpoint stores a watermark and the table's figures in one transaction.
	Checkpoint(ctx context.Context, w *model.Watermark, s *model.RunTableStat) error
	SaveTableStat(ctx context.Context, s *model.RunTableStat) error
	// StartTables stores the beginnings of tables, unless more is known of them.
	StartTables(ctx context.Context, starts []model.RunTableStat) error
	// StartRun fills the run's id and times.
	StartRun(ctx context.Context, r *model.Run) error
	FinishRun(ctx context.Context, r model.Run) error
	AppendRunLogs(ctx context.Context, lines []model.RunLog) error
	// ChunkedLoad gives the zero ChunkedLoad when the table has none that is
	// unfinished. Checkpoint ends it, whatever became of it.
	ChunkedLoad(ctx context.Context, pipelineID, sourceTable string) (model.ChunkedLoad, error)
	StartChunkedLoad(ctx context.Context, load *model.ChunkedLoad) error
	CheckpointChunk(ctx context.Context, token string, c model.Chunk) error
	EndChunkedLoad(ctx context.Context, pipelineID, sourceTable string) error
	SchemaState
	QuietState
	// SaveQuality adds the results of checks.
	SaveQuality(ctx context.Context, checks []model.QualityCheck) error
}

// Job is one run: which tables of which pipeline go where, and how.
type Job struct {
	Pipeline   model.Pipeline // its enabled tables are run, unless Only narrows them
	Only       []string       // table keys; empty = all
	Trigger    model.TriggerType
	UserID     string // who started it; empty = the schedule
	SourceName string // slugged into the names of raw tables
	SyncMethod model.SyncMethod
	// Open opens both ends: at the start, and again, with fresh connections,
	// for each retry. The run closes what it opened.
	Open        func(context.Context) (connectors.Source, connectors.Destination, error)
	Discovered  []connectors.Table // nil: the run looks itself
	Names       Names
	FullRefresh bool              // read everything and swap, whatever the mode
	Drift       model.DriftPolicy // of pipelines without one of their own
	// Agreed loads the columns that the target holds without looking for changes of
	// the source's schema. A changed key is refused all the same.
	Agreed    bool
	Reconcile bool    // compare the keys of both sides now, where deletions are followed
	Threshold float64 // of quality checks, in percent, for pipelines without one of their own
	// Skip is why the run does not take place: it is recorded as skipped.
	Skip string
	// Letters makes the run load dead letters again, Rebuild makes it build targets
	// anew from raw rows, instead of copying; both need only OpenDestination.
	Letters         *Letters
	Rebuild         bool
	OpenDestination func(context.Context) (connectors.Destination, error)
	// Readback opens the destination for reading what it holds; nil: it cannot be read.
	Readback func(context.Context) (connectors.Source, error)
	// BackfillFrom is the date or timestamp to re-read from; the stored watermark
	// stays where it is. Empty: no backfill. BackfillTo is where it ends, the
	// whole day when it is a date; empty: at the newest row.
	BackfillFrom, BackfillTo string
	Backoff                  time.Duration     // before the first retry, at most; 0: two seconds
	Limits                   connectors.Limits // of one batch; see also Memory
	// Scripts are the pipeline's scripts for its tables' transforms; log receives
	// what they print, line by line, from other goroutines. nil: there are none.
	Scripts func(log func(script, line string)) transform.Scripts
	// Memory bounds the bytes of all batches in flight: batches are made smaller
	// where tables x held of them would take more. 0 = DefaultMemory.
	Memory int
}

// DefaultParallel is how many tables, or chunks of tables, are copied at a
// time: it fits two cores and keeps the batches in flight small.
const DefaultParallel = 2

// DefaultMemory is what the batches of a run may take together. Larger ones are
// not faster: they no longer fit the processor's caches.
const DefaultMemory = 32 << 20

// held is how many batches each table at a time has: one for which memory is
// ready to be read into, one that waits to be queued, queued ones and one being
// written.
const held = queued + 3

// minBatch is the least that batches are made for the sake of memory.
const minBatch = 256 << 10

// Report is the outcome of a run, in the form the command line and the API give it.
type Report struct {
	RunID        string          `json:"run_id"`
	Pipeline     string          `json:"pipeline"`
	Status       model.RunStatus `json:"status"`
	DurationMS   int64           `json:"duration_ms"`
	RowsRead     int64           `json:"rows_read"`
	RowsLoaded   int64           `json:"rows_loaded"`
	RowsFiltered int64           `json:"rows_filtered"`
	DeadLetters  int64           `json:"dead_letters"`
	Tables       []TableReport   `json:"tables"`
	Warnings     []string        `json:"warnings"`        // what a person should look at
	Error        string          `json:"error,omitempty"` // what kept the run from reaching its tables
	Err          error           `json:"-"`
}

// TableReport is the outcome of one table.
type TableReport struct {
	Table           string          `json:"table"`
	Target          string          `json:"target"`
	Status          model.RunStatus `json:"status"`
	Mode            model.SyncMode  `json:"mode"`
	RowsRead        int64           `json:"rows_read"`
	RowsLoaded      int64           `json:"rows_loaded"`
	RowsFiltered    int64           `json:"rows_filtered"`
	DeadLetters     int64           `json:"dead_letters"`
	RowsDeleted     int64           `json:"rows_deleted"`    // deleted or marked in the target
	ValuesReplaced  int64           `json:"values_replaced"` // by the pipeline's policies
	Retries         int             `json:"retries"`
	WatermarkBefore string          `json:"watermark_before"`
	WatermarkAfter  string          `json:"watermark_after"`
	DurationMS      int64           `json:"duration_ms"`
	Error           string          `json:"error"`
	Err             error           `json:"-"`
	// Changes are those that this run was the first to find, Checks what the
	// quality checks found.
	Changes []model.SchemaChange `json:"schema_changes,omitempty"`
	Checks  []model.QualityCheck `json:"checks,omitempty"`
}

// Event is a step of progress. Rows and Bytes count what was read so far, in
// this attempt and, of a chunked load, in the chunks that earlier ones kept.
type Event struct {
	Table    string // empty: the run as a whole
	Phase    Phase
	Rows     int64
	Bytes    int64 // in memory, about
	Estimate int64 // rows; -1 when unknown
	Attempt  int   // from 1
	Chunk    int   // how many are done
	Chunks   int   // of how many; 0 = in one piece
	Report   *TableReport
}

// Phase is where a table stands.
type Phase string

// The phases of a table.
const (
	PhaseStarted Phase = "started"
	PhaseRows    Phase = "rows"
	PhaseCommit  Phase = "commit"
	PhaseRetry   Phase = "retry" // waiting to try again
	PhaseDone    Phase = "done"
)

// Engine runs jobs. It holds no state of its own besides its dependencies.
type Engine struct {
	State    State
	Now      func() time.Time
	Log      *slog.Logger
	Progress func(Event) // may be nil; called from several goroutines
	Pace     *Pace       // shared with who answers requests; nil: nobody does
	// Wait and Random are the retries' clock and their random numbers in [0,1);
	// nil = the real ones.
	Wait   func(context.Context, time.Duration) error
	Random func() float64
}

// finishTimeout bounds the writes of a run's end, which must happen even after
// the run's own context is gone.
const finishTimeout = 15 * time.Second

// Run executes the job and records it. The error is of the record keeping
// only: what befell the run and its tables is in the report.
func (e *Engine) Run(ctx context.Context, job Job) (Report, error) {
	if job.Skip != "" {
		return e.skip(ctx, job)
	}
	run := model.Run{PipelineID: job.Pipeline.ID, Status: model.RunRunning, Trigger: job.Trigger, UserID: job.UserID, Work: job.work()}
	if err := e.State.StartRun(ctx, &run); err != nil {
		return Report{}, fmt.Errorf("record the start of the run: %w", err)
	}
	report := Report{RunID: run.ID, Pipeline: job.Pipeline.Name}
	log := newRunLog(e, run.ID)
	work, cancel := ctx, context.CancelFunc(func() {})
	if job.Pipeline.TimeoutSeconds > 0 {
		work, cancel = context.WithTimeout(ctx, time.Duration(job.Pipeline.TimeoutSeconds)*time.Second)
	}
	switch run.Work {
	case model.WorkLetters:
		report.Tables, report.Err = e.runLetters(work, &job, run, log)
	case model.WorkRebuild:
		report.Tables, report.Err = e.runRebuild(work, &job, run, log)
	default:
		report.Tables, report.Err = e.runTables(work, &job, run, log)
	}
	report.Err = e.whyEnded(work, &job, job.Pipeline.Name, report.Err)
	cancel()
	report.Warnings = log.warnings

	firstErr := report.Err
	for _, t := range report.Tables {
		report.RowsRead += t.RowsRead
		report.RowsLoaded += t.RowsLoaded
		report.RowsFiltered += t.RowsFiltered
		report.DeadLetters += t.DeadLetters
		if t.Err != nil && firstErr == nil {
			firstErr = fmt.Errorf("%s: %w", t.Table, t.Err)
		}
	}
	if report.Err != nil {
		report.Error = report.Err.Error()
		log.add(ctx, slog.LevelError, "", report.Error)
	}
	report.Status = runStatus(ctx, report)
	report.DurationMS = e.Now().Sub(run.StartedAt).Milliseconds()
	run.Status, run.DurationMS = report.Status, report.DurationMS
	run.Counts = model.RunCounts{Read: report.RowsRead, Loaded: report.RowsLoaded, Filtered: report.RowsFiltered, DeadLetters: report.DeadLetters}
	if firstErr != nil {
		run.ErrorMessage = firstErr.Error()
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer stop()
	if err := errors.Join(log.flush(end), e.State.FinishRun(end, run)); err != nil {
		return report, fmt.Errorf("record the end of the run: %w", err)
	}
	return report, nil
}

// whyEnded puts the cause before an error that came of the run's end: a cancel,
// or the pipeline's own timeout.
func (e *Engine) whyEnded(ctx context.Context, job *Job, object string, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && job.Pipeline.TimeoutSeconds > 0 {
		err = &connectors.Error{
			Kind: connectors.KindTimeout, Op: "copy", Object: object, Err: err,
			Hint: fmt.Sprintf("the pipeline's timeout of %d s ended it: raise timeout_seconds, or set it to 0 for none", job.Pipeline.TimeoutSeconds),
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) && !errors.Is(err, context.Canceled) {
		return cancelled{err} // some say only why it was cancelled
	}
	return err
}

// cancelled is an error that came of a cancel.
type cancelled struct{ error }

// Is makes errors.Is(err, context.Canceled) true.
func (c cancelled) Is(target error) bool { return target == context.Canceled }

// Unwrap gives the error.
func (c cancelled) Unwrap() error { return c.error }

// skip records a run that does not take place.
func (e *Engine) skip(ctx context.Context, job Job) (Report, error) {
	run := model.Run{PipelineID: job.Pipeline.ID, Status: model.RunSkipped, Trigger: job.Trigger, UserID: job.UserID, ErrorMessage: job.Skip}
	if err := e.State.StartRun(ctx, &run); err != nil {
		return Report{}, fmt.Errorf("record the skipped run: %w", err)
	}
	report := Report{RunID: run.ID, Pipeline: job.Pipeline.Name, Status: model.RunSkipped, Tables: []TableReport{}, Error: job.Skip}
	log := newRunLog(e, run.ID)
	log.add(ctx, slog.LevelWarn, "", "skipped: "+job.Skip)
	report.Warnings = log.warnings
	if err := log.flush(ctx); err != nil {
		return report, fmt.Errorf("record why the run was skipped: %w", err)
	}
	return report, nil
}

func (j *Job) work() model.RunWork {
	switch {
	case j.Letters != nil:
		return model.WorkLetters
	case j.Rebuild:
		return model.WorkRebuild
	}
	return model.WorkCopy
}

// parallel is how many tables and chunks the job copies at a time.
func (j *Job) parallel() int {
	if n := j.Pipeline.Options.Parallel; n > 0 {
		return n
	}
	return DefaultParallel
}

// limits bounds a batch of the columns, so that all batches in flight keep to
// the job's memory.
func (j *Job) limits(columns []connectors.Column) connectors.Limits {
	l := j.Limits.OrDefault()
	memory := j.Memory
	if memory <= 0 {
		memory = DefaultMemory
	}
	l.Bytes = min(l.Bytes, max(minBatch, memory/(j.parallel()*held)))
	// What a row takes when all its values are null: many columns make wide rows.
	width := 0
	for _, f := range connectors.Schema(columns).Fields() {
		if fixed, ok := f.Type.(arrow.FixedWidthDataType); ok {
			width += (fixed.BitWidth() + 7) / 8
		} else {
			width += 4
		}
	}
	l.Rows = max(1, min(l.Rows, l.Bytes/max(1, width)))
	return l
}

// runTables opens both ends and copies the tables, several at a time.
func (e *Engine) runTables(ctx context.Context, job *Job, run model.Run, log *runLog) ([]TableReport, error) {
	both := &ends{open: job.Open, log: log}
	defer both.close(ctx)
	tables, err := e.find(ctx, job, both, log)
	if err != nil {
		return nil, err
	}
	reports := make([]TableReport, len(tables))
	slots := make(chan struct{}, job.parallel())
	log.add(ctx, slog.LevelInfo, "", fmt.Sprintf("%s run of %d tables, %d at a time, batches of at most %d kB", job.Trigger, len(tables), job.parallel(), job.limits(nil).Bytes>>10))
	var wg sync.WaitGroup
	look := job.looksForQuiet()
	for from := 0; from < len(tables); from += quietGroup {
		group := tables[from:min(from+quietGroup, len(tables))]
		quiet := make([]*TableReport, len(group))
		if look {
			slots <- struct{}{}
			quiet, err = e.quiet(ctx, job, run, log, both, group)
			look = err == nil // what befell it befalls its tables too, or is of no account
			<-slots
		}
		for i, t := range group {
			if quiet[i] != nil {
				reports[from+i] = *quiet[i]
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				c := &tableCopy{engine: e, job: job, runLog: log, ends: both, slots: slots, config: t.config, table: t.table, missing: t.missing, run: run}
				reports[from+i] = c.do(ctx)
			})
		}
	}
	wg.Wait()
	return reports, nil
}

// find opens both ends and finds the tables, with the retries of a table.
func (e *Engine) find(ctx context.Context, job *Job, both *ends, log *runLog) ([]tableJob, error) {
	tries := &retries{engine: e, log: log, max: job.Pipeline.MaxRetries, first: job.Backoff}
	for {
		p, err := both.take(ctx)
		if err == nil {
			var tables []tableJob
			tables, err = e.resolve(ctx, job, p.source)
			both.give(ctx, p, err != nil)
			if err == nil {
				return tables, nil
			}
		}
		if !tries.again(ctx, err) {
			return nil, err
		}
	}
}

// tableJob is one configured table and what the source has of it.
type tableJob struct {
	config  model.PipelineTable
	table   connectors.Table
	missing error
}

// resolve finds the configured tables at the source. A table that is not there
// fails alone.
func (e *Engine) resolve(ctx context.Context, job *Job, source connectors.Source) ([]tableJob, error) {
	var jobs []tableJob
	filter := connectors.TableFilter{Views: true}
	defaultSchema := false
	for _, cfg := range job.Pipeline.Tables {
		if !cfg.Enabled || len(job.Only) > 0 && !slices.Contains(job.Only, cfg.Key()) {
			continue
		}
		jobs = append(jobs, tableJob{config: cfg})
		filter.Names = append(filter.Names, cfg.SourceTable)
		if cfg.SourceSchema == model.UnsetSchema {
			defaultSchema = true
		} else if !slices.Contains(filter.Schemas, cfg.SourceSchema) {
			filter.Schemas = append(filter.Schemas, cfg.SourceSchema)
		}
	}
	found := job.Discovered
	if found == nil && len(jobs) > 0 {
		var err error
		if len(filter.Schemas) > 0 {
			if found, err = source.Tables(ctx, filter); err != nil {
				return nil, err
			}
		}
		if defaultSchema {
			filter.Schemas = nil
			more, err := source.Tables(ctx, filter)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
	}
	for i := range jobs {
		j := &jobs[i]
		at := slices.IndexFunc(found, func(t connectors.Table) bool { return Matches(j.config, t) })
		if at < 0 {
			j.table.Name, j.table.Schema = j.config.SourceTable, j.config.SourceSchema
			j.missing = &connectors.Error{
				Kind: connectors.KindNotFound, Op: "read table", Object: j.config.Key(),
				Err: errors.New("the source has no such table, or it may not be seen by this user"), Hint: "check its name and the user's privileges",
			}
			continue
		}
		j.table = found[at]
	}
	return jobs, nil
}

// Matches says whether a configured table means this one of the source. The
// schema "public" stands for the source's default one, whatever its name.
func Matches(cfg model.PipelineTable, t connectors.Table) bool {
	return cfg.SourceTable == t.Name && (cfg.SourceSchema == t.Schema || cfg.SourceSchema == model.UnsetSchema && t.DefaultSchema)
}

// runStatus folds the tables' states: any failure fails the run, a cancel that
// left nothing failed is a cancel.
func runStatus(ctx context.Context, report Report) model.RunStatus {
	status := model.RunSuccess
	if report.Err != nil {
		if ctx.Err() != nil {
			return model.RunCancelled
		}
		return model.RunFailed
	}
	for _, t := range report.Tables {
		switch t.Status {
		case model.RunFailed:
			return model.RunFailed
		case model.RunCancelled:
			status = model.RunCancelled
		}
	}
	return status
}

func (e *Engine) progress(ev Event) {
	if e.Progress != nil {
		e.Progress(ev)
	}
}
