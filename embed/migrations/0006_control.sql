-- +goose Up

-- Runs that somebody asked for and that wait for their turn; a start after a stop or a crash takes them up again. What the
-- schedule owes is in arus_state_schedules.
CREATE TABLE arus_state_queue (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,
    pipeline_id TEXT NOT NULL REFERENCES arus_config_pipelines (id) ON DELETE CASCADE,
    user_id TEXT REFERENCES arus_config_users (id) ON DELETE SET NULL,
    request TEXT NOT NULL,
    queued_at TEXT NOT NULL
) STRICT;
CREATE INDEX arus_state_queue_pipeline ON arus_state_queue (pipeline_id);
CREATE INDEX arus_state_queue_user ON arus_state_queue (user_id);

-- The figures of a pipeline's runs come from the index alone.
CREATE INDEX arus_run_logs_runs_pipeline_figures ON arus_run_logs_runs (pipeline_id, status, started_at, rows_synced, finished_at);

-- The beginnings of the names that a table has at its destination, by which pipelines that would fill one table are found.
-- NULL: of an earlier version, until the pipeline is saved.
ALTER TABLE arus_config_pipeline_tables ADD COLUMN target_key TEXT;
ALTER TABLE arus_config_pipeline_tables ADD COLUMN raw_key TEXT;
CREATE INDEX arus_config_pipeline_tables_target ON arus_config_pipeline_tables (target_key);
CREATE INDEX arus_config_pipeline_tables_raw ON arus_config_pipeline_tables (raw_key);
