package warehouse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// pruned is what one table's reading came to.
func pruned(t testing.TB, s *testStore, sql string) (*Read, [][]any) {
	t.Helper()
	a := ask(t, s.dir, sql)
	if a.err != nil {
		t.Fatalf("%s: %v", sql, a.err)
	}
	if len(a.reads) != 1 {
		t.Fatalf("%s reads %v", sql, a.reads)
	}
	return a.reads[0], a.rows
}

// TestR30SortPrefix looks at what is read of days that are sorted by city and status.
func TestR30SortPrefix(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 4000, 30)
	c := plainCopy(t, s, "trips")
	for _, test := range []struct {
		where string
		by    string // the columns by whose order rows are found
		most  int64  // rows read, of about 3,300; 0 = not looked at
	}{
		{"city = 7", "city", 450},
		{"city = 7 AND status = 'done'", "city status", 160},
		{"city >= 7", "city", 900},
		{"city BETWEEN 2 AND 3 AND status = 'done'", "city", 900},
		{"city > 2 AND city < 4 AND n > 0", "city", 450},
		{"city IS NULL", "city", 250},
		{"city = 7.0", "city", 450},
		{"city IN (3, 4)", "city", 900},
		{"7 = city AND ts > 0", "city", 450},
		{"status = 'done'", "", 0},
		{"n = 3", "", 0},
		{"city = 7 OR n = 1", "", 0},
		{"city = 7 AND status = 'never seen'", "", 1},
	} {
		for _, form := range []string{"SELECT count(*), sum(n), min(id) FROM trips WHERE %s", "SELECT id, city, status FROM trips WHERE %s ORDER BY id"} {
			sql := fmt.Sprintf(form, test.where)
			read, rows := pruned(t, s, sql)
			_, want, err := askSQLite(c, sql)
			s.do(sql, err)
			diff(t, sql, rows, want)
			if read.Scans > 1 { // SQLite reads the sides of an OR one by one
				continue
			}
			if got := strings.Join(read.Sorted, " "); test.most != 1 && got != test.by {
				t.Errorf("%s: rows are found by the order of %q, want %q", sql, got, test.by)
			}
			if test.most > 0 && read.RowsRead > test.most {
				t.Errorf("%s: %d rows of %d are read, want at most %d", sql, read.RowsRead, read.Rows, test.most)
			}
			if test.by == "" && test.most == 0 && read.RowsRead != read.Rows {
				t.Errorf("%s: %d rows of %d are read", sql, read.RowsRead, read.Rows)
			}
		}
	}
}

// TestR31R32Placeholder deletes a sort column: filters on those after it must not
// use the order.
func TestR31R32Placeholder(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 2000, 31)
	c := plainCopy(t, s, "trips")
	_, err := s.Change(context.Background(), "trips", func(current *schema.Table) (*schema.Table, error) {
		next := current.Clone()
		next.Columns[2].Deleted = true
		return next, nil
	})
	s.do("delete", err)
	const sql = "SELECT count(*), sum(n) FROM trips WHERE status = 'done'"
	read, rows := pruned(t, s, sql)
	_, want, err := askSQLite(c, sql)
	s.do(sql, err)
	diff(t, sql, rows, want)
	if len(read.Sorted) > 0 || read.RowsRead != read.Rows {
		t.Errorf("the order is used past a placeholder: %s", read)
	}
	table, _, err := s.Schema(context.Background(), "trips")
	s.do("schema", err)
	diff(t, "the sort list", table.ArchivingSortColumns, []int{2, 3})
	_, err = query(t, s.dir, "SELECT city FROM trips")
	if connectors.KindOf(err) != connectors.KindInvalid || !strings.Contains(err.Error(), "city") || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("a deleted column gives %v", err)
	}
}

func TestDaysAndColumnsArePruned(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 2000, 32)
	from := noon.Unix()/day*day - 3*day
	sql := fmt.Sprintf("SELECT city, count(*) FROM trips WHERE ts >= %d AND ts < %d GROUP BY city", from, from+day)
	for _, sql := range []string{sql, strings.ReplaceAll(sql, "count(*)", "count(DISTINCT id)")} {
		read, _ := pruned(t, s, sql)
		if read.DaysRead != 1 || read.Days < 5 || read.FilesRead != 1 || read.GroupsRead != 1 || read.Path == "columns" && read.LiveRead != 0 {
			t.Errorf("one day: %s", read)
		}
	}
	read, _ := pruned(t, s, "SELECT sum(fare) FROM trips")
	diff(t, "columns", read.Columns, []string{"fare"})
	read, _ = pruned(t, s, "SELECT group_concat(fare) FROM trips WHERE n > 1999")
	diff(t, "columns row by row", read.Columns, []string{"fare", "n"})
	if read.Path != "rows" || read.FilesRead != 0 {
		t.Errorf("values above all there are: %s", read)
	}
	read, rows := pruned(t, s, "SELECT count(*) FROM trips")
	diff(t, "count", rows, [][]any{{int64(2000)}})
	if read.Path != "manifest" || read.RowsRead != 0 {
		t.Errorf("a count of all: %s", read)
	}
	got, err := query(t, s.dir, "EXPLAIN QUERY PLAN "+sql)
	s.do("explain", err)
	if len(got) != 1 || got[0][0] != "trips" || got[0][1] != "columns" || got[0][4] != int64(1) || !strings.Contains(got[0][15].(string), "days 1 of 6") {
		t.Errorf("EXPLAIN gives %v", got)
	}
}

