-- What version 7 added.
INSERT INTO arus_config_query_history (user_id, at, sql, duration_ms, rows) VALUES ('u1', '2026-01-01T00:00:00.000Z', 'SELECT 1', 3, 1);
INSERT INTO arus_run_logs_table_jobs (table_name, job, at, actor, rows, files) VALUES ('trips', 'archive', '2026-01-01T00:00:00.000Z', 'schedule', 7, 1);
