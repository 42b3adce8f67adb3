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
	err = s.write(ctx, func(tx *transaction) error {
		if err := renamedRaw(ctx, tx, row.ID, row.Name); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `UPDATE arus_config_sources SET name = ?, type = ?, host = ?, port = ?, database = ?,
		username = ?, password_enc = ?, ssl = ?, uri = ?, auth_source = ?, sync_method = ?, table_include = ?, table_exclude = ?,
		schema_include = ?, status = ?, last_tested = ?, last_error = ?, options = ?, updated_at = ? WHERE id = ? RETURNING created_at`,
			row.Name, row.Type, row.Host, row.Port, row.Database, row.Username, row.PasswordEnc, row.SSL, orNull(row.URI),
			orNull(row.AuthSource), row.SyncMethod, listJSON(row.TableInclude), listJSON(row.TableExclude), listJSON(row.SchemaInclude),
			row.Status, stamp(row.LastTested), orNull(row.LastError), options, stamp(row.UpdatedAt), row.ID).Scan(timeScanner{&row.CreatedAt})
	})
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

// EndFilter narrows a list of sources or destinations. Empty fields do not filter.
type EndFilter struct {
	Name   string // a part of the name, the host or the database
	Type   string
	Status model.ConnectionStatus
	Page
}

// endWhere is the condition of an EndFilter with the arguments 1 to 3.
const endWhere = ` WHERE (?1 = '' OR instr(lower(name || ' ' || coalesce(host, '') || ' ' || coalesce(database, '')), lower(?1)) > 0)
	AND (?2 = '' OR type = ?2) AND (?3 = '' OR coalesce(status, 'registered') = ?3)`

// ListSources returns one page of the sources by name, and how many there are.
func (s *Store) ListSources(ctx context.Context, page Page) ([]model.Source, int, error) {
	return s.FilterSources(ctx, EndFilter{Page: page})
}

// FilterSources returns one page of the sources that a filter lets through, by name, and how many these are.
func (s *Store) FilterSources(ctx context.Context, f EndFilter) (list []model.Source, total int, err error) {
	limit, offset := f.args()
	const from = ` FROM arus_config_sources` + endWhere
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+from, f.Name, f.Type, f.Status).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanSource, `SELECT `+sourceColumns+from+` ORDER BY name, id LIMIT ?4 OFFSET ?5`, f.Name, f.Type, f.Status, limit, offset)
		return err
	})
	return list, total, fail(err, "list sources")
}

// Use is how many pipelines a source or destination is an end of, and how many tables these copy.
type Use struct{ Pipelines, Tables int64 }

// SourceUse returns the use of the sources that have any, by id.
func (s *Store) SourceUse(ctx context.Context) (map[string]Use, error) {
	return s.use(ctx, "source_id")
}

// DestinationUse returns the use of the destinations that have any, by id.
func (s *Store) DestinationUse(ctx context.Context) (map[string]Use, error) {
	return s.use(ctx, "destination_id")
}

func (s *Store) use(ctx context.Context, end string) (map[string]Use, error) {
	type row struct {
		id string
		Use
	}
	list, err := collect(ctx, s.reader, func(sc scanner) (r row, err error) {
		err = sc.Scan(&r.id, &r.Pipelines, &r.Tables)
		return r, err
	}, `SELECT p.`+end+`, count(DISTINCT p.id), count(t.id) FROM arus_config_pipelines p
		LEFT JOIN arus_config_pipeline_tables t ON t.pipeline_id = p.id AND t.enabled = 1 GROUP BY 1`)
	uses := make(map[string]Use, len(list))
	for _, r := range list {
		uses[r.id] = r.Use
	}
	return uses, fail(err, "count what connections are used for")
}

// CopiedTables returns by how many pipelines each table of a source is copied, by the key of model.PipelineTable.
func (s *Store) CopiedTables(ctx context.Context, sourceID string) (map[string]int64, error) {
	type row struct {
		model.PipelineTable
		n int64
	}
	list, err := collect(ctx, s.reader, func(sc scanner) (r row, err error) {
		err = sc.Scan(null(&r.SourceSchema, ""), &r.SourceTable, &r.n)
		return r, err
	}, `SELECT t.source_schema, t.source_table, count(*) FROM arus_config_pipeline_tables t JOIN arus_config_pipelines p ON p.id = t.pipeline_id
		WHERE p.source_id = ? AND t.enabled = 1 GROUP BY 1, 2`, sourceID)
	counts := make(map[string]int64, len(list))
	for _, r := range list {
		counts[r.Key()] += r.n
	}
	return counts, fail(err, "count the copied tables of source %s", sourceID)
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
