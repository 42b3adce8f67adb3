package postgres

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

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

// TestStagingTablesOfLikeNamesAreMadeAtOnce begins raw loads whose staging tables have names that are equal as far as the
// server would keep them in the names of sequences and keys.
func TestStagingTablesOfLikeNamesAreMadeAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var loads []connectors.Load
	for i := range 3 {
		name := fmt.Sprintf("%s%d", strings.Repeat("x", 58), i)
		req := request(connectors.Table{TableRef: connectors.TableRef{Name: name}, Columns: []connectors.Column{{Name: "v", Type: connectors.Type{Kind: connectors.Int32}}}}, connectors.Replace)
		req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: "staging", Name: name}}
		l, err := f.dest.Begin(ctx, req)
		if err != nil {
			t.Errorf("begin: %v", err)
			break
		}
		batch, err := conformance.Batch(req.Columns, [][]any{{"1"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Write(ctx, batch); err != nil {
			t.Errorf("write: %v", err)
		}
		loads = append(loads, l)
	}
	for _, l := range loads {
		if _, err := l.Commit(ctx); err != nil {
			t.Errorf("commit: %v", err)
			_ = l.Abort()
		}
	}
}
