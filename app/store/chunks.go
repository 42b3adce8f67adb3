package store

import (
	"context"

	"arus/app/model"
)

func scanChunk(row scanner) (model.Chunk, error) {
	var c model.Chunk
	var keyRange string
	err := row.Scan(&c.Position, &keyRange, &c.Done, null(&c.RunID, ""), &c.Counts.Read, &c.Counts.Loaded, &c.RawRows,
		&c.Counts.Filtered, &c.Counts.DeadLetters, &c.Boundary)
	c.Range = []byte(keyRange)
	return c, err
}

// GetChunkedLoad returns the unfinished chunked load of the table, ErrNotFound when there is none.
func (s *Store) GetChunkedLoad(ctx context.Context, pipelineID, sourceTable string) (load model.ChunkedLoad, err error) {
	err = s.read(ctx, func(tx *transaction) (err error) {
		err = tx.QueryRowContext(ctx, `SELECT pipeline_id, source_table, token, plan, watermark_upper, created_at FROM arus_state_chunked_loads
			WHERE pipeline_id = ? AND source_table = ?`, pipelineID, sourceTable).
			Scan(&load.PipelineID, &load.SourceTable, &load.Token, &load.Plan, &load.Upper, timeScanner{&load.CreatedAt})
		if err != nil {
			return err
		}
		load.Chunks, err = collect(ctx, tx, scanChunk, `SELECT position, key_range, done, run_id, rows_read, rows_loaded, rows_raw,
			rows_filtered, dead_letters, boundary FROM arus_state_chunks WHERE token = ? ORDER BY position`, load.Token)
		return err
	})
	return load, fail(err, "get the chunked load of table %q", sourceTable)
}

// StartChunkedLoad keeps the plan of a chunked load, in place of one that was not finished, and fills its time.
func (s *Store) StartChunkedLoad(ctx context.Context, load *model.ChunkedLoad) error {
	row := *load
	row.CreatedAt = s.now()
	err := s.write(ctx, func(tx *transaction) error {
		if err := endChunkedLoad(ctx, tx, row.PipelineID, row.SourceTable); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO arus_state_chunked_loads (pipeline_id, source_table, token, plan, watermark_upper, created_at)
			VALUES (?, ?, ?, ?, ?, ?)`, row.PipelineID, row.SourceTable, row.Token, row.Plan, row.Upper, stamp(row.CreatedAt))
		if err != nil {
			return err
		}
		for _, c := range row.Chunks {
			if _, err := tx.ExecContext(ctx, `INSERT INTO arus_state_chunks (token, position, key_range) VALUES (?, ?, ?)`,
				row.Token, c.Position, string(c.Range)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fail(err, "start the chunked load of table %q", row.SourceTable)
	}
	*load = row
	return nil
}

// CheckpointChunk records that a chunk is done, or that it has to be done again. ErrRunState: the run that did it is over, as after a rescue, and may no
// longer move anything; ErrNotFound: there is no such run, or no such chunk any more.
func (s *Store) CheckpointChunk(ctx context.Context, token string, c model.Chunk) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		if err := mustRun(ctx, tx, c.RunID); err != nil {
			return err
		}
		return changed(tx.ExecContext(ctx, `UPDATE arus_state_chunks SET done = ?, run_id = ?, rows_read = ?, rows_loaded = ?, rows_raw = ?,
			rows_filtered = ?, dead_letters = ?, boundary = ?, updated_at = ? WHERE token = ? AND position = ?`,
			c.Done, c.RunID, c.Counts.Read, c.Counts.Loaded, c.RawRows, c.Counts.Filtered, c.Counts.DeadLetters, c.Boundary, stamp(s.now()), token, c.Position))
	}), "checkpoint chunk %d", c.Position)
}

// EndChunkedLoad forgets the table's chunked load. None is no error.
func (s *Store) EndChunkedLoad(ctx context.Context, pipelineID, sourceTable string) error {
	return fail(s.write(ctx, func(tx *transaction) error { return endChunkedLoad(ctx, tx, pipelineID, sourceTable) }),
		"end the chunked load of table %q", sourceTable)
}

func endChunkedLoad(ctx context.Context, tx *transaction, pipelineID, sourceTable string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM arus_state_chunked_loads WHERE pipeline_id = ? AND source_table = ?`, pipelineID, sourceTable)
	return err
}

// FailedTables returns the keys of the tables that failed, were cancelled or were left unfinished in a run, in order: what
// a retry of the run has to do again. None: the run failed before its first table, or all went well.
func (s *Store) FailedTables(ctx context.Context, runID string) ([]string, error) {
	list, err := collect(ctx, s.reader, func(row scanner) (name string, err error) {
		err = row.Scan(&name)
		return name, err
	},
		`SELECT table_name FROM arus_run_logs_run_table_stats WHERE run_id = ? AND status NOT IN ('success', 'skipped') ORDER BY id`, runID)
	return list, fail(err, "list the failed tables of run %s", runID)
}
