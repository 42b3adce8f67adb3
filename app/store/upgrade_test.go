package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"arus/embed"
)

// TestOldStateFilesOpen opens the state file of every earlier version, made by
// its migrations alone, with something in it: it is copied, upgraded, and what
// was in it is there.
func TestOldStateFilesOpen(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(embed.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	old := fstest.MapFS{}
	for i, name := range names[:len(names)-1] {
		text, err := fs.ReadFile(embed.Migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		old[filepath.Base(name)] = &fstest.MapFile{Data: text}
		dir := t.TempDir()
		s, err := open(t.Context(), dir, Options{}, old)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		insert, err := os.ReadFile("../../testdata/upgrade/content.sql")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.writer.ExecContext(t.Context(), string(insert)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		closeNow(t, s)
		if info, err := Inspect(t.Context(), filepath.Join(dir, FileName)); err != nil || info.Version != int64(i+1) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}

		s, err = Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatalf("open a file of version %d: %v", i+1, err)
		}
		p, err := s.FindPipeline(t.Context(), "orders")
		if err != nil || len(p.Tables) != 1 || p.Tables[0].SourceTable != "orders" {
			t.Errorf("version %d: the pipeline is %+v, %v", i+1, p, err)
		}
		if w, err := s.GetWatermark(t.Context(), p.ID, "orders"); err != nil || w.Value != "2026-01-01T00:00:00Z" {
			t.Errorf("version %d: the watermark is %+v, %v", i+1, w, err)
		}
		if runs, n, err := s.ListRuns(t.Context(), RunFilter{}); err != nil || n != 1 || runs[0].RowsSynced != 7 {
			t.Errorf("version %d: the runs are %+v, %v", i+1, runs, err)
		}
		if copies, err := filepath.Glob(filepath.Join(dir, BackupsDir, "arus-*.db")); err != nil || len(copies) != 1 {
			t.Errorf("version %d: copies %v, %v", i+1, copies, err)
		}
		closeNow(t, s)
	}
}

// TestInspectRefusesWhatIsNoStateFile, or is damaged.
func TestInspectRefusesWhatIsNoStateFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(file, []byte("this is no database, and long enough to look like one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), file); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Inspect = %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, unfinishedName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrUnfinishedRestore) {
		t.Errorf("Open = %v", err)
	}
}
