package app

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// TestSQLiteIsNotLookedAtTwice copies a table whose values are alike without a look at all of them, and one that has a
// value of another type between those of a sample with it: in one piece, in an increment and in chunks.
func TestSQLiteIsNotLookedAtTwice(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "source.db")
	db := openSQL(t, "sqlite", "file:"+file)
	exec := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := db.ExecContext(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	const count, middle = 5000, 1900
	for table, n := range map[string]string{"alike": "i % 30000", "odd": fmt.Sprintf("CASE i WHEN %d THEN 'seven' ELSE i END", middle)} {
		exec("CREATE TABLE "+table+" (id INTEGER PRIMARY KEY, updated_at DATETIME NOT NULL, n SMALLINT)",
			fmt.Sprintf("WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < %d) INSERT INTO %s SELECT i, datetime(1700000000 + i, 'unixepoch'), %s FROM k", count, table, n))
	}
	dir, to := t.TempDir(), embeddedTarget(t)
	const looked = ": looking at all values"
	from := []string{"--from", "sqlite://" + file, "--to", to.url}
	check := func(what, query, want string) {
		t.Helper()
		if got := to.read(t, query); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}

	first := runSync(t, dir, from...)
	if text := mustArus(t, dir, "runs", first.RunID); first.RowsLoaded != 2*count || !contains(text, "odd"+looked) || contains(text, "alike"+looked) {
		t.Errorf("loaded %d rows, want %d, and a look at the odd ones only:\n%s", first.RowsLoaded, 2*count, text)
	}
	check("in one piece", "SELECT (SELECT sum(n) FROM alike) || ' ' || (SELECT count(*) FROM odd) || ' ' || (SELECT group_concat(id || n) FROM odd WHERE n = 'seven')",
		fmt.Sprintf(`"%d %d %dseven" `, count*(count+1)/2, count, middle))

	setPipeline(t, dir, `options = json_set(options, '$.drift', 'evolve')`)
	exec(fmt.Sprintf("UPDATE alike SET n = 100000, updated_at = '2030-01-01 00:00:00' WHERE id = %d", middle))
	for _, look := range []bool{true, false} {
		again := runSync(t, dir, from...)
		if text := mustArus(t, dir, "runs", again.RunID); contains(text, "alike"+looked) != look || contains(text, "incompatible") {
			t.Errorf("an increment looked at all: want %v:\n%s", look, text)
		}
	}
	check("in an increment", "SELECT sum(n) || ' ' || count(*) FROM alike", fmt.Sprintf(`"%d %d" `, count*(count+1)/2-middle+100000, count))

	setPipeline(t, dir, `options = json_set(options, '$.chunk_rows', 1100)`)
	exec(fmt.Sprintf("UPDATE alike SET n = 'x' || char(0xe9) WHERE id = %d", middle+1))
	whole := readReport(t, arus(t, dir, "run", "--json", "--quiet", "--full-refresh", first.Pipeline))
	if text := mustArus(t, dir, "runs", whole.RunID); whole.RowsLoaded != 2*count || !contains(text, "alike"+looked) || !contains(text, "chunks are done") {
		t.Errorf("loaded %d rows, want %d, in chunks and with a look at all:\n%s", whole.RowsLoaded, 2*count, text)
	}
	check("in chunks", fmt.Sprintf("SELECT (SELECT count(*) FROM alike) || ' ' || n FROM alike WHERE id = %d", middle+1), fmt.Sprintf(`"%d xé" `, count))
	check("the others", fmt.Sprintf("SELECT sum(CAST(n AS INTEGER)) || ' ' || min(typeof(n)) FROM alike WHERE id <> %d", middle+1), fmt.Sprintf(`"%d text" `, count*(count+1)/2-middle+100000-middle-1))
}
