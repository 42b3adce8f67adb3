package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"arus/app/model"
)

const runColumns = `id, pipeline_id, user_id, status, trigger_type, started_at, finished_at, duration_ms, rows_synced, rows_read,
	rows_loaded, rows_filtered, dead_letters, error_message, created_at, work`

func scanRun(row scanner) (model.Run, error) {
	var r model.Run
	err := row.Scan(&r.ID, &r.PipelineID, null(&r.UserID, ""), null(&r.Status, model.RunRunning), null(&r.Trigger, model.TriggerScheduled),
		timeScanner{&r.StartedAt}, timeScanner{&r.FinishedAt}, null(&r.DurationMS, 0), null(&r.RowsSynced, 0), &r.Counts.Read,
		&r.Counts.Loaded, &r.Counts.Filtered, &r.Counts.DeadLetters, null(&r.ErrorMessage, ""), timeScanner{&r.CreatedAt}, &r.Work)
	return r, err
}

const statColumns = `id, run_id, table_name, target, status, mode, load_mode, rows_extracted, rows_loaded_raw,
	rows_loaded_analytics, rows_filtered, rows_failed, rows_deleted, watermark_before, watermark_after, duration_ms, error_message, started_at, phases`

func scanTableStat(row scanner) (model.RunTableStat, error) {
	var t model.RunTableStat
	err := row.Scan(&t.ID, null(&t.RunID, ""), &t.TableName, null(&t.Target, ""), &t.Status, null(&t.Mode, ""), null(&t.LoadMode, ""),
		null(&t.RowsExtracted, 0), null(&t.RowsLoadedRaw, 0), null(&t.RowsLoadedAnalytics, 0), &t.RowsFiltered, null(&t.RowsFailed, 0), &t.RowsDeleted,
		null(&t.WatermarkBefore, ""), null(&t.WatermarkAfter, ""), null(&t.DurationMS, 0), null(&t.ErrorMessage, ""),
		timeScanner{&t.StartedAt}, jsonScanner{&t.Phases})
	return t, err
}

// RunFilter narrows a list of runs. Empty fields do not filter.
type RunFilter struct {
	PipelineID string
	Status     model.RunStatus
	Table      string // only runs that did this table
	Page
}

// RunResult is how a run ended.
type RunResult struct {
	Status       model.RunStatus
	Counts       model.RunCounts
	ErrorMessage string
}

// StartRun adds a run that is running, the default, or was skipped, with the reason in ErrorMessage; it fills id, times
// and trigger. ErrRunActive: the pipeline is running already, and only one run of it may.
func (s *Store) StartRun(ctx context.Context, r *model.Run) error {
	row := *r
	if row.Status == "" {
		row.Status = model.RunRunning
	}
	if row.Trigger == "" {
		row.Trigger = model.TriggerScheduled
	}
	if row.Work == "" {
		row.Work = model.WorkCopy
	}
	if !model.CanMove("", row.Status) {
		return &RunStateError{To: row.Status}
	}
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.StartedAt = s.now()
	row.CreatedAt = row.StartedAt
	if row.Status.Final() {
		row.FinishedAt = row.StartedAt
	}
	err := s.write(ctx, func(tx *transaction) error {
		if row.Status == model.RunRunning {
			var active bool
			err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM arus_run_logs_runs WHERE pipeline_id = ? AND status = 'running')`,
				row.PipelineID).Scan(&active)
			if err != nil {
				return err
			}
			if active {
				return ErrRunActive
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO arus_run_logs_runs (`+runColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			row.ID, row.PipelineID, orNull(row.UserID), row.Status, row.Trigger, stamp(row.StartedAt), stamp(row.FinishedAt),
			duration(row), row.RowsSynced, row.Counts.Read, row.Counts.Loaded, row.Counts.Filtered, row.Counts.DeadLetters,
			orNull(row.ErrorMessage), stamp(row.CreatedAt), row.Work)
		return err
	})
	if err != nil {
		return fail(err, "start a run of pipeline %s", row.PipelineID)
	}
	*r = row
	return nil
}

// duration is NULL until the run is over.
func duration(r model.Run) any {
	if r.FinishedAt.IsZero() {
		return nil
	}
	return r.DurationMS
}

