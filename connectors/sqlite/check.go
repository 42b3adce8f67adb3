package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// check tests a file in stages: that it is one that can be read, that it is a
// database, and that its tables can be read.
func check(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) []connectors.Stage {
	t := connectors.NewStages(cfg, opts)
	ctx, cancel := t.Bound(ctx)
	defer cancel()
	t.Run(ctx, connectors.Stage{Name: connectors.StageFile}, func(_ context.Context, found *connectors.Stage) error {
		if err := checkFile("open", cfg.Database); err != nil {
			return err
		}
		info, err := os.Stat(cfg.Database)
		if err != nil {
			return err
		}
		found.Detail = fmt.Sprintf("%s, %s, changed %s", cfg.Database, connectors.ByteSize(info.Size()), info.ModTime().UTC().Format(time.DateTime+"Z"))
		return nil
	})
	var source *Source
	t.Run(ctx, connectors.Stage{Name: connectors.StageOpen}, func(ctx context.Context, found *connectors.Stage) (err error) {
		if source, err = openSource(ctx, cfg); err != nil {
			return err
		}
		return source.with(ctx, "open", source.path, func(c *lite.Conn) error {
			version, err := c.One(ctx, "SELECT sqlite_version()")
			if err != nil {
				return err
			}
			journal, err := c.One(ctx, "PRAGMA journal_mode")
			found.Version = "SQLite " + lite.String(version)
			found.Detail = fmt.Sprintf("a database, journal mode %s; read by %s", lite.String(journal), found.Version)
			return err
		})
	})
	defer func() {
		if source != nil {
			_ = source.Close()
		}
	}()
	t.Run(ctx, connectors.Stage{Name: connectors.StageRead}, func(ctx context.Context, found *connectors.Stage) error {
		tables, err := source.Tables(ctx, opts.Tables)
		if err != nil {
			return err
		}
		var names []string
		for _, table := range tables {
			names = append(names, table.Name)
			err := source.with(ctx, "read", table.Name, func(c *lite.Conn) error {
				_, err := c.One(ctx, "SELECT 1 FROM "+connectors.Quote(table.Name, '"')+" LIMIT 1")
				return err
			})
			if err != nil {
				return err
			}
		}
		for _, name := range opts.Tables.Names {
			if !slices.Contains(names, name) {
				return &connectors.Error{Kind: connectors.KindNotFound, Err: errors.New("the file has no table " + name), Hint: "check the names, or discover the tables again"}
			}
		}
		if len(tables) == 0 {
			found.Status, found.Detail, found.Hint = connectors.StageWarning, "the file has no table to read", "check that it is the file that is meant"
			return nil
		}
		found.Detail = connectors.Count(len(tables), "table") + " may be read"
		return nil
	})
	return t.List()
}
