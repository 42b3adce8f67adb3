package mongodb

import (
	"net"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"arus/connectors"
	"arus/testdata/servers"
)

func TestCheckFailsAtItsStage(t *testing.T) {
	t.Parallel()
	good, err := registry().ParseURL(servers.MongoDBDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	source, err := New().OpenSource(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	insert(t, source.(*Source).database.Collection("c"), bson.D{{Key: "_id", Value: 1}})
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
	for _, tc := range []struct {
		name   string
		change func(*connectors.Config)
		failed string
		words  string
	}{
		{"healthy", func(*connectors.Config) {}, "", ""},
		{"unknown host", func(c *connectors.Config) { c.Host = "no-such-host.invalid" }, "name", "host name"},
		{"closed port", func(c *connectors.Config) { c.Port = port(closed) }, "tcp", "running"},
		{"black hole", func(c *connectors.Config) { c.Port = port(silent) }, "login", ""},
		{"TLS demanded of a plain server", func(c *connectors.Config) { c.Options = map[string]string{"sslmode": "require"} }, "tls", ""},
		{"unknown option", func(c *connectors.Config) { c.Options = map[string]string{"colour": "red"} }, "settings", "colour"},
	} {
		cfg := good
		tc.change(&cfg)
		opts := connectors.CheckOptions{Source: true}
		if tc.failed == "login" || tc.failed == "tls" {
			opts.Timeout = 500 * time.Millisecond
		}
		stages := New().Check(t.Context(), cfg, opts)
		failed, _ := connectors.FailedStage(stages)
		if failed.Name != tc.failed || !strings.Contains(failed.Detail+failed.Hint, tc.words) {
			t.Errorf("%s: failed at %q, want %q: %+v", tc.name, failed.Name, tc.failed, stages)
		}
		if tc.failed == "" && (stages[5].Detail != "1 collection may be read" || !strings.HasPrefix(stages[6].Detail, "MongoDB ")) {
			t.Errorf("%s: %+v", tc.name, stages)
		}
	}
}
