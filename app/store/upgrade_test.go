package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"arus/embed"
)

const upgradeDir = "../../testdata/upgrade"

// TestMigrationsStayAsTheyWere: a step that others have taken already is never
// changed, since TestOldStateFilesOpen makes the files of earlier versions by it.
// A new one gets its line in migrations.sha256 when it is released.
func TestMigrationsStayAsTheyWere(t *testing.T) {
	t.Parallel()
	sums, err := os.ReadFile(filepath.Join(upgradeDir, "migrations.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		text, err := fs.ReadFile(embed.Migrations, "migrations/"+name)
		if got := fmt.Sprintf("%x", sha256.Sum256(text)); err != nil || got != want {
			t.Errorf("%s is not what it was: write a step of its own (%v)", name, err)
		}
	}
}

// rowsOf is every row of every table by the columns that the table has now, or
// by the given ones.
func rowsOf(t *testing.T, s *Store, columns map[string][]string) (map[string][]string, map[string][]string) {
	t.Helper()
	if columns == nil {
		columns = map[string][]string{}
		for _, table := range texts(t, s, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'arus%'`) {
			columns[table] = texts(t, s, `SELECT name FROM pragma_table_info('`+table+`')`)
		}
	}
	rows := map[string][]string{}
	for table, names := range columns {
		rows[table] = texts(t, s, `SELECT json_array(quote("`+strings.Join(names, `"), quote("`)+`")) FROM `+table+` ORDER BY 1`)
	}
	return rows, columns
}

// TestOldStateFilesOpen opens the state file of every earlier version, made by
// its migrations alone, with something in each of its tables: it is copied and
// upgraded, and every value that was in it is there.
func TestOldStateFilesOpen(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(embed.Migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	old := fstest.MapFS{}
	content := []string{"content.sql"}
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
		if more := fmt.Sprintf("%04d.sql", i+1); fileIsThere(filepath.Join(upgradeDir, more)) {
			content = append(content, more)
		}
		for _, file := range content {
			insert, err := os.ReadFile(filepath.Join(upgradeDir, file))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.writer.ExecContext(t.Context(), string(insert)); err != nil {
				t.Fatalf("%s, %s: %v", name, file, err)
			}
		}
		was, columns := rowsOf(t, s, nil)
		closeNow(t, s)
		if info, err := Inspect(t.Context(), filepath.Join(dir, FileName)); err != nil || info.Version != int64(i+1) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}

		s, err = Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatalf("open a file of version %d: %v", i+1, err)
		}
		is, _ := rowsOf(t, s, columns)
		for table, rows := range was {
			if !slices.Equal(rows, is[table]) {
				t.Errorf("version %d: %s held %v and holds %v", i+1, table, rows, is[table])
			}
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

func fileIsThere(file string) bool {
	_, err := os.Stat(file)
	return err == nil
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
