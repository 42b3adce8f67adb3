package store

import (
	"context"
	"time"

	"arus/app/model"
)

// LogFilter selects lines of a run's log; no levels are all of them.
type LogFilter struct {
	RunID  string
	Levels []model.LogLevel
	Page
}

// RunLogPage returns one page of the lines of a run, oldest first, and how many match.
func (s *Store) RunLogPage(ctx context.Context, f LogFilter) (list []model.RunLog, total int, err error) {
	const where = ` FROM arus_run_logs_run_logs WHERE run_id = ?1 AND (?2 = '[]' OR level IN (SELECT value FROM json_each(?2)))`
	limit, offset := f.args()
	levels := make([]string, len(f.Levels))
	for i, l := range f.Levels {
		levels[i] = string(l)
	}
	wanted := listJSON(levels)
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+where, f.RunID, wanted).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanRunLog, `SELECT id, run_id, timestamp, level, message`+where+` ORDER BY id LIMIT ?3 OFFSET ?4`,
			f.RunID, wanted, limit, offset)
		return err
	})
	return list, total, fail(err, "list the log of run %s", f.RunID)
}

// DailyStats are the figures of the runs that began on one day, in UTC.
type DailyStats struct {
	Date   string `json:"date"` // 2006-01-02
	Runs   int64  `json:"run_count"`
	Failed int64  `json:"failed"`
	Rows   int64  `json:"total_rows"`
}

// DailyStats returns the figures of each day since then that had a run.
func (s *Store) DailyStats(ctx context.Context, since time.Time) ([]DailyStats, error) {
	list, err := collect(ctx, s.reader, func(row scanner) (d DailyStats, err error) {
		err = row.Scan(&d.Date, &d.Runs, &d.Failed, &d.Rows)
		return d, err
	}, `SELECT substr(started_at, 1, 10) AS day, count(*), sum(status = 'failed'), coalesce(sum(rows_synced), 0)
		FROM arus_run_logs_runs WHERE started_at >= ? GROUP BY day ORDER BY day`, stamp(since))
	return list, fail(err, "count the runs by day")
}

// Summary are the figures of everything, as of now.
type Summary struct {
	ActiveSources     int64   `json:"active_sources"`
	TotalSources      int64   `json:"total_sources"`
	TotalDestinations int64   `json:"total_destinations"`
	TotalPipelines    int64   `json:"total_pipelines"`
	ActivePipelines   int64   `json:"active_pipelines"`
	TablesSynced      int64   `json:"total_tables_synced"`
	UniqueTables      int64   `json:"unique_tables"`
	RowsSynced        int64   `json:"total_rows_synced"`
	RowsSynced24h     int64   `json:"rows_synced_24h"`
	FailedRuns24h     int64   `json:"failed_runs_24h"`
	TotalRuns24h      int64   `json:"total_runs_24h"`
	Uptime7d          float64 `json:"uptime_pct_7d"`
	Latency           int64   `json:"avg_latency_ms"`
	NewSourcesWeek    int64   `json:"new_sources_week"`
	RunningPipelines  int64   `json:"running_pipelines"`
	DegradedPipelines int64   `json:"degraded_pipelines"`
}

