package warehouse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse/schema"
)

const (
	schemaFile  = "schema.json"
	liveFile    = "live.db"
	lockName    = "lock"
	archiveDir  = "archive"
	snapshotDir = "snapshot"
	partsDir    = "parts"
	tmpSuffix   = ".tmp"
	droppedName = ".dropped-" // a table's directory that is being removed
)

var errHeld = errors.New("another load holds the table")

// table is the directory of one table.
type table struct {
	fs     files
	blooms *blooms
	name   string
	path   string
}

func (s *storage) table(name string) table {
	return table{s.fs, &s.blooms, name, filepath.Join(s.dir, name)}
}

func (t table) file(name string) string { return filepath.Join(t.path, name) }

func (t table) exists() bool { return fileExists(t.file(liveFile)) }

func livePragmas() []string {
	return []string{"PRAGMA busy_timeout = 10000", "PRAGMA trusted_schema = 0", "PRAGMA cache_size = -4096"}
}

// liveSQL makes the live database. Its table segments is the manifest of the
// Parquet files that are current.
func liveSQL() []string {
	return []string{
		"CREATE TABLE rows (k BLOB PRIMARY KEY, t INTEGER, v BLOB NOT NULL) WITHOUT ROWID",
		"CREATE INDEX rows_t ON rows (t) WHERE t IS NOT NULL",
		`CREATE TABLE segments (id INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, day INTEGER, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, sums BLOB NOT NULL,
			lo BLOB, hi BLOB, keys BLOB, dead INTEGER NOT NULL, tmin INTEGER, tmax INTEGER, version INTEGER NOT NULL)`,
		"CREATE TABLE dead (segment INTEGER, chunk INTEGER, bits BLOB NOT NULL, PRIMARY KEY (segment, chunk)) WITHOUT ROWID",
		"CREATE TABLE cases (column INTEGER, id INTEGER, name TEXT NOT NULL, PRIMARY KEY (column, id)) WITHOUT ROWID",
		"CREATE TABLE schemas (version INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL)",
		"CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
	}
}

