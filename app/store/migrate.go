package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
)

// migrate applies the steps that are missing, each in its own transaction. A file that already holds something is copied
// to the backups folder first; a file from a newer program is left alone.
func (s *Store) migrate(ctx context.Context, writer *sql.DB, steps fs.FS) error {
	provider, err := goose.NewProvider(goose.DialectSQLite3, writer, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	if current > target {
		return fmt.Errorf("%w (its version is %d, this program knows %d)", ErrTooNew, current, target)
	}
	if current == target {
		return nil
	}
	if current > 0 {
		if _, err := s.backup(ctx, current); err != nil {
			return err
		}
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate from version %d to %d: %w", current, target, err)
	}
	return nil
}

// Backup writes a copy of the state file, as of now, into the backups folder and returns its path. Other writes wait while
// it runs, reads do not. The copy is on disk when Backup returns; after an error there is none.
func (s *Store) Backup(ctx context.Context) (string, error) {
	var version int64
	err := s.reader.QueryRowContext(ctx, "SELECT max(version_id) FROM "+goose.DefaultTablename).Scan(&version)
	if err != nil {
		return "", fail(err, "read the version of the state file")
	}
	return s.backup(ctx, version)
}

func (s *Store) backup(ctx context.Context, version int64) (string, error) {
	dir := filepath.Join(s.dir, BackupsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the backups folder: %w", err)
	}
	file := filepath.Join(dir, fmt.Sprintf("arus-%d-%s.db", version, s.now().Format("20060102T150405.000Z")))
	if err := s.CopyTo(ctx, file); err != nil {
		return "", err
	}
	return file, nil
}

func syncFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
