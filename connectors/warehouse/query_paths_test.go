package warehouse

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// oddColumns are of every kind that a SELECT sees in its own way.
func oddColumns() []connectors.Column {
	return []connectors.Column{
		col("id", connectors.Int64), col("a", connectors.Text), col("b", connectors.Text), col("few", connectors.Text), col("i", connectors.Int32), col("u", connectors.Uint64), col("f", connectors.Float64),
		{Name: "d", Type: connectors.NewDecimal(12, 2)},
		{Name: "w", Type: connectors.NewDecimal(30, 4)},
		col("num", connectors.Numeric), col("ok", connectors.Bool), col("bytes", connectors.Bytes), col("at", connectors.Timestamp), col("day", connectors.Date),
		{Name: "e", Type: connectors.Type{Kind: connectors.Enum, Values: []string{"x", "Y", "", "10"}}},
	}
}

// oddRow makes the row of a number.
func oddRow(r *rand.Rand, id int) []any {
	one := func(list ...any) any { return list[r.IntN(len(list))] }
	text := func() any {
		return one(nil, "", "a", "A", "b", "é", "ß", "日本", "a\x00b", "\x00", "a\x00", "10", "9", " 9", "1e3", "-0.5", "0x10", "abcdef", "%", "_", "'", "NaN", strings.Repeat("long ", 1000), fmt.Sprint(r.IntN(30)))
	}
	return []any{
		fmt.Sprint(id), text(), text(), one("car", "van", "Bike"), one(nil, "0", "1", "-1", "2147483647", fmt.Sprint(r.IntN(20))),
		one(nil, "0", "7", "9223372036854775807", "18446744073709551615", "10"), one(nil, "0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "1e300", "0.1", fmt.Sprint(r.IntN(9))),
		one(nil, "0.00", "9.90", "-1.25", "10.00"), one(nil, "1.0000", "12345678901234567890.1234", "-3.5000"), one(nil, "1.10", "NaN", "1e400", "10", "9"),
		one(nil, "true", "false"), one(nil, "", "AP8=", "YQ=="), one(nil, "2026-01-02T03:04:05", "1969-12-31T23:59:59.5", "9999-12-31T00:00:00"), one(nil, "2026-01-02", "1999-12-31", "2024-02-29"),
		one(nil, "x", "Y", "", "10"),
	}
}

// oddTable makes the table odd, of files and of rows that were changed since, and a
// copy of it in plain SQLite.
func oddTable(t testing.TB, rows int) (dir string, c *lite.Conn) {
	t.Helper()
	dir = t.TempDir()
	r := rand.New(rand.NewPCG(5, 9))
	req := connectors.LoadRequest{Target: connectors.TableRef{Name: "odd"}, Columns: oddColumns(), Key: []string{"id"}, Mode: connectors.Replace}
	var all, changed [][]any
	for i := range rows {
		all = append(all, oddRow(r, i))
		if i%11 == 3 {
			changed = append(changed, oddRow(r, i))
		}
	}
	loadAll(t, dir, req, all)
	req.Mode, req.RunID = connectors.Merge, runB
	loadAll(t, dir, req, changed)
	v, err := newStorage(dir).table("odd").view(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	declared := v.layout.declaration()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = lite.MemoryStrict(sqliteDriver()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	got := ask(t, dir, "SELECT * FROM odd")
	put := func() error {
		if err := errors.Join(got.err, c.Exec(t.Context(), strings.Replace(declared, "TABLE t", "TABLE odd", 1))); err != nil {
			return err
		}
		s, err := c.Prepare(t.Context(), "INSERT INTO odd VALUES (?"+strings.Repeat(", ?", len(got.columns)-1)+")", len(got.columns))
		if err != nil {
			return err
		}
		for _, row := range got.rows {
			for i, v := range row {
				s.Set(i, v)
			}
			if err := s.Exec(t.Context()); err != nil {
				return err
			}
		}
		return s.Close()
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	if len(got.rows) != rows {
		t.Fatalf("%d rows of %d", len(got.rows), rows)
	}
	return dir, c
}

// sameAsSQLite asks the warehouse, and again so that it gives SQLite every row, what
// plain SQLite is asked; paths counts how it went. It says whether all agree.
func sameAsSQLite(t testing.TB, dir string, c *lite.Conn, sql string, paths map[string]int) bool {
	t.Helper()
	columns, want, err := askSQLite(c, sql)
	for _, row := range want {
		for i, v := range row {
			if b, ok := v.([]byte); ok && b == nil { // as the driver gives an empty one
				row[i] = []byte{}
			}
		}
	}
	for _, form := range []string{sql, "WITH unused AS (SELECT 1) " + sql} {
		got := ask(t, dir, form)
		if (err == nil) != (got.err == nil) {
			t.Errorf("%s: the error is %v, and SQLite's %v", form, got.err, err)
			return false
		}
		if err != nil {
			continue
		}
		for _, r := range got.reads {
			paths[r.Path]++
		}
		diff(t, "columns of "+form, got.columns, columns)
		diff(t, form, got.rows, want)
	}
	return !t.Failed()
}

func TestEveryPathIsThatOfSQLite(t *testing.T) {
	t.Parallel()
	dir, c := oddTable(t, 300)
	paths := map[string]int{}
	for _, sql := range []string{
		"SELECT * FROM odd WHERE 1",
		"SELECT sum(length(a || b)), max(a || b), min(few || e), count(few || a) FROM odd",
		"SELECT a || few AS x, count(*) FROM odd GROUP BY x ORDER BY 1",
		"SELECT upper(few) || coalesce(e, 'none'), sum(i) FROM odd GROUP BY 1 ORDER BY 1",
		"SELECT CASE WHEN e = few THEN 1 WHEN a > b THEN a ELSE i END, count(*) FROM odd GROUP BY 1 ORDER BY 2, 1",
		"SELECT count(*) FROM odd WHERE a = b OR a LIKE b OR few IN (a, e)",
		"SELECT count(*) FROM odd WHERE CAST(a AS INTEGER) = i AND f IS NOT NULL",
		"SELECT count(*) FROM odd WHERE a COLLATE NOCASE = b",
		"SELECT count(*) FROM odd WHERE substr(a, 1, 1) || few > 'b' AND i < 10",
		"SELECT sum(iif(ok, i, -i)), total(coalesce(d, i)) FROM odd",
		"SELECT id, a FROM odd ORDER BY a, b DESC LIMIT 50",
		"SELECT id, f FROM odd WHERE f > 0 AND i IS NOT NULL ORDER BY i DESC, few LIMIT 7 OFFSET 3",
		"SELECT * FROM odd ORDER BY day DESC, at LIMIT 30",
		"SELECT id AS a, b FROM odd ORDER BY a DESC LIMIT 3, 4",
		"SELECT o.id, length(o.bytes) n FROM odd AS o ORDER BY n NULLS LAST, o.id DESC LIMIT 20",
		"SELECT id, d * 2 FROM odd ORDER BY 2 DESC NULLS FIRST LIMIT 9",
		"SELECT id FROM odd ORDER BY u, id LIMIT 10",
		"SELECT id FROM odd ORDER BY num DESC, id LIMIT 10",
		"SELECT id FROM odd ORDER BY w DESC, id LIMIT 10",
		"SELECT id FROM odd ORDER BY a COLLATE NOCASE, id LIMIT 10",
		"SELECT id, e FROM odd ORDER BY e || few LIMIT 40",
		"SELECT id FROM odd ORDER BY few LIMIT 300",
		"SELECT id FROM odd ORDER BY few DESC LIMIT 0",
		"SELECT id FROM odd ORDER BY 'few' LIMIT 4",
		"SELECT id FROM odd WHERE few = 'none' ORDER BY id LIMIT 4",
		"SELECT max(id), few FROM odd ORDER BY few LIMIT 4",
		"SELECT group_concat(few, '') FROM odd ORDER BY few LIMIT 4",
		"SELECT id FROM odd ORDER BY abs(i - 3), id LIMIT 4",
		"SELECT id FROM odd WHERE abs(-9223372036854775807 - i) > 0 OR ok LIMIT 1",
		"SELECT x.id, y.a FROM odd x JOIN odd y ON x.a = y.b AND x.few = y.few ORDER BY 1, 2 LIMIT 40",
		"SELECT id FROM odd WHERE a = '10' OR b = 'é' OR i = 3 ORDER BY id",
		"SELECT max(a), min(bytes), max(e), group_concat(day, '') FROM odd",
	} {
		sameAsSQLite(t, dir, c, sql, paths)
	}
	if paths["columns"] < 6 || paths["top"] < 9 || paths["rows"] < 30 {
		t.Errorf("the statements went %v", paths)
	}
}

// TestRandomExpressions compares expressions of several columns with plain SQLite.
func TestRandomExpressions(t *testing.T) {
	t.Parallel()
	dir, c := oddTable(t, 250)
	r := rand.New(rand.NewPCG(77, 3))
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	column := func() string {
		return one("a", "b", "few", "few", "i", "i", "u", "f", "d", "w", "num", "ok", "bytes", "at", "day", "e", "e")
	}
	var value func(depth int) string
	value = func(depth int) string {
		if depth > 2 || r.IntN(4) == 0 {
			return one(column(), column(), column(), "'a'", "''", "'10'", "NULL", "3", "-1", "0.5")
		}
		v := func() string { return value(depth + 1) }
		switch r.IntN(14) {
		case 0, 1:
			return "(" + v() + " || " + v() + ")"
		case 2:
			return "length(" + v() + ")"
		case 3:
			return one("upper(", "lower(", "trim(", "hex(", "typeof(", "quote(") + v() + ")"
		case 4:
			return "substr(" + v() + ", " + one("1", "2", "-2", "0", "i") + one("", ", 1", ", 2", ", -1", ", 100") + ")"
		case 5:
			return one("coalesce(", "ifnull(", "nullif(", "instr(") + v() + ", " + v() + ")"
		case 6:
			return "CASE WHEN " + v() + one(" = ", " > ", " < ") + v() + " THEN " + v() + " ELSE " + v() + " END"
		case 7:
			return "CASE " + column() + " WHEN " + v() + " THEN " + v() + " END"
		case 8:
			return "round(" + v() + one("", ", 1", ", i") + ")"
		case 9:
			return "CAST(" + v() + " AS " + one("TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC") + ")"
		case 10:
			return "(" + v() + one(" + ", " - ", " * ", " / ", " % ") + v() + ")"
		case 11:
			return "(" + v() + one(" = ", " <> ", " < ", " >= ", " IS ", " LIKE ", " AND ", " OR ") + v() + ")"
		case 12:
			return "(" + v() + " IN (" + v() + ", " + v() + "))"
		}
		return "replace(" + v() + ", " + v() + ", " + v() + ")"
	}
	paths := map[string]int{}
	for range 220 {
		var sql string
		switch r.IntN(5) {
		case 0:
			sql = "SELECT " + value(0) + " AS x, count(*), sum(i) FROM odd GROUP BY x ORDER BY 1, 2"
		case 1:
			sql = "SELECT count(" + value(0) + "), max(" + value(0) + "), sum(length(" + value(1) + ")) FROM odd"
		case 2:
			sql = "SELECT count(*), total(i) FROM odd WHERE " + value(0)
		case 3:
			sql = "SELECT id, " + value(1) + " AS x FROM odd" + one("", " WHERE "+value(1)) + " ORDER BY " + one("x", "2", column(), value(1)) + one("", " DESC", " ASC NULLS LAST", " DESC NULLS FIRST") +
				one("", ", "+column()+" DESC", ", few") + " LIMIT " + one("1", "5", "40 OFFSET 7", "500")
		default:
			sql = "SELECT id, " + value(0) + " FROM odd WHERE " + value(1) + " ORDER BY id"
		}
		if !sameAsSQLite(t, dir, c, sql, paths) {
			return
		}
	}
	t.Log(paths)
	if paths["columns"] < 15 || paths["top"] < 8 || paths["rows"] < 100 {
		t.Errorf("the statements went %v", paths)
	}
}

// TestFirstRowsLeaveOutTheOthers looks at what is read for the first rows of an order.
func TestFirstRowsLeaveOutTheOthers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 4000, 8)
	s.put("trips", "ts id city", changedRows(t, s)...) // which hide archived ones
	c := plainCopy(t, s, "trips")
	total := int64(0)
	for _, test := range []struct {
		sql  string
		most int64 // of 100 archived rows that are read
	}{
		{"SELECT * FROM trips ORDER BY id DESC LIMIT 3", 120},
		{"SELECT * FROM trips ORDER BY ts DESC, id LIMIT 20", 45},
		{"SELECT id, ts FROM trips ORDER BY ts DESC LIMIT 900 OFFSET 10", 70},
		{"SELECT id FROM trips t ORDER BY t.ts LIMIT 5", 45},
		{"SELECT city, status FROM trips WHERE fare > 20 ORDER BY ts LIMIT 30, 10", 120},
		{"SELECT city, ts / 3600 AS h FROM trips WHERE status = 'done' ORDER BY h, n DESC LIMIT 30", 120},
		{"SELECT id FROM trips WHERE city = 7 AND n IS NOT NULL ORDER BY n DESC, fare, id LIMIT 10", 20},
		{"SELECT id, city FROM trips ORDER BY city LIMIT 4000", 120},
		{"SELECT city FROM trips ORDER BY city DESC NULLS FIRST LIMIT 10", 120},
		{"SELECT status, n FROM trips ORDER BY status || n DESC LIMIT 25", 120},
	} {
		read, rows := pruned(t, s, test.sql)
		_, want, err := askSQLite(c, test.sql)
		s.do(test.sql, err)
		diff(t, test.sql, rows, want)
		if total = max(total, read.Rows); read.Path != "top" || read.RowsRead*100 > read.Rows*test.most {
			t.Errorf("%s: %s", test.sql, read)
		}
	}
	if total < 2000 {
		t.Errorf("%d rows are archived", total)
	}
}

// TestFirstRowsOfManyBatches has batches that are smaller than a file, so that what
// is found in one file leaves out the next.
func TestFirstRowsOfManyBatches(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 3000, 21)
	c := plainCopy(t, s, "trips")
	skipped := int64(0)
	for _, sql := range []string{
		"SELECT id, ts FROM trips WHERE city < 5 ORDER BY ts LIMIT 12",
		"SELECT id, ts FROM trips WHERE city < 5 ORDER BY ts NULLS LAST, id DESC LIMIT 3, 5",
		"SELECT id, ts FROM trips WHERE n IS NOT NULL ORDER BY ts DESC, n LIMIT 40",
		"SELECT id, status FROM trips ORDER BY status DESC, id LIMIT 10",
		"SELECT id, city FROM trips ORDER BY city NULLS LAST LIMIT 50",
		"SELECT id, city FROM trips ORDER BY city, fare DESC LIMIT 50",
		"SELECT id, fare FROM trips ORDER BY fare DESC NULLS FIRST LIMIT 50",
		"SELECT * FROM trips ORDER BY date(ts, 'unixepoch') DESC, id LIMIT 50",
		"SELECT id FROM trips ORDER BY n LIMIT 700",
	} {
		q := opened(t, s.dir, sql)
		v := q.table("trips")
		p := newTop(q, parseShape(sql), v)
		if p == nil {
			t.Fatalf("%s is not of the form", sql)
		}
		p.limits.Rows = 32
		rows, err := p.answer()
		s.do(sql, err)
		got := taken(rows)
		_, want, err := askSQLite(c, sql)
		s.do(sql, errors.Join(err, rows.Err(), rows.Close()))
		diff(t, sql, got, want)
		skipped += p.read.Rows - p.read.RowsRead
	}
	if skipped == 0 {
		t.Error("no row was left out")
	}
}

// opened prepares a query as far as to the choice of its path.
func opened(t testing.TB, dir, sql string) *session {
	t.Helper()
	conn, err := lite.MemoryStrict(sqliteDriver())
	if err != nil {
		t.Fatal(err)
	}
	q, err := newSession(t.Context(), dir, conn)
	if err = errors.Join(err, q.open(sql)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), q.close()); err != nil {
			t.Error(err)
		}
	})
	return q
}