// FinishRun ends a running run, once: whoever comes second gets ErrRunState and changes nothing.
func (s *Store) FinishRun(ctx context.Context, id string, res RunResult) (run model.Run, err error) {
	err = s.write(ctx, func(tx *transaction) (err error) {
		run, err = scanRun(tx.QueryRowContext(ctx, `SELECT `+runColumns+` FROM arus_run_logs_runs WHERE id = ?`, id))
		if err != nil {
			return err
		}
		if !model.CanMove(run.Status, res.Status) {
			return &RunStateError{RunID: id, From: run.Status, To: res.Status}
		}
		return s.endRun(ctx, tx, &run, res)
	})
	if err != nil {
		return model.Run{}, fail(err, "finish run %s", id)
	}
	return run, nil
}

// endRun writes the end of a run that is still in the state it was read in.
func (s *Store) endRun(ctx context.Context, tx *transaction, run *model.Run, res RunResult) error {
	from := run.Status
	run.Status, run.Counts, run.RowsSynced, run.ErrorMessage = res.Status, res.Counts, res.Counts.Loaded, res.ErrorMessage
	run.FinishedAt = s.now()
	run.DurationMS = max(0, run.FinishedAt.Sub(run.StartedAt).Milliseconds()) // the clock may have been set back
	return changed(tx.ExecContext(ctx, `UPDATE arus_run_logs_runs SET status = ?, finished_at = ?, duration_ms = ?, rows_synced = ?,
		rows_read = ?, rows_loaded = ?, rows_filtered = ?, dead_letters = ?, error_message = ? WHERE id = ? AND coalesce(status, 'running') = ?`,
		run.Status, stamp(run.FinishedAt), run.DurationMS, run.RowsSynced, run.Counts.Read, run.Counts.Loaded, run.Counts.Filtered,
		run.Counts.DeadLetters, orNull(run.ErrorMessage), run.ID, from))
}

// RescueRuns ends, as failed with the message, every run, or only those of some pipelines, that is recorded as running, and its unfinished
// tables, and returns those runs. It is for runs that nobody runs: those of a process which is gone, and those whose end could
// not be written. Rows counted by finished tables stay counted.
func (s *Store) RescueRuns(ctx context.Context, message string, pipelines ...string) (rescued []model.Run, err error) {
	err = s.write(ctx, func(tx *transaction) (err error) {
		rescued, err = collect(ctx, tx, scanRun, `SELECT `+runColumns+` FROM arus_run_logs_runs WHERE coalesce(status, 'running') = 'running' ORDER BY started_at, id`)
		if err != nil {
			return err
		}
		rescued = slices.DeleteFunc(rescued, func(r model.Run) bool { return len(pipelines) > 0 && !slices.Contains(pipelines, r.PipelineID) })
		for i := range rescued {
			run := &rescued[i]
			_, err = tx.ExecContext(ctx, `UPDATE arus_run_logs_run_table_stats SET status = 'failed', error_message = coalesce(error_message, ?)
				WHERE run_id = ? AND status = 'running'`, message, run.ID)
			if err != nil {
				return err
			}
			counts, err := countTables(ctx, tx, run.ID)
			if err != nil {
				return err
			}
			if err := s.endRun(ctx, tx, run, RunResult{Status: model.RunFailed, Counts: counts, ErrorMessage: message}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fail(err, "rescue abandoned runs")
	}
	return rescued, nil
}

// countTables adds up what the tables of a run have saved so far.
func countTables(ctx context.Context, tx *transaction, runID string) (c model.RunCounts, err error) {
	err = tx.QueryRowContext(ctx, `SELECT coalesce(sum(rows_extracted), 0), coalesce(sum(rows_loaded_analytics), 0),
		coalesce(sum(rows_filtered), 0), coalesce(sum(rows_failed), 0) FROM arus_run_logs_run_table_stats WHERE run_id = ?`, runID).
		Scan(&c.Read, &c.Loaded, &c.Filtered, &c.DeadLetters)
	return c, err
}

func runStatus(ctx context.Context, tx *transaction, id string) (status model.RunStatus, err error) {
	err = tx.QueryRowContext(ctx, `SELECT status FROM arus_run_logs_runs WHERE id = ?`, id).Scan(null(&status, model.RunRunning))
	return status, err
}

// GetRun returns the run with its table statistics in the order they were begun.
func (s *Store) GetRun(ctx context.Context, id string) (run model.Run, err error) {
	err = s.read(ctx, func(tx *transaction) (err error) {
		run, err = scanRun(tx.QueryRowContext(ctx, `SELECT `+runColumns+` FROM arus_run_logs_runs WHERE id = ?`, id))
		if err != nil {
			return err
		}
		run.Tables, err = collect(ctx, tx, scanTableStat, `SELECT `+statColumns+` FROM arus_run_logs_run_table_stats WHERE run_id = ? ORDER BY id`, id)
		return err
	})
	return run, fail(err, "get run %s", id)
}

// ListRuns returns one page of the runs, newest first and without their tables, and how many match the filter.
func (s *Store) ListRuns(ctx context.Context, f RunFilter) (list []model.Run, total int, err error) {
	where, args := f.where()
	limit, offset := f.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+where, args...).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanRun, runPage(where), append(slices.Clone(args), limit, offset)...)
		return err
	})
	return list, total, fail(err, "list runs")
}

