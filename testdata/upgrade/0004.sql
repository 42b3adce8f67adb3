-- What version 4 added.
INSERT INTO arus_state_schedules (pipeline_id, spec, next_at, pending_at) VALUES ('p1', '0 2 * * *', '2026-01-02T02:00:00.000Z', '2026-01-01T02:00:00.000Z');
INSERT INTO arus_state_incidents (pipeline_id, kind, run_id, opened_at, runs) VALUES ('p1', 'failure', 'r1', '2026-01-01T00:00:00.000Z', 3);
INSERT INTO arus_state_notifications (id, target_id, target_name, target_type, event, dedupe, message, next_attempt_at, created_at) VALUES ('n1', 'g1', 'ops', 'webhook', 'failure', 'd1', '{}', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z');
