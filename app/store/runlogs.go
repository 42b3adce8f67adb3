package store

import (
	"context"

	"arus/app/model"
)

func scanRunLog(row scanner) (model.RunLog, error) {
	var l model.RunLog
	err := row.Scan(&l.ID, null(&l.RunID, ""), timeScanner{&l.Timestamp}, null(&l.Level, model.LogInfo), &l.Message)
	return l, err
}

// AppendRunLogs adds the lines in their order, all or none. Lines without a time get now, lines without a level INFO.
func (s *Store) AppendRunLogs(ctx context.Context, lines []model.RunLog) error {
	if len(lines) == 0 {
		return nil
	}
	return fail(s.write(ctx, func(tx *transaction) error {
		insert, err := tx.PrepareContext(ctx, `INSERT INTO arus_run_logs_run_logs (run_id, timestamp, level, message) VALUES (?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for _, l := range lines {
			if l.Timestamp.IsZero() {
				l.Timestamp = s.now()
			}
			if l.Level == "" {
				l.Level = model.LogInfo
			}
			if _, err := insert.ExecContext(ctx, l.RunID, stamp(l.Timestamp), l.Level, l.Message); err != nil {
				return err
			}
		}
		return nil
	}), "append to a run's log")
}

// ListRunLogs returns the lines of a run that came after the line with the id, oldest first: pass 0 for the first page and
// the last id seen for the next, also to follow a run that is still writing. At most limit lines, as in Page.
func (s *Store) ListRunLogs(ctx context.Context, runID string, after int64, limit int) ([]model.RunLog, error) {
	limit, _ = Page{Limit: limit}.args()
	list, err := collect(ctx, s.reader, scanRunLog, `SELECT id, run_id, timestamp, level, message FROM arus_run_logs_run_logs
		WHERE run_id = ? AND id > ? ORDER BY id LIMIT ?`, runID, after, limit)
	return list, fail(err, "list the log of run %s", runID)
}
