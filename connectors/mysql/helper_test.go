package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	driver "github.com/go-sql-driver/mysql"

	"arus/connectors"
	"arus/testdata/servers"
)

const (
	runOne = "0198f0a0-0000-7000-8000-000000000001"
	runTwo = "0198f0a0-0000-7000-8000-000000000002"
)

var syncedAt = time.Date(2026, 3, 4, 5, 6, 7, 890123000, time.UTC)

var registry = connectors.Registry{"mysql": New(), "mariadb": NewMariaDB()}

// fixture is one database with a plain connection for looking at it.
type fixture struct {
	t   testing.TB
	cfg connectors.Config
	db  *sql.DB
}

func newFixture(t testing.TB) *fixture { return fixtureOf(t, servers.MariaDBDatabase(t)) }

func fixtureOf(t testing.TB, url string) *fixture {
	t.Helper()
	cfg, err := registry.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := driver.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", cfg.Address(), cfg.Username, cfg.Password.Reveal(), cfg.Database
	c.Params = map[string]string{"time_zone": "'+00:00'", "sql_mode": "''"}
	connector, err := driver.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, cfg: cfg, db: sql.OpenDB(connector)}
	t.Cleanup(func() { _ = f.db.Close() })
	return f
}

func (f *fixture) exec(statements ...string) {
	f.t.Helper()
	for _, s := range statements {
		if _, err := f.db.ExecContext(f.t.Context(), s); err != nil {
			f.t.Fatalf("%.200s: %v", s, err)
		}
	}
}

// rows gives a query's result, values joined by |.
func (f *fixture) rows(query string) []string {
	f.t.Helper()
	r, err := f.db.QueryContext(f.t.Context(), query)
	if err != nil {
		f.t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = r.Close() }()
	names, _ := r.Columns()
	var out []string
	for r.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := r.Scan(into...); err != nil {
			f.t.Fatal(err)
		}
		text := make([]string, len(values))
		for i, v := range values {
			text[i] = v.String
			if !v.Valid {
				text[i] = "NULL"
			}
		}
		out = append(out, strings.Join(text, "|"))
	}
	if err := r.Err(); err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *fixture) source() connectors.Source {
	f.t.Helper()
	s, err := NewMariaDB().OpenSource(f.t.Context(), f.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (f *fixture) destination() connectors.Destination {
	f.t.Helper()
	d, err := NewMariaDB().OpenDestination(f.t.Context(), f.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = d.Close() })
	return d
}

func (f *fixture) table(s connectors.Source, name string) connectors.Table {
	f.t.Helper()
	tables, err := s.Tables(f.t.Context(), connectors.TableFilter{Views: true})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, t := range tables {
		if t.Name == name {
			return t
		}
	}
	f.t.Fatalf("table %q was not discovered", name)
	return connectors.Table{}
}

func (f *fixture) ref(name string) connectors.TableRef {
	return connectors.TableRef{Schema: f.cfg.Database, Name: name}
}

// values renders every row of a batch canonically: a value per column, joined by |.
func values(batch arrow.RecordBatch, columns []connectors.Column) []string {
	out := make([]string, batch.NumRows())
	for i := range out {
		parts := make([]string, len(columns))
		for c, col := range columns {
			if batch.Column(c).IsNull(i) {
				parts[c] = "NULL"
				continue
			}
			parts[c] = fmt.Sprintf("%q", connectors.AppendValue(nil, batch.Column(c), col.Type, i))
		}
		out[i] = strings.Join(parts, "|")
	}
	return out
}

func read(ctx context.Context, s connectors.Source, req connectors.ReadRequest) ([]string, error) {
	var out []string
	err := s.Read(ctx, req, func(b arrow.RecordBatch) error {
		defer b.Release()
		out = append(out, values(b, req.Columns)...)
		return nil
	})
	return out, err
}

func (f *fixture) read(s connectors.Source, req connectors.ReadRequest) []string {
	f.t.Helper()
	out, err := read(f.t.Context(), s, req)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// copyInto loads what the request reads.
func copyInto(ctx context.Context, s connectors.Source, read connectors.ReadRequest, d connectors.Destination, req connectors.LoadRequest) (connectors.LoadResult, error) {
	if req.RunID == "" {
		req.RunID, req.SyncedAt = runOne, syncedAt
	}
	load, err := d.Begin(ctx, req)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	if err := s.Read(ctx, read, func(b arrow.RecordBatch) error { return load.Write(ctx, b) }); err != nil {
		_ = load.Abort()
		return connectors.LoadResult{}, err
	}
	return load.Commit(ctx)
}

// rowsBatch makes a batch from canonical texts; "NULL" is a null.
func rowsBatch(t testing.TB, columns []connectors.Column, rows ...[]string) arrow.RecordBatch {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, connectors.Schema(columns))
	defer b.Release()
	for _, row := range rows {
		for c, text := range row {
			if text == "NULL" {
				b.Field(c).AppendNull()
				continue
			}
			if err := appendText(b.Field(c), columns[c].Type, text); err != nil {
				t.Fatalf("column %s: %q: %v", columns[c].Name, text, err)
			}
		}
	}
	return b.NewRecordBatch()
}

func appendText(builder array.Builder, typ connectors.Type, text string) error {
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		b.Append(text == "true")
		return nil
	case *array.Float32Builder, *array.Float64Builder:
		return builder.AppendValueFromString(text)
	case *array.BinaryBuilder:
		b.Append([]byte(text))
		return nil
	case *array.TimestampBuilder:
		ts, _, err := connectors.ParseTimestamp(text)
		b.Append(ts)
		return err
	}
	decode, err := newDecoder(typ, native{}, builder)
	if err != nil {
		return err
	}
	return decode([]byte(text))
}