func taken(rows rowSource) (out [][]any) {
	for row, ok := rows.Next(); ok; row, ok = rows.Next() {
		var values []any
		for _, v := range row {
			if b, ok := v.([]byte); ok {
				v = append([]byte{}, b...)
			}
			values = append(values, v)
		}
		out = append(out, values)
	}
	return out
}

// TestRowsOfACondition looks at rows that go out without SQLite, some of them until
// a value comes that SQLite has to see.
func TestRowsOfACondition(t *testing.T) {
	t.Parallel()
	dir, c := oddTable(t, 300)
	whole, broken := 0, 0
	for _, sql := range []string{
		"SELECT id, a, f, bytes FROM odd WHERE i > 3",
		"SELECT * FROM odd WHERE few = 'van' AND e || b > 'Y'",
		"SELECT a AS b, x.u FROM odd x WHERE i IN (1, 3, 5) OR x.ok LIMIT 40",
		"SELECT d, w, num FROM odd WHERE at > '2000-01-01' OR day = '2024-02-29'",
		"SELECT id FROM odd WHERE a IS NULL AND b NOT LIKE '%a%'",
		"SELECT id, num FROM odd WHERE length(a || b) > 3",
		"SELECT id FROM odd WHERE 'x' = 'y'",
		"SELECT id FROM odd WHERE d > 1 LIMIT 0",
		"SELECT id, f FROM odd WHERE f > 0.5 OR f < 0",
		"SELECT id, w FROM odd WHERE i < 5 AND f IS NOT NULL OR id > 100",
		"SELECT id, u FROM odd WHERE ok OR few IN ('car', 'x')",
		"SELECT id, b FROM odd WHERE f BETWEEN -1 AND 1 LIMIT 20",
		"SELECT id FROM odd WHERE CASE WHEN id < 40 THEN 1 ELSE a END",
		"SELECT id FROM odd WHERE i * 4611686018427387904 > 0 OR id < 50 LIMIT 60",
	} {
		_, want, err := askSQLite(c, sql)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range want {
			for i, v := range row {
				if b, ok := v.([]byte); ok && b == nil {
					row[i] = []byte{}
				}
			}
		}
		for _, rows := range []int{7, 32, fillRows} {
			q := opened(t, dir, sql)
			p := newProjection(q, parseShape(sql), q.table("odd"))
			if p == nil {
				t.Fatalf("%s is not of the form", sql)
			}
			p.limits.Rows = rows
			out, err := p.answer()
			if err != nil {
				t.Fatal(err)
			}
			got, want := taken(out), slices.Clone(want)
			if p.rest != nil && p.read.Delivered == 0 { // SQLite may look for OR in several passes
				for _, rows := range [][][]any{got, want} {
					slices.SortFunc(rows, func(a, b []any) int { return cmp.Compare(a[0].(int64), b[0].(int64)) })
				}
			}
			diff(t, fmt.Sprintf("%s in batches of %d", sql, rows), got, want)
			if err := errors.Join(out.Err(), out.Close()); err != nil {
				t.Error(err)
			}
			switch {
			case p.rest == nil:
				whole++
			case p.read.Delivered > 0:
				broken++
			}
		}
	}
	if whole < 15 || broken < 2 {
		t.Errorf("%d statements went without SQLite and %d in part", whole, broken)
	}
}