// connect opens the live database and begins a transaction, which sees one
// state of the table to its end.
func (t table) connect(ctx context.Context, mode lite.Mode, begin string) (*lite.Conn, error) {
	if !t.exists() {
		return nil, fs.ErrNotExist
	}
	c, err := lite.Open(sqliteDriver(), t.file(liveFile), mode, "")
	if err != nil {
		return nil, err
	}
	pragmas := livePragmas()
	if mode != lite.ReadOnly {
		pragmas = append(pragmas, "PRAGMA synchronous = FULL")
	}
	for _, sql := range append(pragmas, begin) {
		if err := c.Exec(ctx, sql); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// checkFile compares the schema file with the schema that the live database has
// committed. An older file is that of a change whose last step has not happened:
// the next change makes up for it.
func (t table) checkFile(current *schema.Table, body string) (behind bool, err error) {
	data, err := t.fs.ReadFile(t.file(schemaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil || string(bytes.TrimSpace(data)) == body {
		return false, err
	}
	var other schema.Table
	if err := json.Unmarshal(data, &other); err != nil {
		return false, fmt.Errorf("%s is damaged: %w", schemaFile, err)
	}
	if other.Version >= current.Version {
		return false, fmt.Errorf("%s was changed by hand: it is of version %d, and the table's rows of version %d", schemaFile, other.Version, current.Version)
	}
	return true, nil
}

// readError says in plain words why a table cannot be read.
func (t table) readError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*connectors.Error](err); ok {
		return err
	}
	out := &connectors.Error{Kind: connectors.KindType, Op: "open", Object: t.name, Err: err, Hint: "restore the table's directory from a backup, or run a full refresh"}
	if errors.Is(err, fs.ErrNotExist) {
		out.Kind, out.Err, out.Hint = connectors.KindNotFound, errors.New("there is no such table"), "see which tables there are"
	}
	if errors.Is(err, fs.ErrPermission) {
		out.Kind, out.Hint = connectors.KindPermission, "give the user that runs Arus the right to read the warehouse's directory"
	}
	return out
}

// lockPoll is how often a lock that another holds is tried again.
const lockPoll = 20 * time.Millisecond

// lock makes the directory and takes the table for one writer.
func (t table) lock(ctx context.Context, wait time.Duration) (*os.File, error) {
	deadline := time.Now().Add(wait)
	for {
		f, err := t.tryLock()
		if !errors.Is(err, errHeld) {
			return f, err
		}
		if time.Now().After(deadline) {
			return nil, &connectors.Error{Kind: connectors.KindConflict, Op: "load", Object: t.name, Err: errors.New("another load of the table is under way"), Hint: "wait until it has ended"}
		}
		select {
		case <-ctx.Done():
			return nil, fail(ctx, "lock", t.name, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// tryLock gives errHeld when another has the table.
func (t table) tryLock() (*os.File, error) {
	for {
		if err := t.fs.MkdirAll(t.path); err != nil {
			return nil, fileError("load", t.name, err)
		}
		f, err := os.OpenFile(t.file(lockName), os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the directory has just been dropped
		}
		if err != nil {
			return nil, fileError("lock", t.name, err)
		}
		if err := lockFile(f); err != nil {
			_ = f.Close()
			if errors.Is(err, errHeld) {
				return nil, errHeld
			}
			return nil, fileError("lock", t.name, err)
		}
		mine, err := f.Stat()
		there, err2 := os.Stat(t.file(lockName))
		if err == nil && err2 == nil && os.SameFile(mine, there) {
			return f, nil
		}
		_ = f.Close() // the table was dropped before the lock was taken
	}
}

// sweep removes the files that are not current: keep has the names of those that
// are, below the table's directory. The parts of the load with the given token
// stay, with anyToken those of all loads. The table is locked.
func (t table) sweep(keep map[string]bool, token string) error {
	keep = maps.Clone(keep)
	if keep == nil {
		keep = map[string]bool{}
	}
	if err := t.keepParts(keep, token); err != nil {
		return err
	}
	for _, dir := range []string{"", archiveDir, snapshotDir, partsDir} {
		entries, err := t.fs.ReadDir(t.file(dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			switch {
			case e.IsDir() && dir == archiveDir:
				if err := t.sweepDay(name, keep); err != nil {
					return err
				}
			case dir == snapshotDir && !keep[filepath.ToSlash(name)], dir == partsDir && !keep[filepath.ToSlash(name)], strings.HasSuffix(name, tmpSuffix):
				// A reader may hold an old file open where that keeps it from
				// being removed; the next sweep tries again.
				_ = t.fs.RemoveAll(t.file(name))
			}
		}
	}
	return nil
}

func (t table) sweepDay(dir string, keep map[string]bool) error {
	entries, err := t.fs.ReadDir(t.file(dir))
	if err != nil {
		return err
	}
	left := len(entries)
	for _, e := range entries {
		if name := filepath.ToSlash(filepath.Join(dir, e.Name())); !keep[name] {
			_ = t.fs.Remove(t.file(name))
			left--
		}
	}
	if left == 0 {
		_ = t.fs.Remove(t.file(dir))
	}
	return nil
}

// removeEmpty removes directories that hold nothing.
func (t table) removeEmpty() {
	if days, err := t.fs.ReadDir(t.file(archiveDir)); err == nil {
		for _, d := range days {
			_ = t.fs.Remove(t.file(filepath.Join(archiveDir, d.Name())))
		}
	}
	for _, dir := range []string{archiveDir, snapshotDir, partsDir} {
		_ = t.fs.Remove(t.file(dir))
	}
}

// removeAborted removes a directory in which no table came to be.
func (t table) removeAborted() {
	if t.exists() || fileExists(t.file(partsDir)) {
		return
	}
	_ = t.sweep(nil, anyToken)
	t.removeEmpty()
	_ = t.fs.Remove(t.file(lockName))
	_ = t.fs.Remove(t.path) // with files of somebody else in it, it stays
}