// TestR40WrongQueries names what is wrong, and nothing dies of it.
func TestR40WrongQueries(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 50, 40)
	s.create(cities())
	for sql, names := range map[string]string{
		"SELECT nope FROM trips":                                     "nope",
		"SELECT count(*) FROM trips WHERE nope = 1":                  "nope",
		"SELECT sum(nope) FROM trips GROUP BY city":                  "nope",
		"SELECT city FROM trips GROUP BY nope":                       "nope",
		"SELECT \"nope\" FROM trips":                                 "nope",
		"SELECT t.city FROM trips u":                                 "t.city",
		"SELECT * FROM nowhere":                                      "nowhere",
		"SELECT count(*) FROM trips JOIN nowhere":                    "nowhere",
		"SELECT nofunc(city) FROM trips":                             "nofunc",
		"SELECT sum(city, n) FROM trips":                             "sum",
		"SELECT sum(count(*)) FROM trips":                            "count",
		"SELECT * FROM pragma_table_info('trips')":                   "pragma",
		"SELECT * FROM sqlite_master":                                "sqlite_",
		"SELECT load_extension('x')":                                 "load_extension",
		"SELECT * FROM \"arus groups\"":                              "arus groups",
		"CREATE VIRTUAL TABLE x USING arus_table(1)":                 "CREATE",
		"ATTACH '/etc/passwd' AS x":                                  "ATTACH",
		"SELECT readfile('/etc/passwd')":                             "readfile",
		"SELECT length(zeroblob(1000000000))":                        "big",
		"SELECT group_concat(printf('%10000000d', id)) FROM trips":   "big",
		"SELECT city FROM trips WHERE ts = (SELECT x FROM cities)":   "x",
		"SELECT sum(n * 9223372036854775807) FROM trips HAVING nope": "nope",
	} {
		_, err := query(t, s.dir, sql)
		if err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%s gives %v, which does not name %s", sql, err, names)
		}
	}
	for sql, want := range map[string][][]any{
		"SELECT count(*), sum(id), max(name) FROM cities":     {{int64(0), nil, nil}},
		"SELECT count(*) FROM cities WHERE name = 'x'":        {{int64(0)}},
		"SELECT name, count(*) FROM cities GROUP BY name":     nil,
		"SELECT count(*) FROM trips WHERE city = 'no number'": {{int64(0)}},
		"SELECT count(*) FROM trips WHERE status = 5":         {{int64(0)}},
		"SELECT count(*) FROM trips WHERE city = x'00'":       {{int64(0)}},
		"SELECT count(*) FROM trips WHERE city = NULL":        {{int64(0)}},
		"SELECT sum(status) FROM trips WHERE status = 'done'": {{0.0}},
		"SELECT count(*) FROM trips t, cities c":              {{int64(0)}},
	} {
		got, err := query(t, s.dir, sql)
		s.do(sql, err)
		diff(t, sql, got, want)
	}
}

