package postgres

import "context"

// schemasQuery names the schemas that are not the system's and that the user may use.
const schemasQuery = `
SELECT n.nspname FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
ORDER BY n.nspname`

// Schemas names the schemas whose tables may be read.
func (s *Source) Schemas(ctx context.Context) ([]string, error) {
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer s.release(conn)
	rows, err := query(ctx, conn, schemasQuery)
	if err != nil {
		return nil, s.fail(ctx, "list the schemas of", s.address, "", err)
	}
	names := make([]string, len(rows))
	for i, row := range rows {
		names[i] = string(row[0])
	}
	return names, nil
}
