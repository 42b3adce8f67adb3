package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"arus/connectors"
	"arus/testdata/servers"
)

const readerPassword = "reader-s3cret/@:%"

// statuses spells a test's outcome: every stage but those that are ok.
func statuses(stages []connectors.Stage) string {
	var words []string
	for _, s := range stages {
		if s.Status != connectors.StageOK {
			words = append(words, s.Name+" "+string(s.Status))
		}
	}
	return strings.Join(words, ", ")
}

func runCheck(t *testing.T, cfg connectors.Config, opts connectors.CheckOptions) []connectors.Stage {
	t.Helper()
	stages := New().Check(t.Context(), cfg, opts)
	shown, err := json.Marshal(stages)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"s3cret", "wrong-password", "arus-test"} {
		if strings.Contains(string(shown)+fmt.Sprintf("%+v", stages), secret) {
			t.Errorf("a password shows: %s", shown)
		}
	}
	return stages
}

// failure is the stage that failed, or a fault of the test.
func failure(t *testing.T, stages []connectors.Stage, name string) connectors.Stage {
	t.Helper()
	s, ok := connectors.FailedStage(stages)
	if !ok || s.Name != name {
		t.Fatalf("the stage that failed is %q, want %q: %+v", s.Name, name, stages)
	}
	return s
}

// role makes a user that may do nothing but log in, and gives its configuration.
func (f *fixture) role(t *testing.T) connectors.Config {
	t.Helper()
	name := strings.Replace(f.config.Database, "t_", "r_", 1)
	f.exec("CREATE ROLE " + ident(name) + " LOGIN PASSWORD '" + readerPassword + "'")
	t.Cleanup(func() { // before the fixture's own, which drops the database
		ctx := context.WithoutCancel(t.Context())
		if _, err := f.sql.Exec(ctx, "DROP OWNED BY "+ident(name)+"; DROP ROLE "+ident(name), pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("drop the role: %v", err)
		}
	})
	cfg := f.config
	cfg.Username, cfg.Password = name, readerPassword
	return cfg
}

// mend runs the statements that a stage printed, as the administrator.
func (f *fixture) mend(t *testing.T, s connectors.Stage, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.Fix); diff != "" {
		t.Fatalf("the fix: %s", diff)
	}
	for _, statement := range s.Fix {
		f.exec(statement)
	}
}

