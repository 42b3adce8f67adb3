package store

import (
	"context"
	"encoding/json"

	"arus/app/model"
)

const pipelineColumns = `id, name, source_id, destination_id, status, schedule, max_retries, timeout_seconds, depends_on,
	target_schema, load_mode, sync_key, options, created_at, updated_at`

func scanPipeline(row scanner) (model.Pipeline, error) {
	p := model.Pipeline{Tables: []model.PipelineTable{}}
	err := row.Scan(&p.ID, &p.Name, null(&p.SourceID, ""), null(&p.DestinationID, ""), null(&p.Status, model.PipelineActive),
		null(&p.Schedule, ""), null(&p.MaxRetries, 3), null(&p.TimeoutSeconds, 300), null(&p.DependsOn, ""),
		null(&p.TargetSchema, model.UnsetSchema), null(&p.LoadMode, model.LoadDirect), null(&p.SyncKey, ""), jsonScanner{&p.Options},
		timeScanner{&p.CreatedAt}, timeScanner{&p.UpdatedAt})
	if p.Options.NullWatermark == "" {
		p.Options.NullWatermark = model.NullInclude
	}
	return p, err
}

const tableColumns = `id, pipeline_id, source_table, source_schema, target_schema, target_table, sync_mode, load_mode,
	watermark_column, key_columns, lookback_seconds, soft_delete_column, soft_delete, deletes, transform_config, enabled, position`

func scanTable(row scanner) (model.PipelineTable, error) {
	var t model.PipelineTable
	var steps string
	err := row.Scan(&t.ID, null(&t.PipelineID, ""), &t.SourceTable, null(&t.SourceSchema, model.UnsetSchema), null(&t.TargetSchema, ""),
		null(&t.TargetTable, ""), null(&t.SyncMode, model.ModeIncremental), null(&t.LoadMode, model.LoadDirect),
		null(&t.WatermarkColumn, ""), jsonScanner{&t.KeyColumns}, &t.LookbackSeconds, null(&t.SoftDeleteColumn, ""),
		null(&t.SoftDelete, ""), null(&t.Deletes, ""), null(&steps, ""), null(&t.Enabled, true), &t.Position)
	if steps != "" {
		t.TransformConfig = json.RawMessage(steps)
	}
	return t, err
}

// PipelineFilter narrows a list of pipelines. Empty fields do not filter.
type PipelineFilter struct {
	SourceID      string
	DestinationID string
	Status        model.PipelineStatus
	Name          string // a part of it
	Failing       bool   // only those whose last run failed
	Page
}

// CreatePipeline adds the pipeline with its tables, all or nothing, and fills ids, times, positions and unset defaults.
// ErrConflict: the name or the sync key is taken, or a table is listed twice. ErrInvalid: the source, the destination or
// the pipeline it depends on does not exist.
func (s *Store) CreatePipeline(ctx context.Context, p *model.Pipeline) error {
	row := clonePipeline(*p)
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.CreatedAt, row.UpdatedAt = s.now(), s.now()
	options, err := asJSON(row.Options)
	if err != nil {
		return fail(err, "create pipeline %q", row.Name)
	}
	err = s.write(ctx, func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO arus_config_pipelines (`+pipelineColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			row.ID, row.Name, orNull(row.SourceID), orNull(row.DestinationID), row.Status, orNull(row.Schedule), row.MaxRetries,
			row.TimeoutSeconds, orNull(row.DependsOn), row.TargetSchema, row.LoadMode, orNull(row.SyncKey), options,
			stamp(row.CreatedAt), stamp(row.UpdatedAt))
		if err != nil {
			return err
		}
		return insertTables(ctx, tx, &row)
	})
	if err != nil {
		return fail(err, "create pipeline %q", row.Name)
	}
	*p = row
	return nil
}

// UpdatePipeline replaces every field of the pipeline but its id and creation time, and all its tables, in one step.
// Tables keep the ids they come with. The errors are those of CreatePipeline and ErrNotFound.
func (s *Store) UpdatePipeline(ctx context.Context, p *model.Pipeline) error {
	row := clonePipeline(*p)
	row.UpdatedAt = s.now()
	options, err := asJSON(row.Options)
	if err != nil {
		return fail(err, "update pipeline %q", row.Name)
	}
	err = s.write(ctx, func(tx *transaction) error {
		err := tx.QueryRowContext(ctx, `UPDATE arus_config_pipelines SET name = ?, source_id = ?, destination_id = ?, status = ?,
			schedule = ?, max_retries = ?, timeout_seconds = ?, depends_on = ?, target_schema = ?, load_mode = ?, sync_key = ?,
			options = ?, updated_at = ? WHERE id = ? RETURNING created_at`,
			row.Name, orNull(row.SourceID), orNull(row.DestinationID), row.Status, orNull(row.Schedule), row.MaxRetries,
			row.TimeoutSeconds, orNull(row.DependsOn), row.TargetSchema, row.LoadMode, orNull(row.SyncKey), options,
			stamp(row.UpdatedAt), row.ID).Scan(timeScanner{&row.CreatedAt})
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM arus_config_pipeline_tables WHERE pipeline_id = ?`, row.ID); err != nil {
			return err
		}
		return insertTables(ctx, tx, &row)
	})
	if err != nil {
		return fail(err, "update pipeline %q", row.Name)
	}
	*p = row
	return nil
}

