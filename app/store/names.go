package store

import (
	"context"

	"arus/app/model"
)

// keyRunes is how much of a name its key has: less than any database cuts a name to.
const keyRunes = 12

// NameKey is the beginning of a table's name at the destination. Two tables that are one have the same.
func NameKey(name string) string {
	n := 0
	for i := range name {
		if n++; n > keyRunes {
			return name[:i]
		}
	}
	return name
}

// nameKeys are the keys of a configured table: of its target, and of its raw table where it has one. The names are those that
// the engine gives.
func nameKeys(source string, t model.PipelineTable) (target string, raw any) {
	slug := model.Slug(t.SourceTable)
	if t.SourceSchema != model.UnsetSchema && t.SourceSchema != "" {
		slug = model.Slug(t.SourceSchema + "_" + t.SourceTable)
	}
	if t.LoadMode == model.LoadRaw {
		raw = NameKey(model.Slug(source) + "_" + slug + "_raw")
	}
	if t.TargetTable != "" {
		slug = t.TargetTable
	}
	return NameKey(slug), raw
}

// renamedRaw gives the raw tables of a source's pipelines the keys that follow from its name.
func renamedRaw(ctx context.Context, tx *transaction, sourceID, name string) error {
	tables, err := collect(ctx, tx, scanTable, `SELECT `+tableColumns+` FROM arus_config_pipeline_tables WHERE load_mode = 'raw'
		AND pipeline_id IN (SELECT id FROM arus_config_pipelines WHERE source_id = ?)`, sourceID)
	if err != nil {
		return err
	}
	for _, t := range tables {
		_, raw := nameKeys(name, t)
		if _, err := tx.ExecContext(ctx, `UPDATE arus_config_pipeline_tables SET raw_key = ? WHERE id = ?`, raw, t.ID); err != nil {
			return err
		}
	}
	return nil
}

// Alike returns the pipelines to a destination, but the one with the id, of which a table could have one of the names.
func (s *Store) Alike(ctx context.Context, destinationID, but string, names []string) (list []model.Pipeline, err error) {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = NameKey(name)
	}
	err = s.read(ctx, func(tx *transaction) error {
		ids, err := collect(ctx, tx, func(row scanner) (id string, err error) {
			err = row.Scan(&id)
			return id, err
		},
			`SELECT t.pipeline_id FROM arus_config_pipeline_tables t WHERE t.target_key IN (SELECT value FROM json_each(?1))
			UNION SELECT t.pipeline_id FROM arus_config_pipeline_tables t WHERE t.raw_key IN (SELECT value FROM json_each(?1))
			UNION SELECT t.pipeline_id FROM arus_config_pipeline_tables t WHERE t.target_key IS NULL`, listJSON(keys))
		if err != nil || len(ids) == 0 {
			return err
		}
		list, err = collect(ctx, tx, scanPipeline, `SELECT `+pipelineColumns+` FROM arus_config_pipelines
			WHERE id IN (SELECT value FROM json_each(?1)) AND destination_id = ?2 AND id <> ?3 ORDER BY name, id`, listJSON(ids), destinationID, but)
		if err != nil {
			return err
		}
		return attachTables(ctx, tx, list)
	})
	return list, fail(err, "find pipelines that fill the same tables")
}
