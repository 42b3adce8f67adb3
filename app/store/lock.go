package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// fileLock is the hold on a data directory. The system gives it up when the process ends, however it ends; the file stays,
// since removing it would let two processes hold two files of the same name.
type fileLock struct{ f *os.File }

// errHeld is what lockFile returns when another process has the lock.
var errHeld = errors.New("lock held")

func acquire(dir string) (*fileLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	switch err := lockFile(f); {
	case errors.Is(err, errHeld):
		pid := readPID(f)
		return nil, errors.Join(&LockedError{Dir: dir, PID: pid}, f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock the data directory %s: %w", dir, err), f.Close())
	}
	// The number is for the other side's error message only, so a full disk must not stop the start here.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &fileLock{f}, nil
}

func (l *fileLock) release() error {
	if err := l.f.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

func readPID(f *os.File) int {
	b, _ := io.ReadAll(io.LimitReader(f, 32))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}
