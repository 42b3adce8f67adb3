package warehouse

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"modernc.org/sqlite"

	"arus/connectors"
)

// sqliteDriver is SQLite with the collation of this package.
var sqliteDriver = sync.OnceValue(func() *sqlite.Driver {
	d := &sqlite.Driver{}
	d.MustRegisterCollationUtf8("arus_number", compareNumbers)
	return d
})

// storage is a warehouse's directory and what the storage asks of the world.
type storage struct {
	dir    string
	fs     files
	now    func() time.Time
	blooms blooms
}

func newStorage(dir string) *storage { return &storage{dir: dir, fs: disk{}, now: time.Now} }

// Source reads the tables of a warehouse.
type Source struct{ *storage }

// Destination writes the tables of a warehouse.
type Destination struct{ *storage }

func openSource(cfg connectors.Config) (*Source, error) {
	if err := checkDir("open", cfg.Database); err != nil {
		return nil, err
	}
	return &Source{newStorage(cfg.Database)}, nil
}

func checkDir(op, dir string) error {
	fail := func(kind connectors.ErrorKind, err error, hint string) error {
		return &connectors.Error{Kind: kind, Op: op, Object: dir, Err: err, Hint: hint}
	}
	if dir == "" {
		return fail(connectors.KindInvalid, errors.New("no directory is named"), "write it as embedded:///path/to/warehouse")
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(connectors.KindNotFound, errors.New("there is no such warehouse"), "check the path; a first load makes the directory")
	case errors.Is(err, fs.ErrPermission):
		return fail(connectors.KindPermission, errors.New("the directory may not be read"), "give the user that runs Arus the right to read it")
	case err != nil:
		return fail(connectors.KindNotFound, err, "check the path")
	case !info.IsDir():
		return fail(connectors.KindType, errors.New("it is not a directory"), "name the warehouse's directory")
	}
	return nil
}

func openDestination(cfg connectors.Config) (*Destination, error) {
	if cfg.Database != "" {
		if err := os.MkdirAll(cfg.Database, 0o700); err != nil {
			return nil, fileError("make", cfg.Database, err)
		}
	}
	if err := checkDir("open", cfg.Database); err != nil {
		return nil, err
	}
	return &Destination{newStorage(cfg.Database)}, nil
}

// Local says that reading is this process's own work.
func (s *Source) Local() {}

// Local says that loading is this process's own work.
func (d *Destination) Local() {}

// Close has nothing to close: files are open only while they are used.
func (s *Source) Close() error { return nil }

// Close has nothing to close: files are open only while they are used.
func (d *Destination) Close() error { return nil }
