package store

import (
	"context"

	"arus/app/model"
)

// AddHistory adds runs that another program did, with their tables and log lines, as they were: times and ids are kept. Log
// lines get ids of their own, in their order. A run whose id is there already is left alone, with all that belongs to it.
func (s *Store) AddHistory(ctx context.Context, runs []model.Run, logs []model.RunLog) (added int, err error) {
	err = s.write(ctx, func(tx *transaction) error {
		fresh := map[string]bool{}
		for _, r := range runs {
			res, err := tx.ExecContext(ctx, `INSERT INTO arus_run_logs_runs (`+runColumns+`, heard)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO NOTHING`,
				r.ID, r.PipelineID, orNull(r.UserID), r.Status, r.Trigger, stamp(r.StartedAt), stamp(r.FinishedAt), duration(r), r.RowsSynced,
				r.Counts.Read, r.Counts.Loaded, r.Counts.Filtered, r.Counts.DeadLetters, orNull(r.ErrorMessage), stamp(r.CreatedAt), model.WorkCopy)
			if err != nil {
				return fail(err, "run %s", r.ID)
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				continue
			}
			fresh[r.ID] = true
			added++
			for i := range r.Tables {
				if err := saveTableStat(ctx, tx, &r.Tables[i]); err != nil {
					return fail(err, "table %q of run %s", r.Tables[i].TableName, r.ID)
				}
			}
		}
		for _, l := range logs {
			if !fresh[l.RunID] {
				continue
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO arus_run_logs_run_logs (run_id, timestamp, level, message) VALUES (?, ?, ?, ?)`,
				l.RunID, stamp(l.Timestamp), l.Level, l.Message)
			if err != nil {
				return fail(err, "log of run %s", l.RunID)
			}
		}
		return nil
	})
	return added, fail(err, "add the history")
}

// SetWatermark writes how far a table is loaded, as another program knew it.
func (s *Store) SetWatermark(ctx context.Context, w *model.Watermark) error {
	return fail(s.write(ctx, func(tx *transaction) error { return s.saveWatermark(ctx, tx, w) }), "set the watermark of table %q", w.SourceTable)
}
