package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"arus/app/auth"
	"arus/app/secret"
	"arus/app/store"
	"arus/connectors"
)

// ErrNoServer is the refusal to restore under a program that is no server.
var ErrNoServer = errors.New("only a running server is restored like this: end it and use 'arus restore'")

// RestoreRequest is a backup of the backups folder to be put in the place of
// what is.
type RestoreRequest struct {
	File       string
	Passphrase connectors.Secret // opens the key in the backup; empty: the key that is here stays
	WithoutKey bool              // also when nothing opens the secrets in it
}

// RestoreBackup puts a backup in the place of the state and of the built-in
// warehouse of a running server. The backup is checked whole first; then the
// server ends its runs at their checkpoints, lets the backup take the place of
// what is there, which goes aside, and begins again. What comes back of it says
// what will be restored; it happens after the answer.
func (s *Service) RestoreBackup(ctx context.Context, req RestoreRequest) (Restored, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return Restored{}, err
	}
	if s.OnRestore == nil {
		return Restored{}, ErrNoServer
	}
	if !isBackupName(req.File) {
		return Restored{}, ErrNotFound
	}
	opts := RestoreOptions{
		File: filepath.Join(s.Store.Dir(), store.BackupsDir, req.File), Dir: s.Store.Dir(), Force: true,
		Passphrase: req.Passphrase, WithoutKey: req.WithoutKey, KeyEnv: s.Getenv(secret.KeyEnv), Now: s.Now(),
	}
	if _, err := os.Stat(opts.File); errors.Is(err, os.ErrNotExist) {
		return Restored{}, ErrNotFound
	}
	r, err := s.checkBackup(ctx, opts)
	if err != nil {
		return r, fault("the backup", "file", "%v", err)
	}
	if err := s.audit(ctx, s.Store, Change{Action: "state.restore", Name: req.File}); err != nil {
		return r, err
	}
	s.OnRestore(opts)
	return r, nil
}

// checkBackup restores a backup into a place of its own, to see that it can be.
func (s *Service) checkBackup(ctx context.Context, opts RestoreOptions) (r Restored, err error) {
	place, err := os.MkdirTemp(filepath.Join(s.Store.Dir(), store.BackupsDir), ".check-")
	if err != nil {
		return r, fmt.Errorf("make room to check the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(place)) }()
	keys, err := s.keyText()
	if err != nil {
		return r, err
	}
	opts.Dir, opts.KeyEnv = place, keys // the key that is here is the one that would stay
	if r, err = Restore(ctx, opts); err != nil {
		return r, errors.New(strings.ReplaceAll(err.Error(), place, opts.File))
	}
	r.Dir, r.Aside = s.Store.Dir(), ""
	if r.Key == "environment" && s.Getenv(secret.KeyEnv) == "" {
		r.Key = "kept"
	}
	return r, nil
}
