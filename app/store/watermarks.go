package store

import (
	"context"

	"arus/app/model"
)

const watermarkColumns = `id, pipeline_id, source_table, watermark_col, watermark_value, watermark_type, boundary, row_count,
	last_run_id, last_synced_at, created_at, updated_at`

func scanWatermark(row scanner) (model.Watermark, error) {
	var w model.Watermark
	err := row.Scan(&w.ID, &w.PipelineID, &w.SourceTable, null(&w.Column, ""), null(&w.Value, ""), null(&w.Type, ""), &w.Boundary,
		null(&w.RowCount, 0), null(&w.LastRunID, ""), timeScanner{&w.LastSyncedAt}, timeScanner{&w.CreatedAt}, timeScanner{&w.UpdatedAt})
	return w, err
}

// GetWatermark returns how far the table of the pipeline is loaded, ErrNotFound before its first load.
func (s *Store) GetWatermark(ctx context.Context, pipelineID, sourceTable string) (model.Watermark, error) {
	w, err := scanWatermark(s.reader.QueryRowContext(ctx, `SELECT `+watermarkColumns+` FROM arus_state_watermarks
		WHERE pipeline_id = ? AND source_table = ?`, pipelineID, sourceTable))
	return w, fail(err, "get the watermark of table %q", sourceTable)
}

// ListWatermarks returns the watermarks of a pipeline by table; a pipeline has at most one for each of its tables.
func (s *Store) ListWatermarks(ctx context.Context, pipelineID string) ([]model.Watermark, error) {
	list, err := collect(ctx, s.reader, scanWatermark, `SELECT `+watermarkColumns+` FROM arus_state_watermarks
		WHERE pipeline_id = ? ORDER BY source_table`, pipelineID)
	return list, fail(err, "list the watermarks of pipeline %s", pipelineID)
}

// SaveWatermark adds or replaces the watermark of its pipeline and table, and fills its id and times.
func (s *Store) SaveWatermark(ctx context.Context, w *model.Watermark) error {
	return fail(s.write(ctx, func(tx *transaction) error { return s.saveWatermark(ctx, tx, w) }), "save the watermark of table %q", w.SourceTable)
}

func (s *Store) saveWatermark(ctx context.Context, tx *transaction, w *model.Watermark) error {
	row := *w
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.UpdatedAt = s.now()
	err := tx.QueryRowContext(ctx, `INSERT INTO arus_state_watermarks (`+watermarkColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (pipeline_id, source_table) DO UPDATE SET watermark_col = excluded.watermark_col,
			watermark_value = excluded.watermark_value, watermark_type = excluded.watermark_type, boundary = excluded.boundary,
			row_count = excluded.row_count, last_run_id = excluded.last_run_id, last_synced_at = excluded.last_synced_at,
			updated_at = excluded.updated_at
		RETURNING id, created_at`,
		row.ID, row.PipelineID, row.SourceTable, orNull(row.Column), orNull(row.Value), orNull(row.Type), row.Boundary, row.RowCount,
		orNull(row.LastRunID), stamp(row.LastSyncedAt), stamp(row.UpdatedAt), stamp(row.UpdatedAt)).Scan(&row.ID, timeScanner{&row.CreatedAt})
	if err == nil {
		*w = row
	}
	return err
}

// DeleteWatermark makes the next run of the table start from the beginning. A table without a watermark is no error.
func (s *Store) DeleteWatermark(ctx context.Context, pipelineID, sourceTable string) error {
	err := s.write(ctx, func(tx *transaction) error {
		if err := endChunkedLoad(ctx, tx, pipelineID, sourceTable); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM arus_state_watermarks WHERE pipeline_id = ? AND source_table = ?`, pipelineID, sourceTable)
		return err
	})
	return fail(err, "delete the watermark of table %q", sourceTable)
}

// Checkpoint saves a table's watermark and its statistics in one step: after a crash either both are there or neither. With
// a watermark the table's chunked load is over, finished or overtaken; a nil one saves the statistics alone. ErrRunState: the run is over, as after a rescue, and may no longer move
// anything; ErrNotFound: there is no such run.
func (s *Store) Checkpoint(ctx context.Context, w *model.Watermark, stat *model.RunTableStat) error {
	mark, row := model.Watermark{}, *stat
	if w != nil {
		mark = *w
	}
	err := s.write(ctx, func(tx *transaction) error {
		status, err := runStatus(ctx, tx, row.RunID)
		if err != nil {
			return err
		}
		if status != model.RunRunning {
			return &RunStateError{RunID: row.RunID, From: status, To: model.RunRunning}
		}
		if w != nil {
			if err := s.saveWatermark(ctx, tx, &mark); err != nil {
				return err
			}
			if err := endChunkedLoad(ctx, tx, mark.PipelineID, mark.SourceTable); err != nil {
				return err
			}
		}
		return saveTableStat(ctx, tx, &row)
	})
	if err != nil {
		return fail(err, "checkpoint table %q", stat.TableName)
	}
	*stat = row // only what was committed gets back to the caller
	if w != nil {
		*w = mark
	}
	return nil
}
