package app

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"arus/connectors"
	"arus/connectors/all"
	"arus/testdata/servers"
	"arus/testdata/types"
)

// matrixSources make the tables of a golden on a real server.
var matrixSources = map[string]struct {
	key  string // the column that identifies rows
	make func(t *testing.T, g types.Golden, tables []types.Table) (url string)
}{
	"postgresql": {"id", func(t *testing.T, g types.Golden, tables []types.Table) string {
		d := postgresDatabase(t)
		d.exec(t, g.Setup...)
		d.exec(t, createTables(tables, `"`), hostileSettings)
		return d.url
	}},
	"mysql": {"id", func(t *testing.T, g types.Golden, tables []types.Table) string {
		d := mariadbDatabase(t)
		d.exec(t, g.Setup...)
		// A lenient mode, so that values that the server warns of today are there as they were made in earlier years.
		d.exec(t, "SET sql_mode = '', time_zone = '+00:00', NAMES utf8mb4;\n"+createTables(tables, "`"))
		return d.url
	}},
	"sqlite": {"id", func(t *testing.T, g types.Golden, tables []types.Table) string {
		file := filepath.Join(t.TempDir(), "types.db")
		d := database{db: openSQL(t, "sqlite", file)}
		d.exec(t, createTables(tables, `"`))
		return "sqlite://" + file
	}},
	"mongodb": {"_id", mongoTables},
}

// hostileSettings are what a PostgreSQL database may give its sessions, each of which spells or reads values in another way.
const hostileSettings = `DO $$ DECLARE setting text; BEGIN
	FOREACH setting IN ARRAY ARRAY['timezone = ''Asia/Kolkata''', 'datestyle = ''SQL, DMY''', 'intervalstyle = sql_standard', 'bytea_output = escape', 'extra_float_digits = -10',
		'standard_conforming_strings = off', 'array_nulls = off', 'xmloption = document', 'search_path = pg_catalog',
		'default_transaction_isolation = serializable', 'transform_null_equals = on'] LOOP
		EXECUTE format('ALTER DATABASE %I SET ', current_database()) || setting;
	END LOOP; END $$`

// createTables is one script, for tables by the hundred would take long one by one.
func createTables(tables []types.Table, quote string) string {
	q := func(name string) string { return quote + name + quote }
	var b strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&b, "CREATE TABLE %s (id INTEGER NOT NULL", q(table.Name))
		for _, c := range table.Columns {
			fmt.Fprintf(&b, ", %s %s", q(c.As), c.Type)
			if c.NotNull {
				b.WriteString(" NOT NULL")
			}
		}
		key := []string{q("id")}
		for i, k := range table.Key {
			key = append(key[:i], q(k))
		}
		fmt.Fprintf(&b, ", PRIMARY KEY (%s));\n", strings.Join(key, ", "))
		for _, row := range table.Rows {
			names, literals := []string{q("id")}, []string{fmt.Sprint(row.ID)}
			for i, l := range row.Literal {
				if l != nil {
					names, literals = append(names, q(table.Columns[i].As)), append(literals, *l)
				}
			}
			fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES (%s);\n", q(table.Name), strings.Join(names, ", "), strings.Join(literals, ", "))
		}
	}
	return b.String()
}

func mongoTables(t *testing.T, _ types.Golden, tables []types.Table) string {
	if _, ok := all.Registry()["mongodb"]; !ok {
		t.Skip("SKIPPED: mongodb is not among the connectors yet")
	}
	raw := servers.MongoDBDatabase(t)
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(t.Context()) }()
	for _, table := range tables {
		var docs []any
		for _, row := range table.Rows {
			doc := bson.D{{Key: "_id", Value: int32(row.ID)}}
			for i, l := range row.Literal {
				if l == nil {
					continue
				}
				var holder bson.D
				if err := bson.UnmarshalExtJSON([]byte(`{"v":`+*l+`}`), true, &holder); err != nil {
					t.Fatalf("%s: %v", *l, err)
				}
				doc = append(doc, bson.E{Key: table.Columns[i].As, Value: holder[0].Value})
			}
			docs = append(docs, doc)
		}
		if _, err := client.Database(strings.TrimPrefix(u.Path, "/")).Collection(table.Name).InsertMany(t.Context(), docs); err != nil {
			t.Fatalf("%s: %v", table.Name, err)
		}
	}
	return raw
}

// matrixTarget is where tables go: what sync is told, and where they are found.
type matrixTarget struct {
	url    string
	args   []string
	schema string
}

// matrixDestinations are the destinations, and the names that goldens call them by. A new one is one line.
var matrixDestinations = []struct {
	name, golden string
	open         func(t *testing.T) matrixTarget
}{
	{"postgresql", "postgresql", func(t *testing.T) matrixTarget {
		d := postgresDatabase(t)
		d.exec(t, hostileSettings)
		return matrixTarget{url: d.url, schema: "analytics"}
	}},
	{"mysql", "mysql", func(t *testing.T) matrixTarget { return mysqlMatrix(servers.MariaDBDatabase(t)) }},
	{"mysql without LOCAL INFILE", "mysql", func(t *testing.T) matrixTarget { return mysqlMatrix(servers.MariaDBNoLocalDatabase(t)) }},
	{"embedded", "embedded", func(t *testing.T) matrixTarget { return matrixTarget{url: embeddedTarget(t).url} }},
	{"clickhouse", "clickhouse", clickhouseMatrix},
}

func mysqlMatrix(url string) matrixTarget {
	schema := url[strings.LastIndexByte(url, '/')+1:] // a database of the test's own stands for the schema
	return matrixTarget{url: url, args: []string{"--target-schema", schema}, schema: schema}
}

func clickhouseMatrix(t *testing.T) matrixTarget {
	if _, ok := all.Registry()["clickhouse"]; !ok {
		t.Skip("SKIPPED: clickhouse is not among the connectors yet")
	}
	raw := servers.ClickHouse(t)
	o, err := clickhouse.ParseDSN(raw)
	if err != nil {
		t.Fatal(err)
	}
	schema := "t_matrix_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	t.Cleanup(func() {
		conn, err := clickhouse.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := conn.Exec(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+schema); err != nil {
			t.Error(err)
		}
	})
	return matrixTarget{url: raw, args: []string{"--target-schema", schema}, schema: schema}
}

// openByURL opens a database for reading.
func openByURL(t *testing.T, raw string) connectors.Source {
	t.Helper()
	registry := all.Registry()
	cfg, err := registry.ParseURL(raw)
	if err != nil {
		t.Fatal(err)
	}
	s, err := registry[cfg.Type].OpenSource(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// tablesOf discovers the tables of a schema by name, settled where the source can.
func tablesOf(t *testing.T, s connectors.Source, schema string) map[string]connectors.Table {
	t.Helper()
	var filter connectors.TableFilter
	if schema != "" {
		filter.Schemas = []string{schema}
	}
	list, err := s.Tables(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]connectors.Table{}
	for _, table := range list {
		if settler, ok := s.(connectors.Settler); ok {
			if table, err = settler.Settle(t.Context(), table); err != nil {
				t.Fatal(err)
			}
		}
		tables[table.Name] = table
	}
	return tables
}
