package mysql

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
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
	stages := NewMariaDB().Check(t.Context(), cfg, opts)
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

func failure(t *testing.T, stages []connectors.Stage, name string) connectors.Stage {
	t.Helper()
	s, ok := connectors.FailedStage(stages)
	if !ok || s.Name != name {
		t.Fatalf("the stage that failed is %q, want %q: %+v", s.Name, name, stages)
	}
	return s
}

// poor makes an account that may do nothing but log in.
func (f *fixture) poor(t *testing.T) (cfg connectors.Config, account string) {
	t.Helper()
	cfg = f.cfg
	cfg.Username, cfg.Password = strings.Replace(f.cfg.Database, "t_", "r_", 1), readerPassword
	account = literal(cfg.Username) + "@'%'"
	f.exec("CREATE USER " + account + " IDENTIFIED BY " + literal(readerPassword))
	t.Cleanup(func() {
		if _, err := f.db.ExecContext(context.WithoutCancel(t.Context()), "DROP USER "+account); err != nil {
			t.Errorf("drop the account: %v", err)
		}
	})
	return cfg, account
}

// mend runs the statements that a stage printed, as the administrator.
func (f *fixture) mend(t *testing.T, s connectors.Stage, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.Fix); diff != "" {
		t.Fatalf("the fix: %s", diff)
	}
	f.exec(s.Fix...)
}

// nothingLeft looks in the databases of this test: others may be under way.
func (f *fixture) nothingLeft(t *testing.T, schemas ...string) {
	t.Helper()
	for _, schema := range schemas {
		if left := f.rows("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = " + literal(schema) + " AND TABLE_NAME LIKE '%arus%'"); len(left) > 0 {
			t.Errorf("left behind in %s: %v", schema, left)
		}
	}
}

func silentPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

func TestCheckFailsAtItsStage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (id int)")
	after := func(stage, then string) string {
		return stage + " failed, " + strings.ReplaceAll(then, ",", " skipped, ") + " skipped"
	}
	const rest = "database,privileges,privileges,version,clock"
	plain := map[string]string{"sslmode": "disable"}
	for _, tc := range []struct {
		name   string
		change func(*connectors.Config)
		want   string
		words  string
	}{
		{"healthy", func(*connectors.Config) {}, "", ""},
		{"plain", func(c *connectors.Config) { c.Options = plain }, "tls skipped", ""},
		{"unknown host", func(c *connectors.Config) { c.Host = "no-such-host.invalid" }, after("name", "tcp,tls,login,"+rest), "host name"},
		{"closed port", func(c *connectors.Config) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			c.Port = l.Addr().(*net.TCPAddr).Port
			_ = l.Close()
		}, after("tcp", "tls,login,"+rest), "running"},
		{"black hole", func(c *connectors.Config) { c.Port = silentPort(t) }, after("tls", "login,"+rest), "did not answer"},
		{"black hole in plain", func(c *connectors.Config) { c.Port, c.Options = silentPort(t), plain }, "tls skipped, " + after("login", rest), "did not answer"},
		{"TLS demanded of a plain server", func(c *connectors.Config) { c.Options = map[string]string{"sslmode": "require"} }, after("tls", "login,"+rest), "sslmode=prefer"},
		{"wrong password", func(c *connectors.Config) { c.Password = "wrong-password" }, after("login", rest), "password"},
		{"missing database", func(c *connectors.Config) { c.Database = "no_such_db" }, after("database", rest[9:]), "check the database name"},
		{"no database", func(c *connectors.Config) { c.Database = "" }, after("settings", "name,tcp,tls,login,"+rest), "no database is named"},
		{"unknown option", func(c *connectors.Config) { c.Options = map[string]string{"colour": "red"} }, after("settings", "name,tcp,tls,login,"+rest), "colour"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := f.cfg
			tc.change(&cfg)
			opts := connectors.CheckOptions{Source: true, Destination: true, Targets: []string{f.cfg.Database}}
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
	f.exec("CREATE TABLE a (id int)", "CREATE TABLE b (id int)")
	behind := func() time.Time { return time.Now().Add(time.Minute) }
	stages := runCheck(t, f.cfg, connectors.CheckOptions{Source: true, Destination: true, Targets: []string{f.cfg.Database, f.cfg.Database + "_new"}, Now: behind})
	got := map[string]string{}
	for _, s := range stages {
		got[strings.TrimSpace(s.As+" "+s.Name)] = s.Detail
	}
	want := map[string]string{
		"name": "127.0.0.1 is an address", "tcp": f.cfg.Address(), "tls": "not encrypted: the server offers no TLS", "login": "as arus", "database": f.cfg.Database,
		"source privileges":      "2 tables may be read",
		"destination privileges": "created, written, read back and dropped a table in " + f.cfg.Database + ", a new database; " + f.cfg.Database + "_new can be created",
		"version":                "MariaDB " + f.rows("SELECT VERSION()")[0], "clock": "the server's clock is 1m0s behind this machine's",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := statuses(stages); got != "clock warning" {
		t.Errorf("outcome %q", got)
	}
	f.nothingLeft(t, f.cfg.Database, f.cfg.Database+"_new")
}

func TestCheckOfReaderPrintsWhatMendsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE `or``der` (id int)", "CREATE TABLE open (id int)", "CREATE TABLE unseen (id int)")
	cfg, account := f.poor(t)
	database := ident(cfg.Database)
	opts := connectors.CheckOptions{Source: true}
	s := failure(t, runCheck(t, cfg, opts), connectors.StageDatabase)
	if diff := cmp.Diff([]string{"GRANT SELECT, SHOW VIEW ON " + database + ".* TO " + account}, s.Fix); diff != "" {
		t.Error(diff)
	}
	f.exec("GRANT SELECT ON "+database+".open TO "+account, "GRANT INSERT ON "+database+".`or``der` TO "+account)
	s = failure(t, runCheck(t, cfg, opts), connectors.StagePrivileges)
	if want := "1 table of 2 may not be read: " + cfg.Database + ".or`der"; s.Detail != want {
		t.Errorf("got %q, want %q", s.Detail, want)
	}
	f.mend(t, s, "GRANT SELECT ON "+database+".`or``der` TO "+account)
	if got := statuses(runCheck(t, cfg, opts)); got != "" {
		t.Errorf("after the fix: %s", got)
	}
	opts.Tables.Names = []string{"open", "unseen"}
	f.mend(t, failure(t, runCheck(t, cfg, opts), connectors.StagePrivileges), "GRANT SELECT ON "+database+".`unseen` TO "+account)
	if got := statuses(runCheck(t, cfg, opts)); got != "" {
		t.Errorf("after the fix: %s", got)
	}
}

func TestCheckOfWriterPrintsWhatMendsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cfg, account := f.poor(t)
	absent := cfg.Database + "_new"
	t.Cleanup(func() {
		_, _ = f.db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+ident(absent))
	})
	grant := func(schema string) string {
		return "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, CREATE TEMPORARY TABLES ON " + ident(schema) + ".* TO " + account
	}
	// An account that could make a table and not remove it makes none.
	f.exec("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER ON " + ident(cfg.Database) + ".* TO " + account)
	opts := connectors.CheckOptions{Destination: true, Targets: []string{cfg.Database, absent}}
	s := failure(t, runCheck(t, cfg, opts), connectors.StagePrivileges)
	f.nothingLeft(t, cfg.Database)
	f.mend(t, s, grant(cfg.Database), grant(absent))
	if got := statuses(runCheck(t, cfg, opts)); got != "" {
		t.Errorf("after the fix: %s", got)
	}
	f.nothingLeft(t, cfg.Database)
	if made := f.rows("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = " + literal(absent)); len(made) > 0 {
		t.Errorf("the test made %v", made)
	}
	// What the test says is possible a load can do.
	d, err := NewMariaDB().OpenDestination(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	columns := cols("id", connectors.Int64)
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Replace, connectors.Merge} {
		req := connectors.LoadRequest{Target: connectors.TableRef{Schema: absent, Name: "t"}, Columns: columns, Key: []string{"id"}, Mode: mode}
		if _, err := runLoad(t.Context(), d, req, rowsBatch(t, columns, []string{"1"})); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckSweepsWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	fresh := connectors.ScratchName()
	f.exec("CREATE TABLE _arus_check_5f000000_0123456789ab (id int)", "CREATE TABLE "+fresh+" (id int)", "CREATE TABLE _arus_check_mine (id int)")
	runCheck(t, f.cfg, connectors.CheckOptions{Destination: true, Targets: []string{f.cfg.Database}})
	if diff := cmp.Diff([]string{fresh, "_arus_check_mine"}, f.rows("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+literal(f.cfg.Database)+" ORDER BY 1")); diff != "" {
		t.Error(diff)
	}
}
