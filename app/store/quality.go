package store

import (
	"context"

	"arus/app/model"
)

const qualityColumns = `id, pipeline_id, run_id, table_name, check_type, status, rows_extracted, rows_loaded, discrepancy_pct,
	null_columns, required_columns, message, passed, checked_at`

func scanQuality(row scanner) (model.QualityCheck, error) {
	var q model.QualityCheck
	var passed bool
	err := row.Scan(&q.ID, &q.PipelineID, &q.RunID, &q.TableName, &q.Type, &q.Status, null(&q.RowsExtracted, 0), null(&q.RowsLoaded, 0),
		null(&q.DiscrepancyPct, 0), null(&q.NullColumns, ""), null(&q.RequiredColumns, ""), null(&q.Message, ""), null(&passed, true), timeScanner{&q.CheckedAt})
	return q, err
}

// SaveQuality adds the results of checks, all or none, and fills their ids and times.
func (s *Store) SaveQuality(ctx context.Context, checks []model.QualityCheck) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		for i := range checks {
			q := &checks[i]
			if err := giveID(&q.ID); err != nil {
				return err
			}
			q.CheckedAt = s.now()
			if _, err := tx.ExecContext(ctx, `INSERT INTO arus_config_data_quality_log (`+qualityColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				q.ID, q.PipelineID, q.RunID, q.TableName, q.Type, q.Status, q.RowsExtracted, q.RowsLoaded, q.DiscrepancyPct, orNull(q.NullColumns),
				orNull(q.RequiredColumns), orNull(q.Message), q.Status == model.CheckPassed, stamp(q.CheckedAt)); err != nil {
				return err
			}
		}
		return nil
	}), "save the quality checks")
}

// QualityFilter narrows a list of quality checks. Empty fields do not filter.
type QualityFilter struct {
	PipelineID string
	RunID      string
	Table      string
	Status     model.CheckStatus
	Page
}

// ListQuality returns one page of the quality checks, newest first, and how many match.
func (s *Store) ListQuality(ctx context.Context, f QualityFilter) (list []model.QualityCheck, total int, err error) {
	const where = ` FROM arus_config_data_quality_log WHERE (?1 = '' OR pipeline_id = ?1) AND (?2 = '' OR run_id = ?2)
		AND (?3 = '' OR table_name = ?3) AND (?4 = '' OR status = ?4)`
	limit, offset := f.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+where, f.PipelineID, f.RunID, f.Table, f.Status).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanQuality, `SELECT `+qualityColumns+where+` ORDER BY checked_at DESC, id DESC LIMIT ?5 OFFSET ?6`,
			f.PipelineID, f.RunID, f.Table, f.Status, limit, offset)
		return err
	})
	return list, total, fail(err, "list quality checks")
}
