package warehouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

const (
	schemaFile   = "schema.json"
	nextFile     = "schema.next.json"
	manifestFile = "manifest.json"
	lockName     = "lock"
)

var errHeld = errors.New("another load holds the table")

// tableDir is the directory of one table.
type tableDir struct {
	name string
	path string
}

func tableOf(dir, name string) tableDir { return tableDir{name, filepath.Join(dir, name)} }

// manifest names the live file. Its rename is the commit of a new generation.
type manifest struct {
	Live       string `json:"live"`
	Generation int64  `json:"generation"`
	Rows       int64  `json:"rows"` // when the generation was made; an estimate later
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s is damaged: %w", filepath.Base(path), err)
	}
	return nil
}

// writeFile replaces a file atomically and durably.
func writeFile(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return rename(tmp, path)
}

func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func (t tableDir) file(name string) string { return filepath.Join(t.path, name) }

func (t tableDir) manifest() (manifest, error) {
	var m manifest
	if err := readJSON(t.file(manifestFile), &m); err != nil {
		return m, err
	}
	if m.Live == "" || filepath.Base(m.Live) != m.Live {
		return m, errors.New("manifest.json is damaged: it names no file of the table")
	}
	return m, nil
}

// schemaAt reads the schema of the given version: the current one, or the one
// of a commit whose last rename has not happened.
func (t tableDir) schemaAt(version int64) (*schema, error) {
	var versions []string
	for _, name := range []string{schemaFile, nextFile, schemaFile} { // again: it may just have been renamed
		s := new(schema)
		err := readJSON(t.file(name), s)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if int64(s.Version) == version {
			err := s.resolve()
			return s, err
		}
		versions = append(versions, strconv.Itoa(s.Version))
	}
	return nil, fmt.Errorf("the live file is of schema version %d, and schema.json of %s", version, strings.Join(versions, ", "))
}

// live is an open live file, in a transaction, with the schema it is of.
type live struct {
	conn     *lite.Conn
	schema   *schema
	manifest manifest
}

var livePragmas = []string{"PRAGMA busy_timeout = 10000", "PRAGMA trusted_schema = 0", "PRAGMA cache_size = -4096"}

// open opens the current live file for reading, in one snapshot. A load that
// commits meanwhile may take the file away before it is open: then the next one
// is the current one.
func (t tableDir) open(ctx context.Context) (*live, error) {
	var last error
	for range 20 {
		m, err := t.manifest()
		if err != nil {
			return nil, t.readError(err)
		}
		l, err := t.openFile(ctx, m, lite.ReadOnly, "BEGIN")
		if err == nil {
			return l, nil
		}
		if last = err; ctx.Err() != nil {
			break
		}
		if now, merr := t.manifest(); merr == nil && now.Generation == m.Generation && lite.Code(err) != 0 && fileExists(t.file(m.Live)) {
			break // nothing has moved: it will not get better
		}
	}
	return nil, t.readError(fail(ctx, "open", t.name, last))
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (t tableDir) openFile(ctx context.Context, m manifest, mode lite.Mode, begin string) (*live, error) {
	if !fileExists(t.file(m.Live)) {
		return nil, fmt.Errorf("the live file %s is missing", m.Live)
	}
	c, err := lite.Open(sqliteDriver(), t.file(m.Live), mode, "")
	if err != nil {
		return nil, err
	}
	l := &live{conn: c, manifest: m}
	if err := l.start(ctx, t, begin); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return l, nil
}

func (l *live) start(ctx context.Context, t tableDir, begin string) error {
	for _, sql := range livePragmas {
		if err := l.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if begin == "BEGIN IMMEDIATE" {
		if err := l.conn.Exec(ctx, "PRAGMA synchronous = FULL"); err != nil {
			return err
		}
	}
	if err := l.conn.Exec(ctx, begin); err != nil {
		return err
	}
	version, err := l.conn.One(ctx, "PRAGMA user_version")
	if err != nil {
		return err
	}
	if l.schema, err = t.schemaAt(lite.Int(version)); err != nil {
		return err
	}
	// Stored columns that disagree with the schema are an error, not a guess.
	n, err := l.conn.One(ctx, "SELECT count(*) FROM pragma_table_info('rows')")
	if err != nil {
		return err
	}
	return l.schema.checkCount(lite.Int(n))
}

// checkCount compares the schema with what is stored.
func (s *schema) checkCount(stored int64) error {
	if stored != int64(len(s.Columns)) {
		return fmt.Errorf("the live file has %d columns and schema.json %d", stored, len(s.Columns))
	}
	return nil
}

func (l *live) close() error { return l.conn.Close() }

func (t tableDir) readError(err error) error {
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

// lock makes the directory and takes the table for one load.
func (t tableDir) lock() (*os.File, error) {
	if err := os.MkdirAll(t.path, 0o700); err != nil {
		return nil, fileError("load", t.name, err)
	}
	f, err := os.OpenFile(t.file(lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fileError("lock", t.name, err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		if errors.Is(err, errHeld) {
			return nil, &connectors.Error{Kind: connectors.KindConflict, Op: "load", Object: t.name, Err: errors.New("another load of the table is under way"), Hint: "wait until it has ended"}
		}
		return nil, fileError("lock", t.name, err)
	}
	return f, nil
}

// recover ends what a killed load left half done: a schema whose commit is in
// the live file is made current, all else that is not current is removed. The
// table is locked. It gives nil without a table.
func (t tableDir) recover(ctx context.Context) (*manifest, *schema, error) {
	m, err := t.manifest()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, t.sweep("")
	}
	if err != nil {
		return nil, nil, t.readError(err)
	}
	l, err := t.openFile(ctx, m, lite.ReadOnly, "BEGIN")
	if err != nil {
		return nil, nil, t.readError(fail(ctx, "open", t.name, err))
	}
	s := l.schema
	if err := l.close(); err != nil {
		return nil, nil, fail(ctx, "open", t.name, err)
	}
	if err := t.adopt(s); err != nil {
		return nil, nil, fileError("load", t.name, err)
	}
	return &m, s, t.sweep(m.Live)
}

// adopt makes schema.next.json current when it is the given one.
func (t tableDir) adopt(s *schema) error {
	var current, next schema
	if err := readJSON(t.file(schemaFile), &current); err == nil && current.Version == s.Version {
		return nil
	}
	if err := readJSON(t.file(nextFile), &next); err != nil {
		return err
	}
	return rename(t.file(nextFile), t.file(schemaFile))
}

// sweep removes the live files of other generations and half-written files.
func (t tableDir) sweep(current string) error {
	entries, err := os.ReadDir(t.path)
	if err != nil {
		return fileError("load", t.name, err)
	}
	for _, e := range entries {
		name := e.Name()
		isLive := strings.HasPrefix(name, "live-")
		if isLive && current != "" && (name == current || strings.HasPrefix(name, current+"-")) {
			continue
		}
		if isLive || strings.HasSuffix(name, ".tmp") || name == nextFile || current == "" && name == schemaFile {
			// A reader may hold an old file open where that keeps it from being removed; the next load tries again.
			_ = os.Remove(t.file(name))
		}
	}
	return nil
}
