-- +goose Up
-- Pages of runs are found in an index alone, however far back they lie.
DROP INDEX arus_run_logs_runs_started;
DROP INDEX arus_run_logs_runs_pipeline;
CREATE INDEX arus_run_logs_runs_started ON arus_run_logs_runs (started_at DESC, id DESC);
CREATE INDEX arus_run_logs_runs_pipeline ON arus_run_logs_runs (pipeline_id, started_at DESC, id DESC);
CREATE INDEX arus_run_logs_runs_status ON arus_run_logs_runs (status, started_at DESC, id DESC);
