-- +goose Up
-- Who may do what, and who did it. Sessions and tokens are known by the hash of what their holder carries.

CREATE TABLE arus_config_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES arus_config_users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('console', 'program')),
    token_hash TEXT NOT NULL UNIQUE,
    previous_hash TEXT UNIQUE,
    address TEXT NOT NULL DEFAULT '',
    user_agent TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
CREATE INDEX arus_config_sessions_user ON arus_config_sessions (user_id);
CREATE INDEX arus_config_sessions_expires ON arus_config_sessions (expires_at);

CREATE TABLE arus_config_api_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE CHECK (length(name) <= 255),
    role TEXT NOT NULL CHECK (role IN ('admin', 'editor', 'viewer')),
    token_hash TEXT NOT NULL UNIQUE,
    user_id TEXT REFERENCES arus_config_users (id) ON DELETE CASCADE,
    expires_at TEXT,
    last_used_at TEXT,
    last_used_from TEXT,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX arus_config_api_tokens_user ON arus_config_api_tokens (user_id);

CREATE TABLE arus_config_audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('user', 'token', 'cli', 'schedule', 'anonymous')),
    actor_id TEXT,
    actor_name TEXT NOT NULL,
    address TEXT,
    action TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id TEXT,
    object_name TEXT,
    before TEXT CHECK (json_valid(before)),
    after TEXT CHECK (json_valid(after))
) STRICT;
CREATE INDEX arus_config_audit_log_at ON arus_config_audit_log (at);
CREATE INDEX arus_config_audit_log_object ON arus_config_audit_log (object_type, object_id);

-- Keys that the program makes for itself, sealed with the key ring.
CREATE TABLE arus_config_keys (
    name TEXT NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

ALTER TABLE arus_config_notification_targets ADD COLUMN secrets_enc TEXT;
ALTER TABLE arus_config_notification_targets ADD COLUMN updated_at TEXT;
CREATE UNIQUE INDEX arus_config_notification_targets_name ON arus_config_notification_targets (name);
CREATE UNIQUE INDEX arus_config_pipeline_notifications_once ON arus_config_pipeline_notifications (pipeline_id, target_id);
