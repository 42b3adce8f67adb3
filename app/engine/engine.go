package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"arus/app/model"
	"arus/connectors"
)

// State is what the engine keeps between runs.
type State interface {
	// Watermark gives the zero Watermark when none is stored.
	Watermark(ctx context.Context, pipelineID, sourceTable string) (model.Watermark, error)
	// Checkpoint stores a watermark and the table's figures in one transaction.
	Checkpoint(ctx context.Context, w model.Watermark, s model.RunTableStat) error
	SaveTableStat(ctx context.Context, s model.RunTableStat) error
	StartRun(ctx context.Context, r model.Run) error
	FinishRun(ctx context.Context, r model.Run) error
	AppendRunLogs(ctx context.Context, logs []model.RunLog) error
}

// Job is one run: which tables of which pipeline go where, and how.
type Job struct {
	RunID       string
	Pipeline    model.Pipeline
	Trigger     model.TriggerType
	SourceName  string // slugged into the names of raw tables
	SyncMethod  model.SyncMethod
	Source      connectors.Source
	Destination connectors.Destination
	Names       Names
	Tables      []TableJob
	Parallel    int               // tables at a time; 0 = DefaultParallel
	FullRefresh bool              // read everything and swap, whatever the mode
	Backfill    *connectors.Bound // re-read from this watermark on; the stored one stays
	Limits      connectors.Limits // of one batch
}

// TableJob is one table of a job: what the source has and what the pipeline wants.
type TableJob struct {
	Table  connectors.Table
	Config model.PipelineTable
}

// DefaultParallel is how many tables are copied at a time: it fits two cores
// and keeps the batches in flight small.
const DefaultParallel = 2

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
	WatermarkBefore string          `json:"watermark_before"`
	WatermarkAfter  string          `json:"watermark_after"`
	DurationMS      int64           `json:"duration_ms"`
	Error           string          `json:"error"`
	Err             error           `json:"-"`
}

// Event is a step of progress. Rows counts what was read so far.
type Event struct {
	Table    string
	Phase    Phase
	Rows     int64
	Estimate int64 // -1 when unknown
	Report   *TableReport
}

// Phase is where a table stands.
type Phase string

// The phases of a table.
const (
	PhaseStarted Phase = "started"
	PhaseRows    Phase = "rows"
	PhaseCommit  Phase = "commit"
	PhaseDone    Phase = "done"
)

// Engine runs jobs. It holds no state of its own besides its dependencies.
type Engine struct {
	State    State
	Now      func() time.Time
	Log      *slog.Logger
	Progress func(Event) // may be nil; called from several goroutines
}

// finishTimeout bounds the writes of a run's end, which must happen even after
// the run's own context is gone.
const finishTimeout = 15 * time.Second

// Run executes the job and records it. The error is of the record keeping
// only: what befell the tables is in the report.
func (e *Engine) Run(ctx context.Context, job Job) (Report, error) {
	started := e.Now()
	run := model.Run{ID: job.RunID, PipelineID: job.Pipeline.ID, Status: model.RunRunning, Trigger: job.Trigger, StartedAt: started}
	if err := e.State.StartRun(ctx, run); err != nil {
		return Report{}, fmt.Errorf("record the start of the run: %w", err)
	}
	work, cancel := ctx, context.CancelFunc(func() {})
	if job.Pipeline.TimeoutSeconds > 0 {
		work, cancel = context.WithTimeout(ctx, time.Duration(job.Pipeline.TimeoutSeconds)*time.Second)
	}
	defer cancel()

	report := Report{RunID: run.ID, Pipeline: job.Pipeline.Name, Tables: make([]TableReport, len(job.Tables))}
	parallel := job.Parallel
	if parallel <= 0 {
		parallel = DefaultParallel
	}
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, t := range job.Tables {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c := &tableCopy{engine: e, job: &job, table: t, runStarted: started}
			report.Tables[i] = c.run(work)
		})
	}
	wg.Wait()

	var firstErr error
	for _, t := range report.Tables {
		report.RowsRead += t.RowsRead
		report.RowsLoaded += t.RowsLoaded
		report.RowsFiltered += t.RowsFiltered
		report.DeadLetters += t.DeadLetters
		if t.Err != nil && firstErr == nil {
			firstErr = fmt.Errorf("%s: %w", t.Table, t.Err)
		}
	}
	report.Status = runStatus(ctx, report.Tables)
	finished := e.Now()
	report.DurationMS = finished.Sub(started).Milliseconds()
	run.Status, run.FinishedAt, run.DurationMS = report.Status, finished, report.DurationMS
	run.RowsSynced = report.RowsLoaded
	run.Counts = model.RunCounts{Read: report.RowsRead, Loaded: report.RowsLoaded, Filtered: report.RowsFiltered, DeadLetters: report.DeadLetters}
	if firstErr != nil {
		run.ErrorMessage = firstErr.Error()
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer stop()
	if err := e.State.FinishRun(end, run); err != nil {
		return report, fmt.Errorf("record the end of the run: %w", err)
	}
	return report, nil
}

// runStatus folds the tables' states: any failure fails the run, a cancel that
// left nothing failed is a cancel.
func runStatus(ctx context.Context, tables []TableReport) model.RunStatus {
	status := model.RunSuccess
	for _, t := range tables {
		switch t.Status {
		case model.RunFailed:
			if !errors.Is(t.Err, context.Canceled) || ctx.Err() == nil {
				return model.RunFailed
			}
			status = model.RunCancelled
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
