package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"arus/app/model"
)

const schemaColumns = `pipeline_id, source_table, columns, key_columns, base_run_id, reconciled_at, updated_at,
	(SELECT count(*) FROM arus_state_schema_changes c WHERE c.pipeline_id = t.pipeline_id AND c.source_table = t.source_table AND c.done_run_id IS NULL)`

func scanTableSchema(row scanner) (model.TableSchema, error) {
	var t model.TableSchema
	var columns string
	err := row.Scan(&t.PipelineID, &t.SourceTable, &columns, jsonScanner{&t.Key}, null(&t.BaseRunID, ""), timeScanner{&t.ReconciledAt}, timeScanner{&t.UpdatedAt}, &t.Open)
	t.Columns = json.RawMessage(columns)
	return t, err
}

// GetTableSchema returns what the target of the table holds, the zero TableSchema before its first load.
func (s *Store) GetTableSchema(ctx context.Context, pipelineID, sourceTable string) (model.TableSchema, error) {
	t, err := scanTableSchema(s.reader.QueryRowContext(ctx, `SELECT `+schemaColumns+` FROM arus_state_table_schemas t WHERE pipeline_id = ? AND source_table = ?`, pipelineID, sourceTable))
	if errors.Is(err, sql.ErrNoRows) {
		return model.TableSchema{PipelineID: pipelineID, SourceTable: sourceTable}, nil
	}
	return t, fail(err, "get the schema of table %q", sourceTable)
}

// TableSchemas returns what the targets of some tables hold. Those without a first load are absent.
func (s *Store) TableSchemas(ctx context.Context, pipelineID string, tables []string) ([]model.TableSchema, error) {
	list, err := collect(ctx, s.reader, scanTableSchema, `SELECT `+schemaColumns+` FROM arus_state_table_schemas t
		WHERE pipeline_id = ? AND source_table IN (SELECT value FROM json_each(?))`, pipelineID, listJSON(tables))
	return list, fail(err, "get the schemas of %d tables", len(tables))
}

// SaveTableSchema adds or replaces the schema of its pipeline and table and fills its time.
func (s *Store) SaveTableSchema(ctx context.Context, t *model.TableSchema) error {
	row := *t
	row.UpdatedAt = s.now()
	_, err := s.writer.ExecContext(ctx, `INSERT INTO arus_state_table_schemas
		(pipeline_id, source_table, columns, key_columns, base_run_id, reconciled_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (pipeline_id, source_table) DO UPDATE SET columns = excluded.columns, key_columns = excluded.key_columns,
			base_run_id = excluded.base_run_id, reconciled_at = excluded.reconciled_at, updated_at = excluded.updated_at`,
		row.PipelineID, row.SourceTable, string(row.Columns), listJSON(row.Key), orNull(row.BaseRunID), stamp(row.ReconciledAt), stamp(row.UpdatedAt))
	if err == nil {
		*t = row
	}
	return fail(err, "save the schema of table %q", t.SourceTable)
}

const changeColumns = `id, pipeline_id, source_table, kind, column_name, from_type, to_type, run_id, detected_at, status,
	decided_by, decided_at, done_run_id`

func scanChange(row scanner) (model.SchemaChange, error) {
	var c model.SchemaChange
	err := row.Scan(&c.ID, &c.PipelineID, &c.SourceTable, &c.Kind, &c.Column, &c.From, &c.To, &c.RunID, timeScanner{&c.DetectedAt}, &c.Status,
		null(&c.DecidedBy, ""), timeScanner{&c.DecidedAt}, null(&c.DoneRunID, ""))
	return c, err
}

