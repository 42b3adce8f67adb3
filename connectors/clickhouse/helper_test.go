package clickhouse

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"arus/connectors"
	"arus/testdata/servers"
)

const null = "<NULL>"

// fixture is an empty database with both ends of the connector open.
type fixture struct {
	t      testing.TB
	config connectors.Config
	schema string
	source *Source
	dest   *Destination
}

func parseConfig(t testing.TB) connectors.Config {
	t.Helper()
	config, err := connectors.Registry{"clickhouse": New()}.ParseURL(servers.ClickHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	suffix := make([]byte, 5)
	_, _ = rand.Read(suffix)
	return newFixtureIn(t, "t_"+hex.EncodeToString(suffix))
}

func newFixtureIn(t testing.TB, schema string) *fixture {
	t.Helper()
	f := &fixture{t: t, config: parseConfig(t), schema: schema}
	f.dest = openDestination(t, f.config)
	f.exec("CREATE DATABASE " + ident(schema))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
		defer cancel()
		d := openDestination(t, f.config)
		if err := d.exec(ctx, "DROP DATABASE IF EXISTS "+ident(schema)); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	f.source = &Source{f.dest.db}
	return f
}

func openDestination(t testing.TB, config connectors.Config) *Destination {
	t.Helper()
	d, err := New().OpenDestination(context.WithoutCancel(t.Context()), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d.(*Destination)
}

func (f *fixture) exec(sql string) {
	f.t.Helper()
	if err := f.dest.exec(f.t.Context(), sql); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

// texts runs a query of text columns.
func (f *fixture) texts(sql string) [][]string {
	f.t.Helper()
	var all [][]string
	err := f.dest.query(f.t.Context(), sql, func(rows driver.Rows) error {
		values := make([]string, len(rows.Columns()))
		dest := make([]any, len(values))
		for i := range values {
			dest[i] = &values[i]
		}
		err := rows.Scan(dest...)
		all = append(all, values)
		return err
	})
	if err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
	return all
}

// tables lists the names in the fixture's database.
func (f *fixture) tables() []string {
	var names []string
	for _, row := range f.texts("SELECT name FROM system.tables WHERE database = " + literal(f.schema) + " ORDER BY name") {
		names = append(names, row[0])
	}
	return names
}

func (f *fixture) request(mode connectors.LoadMode, name string, key []string, columns ...connectors.Column) connectors.LoadRequest {
	return connectors.LoadRequest{
		Target: connectors.TableRef{Schema: f.schema, Name: name}, Columns: columns, Key: key, Mode: mode,
		RunID: uuid.NewString(), SyncedAt: time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC), LockWait: 10 * time.Second,
	}
}

// batch builds a record batch from values in canonical text.
func batch(t testing.TB, columns []connectors.Column, rows [][]string) arrow.RecordBatch {
	t.Helper()
	var out arrow.RecordBatch
	b := connectors.NewBatcher(columns, connectors.Limits{Rows: 1 << 30, Bytes: 1 << 40}, func(r arrow.RecordBatch) error { out = r; return nil })
	defer b.Release()
	for _, row := range rows {
		for i, text := range row {
			if text == null {
				b.Builders[i].AppendNull()
				continue
			}
			if err := textCell(columns[i].Type, b.Builders[i])(text); err != nil {
				t.Fatalf("column %s: %q: %v", columns[i].Name, text, err)
			}
		}
		if err := b.EndRow(1); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	if out == nil {
		out = array.NewRecordBatch(connectors.Schema(columns), emptyArrays(columns), 0)
	}
	return out
}

func emptyArrays(columns []connectors.Column) []arrow.Array {
	arrays := make([]arrow.Array, len(columns))
	for i, f := range connectors.Schema(columns).Fields() {
		arrays[i] = array.MakeArrayOfNull(nil, f.Type, 0)
	}
	return arrays
}

// load runs a whole load of one batch.
func (f *fixture) load(req connectors.LoadRequest, rows ...[]string) connectors.LoadResult {
	f.t.Helper()
	result, err := f.tryLoad(req, rows...)
	if err != nil {
		f.t.Fatal(err)
	}
	return result
}

func (f *fixture) tryLoad(req connectors.LoadRequest, rows ...[]string) (connectors.LoadResult, error) {
	f.t.Helper()
	ctx := f.t.Context()
	l, err := f.dest.Begin(ctx, req)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	if len(rows) > 0 {
		if err := l.Write(ctx, batch(f.t, req.Columns, rows)); err != nil {
			_ = l.Abort()
			return connectors.LoadResult{}, err
		}
	}
	return l.Commit(ctx)
}

// read gives the rows of a table by the columns of the request, in text.
func (f *fixture) read(req connectors.LoadRequest, orderBy ...string) [][]string {
	f.t.Helper()
	return f.readRequest(connectors.ReadRequest{Table: connectors.Table{TableRef: req.Target}, Columns: req.Columns, OrderBy: orderBy})
}

func (f *fixture) readRequest(req connectors.ReadRequest) [][]string {
	f.t.Helper()
	var all [][]string
	err := f.source.Read(f.t.Context(), req, func(r arrow.RecordBatch) error {
		defer r.Release()
		for i := range int(r.NumRows()) {
			row := make([]string, len(req.Columns))
			for c, col := range req.Columns {
				row[c] = null
				if !r.Column(c).IsNull(i) {
					row[c] = string(connectors.AppendValue(nil, r.Column(c), col.Type, i))
				}
			}
			all = append(all, row)
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func column(name string, kind connectors.Kind) connectors.Column {
	return connectors.Column{Name: name, Type: connectors.Type{Kind: kind}}
}

func nullable(name string, kind connectors.Kind) connectors.Column {
	return connectors.Column{Name: name, Type: connectors.Type{Kind: kind}, Nullable: true}
}

// golden compares with a file, or writes it when the flag says so.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "../../testdata/clickhouse/" + name
	if *update {
		if err := os.MkdirAll("../../testdata/clickhouse", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(want), "\r\n", "\n") != got {
		t.Errorf("%s differs; -update writes it\ngot:\n%s\nwant:\n%s", name, got, want)
	}
}
