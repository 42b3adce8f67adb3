package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`CREATE TABLE orders (b int NOT NULL, a int NOT NULL, code varchar(10) NOT NULL, ref varchar(10), n varchar(300) NOT NULL, g int AS (a+1) STORED,
			PRIMARY KEY (a, b), UNIQUE KEY u1 (code, b), UNIQUE KEY u2 (ref), UNIQUE KEY u3 (n(5)), KEY k (ref, a))`,
		"CREATE TABLE order_lines (id int)", "CREATE TABLE `other.table` (id int)", "CREATE VIEW seen AS SELECT a FROM orders", "INSERT INTO order_lines VALUES (1),(2)")
	s := f.source()
	names := func(filter connectors.TableFilter) []string {
		tables, err := s.Tables(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, table := range tables {
			out = append(out, table.Name)
		}
		return out
	}
	for _, tt := range []struct {
		filter connectors.TableFilter
		want   []string
	}{
		{connectors.TableFilter{}, []string{"order_lines", "orders", "other.table"}},
		{connectors.TableFilter{Views: true}, []string{"order_lines", "orders", "other.table", "seen"}},
		{connectors.TableFilter{Include: []string{"order*"}, Exclude: []string{"*_lines"}}, []string{"orders"}},
		{connectors.TableFilter{Include: []string{f.cfg.Database + ".orders"}}, []string{"orders"}},
		{connectors.TableFilter{Schemas: []string{"mysql", "nowhere"}}, nil},
	} {
		if diff := cmp.Diff(tt.want, names(tt.filter)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.filter, diff)
		}
	}
	got := f.table(s, "orders")
	got.RowEstimate, got.Bytes = 0, 0
	slices.Sort(got.Indexed)
	integer := connectors.Type{Kind: connectors.Int32}
	want := connectors.Table{
		TableRef: f.ref("orders"), DefaultSchema: true, PrimaryKey: []string{"a", "b"}, UniqueKeys: [][]string{{"code", "b"}},
		Indexed: []string{"a", "code", "n", "ref"}, Columns: []connectors.Column{
			{Name: "b", Type: integer, Native: "int(11)"},
			{Name: "a", Type: integer, Native: "int(11)"},
			{Name: "code", Type: connectors.Type{Kind: connectors.Text, Length: 10}, Native: "varchar(10)"},
			{Name: "ref", Type: connectors.Type{Kind: connectors.Text, Length: 10}, Native: "varchar(10)", Nullable: true},
			{Name: "n", Type: connectors.Type{Kind: connectors.Text, Length: 300}, Native: "varchar(300)"},
			{Name: "g", Type: integer, Native: "int(11)", Nullable: true, Generated: true},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	_, err := s.Tables(t.Context(), connectors.TableFilter{Include: []string{"[x"}})
	wantKind(t, err, connectors.KindInvalid, "[x")
}

func TestWindowsAndGreatestValues(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`CREATE TABLE w (id int PRIMARY KEY, i bigint unsigned, d decimal(20,4), fl float, db double, dt datetime(6), ts timestamp(3) NULL, da date, ti time(3),
			y year, b bit(9), tx varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, l1 varchar(20) CHARACTER SET latin1, u uuid, bl varbinary(10), e enum('z','m','a'))`,
		`INSERT INTO w VALUES
			(1, 1, -1.5, 0.1, 0.1, '2026-01-01', '2026-01-01', '2026-01-01', '-01:00:00', 1999, 1, 'a', 'a', '00000000-0000-4000-8000-000000000001', x'00', 'a'),
			(2, 18446744073709551614, 0.0001, 0.2, 0.2, '2026-01-01 00:00:00.000001', '2026-01-01 00:00:00.001', '2026-01-02', '24:00:00.001', 2000, 256, 'B', 'B', '00000000-0000-4000-8000-000000000002', x'0001', 'm'),
			(3, 18446744073709551615, 2, 0.3, 0.3, '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07.999', '9999-12-31', '838:59:59', 2155, 511, 'ä', 'é', 'ffffffff-0000-4000-8000-000000000003', x'FF', 'z'),
			(4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`)
	s := f.source()
	table := f.table(s, "w")
	id, _ := table.Column("id")
	ids := func(w connectors.Window) string {
		got := f.read(s, connectors.ReadRequest{Table: table, Columns: []connectors.Column{id}, Window: &w, OrderBy: []string{"id"}})
		return strings.ReplaceAll(strings.Join(got, ""), `"`, "")
	}
	// The values of rows 2 and 3, in canonical text, and the ids in the order of the value.
	for _, tt := range []struct{ column, second, greatest, order string }{
		{"i", "18446744073709551614", "18446744073709551615", "123"},
		{"d", "0.0001", "2.0000", "123"},
		{"fl", "0.2", "0.3", "123"},
		{"db", "0.2", "0.3", "123"},
		{"dt", "2026-01-01T00:00:00.000001", "9999-12-31T23:59:59.999999", "123"},
		{"ts", "2026-01-01T00:00:00.001Z", "2038-01-19T03:14:07.999Z", "123"},
		{"da", "2026-01-02", "9999-12-31", "123"},
		{"ti", "24:00:00.001", "838:59:59", "123"},
		{"y", "2000", "2155", "123"},
		{"b", "256", "511", "123"},
		{"tx", "B", "ä", "213"},
		{"l1", "B", "é", "213"},
		{"u", "00000000-0000-4000-8000-000000000002", "ffffffff-0000-4000-8000-000000000003", "123"},
		{"bl", "AAE=", "/w==", "123"},
		{"e", "m", "z", "123"},
	} {
		c, _ := table.Column(tt.column)
		b, ok, err := s.Max(t.Context(), table, tt.column)
		if err != nil || !ok || b != (connectors.Bound{Kind: c.Type.Kind, Text: tt.greatest}) {
			t.Errorf("%s: greatest value: got %v %v %v, want %s", tt.column, b, ok, err, tt.greatest)
		}
		second := &connectors.Bound{Kind: c.Type.Kind, Text: tt.second}
		atLeast, atMost := "23", "12"
		if tt.order == "213" {
			atLeast, atMost = "123", "2"
		}
		if tt.column == "fl" { // a bound is text: 0.2 is not the float 0.2
			second.Text = "0.20000000298023224"
		}
		for _, w := range []struct {
			window connectors.Window
			want   string
		}{
			{connectors.Window{Lower: second}, atLeast},
			{connectors.Window{Upper: second}, atMost},
			{connectors.Window{Lower: second, Upper: second}, "2"},
			{connectors.Window{Lower: second, Upper: &b}, atLeast},
			{connectors.Window{}, "123"},
			{connectors.Window{Nulls: true}, "1234"},
			{connectors.Window{Upper: second, Nulls: true}, atMost + "4"},
		} {
			w.window.Column = tt.column
			if tt.column == "fl" && w.window.Upper == &b {
				continue
			}
			if got := ids(w.window); got != w.want {
				t.Errorf("%s window %+v: got rows %s, want %s", tt.column, w.window, got, w.want)
			}
		}
		got := f.read(s, connectors.ReadRequest{Table: table, Columns: []connectors.Column{id}, OrderBy: []string{tt.column}, Window: &connectors.Window{Column: tt.column}})
		if order := strings.ReplaceAll(strings.Join(got, ""), `"`, ""); order != tt.order {
			t.Errorf("%s: order %s, want %s", tt.column, order, tt.order)
		}
	}
	f.exec("DELETE FROM w WHERE id < 4")
	if _, ok, err := s.Max(t.Context(), table, "dt"); ok || err != nil {
		t.Errorf("greatest of nothing: %v %v", ok, err)
	}
}

