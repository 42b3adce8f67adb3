package app

import (
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"arus/app/engine"
	"arus/app/model"
	"arus/testdata/servers"
)

// with changes a connection URL.
func with(t *testing.T, raw string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(port)
}

// TestErrorsNameTheThingAndTheRemedy makes everything wrong that a person gets
// wrong, at either end, and wants one line, the right exit code, no half-made
// target and no password.
func TestErrorsNameTheThingAndTheRemedy(t *testing.T) {
	t.Parallel()
	pg, pgTarget := servers.PostgresDatabase(t), servers.PostgresDatabase(t)
	my := servers.MariaDBDatabase(t)
	execPostgres(t, pg, `CREATE TABLE orders (id int PRIMARY KEY, v text)`, `INSERT INTO orders SELECT i, 'v' FROM generate_series(1, 10) i`,
		`CREATE TABLE secret (id int PRIMARY KEY)`, `DROP ROLE IF EXISTS arus_poor`, `CREATE ROLE arus_poor LOGIN PASSWORD 'poor-password-x'`, `GRANT USAGE ON SCHEMA public TO arus_poor`)
	poor := func(u *url.URL) { u.User = url.UserPassword("arus_poor", "poor-password-x") }
	wrong := func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong-password-x") }
	dir := t.TempDir()
	noDB := filepath.Join(dir, "text.db")
	if err := os.WriteFile(noDB, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		from, to string
		args     []string
		code     int
		want     []string
	}{
		{"wrong password", with(t, pg, wrong), "embedded:", nil, exitEnvironment, []string{"password", "check"}},
		{"wrong password at the destination", pg, with(t, pgTarget, wrong), nil, exitEnvironment, []string{"password"}},
		{"wrong mariadb password", with(t, my, wrong), "embedded:", nil, exitEnvironment, []string{"denied"}},
		{"unknown host", "postgres://u:wrong-password-x@no-such-host.invalid/db", "embedded:", nil, exitEnvironment, []string{"no-such-host.invalid", "host name"}},
		{"unknown mariadb host", "mariadb://u:wrong-password-x@no-such-host.invalid/db", "embedded:", nil, exitEnvironment, []string{"no-such-host.invalid", "host name"}},
		{"closed port", "postgres://u:wrong-password-x@" + closedPort(t) + "/db", "embedded:", nil, exitEnvironment, []string{"127.0.0.1", "running"}},
		{"closed mariadb port", "mysql://u:wrong-password-x@" + closedPort(t) + "/db", "embedded:", nil, exitEnvironment, []string{"127.0.0.1", "running"}},
		{"closed port at the destination", pg, "mariadb://u:wrong-password-x@" + closedPort(t) + "/db", nil, exitEnvironment, []string{"127.0.0.1", "running"}},
		{"missing database", with(t, pg, func(u *url.URL) { u.Path = "/no_such_db" }), "embedded:", nil, exitEnvironment, []string{"no_such_db"}},
		{"missing table", pg, pgTarget, []string{"--tables", "no_such_table"}, exitUsage, []string{"no_such_table", "orders"}},
		{"no table matches", pg, pgTarget, []string{"--tables", "zz*"}, exitUsage, []string{"no table matches", "orders"}},
		{"missing privilege to read", with(t, pg, poor), pgTarget, []string{"--tables", "secret"}, exitEnvironment, []string{"secret", "GRANT SELECT"}},
		{"missing privilege to write", pg, with(t, pgTarget, poor), []string{"--tables", "orders"}, exitEnvironment, []string{"GRANT"}},
		{"unknown watermark", pg, pgTarget, []string{"--tables", "orders", "--watermark", "nope"}, exitUsage, []string{"nope", "id, v"}},
		{"unknown key", pg, pgTarget, []string{"--tables", "orders", "--key", "nope"}, exitUsage, []string{"nope"}},
		{"no file", "sqlite://" + filepath.Join(dir, "absent.db"), "embedded:", nil, exitEnvironment, []string{"absent.db"}},
		{"a directory", "sqlite://" + dir, "embedded:", nil, exitEnvironment, []string{dir}},
		{"no database file", "sqlite://" + noDB, "embedded:", nil, exitEnvironment, []string{"text.db"}},
		{"malformed URL", "postgres:/u:wrong-password-x@h/db", "embedded:", nil, exitUsage, []string{"//"}},
		{"unknown scheme", "oracle://u:wrong-password-x@h/db", "embedded:", nil, exitUsage, []string{"oracle", "postgres://"}},
		{"bad port", "postgres://u:wrong-password-x@h:99999/db", "embedded:", nil, exitUsage, []string{"port"}},
		{"unescaped at sign", "postgres://u:wrong-password-x/@h/db", "embedded:", nil, exitUsage, []string{"%2F"}},
		{"unset variable", "postgres://u:${env:ARUS_TEST_UNSET}@h/db", "embedded:", nil, exitUsage, []string{"ARUS_TEST_UNSET"}},
		{"unknown option", with(t, pg, func(u *url.URL) { u.RawQuery = "colour=red" }), "embedded:", nil, exitUsage, []string{"colour"}},
		{"no source", "", "embedded:", nil, exitUsage, []string{"--from"}},
		{"unknown flag", pg, "embedded:", []string{"--colour"}, exitUsage, []string{"--colour"}},
		{"bad mode", pg, "embedded:", []string{"--mode", "sometimes"}, exitUsage, []string{"sometimes"}},
	}
	t.Run("each", func(t *testing.T) {
		for _, tc := range tests {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				args := append([]string{"sync", "--quiet", "--to", tc.to}, tc.args...)
				if tc.from != "" {
					args = append(args, "--from", tc.from)
				}
				dir := t.TempDir()
				mustArus(t, dir, "settings", "set", "initial_backoff", "0")
				r := arus(t, dir, args...)
				if r.code != tc.code {
					t.Errorf("exit code %d, want %d", r.code, tc.code)
				}
				if lines := strings.Count(strings.TrimSpace(r.errOut), "\n"); lines != 0 {
					t.Errorf("%d lines of errors, want one", lines+1)
				}
				for _, want := range tc.want {
					if !strings.Contains(r.errOut, want) {
						t.Errorf("the error does not say %q", want)
					}
				}
				for _, hidden := range []string{"wrong-password-x", "poor-password-x", "arus-test"} {
					if strings.Contains(r.out+r.errOut, hidden) {
						t.Errorf("the output shows a password")
					}
				}
				if t.Failed() {
					t.Logf("output: %s%s", r.out, r.errOut)
				}
			})
		}
	})
	t.Run("no half-made target", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), pgTarget)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		var n int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d tables were left half made, %v", n, err)
		}
	})
}

// TestAScriptGetsOneObjectWhateverHappens: --json prints a report even when no
// run came about.
func TestAScriptGetsOneObjectWhateverHappens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustArus(t, dir, "settings", "set", "initial_backoff", "0")
	r := arus(t, dir, "sync", "--json", "--from", "postgres://u:wrong-password-x@"+closedPort(t)+"/db", "--to", "embedded:")
	var report engine.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || report.Status != model.RunFailed || report.Error == "" || r.code != exitEnvironment {
		t.Errorf("exit code %d, %v\n%s%s", r.code, err, r.out, r.errOut)
	}
	if strings.Contains(r.out+r.errOut, "wrong-password-x") {
		t.Error("the output shows the password")
	}
}
