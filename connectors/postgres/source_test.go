package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"arus/connectors"
	"arus/testdata/servers"
)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`
		CREATE SCHEMA other; CREATE TABLE other.o (x int);
		CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN d1 AS numeric(6,1); CREATE DOMAIN d2 AS d1;
		CREATE TABLE t (a int NOT NULL, b text, c int NOT NULL UNIQUE, d d2, e mood, f char(3), g varchar(9), h timestamp(2), i numeric, j numeric(100,2),
			k int[], l int GENERATED ALWAYS AS (a + 1) STORED, gone int, m jsonb, n int UNIQUE, PRIMARY KEY (c, a));
		ALTER TABLE t DROP COLUMN gone; CREATE INDEX ON t (b, a); CREATE INDEX ON t (lower(b)); CREATE UNIQUE INDEX ON t (g) WHERE a > 1;
		INSERT INTO t (a, c) SELECT n, n FROM generate_series(1, 100) n; ANALYZE t;
		CREATE TABLE parent (id int PRIMARY KEY, x int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parent FOR VALUES FROM (0) TO (1000);
		INSERT INTO parent SELECT n, n FROM generate_series(1, 50) n; ANALYZE;
		CREATE TABLE empty (); CREATE VIEW v AS SELECT a, b FROM t; CREATE MATERIALIZED VIEW m AS SELECT 1 AS one;
		CREATE TABLE tmp_x (a int); CREATE TABLE "do.t" (a int)`)
	names := func(filter connectors.TableFilter) []string {
		t.Helper()
		tables, err := f.source.Tables(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		out := []string{}
		for _, table := range tables {
			out = append(out, table.String())
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		filter connectors.TableFilter
		want   []string
	}{
		{"default", connectors.TableFilter{}, []string{"public.do.t", "public.empty", "public.parent", "public.t", "public.tmp_x"}},
		{"views", connectors.TableFilter{Views: true, Exclude: []string{"do*", "e*"}}, []string{"public.m", "public.parent", "public.t", "public.tmp_x", "public.v"}},
		{"schemas", connectors.TableFilter{Schemas: []string{"other", "pg_catalog", "information_schema"}}, []string{"other.o"}},
		{"include", connectors.TableFilter{Include: []string{"t*"}, Exclude: []string{"tmp_*"}}, []string{"public.t"}},
		{"with schema", connectors.TableFilter{Schemas: []string{"public", "other"}, Include: []string{"other.*", "*.parent"}}, []string{"other.o", "public.parent"}},
		{"names", connectors.TableFilter{Names: []string{"t", "do.t", "absent"}, Exclude: []string{"do*"}}, []string{"public.t"}},
		{"braces", connectors.TableFilter{Include: []string{"{empty,parent}", "[x]"}}, []string{"public.empty", "public.parent"}},
	} {
		if diff := cmp.Diff(tt.want, names(tt.filter)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	_, err := f.source.Tables(t.Context(), connectors.TableFilter{Include: []string{"[a"}})
	wantKind(t, err, connectors.KindInvalid, "[a")

	decimal := connectors.NewDecimal(6, 1)
	elem := connectors.Type{Kind: connectors.Int32}
	want := connectors.Table{
		TableRef: connectors.TableRef{Schema: "public", Name: "t"}, DefaultSchema: true, RowEstimate: 100, PrimaryKey: []string{"c", "a"},
		UniqueKeys: [][]string{{"c"}}, Indexed: []string{"c", "n", "b"},
		Columns: []connectors.Column{
			{Name: "a", Type: elem, Native: "integer"},
			{Name: "b", Type: connectors.Type{Kind: connectors.Text}, Native: "text", Nullable: true},
			{Name: "c", Type: elem, Native: "integer"},
			{Name: "d", Type: decimal, Native: "d2", Nullable: true},
			{Name: "e", Type: connectors.Type{Kind: connectors.Enum, Values: []string{"sad", "happy"}}, Native: "mood", Nullable: true},
			{Name: "f", Type: connectors.Type{Kind: connectors.Text, Length: 3, Fixed: true}, Native: "character(3)", Nullable: true},
			{Name: "g", Type: connectors.Type{Kind: connectors.Text, Length: 9}, Native: "character varying(9)", Nullable: true},
			{Name: "h", Type: connectors.Type{Kind: connectors.Timestamp, Precision: 2}, Native: "timestamp(2) without time zone", Nullable: true},
			{Name: "i", Type: connectors.Type{Kind: connectors.Numeric}, Native: "numeric", Nullable: true},
			{Name: "j", Type: connectors.Type{Kind: connectors.Numeric}, Native: "numeric(100,2)", Nullable: true},
			{Name: "k", Type: connectors.Type{Kind: connectors.Array, Elem: &elem}, Native: "integer[]", Nullable: true},
			{Name: "l", Type: elem, Native: "integer", Nullable: true, Generated: true},
			{Name: "m", Type: connectors.Type{Kind: connectors.JSON, Parsed: true}, Native: "jsonb", Nullable: true},
			{Name: "n", Type: elem, Native: "integer", Nullable: true},
		},
	}
	got := f.table("t")
	if got.Bytes <= 0 {
		t.Errorf("t has %d bytes", got.Bytes)
	}
	order := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if diff := cmp.Diff(want.Indexed, got.Indexed, order); diff != "" {
		t.Error(diff)
	}
	got.Bytes, got.Indexed, want.Indexed = 0, nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if parent := f.table("parent"); parent.RowEstimate != 50 || parent.Bytes <= 0 {
		t.Errorf("the partitioned table has %d rows in %d bytes", parent.RowEstimate, parent.Bytes)
	}
	if view := f.table("v"); !view.View || view.RowEstimate != -1 || view.Bytes != -1 {
		t.Errorf("the view is %+v", view)
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`CREATE TABLE w (id int PRIMARY KEY, ts timestamp, tz timestamptz, d date, u uuid, n numeric, s varchar(20), c char(3));
		INSERT INTO w VALUES
		(1, '2024-01-01 00:00:00.000001', '2024-01-01 00:00:00.000001+00', '2024-01-01', '00000000-0000-0000-0000-000000000001', 1.5, 'B', 'B'),
		(2, '2024-01-01 00:00:00.000002', '2024-01-01 00:00:00.000002+00', '2024-01-02', '00000000-0000-0000-0000-000000000002', 2.5, 'a', 'a'),
		(3, '2024-01-01 00:00:00.000002', '2024-01-01 00:00:00.000002+00', '2024-01-02', '00000000-0000-0000-0000-000000000002', 2.5, 'a', 'a'),
		(4, '2024-01-01 00:00:00.000003', '2024-01-01 00:00:00.000003+00', '2024-01-03', '10000000-0000-0000-0000-000000000000', 1e30, 'é', 'é'),
		(5, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (6, '0044-03-15 00:00:00 BC', '-infinity', '0044-03-15 BC', NULL, NULL, '', NULL)`)
	table := f.table("w")
	id := table.Columns[:1]
	for _, tt := range []struct {
		column string
		middle string
		max    string
		below  []string // up to the middle, in order of the column
	}{
		{"ts", "2024-01-01T00:00:00.000002", "2024-01-01T00:00:00.000003", []string{"6", "1", "2", "3"}},
		{"tz", "2024-01-01T00:00:00.000002Z", "2024-01-01T00:00:00.000003Z", []string{"6", "1", "2", "3"}},
		{"d", "2024-01-02", "2024-01-03", []string{"6", "1", "2", "3"}},
		{"u", "00000000-0000-0000-0000-000000000002", "10000000-0000-0000-0000-000000000000", []string{"1", "2", "3"}},
		{"n", "2.5", "1" + strings.Repeat("0", 30), []string{"1", "2", "3"}},
		{"s", "a", "é", []string{"6", "1", "2", "3"}},
		{"c", "a", "é", []string{"1", "2", "3"}},
	} {
		t.Run(tt.column, func(t *testing.T) {
			column, _ := table.Column(tt.column)
			bound, ok, err := f.source.Max(t.Context(), table, tt.column)
			if err != nil || !ok || bound != (connectors.Bound{Kind: column.Type.Kind, Text: tt.max}) {
				t.Errorf("max is %+v, %v, %v, want %s", bound, ok, err, tt.max)
			}
			middle := &connectors.Bound{Kind: column.Type.Kind, Text: tt.middle}
			for _, w := range []struct {
				window connectors.Window
				want   []string
			}{
				{connectors.Window{Column: tt.column, Upper: middle}, tt.below},
				{connectors.Window{Column: tt.column, Lower: middle}, []string{"2", "3", "4"}},
				{connectors.Window{Column: tt.column, Lower: middle, Upper: middle}, []string{"2", "3"}},
				{connectors.Window{Column: tt.column, Lower: &bound, Nulls: true}, []string{"4", "5"}},
			} {
				got, err := f.read(connectors.ReadRequest{Table: table, Columns: id, Window: &w.window, OrderBy: []string{tt.column, "id"}})
				if err != nil {
					t.Fatal(err)
				}
				want := w.want
				if w.window.Nulls { // every row without a value
					want = append([]string{"4"}, f.text(fmt.Sprintf("SELECT id FROM w WHERE %s IS NULL ORDER BY id", tt.column))...)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%+v: %s", w.window, diff)
				}
			}
		})
	}
	if _, ok, err := f.source.Max(t.Context(), table, "absent"); ok || connectors.KindOf(err) != connectors.KindNotFound {
		t.Error(ok, err)
	}
	bad := &connectors.Bound{Kind: connectors.Text, Text: "a'); DROP TABLE w; --\\"}
	if got, err := f.read(connectors.ReadRequest{Table: table, Columns: id, Window: &connectors.Window{Column: "s", Lower: bad, Upper: bad}}); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (a int, b text, ts timestamp); INSERT INTO t VALUES (1, 'x', '294276-12-31 23:59:59')")
	table := f.table("t")
	_, err := f.read(connectors.ReadRequest{Table: table, Columns: table.Columns})
	wantKind(t, err, connectors.KindType, `"ts"`, "public.t")

	stop := errors.New("stop")
	for range 3 {
		err = f.source.Read(t.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns[:1]}, func(b arrow.RecordBatch) error { b.Release(); return stop })
		if !errors.Is(err, stop) {
			t.Errorf("emit's error became %v", err)
		}
	}
	f.exec("ALTER TABLE t DROP COLUMN b")
	_, err = f.read(connectors.ReadRequest{Table: table, Columns: table.Columns[:2]})
	wantKind(t, err, connectors.KindNotFound, "public.t", "b")
	f.exec("DROP TABLE t")
	_, err = f.read(connectors.ReadRequest{Table: table, Columns: table.Columns[:1]})
	wantKind(t, err, connectors.KindNotFound, "public.t")
	_, err = f.read(connectors.ReadRequest{Table: table})
	wantKind(t, err, connectors.KindInvalid)
}

func TestPermissionErrorsSayTheGrant(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	user := "limited " + uuid.NewString()
	f.exec("CREATE ROLE " + ident(user) + " LOGIN PASSWORD 'pa''ss'; CREATE TABLE secret (a int); CREATE SCHEMA analytics; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	t.Cleanup(func() { f.dropRole(user) })
	config := f.config
	config.Username, config.Password = user, "pa'ss"
	source, err := New().OpenSource(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	tables, err := source.Tables(t.Context(), connectors.TableFilter{})
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	err = source.Read(t.Context(), connectors.ReadRequest{Table: tables[0], Columns: tables[0].Columns}, func(arrow.RecordBatch) error { return nil })
	wantKind(t, err, connectors.KindPermission, `GRANT SELECT ON "public"."secret" TO `+ident(user))
	dest, err := New().OpenDestination(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dest.Close() }()
	_, err = dest.Begin(t.Context(), pairRequest(connectors.Replace))
	wantKind(t, err, connectors.KindPermission, `CREATE ON SCHEMA "analytics" TO `+ident(user))
	req := pairRequest(connectors.Replace)
	req.Target.Schema = "fresh"
	_, err = dest.Begin(t.Context(), req)
	wantKind(t, err, connectors.KindPermission, "GRANT CREATE ON DATABASE "+ident(config.Database))
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	good := parseConfig(t, servers.Postgres(t))
	for _, tt := range []struct {
		name string
		edit func(*connectors.Config)
		kind connectors.ErrorKind
		word string
	}{
		{"password", func(c *connectors.Config) { c.Password = "Tr0ub4dor&3" }, connectors.KindAuth, "password"},
		{"user", func(c *connectors.Config) { c.Username = "nobody"; c.Password = "Tr0ub4dor&3" }, connectors.KindAuth, "nobody"},
		{"database", func(c *connectors.Config) { c.Database = "no such" }, connectors.KindNotFound, "no such"},
		{"port", func(c *connectors.Config) { c.Port = 1 }, connectors.KindNetwork, "refused"},
		{"host", func(c *connectors.Config) { c.Host = "host.invalid" }, connectors.KindNetwork, "host name"},
		{"tls", func(c *connectors.Config) { c.Options = map[string]string{"sslmode": "require"} }, connectors.KindTLS, "sslmode"},
		{"sslmode", func(c *connectors.Config) { c.Options = map[string]string{"sslmode": "on"} }, connectors.KindInvalid, "verify-full"},
		{"option", func(c *connectors.Config) { c.Options = map[string]string{"zz": "1", "sslcertt": "1"} }, connectors.KindInvalid, "sslcertt, zz"},
		{"root certificate", func(c *connectors.Config) {
			c.Options = map[string]string{"sslmode": "verify-full", "sslrootcert": "/absent.pem"}
		}, connectors.KindInvalid, "/absent.pem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config := good
			tt.edit(&config)
			_, err := New().OpenSource(t.Context(), config)
			wantKind(t, err, tt.kind, tt.word)
			if strings.Contains(err.Error(), config.Password.Reveal()) && config.Password != "" {
				t.Errorf("the password is in %q", err)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), "Tr0ub4dor&3") {
				t.Errorf("the password is in %+v", err)
			}
		})
	}
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		config := good
		config.Host, config.Options = "127.0.0.1", map[string]string{"connect_timeout": "1"}
		config.Port = silentPort(t)
		_, err := New().OpenSource(t.Context(), config)
		wantKind(t, err, connectors.KindTimeout)
	})
}

