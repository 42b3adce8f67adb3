package app

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/testdata/servers"
)

var durations = regexp.MustCompile(` +\d+(\.\d+)?m?s `)

// TestCheckCommand pins what people see, the exit codes and the JSON's keys.
func TestCheckCommand(t *testing.T) {
	t.Parallel()
	pg := servers.PostgresDatabase(t)
	execPostgres(t, pg, `CREATE TABLE orders (id int PRIMARY KEY)`, `DROP ROLE IF EXISTS arus_check_reader`, `CREATE ROLE arus_check_reader LOGIN PASSWORD 'poor-password-x'`)
	poor := with(t, pg, func(u *url.URL) { u.User = url.UserPassword("arus_check_reader", "poor-password-x") })
	parsed, err := url.Parse(pg)
	if err != nil {
		t.Fatal(err)
	}
	address, database := parsed.Host, strings.TrimPrefix(parsed.Path, "/")
	dir := t.TempDir()

	r := arus(t, dir, "check", poor)
	want := `ok       name                0s  127.0.0.1 is an address
ok       tcp                 0s  ` + address + `
ok       tls                 0s  not encrypted: the server offers no TLS
ok       login               0s  as arus_check_reader
ok       database            0s  ` + database + `, encoded in UTF8
failed   source privileges   0s  1 table of 1 may not be read: public.orders
         hint: an administrator lets arus_check_reader read, or the source leaves them out
         fix:  GRANT SELECT ON "public"."orders" TO "arus_check_reader";
skipped  version
skipped  clock
`
	squeeze := func(s string) string { return durations.ReplaceAllString(s, " 0s ") }
	if diff := cmp.Diff(squeeze(want), squeeze(r.out)); diff != "" || r.code != exitEnvironment || r.errOut != "" {
		t.Errorf("exit code %d, %s, %s", r.code, r.errOut, diff)
	}
	execPostgres(t, pg, `GRANT SELECT ON public.orders TO arus_check_reader`)
	mustArus(t, dir, "check", poor)
	if r := arus(t, dir, "check", poor, "--as", "both", "--schema", "public"); r.code != exitEnvironment || !strings.Contains(r.out, `GRANT USAGE, CREATE ON SCHEMA "public" TO "arus_check_reader";`) {
		t.Errorf("exit code %d: %s", r.code, r.out)
	}

	var report struct {
		OK     bool             `json:"ok"`
		Stages []map[string]any `json:"stages"`
	}
	out := mustArus(t, dir, "check", pg, "--as", "both", "--json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || !report.OK || len(report.Stages) != 9 {
		t.Errorf("%v: %s", err, out)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"malformed URL", []string{"check", "postgres:/u:wrong-password-x@h/db"}, exitUsage, "//"},
		{"unknown role", []string{"check", pg, "--as", "spectator"}, exitUsage, "spectator"},
		{"no destination", []string{"check", "sqlite:///x.db", "--as", "destination"}, exitUsage, "no kind of destination"},
		{"unknown option", []string{"check", pg + "?colour=red"}, exitUsage, "colour"},
		{"unset variable", []string{"check", "postgres://u:${env:ARUS_TEST_UNSET}@h/db"}, exitUsage, "ARUS_TEST_UNSET"},
		{"unknown host", []string{"check", "postgres://u:wrong-password-x@no-such-host.invalid/db"}, exitEnvironment, "host name"},
		{"wrong password", []string{"check", with(t, pg, func(u *url.URL) { u.User = url.UserPassword("arus", "wrong-password-x") })}, exitEnvironment, "failed   login"},
		{"no file", []string{"check", "sqlite://" + dir + "/absent.db"}, exitEnvironment, "absent.db"},
		{"embedded", []string{"check", "embedded:", "--as", "destination"}, exitOK, "ok"},
	} {
		r := arus(t, dir, tc.args...)
		if r.code != tc.code || !strings.Contains(r.out+r.errOut, tc.want) || strings.Contains(r.out+r.errOut, "password-x") {
			t.Errorf("%s: exit code %d, want %d and %q: %s%s", tc.name, r.code, tc.code, tc.want, r.out, r.errOut)
		}
	}

	// What is stored is tested alike, and its keys stay.
	mustArus(t, dir, "source", "add", "shop", poor)
	mustArus(t, dir, "destination", "add", "dwh", pg)
	mustArus(t, dir, "pipeline", "add", "nightly", "--source", "shop", "--destination", "dwh", "--target-schema", "copies")
	for noun, name := range map[string]string{"source": "shop", "destination": "dwh", "pipeline": "nightly"} {
		var result map[string]any
		out := mustArus(t, dir, noun, "test", name, "--json")
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatal(err)
		}
		version, _ := result["server_version"].(string)
		if result["connected"] != true || result["latency_ms"] == nil || result["stages"] == nil || (noun != "pipeline") != strings.HasPrefix(version, "PostgreSQL ") {
			t.Errorf("%s test: %s", noun, out)
		}
	}
	if out := mustArus(t, dir, "pipeline", "test", "nightly"); !strings.Contains(out, "destination privileges") || !strings.Contains(out, "copies can be created") {
		t.Errorf("pipeline test: %s", out)
	}
	execPostgres(t, pg, `DROP TABLE orders`)
	if r := arus(t, dir, "pipeline", "test", "nightly"); r.code != exitEnvironment || !strings.Contains(r.out, "has no table orders") {
		t.Errorf("pipeline test without its table: exit code %d: %s", r.code, r.out)
	}
	if out := mustArus(t, dir, "source", "show", "shop"); !strings.Contains(out, "has no table orders") {
		t.Errorf("the outcome was not kept: %s", out)
	}
	execPostgres(t, pg, `DROP OWNED BY arus_check_reader`, `DROP ROLE arus_check_reader`)
}
