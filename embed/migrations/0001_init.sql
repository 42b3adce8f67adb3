-- +goose Up
-- The seed's schemas as table-name prefixes. Times are RFC 3339 UTC text, UUIDs are text, booleans are 0 or 1, arrays and
-- JSON are checked JSON text. Watermarks, runs, notification links and quality results name their pipeline without a
-- foreign key, as in the seed: the store deletes them together with the pipeline.

CREATE TABLE arus_config_users (
    id TEXT NOT NULL PRIMARY KEY DEFAULT (lower(
        hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' ||
        substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))
    )),
    email TEXT NOT NULL UNIQUE CHECK (length(email) <= 255),
    password_hash TEXT NOT NULL CHECK (length(password_hash) <= 255),
    name TEXT NOT NULL CHECK (length(name) <= 255),
    role TEXT NOT NULL DEFAULT 'viewer' CHECK (role IN ('admin', 'editor', 'viewer')),
    is_active INTEGER DEFAULT 1 CHECK (is_active IN (0, 1)),
    last_login TEXT,
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE arus_config_sources (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (length(name) <= 255),
    type TEXT NOT NULL CHECK (type IN ('mysql', 'postgresql', 'mongodb', 'mariadb', 'sqlite', 'embedded')),
    host TEXT NOT NULL CHECK (length(host) <= 255),
    port INTEGER NOT NULL,
    database TEXT NOT NULL CHECK (length(database) <= 255),
    username TEXT NOT NULL CHECK (length(username) <= 255),
    password_enc TEXT NOT NULL,
    ssl INTEGER DEFAULT 0 CHECK (ssl IN (0, 1)),
    uri TEXT,
    auth_source TEXT CHECK (length(auth_source) <= 100),
    sync_method TEXT DEFAULT 'auto' CHECK (sync_method IN ('auto', 'incremental', 'full_refresh')),
    table_include TEXT DEFAULT '[]' CHECK (json_valid(table_include)),
    table_exclude TEXT DEFAULT '[]' CHECK (json_valid(table_exclude)),
    schema_include TEXT DEFAULT '[]' CHECK (json_valid(schema_include)),
    status TEXT DEFAULT 'registered' CHECK (status IN ('registered', 'connected', 'error')),
    last_tested TEXT,
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- beyond the seed
    options TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(options)),
    last_error TEXT
) STRICT;

CREATE TABLE arus_config_destinations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (length(name) <= 255),
    type TEXT NOT NULL CHECK (type IN ('postgresql', 'mysql', 'mariadb', 'clickhouse', 'embedded')),
    host TEXT CHECK (length(host) <= 255),
    port INTEGER,
    database TEXT CHECK (length(database) <= 255),
    username TEXT CHECK (length(username) <= 255),
    password_enc TEXT,
    ssl INTEGER DEFAULT 0 CHECK (ssl IN (0, 1)),
    raw_schema TEXT DEFAULT 'staging' CHECK (length(raw_schema) <= 255),
    target_schema TEXT DEFAULT 'analytics' CHECK (length(target_schema) <= 255),
    is_default INTEGER DEFAULT 0 CHECK (is_default IN (0, 1)),
    status TEXT DEFAULT 'registered' CHECK (status IN ('registered', 'connected', 'error')),
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- beyond the seed
    options TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(options)),
    last_tested TEXT,
    last_error TEXT
) STRICT;
CREATE UNIQUE INDEX arus_config_destinations_one_default ON arus_config_destinations (is_default) WHERE is_default = 1;

CREATE TABLE arus_config_pipelines (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (length(name) <= 255),
    source_id TEXT REFERENCES arus_config_sources (id) ON DELETE CASCADE,
    destination_id TEXT REFERENCES arus_config_destinations (id) ON DELETE RESTRICT,
    status TEXT DEFAULT 'active' CHECK (status IN ('active', 'paused', 'inactive')),
    schedule TEXT CHECK (length(schedule) <= 100),
    max_retries INTEGER DEFAULT 3,
    timeout_seconds INTEGER DEFAULT 300,
    depends_on TEXT REFERENCES arus_config_pipelines (id) ON DELETE SET NULL,
    target_schema TEXT DEFAULT 'public' CHECK (length(target_schema) <= 255),
    load_mode TEXT DEFAULT 'direct' CHECK (load_mode IN ('direct', 'raw')),
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- beyond the seed
    sync_key TEXT UNIQUE,
    options TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(options))
) STRICT;
CREATE INDEX arus_config_pipelines_source_id ON arus_config_pipelines (source_id);
CREATE INDEX arus_config_pipelines_destination_id ON arus_config_pipelines (destination_id);
CREATE INDEX arus_config_pipelines_depends_on ON arus_config_pipelines (depends_on);

CREATE TABLE arus_config_pipeline_tables (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline_id TEXT REFERENCES arus_config_pipelines (id) ON DELETE CASCADE,
    source_table TEXT NOT NULL CHECK (length(source_table) <= 255),
    source_schema TEXT DEFAULT 'public' CHECK (length(source_schema) <= 255),
    target_schema TEXT CHECK (length(target_schema) <= 255),
    sync_mode TEXT DEFAULT 'incremental' CHECK (sync_mode IN ('incremental', 'full_refresh')),
    load_mode TEXT DEFAULT 'direct' CHECK (load_mode IN ('direct', 'raw')),
    watermark_column TEXT CHECK (length(watermark_column) <= 255),
    transform_config TEXT CHECK (json_valid(transform_config)),
    enabled INTEGER DEFAULT 1 CHECK (enabled IN (0, 1)),
    -- beyond the seed
    target_table TEXT CHECK (length(target_table) <= 255),
    key_columns TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(key_columns)),
    lookback_seconds INTEGER NOT NULL DEFAULT 0 CHECK (lookback_seconds >= 0),
    position INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pipeline_id, source_schema, source_table)
) STRICT;

