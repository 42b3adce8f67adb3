package store

import (
	"context"

	"arus/app/model"
)

const scriptColumns = `id, pipeline_id, name, description, content, created_at, updated_at`

func scanScript(row scanner) (model.Script, error) {
	var s model.Script
	err := row.Scan(&s.ID, null(&s.PipelineID, ""), &s.Name, null(&s.Description, ""), &s.Content, timeScanner{&s.CreatedAt}, timeScanner{&s.UpdatedAt})
	return s, err
}

// CreateScript adds the script and fills its id and times. ErrConflict: the pipeline has one of that name.
func (s *Store) CreateScript(ctx context.Context, script *model.Script) error {
	row := *script
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.CreatedAt, row.UpdatedAt = s.now(), s.now()
	_, err := s.writer.ExecContext(ctx, `INSERT INTO arus_config_transform_scripts (`+scriptColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		row.ID, row.PipelineID, row.Name, orNull(row.Description), row.Content, stamp(row.CreatedAt), stamp(row.UpdatedAt))
	if err != nil {
		return fail(err, "create script %q", row.Name)
	}
	*script = row
	return nil
}

// UpdateScript replaces name, description and content. ErrNotFound, also when the script is another pipeline's; ErrConflict.
func (s *Store) UpdateScript(ctx context.Context, script *model.Script) error {
	row := *script
	row.UpdatedAt = s.now()
	err := s.writer.QueryRowContext(ctx, `UPDATE arus_config_transform_scripts SET name = ?, description = ?, content = ?, updated_at = ?
		WHERE id = ? AND pipeline_id = ? RETURNING created_at`, row.Name, orNull(row.Description), row.Content, stamp(row.UpdatedAt),
		row.ID, row.PipelineID).Scan(timeScanner{&row.CreatedAt})
	if err != nil {
		return fail(err, "update script %q", row.Name)
	}
	*script = row
	return nil
}

// GetScript returns a script of the pipeline. ErrNotFound, also when it is another pipeline's.
func (s *Store) GetScript(ctx context.Context, pipelineID, id string) (model.Script, error) {
	row, err := scanScript(s.reader.QueryRowContext(ctx, `SELECT `+scriptColumns+` FROM arus_config_transform_scripts
		WHERE id = ? AND pipeline_id = ?`, id, pipelineID))
	return row, fail(err, "get script %s", id)
}

// FindScript returns the script of that name of the pipeline. ErrNotFound.
func (s *Store) FindScript(ctx context.Context, pipelineID, name string) (model.Script, error) {
	row, err := scanScript(s.reader.QueryRowContext(ctx, `SELECT `+scriptColumns+` FROM arus_config_transform_scripts
		WHERE pipeline_id = ? AND name = ?`, pipelineID, name))
	return row, fail(err, "find script %q", name)
}

// ListScripts returns one page of the pipeline's scripts by name, and how many there are.
func (s *Store) ListScripts(ctx context.Context, pipelineID string, page Page) (list []model.Script, total int, err error) {
	limit, offset := page.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		err = tx.QueryRowContext(ctx, `SELECT count(*) FROM arus_config_transform_scripts WHERE pipeline_id = ?`, pipelineID).Scan(&total)
		if err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanScript, `SELECT `+scriptColumns+` FROM arus_config_transform_scripts WHERE pipeline_id = ?
			ORDER BY name, id LIMIT ? OFFSET ?`, pipelineID, limit, offset)
		return err
	})
	return list, total, fail(err, "list the scripts of pipeline %s", pipelineID)
}

// DeleteScript removes a script of the pipeline. ErrNotFound, also when it is another pipeline's.
func (s *Store) DeleteScript(ctx context.Context, pipelineID, id string) error {
	return fail(changed(s.writer.ExecContext(ctx, `DELETE FROM arus_config_transform_scripts WHERE id = ? AND pipeline_id = ?`, id, pipelineID)),
		"delete script %s", id)
}
