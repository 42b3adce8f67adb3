package store

import (
	"context"
)

// Settings returns every stored runtime setting by key.
func (s *Store) Settings(ctx context.Context) (map[string]string, error) {
	type pair struct{ key, value string }
	list, err := collect(ctx, s.reader, func(row scanner) (p pair, err error) {
		err = row.Scan(&p.key, null(&p.value, ""))
		return p, err
	}, `SELECT key, value FROM arus_config_runtime_settings`)
	values := make(map[string]string, len(list))
	for _, p := range list {
		values[p.key] = p.value
	}
	return values, fail(err, "read the settings")
}

// SaveSettings stores the values and removes the keys, all in one step.
func (s *Store) SaveSettings(ctx context.Context, set map[string]string, remove []string) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		for key, value := range set {
			id, err := newID()
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO arus_config_runtime_settings (id, key, value, updated_at) VALUES (?, ?, ?, ?)
				ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`, id, key, value, stamp(s.now()))
			if err != nil {
				return err
			}
		}
		for _, key := range remove {
			if _, err := tx.ExecContext(ctx, `DELETE FROM arus_config_runtime_settings WHERE key = ?`, key); err != nil {
				return err
			}
		}
		return nil
	}), "save the settings")
}

// Key returns the sealed key of that name, ErrNotFound before it was made.
func (s *Store) Key(ctx context.Context, name string) (sealed string, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT sealed FROM arus_config_keys WHERE name = ?`, name).Scan(&sealed)
	return sealed, fail(err, "read the key %s", name)
}

// SaveKey stores a sealed key, in place of the one of that name.
func (s *Store) SaveKey(ctx context.Context, name, sealed string) error {
	_, err := s.writer.ExecContext(ctx, `INSERT INTO arus_config_keys (name, sealed, created_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, created_at = excluded.created_at`, name, sealed, stamp(s.now()))
	return fail(err, "save the key %s", name)
}
