package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"arus/app/control"
	"arus/app/engine"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// Exit codes of the program.
const (
	exitOK          = 0
	exitFailed      = 1 // a run failed
	exitUsage       = 2 // the command line or a request is not valid
	exitEnvironment = 3 // unreachable, no permission, data directory locked
	exitDeadLetters = 4 // finished, but some rows are dead letters
	exitInterrupted = 130
	exitTerminated  = 143
)

// usageError is a command line that cannot be taken.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// environmentError is a fault of what surrounds the program.
type environmentError struct{ error }

func (e *environmentError) Unwrap() error { return e.error }

// codeError carries an exit code of a command that has already said what was
// to say.
type codeError struct{ code int }

func (e *codeError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// signalError is the cause of a context that a signal ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string        { return "stopped by " + e.signal.String() }
func (e *signalError) Is(target error) bool { return target == context.Canceled }

func signalCode(s os.Signal) int {
	if s == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// report says on one line what went wrong and gives the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if c, ok := errors.AsType[*codeError](err); ok {
		return c.code
	}
	_, _ = fmt.Fprintln(w, "arus:", err)
	return exitCode(err)
}

func exitCode(err error) int {
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*environmentError](err); ok {
		return exitEnvironment
	}
	if _, ok := errors.AsType[*control.InvalidError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*schema.Error](err); ok {
		return exitUsage
	}
	for _, usage := range []error{store.ErrNotFound, store.ErrConflict, store.ErrInUse, store.ErrInvalid} {
		if errors.Is(err, usage) {
			return exitUsage
		}
	}
	if errors.Is(err, store.ErrBusy) || errors.Is(err, store.ErrFull) {
		return exitEnvironment
	}
	switch connectors.KindOf(err) {
	case connectors.KindInvalid, connectors.KindUnsupported:
		return exitUsage
	case connectors.KindAuth, connectors.KindNetwork, connectors.KindTLS, connectors.KindPermission, connectors.KindNotFound, connectors.KindTimeout:
		return exitEnvironment
	}
	return exitFailed
}

// runCode is the exit code of a finished run: when nothing but the environment
// kept it from succeeding, that is what it says.
func runCode(r engine.Report) int {
	if r.Status == model.RunSuccess {
		if r.DeadLetters > 0 {
			return exitDeadLetters
		}
		return exitOK
	}
	if r.Status == model.RunSkipped {
		return exitOK
	}
	code := 0
	note := func(c int) {
		if code == 0 {
			code = c
		} else if code != c {
			code = exitFailed
		}
	}
	if r.Err != nil {
		note(exitCode(r.Err))
	}
	for _, t := range r.Tables {
		if t.Err == nil {
			note(exitFailed) // some tables went through, so the environment is not all of it
		} else {
			note(exitCode(t.Err))
		}
	}
	if code == 0 {
		return exitFailed
	}
	return code
}
