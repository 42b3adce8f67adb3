package warehouse

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"arus/connectors"
)

// Tables lists the tables by their schema files. Raw tables, and those whose
// names begin with _, are only found by their names.
func (s *Source) Tables(ctx context.Context, filter connectors.TableFilter) ([]connectors.Table, error) {
	const op = "discover tables of"
	for _, p := range slices.Concat(filter.Include, filter.Exclude) {
		if !doublestar.ValidatePattern(p) {
			return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: s.dir, Err: fmt.Errorf("the pattern %q is malformed", p)}
		}
	}
	names, err := tableNames(s.dir)
	if err != nil {
		return nil, fileError(op, s.dir, err)
	}
	var tables []connectors.Table
	for _, name := range names {
		named := slices.Contains(filter.Names, name)
		if len(filter.Names) > 0 && !named || !admits(filter, name) || !named && strings.HasPrefix(name, "_") {
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

func admits(filter connectors.TableFilter, name string) bool {
	matches := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return doublestar.MatchUnvalidated(p, name) })
	}
	return (len(filter.Include) == 0 || matches(filter.Include)) && !matches(filter.Exclude)
}
