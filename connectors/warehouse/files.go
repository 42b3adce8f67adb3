package warehouse

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// files is what the storage asks of the file system. Tests put a failing one
// beneath, to stop the storage before any operation.
type files interface {
	Create(path string) (file, error)
	Open(path string) (file, error)
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]fs.DirEntry, error)
	MkdirAll(path string) error
	Rename(from, to string) error
	Remove(path string) error
	RemoveAll(path string) error
	SyncDir(path string) error
	// Point stands before a commit of the live database, which is an operation too.
	Point(name string) error
}

type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
}

// disk is the real file system.
type disk struct{}

func (disk) Create(path string) (file, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
}
func (disk) Open(path string) (file, error)             { return os.Open(path) }
func (disk) ReadFile(path string) ([]byte, error)       { return os.ReadFile(path) }
func (disk) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }
func (disk) MkdirAll(path string) error                 { return os.MkdirAll(path, 0o700) }
func (disk) Rename(from, to string) error               { return os.Rename(from, to) }
func (disk) Remove(path string) error                   { return os.Remove(path) }
func (disk) RemoveAll(path string) error                { return os.RemoveAll(path) }
func (disk) SyncDir(path string) error                  { return syncDir(path) }
func (disk) Point(string) error                         { return nil }

// replaceFile writes a file under its name in one step that lasts: what stood
// there before, or all of data.
func replaceFile(f files, path string, data []byte) error {
	tmp := path + tmpSuffix
	if err := writeAll(f, tmp, data); err != nil {
		return errors.Join(err, f.Remove(tmp))
	}
	return settle(f, tmp, path)
}

func writeAll(f files, path string, data []byte) error {
	out, err := f.Create(path)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return errors.Join(err, out.Sync(), out.Close())
}

// settle gives a file that is synced its name, durably.
func settle(f files, from, to string) error {
	if err := f.Rename(from, to); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(to))
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
