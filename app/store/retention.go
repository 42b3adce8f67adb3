package store

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Retention says since when what is kept; the zero time keeps all.
type Retention struct {
	Runs, Logs, Audit time.Time
	Letters           time.Time // dead letters, which lie at the destinations: runs that had some stay as long
	KeepRunsOf        []string  // pipelines whose runs with dead letters stay: their letters could not be removed yet
}

// PipelinesWithLetters returns the pipelines of which a run from before a time had dead letters.
func (s *Store) PipelinesWithLetters(ctx context.Context, before time.Time) ([]string, error) {
	list, err := collect(ctx, s.reader, func(row scanner) (id string, err error) {
		err = row.Scan(&id)
		return id, err
	},
		`SELECT DISTINCT pipeline_id FROM arus_run_logs_runs WHERE started_at < ? AND dead_letters > 0`, stamp(before))
	return list, fail(err, "find the pipelines with dead letters")
}

// Retained is how many rows Retain removed.
type Retained struct {
	Runs     int64 `json:"runs"`
	Logs     int64 `json:"log_lines"`
	Audit    int64 `json:"audit_entries"`
	Sessions int64 `json:"sessions"`
	Quality  int64 `json:"quality_results"`
	Notices  int64 `json:"notifications"`
	Letters  int64 `json:"dead_letters"`
}

// retainStep bounds one transaction of Retain, so that runs can write in between.
const retainStep = 2000

// Retain removes what is older than it says, and sessions that have run out. The latest run and the latest success of each
// pipeline stay, and so do runs that a watermark names or that are going on.
func (s *Store) Retain(ctx context.Context, r Retention) (n Retained, err error) {
	steps := []struct {
		count *int64
		since time.Time
		query string
	}{
		{&n.Logs, r.Logs, `DELETE FROM arus_run_logs_run_logs WHERE id IN (SELECT id FROM arus_run_logs_run_logs WHERE timestamp < ?1 LIMIT ?2)`},
		{&n.Quality, r.Runs, `DELETE FROM arus_config_data_quality_log WHERE id IN (SELECT id FROM arus_config_data_quality_log WHERE checked_at < ?1 LIMIT ?2)`},
		{&n.Runs, r.Runs, `DELETE FROM arus_run_logs_runs WHERE id IN (SELECT id FROM arus_run_logs_runs r WHERE r.started_at < ?1 AND r.status <> 'running'
			AND r.id <> (SELECT l.id FROM arus_run_logs_runs l WHERE l.pipeline_id = r.pipeline_id ORDER BY l.started_at DESC, l.id DESC LIMIT 1)
			AND r.id IS NOT (SELECT l.id FROM arus_run_logs_runs l WHERE l.pipeline_id = r.pipeline_id AND l.status = 'success' ORDER BY l.started_at DESC, l.id DESC LIMIT 1)
			AND NOT EXISTS (SELECT 1 FROM arus_state_watermarks w WHERE w.last_run_id = r.id)
			AND (r.dead_letters = 0 OR coalesce(r.started_at < ?4, 1) AND r.pipeline_id NOT IN (SELECT value FROM json_each(?3))) LIMIT ?2)`},
		{&n.Notices, r.Runs, `DELETE FROM arus_state_notifications WHERE id IN (SELECT id FROM arus_state_notifications WHERE created_at < ?1 AND status <> 'queued' LIMIT ?2)`},
		{&n.Audit, r.Audit, `DELETE FROM arus_config_audit_log WHERE id IN (SELECT id FROM arus_config_audit_log WHERE at < ?1 ORDER BY id LIMIT ?2)`},
		{&n.Sessions, s.now(), `DELETE FROM arus_config_sessions WHERE id IN (SELECT id FROM arus_config_sessions WHERE expires_at < ?1 LIMIT ?2)`},
	}
	for _, step := range steps {
		if step.since.IsZero() {
			continue
		}
		for {
			args := []any{stamp(step.since), retainStep}
			if strings.Contains(step.query, "?3") {
				args = append(args, listJSON(r.KeepRunsOf), stamp(r.Letters))
			}
			res, err := s.writer.ExecContext(ctx, step.query, args...)
			if err != nil {
				return n, fail(err, "remove what is no longer kept")
			}
			removed, err := res.RowsAffected()
			if err != nil {
				return n, err
			}
			*step.count += removed
			if removed < retainStep {
				break
			}
		}
	}
	return n, nil
}

