package warehouse

import (
	"context"
	"os"
	"slices"
	"strings"

	"arus/connectors"
)

// Tables lists the tables by their schema files. Raw tables, and those whose
// names begin with _, are only found by their names.
func (s *Source) Tables(ctx context.Context, filter connectors.TableFilter) ([]connectors.Table, error) {
	const op = "discover tables of"
	if err := filter.Check(); err != nil {
		return nil, err
	}
	names, err := tableNames(s.dir)
	if err != nil {
		return nil, fileError(op, s.dir, err)
	}
	var tables []connectors.Table
	for _, name := range names {
		named := slices.Contains(filter.Names, name)
		if !filter.Admits(connectors.TableRef{Name: name}) || !named && strings.HasPrefix(name, "_") {
			continue
		}
		l, err := tableOf(s.dir, name).open(ctx)
		if err != nil {
			return nil, err
		}
		t := l.schema.table()
		t.Name, t.RowEstimate = name, l.manifest.Rows
		raw := l.schema.isRaw()
		if info, err := os.Stat(tableOf(s.dir, name).file(l.manifest.Live)); err == nil {
			t.Bytes = info.Size()
		}
		if err := l.close(); err != nil {
			return nil, fail(ctx, op, name, err)
		}
		if named || !raw {
			tables = append(tables, t)
		}
	}
	return tables, nil
}

// tableNames lists the directories that hold a table.
func tableNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); len(name) <= maxName && namePattern.MatchString(name) && fileExists(tableOf(dir, name).file(manifestFile)) {
			names = append(names, name)
		}
	}
	return names, nil
}
