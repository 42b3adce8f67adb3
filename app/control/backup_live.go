package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"arus/app/auth"
	"arus/app/secret"
	"arus/app/store"
	"arus/connectors"
)

// ErrNoServer is the refusal to restore under a program that is no server.
var ErrNoServer = errors.New("only a running server is restored like this: end it and use 'arus restore'")

// ErrRestoring is the refusal to restore while that is going on.
var ErrRestoring = fmt.Errorf("%w: a backup is being restored already", ErrConflict)

// RestoreRequest is a backup of the backups folder to be put in the place of
// what is.
type RestoreRequest struct {
	File       string
	Passphrase connectors.Secret // opens the key in the backup; empty: the key that is here stays
	WithoutKey bool              // also when nothing opens the secrets in it
	Pause      bool              // the restored pipelines are paused
}

// RestorePhase is how far a restore under a running server is.
type RestorePhase string

// The phases of a restore, in their order, and its two ends.
const (
	RestoreChecking RestorePhase = "checking" // the backup is read whole
	RestoreSaving   RestorePhase = "saving"   // what is there is backed up
	RestoreReplaces RestorePhase = "replaces" // the runs end, the backup takes its place, the server begins again
	RestoreDone     RestorePhase = "done"
	RestoreFailed   RestorePhase = "failed"
)

// Restoring is a restore under a running server.
type Restoring struct {
	File     string
	Phase    RestorePhase
	Saved    string // the backup of what was there
	NotSaved string // why there is none; what was there goes aside all the same
	Restored Restored
	Fault    string // why it failed
	Keyless  bool   // it failed for want of a key: nothing opens the secrets in the backup
}

// Active says whether it goes on.
func (r Restoring) Active() bool { return r.Phase != RestoreDone && r.Phase != RestoreFailed }

// LiveRestore is a checked backup that takes its place once the server has let
// go of the data directory.
type LiveRestore struct {
	options RestoreOptions
	by      auth.Actor
	state   Restoring
}

// File is the backup that is restored.
func (l *LiveRestore) File() string { return l.state.File }

// Do puts the backup in its place. After an error what was there is as it was,
// or says so when it is opened.
func (l *LiveRestore) Do(ctx context.Context) (Restored, error) {
	r, err := Restore(ctx, l.options)
	if l.state.Phase, l.state.Restored = RestoreDone, r; err != nil {
		l.state.Phase, l.state.Fault = RestoreFailed, err.Error()
	}
	return r, err
}

// restores is the restore that goes on, or the last one.
type restores struct {
	mu     sync.Mutex
	last   *Restoring
	cancel context.CancelFunc
	ended  bool
	wg     sync.WaitGroup
}

// begin takes the place of the one restore there is.
func (r *restores) begin(file string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
		return ErrStopping
	case r.last != nil && r.last.Active():
		return ErrRestoring
	}
	r.last = &Restoring{File: file, Phase: RestoreChecking}
	return nil
}

// set changes what is known of the restore, and gives it.
func (r *restores) set(change func(*Restoring)) Restoring {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.last)
	return *r.last
}