const runOrder = ` ORDER BY started_at DESC, id DESC`

// runPage finds the page in an index before it reads the page's rows.
func runPage(where string) string {
	return `SELECT ` + runColumns + ` FROM arus_run_logs_runs WHERE id IN (SELECT id` + where + runOrder + ` LIMIT ? OFFSET ?)` + runOrder
}

// where says only what is asked for, so that the indexes serve it.
func (f RunFilter) where() (sql string, args []any) {
	var parts []string
	add := func(part string, arg any) {
		parts = append(parts, part)
		args = append(args, arg)
	}
	if f.PipelineID != "" {
		add("pipeline_id = ?", f.PipelineID)
	}
	switch {
	case f.Status == "":
	case f.PipelineID != "":
		add("+status = ?", f.Status) // by the index of the pipeline, which has fewer runs than the state
	default:
		add("status = ?", f.Status)
	}
	if f.Table != "" {
		add("EXISTS (SELECT 1 FROM arus_run_logs_run_table_stats t WHERE t.table_name = ? AND t.run_id = arus_run_logs_runs.id)", f.Table)
	}
	sql = ` FROM arus_run_logs_runs`
	if len(parts) > 0 {
		sql += ` WHERE ` + strings.Join(parts, " AND ")
	}
	return sql, args
}

// LatestRun returns the newest run of a pipeline, ErrNotFound when it never ran.
func (s *Store) LatestRun(ctx context.Context, pipelineID string) (model.Run, error) {
	run, err := scanRun(s.reader.QueryRowContext(ctx, `SELECT `+runColumns+` FROM arus_run_logs_runs
		WHERE pipeline_id = ? ORDER BY started_at DESC, id DESC LIMIT 1`, pipelineID))
	return run, fail(err, "get the latest run of pipeline %s", pipelineID)
}

// LatestRuns returns the newest run of each of the pipelines, by pipeline id. Those that never ran are absent.
func (s *Store) LatestRuns(ctx context.Context, pipelineIDs []string) (map[string]model.Run, error) {
	list, err := collect(ctx, s.reader, scanRun, `SELECT `+runColumns+` FROM arus_run_logs_runs WHERE id IN (
		SELECT (SELECT r.id FROM arus_run_logs_runs r WHERE r.pipeline_id = p.value ORDER BY r.started_at DESC, r.id DESC LIMIT 1)
		FROM json_each(?) p)`, listJSON(pipelineIDs))
	latest := make(map[string]model.Run, len(list))
	for _, run := range list {
		latest[run.PipelineID] = run
	}
	return latest, fail(err, "get the latest runs")
}

// SaveTableStat adds the statistics of one table of a run, or replaces those with the same id, and fills the id.
func (s *Store) SaveTableStat(ctx context.Context, stat *model.RunTableStat) error {
	row := *stat
	if err := s.write(ctx, func(tx *transaction) error { return saveTableStat(ctx, tx, &row) }); err != nil {
		return fail(err, "save the statistics of table %q", stat.TableName)
	}
	*stat = row
	return nil
}

