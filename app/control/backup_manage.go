package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"arus/app/auth"
	"arus/app/store"
)

// BackupReport says what a backup holds that was looked at whole.
type BackupReport struct {
	BackupManifest
	Whole    bool // with the warehouse; else it is a copy of the state file
	Contents Contents
}

// Contents is how much a state file holds.
type Contents = store.Contents

// Contents is how much there is now, and how many tables of the built-in
// warehouse: what a restore takes the place of.
func (s *Service) Contents(ctx context.Context) (Contents, int, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return Contents{}, 0, err
	}
	tables, err := s.WarehouseTables(ctx)
	if err != nil { // what cannot be opened can be restored
		s.Log.WarnContext(ctx, "list the warehouse's tables", "error", err)
	}
	c, err := s.Store.Contents(ctx)
	return c, len(tables), err
}

// VerifyBackup reads a file of the backups folder as a restore does, and checks
// every byte of it. An error says why it could not be restored.
func (s *Service) VerifyBackup(ctx context.Context, name string) (r BackupReport, err error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return r, err
	}
	file, err := s.backupFile(name)
	if err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".verify-")
	if err != nil {
		return r, fmt.Errorf("make room to verify the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if r, err = examine(ctx, file, strings.HasSuffix(name, backupSuffix), dir); err != nil {
		return r, &BackupError{File: name, Err: err}
	}
	if !r.Whole {
		r.CreatedAt = backupTime(name, r.CreatedAt)
	}
	return r, nil
}

// examine unpacks a backup into a directory and looks whether it is whole.
func examine(ctx context.Context, file string, archive bool, dir string) (r BackupReport, err error) {
	r.Whole = archive
	state := filepath.Join(dir, store.FileName)
	if archive {
		r.BackupManifest, err = unpack(ctx, file, dir)
	} else {
		err = copyState(file, state)
	}
	if err != nil {
		return r, err
	}
	look, err := store.Inspect(ctx, state)
	if err != nil {
		return r, err
	}
	r.Version = look.Version
	r.Contents, err = store.ContentsOf(ctx, state)
	return r, err
}

// BackupError is a backup that cannot be restored.
type BackupError struct {
	File string
	Err  error
}

func (e *BackupError) Error() string { return fmt.Sprintf("the backup %s: %v", e.File, e.Err) }

// Unwrap gives the reason.
func (e *BackupError) Unwrap() error { return e.Err }

// DeleteBackup removes a file of the backups folder.
func (s *Service) DeleteBackup(ctx context.Context, name string) error {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return err
	}
	file, err := s.backupFile(name)
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("delete the backup %s: %w", name, err)
	}
	return s.audit(ctx, s.Store, Change{Action: "state.delete_backup", Name: name})
}

// backupFile is where a file of the backups folder lies.
func (s *Service) backupFile(name string) (string, error) {
	if !isBackupName(name) {
		return "", ErrNotFound
	}
	file := filepath.Join(s.Store.Dir(), store.BackupsDir, name)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return "", ErrNotFound
	}
	return file, nil
}
