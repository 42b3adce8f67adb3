-- +goose Up

-- When a run came to a table, and how long each phase of it took: a JSON list of {"phase", "at_ms", "ms"}.
ALTER TABLE arus_run_logs_run_table_stats ADD COLUMN started_at TEXT;
ALTER TABLE arus_run_logs_run_table_stats ADD COLUMN phases TEXT CHECK (phases IS NULL OR json_valid(phases));

-- The runs that did a table.
CREATE INDEX arus_run_logs_run_table_stats_table ON arus_run_logs_run_table_stats (table_name, run_id);