// TestRandomQueries compares random statements with plain SQLite over the same rows.
func TestRandomQueries(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 1500, 50)
	// Rows that hide archived ones.
	s.put("trips", "ts id city", changedRows(t, s)...)
	c := plainCopy(t, s, "trips")
	r := rand.New(rand.NewPCG(50, 2))
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	number := func() string {
		return one("0", "1", "3", "7", "-5", "2.5", "100", "1e3", fmt.Sprint(r.IntN(50)), fmt.Sprint(noon.Unix()-int64(r.IntN(6*day))))
	}
	column := func() string { return one("ts", "id", "city", "fare", "n") }
	value := func() string {
		return one(column(), column(), number(), column()+" + "+number(), column()+" * "+column(), "("+column()+" - "+column()+")", column()+" / "+number(), "ts % "+one("0", "60", "3600"),
			"length(status)", "abs(n)", "-"+column(), "coalesce(fare, n)", "CASE WHEN city > 3 THEN 1 ELSE 0 END")
	}
	var where func(depth int) string
	where = func(depth int) string {
		switch k := r.IntN(12); {
		case k < 5:
			return value() + one(" = ", " <> ", " < ", " <= ", " > ", " >= ", " == ", " != ") + value()
		case k == 5:
			return column() + one(" IS NULL", " IS NOT NULL", " NOTNULL")
		case k == 6:
			return column() + one(" BETWEEN ", " NOT BETWEEN ") + number() + " AND " + number()
		case k == 7:
			return "status " + one("= 'done'", "<> 'Open'", "IN ('done', 'no_show')", "LIKE 'O%'", "> 'a'", "IS NULL", "= 'x'", "= 'OPEN' COLLATE NOCASE", "NOT LIKE '%n%'")
		case k == 8:
			return "city IN (" + number() + ", " + number() + ")"
		case depth > 2:
			return "1"
		case k == 9:
			return "NOT (" + where(depth+1) + ")"
		}
		return "(" + where(depth+1) + one(" AND ", " OR ") + where(depth+1) + ")"
	}
	dim := func() string {
		return one("city", "status", "city", "date(ts, 'unixepoch')", "ts / 86400", "city % 3", "upper(status)", "n > 0", "strftime('%H', ts, 'unixepoch')", "fare")
	}
	agg := func() string {
		return one("count(*)", "count("+column()+")", "sum("+value()+")", "avg("+value()+")", "min("+value()+")", "max("+value()+")", "total("+column()+")", "max(status)", "sum(n) * 2 + count(*)", "count(DISTINCT city)")
	}
	paths := map[string]int{}
	end := time.Now().Add(4 * time.Second)
	n := 0
	for ; time.Now().Before(end) || n < 100; n++ {
		sql := "SELECT "
		grouped := r.IntN(4) > 0
		var order string
		switch {
		case !grouped && r.IntN(2) == 0:
			sql += "id, " + value() + ", status FROM trips"
			order = " ORDER BY 1"
		case grouped && r.IntN(4) > 0:
			d := dim()
			sql += d + " AS d, " + agg() + ", " + agg() + " FROM trips"
			order = " GROUP BY d" + one("", " HAVING count(*) > 10") + one("", " ORDER BY d", " ORDER BY d DESC LIMIT 3")
		default:
			sql += agg() + ", " + agg() + " FROM trips"
		}
		if r.IntN(4) > 0 {
			sql += " WHERE " + where(0)
		}
		sql += order
		got := ask(t, s.dir, sql)
		columns, want, err := askSQLite(c, sql)
		if (err == nil) != (got.err == nil) {
			t.Fatalf("%s: the error is %v, and SQLite's %v", sql, got.err, err)
		}
		if err != nil {
			continue
		}
		for _, x := range got.reads {
			paths[x.Path]++
		}
		diff(t, "columns of "+sql, got.columns, columns)
		diff(t, sql, got.rows, want)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d statements, by %v", n, paths)
	if paths["columns"] < n/4 || paths["rows"] < n/20 {
		t.Errorf("%d statements went %v", n, paths)
	}
}

// changedRows gives some archived rows another city.
func changedRows(t testing.TB, s *testStore) []string {
	t.Helper()
	got, err := query(t, s.dir, "SELECT ts, id FROM trips WHERE id % 17 = 3")
	s.do("read", err)
	var out []string
	for _, row := range got {
		out = append(out, fmt.Sprintf("%d %d 8", row[0], row[1]))
	}
	return out
}

