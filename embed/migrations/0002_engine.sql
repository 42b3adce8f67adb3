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
