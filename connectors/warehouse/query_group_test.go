package warehouse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

// someTrips makes rows in thirty days before noon, by a seed; most are archived.
func someTrips(t testing.TB, s *testStore, n int, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	table := trips()
	table.Columns[4].Type = "Float64"
	s.create(table)
	var rows []string
	for i := range n {
		fare, count := "-", "-"
		if r.IntN(5) > 0 {
			fare = fmt.Sprintf("%d.%02d", r.IntN(50), r.IntN(4)*25)
		}
		if r.IntN(7) > 0 {
			count = fmt.Sprint(r.IntN(2000) - 1000)
		}
		city, status := fmt.Sprint(r.IntN(9)), []string{"done", "Open", "no_show", "-"}[r.IntN(4)]
		if r.IntN(20) == 0 {
			city = "-"
		}
		rows = append(rows, fmt.Sprintf("%s %d %s %s %s %s", at(r.Float64()*6), i, city, status, fare, count))
	}
	s.put("trips", "ts id city status fare n", rows...)
	_, err := s.Archive(context.Background(), "trips", noon.Unix()-day)
	s.do("archive", err)
}

// plainCopy copies a table into plain SQLite, by its rows one by one.
func plainCopy(t testing.TB, s *testStore, table string) *lite.Conn {
	t.Helper()
	c, err := lite.MemoryStrict(sqliteDriver())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r, err := Query(t.Context(), s.dir, "SELECT * FROM "+table, QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names, marks := "", ""
	for i, n := range r.Columns() {
		if i > 0 {
			names, marks = names+", ", marks+", "
		}
		names, marks = names+connectors.Quote(n, '"'), marks+"?"
	}
	s.do("copy", c.Exec(t.Context(), "CREATE TABLE "+table+" ("+names+")"))
	put, err := c.Prepare(t.Context(), "INSERT INTO "+table+" VALUES ("+marks+")", len(r.Columns()))
	s.do("copy", err)
	for {
		row, ok := r.Next()
		if !ok {
			break
		}
		for i, v := range row {
			put.Set(i, v)
		}
		s.do("copy", put.Exec(t.Context()))
	}
	s.do("copy", r.Err())
	s.do("copy", r.Close())
	s.do("copy", put.Close())
	return c
}

// askSQLite asks plain SQLite.
func askSQLite(c *lite.Conn, sql string) (columns []string, out [][]any, err error) {
	rows, err := c.Query(context.Background(), sql)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	for {
		row, ok := rows.Next()
		if !ok {
			return rows.Columns(), out, rows.Err()
		}
		values := make([]any, len(row))
		for i, v := range row {
			values[i] = v
		}
		out = append(out, values)
	}
}

// asked is an answer with how it was made.
type asked struct {
	columns []string
	rows    [][]any
	reads   []*Read
	err     error
}

func ask(t testing.TB, dir, sql string) (a asked) {
	t.Helper()
	r, err := Query(t.Context(), dir, sql, QueryOptions{})
	if err != nil {
		return asked{err: err}
	}
	a.columns = r.Columns()
	for {
		row, ok := r.Next()
		if !ok {
			break
		}
		a.rows = append(a.rows, row)
	}
	a.err, a.reads = r.Err(), r.Reads()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return a
}

func TestGroupsAreThoseOfSQLite(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	someTrips(t, s, 3000, 7)
	c := plainCopy(t, s, "trips")
	for _, sql := range []string{
		"SELECT count(*) FROM trips",
		"SELECT count(*) AS n, count(city), sum(n), total(n), avg(n), min(fare), max(status), min(ts) FROM trips",
		"SELECT city, count(*), sum(fare) FROM trips GROUP BY city",
		"SELECT t.city, T.status, avg(t.fare) a FROM trips AS t WHERE t.fare > 3 GROUP BY t.city, status ORDER BY 1, 2",
		"SELECT date(ts, 'unixepoch') AS d, count(*), sum(fare + n) FROM trips GROUP BY d",
		"SELECT strftime('%Y-%m-%d %H', ts, 'unixepoch'), count(*) FROM trips GROUP BY 1",
		"SELECT ts / 3600 * 3600 AS h, sum(n) FROM trips GROUP BY h ORDER BY sum(n) DESC, h LIMIT 5",
		"SELECT city, count(*) FROM trips WHERE status = 'done' AND city IN (1, 2, 7) GROUP BY city HAVING count(*) > 3",
		"SELECT upper(status), count(*) * 2 + 1, round(avg(fare), 2) FROM trips GROUP BY upper(status) ORDER BY 2",
		"SELECT DISTINCT status FROM trips ORDER BY 1",
		"SELECT DISTINCT city, status FROM trips WHERE city > 3 ORDER BY 1, 2",
		"SELECT city % 3 AS m, sum(CASE WHEN status = 'done' THEN 1 ELSE 0 END) FROM trips GROUP BY m",
		"SELECT sum(fare) / count(*), max(n) - min(n), sum(n * 2 - city) FROM trips WHERE NOT (city = 3 OR city IS NULL) AND fare IS NOT NULL",
		"SELECT status IS NULL, count(*) FROM trips GROUP BY status IS NULL",
		"SELECT count(*) FROM trips WHERE status LIKE '%O%'",
		"SELECT count(*) FROM trips WHERE status COLLATE NOCASE = 'OPEN'",
		"SELECT count(*) FROM trips WHERE fare BETWEEN 10 AND 20.5 AND n NOT BETWEEN -100 AND 100",
		"SELECT count(*) FROM trips WHERE city = '3'",
		"SELECT count(*) FROM trips WHERE CAST(city AS TEXT) = '3'",
		"SELECT count(*) FROM trips WHERE n / 0 IS NULL AND -n < 5",
		"SELECT count(*) FROM trips WHERE city < 2.5 AND city > -1e9 AND status < 'a'",
		"SELECT sum(n), avg(fare) FROM trips WHERE city = 99",
		"SELECT city FROM trips WHERE city = 99 GROUP BY city",
		"SELECT fare, n, count(*) FROM trips WHERE fare < 2 GROUP BY 1, 2",
		"SELECT city, max(fare), status FROM trips GROUP BY city", // a bare column
		"SELECT count(DISTINCT city), group_concat(DISTINCT status) FROM trips",
		"SELECT sum(n * 9000000000000000) FROM trips WHERE city = 1",
		"SELECT sum(n * 9000000000000) FROM trips WHERE city = 1",
		"SELECT count(*), 'x' || max(city) AS \"a b\" FROM trips WHERE 1",
		"SELECT count(*) FROM trips WHERE random() IS NOT NULL",
		"SELECT city AS status, count(*) FROM trips GROUP BY status ORDER BY status",
		"SELECT max(city) AS city, count(*) FROM trips GROUP BY n > 0 ORDER BY city DESC, 2",
		"SELECT count(*) FROM trips WHERE length(status) = city OR n > 0",
		"SELECT DISTINCT count(*) > 300 FROM trips GROUP BY city",
		"SELECT count(*) FROM trips WHERE ts >= 1772700000 AND ts < 1772800000",
		"SELECT -count(*), - min(n), 1 - -1 FROM trips",
		"SELECT sum(n) FROM trips GROUP BY city LIMIT 2 OFFSET 1",
	} {
		got := ask(t, s.dir, sql)
		columns, want, err := askSQLite(c, sql)
		if (err == nil) != (got.err == nil) {
			t.Errorf("%s: the error is %v, and SQLite's %v", sql, got.err, err)
			continue
		}
		if err != nil {
			continue
		}
		diff(t, "columns of "+sql, got.columns, columns)
		diff(t, sql, got.rows, want)
		for _, r := range got.reads {
			t.Log(sql, ":", r)
		}
	}
}