// stop ends a restore that has not got so far that the server ends for it.
func (r *restores) stop() {
	r.mu.Lock()
	r.ended = true
	if r.cancel != nil {
		r.cancel()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// RestoreBackup puts a backup in the place of the state and of the built-in
// warehouse of a running server. The backup is checked whole first, and what is
// there is backed up; then the server ends its runs at their checkpoints, lets
// the backup take the place of what is there, which goes aside, and begins again.
// What comes back of it says what will be restored; it happens after the answer.
func (s *Service) RestoreBackup(ctx context.Context, req RestoreRequest) (Restored, error) {
	opts, err := s.beginRestore(ctx, req)
	if err != nil {
		return Restored{}, err
	}
	return s.prepareRestore(ctx, opts)
}

// StartRestore is RestoreBackup for somebody who does not wait: Restoring tells
// how far it is, here and after the server has begun again.
func (s *Service) StartRestore(ctx context.Context, req RestoreRequest) error {
	opts, err := s.beginRestore(ctx, req)
	if err != nil {
		return err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.restores.mu.Lock()
	defer s.restores.mu.Unlock()
	s.restores.cancel = cancel
	if s.restores.ended {
		cancel()
	}
	s.restores.wg.Go(func() {
		defer cancel()
		if _, err := s.prepareRestore(work, opts); err != nil {
			s.Log.ErrorContext(work, "restore a backup", "file", req.File, "error", err)
		}
	})
	return nil
}

// Restoring is the restore that goes on, or the last one since the program was
// started.
func (s *Service) Restoring(ctx context.Context) (Restoring, bool, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return Restoring{}, false, err
	}
	s.restores.mu.Lock()
	defer s.restores.mu.Unlock()
	if s.restores.last == nil {
		return Restoring{}, false, nil
	}
	return *s.restores.last, true, nil
}

// TakeUp tells a server that has begun again how the restore went for which it
// ended. A state that was restored gets a line in its audit log.
func (s *Service) TakeUp(ctx context.Context, l *LiveRestore) error {
	s.restores.mu.Lock()
	s.restores.last = &l.state
	s.restores.mu.Unlock()
	if l.state.Phase != RestoreDone {
		return nil
	}
	return s.audit(auth.WithActor(ctx, l.by), s.Store, Change{Action: "state.restored", Name: l.state.File})
}

// beginRestore looks whether a restore is possible at all, and takes its place.
func (s *Service) beginRestore(ctx context.Context, req RestoreRequest) (opts RestoreOptions, err error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return opts, err
	}
	if s.OnRestore == nil {
		return opts, ErrNoServer
	}
	file, err := s.backupFile(req.File)
	if err != nil {
		return opts, err
	}
	opts = RestoreOptions{
		File: file, Dir: s.Store.Dir(), Force: true, Pause: req.Pause,
		Passphrase: req.Passphrase, WithoutKey: req.WithoutKey, KeyEnv: s.Getenv(secret.KeyEnv), Now: s.Now(),
	}
	return opts, s.restores.begin(req.File)
}

// prepareRestore does what can be done while the server runs, and then lets it end.
func (s *Service) prepareRestore(ctx context.Context, opts RestoreOptions) (r Restored, err error) {
	keyless := false
	defer func() {
		if err != nil {
			s.restores.set(func(st *Restoring) { st.Phase, st.Fault, st.Keyless = RestoreFailed, restoreWords(err), keyless })
		}
	}()
	if r, err = s.checkBackup(ctx, opts); err != nil {
		keyless = errors.Is(err, ErrNoKey)
		if _, named := errors.AsType[*InvalidError](err); named || ctx.Err() != nil {
			return r, err
		}
		return r, fault("the backup", "file", "%v", err)
	}
	s.restores.set(func(st *Restoring) { st.Phase, st.Restored = RestoreSaving, r })
	saved, err := s.backup(ctx, BackupOptions{})
	if ctx.Err() != nil {
		return r, errors.Join(err, ctx.Err())
	}
	if err != nil { // a state that is damaged is what one restores for
		s.Log.ErrorContext(ctx, "back up what a restore replaces; it goes aside", "error", err)
	} else if err := s.audit(ctx, s.Store, Change{Action: "state.backup", Name: saved.File}); err != nil {
		return r, err
	}
	notSaved := err
	if err := s.audit(ctx, s.Store, Change{Action: "state.restore", Name: filepath.Base(opts.File)}); err != nil {
		return r, err
	}
	state := s.restores.set(func(st *Restoring) {
		if st.Phase = RestoreReplaces; notSaved != nil {
			st.NotSaved = notSaved.Error()
		} else {
			st.Saved = filepath.Base(saved.File)
		}
	})
	s.OnRestore(&LiveRestore{options: opts, by: auth.ActorOf(ctx), state: state})
	return r, nil
}

// restoreWords says why a backup is not restored, to somebody who sees which.
func restoreWords(err error) string {
	invalid, ok := errors.AsType[*InvalidError](err)
	if !ok {
		return err.Error()
	}
	words := make([]string, len(invalid.Faults))
	for i, f := range invalid.Faults {
		if words[i] = f.Message; f.Field != "file" {
			words[i] = "the " + f.Field + " " + f.Message
		}
	}
	return strings.Join(words, "; ")
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
		return r, &checkError{strings.ReplaceAll(err.Error(), place, opts.File), err}
	}
	r.Dir, r.Aside = s.Store.Dir(), ""
	if r.Key == "environment" && s.Getenv(secret.KeyEnv) == "" {
		r.Key = "kept"
	}
	return r, nil
}

// checkError is why a backup cannot be restored, without the place where that
// was tried.
type checkError struct {
	text string
	err  error
}

func (e *checkError) Error() string { return e.text }

func (e *checkError) Unwrap() error { return e.err }
