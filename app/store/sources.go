package store

import (
	"context"

	"arus/app/model"
)

const sourceColumns = `id, name, type, host, port, database, username, password_enc, ssl, uri, auth_source, sync_method,
	table_include, table_exclude, schema_include, status, last_tested, last_error, options, created_at, updated_at`

func scanSource(row scanner) (model.Source, error) {
	var s model.Source
	err := row.Scan(&s.ID, &s.Name, &s.Type, &s.Host, &s.Port, &s.Database, &s.Username, &s.PasswordEnc, null(&s.SSL, false),
		null(&s.URI, ""), null(&s.AuthSource, ""), null(&s.SyncMethod, model.SyncAuto), jsonScanner{&s.TableInclude},
		jsonScanner{&s.TableExclude}, jsonScanner{&s.SchemaInclude}, null(&s.Status, model.ConnectionRegistered),
		timeScanner{&s.LastTested}, null(&s.LastError, ""), jsonScanner{&s.Options}, timeScanner{&s.CreatedAt}, timeScanner{&s.UpdatedAt})
	return s, err
}

// CreateSource adds the source and fills its id, times and unset defaults. ErrConflict: the name is taken.
func (s *Store) CreateSource(ctx context.Context, src *model.Source) error {
	row := *src
	row.SetDefaults()
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.CreatedAt, row.UpdatedAt = s.now(), s.now()
	options, err := asJSON(row.Options)
	if err != nil {
		return fail(err, "create source %q", row.Name)
	}
	_, err = s.writer.ExecContext(ctx, `INSERT INTO arus_config_sources (`+sourceColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.ID, row.Name, row.Type, row.Host, row.Port, row.Database, row.Username, row.PasswordEnc, row.SSL, orNull(row.URI),
		orNull(row.AuthSource), row.SyncMethod, listJSON(row.TableInclude), listJSON(row.TableExclude), listJSON(row.SchemaInclude),
		row.Status, stamp(row.LastTested), orNull(row.LastError), options, stamp(row.CreatedAt), stamp(row.UpdatedAt))
	if err != nil {
		return fail(err, "create source %q", row.Name)
	}
	*src = row
	return nil
}

// UpdateSource replaces every field of the source but its id and creation time. ErrNotFound, ErrConflict.
func (s *Store) UpdateSource(ctx context.Context, src *model.Source) error {
	row := *src
	row.SetDefaults()
	row.UpdatedAt = s.now()
	options, err := asJSON(row.Options)
	if err != nil {
		return fail(err, "update source %q", row.Name)
	}
	err = s.writer.QueryRowContext(ctx, `UPDATE arus_config_sources SET name = ?, type = ?, host = ?, port = ?, database = ?,
		username = ?, password_enc = ?, ssl = ?, uri = ?, auth_source = ?, sync_method = ?, table_include = ?, table_exclude = ?,
		schema_include = ?, status = ?, last_tested = ?, last_error = ?, options = ?, updated_at = ? WHERE id = ? RETURNING created_at`,
		row.Name, row.Type, row.Host, row.Port, row.Database, row.Username, row.PasswordEnc, row.SSL, orNull(row.URI),
		orNull(row.AuthSource), row.SyncMethod, listJSON(row.TableInclude), listJSON(row.TableExclude), listJSON(row.SchemaInclude),
		row.Status, stamp(row.LastTested), orNull(row.LastError), options, stamp(row.UpdatedAt), row.ID).Scan(timeScanner{&row.CreatedAt})
	if err != nil {
		return fail(err, "update source %q", row.Name)
	}
	*src = row
	return nil
}

// SetSourceStatus records a connection test made now. message is why it failed, or empty.
func (s *Store) SetSourceStatus(ctx context.Context, id string, status model.ConnectionStatus, message string) error {
	return fail(changed(s.writer.ExecContext(ctx, `UPDATE arus_config_sources SET status = ?, last_error = ?, last_tested = ? WHERE id = ?`,
		status, orNull(message), stamp(s.now()), id)), "record the test of source %s", id)
}

// GetSource returns the source with the id.
func (s *Store) GetSource(ctx context.Context, id string) (model.Source, error) {
	src, err := scanSource(s.reader.QueryRowContext(ctx, `SELECT `+sourceColumns+` FROM arus_config_sources WHERE id = ?`, id))
	return src, fail(err, "get source %s", id)
}

// FindSource returns the source with that id or else that name.
func (s *Store) FindSource(ctx context.Context, idOrName string) (model.Source, error) {
	src, err := scanSource(s.reader.QueryRowContext(ctx, `SELECT `+sourceColumns+` FROM arus_config_sources
		WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1`, idOrName))
	return src, fail(err, "find source %q", idOrName)
}

// ListSources returns one page of the sources by name, and how many there are.
func (s *Store) ListSources(ctx context.Context, page Page) (list []model.Source, total int, err error) {
	limit, offset := page.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*) FROM arus_config_sources`).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanSource, `SELECT `+sourceColumns+` FROM arus_config_sources ORDER BY name, id LIMIT ? OFFSET ?`, limit, offset)
		return err
	})
	return list, total, fail(err, "list sources")
}

// DeleteSource removes the source with its pipelines and everything that belongs to them, runs and watermarks included.
// ErrRunActive: one of its pipelines is running.
func (s *Store) DeleteSource(ctx context.Context, id string) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		if err := forgetPipelines(ctx, tx, `source_id = ?`, id); err != nil {
			return err
		}
		return changed(tx.ExecContext(ctx, `DELETE FROM arus_config_sources WHERE id = ?`, id))
	}), "delete source %s", id)
}
