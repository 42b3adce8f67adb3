package clickhouse

import (
	"fmt"
	"net"
	"strings"
	"testing"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"arus/connectors"
)

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
	option := func(name, value string) func(*connectors.Config) {
		return func(c *connectors.Config) { c.Options = map[string]string{name: value} }
	}
	for _, test := range []struct {
		name   string
		change func(*connectors.Config)
		kind   connectors.ErrorKind
		says   string
	}{
		{"wrong password", func(c *connectors.Config) { c.Password = "sesame-0815" }, connectors.KindAuth, "password"},
		{"unknown user", func(c *connectors.Config) { c.Username, c.Password = "nobody", "sesame-0815" }, connectors.KindAuth, "user"},
		{"unknown database", func(c *connectors.Config) { c.Database = "no_such" }, connectors.KindNotFound, "no_such"},
		{"closed port", func(c *connectors.Config) { c.Port, c.Password = port(closed), "sesame-0815" }, connectors.KindNetwork, "running"},
		{"silent server", func(c *connectors.Config) {
			c.Port, c.Options = port(silent), map[string]string{"connect_timeout": "1"}
		}, connectors.KindTimeout, ""},
		{"unknown host", func(c *connectors.Config) { c.Host = "no-such-host.invalid" }, connectors.KindNetwork, "host name"},
		{"TLS of a plain server", option("sslmode", "require"), connectors.KindTLS, "9440"},
		{"unknown option", option("colour", "red"), connectors.KindInvalid, "colour"},
		{"odd sslmode", option("sslmode", "maybe"), connectors.KindInvalid, "verify-full"},
		{"odd timeout", option("connect_timeout", "soon"), connectors.KindInvalid, "seconds"},
		{"odd compression", option("compression", "zip"), connectors.KindInvalid, "lz4"},
		{"no certificate", option("sslrootcert", "/no/such/file"), connectors.KindInvalid, "sslrootcert"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := parseConfig(t)
			test.change(&config)
			_, err := New().OpenDestination(t.Context(), config)
			if connectors.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "0815") {
				t.Errorf("%v (kind %q), want kind %q and %q", err, connectors.KindOf(err), test.kind, test.says)
			}
		})
	}
}

func TestCompressedConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.config.Options = map[string]string{"compression": "lz4"}
	f.dest = openDestination(t, f.config)
	req := f.request(connectors.Replace, "t", []string{"id"}, idName()...)
	f.load(req, []string{"1", strings.Repeat("a", 1000)})
	if got := f.read(req); len(got) != 1 || len(got[0][1]) != 1000 {
		t.Errorf("read %d rows", len(got))
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	d := &db{}
	for code, kind := range map[int32]connectors.ErrorKind{
		516: connectors.KindAuth, 193: connectors.KindAuth, 497: connectors.KindPermission, 81: connectors.KindNotFound, 60: connectors.KindNotFound, 241: connectors.KindTransient,
		252: connectors.KindTransient, 159: connectors.KindTimeout, 210: connectors.KindNetwork, 53: connectors.KindType, 62: connectors.KindInvalid, 359: connectors.KindPermission,
		209: connectors.KindNetwork, 279: connectors.KindNetwork, 243: connectors.KindTransient, 394: connectors.KindTimeout, 236: connectors.KindTransient, 242: connectors.KindTransient,
		6: connectors.KindType, 27: connectors.KindType, 69: connectors.KindType, 72: connectors.KindType, 131: connectors.KindType, 349: connectors.KindType, 469: connectors.KindConstraint,
		122: connectors.KindConflict, 202: connectors.KindTransient,
	} {
		err := d.fail(t.Context(), opLoad, "a.t", "GRANT INSERT ON a.* TO b", fmt.Errorf("wrapped: %w", &ch.Exception{Code: code, Message: "DB::Exception: it. (version 25.8)\nStack trace: 1. x"}))
		if connectors.KindOf(err) != kind || !strings.Contains(err.Error(), fmt.Sprintf("it (code %d)", code)) || strings.Contains(err.Error(), "Stack") {
			t.Errorf("code %d: %v (kind %q), want %q", code, err, connectors.KindOf(err), kind)
		}
		if kind == connectors.KindPermission && code == 497 && !strings.Contains(err.Error(), "GRANT INSERT") {
			t.Errorf("no remedy in %v", err)
		}
	}
}

// TestDiskFull wants a full disk to be told by whatever code it comes.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	d := &db{}
	for _, e := range []*ch.Exception{
		{Code: 243, Message: "Cannot reserve 1.00 MiB, not enough space."},
		{Code: 75, Message: "Cannot write to file /var/lib/clickhouse/x.bin, errno: 28, strerror: No space left on device"},
		{Code: 1001, Message: "std::exception. No space left on device"},
	} {
		err := d.fail(t.Context(), opLoad, "a.t", "", e)
		if connectors.KindOf(err) != connectors.KindTransient || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("code %d: %v (kind %q)", e.Code, err, connectors.KindOf(err))
		}
	}
}

func TestClosedConnector(t *testing.T) {
	t.Parallel()
	d := openDestination(t, parseConfig(t))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Table(t.Context(), connectors.TableRef{Schema: "default", Name: "t"}); connectors.KindOf(err) != connectors.KindInvalid {
		t.Errorf("a closed connector says %v", err)
	}
}
