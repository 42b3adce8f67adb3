package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"

	"arus/embed"
)

// unfinishedName marks a data directory in which a restore did not come to its end.
const unfinishedName = "restore.unfinished"

// ErrUnfinishedRestore is the refusal to open half a restore.
var ErrUnfinishedRestore = errors.New("a restore into this data directory did not finish: run it again with --force")

// CopyTo writes a copy of the state file, as of now, to a path where nothing is yet. The copy is on disk and was checked
// when CopyTo returns; after an error there is none.
func (s *Store) CopyTo(ctx context.Context, file string) error {
	// VACUUM INTO fills an empty file, so the copy is never open to others, not even for a moment.
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the backup file: %w", err)
	}
	if err = f.Close(); err == nil {
		_, err = s.writer.ExecContext(ctx, "VACUUM INTO ?", file)
	}
	if err == nil {
		err = syncFile(file)
	}
	if err == nil {
		_, err = Inspect(ctx, file)
	}
	if err != nil {
		return errors.Join(fail(err, "back up the state file to %s", file), os.Remove(file))
	}
	return nil
}

// FileInfo is what a look at a state file found.
type FileInfo struct {
	Version int64 // of its tables
	Known   int64 // the newest version that this program knows
}

// Inspect looks at a state file without changing it: whether it is whole, and of which version. It needs no lock.
// ErrCorrupt: it is damaged or no state file; ErrTooNew: a newer program wrote it.
func Inspect(ctx context.Context, file string) (info FileInfo, err error) {
	if info.Known, err = knownVersion(); err != nil {
		return info, err
	}
	if _, err := os.Stat(file); err != nil {
		return info, fmt.Errorf("look at the state file: %w", err)
	}
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return info, fail(err, "look at the state file %s", file)
	}
	defer func() { _ = db.Close() }()
	found, err := collect(ctx, db, func(row scanner) (text string, err error) {
		err = row.Scan(&text)
		return text, err
	}, "PRAGMA integrity_check(10)")
	if err != nil {
		return info, fail(err, "check the state file %s", file)
	}
	if len(found) != 1 || found[0] != "ok" {
		return info, fmt.Errorf("check the state file %s: %w (%s)", file, ErrCorrupt, strings.Join(found, "; "))
	}
	err = db.QueryRowContext(ctx, "SELECT max(version_id) FROM "+goose.DefaultTablename).Scan(&info.Version)
	if err != nil {
		return info, fmt.Errorf("read the version of the state file %s: %w (%w)", file, ErrCorrupt, err)
	}
	if info.Version > info.Known {
		return info, fmt.Errorf("%w (its version is %d, this program knows %d)", ErrTooNew, info.Version, info.Known)
	}
	return info, nil
}

// knownVersion is the number of the newest migration.
func knownVersion() (newest int64, err error) {
	names, err := fs.Glob(embed.Migrations, "migrations/*.sql")
	for _, name := range names {
		n, err := goose.NumericComponent(filepath.Base(name))
		if err != nil {
			return 0, err
		}
		newest = max(newest, n)
	}
	return newest, err
}

// Replacement is what takes the place of a data directory's content. Empty fields leave what is there.
type Replacement struct {
	State     string            // path of the state file to take its place
	Warehouse string            // path of a directory to take the place of the warehouse's
	Dir       string            // the name of the warehouse in the data directory
	Files     map[string][]byte // small files by name
	Aside     string            // where what was there goes to: a directory that is made
}

// Replace puts a restored state into a data directory. The directory's lock is taken, so nothing may run on it. What was
// there goes aside. A crash in between leaves a directory that no program opens until it is restored again.
func Replace(ctx context.Context, dir string, r Replacement) (err error) {
	dir, err = makeDir(dir)
	if err != nil {
		return err
	}
	lock, err := acquire(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	mark := filepath.Join(dir, unfinishedName)
	if err := os.WriteFile(mark, []byte(r.State+"\n"), 0o600); err != nil {
		return fmt.Errorf("begin the restore: %w", err)
	}
	if err := errors.Join(syncFile(mark), syncFile(r.State)); err != nil {
		return fmt.Errorf("begin the restore: %w", err)
	}
	move := func(from, to string) error {
		err := os.Rename(from, to)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	old := []string{FileName, FileName + "-wal", FileName + "-shm"}
	if r.Warehouse != "" {
		old = append(old, r.Dir)
	}
	for name := range r.Files {
		old = append(old, name)
	}
	if err := os.MkdirAll(r.Aside, 0o700); err != nil {
		return fmt.Errorf("put the old state aside: %w", err)
	}
	for _, name := range old {
		if err := move(filepath.Join(dir, name), filepath.Join(r.Aside, name)); err != nil {
			return fmt.Errorf("put the old %s aside: %w", name, err)
		}
	}
	for name, text := range r.Files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return fmt.Errorf("restore %s: %w", name, err)
		}
		if err := syncFile(file); err != nil {
			return fmt.Errorf("restore %s: %w", name, err)
		}
	}
	if r.Warehouse != "" {
		if err := os.Rename(r.Warehouse, filepath.Join(dir, r.Dir)); err != nil {
			return fmt.Errorf("restore the warehouse: %w", err)
		}
	}
	if err := os.Rename(r.State, filepath.Join(dir, FileName)); err != nil {
		return fmt.Errorf("restore the state file: %w", err)
	}
	_ = os.Remove(r.Aside) // where nothing was there
	return os.Remove(mark)
}

// SealedSecrets gives every sealed value of a state file, to see which of them a key opens.
func SealedSecrets(ctx context.Context, file string) ([]string, error) {
	db, err := openPool(ctx, file, 1, readerPragmas, "deferred")
	if err != nil {
		return nil, fail(err, "read the secrets of %s", file)
	}
	defer func() { _ = db.Close() }()
	var list []string
	for _, column := range sealedColumns() {
		more, err := collect(ctx, db, func(row scanner) (text string, err error) {
			err = row.Scan(&text)
			return text, err
		}, `SELECT `+column.name+` FROM `+column.table+` WHERE coalesce(`+column.name+`, '') <> ''`)
		if err != nil && !strings.Contains(err.Error(), "no such") { // an older file lacks some
			return nil, fail(err, "read the secrets of %s", file)
		}
		list = append(list, more...)
	}
	return list, nil
}

// ForgetKeys removes the keys that the program made for itself, which are made anew when they are needed. It is for a file
// that no program has open.
func ForgetKeys(ctx context.Context, file string) error {
	return fail(edit(ctx, file, `DELETE FROM arus_config_keys`), "forget the keys in %s", file)
}

// PausePipelines pauses every active pipeline and takes the runs that wait out of the queue. It is for a file that no
// program has open.
func PausePipelines(ctx context.Context, file string) error {
	return fail(edit(ctx, file, `UPDATE arus_config_pipelines SET status = 'paused' WHERE status = 'active'`, `DELETE FROM arus_state_queue`), "pause the pipelines in %s", file)
}

// edit changes a state file that no program has open. What an older file does not have is left out.
func edit(ctx context.Context, file string, statements ...string) error {
	db, err := openPool(ctx, file, 1, writerPragmas, "immediate")
	if err != nil {
		return err
	}
	for _, text := range statements {
		if _, e := db.ExecContext(ctx, text); e != nil && !strings.Contains(e.Error(), "no such table") {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, db.Close())
}
