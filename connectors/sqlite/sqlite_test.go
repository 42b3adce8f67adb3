package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
	"arus/testdata/servers"
)

// database makes a file by SQL and leaves the connection that wrote it open.
func database(t testing.TB, sql ...string) (string, *lite.Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a b?#%.db")
	c, err := lite.Open(driver(), path, lite.Create, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	exec(t, c, sql...)
	return path, c
}

func exec(t testing.TB, c *lite.Conn, sql ...string) {
	t.Helper()
	for _, s := range sql {
		if err := c.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func open(t testing.TB, path string) connectors.Source {
	t.Helper()
	s, err := New().OpenSource(t.Context(), connectors.Config{Type: "sqlite", Database: path})
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

func tableNamed(t testing.TB, s connectors.Source, name string) connectors.Table {
	t.Helper()
	tables, err := s.Tables(t.Context(), connectors.TableFilter{Names: []string{name}, Views: true})
	if err != nil || len(tables) != 1 {
		t.Fatalf("Tables(%s) = %v, %v", name, tables, err)
	}
	return tables[0]
}

func settled(t testing.TB, s connectors.Source, name string) connectors.Table {
	t.Helper()
	table, err := s.(connectors.Settler).Settle(t.Context(), tableNamed(t, s, name))
	if err != nil {
		t.Fatalf("Settle(%s): %v", name, err)
	}
	return table
}

func read(ctx context.Context, s connectors.Source, req connectors.ReadRequest) ([][]any, error) {
	var rows [][]any
	if req.Columns == nil {
		req.Columns = req.Table.Columns
	}
	err := s.Read(ctx, req, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		for i := range int(batch.NumRows()) {
			row := make([]any, batch.NumCols())
			for c := range row {
				if arr := batch.Column(c); !arr.IsNull(i) {
					row[c] = string(connectors.AppendValue(nil, arr, req.Columns[c].Type, i))
				}
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

func diff(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// TestSettle gives every kind of declaration values that keep it and values
// that do not.
func TestSettle(t *testing.T) {
	t.Parallel()
	for i, test := range []struct {
		native string
		values string   // a list of SQL literals
		typ    string   // as settled
		want   []string // in canonical text; "-" is NULL
	}{
		{"INTEGER", "1, NULL, -9223372036854775808, 9223372036854775807", "int64", []string{"1", "-", "-9223372036854775808", "9223372036854775807"}},
		{"INT", "1, 2.5", "float64", []string{"1", "2.5"}},
		{"INT", "9007199254740993, 2.5", "numeric", []string{"9007199254740993", "2.5"}},
		{"INT", "1, 'x'", "text", []string{"1", "x"}},
		{"INT", "NULL", "int64", []string{"-"}},
		{"BIGINT UNSIGNED", "5", "int64", []string{"5"}},
		{"SMALLINT", "32767, -32768", "int16", []string{"32767", "-32768"}},
		{"TINYINT(1)", "32768", "int64", []string{"32768"}},
		{"BOOLEAN", "0, 1, NULL", "bool", []string{"false", "true", "-"}},
		{"BOOLEAN", "'true', 'FALSE', 1", "bool", []string{"true", "false", "true"}},
		{"BOOLEAN", "0, 2", "int64", []string{"0", "2"}},
		{"BOOL", "0.5", "float64", []string{"0.5"}},
		{"REAL", "1, 0.1, 9e999, 1e300", "float64", []string{"1", "0.1", "Infinity", "1e+300"}},
		{"DOUBLE PRECISION", "1, 'x'", "text", []string{"1.0", "x"}},
		{"FLOAT", "x'01', x'ff'", "bytes", []string{"AQ==", "/w=="}},
		{"DECIMAL(10,2)", "1, 1.5, 0.1, 99999999.99, NULL", "decimal(10,2)", []string{"1.00", "1.50", "0.10", "99999999.99", "-"}},
		{"DECIMAL(10,2)", "1.005", "float64", []string{"1.005"}},
		{"DECIMAL(4,2)", "100", "int64", []string{"100"}},
		{"DECIMAL(10,2)", "1, 'x'", "text", []string{"1", "x"}},
		{"NUMERIC(40,2)", "12.5", "decimal(40,2)", []string{"12.50"}},
		{"NUMERIC", "1, 2.50, 1e20", "numeric", []string{"1", "2.5", "100000000000000000000"}},
		{"DECIMAL", "'x'", "text", []string{"x"}},
		{"VARCHAR(3)", "'abc', 'żół', ''", "text(3)", []string{"abc", "żół", ""}},
		{"NVARCHAR(3)", "'abcd'", "text", []string{"abcd"}},
		{"CHAR(2)", "'a'", "text(2)", []string{"a"}},
		{"TEXT", "'a', 12, 1.5, 'nul' || char(0) || 'x'", "text", []string{"a", "12", "1.5", "nul\x00x"}},
		{"CLOB", "x'61', 'b'", "text", []string{"a", "b"}},
		{"TEXT", "x'ff', 'b'", "bytes", []string{"/w==", "Yg=="}},
		{"STRING", "7, 'x'", "text", []string{"7", "x"}},
		{"BLOB", "x'', x'00ff'", "bytes", []string{"", "AP8="}},
		{"BLOB", "'a', 'b'", "text", []string{"a", "b"}},
		{"BLOB", "1, 2", "int64", []string{"1", "2"}},
		{"", "1, 2", "int64", []string{"1", "2"}},
		{"", "1, 'a', 2.0, x'62'", "text", []string{"1", "a", "2.0", "b"}},
		{"", "NULL", "text", []string{"-"}},
		{"DATE", "'2026-01-02', NULL, '0001-01-01'", "date", []string{"2026-01-02", "-", "0001-01-01"}},
		{"DATE", "'2026-01-02', '2026-01-02 03:04'", "timestamp", []string{"2026-01-02T00:00:00", "2026-01-02T03:04:00"}},
		{"DATE", "'2026-02-30'", "text", []string{"2026-02-30"}},
		{"DATE", "0", "int64", []string{"0"}},
		{"TIME", "'03:04', '03:04:05.5', '24:00:00'", "time", []string{"03:04:00", "03:04:05.5", "24:00:00"}},
		{"TIME", "'3:04'", "text", []string{"3:04"}},
		{"DATETIME", "'2026-01-02 03:04:05.123456', '2026-01-02T03:04', '2026-01-02'", "timestamp", []string{"2026-01-02T03:04:05.123456", "2026-01-02T03:04:00", "2026-01-02T00:00:00"}},
		{"DATETIME", "1700000000", "int64", []string{"1700000000"}},
		{"DATETIME", "2460000.5", "float64", []string{"2.4600005e+06"}},
		{"DATETIME", "'2026-01-02 03:04:05', 1700000000", "text", []string{"2026-01-02 03:04:05", "1700000000"}},
		{"TIMESTAMP", "'2026-01-02T03:04:05Z', '2026-01-02 03:04:05+05:30'", "timestamptz", []string{"2026-01-02T03:04:05Z", "2026-01-01T21:34:05Z"}},
		{"TIMESTAMP", "'2026-01-02T03:04:05Z', '2026-01-02 03:04:05'", "text", []string{"2026-01-02T03:04:05Z", "2026-01-02 03:04:05"}},
		{"TIMESTAMP", "'2026-01-02 03:04:05.1234567'", "text", []string{"2026-01-02 03:04:05.1234567"}},
		{"timestamp with time zone", "'2026-01-02 03:04:05'", "timestamp", []string{"2026-01-02T03:04:05"}},
		{"TIMESTAMPTZ", "'2026-01-02 03:04:05+00'", "timestamptz", []string{"2026-01-02T03:04:05Z"}},
		{"TIMESTAMPTZ(3)", "NULL", "timestamptz", []string{"-"}},
		{"UUID", "'0190A6B2-1234-7abc-8def-0123456789AB'", "uuid", []string{"0190a6b2-1234-7abc-8def-0123456789ab"}},
		{"UUID", "x'0190A6B212347abc8def0123456789AB'", "uuid", []string{"0190a6b2-1234-7abc-8def-0123456789ab"}},
		{"UUID", "'nope'", "text", []string{"nope"}},
		{"JSON", `'{"a": 1.0}', 'null', '12', NULL`, "json", []string{`{"a": 1.0}`, "null", "12", "-"}},
		{"JSON", "'{'", "text", []string{"{"}},
		{"JSONB", "x'0f'", "bytes", []string{"Dw=="}},
	} {
		t.Run(fmt.Sprintf("%d %s %s", i, test.native, test.values), func(t *testing.T) {
			t.Parallel()
			path, _ := database(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, v "+test.native+")")
			_, c := path, (*lite.Conn)(nil)
			w, err := lite.Open(driver(), path, lite.ReadWrite, "")
			if err != nil {
				t.Fatal(err)
			}
			c = w
			for _, v := range splitLiterals(test.values) {
				exec(t, c, "INSERT INTO t (v) VALUES ("+v+")")
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			s := open(t, path)
			table := settled(t, s, "t")
			v, _ := table.Column("v")
			if got := v.Type.String(); got != test.typ {
				t.Fatalf("the type is %s, want %s", got, test.typ)
			}
			rows, err := read(t.Context(), s, connectors.ReadRequest{Table: table, OrderBy: []string{"id"}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, row := range rows {
				if row[1] == nil {
					got = append(got, "-")
				} else {
					got = append(got, row[1].(string))
				}
			}
			diff(t, "values", got, test.want)
		})
	}
}

func splitLiterals(s string) []string {
	var parts []string
	start, quoted := 0, false
	for i := range len(s) {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	path, _ := database(t,
		`CREATE TABLE "Weird ""name"" / ; -- 🙂" ("select" INTEGER PRIMARY KEY, "a'b" TEXT NOT NULL UNIQUE, "rowid" TEXT, g INT GENERATED ALWAYS AS ("select" * 2), s INT AS (1) STORED)`,
		"CREATE TABLE pair (b TEXT, a INT, v REAL, PRIMARY KEY (a, b)) WITHOUT ROWID",
		"CREATE TABLE uniq (a TEXT NOT NULL, b TEXT, c TEXT NOT NULL COLLATE NOCASE, d INT NOT NULL, UNIQUE (b), UNIQUE (c), UNIQUE (d, a))",
		"CREATE UNIQUE INDEX part ON uniq (a) WHERE d > 0",
		"CREATE INDEX expr ON uniq (lower(a))",
		"CREATE INDEX lead ON uniq (b, a)",
		"CREATE TABLE strict_one (a INTEGER, b ANY, c TEXT) STRICT",
		"CREATE VIRTUAL TABLE fts USING fts5(x)",
		"CREATE VIEW v AS SELECT a, v * 2 AS twice FROM pair",
		"CREATE TABLE gone (x)", "CREATE VIEW broken AS SELECT * FROM gone", "DROP TABLE gone",
		"INSERT INTO pair VALUES ('x', 1, 1.5)", "INSERT INTO uniq VALUES ('a', 'b', 'c', 1), ('d', 'e', 'f', 2)",
		"ANALYZE pair",
	)
	s := open(t, path)
	tables, err := s.Tables(t.Context(), connectors.TableFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range tables {
		names = append(names, table.Name)
	}
	weird := `Weird "name" / ; -- 🙂`
	diff(t, "tables", names, []string{"pair", "strict_one", "uniq", weird})
	tables, err = s.Tables(t.Context(), connectors.TableFilter{Views: true, Include: []string{"v", "br*", "Weird*"}, Exclude: []string{"main.W*"}})
	if err != nil || len(tables) != 1 || tables[0].Name != "v" || !tables[0].View || len(tables[0].Columns) != 2 {
		t.Errorf("views are %+v, %v", tables, err)
	}
	w := tableNamed(t, s, weird)
	diff(t, "its key", w.PrimaryKey, []string{"select"})
	diff(t, "its unique keys", w.UniqueKeys, [][]string{{"a'b"}})
	var generated []string
	for _, c := range w.Columns {
		if c.Generated {
			generated = append(generated, c.Name)
		}
	}
	diff(t, "generated columns", generated, []string{"g", "s"})
	if k, _ := w.Column("select"); k.Nullable {
		t.Error("an INTEGER PRIMARY KEY is said to be nullable")
	}
	pair := tableNamed(t, s, "pair")
	diff(t, "key in order", pair.PrimaryKey, []string{"a", "b"})
	diff(t, "estimate", pair.RowEstimate, int64(1))
	uniq := tableNamed(t, s, "uniq")
	diff(t, "unique keys", uniq.UniqueKeys, [][]string{{"d", "a"}})
	diff(t, "estimate by rowid", uniq.RowEstimate, int64(2))
	slices.Sort(uniq.Indexed)
	diff(t, "indexed", uniq.Indexed, []string{"b", "c", "d"})
	view := settled(t, s, "v")
	rows, err := read(t.Context(), s, connectors.ReadRequest{Table: view})
	diff(t, fmt.Sprint("view ", err), rows, [][]any{{"1", "3"}})
	got, err := read(t.Context(), s, connectors.ReadRequest{Table: settled(t, s, weird)})
	if err != nil || len(got) != 0 {
		t.Errorf("weird: %v, %v", got, err)
	}
}

func TestKeysWithNulls(t *testing.T) {
	t.Parallel()
	path, _ := database(t, "CREATE TABLE t (k TEXT PRIMARY KEY, v)", "INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('a', 3)",
		"CREATE TABLE ok (k TEXT PRIMARY KEY)", "INSERT INTO ok VALUES ('a')")
	s := open(t, path)
	if table := settled(t, s, "t"); len(table.PrimaryKey) != 0 {
		t.Errorf("a key with NULLs is still %v", table.PrimaryKey)
	}
	diff(t, "key", settled(t, s, "ok").PrimaryKey, []string{"k"})
}

func TestWindows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, native string
		values       []string // ascending by the settled type; equal neighbours allowed
		bounds       []string // of the values, in canonical text
		kind         connectors.Kind
	}{
		{"integers", "INTEGER", []string{"-5", "2", "10"}, []string{"-5", "2", "10"}, connectors.Int64},
		{"reals", "REAL", []string{"-5.5", "2", "10.25"}, []string{"-5.5", "2", "10.25"}, connectors.Float64},
		{"decimals", "DECIMAL(10,2)", []string{"2", "9.99", "10", "10.01"}, []string{"2.00", "9.99", "10.00", "10.01"}, connectors.Decimal},
		{"numerics", "NUMERIC", []string{"2", "9.99", "10", "10.01"}, []string{"2", "9.99", "10", "10.01"}, connectors.Numeric},
		{"text", "TEXT COLLATE NOCASE", []string{"'B'", "'a'", "'é'"}, []string{"B", "a", "é"}, connectors.Text},
		{"dates", "DATE", []string{"'2025-12-31'", "'2026-01-01'"}, []string{"2025-12-31", "2026-01-01"}, connectors.Date},
		{
			"timestamps of mixed spelling", "DATETIME",
			[]string{"'2026-01-01'", "'2026-01-01T00:00:00.5'", "'2026-01-01 00:00:01'", "'2026-01-01T00:00:01.25'", "'2026-01-01 00:01'", "'2026-01-02 00:00:00.000001'"},
			[]string{"2026-01-01T00:00:00", "2026-01-01T00:00:00.5", "2026-01-01T00:00:01", "2026-01-01T00:00:01.25", "2026-01-01T00:01:00", "2026-01-02T00:00:00.000001"},
			connectors.Timestamp,
		},
		{
			"zones", "TIMESTAMPTZ",
			[]string{"'2026-01-02 01:00:00+10:00'", "'2026-01-01T23:00:00Z'", "'2026-01-01 20:00:00-08:00'"},
			[]string{"2026-01-01T15:00:00Z", "2026-01-01T23:00:00Z", "2026-01-02T04:00:00Z"},
			connectors.TimestampTZ,
		},
		{
			"uuids", "UUID",
			[]string{"'0A000000-0000-0000-0000-000000000000'", "'0b000000-0000-0000-0000-000000000000'"},
			[]string{"0a000000-0000-0000-0000-000000000000", "0b000000-0000-0000-0000-000000000000"},
			connectors.UUID,
		},
	} {
		for _, indexed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s indexed=%v", test.name, indexed), func(t *testing.T) {
				t.Parallel()
				path, c := database(t, "CREATE TABLE t (v "+test.native+")")
				for _, v := range slices.Backward(test.values) {
					exec(t, c, "INSERT INTO t VALUES ("+v+")")
				}
				exec(t, c, "INSERT INTO t VALUES (NULL)")
				if indexed {
					exec(t, c, "CREATE INDEX i ON t (v)")
				}
				s := open(t, path)
				table := settled(t, s, "t")
				if got := table.Columns[0].Type.Kind; got != test.kind {
					t.Fatalf("the kind is %s", got)
				}
				top, ok, err := s.Max(t.Context(), table, "v")
				if err != nil || !ok {
					t.Fatalf("Max = %v, %v, %v", top, ok, err)
				}
				diff(t, "max", top, connectors.Bound{Kind: test.kind, Text: test.bounds[len(test.bounds)-1]})
				for i, b := range test.bounds {
					for j := i; j < len(test.bounds); j++ {
						w := &connectors.Window{Column: "v", Lower: &connectors.Bound{Kind: test.kind, Text: b}, Upper: &connectors.Bound{Kind: test.kind, Text: test.bounds[j]}}
						rows, err := read(t.Context(), s, connectors.ReadRequest{Table: table, Window: w, OrderBy: []string{"v"}})
						if err != nil {
							t.Fatal(err)
						}
						var got []string
						for _, r := range rows {
							got = append(got, r[0].(string))
						}
						diff(t, fmt.Sprintf("from %s to %s", b, test.bounds[j]), got, test.bounds[i:j+1])
					}
				}
				rows, err := read(t.Context(), s, connectors.ReadRequest{Table: table, Window: &connectors.Window{Column: "v", Lower: &top, Nulls: true}})
				if err != nil || len(rows) != 2 {
					t.Errorf("with NULLs: %v, %v", rows, err)
				}
				rows, err = read(t.Context(), s, connectors.ReadRequest{Table: table, Window: &connectors.Window{Column: "v"}})
				if err != nil || len(rows) != len(test.values) {
					t.Errorf("without bounds: %v, %v", rows, err)
				}
			})
		}
	}
}

func TestMaxOfNothing(t *testing.T) {
	t.Parallel()
	path, _ := database(t, "CREATE TABLE t (a INT, b DATETIME, c JSON)", "INSERT INTO t VALUES (NULL, NULL, NULL)")
	s := open(t, path)
	table := settled(t, s, "t")
	for _, name := range []string{"a", "b"} {
		if b, ok, err := s.Max(t.Context(), table, name); ok || err != nil {
			t.Errorf("Max(%s) = %v, %v, %v", name, b, ok, err)
		}
	}
	if _, _, err := s.Max(t.Context(), table, "c"); connectors.KindOf(err) != connectors.KindUnsupported {
		t.Errorf("Max of json: %v", err)
	}
	if _, _, err := s.Max(t.Context(), table, "z"); connectors.KindOf(err) != connectors.KindNotFound {
		t.Errorf("Max of no column: %v", err)
	}
}

func TestAValueThatContradictsItsType(t *testing.T) {
	t.Parallel()
	path, c := database(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT)", "INSERT INTO t VALUES (41, 1)")
	s := open(t, path)
	table := settled(t, s, "t")
	exec(t, c, "INSERT INTO t VALUES (42, 'forty-two')")
	_, err := read(t.Context(), s, connectors.ReadRequest{Table: table})
	if connectors.KindOf(err) != connectors.KindType {
		t.Fatalf("Read gives %v", err)
	}
	for _, part := range []string{"t.v", `"forty-two"`, "rowid 42", "int64"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
	exec(t, c, "CREATE TABLE u (v TEXT)", "INSERT INTO u VALUES (CAST(x'ff61' AS TEXT))")
	rows, err := read(t.Context(), s, connectors.ReadRequest{Table: settled(t, s, "u")})
	diff(t, fmt.Sprint("a text that is not UTF-8 goes on as it is ", err), rows, [][]any{{"\xffa"}})
	exec(t, c, "DROP TABLE u")
	_, err = read(t.Context(), s, connectors.ReadRequest{Table: connectors.Table{TableRef: connectors.TableRef{Name: "u"}}, Columns: table.Columns})
	if connectors.KindOf(err) != connectors.KindNotFound {
		t.Errorf("a dropped table gives %v", err)
	}
	_, err = read(t.Context(), s, connectors.ReadRequest{Table: table, Columns: []connectors.Column{{Name: "nope", Type: table.Columns[0].Type}}})
	if connectors.KindOf(err) != connectors.KindNotFound {
		t.Errorf("a column that is none gives %v", err)
	}
}

func TestOpening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "locked")
	if err := os.WriteFile(locked, nil, 0); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]connectors.ErrorKind{
		"": connectors.KindInvalid, filepath.Join(dir, "none.db"): connectors.KindNotFound, dir: connectors.KindNotFound, text: connectors.KindNotFound, locked: connectors.KindPermission,
	} {
		if path == locked && os.Getuid() == 0 {
			continue // root may read everything
		}
		_, err := New().OpenSource(t.Context(), connectors.Config{Database: path})
		if connectors.KindOf(err) != kind {
			t.Errorf("%s gives %v, want kind %s", path, err, kind)
			continue
		}
		var e *connectors.Error
		if !errors.As(err, &e) || e.Hint == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s gives %v: no remedy, or several lines", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("a missing file was made")
	}
}

func TestOneReadIsOneSnapshot(t *testing.T) {
	t.Parallel()
	path, c := database(t, "PRAGMA journal_mode = WAL", "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, 0 FROM n")
	s := open(t, path)
	table := settled(t, s, "t")
	batches, rows := 0, 0
	err := s.Read(t.Context(), connectors.ReadRequest{Table: table, Columns: table.Columns, Limits: connectors.Limits{Rows: 500}}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		if batches++; batches <= 3 {
			exec(t, c, "UPDATE t SET v = v + 1", "INSERT INTO t (v) VALUES (9)")
		}
		for i := range int(batch.NumRows()) {
			if batch.Column(1).ValueStr(i) != "0" {
				return fmt.Errorf("row %d is of a later state", rows+i)
			}
		}
		rows += int(batch.NumRows())
		return nil
	})
	if err != nil || rows != 5000 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	path, _ := database(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, 0 FROM n",
		// After its first row this view goes on for ever within one step.
		"CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i = 1 OR i < 0")
	s := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	table := tableNamed(t, s, "endless")
	table.Columns[0].Type = connectors.Type{Kind: connectors.Int64}
	err := s.Read(ctx, connectors.ReadRequest{Table: table, Columns: table.Columns, Limits: connectors.Limits{Rows: 1}}, func(batch arrow.RecordBatch) error {
		batch.Release()
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read gives %v", err)
	}
	stop := errors.New("enough")
	err = s.Read(t.Context(), connectors.ReadRequest{Table: tableNamed(t, s, "t"), Columns: tableNamed(t, s, "t").Columns, Limits: connectors.Limits{Rows: 1}}, func(batch arrow.RecordBatch) error {
		batch.Release()
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("an error of emit comes back as %v", err)
	}
	if _, err := read(t.Context(), s, connectors.ReadRequest{Table: settled(t, s, "t")}); err != nil {
		t.Errorf("the source is of no use afterwards: %v", err)
	}
}

func TestChinook(t *testing.T) {
	t.Parallel()
	s := open(t, servers.SharedData(t, "chinook/Chinook_Sqlite.sqlite"))
	tables, err := s.Tables(t.Context(), connectors.TableFilter{})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, table := range tables {
		table = settled(t, s, table.Name)
		rows, err := read(t.Context(), s, connectors.ReadRequest{Table: table, OrderBy: table.PrimaryKey})
		if err != nil {
			t.Errorf("%s: %v", table.Name, err)
		}
		counts[table.Name] = len(rows)
		if len(table.PrimaryKey) == 0 {
			t.Errorf("%s has no key", table.Name)
		}
	}
	diff(t, "rows", counts, map[string]int{
		"Album": 347, "Artist": 275, "Customer": 59, "Employee": 8, "Genre": 25, "Invoice": 412,
		"InvoiceLine": 2240, "MediaType": 5, "Playlist": 18, "PlaylistTrack": 8715, "Track": 3503,
	})
	invoice := settled(t, s, "Invoice")
	for name, want := range map[string]string{"InvoiceId": "int64", "InvoiceDate": "timestamp", "Total": "decimal(10,2)", "BillingCity": "text(40)"} {
		if c, _ := invoice.Column(name); c.Type.String() != want {
			t.Errorf("Invoice.%s is %s, want %s", name, c.Type, want)
		}
	}
}
