package postgres

import (
	"testing"

	"arus/connectors"
	"arus/connectors/conformance"
	"arus/testdata/servers"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind
	conformance.Run(t, func(t testing.TB) *conformance.Harness {
		return &conformance.Harness{Connector: New(), Config: parseConfig(t, servers.PostgresDatabase(t)), Schema: "analytics", Schemas: true}
	})
}

// TestAReadThatWaitsSeesWhatItWaitedFor reloads tables while a read waits for them: a snapshot from before the wait would
// show them empty.
func TestAReadThatWaitsSeesWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	for name, reload := range map[string]string{
		"truncated": `TRUNCATE t; INSERT INTO t VALUES (1), (2), (3)`,
		"swapped":   `CREATE TABLE fresh (id int); INSERT INTO fresh VALUES (1), (2), (3); DROP TABLE t; ALTER TABLE fresh RENAME TO t`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.exec("CREATE TABLE t (id int); INSERT INTO t VALUES (7)")
			table := f.table("t")
			f.exec("BEGIN; " + reload)
			got, done := []string{}, make(chan error, 1)
			go func() {
				done <- f.source.Read(t.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns}, collect(&got, table.Columns))
			}()
			for f.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")[0] == "0" {
				select {
				case err := <-done:
					t.Fatalf("the read did not wait: %v, %v", got, err)
				default:
				}
			}
			f.exec("COMMIT")
			if err := <-done; err != nil || len(got) != 3 {
				t.Errorf("the read gives %v, %v, want the three rows", got, err)
			}
		})
	}
}
