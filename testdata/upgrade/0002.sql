-- What version 2 added.
INSERT INTO arus_state_chunked_loads (pipeline_id, source_table, token, plan, watermark_upper) VALUES ('p1', 'orders', 'tok', 'plan', '2026-01-02T00:00:00Z');
INSERT INTO arus_state_chunks (token, position, key_range, done, run_id, rows_read, rows_loaded) VALUES ('tok', 0, '{"from":1,"to":9}', 1, 'r1', 9, 9);
INSERT INTO arus_state_table_schemas (pipeline_id, source_table, columns, key_columns, base_run_id, updated_at) VALUES ('p1', 'orders', '[{"name":"id"}]', '["id"]', 'r1', '2026-01-01T00:00:00.000Z');
INSERT INTO arus_state_schema_changes (id, pipeline_id, source_table, kind, column_name, run_id, detected_at) VALUES ('c1', 'p1', 'orders', 'column_added', 'note', 'r1', '2026-01-01T00:00:00.000Z');
