package warehouse

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// Tables lists the tables by their schemas. Those whose names begin with _ are
// only found by their names.
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
		t := s.table(name)
		v, err := t.look(ctx)
		if err != nil {
			return nil, t.readError(fail(ctx, op, name, err))
		}
		found := v.layout.describe()
		found.Name = name
		found.RowEstimate, err = v.Rows(ctx)
		found.Bytes = v.bytes()
		if err := errors.Join(err, v.Close()); err != nil {
			return nil, fail(ctx, op, name, err)
		}
		tables = append(tables, found)
	}
	return tables, nil
}

// bytes is what the table takes on disk.
func (v *View) bytes() int64 {
	n := int64(0)
	if info, err := os.Stat(v.table.file(liveFile)); err == nil {
		n = info.Size()
	}
	for _, p := range v.parts {
		n += p.info.Bytes
	}
	return n
}

// tableNames lists the directories that hold a table.
func tableNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); schema.ValidName(name) && newStorage(dir).table(name).exists() {
			names = append(names, name)
		}
	}
	return names, nil
}
