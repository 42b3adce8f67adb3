package app

import "testing"

// TestATableWithoutStatisticsIsLoadedInChunks stores a pipeline with options given on the command line, of a table that
// the source has not looked at yet: its size tells that it is large.
func TestATableWithoutStatisticsIsLoadedInChunks(t *testing.T) {
	t.Parallel()
	from, dir := postgresDatabase(t), t.TempDir()
	to := postgresTarget(t)
	from.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, note text, updated_at timestamptz NOT NULL) WITH (autovacuum_enabled = off)",
		"INSERT INTO orders SELECT i, repeat(md5(i::text), 4), '2026-01-01'::timestamptz + i * interval '1 second' FROM generate_series(1, 9000) i")
	mustArus(t, dir, "source", "add", "s", from.url)
	mustArus(t, dir, "destination", "add", "d", to.url)
	mustArus(t, dir, "pipeline", "add", "p", "--source", "s", "--destination", "d", "--chunk-rows", "2000", "--max-retries", "1", "--timeout", "90s", "--max-dead-letters", "7")
	if shown := mustArus(t, dir, "pipeline", "show", "p", "--json"); !contains(shown, `"max_retries": 1`) || !contains(shown, `"timeout_seconds": 90`) || !contains(shown, `"max_rows": 7`) {
		t.Errorf("the options are not stored:\n%s", shown)
	}
	report := readReport(t, arus(t, dir, "run", "p", "--json", "--quiet"))
	if report.Status != "success" || report.RowsLoaded != 9000 {
		t.Errorf("the run is %s, %d rows: %s", report.Status, report.RowsLoaded, report.Error)
	}
	if log := mustArus(t, dir, "runs", report.RunID); !contains(log, "chunks of about 2000 rows") {
		t.Errorf("the table did not go in chunks:\n%s", log)
	}
	verify(t, dir, "p")
}
