package mysql

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"arus/connectors/conformance"
	"arus/testdata/servers"
)

func TestConformance(t *testing.T) { //nolint:paralleltest // it looks for goroutines left behind
	for name, url := range map[string]func(testing.TB) string{"load data": servers.MariaDBDatabase, "insert": servers.MariaDBNoLocalDatabase} {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, func(t testing.TB) *conformance.Harness {
				f := fixtureOf(t, url(t))
				return &conformance.Harness{Connector: NewMariaDB(), Config: f.cfg, Schema: f.cfg.Database, Schemas: true, Name: func(name string) string { return strings.ReplaceAll(name, "😀", "\uffe5") }, // names end at U+FFFF
					DropSchema: func(t testing.TB, name string) {
						if _, err := f.db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+ident(name)); err != nil {
							t.Error(err)
						}
					}}
			})
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
	// An engine whose tables have no files of rows.
	f.exec(fmt.Sprintf("BEGIN NOT ATOMIC FOR i IN 1..%d DO EXECUTE IMMEDIATE CONCAT('CREATE TABLE t', i, ' (id int PRIMARY KEY, a int, b datetime) ENGINE=MEMORY'); END FOR; END", n))
	q := conformance.CountQuestions(t, f.cfg.Address())
	host, port, err := net.SplitHostPort(q.Address)
	if err != nil {
		t.Fatal(err)
	}
	f.cfg.Host = host
	if f.cfg.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	conformance.ManyTables(t, f.source(), q, n)
}
