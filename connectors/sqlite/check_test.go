package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	database := func(name, sql string) string {
		path := filepath.Join(dir, name)
		c, err := lite.Open(driver(), path, lite.Create, "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shop := database("shop.db", `CREATE TABLE a (x); CREATE TABLE "b""c" (x)`)
	for _, tc := range []struct {
		name   string
		path   string
		tables []string
		failed string
		words  string // of the last stage that was run
	}{
		{"healthy", shop, nil, "", "2 tables may be read"},
		{"no tables", database("empty.db", "PRAGMA user_version = 1"), nil, "", "no table to read"},
		{"missing table", shop, []string{"a", "gone"}, "read", "gone"},
		{"absent", filepath.Join(dir, "absent.db"), nil, "file", "no such file"},
		{"directory", dir, nil, "file", "a directory"},
		{"no database", file("text.db", strings.Repeat("this is no database\n", 100)), nil, "open", "not a SQLite database"},
	} {
		stages := New().Check(t.Context(), connectors.Config{Type: "sqlite", Database: tc.path},
			connectors.CheckOptions{Source: true, Tables: connectors.TableFilter{Names: tc.tables}})
		failed, ok := connectors.FailedStage(stages)
		last := failed
		if !ok {
			last = stages[len(stages)-1]
		}
		if len(stages) != 3 || failed.Name != tc.failed || !strings.Contains(last.Detail, tc.words) {
			t.Errorf("%s: %+v", tc.name, stages)
		}
	}
}