func TestNamesThatDifferInCase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if f.rows("SELECT @@lower_case_table_names")[0] != "0" {
		t.Skip("SKIPPED: the server's table names have no case")
	}
	f.exec("CREATE TABLE t (small int)", "CREATE TABLE T (BIG int, j json)")
	s, d := f.source(), f.destination()
	for name, want := range map[string]string{"t": "small", "T": "BIG"} {
		table, ok, err := d.Table(t.Context(), f.ref(name))
		if err != nil || !ok || table.Columns[0].Name != want || table.Name != name {
			t.Errorf("%s: got %+v, error %v", name, table, err)
		}
		if table := f.table(s, name); table.Columns[0].Name != want {
			t.Errorf("%s discovered as %+v", name, table)
		}
		f.read(s, connectors.ReadRequest{Table: table, Columns: table.Columns})
	}
}

// TestDatesThatNoCalendarHasKeepTheirSpelling: the pipeline's policy decides
// about them, so the source passes them on as they are.
func TestDatesThatNoCalendarHasKeepTheirSpelling(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE z (id int PRIMARY KEY, d date, dt datetime(6))", "SET STATEMENT sql_mode = 'ALLOW_INVALID_DATES' FOR INSERT INTO z VALUES (1, '0000-00-00', '2026-00-00'), (2, '2026-02-31', NULL), (3, NULL, '0000-00-00 00:00:00')")
	s := f.source()
	table := f.table(s, "z")
	got := f.read(s, connectors.ReadRequest{Table: table, Columns: table.Columns, OrderBy: []string{"id"}})
	want := []string{`"1"|"0000-00-00"|"2026-00-00T00:00:00"`, `"2"|"2026-02-31"|NULL`, `"3"|NULL|"0000-00-00T00:00:00"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestEncryptedConnectionsGiveTheSameRows reads through the driver's rows, as
// an encrypted session does.
func TestEncryptedConnectionsGiveTheSameRows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	name := everyType(f)
	s := f.source().(*source)
	table := f.table(s, name)
	req := connectors.ReadRequest{Table: table, Columns: table.Columns, OrderBy: []string{"id"}}
	want := f.read(s, req)
	for _, ss := range s.idle {
		ss.plain = false
	}
	if diff := cmp.Diff(want, f.read(s, req)); diff != "" {
		t.Errorf("rows (-plain +encrypted):\n%s", diff)
	}
}

func TestReadIsOneSnapshot(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE s (id int PRIMARY KEY)", "INSERT INTO s SELECT seq FROM seq_1_to_1000")
	s := f.source()
	table := f.table(s, "s")
	rows := 0
	err := s.Read(t.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns, OrderBy: []string{"id"}, Limits: connectors.Limits{Rows: 10}}, func(b arrow.RecordBatch) error {
		defer b.Release()
		if rows == 0 {
			f.exec("DELETE FROM s WHERE id > 500", "INSERT INTO s SELECT seq FROM seq_2000_to_2100")
		}
		rows += int(b.NumRows())
		return nil
	})
	if err != nil || rows != 1000 {
		t.Errorf("got %d rows, error %v", rows, err)
	}
}

// running counts the statements of the database's sessions that hold the text.
func (f *fixture) running(text string) int {
	return len(f.rows("SELECT id FROM information_schema.processlist WHERE info LIKE '%" + text + "%' AND info NOT LIKE '%processlist%'"))
}

func (f *fixture) waitRunning(text string, want bool) {
	f.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for (f.running(text) > 0) != want {
		if time.Now().After(deadline) {
			f.t.Fatalf("statements with %q running: want %v", text, want)
		}
	}
}

func TestCancelStopsTheSourceQuery(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain=", plain), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.exec("CREATE TABLE c (id int)", "INSERT INTO c SELECT seq FROM seq_1_to_600", "CREATE VIEW slow AS SELECT id, SLEEP(0.1) AS zzz FROM c")
			s := f.source().(*source)
			table := f.table(s, "slow")
			for _, ss := range s.idle {
				ss.plain = ss.plain && plain
			}
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() {
				_, err := read(ctx, s, connectors.ReadRequest{Table: table, Columns: table.Columns})
				failed <- err
			}()
			mark := "FROM `" + f.cfg.Database + "`.`slow`"
			f.waitRunning(mark, true)
			cancel()
			start := time.Now()
			err := <-failed
			if !errors.Is(err, context.Canceled) || connectors.Retryable(err) {
				t.Errorf("error: %v", err)
			}
			f.waitRunning(mark, false)
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("the query ended after %s", took)
			}
			if got := f.read(s, connectors.ReadRequest{Table: f.table(s, "c"), Columns: f.table(s, "c").Columns}); len(got) != 600 {
				t.Errorf("reading on: %d rows", len(got))
			}
		})
	}
}

func TestCancelStopsACommitThatWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.destination()
	req := connectors.LoadRequest{Target: f.ref("t"), Columns: people, Key: []string{"id"}, Mode: connectors.Merge, RunID: runOne, SyncedAt: syncedAt}
	if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"1", "old"})); err != nil {
		t.Fatal(err)
	}
	tx, err := f.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "UPDATE t SET name = 'held'"); err != nil {
		t.Fatal(err)
	}
	l, err := d.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), rowsBatch(t, people, []string{"1", "new"})); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := l.Commit(ctx)
		failed <- err
	}()
	mark := "INSERT INTO `" + f.cfg.Database + "`.`t`"
	f.waitRunning(mark, true)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	f.waitRunning(mark, false)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"old"}, f.rows("SELECT name FROM t")); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"1", "next"})); err != nil {
		t.Error(err)
	}
}

func TestAnErrorOfEmitEndsTheRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE e (id int)", "INSERT INTO e SELECT seq FROM seq_1_to_100000")
	s := f.source()
	stop := errors.New("enough")
	err := s.Read(t.Context(), connectors.ReadRequest{Table: f.table(s, "e"), Columns: f.table(s, "e").Columns, Limits: connectors.Limits{Rows: 100}},
		func(b arrow.RecordBatch) error { b.Release(); return stop })
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestFailuresHaveTheirKinds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (id int)", "CREATE TABLE u (id int)")
	user := "u" + f.cfg.Database[len(f.cfg.Database)-12:]
	f.exec("CREATE USER '"+user+"'@'127.0.0.1' IDENTIFIED BY 'arus-test'", "GRANT SELECT ON `"+f.cfg.Database+"`.`t` TO '"+user+"'@'127.0.0.1'")
	t.Cleanup(func() { _, _ = f.db.Exec("DROP USER '" + user + "'@'127.0.0.1'") }) // the test's context has ended
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	with := func(change func(*connectors.Config)) connectors.Config {
		cfg := f.cfg
		cfg.Options = map[string]string{}
		change(&cfg)
		return cfg
	}
	for _, tt := range []struct {
		name  string
		cfg   connectors.Config
		kind  connectors.ErrorKind
		words string
	}{
		{"password", with(func(c *connectors.Config) { c.Password = "secret-arus-test" }), connectors.KindAuth, f.cfg.Address()},
		{"user", with(func(c *connectors.Config) { c.Username = "nobody" }), connectors.KindAuth, "user name"},
		{"database", with(func(c *connectors.Config) { c.Database = "no_such" }), connectors.KindNotFound, "no_such"},
		{"no database", with(func(c *connectors.Config) { c.Database = "" }), connectors.KindInvalid, "/database"},
		{"port", with(func(c *connectors.Config) { c.Port = closed.Addr().(*net.TCPAddr).Port }), connectors.KindNetwork, "host and port"},
		{"host", with(func(c *connectors.Config) { c.Host = "no-such-host.invalid" }), connectors.KindNetwork, "host name"},
		{"option", with(func(c *connectors.Config) { c.Options["sslmod"] = "x"; c.Options["foo"] = "y" }), connectors.KindInvalid, "foo, sslmod"},
		{"mode", with(func(c *connectors.Config) { c.Options["ssl-mode"] = "maybe" }), connectors.KindInvalid, "verify-full"},
		{"ca", with(func(c *connectors.Config) { c.Options["ssl-ca"] = "/no/such.pem" }), connectors.KindInvalid, "/no/such.pem"},
		{"tls", with(func(c *connectors.Config) { c.Options["ssl-mode"] = "required" }), connectors.KindTLS, "ssl-mode"},
	} {
		if tt.name == "tls" && f.rows("SELECT @@have_ssl")[0] == "YES" {
			continue
		}
		_, err := NewMariaDB().OpenSource(t.Context(), tt.cfg)
		wantKind(t, err, tt.kind, tt.words)
	}
	limited, err := NewMariaDB().OpenSource(t.Context(), with(func(c *connectors.Config) { c.Username = user }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = limited.Close() }()
	column := cols("id", connectors.Int32)
	for _, tt := range []struct {
		name  string
		do    func() error
		kind  connectors.ErrorKind
		words string
	}{
		{"no table", func() error {
			_, err := read(t.Context(), limited, connectors.ReadRequest{Table: connectors.Table{TableRef: f.ref("gone")}, Columns: column})
			return err
		}, connectors.KindNotFound, "gone"},
		{"no column", func() error {
			_, err := read(t.Context(), limited, connectors.ReadRequest{Table: connectors.Table{TableRef: f.ref("t")}, Columns: cols("x", connectors.Int32)})
			return err
		}, connectors.KindNotFound, "t.x"},
		{"begin", func() error {
			d, err := NewMariaDB().OpenDestination(t.Context(), with(func(c *connectors.Config) { c.Username = user }))
			if err != nil {
				return err
			}
			defer func() { _ = d.Close() }()
			_, err = d.Begin(t.Context(), connectors.LoadRequest{Target: f.ref("v"), Columns: column, Mode: connectors.Replace, RunID: runOne, SyncedAt: syncedAt})
			return err
		}, connectors.KindPermission, "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, CREATE TEMPORARY TABLES ON `" + f.cfg.Database + "`.* TO '" + user + "'@'127.0.0.1'"},
	} {
		err := tt.do()
		wantKind(t, err, tt.kind, tt.words)
	}
}
