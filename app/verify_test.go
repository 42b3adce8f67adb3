package app

import (
	"testing"

	"arus/testdata/servers"
)

// TestTablesWithoutAKeyAreVerified compares them as multisets, beside one with a key.
func TestTablesWithoutAKeyAreVerified(t *testing.T) {
	t.Parallel()
	from, to, dir := servers.PostgresDatabase(t), servers.PostgresDatabase(t), t.TempDir()
	execPostgres(t, from, `CREATE TABLE events (n int, note text)`, `INSERT INTO events SELECT i % 50, CASE WHEN i % 7 > 0 THEN 'x' END FROM generate_series(1, 500) i`,
		`CREATE TABLE orders (id int PRIMARY KEY)`, `INSERT INTO orders VALUES (1), (2)`)
	pipeline := runSync(t, dir, "--from", from, "--to", to).Pipeline
	verify(t, dir, pipeline)
	execPostgres(t, to, `UPDATE analytics.events SET note = 'y' WHERE ctid IN (SELECT ctid FROM analytics.events WHERE n = 3 AND note = 'x' LIMIT 1)`)
	r := arus(t, dir, "pipeline", "verify", pipeline)
	if r.code == 0 || !contains(r.out, "500   1        1") {
		t.Errorf("a changed row is not found: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
}
