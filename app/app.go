// Package app puts the parts together: commands, configuration, the open data
// directory, exit codes.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/notify"
	"arus/app/script"
	"arus/app/secret"
	"arus/app/store"
	"arus/connectors"
	"arus/connectors/all"
)

// Stdio is where the program reads and writes: data goes to Out, everything
// else to Err.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Main runs one command line and returns its exit code. The first SIGINT or
// SIGTERM ends the work at its next checkpoint, the second ends the process.
func Main(ctx context.Context, args []string, stdio Stdio) (code int) {
	if code, ok := script.Launched(args, stdio.Err); ok {
		return code
	}
	allowDoubleClick()
	if len(args) == 1 && strings.HasPrefix(args[0], "-psn_") { // what macOS gives to what is opened in the Finder
		args = nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			cancel(&signalError{s})
		case <-ctx.Done():
			return
		}
		if s, ok := <-signals; ok {
			os.Exit(signalCode(s))
		}
	}()
	env := &environment{Stdio: stdio, Registry: all.Registry(), Getenv: os.Getenv, Now: time.Now}
	defer func() {
		if cause := recover(); cause != nil {
			code = env.crashed(args, cause)
		}
	}()
	root := newRoot(env)
	root.SetArgs(args)
	err := root.ExecuteContext(auth.WithActor(ctx, auth.CLI(env.person())))
	if s, ok := errors.AsType[*signalError](context.Cause(ctx)); ok && err != nil {
		_, _ = fmt.Fprintln(stdio.Err, "arus: stopped by", s.signal)
		return signalCode(s.signal)
	}
	return report(stdio.Err, err)
}

// environment is what every command may use.
type environment struct {
	Stdio
	Registry connectors.Registry
	Getenv   func(string) string
	Now      func() time.Time

	flags   globalFlags
	serving bool              // the log is what a server says
	logTo   io.Writer         // nil: standard error
	set     map[string]string // settings given as flags
}

// data is an open data directory.
type data struct {
	*control.Service
	log    *slog.Logger
	sender *notify.Sender
	crash  *crashFile
}

// open opens the data directory, reads the overrides of its settings, takes its lock, and ends runs that a killed
// process left behind.
func (env *environment) open(ctx context.Context) (*data, error) {
	dir, err := env.dataDir()
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, dir, store.Options{Now: env.Now})
	if err != nil {
		return nil, &environmentError{err}
	}
	ring, err := secret.Load(st.Dir(), env.Getenv(secret.KeyEnv))
	if err != nil {
		return nil, errors.Join(&environmentError{err}, st.Close())
	}
	overrides, err := env.overrides(st.Dir())
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	log := env.logger()
	sender := notify.New(version, env.Now, nil)
	d := &data{log: log, sender: sender, crash: env.watchCrashes(st.Dir()), Service: control.New(control.Parts{
		Sender: sender, Python: env.python(st.Dir()), Store: st, Ring: ring, Registry: env.Registry, Now: env.Now, Log: log, Getenv: env.Getenv, Overrides: overrides,
	})}
	if err := d.Rescue(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close gives the data directory back.
func (d *data) Close() error {
	d.sender.Close()
	d.crash.close()
	return d.Store.Close()
}

// person is the name under which the command line acts.
func (env *environment) person() string {
	for _, name := range []string{"USER", "USERNAME", "LOGNAME"} {
		if v := env.Getenv(name); v != "" {
			return v
		}
	}
	return "command line"
}

// with opens the data directory for one use.
func (env *environment) with(ctx context.Context, use func(*data) error) error {
	d, err := env.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(use(d), d.Close())
}

// logger writes to standard error: warnings and errors, with --verbose all.
func (env *environment) logger() *slog.Logger {
	level := slog.LevelError + 1 // what goes wrong is in the command's own answer
	if env.serving {
		level = slog.LevelInfo
	}
	if env.flags.verbose {
		level = slog.LevelDebug
	}
	opts := &slog.HandlerOptions{Level: level}
	to := env.Err
	if env.logTo != nil {
		to = env.logTo
	}
	if env.flags.logFormat == logJSON {
		return slog.New(slog.NewJSONHandler(to, opts))
	}
	return slog.New(slog.NewTextHandler(to, opts))
}
