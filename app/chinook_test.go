package app

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"arus/app/control"
	"arus/app/model"
	"arus/testdata/servers"
)

// database is one end of a test: its Arus URL and a way to run SQL in it.
type database struct {
	url    string
	db     *sql.DB
	quote  string
	asText func(column string) string
}

func (d database) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := d.db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%.200s: %v", s, err)
		}
	}
}

// rows reads a query as text, one string a row.
func (d database) rows(t *testing.T, query string) []string {
	t.Helper()
	rows, err := d.db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		dest := make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, v := range values {
			if v.Valid {
				fmt.Fprintf(&b, "%q ", v.String)
			} else {
				b.WriteString("NULL ")
			}
		}
		list = append(list, b.String())
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func openSQL(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func postgresDatabase(t *testing.T) database {
	t.Helper()
	u := servers.PostgresDatabase(t)
	return database{url: u, db: openSQL(t, "pgx", with(t, u, func(u *url.URL) {
		u.RawQuery = "default_query_exec_mode=simple_protocol&timezone=UTC"
	})), quote: `"`, asText: castPostgres}
}

func mariadbDatabase(t *testing.T) database {
	t.Helper()
	raw := servers.MariaDBDatabase(t)
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	cfg := mysqldriver.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.DBName, cfg.MultiStatements = "tcp", u.Host, u.User.Username(), strings.TrimPrefix(u.Path, "/"), true
	cfg.Passwd, _ = u.User.Password()
	return database{url: raw, db: openSQL(t, "mysql", cfg.FormatDSN()), quote: "`", asText: castNone}
}

// chinook is the sample music store in one dialect. Its columns have other
// names in PostgreSQL (album_id) than elsewhere (AlbumId).
type chinook struct {
	database
	tables map[string][]string // key columns by table
	cast   string              // in front of a timestamp literal
}

func chinookScript(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(servers.SharedData(t, "chinook/"+file))
	if err != nil {
		t.Fatal(err)
	}
	script := string(data)
	for _, start := range []string{"\\c chinook;", "USE `Chinook`;"} {
		if _, after, ok := strings.Cut(script, start); ok {
			script = after // the test's own database stands for the script's
		}
	}
	return strings.TrimPrefix(script, "\ufeff")
}

var chinookKeys = map[string][]string{
	"Album": {"AlbumId"}, "Artist": {"ArtistId"}, "Customer": {"CustomerId"}, "Employee": {"EmployeeId"}, "Genre": {"GenreId"},
	"Invoice": {"InvoiceId"}, "InvoiceLine": {"InvoiceLineId"}, "MediaType": {"MediaTypeId"}, "Playlist": {"PlaylistId"},
	"PlaylistTrack": {"PlaylistId", "TrackId"}, "Track": {"TrackId"},
}

// snake is the PostgreSQL spelling of a name.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func chinookPostgres(t *testing.T) chinook {
	t.Helper()
	script := chinookScript(t, "Chinook_PostgreSql.sql")
	c := chinook{database: postgresDatabase(t), tables: map[string][]string{}, cast: "timestamp "}
	c.exec(t, script)
	for table, key := range chinookKeys {
		for i := range key {
			c.tables[snake(table)] = append(c.tables[snake(table)], snake(key[i]))
		}
	}
	return c
}

func chinookMariaDB(t *testing.T) chinook {
	t.Helper()
	script := chinookScript(t, "Chinook_MySql.sql")
	c := chinook{database: mariadbDatabase(t), tables: chinookKeys}
	c.exec(t, script)
	return c
}

func chinookSQLite(t *testing.T) chinook {
	t.Helper()
	data, err := os.ReadFile(servers.SharedData(t, "chinook/Chinook_Sqlite.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "chinook.db")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return chinook{database: database{url: "sqlite://" + file, db: openSQL(t, "sqlite", file), quote: `"`, asText: castSQLite}, tables: chinookKeys}
}

func (c chinook) q(name string) string { return c.quote + name + c.quote }

// stamp gives every table a watermark: half of the rows share one instant, the
// others have their own.
func (c chinook) stamp(t *testing.T, column string) {
	t.Helper()
	for table, key := range c.tables {
		c.exec(t, fmt.Sprintf("ALTER TABLE %s ADD COLUMN updated_at %s", c.q(table), column))
		c.exec(t, fmt.Sprintf("UPDATE %s SET updated_at = CASE WHEN %s %% 2 = 0 THEN %s'2026-03-01 12:00:00.500000' ELSE %s'2026-03-01 11:59:59.123456' END",
			c.q(table), c.q(key[0]), c.cast, c.cast))
	}
}

// total counts all rows.
func (c chinook) total(t *testing.T) int64 {
	t.Helper()
	var sum int64
	for table := range c.tables {
		var n int64
		if err := c.db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+c.q(table)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// target is where the rows went: reading it back as SQL text.
type target struct {
	url  string
	args []string                  // what sync needs besides
	name func(table string) string // quoted, with its schema
	read func(t *testing.T, query string) []string
	q    string

	asText func(column string) string

	schema  string // where typed tables land
	letters string // the dead letters' table, quoted
}

// TestChinook copies the music store between every pair of the first milestone,
// direct and raw: all rows arrive equal, a second run finds nothing new, and
// after changes exactly the changed rows are read.
func TestChinook(t *testing.T) {
	t.Parallel()
	pairs := []struct {
		name   string
		source func(*testing.T) chinook
		target func(*testing.T) target
		column string
	}{
		{"postgres-postgres", chinookPostgres, postgresTarget, "timestamptz"},
		{"mysql-postgres", chinookMariaDB, postgresTarget, "DATETIME(6)"},
		{"postgres-mysql", chinookPostgres, mariadbTarget, "timestamp"},
		{"mysql-mysql", chinookMariaDB, mariadbTarget, "TIMESTAMP(6) NULL"},
		{"sqlite-embedded", chinookSQLite, embeddedTarget, "TIMESTAMP"},
		{"sqlite-postgres", chinookSQLite, postgresTarget, "TIMESTAMP"},
		{"postgres-embedded", chinookPostgres, embeddedTarget, "timestamptz"},
		{"mysql-embedded", chinookMariaDB, embeddedTarget, "DATETIME(6)"},
		{"sqlite-mysql", chinookSQLite, mariadbTarget, "TIMESTAMP"},
		{"postgres-clickhouse", chinookPostgres, clickhouseTarget, "timestamptz"},
		{"mysql-clickhouse", chinookMariaDB, clickhouseTarget, "DATETIME(6)"},
		{"sqlite-clickhouse", chinookSQLite, clickhouseTarget, "TIMESTAMP"},
	}
	for _, pair := range pairs {
		for _, load := range []string{"direct", "raw"} {
			t.Run(pair.name+" "+load, func(t *testing.T) {
				t.Parallel()
				c := pair.source(t)
				c.stamp(t, pair.column)
				to := pair.target(t)
				dir := t.TempDir()
				args := append([]string{"--from", c.url, "--to", to.url, "--load", load}, to.args...)
				first := runSync(t, dir, args...)
				if want := c.total(t); first.RowsRead != want || first.RowsLoaded != want || len(first.Tables) != len(c.tables) {
					t.Errorf("first run read %d and loaded %d rows of %d tables, want %d of %d", first.RowsRead, first.RowsLoaded, len(first.Tables), want, len(c.tables))
				}
				c.mustEqual(t, to)
				verify(t, dir, first.Pipeline)

				second := runSync(t, dir, args...)
				if second.RowsRead != 0 {
					t.Errorf("a run with nothing new read %d rows", second.RowsRead)
				}
				for i, x := range second.Tables {
					if x.WatermarkBefore == "" || x.WatermarkBefore != x.WatermarkAfter || x.WatermarkAfter != first.Tables[i].WatermarkAfter {
						t.Errorf("%s: an empty run moved the watermark: %q, %q to %q", x.Table, first.Tables[i].WatermarkAfter, x.WatermarkBefore, x.WatermarkAfter)
					}
				}
				changed := c.change(t)
				third := runSync(t, dir, args...)
				if third.RowsRead != changed || third.RowsLoaded != changed {
					t.Errorf("read %d and loaded %d rows, want exactly the %d changed ones", third.RowsRead, third.RowsLoaded, changed)
				}
				c.mustEqual(t, to)
				verify(t, dir, first.Pipeline)
			})
		}
	}
}

// change updates rows (some to the very instant of the watermark) and inserts
// one, and says how many rows changed.
func (c chinook) change(t *testing.T) int64 {
	t.Helper()
	var changed int64
	name := func(s string) string {
		if _, ok := c.tables["album"]; ok {
			s = snake(s)
		}
		return c.q(s)
	}
	for _, s := range []string{
		fmt.Sprintf("UPDATE %s SET %s = 'changed %s', updated_at = '2026-03-01 12:00:01.000001' WHERE %s %% 10 = 1", name("Album"), name("Title"), "Ünïcødé 日本", name("AlbumId")),
		fmt.Sprintf("UPDATE %s SET %s = NULL, updated_at = '2026-03-01 12:00:00.500000' WHERE %s %% 100 = 7", name("Track"), name("Composer"), name("TrackId")),
		fmt.Sprintf("UPDATE %s SET %s = 12345678.91, updated_at = '2026-03-02 00:00:00' WHERE %s <= 5", name("Invoice"), name("Total"), name("InvoiceId")),
		fmt.Sprintf("INSERT INTO %s (%s, %s, updated_at) VALUES (9001, 'new', '2026-03-01 12:00:00.500000')", name("Artist"), name("ArtistId"), name("Name")),
	} {
		r, err := c.db.ExecContext(t.Context(), s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		n, err := r.RowsAffected()
		if err != nil {
			t.Fatal(err)
		}
		changed += n
	}
	return changed
}

// mustEqual compares every table as SQL text, ordered by its key.
func (c chinook) mustEqual(t *testing.T, to target) {
	t.Helper()
	for table, key := range c.tables {
		columns := c.columns(t, table)
		var source, target []string
		for _, col := range columns {
			source = append(source, c.asText("x."+c.quote+col+c.quote))
			target = append(target, to.asText("x."+to.q+col+to.q))
		}
		order := func(q string) string {
			var parts []string
			for _, k := range key {
				parts = append(parts, "x."+q+k+q) // not the text of it
			}
			return strings.Join(parts, ", ")
		}
		want := c.rows(t, fmt.Sprintf("SELECT %s FROM %s x ORDER BY %s", strings.Join(source, ", "), c.q(table), order(c.quote)))
		got := to.read(t, fmt.Sprintf("SELECT %s FROM %s x ORDER BY %s", strings.Join(target, ", "), to.name(table), order(to.q)))
		normal(want)
		normal(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s differs (-source +target)\n%.3000s", table, cmp.Diff(want, got))
		}
	}
}

var isoTime = regexp.MustCompile(`(\d{4}-\d\d-\d\d)T(\d\d:)`)

// normal makes the texts of two databases comparable: SQLite and MySQL write a
// midnight and fractions in other ways than PostgreSQL, not other values.
func normal(rows []string) {
	for i, r := range rows {
		r = isoTime.ReplaceAllString(r, "$1 $2")
		for _, zone := range []string{"+00\"", "Z\""} {
			r = strings.ReplaceAll(r, zone, "\"")
		}
		r = strings.ReplaceAll(r, ".000000\"", "\"")
		for strings.Contains(r, "0\" ") && strings.Contains(r, ":") && trimmed(r) != r {
			r = trimmed(r)
		}
		rows[i] = r
	}
}

// trimmed drops one trailing zero of each fraction of a second.
func trimmed(r string) string {
	parts := strings.Split(r, "\" ")
	for i, p := range parts {
		if at := strings.LastIndexByte(p, '.'); at > 0 && strings.Contains(p[:at], ":") && strings.HasSuffix(p, "0") {
			parts[i] = p[:len(p)-1]
		}
	}
	return strings.Join(parts, "\" ")
}

// How a dialect gives a column as text, before a driver makes something else of it.
func castPostgres(column string) string { return column + "::text" }
func castSQLite(column string) string   { return "CAST(" + column + " AS TEXT)" }
func castNone(column string) string     { return column }

func (c chinook) columns(t *testing.T, table string) []string {
	t.Helper()
	rows, err := c.db.QueryContext(t.Context(), "SELECT * FROM "+c.q(table)+" WHERE 1 = 0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil || rows.Err() != nil {
		t.Fatal(err, rows.Err())
	}
	return names
}

func postgresTarget(t *testing.T) target {
	d := postgresDatabase(t)
	return target{url: d.url, schema: "analytics", letters: "staging._dead_letters", read: d.rows, asText: d.asText, q: `"`, name: func(table string) string {
		return `analytics."` + model.Slug(table) + `"`
	}}
}

func mariadbTarget(t *testing.T) target {
	d := mariadbDatabase(t)
	u, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	schema := strings.TrimPrefix(u.Path, "/") // a database of the test's own stands for the schema
	return target{url: d.url, args: []string{"--target-schema", schema}, schema: schema, letters: "staging._dead_letters", read: d.rows, asText: d.asText, q: "`", name: func(table string) string {
		return "`" + schema + "`.`" + model.Slug(table) + "`"
	}}
}

// clickhouseTarget reads each row once, as the view of current rows gives it.
func clickhouseTarget(t *testing.T) target {
	m := clickhouseMatrix(t)
	o, err := clickhouse.ParseDSN(m.url)
	if err != nil {
		t.Fatal(err)
	}
	db := clickhouse.OpenDB(o)
	t.Cleanup(func() { _ = db.Close() })
	d := database{url: m.url, db: db}
	return target{
		url: m.url, args: m.args, schema: m.schema, read: d.rows, q: "`",
		asText: func(column string) string { return "toString(" + column + ")" },
		name:   func(table string) string { return "`" + m.schema + "`.`" + model.Slug(table) + "_current`" },
	}
}

func embeddedTarget(t *testing.T) target {
	dir := filepath.Join(t.TempDir(), "warehouse")
	return target{
		url: "embedded://" + dir, asText: castNone, q: `"`, name: func(table string) string { return `"` + model.Slug(table) + `"` },
		read: func(t *testing.T, query string) []string {
			t.Helper()
			list := []string{}
			rows, err := control.Query(t.Context(), dir, query, 0)
			if err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			for {
				values, ok := rows.Next()
				if !ok {
					break
				}
				var b strings.Builder
				for _, v := range values {
					switch v := v.(type) {
					case nil:
						b.WriteString("NULL ")
					case []byte:
						fmt.Fprintf(&b, "%q ", v)
					default:
						fmt.Fprintf(&b, "%q ", fmt.Sprint(cell(v)))
					}
				}
				list = append(list, b.String())
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			return list
		},
	}
}

// verify compares source and target by Arus's own means.
func verify(t *testing.T, dir, pipeline string, more ...string) {
	t.Helper()
	r := arus(t, dir, append([]string{"pipeline", "verify", pipeline, "--json"}, more...)...)
	var report struct {
		Equal  bool             `json:"equal"`
		Tables []map[string]any `json:"tables"`
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || !report.Equal || r.code != 0 || len(report.Tables) == 0 {
		t.Errorf("verify: exit code %d, %v\n%s%s", r.code, err, r.out, r.errOut)
	}
}

func execPostgres(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
