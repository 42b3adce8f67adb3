-- What version 6 added.
INSERT INTO arus_state_queue (run_id, pipeline_id, user_id, request, queued_at) VALUES ('r2', 'p1', 'u1', '{"run":{}}', '2026-01-01T00:00:00.000Z');
UPDATE arus_config_pipeline_tables SET target_key = 'a', raw_key = 'b';