func (f *fixture) nothingLeft(t *testing.T) {
	t.Helper()
	if left := f.text(`SELECT relname FROM pg_class WHERE relname LIKE '\_arus\_check%' UNION ALL SELECT nspname FROM pg_namespace WHERE nspname LIKE '\_arus\_check%'`); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCheckFailsAtItsStage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (id int)")
	options := func(o map[string]string) func(*connectors.Config) {
		return func(c *connectors.Config) { c.Options = o }
	}
	after := func(stage, then string) string {
		return stage + " failed, " + strings.ReplaceAll(then, ",", " skipped, ") + " skipped"
	}
	tls := encrypting(t, f.config.Address())
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	const rest = "database,privileges,privileges,version,clock"
	for _, tc := range []struct {
		name   string
		change func(*connectors.Config)
		want   string
		words  string // of the failed stage's detail and hint
	}{
		{"healthy", func(*connectors.Config) {}, "", ""},
		{"plain", options(map[string]string{"sslmode": "disable"}), "tls skipped", ""},
		{"unknown host", func(c *connectors.Config) { c.Host = "no-such-host.invalid" }, after("name", "tcp,tls,login,"+rest), "host name"},
		{"closed port", func(c *connectors.Config) { c.Port = closed.Addr().(*net.TCPAddr).Port }, after("tcp", "tls,login,"+rest), "running"},
		{"black hole", func(c *connectors.Config) { c.Port = silentPort(t) }, after("tls", "login,"+rest), "did not answer"},
		{"black hole in plain", func(c *connectors.Config) {
			c.Port, c.Options = silentPort(t), map[string]string{"sslmode": "disable"}
		}, "tls skipped, " + after("login", rest), "did not answer"},
		{"TLS demanded of a plain server", options(map[string]string{"sslmode": "require"}), after("tls", "login,"+rest), "sslmode=prefer"},
		{"TLS", func(c *connectors.Config) { c.Port, c.Options = tls.port, map[string]string{"sslmode": "require"} }, "", ""},
		{"untrusted certificate", func(c *connectors.Config) { c.Port, c.Options = tls.port, map[string]string{"sslmode": "verify-full"} }, after("tls", "login,"+rest), "sslrootcert"},
		{"trusted certificate", func(c *connectors.Config) {
			c.Port, c.Options = tls.port, map[string]string{"sslmode": "verify-full", "sslrootcert": tls.root}
		}, "", ""},
		{"certificate of another host", func(c *connectors.Config) {
			c.Host, c.Port, c.Options = "localhost", tls.port, map[string]string{"sslmode": "verify-full", "sslrootcert": tls.root}
		}, after("tls", "login,"+rest), "connect by that name"},
		{"wrong password", func(c *connectors.Config) { c.Password = "wrong-password" }, after("login", rest), "password"},
		{"wrong password over TLS", func(c *connectors.Config) {
			c.Port, c.Password, c.Options = tls.port, "wrong-password", map[string]string{"sslmode": "require"}
		}, after("login", rest), "password"},
		{"missing database", func(c *connectors.Config) { c.Database = "no_such_db" }, after("database", rest[9:]), "check the database name"},
		{"unknown option", options(map[string]string{"colour": "red"}), after("settings", "name,tcp,tls,login,"+rest), "colour"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := f.config
			tc.change(&cfg)
			opts := connectors.CheckOptions{Source: true, Destination: true, Targets: []string{"analytics", "public"}}
			if strings.Contains(tc.name, "black hole") {
				opts.Timeout = 300 * time.Millisecond
			}
			stages := runCheck(t, cfg, opts)
			if diff := cmp.Diff(tc.want, statuses(stages)); diff != "" {
				t.Errorf("%s\n%+v", diff, stages)
			}
			if s, _ := connectors.FailedStage(stages); !strings.Contains(s.Detail+s.Hint, tc.words) {
				t.Errorf("%q and %q do not say %q", s.Detail, s.Hint, tc.words)
			}
		})
	}
}

func TestCheckTellsWhatItFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE a (id int); CREATE TABLE b (id int)")
	tls := encrypting(t, f.config.Address())
	cfg := f.config
	cfg.Port, cfg.Options = tls.port, map[string]string{"sslmode": "require"}
	behind := func() time.Time { return time.Now().Add(-time.Minute) }
	stages := runCheck(t, cfg, connectors.CheckOptions{Source: true, Destination: true, Targets: []string{"analytics", "public"}, Now: behind})
	got := map[string]string{}
	for _, s := range stages {
		got[strings.TrimSpace(s.As+" "+s.Name)] = s.Detail
		if s.Name == connectors.StageDatabase && !strings.HasPrefix(s.Version, "PostgreSQL ") {
			t.Errorf("the server's version is %q", s.Version)
		}
	}
	version := f.text("SHOW server_version")[0]
	want := map[string]string{
		"name": "127.0.0.1 is an address", "tcp": cfg.Address(), "login": "as arus", "database": f.config.Database + ", encoded in UTF8",
		"tls":                    "TLS 1.3, certificate of tests, valid until 2099-01-01, not checked against an authority",
		"source privileges":      "2 tables in the schema public may be read",
		"destination privileges": "created, written, read back and dropped a table in public; analytics can be created",
		"version":                "PostgreSQL " + version, "clock": "the server's clock is 1m0s ahead of this machine's",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := statuses(stages); got != "clock warning" {
		t.Errorf("outcome %q", got)
	}
	f.nothingLeft(t)
}