// clonePipeline returns a copy with defaults set that shares no table with the caller's, so that a failed write leaves the
// caller's value as it was.
func clonePipeline(p model.Pipeline) model.Pipeline {
	p.Tables = append([]model.PipelineTable{}, p.Tables...)
	p.SetDefaults()
	return p
}

func insertTables(ctx context.Context, tx *transaction, p *model.Pipeline) error {
	var source string
	if err := tx.QueryRowContext(ctx, `SELECT coalesce((SELECT name FROM arus_config_sources WHERE id = ?), '')`, p.SourceID).Scan(&source); err != nil {
		return err
	}
	for i := range p.Tables {
		t := &p.Tables[i]
		if err := giveID(&t.ID); err != nil {
			return err
		}
		t.PipelineID, t.Position = p.ID, i
		target, raw := nameKeys(source, *t)
		_, err := tx.ExecContext(ctx, `INSERT INTO arus_config_pipeline_tables (`+tableColumns+`, target_key, raw_key)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.ID, t.PipelineID, t.SourceTable, t.SourceSchema, orNull(t.TargetSchema), orNull(t.TargetTable), t.SyncMode, t.LoadMode,
			orNull(t.WatermarkColumn), listJSON(t.KeyColumns), t.LookbackSeconds, orNull(t.SoftDeleteColumn),
			orNull(t.SoftDelete), orNull(t.Deletes), orNull(string(t.TransformConfig)), t.Enabled, t.Position, target, raw)
		if err != nil {
			return fail(err, "table %q", t.Key())
		}
	}
	return nil
}

// SetPipelineStatus changes the status alone.
func (s *Store) SetPipelineStatus(ctx context.Context, id string, status model.PipelineStatus) error {
	return fail(changed(s.writer.ExecContext(ctx, `UPDATE arus_config_pipelines SET status = ?, updated_at = ? WHERE id = ?`,
		status, stamp(s.now()), id)), "set the status of pipeline %s", id)
}

// GetPipeline returns the pipeline with the id, with its tables.
func (s *Store) GetPipeline(ctx context.Context, id string) (model.Pipeline, error) {
	p, err := s.onePipeline(ctx, `id = ?1`, id)
	return p, fail(err, "get pipeline %s", id)
}

// FindPipeline returns the pipeline with that id, or else that name, with its tables.
func (s *Store) FindPipeline(ctx context.Context, idOrName string) (model.Pipeline, error) {
	p, err := s.onePipeline(ctx, `id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1`, idOrName)
	return p, fail(err, "find pipeline %q", idOrName)
}

// FindPipelineBySyncKey returns the pipeline of a one-line sync, with its tables.
func (s *Store) FindPipelineBySyncKey(ctx context.Context, key string) (model.Pipeline, error) {
	p, err := s.onePipeline(ctx, `sync_key = ?1`, key)
	return p, fail(err, "find the pipeline of a sync")
}

func (s *Store) onePipeline(ctx context.Context, where, arg string) (p model.Pipeline, err error) {
	err = s.read(ctx, func(tx *transaction) (err error) {
		p, err = scanPipeline(tx.QueryRowContext(ctx, `SELECT `+pipelineColumns+` FROM arus_config_pipelines WHERE `+where, arg))
		if err != nil {
			return err
		}
		p.Tables, err = collect(ctx, tx, scanTable, `SELECT `+tableColumns+` FROM arus_config_pipeline_tables
			WHERE pipeline_id = ? ORDER BY position, id`, p.ID)
		return err
	})
	return p, err
}

// ListPipelines returns one page of the pipelines by name, each with its tables, and how many match the filter.
func (s *Store) ListPipelines(ctx context.Context, f PipelineFilter) (list []model.Pipeline, total int, err error) {
	const where = ` FROM arus_config_pipelines WHERE (?1 = '' OR source_id = ?1) AND (?2 = '' OR destination_id = ?2) AND (?3 = '' OR status = ?3)
		AND (?4 = '' OR instr(lower(name), lower(?4)) > 0)
		AND (NOT ?5 OR (SELECT r.status FROM arus_run_logs_runs r WHERE r.pipeline_id = arus_config_pipelines.id ORDER BY r.started_at DESC LIMIT 1) = 'failed')`
	limit, offset := f.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+where, f.SourceID, f.DestinationID, f.Status, f.Name, f.Failing).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanPipeline, `SELECT `+pipelineColumns+where+` ORDER BY name, id LIMIT ?6 OFFSET ?7`,
			f.SourceID, f.DestinationID, f.Status, f.Name, f.Failing, limit, offset)
		if err != nil {
			return err
		}
		return attachTables(ctx, tx, list)
	})
	return list, total, fail(err, "list pipelines")
}

// attachTables fills the tables of all pipelines with one query.
func attachTables(ctx context.Context, tx *transaction, list []model.Pipeline) error {
	at := make(map[string]int, len(list))
	ids := make([]string, len(list))
	for i, p := range list {
		at[p.ID], ids[i] = i, p.ID
	}
	tables, err := collect(ctx, tx, scanTable, `SELECT `+tableColumns+` FROM arus_config_pipeline_tables
		WHERE pipeline_id IN (SELECT value FROM json_each(?)) ORDER BY position, id`, listJSON(ids))
	for _, t := range tables {
		p := &list[at[t.PipelineID]]
		p.Tables = append(p.Tables, t)
	}
	return err
}

// DeletePipeline removes the pipeline with its tables, scripts, watermarks, runs, notification links and quality results.
// What it loaded stays in the destination. ErrRunActive: it is running.
func (s *Store) DeletePipeline(ctx context.Context, id string) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		if err := forgetPipelines(ctx, tx, `id = ?`, id); err != nil {
			return err
		}
		return changed(tx.ExecContext(ctx, `DELETE FROM arus_config_pipelines WHERE id = ?`, id))
	}), "delete pipeline %s", id)
}

// forgetPipelines removes what names the matching pipelines without a foreign key. A running pipeline is refused: its run
// would go on to write about a pipeline that is gone.
func forgetPipelines(ctx context.Context, tx *transaction, where, arg string) error {
	these := ` WHERE pipeline_id IN (SELECT id FROM arus_config_pipelines WHERE ` + where + `)`
	var running bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM arus_run_logs_runs`+these+` AND status = 'running')`, arg).Scan(&running)
	if err != nil {
		return err
	}
	if running {
		return ErrRunActive
	}
	for _, table := range []string{
		"arus_state_watermarks", "arus_state_chunked_loads", "arus_run_logs_runs", "arus_config_pipeline_notifications", "arus_config_data_quality_log",
		"arus_state_table_schemas", "arus_state_schema_changes",
	} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+these, arg); err != nil {
			return err
		}
	}
	return nil
}
