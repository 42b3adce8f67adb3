-- +goose Up

-- The figures of many runs come from the index alone.
CREATE INDEX arus_run_logs_runs_figures ON arus_run_logs_runs (started_at, status, rows_synced, duration_ms);
