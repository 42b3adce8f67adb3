-- The tables of the original Arus as its migrations leave them, a little data, and a shop to read.
CREATE SCHEMA arus_config; CREATE SCHEMA arus_state; CREATE SCHEMA arus_run_logs; CREATE SCHEMA staging;
CREATE TABLE arus_config.users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email varchar(255) UNIQUE NOT NULL, password_hash varchar(255) NOT NULL,
  name varchar(255) NOT NULL, role varchar(20) NOT NULL DEFAULT 'viewer', is_active boolean DEFAULT true, last_login timestamptz, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE arus_config.sources (id uuid PRIMARY KEY, name varchar(255) NOT NULL, type varchar(50) NOT NULL, host varchar(255) NOT NULL, port integer NOT NULL,
  database varchar(255) NOT NULL, username varchar(255) NOT NULL, password_enc text NOT NULL, ssl boolean DEFAULT false, uri text, auth_source varchar(100),
  sync_method varchar(20) DEFAULT 'auto', table_include varchar[] DEFAULT '{}', table_exclude varchar[] DEFAULT '{}', schema_include varchar[] DEFAULT '{}',
  status varchar(20) DEFAULT 'registered', table_count integer NOT NULL DEFAULT 0, enabled_table_count integer NOT NULL DEFAULT 0, last_tested timestamptz, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE arus_config.destinations (id uuid PRIMARY KEY, name varchar(255) NOT NULL, type varchar(50) NOT NULL, host varchar(255), port integer, database varchar(255), username varchar(255),
  password_enc text, ssl boolean DEFAULT false, raw_schema varchar(255) DEFAULT 'staging', target_schema varchar(255) DEFAULT 'analytics', is_default boolean DEFAULT false, status varchar(20) DEFAULT 'registered', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE arus_config.pipelines (id uuid PRIMARY KEY, name varchar(255) NOT NULL, source_id uuid REFERENCES arus_config.sources ON DELETE CASCADE, destination_id uuid REFERENCES arus_config.destinations ON DELETE RESTRICT,
  status varchar(20) DEFAULT 'active', schedule varchar(100), max_retries integer DEFAULT 3, timeout_seconds integer DEFAULT 300, depends_on uuid REFERENCES arus_config.pipelines ON DELETE SET NULL,
  target_schema varchar(255) DEFAULT 'public', load_mode varchar(20) DEFAULT 'direct', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE arus_config.pipeline_tables (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), pipeline_id uuid REFERENCES arus_config.pipelines ON DELETE CASCADE, source_table varchar(255) NOT NULL, source_schema varchar(255) DEFAULT 'public',
  target_schema varchar(255), sync_mode varchar(20) DEFAULT 'incremental', load_mode varchar(20) DEFAULT 'direct', watermark_column varchar(255), transform_config json, enabled boolean DEFAULT true);
CREATE TABLE arus_config.transform_scripts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), pipeline_id uuid REFERENCES arus_config.pipelines ON DELETE CASCADE, name varchar(255) NOT NULL, description text, content text NOT NULL, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), UNIQUE (pipeline_id, name));
CREATE TABLE arus_config.notification_targets (id uuid PRIMARY KEY, name varchar(255) NOT NULL, type varchar(20) NOT NULL, config text NOT NULL, is_active boolean DEFAULT true, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE arus_config.pipeline_notifications (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), pipeline_id uuid NOT NULL, target_id uuid NOT NULL, event_types varchar[] DEFAULT '{}', created_at timestamptz DEFAULT now());
CREATE TABLE arus_config.runtime_settings (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), key varchar(100) UNIQUE NOT NULL, value text, updated_at timestamptz DEFAULT now());
CREATE TABLE arus_state.watermarks (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), pipeline_id uuid NOT NULL, source_table varchar(255) NOT NULL, watermark_col varchar(255), watermark_value text, row_count integer DEFAULT 0,
  last_run_id uuid, last_synced_at timestamptz, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE arus_run_logs.runs (id uuid PRIMARY KEY, pipeline_id uuid NOT NULL, status varchar(20) DEFAULT 'running', started_at timestamptz DEFAULT now(), finished_at timestamptz, duration_ms integer, rows_synced integer, trigger_type varchar(20) DEFAULT 'scheduled', error_message text, created_at timestamptz DEFAULT now());
CREATE TABLE arus_run_logs.run_table_stats (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), run_id uuid REFERENCES arus_run_logs.runs ON DELETE CASCADE, table_name varchar(255) NOT NULL, rows_extracted integer DEFAULT 0, rows_loaded_raw integer DEFAULT 0,
  rows_loaded_analytics integer DEFAULT 0, rows_failed integer DEFAULT 0, watermark_before text, watermark_after text, duration_ms integer DEFAULT 0, error_message text);
CREATE TABLE arus_run_logs.run_logs (id bigserial PRIMARY KEY, run_id uuid REFERENCES arus_run_logs.runs ON DELETE CASCADE, timestamp timestamptz DEFAULT now(), level varchar(10) DEFAULT 'INFO', message text NOT NULL);
CREATE TABLE staging._dead_letters (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), source_name varchar(255) NOT NULL, table_name varchar(255) NOT NULL, run_id uuid NOT NULL, row_data jsonb NOT NULL, error_text text, failed_at timestamptz DEFAULT now());