func TestNothingComesFromTheEnvironment(t *testing.T) {
	good := parseConfig(t, servers.Postgres(t))
	for name, value := range map[string]string{
		"PGHOST": "host.invalid", "PGPORT": "x", "PGUSER": "u", "PGPASSWORD": "p", "PGSSLMODE": "nonsense", "PGSERVICE": "absent", "PGSERVICEFILE": "/absent",
		"PGSSLROOTCERT": "/absent", "PGSSLCERT": "/absent", "PGOPTIONS": "-c nonsense=1", "PGTARGETSESSIONATTRS": "standby", "PGTZ": "Asia/Kolkata",
		"PGSSLCERTMODE": "require", "PGREQUIREAUTH": "none", "PGMINPROTOCOLVERSION": "3.2", "PGCHANNELBINDING": "require", "PGAPPNAME": "other",
	} {
		t.Setenv(name, value)
	}
	source, err := New().OpenSource(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	conn, err := source.(*Source).acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer source.(*Source).release(conn)
	rows, err := query(t.Context(), conn, "SELECT current_setting('application_name'), current_setting('TimeZone'), current_setting('IntervalStyle'), current_setting('extra_float_digits')")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range rows[0] {
		got = append(got, string(v))
	}
	if diff := cmp.Diff([]string{"arus", "UTC", "iso_8601", "3"}, got); diff != "" {
		t.Error(diff)
	}
	bad := good
	bad.Password = ""
	if _, err := New().OpenSource(t.Context(), bad); connectors.KindOf(err) != connectors.KindAuth {
		t.Errorf("without a password: %v", err)
	}
}

func TestCancelStopsTheSourceQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE VIEW slow AS SELECT a, pg_sleep(600) IS NULL AS b FROM t")
	view := f.table("slow")
	running := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%COPY (%'"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- f.source.Read(ctx, connectors.ReadRequest{Table: view, Columns: view.Columns}, func(b arrow.RecordBatch) error { b.Release(); return nil })
	}()
	f.until(running, "1")
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) || connectors.Retryable(err) {
			t.Errorf("a cancelled read gives %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the read goes on after its cancel")
	}
	f.until(running, "0")
	pid := f.source.(*Source).idle[0].PID()
	if got, err := f.read(connectors.ReadRequest{Table: f.table("t"), Columns: f.table("t").Columns}); err != nil || len(got) != 1 {
		t.Errorf("a read after it: %v, %v", got, err)
	}
	if again := f.source.(*Source).idle[0].PID(); again != pid {
		t.Error("the connection did not survive the cancel")
	}
}

// until asks again and again, up to five seconds, until the query gives want.
func (f *fixture) until(sql, want string) {
	f.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for f.text(sql)[0] != want {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s never gave %s", sql, want)
		}
		f.text("SELECT pg_sleep(0.01)::text")
	}
}
