package store

import (
	"context"
	"time"

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

// Watermarks returns the watermarks of some tables of a pipeline, without those whose boundary is longer than so many bytes.
func (s *Store) Watermarks(ctx context.Context, pipelineID string, tables []string, boundary int) ([]model.Watermark, error) {
	list, err := collect(ctx, s.reader, scanWatermark, `SELECT `+watermarkColumns+` FROM arus_state_watermarks
		WHERE pipeline_id = ? AND source_table IN (SELECT value FROM json_each(?)) AND coalesce(length(boundary), 0) <= ?`, pipelineID, listJSON(tables), boundary)
	return list, fail(err, "get the watermarks of %d tables", len(tables))
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
		if err := mustRun(ctx, tx, row.RunID); err != nil {
			return err
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

// CheckpointQuiet records in one step that a run found nothing new in tables at that time: their statistics, which have ids,
// and that their watermarks are as they were. One that is gone meanwhile, so that the table is read anew, is not brought
// back. ErrRunState and ErrNotFound are those of Checkpoint.
func (s *Store) CheckpointQuiet(ctx context.Context, pipelineID string, at time.Time, stats []model.RunTableStat) error {
	if len(stats) == 0 {
		return nil
	}
	tables := make([]string, len(stats))
	for i, t := range stats {
		tables[i] = t.TableName
	}
	list, runID := listJSON(tables), stats[0].RunID
	return fail(s.write(ctx, func(tx *transaction) error {
		if err := mustRun(ctx, tx, runID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE arus_state_watermarks SET row_count = 0, last_run_id = ?, last_synced_at = ?, updated_at = ?
			WHERE pipeline_id = ? AND source_table IN (SELECT value FROM json_each(?))`, runID, stamp(at), stamp(s.now()), pipelineID, list); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM arus_state_chunked_loads WHERE pipeline_id = ? AND source_table IN (SELECT value FROM json_each(?))`,
			pipelineID, list); err != nil {
			return err
		}
		return saveTableStats(ctx, tx, stats)
	}), "checkpoint %d tables without news", len(stats))
}

// mustRun refuses what a run that is over would still move.
func mustRun(ctx context.Context, tx *transaction, runID string) error {
	status, err := runStatus(ctx, tx, runID)
	if err == nil && status != model.RunRunning {
		err = &RunStateError{RunID: runID, From: status, To: model.RunRunning}
	}
	return err
}
