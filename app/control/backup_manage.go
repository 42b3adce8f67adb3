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
	Whole bool // with the warehouse; else it is a copy of the state file
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
	state := filepath.Join(dir, store.FileName)
	if r.Whole = strings.HasSuffix(name, backupSuffix); r.Whole {
		if r.BackupManifest, err = unpack(ctx, file, dir); err != nil {
			return r, &BackupError{File: name, Err: err}
		}
	} else if err = copyState(file, state); err != nil {
		return r, &BackupError{File: name, Err: err}
	}
	look, err := store.Inspect(ctx, state)
	if err != nil {
		return r, &BackupError{File: name, Err: err}
	}
	if r.Version = look.Version; !r.Whole {
		r.CreatedAt = backupTime(name, r.CreatedAt)
	}
	return r, nil
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
