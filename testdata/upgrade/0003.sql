-- What version 3 added.
INSERT INTO arus_config_users (id, email, password_hash, name, role) VALUES ('u1', 'ann@example.com', 'hash', 'Ann', 'admin');
INSERT INTO arus_config_sessions (id, user_id, kind, token_hash, created_at, last_seen_at, expires_at) VALUES ('e1', 'u1', 'console', 'th1', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', '2036-01-01T00:00:00.000Z');
INSERT INTO arus_config_api_tokens (id, name, role, token_hash, user_id, created_at) VALUES ('k1', 'ci', 'editor', 'th2', 'u1', '2026-01-01T00:00:00.000Z');
INSERT INTO arus_config_audit_log (at, actor_kind, actor_name, action, object_type, after) VALUES ('2026-01-01T00:00:00.000Z', 'cli', 'root', 'source.create', 'source', '{"name":"shop"}');
INSERT INTO arus_config_keys (name, sealed, created_at) VALUES ('jwt', 'sealed', '2026-01-01T00:00:00.000Z');
