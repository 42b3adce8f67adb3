package servers

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

const dirPattern = "arus-servers-*"

// tempDir is a directory whose lock is held as long as this process or one of its servers lives.
type tempDir struct {
	path string
	lock *os.File
}

func newTempDir() (*tempDir, error) {
	removeStale(filepath.Join(os.TempDir(), dirPattern))
	path, err := os.MkdirTemp("", dirPattern)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o711); err != nil { //nolint:gosec // the accounts of the servers have to pass through
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tryLock(lock) // nobody else knows it yet
	return &tempDir{path: path, lock: lock}, nil
}

func (d *tempDir) remove() error {
	err := os.RemoveAll(d.path)
	return errors.Join(err, d.lock.Close())
}

// removeStale removes what a run left that was killed before it could clean up. A directory younger than a minute may
// belong to a run that has not locked it yet.
func removeStale(pattern string) {
	dirs, _ := filepath.Glob(pattern)
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(lock) {
			_ = os.RemoveAll(dir) // another run may be doing the same
		}
		_ = lock.Close()
	}
}