// Compact gives pages that nothing uses back to the file system, a few at a time. A file from before this was possible is
// rewritten once.
func (s *Store) Compact(ctx context.Context) error {
	var mode int
	if err := s.reader.QueryRowContext(ctx, `PRAGMA auto_vacuum`).Scan(&mode); err != nil {
		return fail(err, "compact the state file")
	}
	if mode != 2 {
		writer := s.pools[len(s.pools)-1]
		conn, err := writer.Conn(ctx) // the pragma holds for the connection that then rewrites the file
		if err != nil {
			return fail(err, "compact the state file")
		}
		defer func() { _ = conn.Close() }()
		if _, err = conn.ExecContext(ctx, `PRAGMA auto_vacuum = INCREMENTAL`); err == nil {
			_, err = conn.ExecContext(ctx, `VACUUM`)
		}
		return fail(err, "compact the state file")
	}
	for {
		var free int
		if err := s.reader.QueryRowContext(ctx, `PRAGMA freelist_count`).Scan(&free); err != nil || free == 0 {
			return fail(err, "compact the state file")
		}
		if err := s.vacuumStep(ctx); err != nil {
			return fail(err, "compact the state file")
		}
		var left int
		if err := s.reader.QueryRowContext(ctx, `PRAGMA freelist_count`).Scan(&left); err != nil || left >= free {
			return fail(err, "compact the state file")
		}
	}
}

// vacuumStep steps through the pragma's rows: each gives one page back.
func (s *Store) vacuumStep(ctx context.Context) error {
	_, err := collect(ctx, s.writer, func(scanner) (struct{}, error) { return struct{}{}, nil }, `PRAGMA incremental_vacuum(1000)`)
	return err
}

// Size is how many bytes the state file and its write-ahead log have.
func (s *Store) Size() (file, log int64) {
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	return size(FileName), size(FileName + "-wal")
}

// Ping writes nothing and reads a little on both pools, to see that the file answers.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	if err := s.reader.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&n); err != nil {
		return fail(err, "read the state file")
	}
	return fail(s.write(ctx, func(tx *transaction) error { // an immediate transaction takes the write lock
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&n)
	}), "write the state file")
}

// Reseal passes every sealed value through fn and stores what comes back, all in one transaction: for a new key.
func (s *Store) Reseal(ctx context.Context, fn func(sealed string) (string, error)) (n int, err error) {
	type sealed struct{ id, value string }
	err = s.write(ctx, func(tx *transaction) error {
		for _, column := range sealedColumns() {
			list, err := collect(ctx, tx, func(row scanner) (v sealed, err error) {
				err = row.Scan(&v.id, &v.value)
				return v, err
			}, `SELECT `+column.id+`, `+column.name+` FROM `+column.table+` WHERE coalesce(`+column.name+`, '') <> ''`)
			if err != nil {
				return err
			}
			for _, v := range list {
				fresh, err := fn(v.value)
				if err != nil {
					return err
				}
				if _, err := tx.ExecContext(ctx, `UPDATE `+column.table+` SET `+column.name+` = ? WHERE `+column.id+` = ?`, fresh, v.id); err != nil {
					return err
				}
				n++
			}
		}
		return nil
	})
	return n, fail(err, "seal the stored secrets with another key")
}

type sealedColumn struct{ table, id, name string }

// sealedColumns are the columns whose values are sealed with the key ring.
func sealedColumns() []sealedColumn {
	return []sealedColumn{
		{"arus_config_sources", "id", "password_enc"},
		{"arus_config_destinations", "id", "password_enc"},
		{"arus_config_notification_targets", "id", "secrets_enc"},
		{"arus_config_keys", "name", "sealed"},
	}
}
