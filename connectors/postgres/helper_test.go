package postgres

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"arus/connectors"
	"arus/testdata/servers"
)

// fixture is an empty database with both ends of the connector open on it, and
// a session of its own to look with.
type fixture struct {
	t      testing.TB
	config connectors.Config
	source connectors.Source
	dest   connectors.Destination
	sql    *pgx.Conn
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	raw := servers.PostgresDatabase(t)
	config := parseConfig(t, raw)
	f := &fixture{t: t, config: config, sql: connect(t, raw)}
	var err error
	if f.source, err = New().OpenSource(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.source.Close() })
	if f.dest, err = New().OpenDestination(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.dest.Close() })
	return f
}

func parseConfig(t testing.TB, raw string) connectors.Config {
	t.Helper()
	config, err := connectors.Registry{"postgresql": New()}.ParseURL(raw)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// connect opens a plain session, with its user replaced when one is given.
func connect(t testing.TB, raw string, user ...string) *pgx.Conn {
	t.Helper()
	if len(user) > 0 {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user[0], user[1])
		raw = u.String()
	}
	conn, err := pgx.Connect(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

func (f *fixture) exec(sql string) {
	f.t.Helper()
	if _, err := f.sql.Exec(f.t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

// text gives the rows of a query as text, fields joined by '|', null as ∅.
func (f *fixture) text(sql string) []string {
	f.t.Helper()
	result := f.sql.PgConn().Exec(f.t.Context(), sql)
	all, err := result.ReadAll()
	if err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
	lines := []string{}
	for _, r := range all {
		for _, row := range r.Rows {
			fields := make([]string, len(row))
			for i, v := range row {
				if fields[i] = string(v); v == nil {
					fields[i] = "∅"
				}
			}
			lines = append(lines, strings.Join(fields, "|"))
		}
	}
	return lines
}

func (f *fixture) table(name string) connectors.Table {
	f.t.Helper()
	tables, err := f.source.Tables(f.t.Context(), connectors.TableFilter{Views: true})
	if err != nil {
		f.t.Fatal(err)
	}
	i := slices.IndexFunc(tables, func(t connectors.Table) bool { return t.Name == name })
	if i < 0 {
		f.t.Fatalf("no table %q among %d", name, len(tables))
	}
	return tables[i]
}

var syncedAt = time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)

func request(table connectors.Table, mode connectors.LoadMode) connectors.LoadRequest {
	return connectors.LoadRequest{
		Target: connectors.TableRef{Schema: "analytics", Name: table.Name}, Columns: table.Columns, Key: table.PrimaryKey,
		Mode: mode, RunID: uuid.NewString(), SyncedAt: syncedAt,
	}
}

// move runs one load of what a read gives.
func (f *fixture) move(read connectors.ReadRequest, req connectors.LoadRequest) (connectors.LoadResult, error) {
	ctx := f.t.Context()
	load, err := f.dest.Begin(ctx, req)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	if err := f.source.Read(ctx, read, func(b arrow.RecordBatch) error { return load.Write(ctx, b) }); err != nil {
		if err := load.Abort(); err != nil {
			f.t.Error(err)
		}
		return connectors.LoadResult{}, err
	}
	return load.Commit(ctx)
}

// copyTable moves a whole table and fails the test when it cannot.
func (f *fixture) copyTable(table connectors.Table, req connectors.LoadRequest) connectors.LoadResult {
	f.t.Helper()
	result, err := f.move(connectors.ReadRequest{Table: table, Columns: req.Columns}, req)
	if err != nil {
		f.t.Fatal(err)
	}
	return result
}

// read collects the canonical text of every value.
func (f *fixture) read(req connectors.ReadRequest) ([]string, error) {
	lines := []string{}
	err := f.source.Read(f.t.Context(), req, collect(&lines, req.Columns))
	return lines, err
}

func collect(lines *[]string, columns []connectors.Column) func(arrow.RecordBatch) error {
	return func(b arrow.RecordBatch) error {
		defer b.Release()
		for i := range int(b.NumRows()) {
			fields := make([]string, len(columns))
			for c := range fields {
				fields[c] = "∅"
				if values := b.Column(c); !values.IsNull(i) {
					fields[c] = string(connectors.AppendValue(nil, values, columns[c].Type, i))
				}
			}
			*lines = append(*lines, strings.Join(fields, "|"))
		}
		return nil
	}
}

func wantKind(t testing.TB, err error, kind connectors.ErrorKind, words ...string) {
	t.Helper()
	if connectors.KindOf(err) != kind {
		t.Fatalf("kind of %v is %q, want %q", err, connectors.KindOf(err), kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
}

// silentPort is a port that accepts connections and says nothing.
func silentPort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}