// runLoad runs one load of the given rows to its end.
func runLoad(ctx context.Context, d connectors.Destination, req connectors.LoadRequest, batches ...arrow.RecordBatch) (connectors.LoadResult, error) {
	if req.RunID == "" {
		req.RunID = runOne
	}
	req.SyncedAt = syncedAt
	l, err := d.Begin(ctx, req)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	for i, b := range batches {
		if err := l.Write(ctx, b); err != nil {
			for _, rest := range batches[i+1:] {
				rest.Release()
			}
			_ = l.Abort()
			return connectors.LoadResult{}, err
		}
	}
	return l.Commit(ctx)
}

func cols(pairs ...any) []connectors.Column {
	var out []connectors.Column
	for i := 0; i < len(pairs); i += 2 {
		typ, ok := pairs[i+1].(connectors.Type)
		if !ok {
			typ = connectors.Type{Kind: pairs[i+1].(connectors.Kind)}
		}
		out = append(out, connectors.Column{Name: pairs[i].(string), Type: typ, Nullable: true})
	}
	return out
}

// paths are the ways rows reach a server: LOAD DATA and INSERT, direct and raw.
func paths(t *testing.T, test func(t *testing.T, f *fixture, raw bool)) {
	for name, url := range map[string]func(testing.TB) string{"load data": servers.MariaDBDatabase, "insert": servers.MariaDBNoLocalDatabase} {
		for _, raw := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s raw=%v", name, raw), func(t *testing.T) {
				t.Parallel()
				test(t, fixtureOf(t, url(t)), raw)
			})
		}
	}
}

func (f *fixture) rawTarget(raw bool) *connectors.RawTarget {
	if !raw {
		return nil
	}
	return &connectors.RawTarget{Table: f.ref("shop_t_raw")}
}

func wantKind(t testing.TB, err error, kind connectors.ErrorKind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want kind %s", kind)
	}
	if got := connectors.KindOf(err); got != kind {
		t.Errorf("kind: got %q, want %q: %v", got, kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error lacks %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "arus-test") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error shows a password or breaks its line: %q", err)
	}
}
