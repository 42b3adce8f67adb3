package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/app/engine"
	"arus/app/model"
)

// shop is a stored pipeline of one table, orders, between two real databases.
type shop struct {
	dir, pipeline string
	from          database
	to            target
}

// pairs are the ends that what follows a source is tried between.
var pairs = []struct {
	name string
	from func(*testing.T) database
	to   func(*testing.T) target
}{
	{"postgres-postgres", postgresDatabase, postgresTarget},
	{"mariadb-postgres", mariadbDatabase, postgresTarget},
	{"postgres-clickhouse", postgresDatabase, clickhouseTarget},
	{"postgres-mariadb", postgresDatabase, mariadbTarget},
}

// eachShop runs a test between every pair of ends, direct and raw.
func eachShop(t *testing.T, test func(t *testing.T, s *shop)) {
	t.Helper()
	for _, pair := range pairs {
		for _, load := range []string{"direct", "raw"} {
			t.Run(pair.name+" "+load, func(t *testing.T) {
				t.Parallel()
				s := &shop{dir: t.TempDir(), from: pair.from(t), to: pair.to(t)}
				s.from.exec(t, "CREATE TABLE orders (id int PRIMARY KEY, n int, note varchar(20), updated_at timestamp(6) NULL, deleted_at timestamp(6) NULL)",
					"INSERT INTO orders (id, n, note, updated_at) VALUES (1, 10, 'a', '2026-03-01 00:00:01'), (2, 20, 'b', '2026-03-01 00:00:02'), "+
						"(3, 30, 'c', '2026-03-01 00:00:03'), (4, 40, 'd', '2026-03-01 00:00:04'), (5, 50, NULL, '2026-03-01 00:00:05')")
				r := runSync(t, s.dir, append([]string{"--from", s.from.url, "--to", s.to.url, "--load", load}, s.to.args...)...)
				s.pipeline = r.Pipeline
				test(t, s)
			})
		}
	}
}

// edit changes the pipeline's options.
func (s *shop) edit(t *testing.T, args ...string) {
	t.Helper()
	mustArus(t, s.dir, append([]string{"pipeline", "edit", s.pipeline}, args...)...)
}

// command runs a command of the pipeline that ends in a report.
func (s *shop) command(t *testing.T, code int, args ...string) engine.Report {
	t.Helper()
	r := arus(t, s.dir, append(args, "--json", "--quiet")...)
	if r.code != code {
		t.Fatalf("arus %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.errOut)
	}
	var report engine.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("%v\n%s", err, r.out)
	}
	return report
}

func (s *shop) run(t *testing.T, args ...string) engine.Report {
	t.Helper()
	return s.command(t, exitOK, append([]string{"run", s.pipeline}, args...)...)
}

// targetIs compares columns of the target, in the order of the key.
func (s *shop) targetIs(t *testing.T, columns string, want ...string) {
	t.Helper()
	got := s.to.read(t, fmt.Sprintf("SELECT %s FROM %s x ORDER BY x.id", columns, s.to.name("orders")))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the target (-want +got)\n%s", diff)
	}
}

// changes lists the open changes as "kind column".
func (s *shop) changes(t *testing.T) (ids map[string]string) {
	t.Helper()
	var list struct{ Changes []model.SchemaChange }
	if err := json.Unmarshal([]byte(mustArus(t, s.dir, "drift", "list", s.pipeline, "--json")), &list); err != nil {
		t.Fatal(err)
	}
	ids = map[string]string{}
	for _, c := range list.Changes {
		ids[string(c.Kind)+" "+c.Column] = c.ID
	}
	return ids
}

func TestSchemasAreFollowedOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		s.edit(t, "--drift", "evolve")
		s.from.exec(t, "ALTER TABLE orders ADD COLUMN extra varchar(10) DEFAULT 'old'", "ALTER TABLE orders ADD COLUMN amount numeric(8,2)")
		alter := "ALTER TABLE orders ALTER COLUMN n TYPE bigint"
		if s.from.quote == "`" {
			alter = "ALTER TABLE orders MODIFY n bigint"
		}
		s.from.exec(t, alter, "UPDATE orders SET extra = 'new', amount = 12.5, n = 5000000000, updated_at = '2026-03-02 00:00:00' WHERE id = 1")
		r := s.run(t)
		if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "extra") && strings.Contains(w, "read NULL") }) {
			t.Errorf("nothing warns of the rows from before: %q", r.Warnings)
		}
		s.targetIs(t, "x.id, x.n, x.extra, x.amount", `"1" "5000000000" "new" "12.5`+s.zero()+`" `, `"2" "20" NULL NULL `, `"3" "30" NULL NULL `, `"4" "40" NULL NULL `, `"5" "50" "old" NULL `)

		s.from.exec(t, "ALTER TABLE orders DROP COLUMN note", "UPDATE orders SET updated_at = '2026-03-03 00:00:00' WHERE id = 2")
		s.run(t)
		s.targetIs(t, "x.id, x.note", `"1" NULL `, `"2" NULL `, `"3" "c" `, `"4" "d" `, `"5" NULL `) // row 1 was at the watermark
		if open := s.changes(t); len(open) != 0 {
			t.Errorf("changes are open: %v", open)
		}

		s.from.exec(t, "ALTER TABLE orders ADD COLUMN late int", "UPDATE orders SET late = 1, updated_at = '2026-03-04 00:00:00' WHERE id = 3")
		s.edit(t, "--drift", "freeze")
		s.command(t, exitFailed, "run", s.pipeline)
		s.edit(t, "--drift", "report")
		s.run(t)
		open := s.changes(t)
		if len(open) != 1 || open["column_added late"] == "" {
			t.Fatalf("open changes %v", open)
		}
		mustArus(t, s.dir, "drift", "apply", open["column_added late"])
		s.from.exec(t, "UPDATE orders SET updated_at = '2026-03-05 00:00:00' WHERE id = 3")
		s.run(t)
		s.targetIs(t, "x.id, x.late", `"1" NULL `, `"2" NULL `, `"3" "1" `, `"4" NULL `, `"5" NULL `)
	})
}

// zero is the last digit of 12.50 where the database prints it.
func (s *shop) zero() string {
	if s.to.q == "`" && strings.HasPrefix(s.to.url, "clickhouse") {
		return ""
	}
	return "0"
}

func TestAChangedKeyIsRefusedOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		drop := "ALTER TABLE orders DROP CONSTRAINT orders_pkey"
		if s.from.quote == "`" {
			drop = "ALTER TABLE orders DROP PRIMARY KEY"
		}
		s.from.exec(t, drop, "ALTER TABLE orders ADD PRIMARY KEY (id, n)", "UPDATE orders SET updated_at = '2026-03-02 00:00:00' WHERE id = 1")
		r := s.command(t, exitFailed, "run", s.pipeline)
		if !strings.Contains(r.Tables[0].Error, "full refresh") {
			t.Errorf("the error is %s", r.Tables[0].Error)
		}
		s.run(t, "--full-refresh")
		s.from.exec(t, "UPDATE orders SET note = 'z', updated_at = '2026-03-03 00:00:00' WHERE id = 1")
		s.run(t)
		s.targetIs(t, "x.id, x.note", `"1" "z" `, `"2" "b" `, `"3" "c" `, `"4" "d" `, `"5" NULL `)
	})
}
