package store

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"arus/app/model"
)

// The conditions that callers branch on.
var (
	ErrNotFound  = errors.New("not found")
	ErrConflict  = errors.New("already taken")         // a *ConflictError says by which field
	ErrInUse     = errors.New("in use")                // something else still refers to it
	ErrInvalid   = errors.New("not a valid value")     // a constraint refused it, or it refers to something that is not there
	ErrRunActive = errors.New("a run is active")       // the pipeline is running
	ErrRunState  = errors.New("run state")             // a *RunStateError says from where to where
	ErrLocked    = errors.New("data directory in use") // a *LockedError says by whom
	ErrCorrupt   = errors.New("the file is damaged or is not a database of Arus: put a copy from the backups folder in its place")
	ErrBusy      = errors.New("another program has held the state file for too long: end it (a database browser, a backup) and try again")
	ErrFull      = errors.New("the disk of the data directory is full: free some space on it and try again")
	ErrTooNew    = errors.New("the file was written by a newer version of Arus: start that version, or put a copy from the backups folder in its place")
)

// ConflictError names the unique field, or fields with commas between, whose value is taken. It is an ErrConflict.
type ConflictError struct{ Table, Field string }

func (e *ConflictError) Error() string { return e.Field + " " + ErrConflict.Error() }

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// RunStateError is a move that a run may not make. It is an ErrRunState.
type RunStateError struct {
	RunID    string
	From, To model.RunStatus
}

func (e *RunStateError) Error() string {
	if e.From == "" {
		return fmt.Sprintf("a run cannot start as %s", e.To)
	}
	return fmt.Sprintf("run %s is %s and cannot become %s", e.RunID, e.From, e.To)
}

// Is makes errors.Is(err, ErrRunState) true.
func (e *RunStateError) Is(target error) bool { return target == ErrRunState }

// LockedError says which data directory is held, and by which process where that can be read (else PID is 0). It is an
// ErrLocked.
type LockedError struct {
	Dir string
	PID int
}

func (e *LockedError) Error() string {
	by := "another process"
	if e.PID > 0 {
		by = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("the data directory %s is in use by %s: stop it, or choose another directory", e.Dir, by)
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// fail wraps err once with what was attempted, translated; nil stays nil.
func fail(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), translate(err))
}

// translate turns the driver's conditions into this package's sentinels and leaves every other error as it is.
func translate(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return conflict(e.Error())
	case sqlite3.SQLITE_CONSTRAINT_TRIGGER: // ON DELETE RESTRICT
		return ErrInUse
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fmt.Errorf("%w: it refers to something that does not exist", ErrInvalid)
	case sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_CONSTRAINT_NOTNULL, sqlite3.SQLITE_CONSTRAINT_DATATYPE:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // no room for the index of the write-ahead log
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w)", ErrCorrupt, err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%w (%w)", ErrBusy, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

// conflict reads the columns out of "... UNIQUE constraint failed: table.a, table.b (2067)", the only place that has them.
func conflict(message string) error {
	_, list, _ := strings.Cut(message, "UNIQUE constraint failed: ")
	list, _, _ = strings.Cut(list, " (")
	var table string
	var fields []string
	for column := range strings.SplitSeq(list, ", ") {
		t, field, ok := strings.Cut(column, ".")
		if !ok {
			return &ConflictError{Field: "value"}
		}
		table, fields = t, append(fields, field)
	}
	return &ConflictError{Table: table, Field: strings.Join(fields, ", ")}
}