// Summarize returns the figures of everything. Uptime is the share of successes among the runs of the last seven days that
// succeeded or failed; a pipeline is degraded when its latest run that did so failed.
func (s *Store) Summarize(ctx context.Context) (m Summary, err error) {
	now := s.now()
	day, week := stamp(now.Add(-24*time.Hour)), stamp(now.Add(-7*24*time.Hour))
	err = s.read(ctx, func(tx *transaction) error {
		err := tx.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM arus_config_sources WHERE status = 'connected'),
			(SELECT count(*) FROM arus_config_sources),
			(SELECT count(*) FROM arus_config_destinations),
			(SELECT count(*) FROM arus_config_pipelines),
			(SELECT count(*) FROM arus_config_pipelines WHERE status = 'active'),
			(SELECT count(*) FROM arus_config_pipeline_tables WHERE enabled = 1),
			(SELECT count(*) FROM (SELECT DISTINCT p.source_id, t.source_schema, t.source_table FROM arus_config_pipeline_tables t
				JOIN arus_config_pipelines p ON p.id = t.pipeline_id WHERE t.enabled = 1)),
			(SELECT count(*) FROM arus_config_sources WHERE created_at >= ?1),
			(SELECT count(DISTINCT pipeline_id) FROM arus_run_logs_runs WHERE status = 'running'),
			(SELECT count(*) FROM arus_config_pipelines p WHERE (SELECT r.status FROM arus_run_logs_runs r WHERE r.pipeline_id = p.id
				AND r.status IN ('success', 'failed') ORDER BY r.started_at DESC, r.id DESC LIMIT 1) = 'failed')`, week).Scan(
			&m.ActiveSources, &m.TotalSources, &m.TotalDestinations, &m.TotalPipelines, &m.ActivePipelines, &m.TablesSynced, &m.UniqueTables,
			&m.NewSourcesWeek, &m.RunningPipelines, &m.DegradedPipelines)
		if err != nil {
			return err
		}
		var good, bad int64
		err = tx.QueryRowContext(ctx, `SELECT coalesce(sum(rows_synced), 0),
			coalesce(sum(rows_synced) FILTER (WHERE started_at >= ?1), 0),
			count(*) FILTER (WHERE started_at >= ?1 AND status = 'failed'),
			count(*) FILTER (WHERE started_at >= ?1),
			count(*) FILTER (WHERE started_at >= ?2 AND status = 'success'),
			count(*) FILTER (WHERE started_at >= ?2 AND status = 'failed'),
			coalesce(cast(avg(duration_ms) FILTER (WHERE started_at >= ?2 AND status = 'success') AS INTEGER), 0)
			FROM arus_run_logs_runs`, day, week).Scan(&m.RowsSynced, &m.RowsSynced24h, &m.FailedRuns24h, &m.TotalRuns24h, &good, &bad, &m.Latency)
		m.Uptime7d = 100
		if good+bad > 0 {
			m.Uptime7d = float64(good*1000/(good+bad)) / 10
		}
		return err
	})
	return m, fail(err, "count everything")
}

// PipelineFigures sum up the runs of one pipeline.
type PipelineFigures struct {
	PipelineID  string
	Runs        int64
	Successes   int64
	Failures    int64
	Failures7d  int64
	Rows        int64
	LastSuccess time.Time // its end; zero: never
}

// PipelineFigures returns the figures of the pipelines, by id; of all of them when none is named.
func (s *Store) PipelineFigures(ctx context.Context, ids ...string) (map[string]PipelineFigures, error) {
	named := ""
	if len(ids) > 0 { // by the index on the pipeline, which a condition with OR would not use
		named = ` WHERE pipeline_id IN (SELECT value FROM json_each(?1))`
	}
	list, err := collect(ctx, s.reader, func(row scanner) (f PipelineFigures, err error) {
		err = row.Scan(&f.PipelineID, &f.Runs, &f.Successes, &f.Failures, &f.Failures7d, &f.Rows, timeScanner{&f.LastSuccess})
		return f, err
	}, `SELECT pipeline_id, count(*), sum(status = 'success'), sum(status = 'failed'), sum(status = 'failed' AND started_at >= ?2),
		coalesce(sum(rows_synced), 0), max(finished_at) FILTER (WHERE status = 'success') FROM arus_run_logs_runs`+named+` GROUP BY pipeline_id`,
		listJSON(ids), stamp(s.now().Add(-7*24*time.Hour)))
	figures := make(map[string]PipelineFigures, len(list))
	for _, f := range list {
		figures[f.PipelineID] = f
	}
	return figures, fail(err, "count the runs of pipelines")
}

// DestinationFigures are how many tables go to one destination and how many rows went there.
type DestinationFigures struct{ Tables, Rows int64 }

// DestinationFigures returns the figures by destination.
func (s *Store) DestinationFigures(ctx context.Context) (map[string]DestinationFigures, error) {
	type row struct {
		id string
		DestinationFigures
	}
	list, err := collect(ctx, s.reader, func(sc scanner) (r row, err error) {
		err = sc.Scan(&r.id, &r.Tables, &r.Rows)
		return r, err
	}, `SELECT d.id,
		(SELECT count(*) FROM arus_config_pipeline_tables t JOIN arus_config_pipelines p ON p.id = t.pipeline_id WHERE p.destination_id = d.id AND t.enabled = 1),
		(SELECT coalesce(sum(r.rows_synced), 0) FROM arus_run_logs_runs r JOIN arus_config_pipelines p ON p.id = r.pipeline_id WHERE p.destination_id = d.id)
		FROM arus_config_destinations d`)
	figures := make(map[string]DestinationFigures, len(list))
	for _, r := range list {
		figures[r.id] = r.DestinationFigures
	}
	return figures, fail(err, "count what destinations hold")
}

// SourceTables is how many tables of one source its pipelines know and how many of those are enabled.
type SourceTables struct{ Known, Enabled int64 }

// SourceTables returns the counts by source.
func (s *Store) SourceTables(ctx context.Context) (map[string]SourceTables, error) {
	type row struct {
		id string
		SourceTables
	}
	list, err := collect(ctx, s.reader, func(sc scanner) (r row, err error) {
		err = sc.Scan(&r.id, &r.Known, &r.Enabled)
		return r, err
	}, `SELECT p.source_id, count(DISTINCT t.source_schema || '.' || t.source_table),
		count(DISTINCT CASE WHEN t.enabled = 1 THEN t.source_schema || '.' || t.source_table END)
		FROM arus_config_pipeline_tables t JOIN arus_config_pipelines p ON p.id = t.pipeline_id GROUP BY p.source_id`)
	counts := make(map[string]SourceTables, len(list))
	for _, r := range list {
		counts[r.id] = r.SourceTables
	}
	return counts, fail(err, "count the tables of sources")
}

// LastTableStats returns, by table, what the newest run that did it did to each table of a pipeline.
func (s *Store) LastTableStats(ctx context.Context, pipelineID string) (map[string]model.RunTableStat, error) {
	list, err := collect(ctx, s.reader, scanTableStat, `SELECT `+statColumns+` FROM arus_run_logs_run_table_stats WHERE id IN (
		SELECT id FROM (SELECT t.id, row_number() OVER (PARTITION BY t.table_name ORDER BY r.started_at DESC, t.id DESC) AS n
			FROM arus_run_logs_run_table_stats t JOIN arus_run_logs_runs r ON r.id = t.run_id WHERE r.pipeline_id = ?) WHERE n = 1)`, pipelineID)
	stats := make(map[string]model.RunTableStat, len(list))
	for _, t := range list {
		stats[t.TableName] = t
	}
	return stats, fail(err, "get the latest statistics of pipeline %s", pipelineID)
}
