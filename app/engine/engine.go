package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	Checkpoint(ctx context.Context, w *model.Watermark, s *model.RunTableStat) error
	SaveTableStat(ctx context.Context, s *model.RunTableStat) error
	// StartRun fills the run's id and times.
	StartRun(ctx context.Context, r *model.Run) error
	FinishRun(ctx context.Context, r model.Run) error
	AppendRunLogs(ctx context.Context, lines []model.RunLog) error
}

// Job is one run: which tables of which pipeline go where, and how.
type Job struct {
	Pipeline    model.Pipeline // its enabled tables are run, unless Only narrows them
	Only        []string       // table keys; empty = all
	Trigger     model.TriggerType
	SourceName  string // slugged into the names of raw tables
	SyncMethod  model.SyncMethod
	Open        func(context.Context) (connectors.Source, connectors.Destination, error) // the run closes both
	Discovered  []connectors.Table                                                       // nil: the run looks itself
	Names       Names
	Holds       connectors.Holds // what the destination's types take
	FullRefresh bool             // read everything and swap, whatever the mode
	// BackfillFrom is the date or timestamp to re-read from; the stored watermark
	// stays where it is. Empty: no backfill.
	BackfillFrom string
	Limits       connectors.Limits // of one batch
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
	ValuesReplaced  int64           `json:"values_replaced"` // by the pipeline's policies
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
// only: what befell the run and its tables is in the report.
func (e *Engine) Run(ctx context.Context, job Job) (Report, error) {
	run := model.Run{PipelineID: job.Pipeline.ID, Status: model.RunRunning, Trigger: job.Trigger}
	if err := e.State.StartRun(ctx, &run); err != nil {
		return Report{}, fmt.Errorf("record the start of the run: %w", err)
	}
	report := Report{RunID: run.ID, Pipeline: job.Pipeline.Name}
	log := newRunLog(e, run.ID)
	work, cancel := ctx, context.CancelFunc(func() {})
	if job.Pipeline.TimeoutSeconds > 0 {
		work, cancel = context.WithTimeout(ctx, time.Duration(job.Pipeline.TimeoutSeconds)*time.Second)
	}
	report.Tables, report.Err = e.runTables(work, &job, run, log)
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

// runTables opens both ends and copies the tables, several at a time.
func (e *Engine) runTables(ctx context.Context, job *Job, run model.Run, log *runLog) ([]TableReport, error) {
	source, destination, err := job.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := errors.Join(source.Close(), destination.Close()); err != nil {
			log.add(ctx, slog.LevelWarn, "", "close the connections: "+err.Error())
		}
	}()
	tables, err := e.resolve(ctx, job, source)
	if err != nil {
		return nil, err
	}
	parallel := job.Pipeline.Options.Parallel
	if parallel <= 0 {
		parallel = DefaultParallel
	}
	reports := make([]TableReport, len(tables))
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, t := range tables {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c := &tableCopy{engine: e, job: job, runLog: log, source: source, destination: destination, config: t.config, table: t.table, missing: t.missing, run: run}
			reports[i] = c.do(ctx)
		})
	}
	wg.Wait()
	if n, ok := source.(connectors.Noter); ok {
		for _, note := range n.Notes() {
			log.add(ctx, slog.LevelWarn, "", note)
		}
	}
	return reports, nil
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
