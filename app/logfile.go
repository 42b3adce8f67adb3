package app

import (
	"errors"
	"io/fs"
	"os"
	"sync"
)

// maxLogFile is how large a log file becomes before it makes room for a new one.
const maxLogFile = 8 << 20

// logFile is a log that nobody else looks after: when it is full it becomes
// FILE.1, in the place of the one before.
type logFile struct {
	mu   sync.Mutex
	name string
	f    *os.File
	size int64
}

func openLogFile(name string) (*logFile, error) {
	l := &logFile{name: name}
	err := l.open()
	return l, err
}

func (l *logFile) open() (err error) {
	if l.f, err = os.OpenFile(l.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	info, err := l.f.Stat()
	if err == nil {
		l.size = info.Size()
	}
	return err
}

// Write appends one line.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(line)) > maxLogFile {
		// Windows does not rename what is open.
		err := errors.Join(l.f.Close(), os.Remove(l.name+".1"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		if err := os.Rename(l.name, l.name+".1"); err != nil {
			return 0, err
		}
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.f.Write(line)
	l.size += int64(n)
	return n, err
}

// Close ends the log.
func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}