func TestJoinsAreLookedUp(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 1500, 60)
	s.create(cities())
	var rows []string
	for i := range 8 {
		rows = append(rows, fmt.Sprintf("%d city%d", i, i))
	}
	s.put("cities", "id name", rows...)
	c := plainCopy(t, s, "trips")
	s.do("make", c.Exec(t.Context(), "CREATE TABLE cities (id, name)"))
	for i := range 8 {
		s.do("fill", c.Exec(t.Context(), "INSERT INTO cities VALUES (?, ?)", int64(i), fmt.Sprint("city", i)))
	}
	for _, sql := range []string{
		"SELECT c.name, count(*) FROM trips t JOIN cities c ON c.id = t.city GROUP BY c.name ORDER BY 1",
		"SELECT t.id, c.name FROM trips t LEFT JOIN cities c ON c.id = t.city ORDER BY t.id",
		"SELECT count(*) FROM trips a JOIN trips b ON a.id = b.id AND a.city = b.city",
		"SELECT count(*) FROM trips WHERE city IN (SELECT id FROM cities WHERE name > 'city4')",
		"SELECT count(*) FROM trips t WHERE EXISTS (SELECT 1 FROM cities c WHERE c.id = t.city AND c.name <> 'city2')",
		"WITH x AS (SELECT city, count(*) AS n FROM trips GROUP BY city) SELECT name, n FROM cities JOIN x ON x.city = id ORDER BY name",
	} {
		got := ask(t, s.dir, sql)
		_, want, err := askSQLite(c, sql)
		s.do(sql, errors.Join(err, got.err))
		diff(t, sql, got.rows, want)
		for _, r := range got.reads {
			if r.Scans > 10 {
				t.Errorf("%s: %s", sql, r)
			}
		}
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 300, 70)
	ctx := context.Background()
	s.do("view", s.SetView(ctx, ViewDefinition{"done", "SELECT * FROM trips WHERE status = 'done';"}))
	s.do("view of a view", s.SetView(ctx, ViewDefinition{"by_city", "SELECT city, count(*) AS n FROM done GROUP BY city"}))
	got, err := query(t, s.dir, "SELECT sum(n) FROM By_City")
	s.do("ask", err)
	want, err := query(t, s.dir, "SELECT count(*) FROM trips WHERE status = 'done'")
	s.do("ask", err)
	diff(t, "the view's rows", got, want)
	for what, err := range map[string]error{
		"a table's name":     s.SetView(ctx, ViewDefinition{"trips", "SELECT 1"}),
		"a path":             s.SetView(ctx, ViewDefinition{"../x", "SELECT 1"}),
		"a wrong column":     s.SetView(ctx, ViewDefinition{"x", "SELECT nope FROM trips"}),
		"a write":            s.SetView(ctx, ViewDefinition{"x", "DELETE FROM trips"}),
		"several statements": s.SetView(ctx, ViewDefinition{"x", "SELECT 1; SELECT 2"}),
		"itself":             s.SetView(ctx, ViewDefinition{"x", "SELECT * FROM x"}),
		"a closing bracket":  s.SetView(ctx, ViewDefinition{"x", "SELECT 1) UNION SELECT (2"}),
		"not there":          s.DropView(ctx, "nope"),
	} {
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	s.do("drop", s.DropView(ctx, "done"))
	if _, err := query(t, s.dir, "SELECT * FROM by_city"); err == nil || !strings.Contains(err.Error(), "done") {
		t.Errorf("a view of a view that is gone gives %v", err)
	}
	views, err := s.Views()
	s.do("list", err)
	if len(views) != 1 || views[0].Name != "by_city" {
		t.Errorf("the views are %v", views)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	dir := shop(t)
	write := func(sql string, f Format) string {
		t.Helper()
		r, err := Query(t.Context(), dir, sql, QueryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := errors.Join(r.Write(&b, f, func() error { return nil }), r.Close()); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	const sql = `SELECT id, price, "Select ""x""" AS x, b, NULL AS n FROM orders WHERE id < 3 ORDER BY id`
	diff(t, "csv", write(sql, CSV), "id,price,x,b,n\n1,9.9,a,,\n2,100,b,AP8=,\n")
	diff(t, "ndjson", write(sql, NDJSON), `{"id":1,"price":9.9,"x":"a","b":"","n":null}`+"\n"+`{"id":2,"price":100,"x":"b","b":"AP8=","n":null}`+"\n")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(write(sql, JSON)), &rows); err != nil || len(rows) != 2 || rows[1]["x"] != "b" {
		t.Errorf("json: %v, %v", rows, err)
	}
	diff(t, "no rows in json", write("SELECT 1 WHERE 0", JSON), "[]\n")
	diff(t, "no rows in csv", write("SELECT 1 AS a WHERE 0", CSV), "a\n")
	reader, err := ipc.NewReader(strings.NewReader(write("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 40000) SELECT i, i * 0.5 AS h, 'x' || i AS t, x'00ff' AS b FROM n", Arrow)))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	n := int64(0)
	for reader.Next() {
		n += reader.RecordBatch().NumRows()
	}
	if got := reader.Schema().String(); n != 40000 || reader.Err() != nil || !strings.Contains(got, "int64") || !strings.Contains(got, "float64") || !strings.Contains(got, "binary") {
		t.Errorf("arrow: %d rows, %v, %s", n, reader.Err(), got)
	}
}

func TestQueryTimeout(t *testing.T) {
	t.Parallel()
	dir := shop(t)
	r, err := Query(t.Context(), dir, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", QueryOptions{Timeout: 50 * time.Millisecond})
	if err == nil {
		_, _ = r.Next()
		err = errors.Join(r.Err(), r.Close())
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an endless query ends with %v", err)
	}
}