const saveStat = `INSERT INTO arus_run_logs_run_table_stats (` + statColumns + `)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (id) DO UPDATE SET target = excluded.target, status = excluded.status, mode = excluded.mode,
		load_mode = excluded.load_mode, rows_extracted = excluded.rows_extracted, rows_loaded_raw = excluded.rows_loaded_raw,
		rows_loaded_analytics = excluded.rows_loaded_analytics, rows_filtered = excluded.rows_filtered,
		rows_failed = excluded.rows_failed, rows_deleted = excluded.rows_deleted, watermark_before = excluded.watermark_before, watermark_after = excluded.watermark_after,
		duration_ms = excluded.duration_ms, error_message = excluded.error_message,
		started_at = excluded.started_at, phases = excluded.phases`

func saveTableStat(ctx context.Context, tx *transaction, t *model.RunTableStat) error {
	if err := giveID(&t.ID); err != nil {
		return err
	}
	if t.Status == "" {
		t.Status = model.RunRunning
	}
	args, err := statArgs(t)
	if err == nil {
		_, err = tx.ExecContext(ctx, saveStat, args...)
	}
	return err
}

// saveTableStats saves many that have their ids and states.
func saveTableStats(ctx context.Context, tx *transaction, stats []model.RunTableStat) error {
	save, err := tx.PrepareContext(ctx, saveStat)
	if err != nil {
		return err
	}
	defer save.Close()
	for i := range stats {
		args, err := statArgs(&stats[i])
		if err != nil {
			return err
		}
		if _, err := save.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func statArgs(t *model.RunTableStat) ([]any, error) {
	var phases any
	if len(t.Phases) > 0 {
		text, err := json.Marshal(t.Phases)
		if err != nil {
			return nil, err
		}
		phases = string(text)
	}
	return []any{
		t.ID, t.RunID, t.TableName, orNull(t.Target), t.Status, orNull(t.Mode), orNull(t.LoadMode), t.RowsExtracted, t.RowsLoadedRaw,
		t.RowsLoadedAnalytics, t.RowsFiltered, t.RowsFailed, t.RowsDeleted, orNull(t.WatermarkBefore), orNull(t.WatermarkAfter), t.DurationMS,
		orNull(t.ErrorMessage), stamp(t.StartedAt), phases,
	}, nil
}

// StartTables stores the beginnings of tables. Of a table that has got further nothing changes.
func (s *Store) StartTables(ctx context.Context, starts []model.RunTableStat) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		for _, t := range starts {
			if _, err := tx.ExecContext(ctx, `INSERT INTO arus_run_logs_run_table_stats (id, run_id, table_name, status, load_mode) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (id) DO NOTHING`, t.ID, t.RunID, t.TableName, t.Status, orNull(t.LoadMode)); err != nil {
				return err
			}
		}
		return nil
	}), "save the beginning of tables")
}

// SuccessBefore returns the newest run of a pipeline that copied its tables with success and began before a time, ErrNotFound
// when none has.
func (s *Store) SuccessBefore(ctx context.Context, pipelineID string, before time.Time) (model.Run, error) {
	run, err := scanRun(s.reader.QueryRowContext(ctx, `SELECT `+runColumns+` FROM arus_run_logs_runs
		WHERE pipeline_id = ? AND status = 'success' AND work = 'copy' AND started_at < ? ORDER BY started_at DESC LIMIT 1`, pipelineID, stamp(before)))
	return run, fail(err, "get the last success of pipeline %s", pipelineID)
}

// LatestSuccess returns the newest run of a pipeline that copied its tables with success, ErrNotFound when none has.
func (s *Store) LatestSuccess(ctx context.Context, pipelineID string) (model.Run, error) {
	run, err := scanRun(s.reader.QueryRowContext(ctx, `SELECT `+runColumns+` FROM arus_run_logs_runs
		WHERE pipeline_id = ? AND status = 'success' AND work = 'copy' ORDER BY started_at DESC, id DESC LIMIT 1`, pipelineID))
	return run, fail(err, "get the latest success of pipeline %s", pipelineID)
}
