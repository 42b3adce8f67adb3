package postgres

import (
	"fmt"
	"net"
	"strconv"
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

func TestManyTablesAreDiscoveredAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it makes 5,000 tables")
	}
	t.Parallel()
	const n = 5000
	f := newFixture(t)
	// A transaction each thousand, or the locks run out.
	for from := 1; from <= n; from += 1000 {
		f.exec(fmt.Sprintf(`DO $$ BEGIN FOR i IN %d..%d LOOP EXECUTE format('CREATE TABLE t%%s (id int PRIMARY KEY, a int, b timestamp)', i); END LOOP; END $$`, from, from+999))
	}
	q := conformance.CountQuestions(t, f.config.Address())
	conformance.ManyTables(t, openAt(t, f.config, q.Address), q, n)
}

func openAt(t *testing.T, cfg connectors.Config, address string) connectors.Source {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Host = host
	if cfg.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	s, err := New().OpenSource(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
