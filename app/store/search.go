package store

import (
	"context"
	"strings"
)

// Found is something whose name matches a search. Kind is source, destination, pipeline, table or run; a table has the id
// of its pipeline, and a run the name of it.
type Found struct {
	Kind, ID, Name, Detail string
}

// Search finds by a part of the name, or the beginning of a run's id, at most limit of each kind, those that begin with the
// text first.
func (s *Store) Search(ctx context.Context, text string, limit int) ([]Found, error) {
	escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
	list := []Found{}
	err := s.read(ctx, func(tx *transaction) error {
		for _, q := range []string{
			`SELECT 'source', id, name, type FROM arus_config_sources WHERE name LIKE ?1 ESCAPE '\' ORDER BY name LIKE ?2 ESCAPE '\' DESC, name LIMIT ?3`,
			`SELECT 'destination', id, name, type FROM arus_config_destinations WHERE name LIKE ?1 ESCAPE '\' ORDER BY name LIKE ?2 ESCAPE '\' DESC, name LIMIT ?3`,
			`SELECT 'pipeline', id, name, status FROM arus_config_pipelines WHERE name LIKE ?1 ESCAPE '\' ORDER BY name LIKE ?2 ESCAPE '\' DESC, name LIMIT ?3`,
			`SELECT 'table', p.id, t.source_table, p.name FROM arus_config_pipeline_tables t JOIN arus_config_pipelines p ON p.id = t.pipeline_id
				WHERE t.enabled = 1 AND t.source_table LIKE ?1 ESCAPE '\' ORDER BY t.source_table LIKE ?2 ESCAPE '\' DESC, t.source_table, p.name LIMIT ?3`,
			`SELECT 'run', r.id, p.name, r.status FROM arus_run_logs_runs r JOIN arus_config_pipelines p ON p.id = r.pipeline_id
				WHERE r.id >= ?4 AND r.id < ?4 || 'g' ORDER BY r.id DESC LIMIT ?3`,
		} {
			found, err := collect(ctx, tx, func(row scanner) (f Found, err error) {
				err = row.Scan(&f.Kind, &f.ID, &f.Name, null(&f.Detail, ""))
				return f, err
			}, q, "%"+escaped+"%", escaped+"%", limit, strings.ToLower(text))
			if err != nil {
				return err
			}
			list = append(list, found...)
		}
		return nil
	})
	return list, fail(err, "search for %q", text)
}