CREATE TABLE arus_config_transform_scripts (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline_id TEXT REFERENCES arus_config_pipelines (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (length(name) <= 255),
    description TEXT,
    content TEXT NOT NULL,
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (pipeline_id, name)
) STRICT;

CREATE TABLE arus_config_notification_targets (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL CHECK (length(name) <= 255),
    type TEXT NOT NULL CHECK (type IN ('telegram', 'discord', 'slack', 'webhook', 'smtp')),
    config TEXT NOT NULL CHECK (json_valid(config)),
    active INTEGER DEFAULT 1 CHECK (active IN (0, 1)),
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE arus_config_pipeline_notifications (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline_id TEXT NOT NULL,
    target_id TEXT NOT NULL,
    events TEXT DEFAULT '[]' CHECK (json_valid(events)),
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX arus_config_pipeline_notifications_pipeline_id ON arus_config_pipeline_notifications (pipeline_id);
CREATE INDEX arus_config_pipeline_notifications_target_id ON arus_config_pipeline_notifications (target_id);

CREATE TABLE arus_config_runtime_settings (
    id TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL UNIQUE CHECK (length(key) <= 100),
    value TEXT,
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE TABLE arus_config_data_quality_log (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    table_name TEXT NOT NULL CHECK (length(table_name) <= 255),
    check_type TEXT NOT NULL CHECK (check_type IN ('row_count', 'null_check')),
    status TEXT NOT NULL CHECK (status IN ('passed', 'failed', 'warning')),
    rows_extracted INTEGER,
    rows_loaded INTEGER,
    discrepancy_pct REAL,
    null_columns TEXT,
    required_columns TEXT,
    message TEXT,
    passed INTEGER DEFAULT 1 CHECK (passed IN (0, 1)),
    checked_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX arus_config_data_quality_log_pipeline_id ON arus_config_data_quality_log (pipeline_id);
CREATE INDEX arus_config_data_quality_log_run_id ON arus_config_data_quality_log (run_id);

CREATE TABLE arus_state_watermarks (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline_id TEXT NOT NULL,
    source_table TEXT NOT NULL CHECK (length(source_table) <= 255),
    watermark_col TEXT CHECK (length(watermark_col) <= 255),
    watermark_value TEXT,
    row_count INTEGER DEFAULT 0,
    last_run_id TEXT,
    last_synced_at TEXT,
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- beyond the seed
    watermark_type TEXT,
    boundary BLOB,
    UNIQUE (pipeline_id, source_table)
) STRICT;

CREATE TABLE arus_run_logs_runs (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline_id TEXT NOT NULL,
    status TEXT DEFAULT 'running' CHECK (status IN ('running', 'success', 'failed', 'cancelled', 'skipped')),
    started_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    finished_at TEXT,
    duration_ms INTEGER,
    rows_synced INTEGER DEFAULT 0,
    trigger_type TEXT DEFAULT 'scheduled' CHECK (trigger_type IN ('scheduled', 'manual', 'backfill', 'full_refresh')),
    error_message TEXT,
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- beyond the seed
    user_id TEXT REFERENCES arus_config_users (id) ON DELETE SET NULL,
    rows_read INTEGER NOT NULL DEFAULT 0,
    rows_loaded INTEGER NOT NULL DEFAULT 0,
    rows_filtered INTEGER NOT NULL DEFAULT 0,
    dead_letters INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX arus_run_logs_runs_pipeline ON arus_run_logs_runs (pipeline_id, started_at DESC);
CREATE INDEX arus_run_logs_runs_started ON arus_run_logs_runs (started_at DESC);
CREATE INDEX arus_run_logs_runs_running ON arus_run_logs_runs (pipeline_id) WHERE status = 'running';
CREATE INDEX arus_run_logs_runs_user ON arus_run_logs_runs (user_id);

CREATE TABLE arus_run_logs_run_table_stats (
    id TEXT NOT NULL PRIMARY KEY,
    run_id TEXT REFERENCES arus_run_logs_runs (id) ON DELETE CASCADE,
    table_name TEXT NOT NULL CHECK (length(table_name) <= 255),
    rows_extracted INTEGER DEFAULT 0,
    rows_loaded_raw INTEGER DEFAULT 0,
    rows_loaded_analytics INTEGER DEFAULT 0,
    rows_failed INTEGER DEFAULT 0,
    watermark_before TEXT,
    watermark_after TEXT,
    duration_ms INTEGER DEFAULT 0,
    error_message TEXT,
    -- beyond the seed
    target TEXT,
    status TEXT NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'success', 'failed', 'skipped', 'cancelled')),
    mode TEXT,
    rows_filtered INTEGER NOT NULL DEFAULT 0,
    load_mode TEXT
) STRICT;
CREATE INDEX arus_run_logs_run_table_stats_run ON arus_run_logs_run_table_stats (run_id);

CREATE TABLE arus_run_logs_run_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT REFERENCES arus_run_logs_runs (id) ON DELETE CASCADE,
    timestamp TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    level TEXT DEFAULT 'INFO' CHECK (level IN ('INFO', 'WARNING', 'ERROR', 'DEBUG')),
    message TEXT NOT NULL
) STRICT;
CREATE INDEX arus_run_logs_run_logs_run ON arus_run_logs_run_logs (run_id, id);
