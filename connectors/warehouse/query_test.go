package warehouse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arus/connectors"
)

func shop(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	columns := []connectors.Column{
		col("id", connectors.Int64),
		{Name: "price", Type: connectors.NewDecimal(18, 2)},
		{Name: "wide", Type: connectors.NewDecimal(38, 10)},
		col("at", connectors.Timestamp), col("zoned", connectors.TimestampTZ), col("day", connectors.Date), col("t", connectors.Time),
		col("big", connectors.Uint64), col("f", connectors.Float64), col("ok", connectors.Bool), col("b", connectors.Bytes), col("Select \"x\"", connectors.Text),
		col("n", connectors.Numeric), col("u", connectors.UUID),
	}
	rows := [][]any{
		{"1", "9.90", "0.5000000000", "2026-01-02T03:04:05", "2026-01-02T03:04:05.000001Z", "2026-01-02", "03:04:05", "1", "1.5", "true", "", "a", "1.10", "00000000-0000-0000-0000-000000000001"},
		{"2", "100.00", "0.1234567890", "2025-12-31T23:59:59.5", "2025-12-31T00:00:00Z", "2025-12-31", "24:00:00", "18446744073709551615", "NaN", "false", "AP8=", "b", "NaN", "00000000-0000-0000-0000-000000000002"},
		{"3", "9999999999999999.99", "1234567890123456789012345678.9012345678", "1969-12-31T00:00:00", nil, "1969-12-31", nil, "9223372036854775808", "-0", nil, nil, "c", "1e400", nil},
		{"4", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
	}
	loadAll(t, dir, connectors.LoadRequest{Target: connectors.TableRef{Name: "orders"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Replace}, rows)
	loadAll(t, dir, connectors.LoadRequest{Target: connectors.TableRef{Name: "order_items"}, Columns: []connectors.Column{col("order_id", connectors.Int64), col("sku", connectors.Text)}, Mode: connectors.Replace},
		[][]any{{"1", "x"}, {"1", "y"}, {"2", "x"}})
	return dir
}

func TestQuery(t *testing.T) {
	t.Parallel()
	dir := shop(t)
	for sql, want := range map[string][][]any{
		"SELECT price FROM orders ORDER BY id":                                                      {{9.9}, {100.0}, {"9999999999999999.99"}, {nil}},
		"SELECT id FROM orders WHERE price > 10 ORDER BY price":                                     {{int64(2)}, {int64(3)}},
		"SELECT sum(price), max(price) FROM orders WHERE id < 3":                                    {{109.9, 100.0}},
		"SELECT id FROM orders WHERE price = 9.9":                                                   {{int64(1)}},
		"SELECT wide FROM orders ORDER BY id":                                                       {{0.5}, {0.123456789}, {"1234567890123456789012345678.9012345678"}, {nil}},
		"SELECT at, zoned, day, t FROM orders WHERE id = 1":                                         {{"2026-01-02 03:04:05", "2026-01-02 03:04:05.000001", "2026-01-02", "03:04:05"}},
		"SELECT at, t FROM orders WHERE id = 2":                                                     {{"2025-12-31 23:59:59.5", "24:00:00"}},
		"SELECT date(at, '+1 day'), strftime('%Y', zoned) FROM orders WHERE id = 1":                 {{"2026-01-03", "2026"}},
		"SELECT id FROM orders WHERE at >= '2026-01-01'":                                            {{int64(1)}},
		"SELECT id FROM orders WHERE day < '2000-01-01'":                                            {{int64(3)}},
		"SELECT big FROM orders ORDER BY big":                                                       {{nil}, {int64(1)}, {"9223372036854775808"}, {"18446744073709551615"}},
		"SELECT id FROM orders WHERE big = '18446744073709551615' OR big = 1 ORDER BY id":           {{int64(1)}, {int64(2)}},
		"SELECT f, ok, b FROM orders ORDER BY id LIMIT 2":                                           {{1.5, int64(1), []byte{}}, {"NaN", int64(0), []byte{0, 255}}},
		`SELECT "Select ""x""" FROM orders WHERE id = 1`:                                            {{"a"}},
		"SELECT n, u FROM orders WHERE id < 4 ORDER BY id":                                          {{1.1, "00000000-0000-0000-0000-000000000001"}, {"NaN", "00000000-0000-0000-0000-000000000002"}, {"1e400", nil}},
		"SELECT o.id, i.sku FROM Orders o JOIN order_items AS i ON i.order_id = o.id ORDER BY 1, 2": {{int64(1), "x"}, {int64(1), "y"}, {int64(2), "x"}},
		"WITH x AS (SELECT count(*) AS c FROM order_items) SELECT c FROM x":                         {{int64(3)}},
		"VALUES (1), (2)":                                         {{int64(1)}, {int64(2)}},
		"SELECT _arus_run_id FROM orders LIMIT 1":                 {{runA}},
		"-- a comment; with one\nSELECT ';' /* ; */ AS x; -- end": {{";"}},
		"SELECT * FROM order_items WHERE 0":                       nil,
	} {
		got, err := query(t, dir, sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		diff(t, sql, got, want)
	}
	r, err := Query(t.Context(), dir, "SELECT * FROM order_items", QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "columns", r.Columns(), []string{"order_id", "sku", "_arus_run_id", "_arus_synced_at"})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestQueryRefusals(t *testing.T) {
	t.Parallel()
	dir := shop(t)
	file := filepath.Join(dir, "orders", liveFile)
	for sql, kind := range map[string]connectors.ErrorKind{
		"":                   connectors.KindInvalid,
		" -- nothing":        connectors.KindInvalid,
		"DELETE FROM orders": connectors.KindInvalid,
		"WITH x AS (SELECT 1) DELETE FROM orders":                  connectors.KindInvalid,
		"WITH x AS (SELECT 1) INSERT INTO order_items SELECT 1, 2": connectors.KindInvalid,
		"EXPLAIN DELETE FROM orders; DROP TABLE orders":            connectors.KindInvalid,
		"SELECT 1; DELETE FROM orders":                             connectors.KindInvalid,
		"SELECT 1; SELECT 2":                                       connectors.KindInvalid,
		"PRAGMA query_only = 0":                                    connectors.KindInvalid,
		"ATTACH '" + file + "' AS x":                               connectors.KindInvalid,
		"CREATE TABLE x (a)":                                       connectors.KindInvalid,
		"SELECT load_extension('x')":                               connectors.KindInvalid,
		"SELECT nope FROM orders":                                  connectors.KindInvalid,
		"SELECT * FROM order":                                      connectors.KindInvalid,
		"SELECT * FROM ordres":                                     connectors.KindNotFound,
		"SELECT * FROM \"../orders\"":                              connectors.KindNotFound,
		"SELECT (":                                                 connectors.KindInvalid,
	} {
		_, err := query(t, dir, sql)
		if connectors.KindOf(err) != kind {
			t.Errorf("%q gives %v, want kind %s", sql, err, kind)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q gives more than one line: %v", sql, err)
		}
	}
	_, err := query(t, dir, "SELECT * FROM ordres")
	if err == nil || !strings.Contains(err.Error(), "there is orders") {
		t.Errorf("an unknown table gives %v", err)
	}
	got, err := query(t, dir, "SELECT count(*) FROM orders")
	diff(t, fmt.Sprint("rows after all ", err), got, [][]any{{int64(4)}})
}

func TestQueryOfManyTables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var from []string
	for i := range 20 {
		name := fmt.Sprintf("t%d", i)
		loadAll(t, dir, connectors.LoadRequest{Target: connectors.TableRef{Name: name}, Columns: []connectors.Column{col("v", connectors.Int64)}, Mode: connectors.Replace}, [][]any{{"1"}})
		from = append(from, name)
	}
	got, err := query(t, dir, "SELECT count(*) FROM "+strings.Join(from, ", "))
	diff(t, fmt.Sprint("twenty tables ", err), got, [][]any{{int64(1)}})
}

func TestQueryStops(t *testing.T) {
	t.Parallel()
	dir := shop(t)
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
	for name, sql := range map[string]string{
		"between rows":                    endless,
		"in one step after the first row": endless + " WHERE i = 1 OR i < 0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			r, err := Query(ctx, dir, sql, QueryOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := r.Next(); !ok {
				t.Fatal(r.Err())
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					if _, ok := r.Next(); !ok {
						return
					}
				}
			}()
			cancel()
			<-done
			if !errors.Is(r.Err(), context.Canceled) {
				t.Errorf("the end is %v", r.Err())
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("row limit", func(t *testing.T) {
		t.Parallel()
		r, err := Query(t.Context(), dir, endless, QueryOptions{MaxRows: 3})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			if _, ok := r.Next(); !ok {
				break
			}
			n++
		}
		if n != 3 || r.Err() == nil {
			t.Errorf("%d rows, %v", n, r.Err())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestOpening(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, kind := range map[string]connectors.ErrorKind{"": connectors.KindInvalid, file + "-not": connectors.KindNotFound, file: connectors.KindType} {
		if _, err := New().OpenSource(t.Context(), connectors.Config{Database: dir}); connectors.KindOf(err) != kind {
			t.Errorf("OpenSource(%q) gives %v", dir, err)
		}
		if _, err := Query(t.Context(), dir, "SELECT 1", QueryOptions{}); connectors.KindOf(err) != kind {
			t.Errorf("Query(%q) gives %v", dir, err)
		}
	}
	if _, err := New().OpenDestination(t.Context(), connectors.Config{Database: filepath.Join(file, "x")}); err == nil {
		t.Error("a directory is made below a file")
	}
}

func TestTablesFilter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a1", "a2", "b", "_dead"} {
		loadAll(t, dir, connectors.LoadRequest{
			Target: connectors.TableRef{Name: name}, Columns: []connectors.Column{col("v", connectors.Int64)}, Mode: connectors.Replace,
			Raw: &connectors.RawTarget{Table: connectors.TableRef{Name: name + "_raw"}},
		}, [][]any{{"1"}})
	}
	for _, test := range []struct {
		filter connectors.TableFilter
		want   []string
	}{
		{connectors.TableFilter{}, []string{"a1", "a1_raw", "a2", "a2_raw", "b", "b_raw"}},
		{connectors.TableFilter{Include: []string{"a*"}, Exclude: []string{"*2*"}}, []string{"a1", "a1_raw"}},
		{connectors.TableFilter{Names: []string{"_dead", "b_raw", "nope"}}, []string{"_dead", "b_raw"}},
	} {
		tables, err := source(t, dir).Tables(t.Context(), test.filter)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, table := range tables {
			names = append(names, table.Name)
		}
		diff(t, fmt.Sprintf("%+v", test.filter), names, test.want)
	}
}
