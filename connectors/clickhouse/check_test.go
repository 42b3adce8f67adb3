package clickhouse

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

func TestCheckFailsAtItsStage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE " + ident(f.schema) + ".t (id Int32) ENGINE = MergeTree ORDER BY id")
	good := f.config
	good.Database = f.schema
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
	tls := map[string]string{"sslmode": "require"}
	for _, tc := range []struct {
		name   string
		change func(*connectors.Config)
		failed string
		words  string
	}{
		{"healthy", func(*connectors.Config) {}, "", ""},
		{"unknown host", func(c *connectors.Config) { c.Host = "no-such-host.invalid" }, "name", "host name"},
		{"closed port", func(c *connectors.Config) { c.Port = port(closed) }, "tcp", "running"},
		{"black hole", func(c *connectors.Config) { c.Port = port(silent) }, "login", "did not answer"},
		{"black hole with TLS", func(c *connectors.Config) { c.Port, c.Options = port(silent), tls }, "tls", "did not answer"},
		{"TLS demanded of a plain server", func(c *connectors.Config) { c.Options = tls }, "tls", ""},
		{"wrong password", func(c *connectors.Config) { c.Username, c.Password = "default", "wrong-password" }, "login", "password"},
		{"missing database", func(c *connectors.Config) { c.Database = "no_such_db" }, "database", "database name"},
		{"unknown option", func(c *connectors.Config) { c.Options = map[string]string{"colour": "red"} }, "settings", "colour"},
	} {
		cfg := good
		tc.change(&cfg)
		opts := connectors.CheckOptions{Source: true, Destination: true, Targets: []string{f.schema, f.schema + "_new"}}
		if strings.HasPrefix(tc.name, "black hole") || cfg.Options["sslmode"] != "" {
			opts.Timeout = 500 * time.Millisecond
		}
		stages := New().Check(t.Context(), cfg, opts)
		failed, _ := connectors.FailedStage(stages)
		if failed.Name != tc.failed || !strings.Contains(failed.Detail+failed.Hint, tc.words) || strings.Contains(failed.Detail, "wrong-password") {
			t.Errorf("%s: failed at %q, want %q: %+v", tc.name, failed.Name, tc.failed, stages)
		}
		if tc.failed != "" {
			continue
		}
		got := []string{stages[4].Detail, stages[5].Detail, stages[6].Detail}
		want := []string{f.schema, "1 table may be read", "created, written, read back and dropped a table in " + f.schema + "; " + f.schema + "_new can be created"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff([]string{"t"}, f.tables()); diff != "" {
		t.Errorf("left behind: %s", diff)
	}
	if left := f.texts("SELECT name FROM system.databases WHERE name LIKE '%arus_check%' OR name = " + literal(f.schema+"_new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
