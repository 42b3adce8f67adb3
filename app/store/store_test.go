package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"arus/app/model"
	"arus/embed"
)

// clock is a time that moves only when told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, _ := openWithClock(t, dir)
	return s
}

func openWithClock(t *testing.T, dir string) (*Store, *clock) {
	t.Helper()
	c := newClock()
	s, err := Open(t.Context(), dir, Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s, c
}

func TestOpenMakesAPrivateDirectory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits on Windows")
	}
	dir := filepath.Join(t.TempDir(), "new", "data with ? and % and #")
	s := openStore(t, dir)
	if _, err := s.Backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, others can get in", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		t.Errorf("the state file is not in the directory: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string) string
		want    string
		is      error
	}{
		{"no name", func(*testing.T, string) string { return "" }, "no directory was given", nil},
		{"a file", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "f"), "")
			return filepath.Join(dir, "f")
		}, "not a directory", nil},
		{"below a file", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "f"), "")
			return filepath.Join(dir, "f", "data")
		}, "not a directory", nil},
		{"not a database", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, FileName), strings.Repeat("no database ", 1000))
			return dir
		}, FileName, ErrCorrupt},
		{"damaged", func(t *testing.T, dir string) string {
			closeNow(t, openStore(t, dir))
			f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			if _, err := f.WriteAt([]byte(strings.Repeat("x", 8000)), 100); err != nil {
				t.Fatal(err)
			}
			return dir
		}, FileName, ErrCorrupt},
		{"unreadable", func(t *testing.T, dir string) string {
			if runtime.GOOS == "windows" || os.Geteuid() == 0 {
				t.Skip("permission bits do not bind this user")
			}
			if err := os.Chmod(dir, 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
			return dir
		}, "permission denied", os.ErrPermission},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			dir := tc.prepare(t, base)
			for range 2 { // the second time shows that the first left no lock behind
				s, err := Open(t.Context(), dir, Options{})
				if err == nil {
					_ = s.Close()
					t.Fatal("Open succeeded")
				}
				if !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
					t.Fatalf("Open = %v, want %q and %v", err, tc.want, tc.is)
				}
			}
		})
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openStore(t, dir)
	_, err := Open(t.Context(), dir, Options{})
	locked, ok := errors.AsType[*LockedError](err)
	if !ok || !errors.Is(err, ErrLocked) || locked.Dir != dir || locked.PID != os.Getpid() {
		t.Fatalf("the second Open = %v, want ErrLocked with directory %s and process %d", err, dir, os.Getpid())
	}
	for _, word := range []string{dir, fmt.Sprint(os.Getpid())} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not name %s", err, word)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// steps returns the embedded migrations and one more.
func steps(t *testing.T, more string) fs.FS {
	t.Helper()
	names, err := fs.Glob(embed.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{"9999_more.sql": {Data: []byte("-- +goose Up\n" + more)}}
	for _, name := range names {
		b, err := fs.ReadFile(embed.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(name)] = &fstest.MapFile{Data: b}
	}
	return all
}

func TestMigrationKeepsACopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	src := addSource(t, s, "shop")
	if backups, _ := filepath.Glob(filepath.Join(dir, BackupsDir, "*")); len(backups) > 0 {
		t.Errorf("a new file was backed up: %v", backups)
	}
	closeNow(t, s)

	// A step that fails changes nothing, and the copy is there.
	broken := steps(t, "CREATE TABLE extra (id TEXT) STRICT;\nINSERT INTO nowhere VALUES (1);\n")
	if _, err := open(t.Context(), dir, Options{}, broken); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Fatalf("open with a broken step = %v", err)
	}
	backups, _ := filepath.Glob(filepath.Join(dir, BackupsDir, "arus-*-*.db"))
	if len(backups) != 1 {
		t.Fatalf("backups = %v, want one", backups)
	}
	restored := t.TempDir()
	b, err := os.ReadFile(backups[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(restored, FileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, restored} {
		s := openStore(t, d)
		if _, err := s.GetSource(t.Context(), src.ID); err != nil {
			t.Errorf("the source is gone from %s: %v", d, err)
		}
		if names := texts(t, s, `SELECT name FROM sqlite_schema WHERE name = 'extra'`); len(names) > 0 {
			t.Error("half of the broken step stayed")
		}
		closeNow(t, s)
	}

	good, err := open(t.Context(), dir, Options{}, steps(t, "CREATE TABLE extra (id TEXT) STRICT;\n"))
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, good)
	_, err = Open(t.Context(), dir, Options{})
	if !errors.Is(err, ErrTooNew) || !strings.Contains(err.Error(), "9999") {
		t.Errorf("Open of a newer file = %v, want ErrTooNew with its version", err)
	}
}

// closeNow closes before the test's cleanup would.
func closeNow(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	if _, err := s.reader.ExecContext(t.Context(), `DELETE FROM arus_config_sources`); err == nil {
		t.Error("a reader connection wrote")
	}
}

func TestReadersBesideAWriter(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	_, dst := addSource(t, s, "shop"), addDestination(t, s, "wh")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers sync.WaitGroup
	for range 6 {
		readers.Go(func() {
			for ctx.Err() == nil {
				list, total, err := s.ListPipelines(context.WithoutCancel(ctx), PipelineFilter{})
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				for _, p := range list { // a pipeline is never seen without its tables
					if len(p.Tables) != 2 || total != len(list) {
						t.Errorf("torn read: %d tables, %d of %d", len(p.Tables), len(list), total)
						return
					}
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := range 20 {
				p := model.NewPipeline(fmt.Sprintf("p%d-%d", w, i), "", dst.ID)
				p.Tables = []model.PipelineTable{model.NewPipelineTable("", "a"), model.NewPipelineTable("", "b")}
				if err := s.CreatePipeline(t.Context(), &p); err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	writers.Wait()
	// A writer in the middle of its transaction does not hold the readers up.
	err := s.write(t.Context(), func(tx *transaction) error {
		if _, err := tx.ExecContext(t.Context(), `UPDATE arus_config_pipelines SET name = name || 'x'`); err != nil {
			return err
		}
		_, total, err := s.ListPipelines(t.Context(), PipelineFilter{Page: Page{Limit: 1}})
		if total != 60 {
			t.Errorf("total = %d, want 60", total)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	stop()
	readers.Wait()
}

func TestCancelledContextStopsAndRollsBack(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	err := s.write(ctx, func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO arus_config_runtime_settings (id, key) VALUES ('1', 'k')`)
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("write = %v, want context.Canceled", err)
	}
	if got := texts(t, s, `SELECT key FROM arus_config_runtime_settings`); len(got) > 0 {
		t.Errorf("the cancelled write stayed: %v", got)
	}
	addSource(t, s, "the writer still works")
}
