package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// lowSpace is how little free space is worth a warning.
const lowSpace = 1 << 30

// check tests a warehouse in stages. A directory that a first load would make is
// made to try it, and removed again.
func check(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) []connectors.Stage {
	t := connectors.NewStages(cfg, opts)
	ctx, cancel := t.Bound(ctx)
	defer cancel()
	dir := cfg.Database
	t.Run(ctx, connectors.Stage{Name: connectors.StageDirectory}, func(_ context.Context, found *connectors.Stage) error {
		found.Detail = dir
		err := checkDir("open", dir)
		if opts.Destination && connectors.KindOf(err) == connectors.KindNotFound {
			found.Detail += " will be made by the first load"
			return nil
		}
		return err
	})
	if opts.Source {
		t.Run(ctx, connectors.Stage{Name: connectors.StageRead, As: connectors.AsSource}, func(ctx context.Context, found *connectors.Stage) error {
			return tryRead(ctx, dir, opts.Tables, found)
		})
	}
	if opts.Destination {
		t.Run(ctx, connectors.Stage{Name: connectors.StageWrite, As: connectors.AsDestination}, func(ctx context.Context, found *connectors.Stage) error {
			found.Detail = "written, read back and removed a table's file"
			return tryWrite(ctx, dir)
		})
	}
	t.Run(ctx, connectors.Stage{Name: connectors.StageSpace}, func(_ context.Context, found *connectors.Stage) error {
		free, err := connectors.FreeSpace(existing(dir))
		if err != nil {
			return fileError("ask the free space of", dir, err)
		}
		found.Detail = connectors.ByteSize(free) + " free"
		if opts.Destination && free < lowSpace {
			found.Status, found.Hint = connectors.StageWarning, "make room: a full refresh needs room for the old table and the new one"
		}
		return nil
	})
	return t.List()
}

func tryRead(ctx context.Context, dir string, filter connectors.TableFilter, found *connectors.Stage) error {
	if err := checkDir("read", dir); err != nil {
		return err
	}
	tables, err := (&Source{newStorage(dir)}).Tables(ctx, filter)
	if err != nil {
		return err
	}
	for _, name := range filter.Names {
		if !slices.ContainsFunc(tables, func(t connectors.Table) bool { return t.Name == name }) {
			return &connectors.Error{Kind: connectors.KindNotFound, Err: errors.New("the warehouse has no table " + name), Hint: "check the names, or discover the tables again"}
		}
	}
	if found.Detail = connectors.Count(len(tables), "table") + " may be read"; len(tables) == 0 {
		found.Status, found.Detail = connectors.StageWarning, "the warehouse has no table yet"
	}
	return nil
}

// existing is the directory, or the nearest above it that exists.
func existing(dir string) string {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

func tryWrite(ctx context.Context, dir string) (err error) {
	const op = "write to"
	var made []string // deepest first; only empty ones go
	for d, top := dir, existing(dir); checkDir(op, d) != nil; d = filepath.Dir(d) {
		if abs, err := filepath.Abs(d); err != nil || abs == top {
			break
		}
		made = append(made, d)
	}
	defer func() {
		for _, d := range made {
			_ = os.Remove(d)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError(op, dir, err)
	}
	scratch := filepath.Join(dir, connectors.ScratchName())
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return fileError(op, dir, err)
	}
	defer func() {
		if rerr := os.RemoveAll(scratch); err == nil && rerr != nil {
			err = fileError("remove a file of", dir, rerr)
		}
	}()
	file := filepath.Join(scratch, liveFile)
	c, err := lite.Open(sqliteDriver(), file, lite.Create, "")
	if err != nil {
		return fail(ctx, op, dir, err)
	}
	err = c.Exec(ctx, "CREATE TABLE rows (v); INSERT INTO rows VALUES ('written')")
	if err == nil {
		v, rerr := c.One(ctx, "SELECT v FROM rows")
		if err = rerr; err == nil && lite.String(v) != "written" {
			err = fmt.Errorf("the row that was written is not there")
		}
	}
	if err = errors.Join(err, c.Close()); err != nil {
		return fail(ctx, op, dir, err)
	}
	if err := syncFile(file); err != nil {
		return fileError(op, dir, err)
	}
	return nil
}