// RecordSchemaChanges stores the changes that a run found in a table's schema, and returns them in their order: one that is
// open already as it is stored, with what was decided about it. Open changes that were not found are gone at the source
// and closed as ignored.
func (s *Store) RecordSchemaChanges(ctx context.Context, pipelineID, sourceTable, runID string, found []model.SchemaChange) (list []model.SchemaChange, err error) {
	err = s.write(ctx, func(tx *transaction) error {
		open, err := collect(ctx, tx, scanChange, `SELECT `+changeColumns+` FROM arus_state_schema_changes
			WHERE pipeline_id = ? AND source_table = ? AND done_run_id IS NULL`, pipelineID, sourceTable)
		if err != nil {
			return err
		}
		type identity struct {
			kind             model.ChangeKind
			column, from, to string
		}
		stored := map[identity]model.SchemaChange{}
		for _, c := range open {
			stored[identity{c.Kind, c.Column, c.From, c.To}] = c
		}
		for _, c := range found {
			id := identity{c.Kind, c.Column, c.From, c.To}
			if have, ok := stored[id]; ok {
				delete(stored, id)
				list = append(list, have)
				continue
			}
			c.PipelineID, c.SourceTable, c.RunID, c.DetectedAt, c.Status = pipelineID, sourceTable, runID, s.now(), model.ChangePending
			if err := giveID(&c.ID); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO arus_state_schema_changes (`+changeColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				c.ID, c.PipelineID, c.SourceTable, c.Kind, c.Column, c.From, c.To, c.RunID, stamp(c.DetectedAt), c.Status,
				nil, nil, nil); err != nil {
				return err
			}
			list = append(list, c)
		}
		for _, gone := range stored {
			if _, err := tx.ExecContext(ctx, `UPDATE arus_state_schema_changes SET status = 'ignored', decided_by = coalesce(decided_by, 'source'),
				decided_at = coalesce(decided_at, ?), done_run_id = ? WHERE id = ?`, stamp(s.now()), runID, gone.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fail(err, "record the schema changes of table %q", sourceTable)
	}
	return list, nil
}

// FollowSchemaChanges closes changes that a run has followed. Those that nobody decided about were decided by the policy.
func (s *Store) FollowSchemaChanges(ctx context.Context, runID string, ids []string) error {
	_, err := s.writer.ExecContext(ctx, `UPDATE arus_state_schema_changes SET status = 'applied', done_run_id = ?,
		decided_by = coalesce(decided_by, 'policy'), decided_at = coalesce(decided_at, ?) WHERE id IN (SELECT value FROM json_each(?))`,
		runID, stamp(s.now()), listJSON(ids))
	return fail(err, "close schema changes")
}

// DecideSchemaChange keeps what a person decided about an open change. ErrNotFound: there is no such change, or a run has
// followed it already.
func (s *Store) DecideSchemaChange(ctx context.Context, id string, status model.ChangeStatus, by string) (model.SchemaChange, error) {
	c, err := scanChange(s.writer.QueryRowContext(ctx, `UPDATE arus_state_schema_changes SET status = ?, decided_by = ?, decided_at = ?
		WHERE id = ? AND done_run_id IS NULL RETURNING `+changeColumns, status, by, stamp(s.now()), id))
	return c, fail(err, "decide about schema change %s", id)
}

// ChangeFilter narrows a list of schema changes. Empty fields do not filter.
type ChangeFilter struct {
	PipelineID string
	Table      string
	Status     model.ChangeStatus
	Open       bool // only those that no run has followed
	Page
}

// ListSchemaChanges returns one page of the schema changes, newest first, and how many match.
func (s *Store) ListSchemaChanges(ctx context.Context, f ChangeFilter) (list []model.SchemaChange, total int, err error) {
	const where = ` FROM arus_state_schema_changes WHERE (?1 = '' OR pipeline_id = ?1) AND (?2 = '' OR source_table = ?2)
		AND (?3 = '' OR status = ?3) AND (?4 = 0 OR done_run_id IS NULL)`
	limit, offset := f.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+where, f.PipelineID, f.Table, f.Status, f.Open).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanChange, `SELECT `+changeColumns+where+` ORDER BY detected_at DESC, id DESC LIMIT ?5 OFFSET ?6`,
			f.PipelineID, f.Table, f.Status, f.Open, limit, offset)
		return err
	})
	return list, total, fail(err, "list schema changes")
}
