-- +goose Up
-- What the engine keeps between runs beyond the seed. Like the seed's state tables these name their pipeline without a
-- foreign key: the store deletes them together with the pipeline.

-- A first load that is filled in chunks, over one run or several. watermark_upper is the bound fixed before the first chunk;
-- a plan (fingerprint of columns, key and target) other than the stored one starts anew.
CREATE TABLE arus_state_chunked_loads (
    pipeline_id TEXT NOT NULL,
    source_table TEXT NOT NULL CHECK (length(source_table) <= 255),
    token TEXT NOT NULL UNIQUE,
    plan TEXT NOT NULL,
    watermark_upper TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (pipeline_id, source_table)
) STRICT;

CREATE TABLE arus_state_chunks (
    token TEXT NOT NULL REFERENCES arus_state_chunked_loads (token) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    key_range TEXT NOT NULL CHECK (json_valid(key_range)),
    done INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
    run_id TEXT,
    rows_read INTEGER NOT NULL DEFAULT 0,
    rows_loaded INTEGER NOT NULL DEFAULT 0,
    rows_raw INTEGER NOT NULL DEFAULT 0,
    rows_filtered INTEGER NOT NULL DEFAULT 0,
    dead_letters INTEGER NOT NULL DEFAULT 0,
    boundary BLOB,
    updated_at TEXT,
    PRIMARY KEY (token, position)
) STRICT;

-- The columns and the key that the target of a table holds, in the engine's form, and the run of its last full load:
-- what a schema is compared with, and what a target is built from without its source.
CREATE TABLE arus_state_table_schemas (
    pipeline_id TEXT NOT NULL,
    source_table TEXT NOT NULL CHECK (length(source_table) <= 255),
    columns TEXT NOT NULL CHECK (json_valid(columns)),
    key_columns TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(key_columns)),
    base_run_id TEXT,
    reconciled_at TEXT,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (pipeline_id, source_table)
) STRICT;

-- What changed in the schema of a source's table. done_run_id is the run that followed the change, or found it gone; until
-- then it is open, and a person may decide about it.
CREATE TABLE arus_state_schema_changes (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline_id TEXT NOT NULL,
    source_table TEXT NOT NULL CHECK (length(source_table) <= 255),
    kind TEXT NOT NULL CHECK (kind IN ('column_added', 'column_removed', 'type_widened', 'type_narrowed', 'type_incompatible', 'null_allowed', 'key_changed')),
    column_name TEXT NOT NULL DEFAULT '',
    from_type TEXT NOT NULL DEFAULT '',
    to_type TEXT NOT NULL DEFAULT '',
    run_id TEXT NOT NULL,
    detected_at TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'applied', 'ignored')),
    decided_by TEXT,
    decided_at TEXT,
    done_run_id TEXT
) STRICT;
CREATE UNIQUE INDEX arus_state_schema_changes_open ON arus_state_schema_changes (pipeline_id, source_table, kind, column_name, from_type, to_type) WHERE done_run_id IS NULL;
CREATE INDEX arus_state_schema_changes_pipeline ON arus_state_schema_changes (pipeline_id, detected_at DESC);

ALTER TABLE arus_config_pipeline_tables ADD COLUMN soft_delete_column TEXT CHECK (length(soft_delete_column) <= 255);
ALTER TABLE arus_config_pipeline_tables ADD COLUMN soft_delete TEXT CHECK (soft_delete IN ('keep', 'remove'));
ALTER TABLE arus_config_pipeline_tables ADD COLUMN deletes TEXT CHECK (deletes IN ('ignore', 'delete', 'mark'));

ALTER TABLE arus_run_logs_runs ADD COLUMN work TEXT NOT NULL DEFAULT 'copy' CHECK (work IN ('copy', 'letters', 'rebuild'));
ALTER TABLE arus_run_logs_run_table_stats ADD COLUMN rows_deleted INTEGER NOT NULL DEFAULT 0;

-- Quality results know a third check. SQLite changes no CHECK in place.
CREATE TABLE arus_config_data_quality_log_new (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    table_name TEXT NOT NULL CHECK (length(table_name) <= 255),
    check_type TEXT NOT NULL CHECK (check_type IN ('row_count', 'null_check', 'checksum')),
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
INSERT INTO arus_config_data_quality_log_new SELECT * FROM arus_config_data_quality_log;
DROP TABLE arus_config_data_quality_log;
ALTER TABLE arus_config_data_quality_log_new RENAME TO arus_config_data_quality_log;
CREATE INDEX arus_config_data_quality_log_pipeline_id ON arus_config_data_quality_log (pipeline_id, checked_at DESC);
CREATE INDEX arus_config_data_quality_log_run_id ON arus_config_data_quality_log (run_id);
