-- +goose Up
-- What people have asked the warehouse in the console, and what its jobs did.

CREATE TABLE arus_config_query_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL REFERENCES arus_config_users (id) ON DELETE CASCADE,
    at TEXT NOT NULL,
    sql TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    error TEXT
) STRICT;
CREATE INDEX arus_config_query_history_user ON arus_config_query_history (user_id, id);

CREATE TABLE arus_run_logs_table_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    job TEXT NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    rows INTEGER NOT NULL,
    files INTEGER NOT NULL,
    detail TEXT,
    error TEXT
) STRICT;
CREATE INDEX arus_run_logs_table_jobs_table ON arus_run_logs_table_jobs (table_name, id);
