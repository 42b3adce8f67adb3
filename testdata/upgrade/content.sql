-- What a state file of any version may hold, in the columns of the first.
INSERT INTO arus_config_sources (id, name, type, host, port, database, username, password_enc) VALUES ('s1', 'shop', 'postgresql', 'db', 5432, 'shop', 'u', '');
INSERT INTO arus_config_destinations (id, name, type, is_default) VALUES ('d1', 'warehouse', 'embedded', 1);
INSERT INTO arus_config_pipelines (id, name, source_id, destination_id) VALUES ('p1', 'orders', 's1', 'd1');
INSERT INTO arus_config_pipeline_tables (id, pipeline_id, source_table) VALUES ('t1', 'p1', 'orders');
INSERT INTO arus_state_watermarks (id, pipeline_id, source_table, watermark_col, watermark_value, watermark_type) VALUES ('w1', 'p1', 'orders', 'updated_at', '2026-01-01T00:00:00Z', 'timestamptz');
INSERT INTO arus_run_logs_runs (id, pipeline_id, status, rows_synced) VALUES ('r1', 'p1', 'success', 7);
INSERT INTO arus_config_data_quality_log (id, pipeline_id, run_id, table_name, check_type, status) VALUES ('q1', 'p1', 'r1', 'orders', 'row_count', 'passed');
