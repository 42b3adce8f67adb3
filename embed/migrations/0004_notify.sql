-- +goose Up
-- What the schedule remembers. spec is what next_at was computed from. pending_at: a run is owed since then; the first run
-- that begins later and ends settles it, in the transaction of its end. since is when the schedule was taken up.
CREATE TABLE arus_state_schedules (
    pipeline_id TEXT NOT NULL PRIMARY KEY REFERENCES arus_config_pipelines (id) ON DELETE CASCADE,
    spec TEXT NOT NULL DEFAULT '',
    next_at TEXT,
    last_at TEXT,
    pending_at TEXT,
    since TEXT
) STRICT;
CREATE INDEX arus_state_schedules_pending ON arus_state_schedules (pipeline_id) WHERE pending_at IS NOT NULL;

-- What a pipeline is alerted for until it is over: one alert at its beginning, one at its end.
CREATE TABLE arus_state_incidents (
    pipeline_id TEXT NOT NULL REFERENCES arus_config_pipelines (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('failure', 'overdue', 'dead_letter', 'quality_breach')),
    run_id TEXT NOT NULL DEFAULT '',
    opened_at TEXT NOT NULL,
    runs INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (pipeline_id, kind)
) STRICT;

-- The queue of notifications and, when they are over, their history. dedupe names what is told, so that it is told once.
CREATE TABLE arus_state_notifications (
    id TEXT NOT NULL PRIMARY KEY,
    target_id TEXT NOT NULL,
    target_name TEXT NOT NULL,
    target_type TEXT NOT NULL,
    pipeline_id TEXT NOT NULL DEFAULT '',
    run_id TEXT NOT NULL DEFAULT '',
    event TEXT NOT NULL,
    dedupe TEXT NOT NULL,
    message TEXT NOT NULL CHECK (json_valid(message)),
    status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sent', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TEXT NOT NULL,
    answer TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    finished_at TEXT,
    UNIQUE (target_id, dedupe)
) STRICT;
CREATE INDEX arus_state_notifications_queue ON arus_state_notifications (next_attempt_at) WHERE status = 'queued';
CREATE INDEX arus_state_notifications_created ON arus_state_notifications (created_at DESC);

-- Which runs the notifications have heard of. What ended before there were any is old news.
ALTER TABLE arus_run_logs_runs ADD COLUMN heard INTEGER NOT NULL DEFAULT 0 CHECK (heard IN (0, 1));
UPDATE arus_run_logs_runs SET heard = 1;
CREATE INDEX arus_run_logs_runs_unheard ON arus_run_logs_runs (started_at) WHERE heard = 0;
