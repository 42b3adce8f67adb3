package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"

	"modernc.org/sqlite"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// busyTimeout is how long a read waits for a writer that holds the file, in milliseconds.
const busyTimeout = "10000"

// driver is SQLite with the functions of this package.
var driver = sync.OnceValue(func() *sqlite.Driver {
	d := &sqlite.Driver{}
	registerFunctions(d)
	return d
})

// Source reads one SQLite file.
type Source struct {
	path   string
	params string

	mu     sync.Mutex
	idle   []*lite.Conn
	closed bool
}

func openSource(ctx context.Context, cfg connectors.Config) (*Source, error) {
	const op = "open"
	s := &Source{path: cfg.Database}
	if err := checkFile(op, s.path); err != nil {
		return nil, err
	}
	c, err := s.acquire(ctx)
	if lite.Code(err) == lite.CantOpen && noLog(s.path) {
		// A WAL file in a folder that cannot be written needs its index built
		// there. With no log beside it, the file alone is the database.
		s.params = "immutable=1"
		c, err = s.acquire(ctx)
	}
	if err != nil {
		return nil, s.fail(ctx, op, s.path, err)
	}
	s.release(c, nil)
	return s, nil
}

// checkFile gives plain words for what SQLite calls "unable to open".
func checkFile(op, path string) error {
	fail := func(kind connectors.ErrorKind, err error, hint string) error {
		return &connectors.Error{Kind: kind, Op: op, Object: path, Err: err, Hint: hint}
	}
	if path == "" {
		return fail(connectors.KindInvalid, errors.New("no file is named"), "write it as sqlite:///path/to/file")
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(connectors.KindNotFound, errors.New("there is no such file"), "check the path")
	case errors.Is(err, fs.ErrPermission):
		return fail(connectors.KindPermission, errors.New("the file may not be read"), "give the user that runs Arus the right to read it")
	case err != nil:
		return fail(connectors.KindNotFound, err, "check the path")
	}
	info, err := f.Stat()
	_ = f.Close()
	switch {
	case err != nil:
		return fail(connectors.KindNotFound, err, "check the path")
	case info.IsDir():
		return fail(connectors.KindNotFound, errors.New("it is a directory"), "name the database file in it")
	case !info.Mode().IsRegular():
		return fail(connectors.KindType, errors.New("it is not a regular file"), "name a SQLite database file")
	}
	return nil
}

func noLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}

func (s *Source) acquire(ctx context.Context) (*lite.Conn, error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		c := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return c, nil
	}
	s.mu.Unlock()
	c, err := lite.Open(driver(), s.path, lite.ReadOnly, s.params)
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{
		"PRAGMA busy_timeout = " + busyTimeout,
		"PRAGMA query_only = 1",
		"PRAGMA trusted_schema = 0",
		"PRAGMA cache_size = -1024",          // the system has the pages too
		"SELECT count(*) FROM sqlite_schema", // reads the header: only now is it known to be a database
	} {
		if err := c.Exec(ctx, sql); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

// release keeps the connection for the next user, unless it failed.
func (s *Source) release(c *lite.Conn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.closed || len(s.idle) >= 4 {
		_ = c.Close()
		return
	}
	s.idle = append(s.idle, c)
}

// with lends a connection to f.
func (s *Source) with(ctx context.Context, op, object string, f func(*lite.Conn) error) error {
	c, err := s.acquire(ctx)
	if err == nil {
		err = f(c)
		s.release(c, err)
	}
	return s.fail(ctx, op, object, err)
}

// Local says that reading is this process's own work.
func (s *Source) Local() {}

// Close closes the idle connections.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, c := range s.idle {
		errs = append(errs, c.Close())
	}
	s.idle = nil
	return errors.Join(errs...)
}
