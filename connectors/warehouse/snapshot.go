package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// snapshotTries is how often a table is copied again because its files changed
// meanwhile.
const snapshotTries = 20

// Snapshot copies the tables of the warehouse in dir into another directory,
// each as it stands at one moment, while loads go on: the live database as a
// whole, and the files that its manifest names. Files, which never change, are
// linked where the system can. What is unfinished stays out. It gives the names
// of the tables. A warehouse that is not there has none.
func Snapshot(ctx context.Context, dir, into string) ([]string, error) {
	names, err := tableNames(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError("copy the tables of", dir, err)
	}
	s := newStorage(dir)
	var done []string
	for _, name := range names {
		err := fs.ErrNotExist
		for try := 0; errors.Is(err, fs.ErrNotExist) && try < snapshotTries && ctx.Err() == nil; try++ {
			t := s.table(name)
			if err = t.snapshot(ctx, filepath.Join(into, name)); err != nil {
				err = errors.Join(err, os.RemoveAll(filepath.Join(into, name)))
			}
			if !t.exists() { // dropped meanwhile
				break
			}
		}
		switch {
		case err == nil:
			done = append(done, name)
		case !s.table(name).exists():
		default:
			return nil, &connectors.Error{Kind: connectors.KindTransient, Op: "copy", Object: name, Err: err, Hint: "try again when its loads are over"}
		}
	}
	return done, ctx.Err()
}

// snapshot makes the copy of one table. fs.ErrNotExist: a file went meanwhile.
func (t table) snapshot(ctx context.Context, into string) error {
	if err := os.MkdirAll(into, 0o700); err != nil {
		return err
	}
	if !t.exists() {
		return fs.ErrNotExist
	}
	to := filepath.Join(into, liveFile)
	live, err := lite.Open(sqliteDriver(), t.file(liveFile), lite.ReadOnly, "")
	if err != nil {
		return err
	}
	err = live.Exec(ctx, "PRAGMA busy_timeout = 10000")
	if err == nil {
		err = live.Exec(ctx, "VACUUM INTO ?", to)
	}
	if err = errors.Join(err, live.Close()); err != nil {
		return fmt.Errorf("copy the live database: %w", err)
	}
	if err := os.Chmod(to, 0o600); err != nil {
		return err
	}
	copied, err := lite.Open(sqliteDriver(), to, lite.ReadOnly, "")
	if err != nil {
		return err
	}
	type entry struct {
		name  string
		bytes int64
	}
	var entries []entry
	err = copied.Each(ctx, "SELECT file, bytes FROM segments ORDER BY id", nil, func(row []driver.Value) error {
		entries = append(entries, entry{lite.String(row[0]), lite.Int(row[1])})
		return nil
	})
	var body driver.Value
	if err == nil {
		body, err = copied.One(ctx, "SELECT body FROM schemas ORDER BY version DESC LIMIT 1")
	}
	if err = errors.Join(err, copied.Close()); err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	for _, e := range entries {
		if clean := path.Clean(e.name); clean != e.name || path.IsAbs(clean) || strings.HasPrefix(clean, "..") {
			return fmt.Errorf("the manifest names %q, which is no file of the table", e.name)
		}
		if err := linkOrCopy(t.file(filepath.FromSlash(e.name)), filepath.Join(into, filepath.FromSlash(e.name)), e.bytes); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(into, schemaFile), append([]byte(lite.String(body)), '\n'), 0o600)
}

func linkOrCopy(from, to string, bytes int64) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		if err := copyFile(from, to); err != nil {
			return err
		}
	}
	info, err := os.Stat(to)
	if err == nil && info.Size() != bytes {
		err = fmt.Errorf("%s has %d bytes where the manifest says %d", filepath.Base(from), info.Size(), bytes)
	}
	return err
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