func TestCheckOfDatabasePrintsWhatMendsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (id int); GRANT SELECT ON t TO PUBLIC; REVOKE CONNECT ON DATABASE " + ident(f.config.Database) + " FROM PUBLIC")
	cfg := f.role(t)
	opts := connectors.CheckOptions{Source: true}
	s := failure(t, runCheck(t, cfg, opts), connectors.StageDatabase)
	f.mend(t, s, "GRANT CONNECT ON DATABASE "+ident(cfg.Database)+" TO "+ident(cfg.Username))
	if got := statuses(runCheck(t, cfg, opts)); got != "" {
		t.Errorf("after the fix: %s", got)
	}
}

func TestCheckOfReaderPrintsWhatMendsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`CREATE SCHEMA "the shop"; CREATE TABLE "the shop"."or""der" (id int, v text); CREATE TABLE "the shop".open (id int); CREATE TABLE "the shop".parts (id int, v text);
		CREATE VIEW "the shop".v AS SELECT 1; CREATE TABLE "the shop".hidden (id int); ALTER TABLE "the shop".hidden ENABLE ROW LEVEL SECURITY`)
	cfg := f.role(t)
	user := ident(cfg.Username)
	f.exec(`GRANT SELECT ON "the shop".open, "the shop".hidden TO ` + user + `; GRANT SELECT (id) ON "the shop".parts TO ` + user)
	opts := connectors.CheckOptions{Source: true, Tables: connectors.TableFilter{Schemas: []string{"the shop"}, Exclude: []string{"hidden"}}}
	s := failure(t, runCheck(t, cfg, opts), connectors.StagePrivileges)
	if want := "3 tables of 3 may not be read: the shop.open, the shop.or\"der, the shop.parts"; s.Detail != want {
		t.Errorf("got %q, want %q", s.Detail, want)
	}
	f.mend(t, s, `GRANT USAGE ON SCHEMA "the shop" TO `+user, `GRANT SELECT ON "the shop"."or""der" TO `+user, `GRANT SELECT ON "the shop"."parts" TO `+user)
	if got := statuses(runCheck(t, cfg, opts)); got != "" {
		t.Errorf("after the fix: %s", got)
	}
	f.exec(`REVOKE SELECT ON "the shop"."or""der" FROM ` + user)
	s = failure(t, runCheck(t, cfg, opts), connectors.StagePrivileges)
	if want := `1 table of 3 may not be read: the shop.or"der`; s.Detail != want {
		t.Errorf("got %q, want %q", s.Detail, want)
	}
	opts.Tables.Names = []string{"open", "gone"}
	if s := failure(t, runCheck(t, cfg, opts), connectors.StagePrivileges); !strings.Contains(s.Detail, "gone") {
		t.Errorf("a missing table: %q", s.Detail)
	}
	opts.Tables = connectors.TableFilter{Schemas: []string{"the shop"}, Names: []string{"hidden"}}
	stages := runCheck(t, cfg, opts)
	if got := statuses(stages); got != "privileges warning" {
		t.Errorf("row security: %s", got)
	}
	f.mend(t, stages[5], "ALTER ROLE "+user+" BYPASSRLS")
	if got := statuses(runCheck(t, cfg, opts)); got != "" {
		t.Errorf("after the fix: %s", got)
	}
	opts.Tables = connectors.TableFilter{Schemas: []string{"no such schema"}}
	if s := failure(t, runCheck(t, cfg, opts), connectors.StagePrivileges); !strings.Contains(s.Detail, "no such schema") {
		t.Errorf("a missing schema: %q", s.Detail)
	}
}

func TestCheckOfWriterPrintsWhatMendsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE SCHEMA staging; REVOKE TEMPORARY ON DATABASE " + ident(f.config.Database) + " FROM PUBLIC")
	cfg := f.role(t)
	user, database := ident(cfg.Username), ident(cfg.Database)
	opts := connectors.CheckOptions{Destination: true, Targets: []string{"analytics", "staging"}}
	s := failure(t, runCheck(t, cfg, opts), connectors.StagePrivileges)
	if s.As != connectors.AsDestination || !strings.Contains(s.Detail, "create schema analytics: permission denied") {
		t.Errorf("the stage: %+v", s)
	}
	f.nothingLeft(t)
	f.mend(t, s, "GRANT CREATE ON DATABASE "+database+" TO "+user, `GRANT USAGE, CREATE ON SCHEMA "staging" TO `+user, "GRANT TEMPORARY ON DATABASE "+database+" TO "+user)
	if got := statuses(runCheck(t, cfg, opts)); got != "" {
		t.Errorf("after the fix: %s", got)
	}
	f.nothingLeft(t)
	// What the test says is possible a load can do.
	dest, err := New().OpenDestination(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dest.Close() }()
	for range 2 {
		load, err := dest.Begin(t.Context(), request(connectors.Table{
			TableRef: connectors.TableRef{Name: "t"}, PrimaryKey: []string{"id"},
			Columns: []connectors.Column{{Name: "id", Type: connectors.Type{Kind: connectors.Int64}}},
		}, connectors.Merge))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := load.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	cfg := parseConfig(t, servers.PostgresDatabase(t))
	cfg.Database = "no_such_db"
	stages := runCheck(t, cfg, connectors.CheckOptions{Source: true})
	for i := range stages {
		stages[i].DurationMS = 1
	}
	stages[1].Detail = "address"
	got, err := json.MarshalIndent(stages, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `[
 {
  "name": "name",
  "status": "ok",
  "duration_ms": 1,
  "detail": "127.0.0.1 is an address"
 },
 {
  "name": "tcp",
  "status": "ok",
  "duration_ms": 1,
  "detail": "address"
 },
 {
  "name": "tls",
  "status": "ok",
  "duration_ms": 1,
  "detail": "not encrypted: the server offers no TLS"
 },
 {
  "name": "login",
  "status": "ok",
  "duration_ms": 1,
  "detail": "as arus"
 },
 {
  "name": "database",
  "status": "failed",
  "duration_ms": 1,
  "detail": "connect to ADDRESS: database \"no_such_db\" does not exist (SQLSTATE 3D000)",
  "hint": "check the database name, or make the database",
  "fix": [
   "CREATE DATABASE \"no_such_db\" OWNER \"arus\""
  ]
 },
 {
  "name": "privileges",
  "as": "source",
  "status": "skipped",
  "duration_ms": 1
 },
 {
  "name": "version",
  "status": "skipped",
  "duration_ms": 1
 },
 {
  "name": "clock",
  "status": "skipped",
  "duration_ms": 1
 }
]`
	if diff := cmp.Diff(strings.ReplaceAll(want, "ADDRESS", cfg.Address()), string(got)); diff != "" {
		t.Error(diff)
	}
}

// tlsProxy answers PostgreSQL's request for TLS in front of a plain server.
type tlsProxy struct {
	port int
	root string // file of the certificate
}

func encrypting(t *testing.T, server string) tlsProxy {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go encrypt(conn, config, server)
		}
	}()
	return tlsProxy{listener.Addr().(*net.TCPAddr).Port, root}
}

func encrypt(conn net.Conn, config *tls.Config, server string) {
	defer func() { _ = conn.Close() }()
	var request [8]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil {
		return
	}
	if _, err := conn.Write([]byte("S")); err != nil {
		return
	}
	secure := tls.Server(conn, config)
	if secure.Handshake() != nil {
		return
	}
	back, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = back.Close() }()
	go func() {
		_, _ = io.Copy(back, secure)
		_ = back.Close()
	}()
	_, _ = io.Copy(secure, back)
}