-- bcrypt of admin123, as passlib writes it
INSERT INTO arus_config.users (email, password_hash, name, role) VALUES ('ann@example.com', '@HASH@', 'Ann', 'admin');
INSERT INTO arus_config.sources (id, name, type, host, port, database, username, password_enc, uri, auth_source, table_exclude) VALUES
  ('10000000-0000-4000-8000-000000000001', 'shop', 'postgresql', '@HOST@', @PORT@, '@DB@', '@USER@', '@PASSWORD@', NULL, 'admin', '{audit_*}'),
  ('10000000-0000-4000-8000-000000000002', 'shop', 'mysql', 'db2', 3306, 'shop', 'u', '@OTHER@', NULL, 'admin', '{}'),
  ('10000000-0000-4000-8000-000000000003', 'docs', 'mongodb', 'localhost', 27017, '', '', '', 'mongodb://reader:s3cret@mongo:27017/docs?authSource=admin', 'admin', '{}');
INSERT INTO arus_config.destinations (id, name, type, host, port, database, username, password_enc, is_default) VALUES
  ('20000000-0000-4000-8000-000000000001', 'Warehouse', 'postgresql', '@HOST@', @PORT@, '@DB@', '@USER@', '@PASSWORD@', true),
  ('20000000-0000-4000-8000-000000000002', 'ch', 'clickhouse', 'ch', 8123, 'default', 'default', '', false);
INSERT INTO arus_config.pipelines (id, name, source_id, destination_id, schedule, depends_on) VALUES
  ('30000000-0000-4000-8000-000000000001', 'shop', '10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', '0 6 * * 0,6', NULL),
  ('30000000-0000-4000-8000-000000000002', 'shop', '10000000-0000-4000-8000-000000000002', '20000000-0000-4000-8000-000000000001', 'manual', '30000000-0000-4000-8000-000000000001'),
  ('30000000-0000-4000-8000-000000000003', 'docs', '10000000-0000-4000-8000-000000000003', '20000000-0000-4000-8000-000000000001', 'nonsense', NULL);
INSERT INTO arus_config.pipeline_tables (id, pipeline_id, source_table, source_schema, watermark_column, transform_config) VALUES
  ('40000000-0000-4000-8000-000000000001', '30000000-0000-4000-8000-000000000001', 'customers', 'public', 'updated_at', '[{"type":"upper","config":{"columns":["name"]}}]'),
  ('40000000-0000-4000-8000-000000000002', '30000000-0000-4000-8000-000000000001', 'events', 'public', NULL, NULL),
  ('40000000-0000-4000-8000-000000000003', '30000000-0000-4000-8000-000000000001', 'sales.items', 'public', NULL, 'null'),
  ('40000000-0000-4000-8000-000000000004', '30000000-0000-4000-8000-000000000002', 'customers', 'public', NULL, NULL),
  ('40000000-0000-4000-8000-000000000005', '30000000-0000-4000-8000-000000000003', 'notes', 'docs', NULL, NULL);
INSERT INTO arus_config.transform_scripts (pipeline_id, name, content) VALUES ('30000000-0000-4000-8000-000000000001', 'clean', E'def transform(rows):\n    return rows\n');
INSERT INTO arus_config.notification_targets (id, name, type, config) VALUES ('50000000-0000-4000-8000-000000000001', 'ops', 'telegram', '{"bot_token": "123:abc", "chat_id": -100123}');
INSERT INTO arus_config.pipeline_notifications (pipeline_id, target_id, event_types) VALUES ('30000000-0000-4000-8000-000000000001', '50000000-0000-4000-8000-000000000001', '{failure,dead_letter}');
INSERT INTO arus_config.runtime_settings (key, value) VALUES ('max_retries', '4'), ('telegram_chat', 'x');
INSERT INTO arus_state.watermarks (pipeline_id, source_table, watermark_col, watermark_value, updated_at) VALUES
  ('30000000-0000-4000-8000-000000000001', 'customers', 'updated_at', '2026-01-01 00:00:00+00:00', '2026-01-01'),
  ('30000000-0000-4000-8000-000000000001', 'customers', 'updated_at', '2026-01-02 00:00:00+00:00', '2026-01-02'),
  ('30000000-0000-4000-8000-000000000001', 'events', 'id', '7', '2026-01-02');
INSERT INTO arus_run_logs.runs (id, pipeline_id, status, started_at, finished_at, duration_ms, rows_synced, trigger_type) VALUES
  ('60000000-0000-4000-8000-000000000001', '30000000-0000-4000-8000-000000000001', 'success', '2026-01-01', '2026-01-01 00:00:01', 1000, 2, 'manual'),
  ('60000000-0000-4000-8000-000000000002', '30000000-0000-4000-8000-000000000001', 'running', '2026-01-02', NULL, NULL, NULL, 'manual'),
  ('60000000-0000-4000-8000-000000000003', '30000000-0000-4000-8000-00000000000f', 'running', '2026-01-02', NULL, NULL, NULL, 'manual');
INSERT INTO arus_run_logs.run_table_stats (run_id, table_name, rows_extracted) VALUES ('60000000-0000-4000-8000-000000000001', 'customers', 2);
INSERT INTO arus_run_logs.run_logs (run_id, level, message) VALUES ('60000000-0000-4000-8000-000000000001', 'INFO', 'started'), ('60000000-0000-4000-8000-000000000001', 'WARN', 'slow');

CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO customers SELECT n, 'name ' || n, '2026-01-01'::timestamptz + n * interval '1 hour' FROM generate_series(1, 100) n;
CREATE TABLE events (id bigint PRIMARY KEY, what text);
INSERT INTO events SELECT n, 'what ' || n FROM generate_series(1, 50) n;
CREATE SCHEMA sales;
CREATE TABLE sales.items (id bigint PRIMARY KEY, price numeric(10,2));
INSERT INTO sales.items SELECT n, n / 7.0 FROM generate_series(1, 50) n;
