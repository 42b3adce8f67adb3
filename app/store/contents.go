package store

import (
	"context"
	"strings"
)

// Contents is how much a state file holds.
type Contents struct {
	Users, Sources, Destinations, Pipelines, Runs int64
}

// Contents counts what is in the state file.
func (s *Store) Contents(ctx context.Context) (Contents, error) {
	c, err := contents(ctx, s.reader)
	return c, fail(err, "count what is in the state file")
}

// ContentsOf counts what is in a state file that no program has open.
func ContentsOf(ctx context.Context, file string) (Contents, error) {
	db, err := openPool(ctx, file, 1, readerPragmas, "deferred")
	if err != nil {
		return Contents{}, fail(err, "open %s", file)
	}
	defer func() { _ = db.Close() }()
	c, err := contents(ctx, db)
	return c, fail(err, "count what is in %s", file)
}

func contents(ctx context.Context, db querier) (c Contents, err error) {
	for table, n := range map[string]*int64{
		"arus_config_users": &c.Users, "arus_config_sources": &c.Sources, "arus_config_destinations": &c.Destinations,
		"arus_config_pipelines": &c.Pipelines, "arus_run_logs_runs": &c.Runs,
	} {
		_, err := collect(ctx, db, func(row scanner) (struct{}, error) { return struct{}{}, row.Scan(n) }, "SELECT count(*) FROM "+table)
		if err != nil && !strings.Contains(err.Error(), "no such table") { // an older file lacks some
			return c, err
		}
	}
	return c, nil
}
