package sample

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// create makes a shop in a directory whose name would break a careless URI.
func create(t testing.TB, rows int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dä ta%20#1&x=y")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "shop.db")
	if err := Create(t.Context(), path, rows); err != nil {
		t.Fatal(err)
	}
	return path
}

func openTest(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := openExisting(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func number(t testing.TB, db *sql.DB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := db.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// dump hashes every value of every table with its storage class.
func dump(t testing.TB, path string) map[string]string {
	t.Helper()
	db := openTest(t, path)
	sums := map[string]string{}
	for _, table := range Tables() {
		sums[table] = dumpTable(t, db, table)
	}
	return sums
}

func dumpTable(t testing.TB, db *sql.DB, table string) string {
	t.Helper()
	rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, pointers := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	h := sha256.New()
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			_, _ = fmt.Fprintf(h, "%s=%T:%v|", columns[i], v, v)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

func TestCreateCounts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ rows, want int }{{1, minRows}, {100, 100}, {1000, 1000}, {1001, 1001}, {20_000, 20_000}} {
		t.Run(strconv.Itoa(test.rows), func(t *testing.T) {
			t.Parallel()
			path := create(t, test.rows)
			db := openTest(t, path)
			total := 0
			for _, table := range Tables() {
				n := number(t, db, "SELECT count(*) FROM "+table)
				if n == 0 {
					t.Errorf("%d rows: %s is empty", test.rows, table)
				}
				total += n
			}
			if total != test.want {
				t.Errorf("Create(%d) made %d rows, want %d", test.rows, total, test.want)
			}
			checkIntegrity(t, db)
			if _, err := os.Stat(path + ".part"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the part file is still there: %v", err)
			}
		})
	}
}

func checkIntegrity(t testing.TB, db *sql.DB) {
	t.Helper()
	var result string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("integrity_check = %q, %v", result, err)
	}
	if n := number(t, db, "SELECT count(*) FROM pragma_foreign_key_check"); n != 0 {
		t.Errorf("%d rows violate a foreign key", n)
	}
	if n := number(t, db, "SELECT count(*) FROM orders WHERE id NOT IN (SELECT order_id FROM order_items)"); n != 0 {
		t.Errorf("%d orders have no lines", n)
	}
	if n := number(t, db, `SELECT count(*) FROM orders WHERE total <> (SELECT round(sum(quantity * unit_price - coalesce(discount, 0)), 2)
		FROM order_items WHERE order_id = orders.id)`); n != 0 {
		t.Errorf("%d orders have a total that is not what their lines come to", n)
	}
}

func TestCreateAndChangeAreDeterministic(t *testing.T) {
	t.Parallel()
	a, b := create(t, 3000), create(t, 3000)
	for round := range 3 {
		if round > 0 {
			for _, path := range []string{a, b} {
				if _, err := Change(t.Context(), path, round); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := cmp.Diff(dump(t, a), dump(t, b)); diff != "" {
			t.Errorf("after round %d two shops differ (-a +b):\n%s", round, diff)
		}
	}
	if dump(t, a)["orders"] == dump(t, create(t, 3001))["orders"] {
		t.Error("shops of different sizes have the same orders")
	}
}

var shapes = map[string]*regexp.Regexp{
	"stamp": regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$`),
	"date":  regexp.MustCompile(`^\d{4}-\d\d-\d\d$`),
}

// texts reads one column as text, NULLs left out.
func texts(t testing.TB, db *sql.DB, table, column string) []string {
	t.Helper()
	rows, err := db.Query("SELECT CAST(" + column + " AS TEXT) FROM " + table + " WHERE " + column + " IS NOT NULL")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if rows.Err() != nil || len(all) == 0 {
		t.Fatalf("%s.%s: %d values, %v", table, column, len(all), rows.Err())
	}
	return all
}

func TestValues(t *testing.T) {
	t.Parallel()
	path := create(t, 20_000)
	if _, err := Change(t.Context(), path, 1); err != nil {
		t.Fatal(err)
	}
	db := openTest(t, path)
	valid := map[string]func(string) bool{
		"stamp": shapes["stamp"].MatchString,
		"date":  shapes["date"].MatchString,
		"json":  func(s string) bool { return json.Valid([]byte(s)) },
		"text":  utf8.ValidString,
		"bool":  func(s string) bool { return s == "0" || s == "1" },
		"money": func(s string) bool {
			f, err := strconv.ParseFloat(s, 64)
			cents := math.Round(f * 100)
			return err == nil && f == cents/100 && cents >= 0 && cents < 1e12
		},
	}
	for _, test := range []struct{ kind, table, column string }{
		{"stamp", "customers", "created_at"},
		{"stamp", "customers", "updated_at"},
		{"stamp", "customers", "deleted_at"},
		{"stamp", "products", "deleted_at"},
		{"stamp", "orders", "updated_at"},
		{"stamp", "orders", "deleted_at"},
		{"stamp", "order_items", "updated_at"},
		{"stamp", "events", "created_at"},
		{"date", "customers", "birth_date"},
		{"date", "products", "released_on"},
		{"date", "orders", "ordered_on"},
		{"json", "customers", "preferences"},
		{"json", "products", "attributes"},
		{"json", "orders", "shipping"},
		{"json", "events", "payload"},
		{"text", "customers", "name"},
		{"text", "products", "description"},
		{"text", "orders", "note"},
		{"bool", "customers", "newsletter"},
		{"bool", "products", "active"},
		{"bool", "orders", "gift"},
		{"money", "customers", "credit_limit"},
		{"money", "products", "price"},
		{"money", "orders", "total"},
		{"money", "order_items", "unit_price"},
		{"money", "order_items", "discount"},
	} {
		t.Run(test.table+"."+test.column, func(t *testing.T) {
			for _, s := range texts(t, db, test.table, test.column) {
				if !valid[test.kind](s) {
					t.Fatalf("%q is not a %s", s, test.kind)
				}
			}
		})
	}
	for what, query := range map[string]string{
		"4-byte characters": "SELECT count(*) FROM customers WHERE instr(CAST(name AS BLOB), x'F09F') > 0",
		"long texts":        "SELECT count(*) FROM products WHERE length(description) > 4000",
		"blobs":             "SELECT count(*) FROM products WHERE typeof(thumbnail) = 'blob'",
		"NULL blobs":        "SELECT count(*) FROM products WHERE thumbnail IS NULL",
		"empty texts":       "SELECT count(*) FROM orders WHERE note = ''",
		"visitors":          "SELECT count(*) FROM events WHERE customer_id IS NULL",
	} {
		if number(t, db, query) == 0 {
			t.Errorf("the shop has no %s", what)
		}
	}
}

func TestHighestWatermarkIsShared(t *testing.T) {
	t.Parallel()
	path := create(t, 1000)
	watermark := map[string]string{
		"customers": "updated_at", "products": "updated_at", "orders": "updated_at",
		"order_items": "updated_at", "events": "created_at",
	}
	db := openTest(t, path)
	highest := map[string]string{}
	for round := range 4 {
		if round > 0 {
			if _, err := Change(t.Context(), path, round); err != nil {
				t.Fatal(err)
			}
		}
		for _, table := range Tables() {
			column := watermark[table]
			var top string
			if err := db.QueryRow("SELECT max(" + column + ") FROM " + table).Scan(&top); err != nil {
				t.Fatal(err)
			}
			if top <= highest[table] {
				t.Errorf("round %d: the highest %s of %s is %s, not above %s", round, column, table, top, highest[table])
			}
			highest[table] = top
			if n := number(t, db, "SELECT count(*) FROM "+table+" WHERE "+column+" = ?", top); round == 0 && n < 2 {
				t.Errorf("round %d: %d rows of %s have the highest %s, want several", round, n, table, column)
			}
		}
	}
}

func TestChangeCounts(t *testing.T) {
	t.Parallel()
	path := create(t, 5000)
	db := openTest(t, path)
	g := newGenerator(0)
	for round := 1; round <= 3; round++ {
		got, err := Change(t.Context(), path, round)
		if err != nil {
			t.Fatal(err)
		}
		since := g.stamp(lastStamp + int64(round)*day)
		want := Changes{}
		for _, table := range Tables() {
			var n Counts
			n.Inserted = number(t, db, "SELECT count(*) FROM "+table+" WHERE created_at >= ?", since)
			switch table {
			case "events":
			case "order_items":
				n.Updated = number(t, db, "SELECT count(*) FROM order_items WHERE updated_at >= ?1 AND created_at < ?1", since)
			default:
				n.Updated = number(t, db, "SELECT count(*) FROM "+table+" WHERE updated_at >= ?1 AND created_at < ?1 AND deleted_at IS NULL", since)
				n.SoftDeleted = number(t, db, "SELECT count(*) FROM "+table+" WHERE updated_at >= ?1 AND deleted_at = updated_at", since)
			}
			want[table] = n
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %d: the database and the counts differ (-database +counts):\n%s", round, diff)
		}
		if sum := got.Total(); sum.Updated == 0 || sum.Inserted == 0 || sum.SoftDeleted == 0 {
			t.Errorf("round %d changed nothing of a kind: %+v", round, sum)
		}
		if last, err := Round(t.Context(), path); err != nil || last != round {
			t.Errorf("Round = %d, %v, want %d", last, err, round)
		}
		checkIntegrity(t, db)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	path := create(t, 100)
	before := dump(t, path)
	missing := filepath.Join(t.TempDir(), "none.db")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		call func() error
		want error
	}{
		{"create over a file", func() error { return Create(t.Context(), path, 100) }, fs.ErrExist},
		{"create when cancelled", func() error { return Create(cancelled, missing, 100) }, context.Canceled},
		{"create in a directory that is not there", func() error { return Create(t.Context(), filepath.Join(missing, "x.db"), 100) }, nil},
		{"change no file", func() error { _, err := Change(t.Context(), missing, 1); return err }, fs.ErrNotExist},
		{"round of no file", func() error { _, err := Round(t.Context(), missing); return err }, fs.ErrNotExist},
		{"change when cancelled", func() error { _, err := Change(cancelled, path, 1); return err }, context.Canceled},
		{"round 0", func() error { _, err := Change(t.Context(), path, 0); return err }, ErrRound},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.call()
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	if diff := cmp.Diff(before, dump(t, path)); diff != "" {
		t.Errorf("a refused call changed the shop:\n%s", diff)
	}
	for _, p := range []string{missing, missing + ".part"} {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a refused call left %s", p)
		}
	}
}

func TestCreateSweepsWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	if err := os.WriteFile(path+".part", []byte("half a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), path, 100); err != nil {
		t.Fatal(err)
	}
	checkIntegrity(t, openTest(t, path))
}

func BenchmarkCreate(b *testing.B) {
	for b.Loop() {
		path := create(b, DefaultRows)
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
}

func BenchmarkChange(b *testing.B) {
	path := create(b, DefaultRows)
	round := 0
	for b.Loop() {
		round++
		if _, err := Change(b.Context(), path, round); err != nil {
			b.Fatal(err)
		}
	}
}
