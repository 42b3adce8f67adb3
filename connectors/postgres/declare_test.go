package postgres

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arus/connectors"
)

var update = flag.Bool("update", false, "write the golden files")

// declaredTrips is a fact table whose names and texts need quoting.
func declaredTrips() connectors.Declaration {
	column := func(name string, k connectors.Kind, nullable bool) connectors.DeclaredColumn {
		return connectors.DeclaredColumn{Column: connectors.Column{Name: name, Type: connectors.Type{Kind: k}, Nullable: nullable}}
	}
	d := connectors.Declaration{
		Target: connectors.TableRef{Schema: `ana"lytics`, Name: "trips"}, Key: []string{"id"}, Time: "ts", Sort: []string{"city", "status"}, Retention: 1,
		Columns: []connectors.DeclaredColumn{
			column("ts", connectors.Uint32, false), column("id", connectors.Int64, false), column("city", connectors.Uint16, true), column("status", connectors.Enum, true), column(`odd "name`, connectors.Float32, true),
		},
	}
	d.Columns[3].Type.Values, d.Columns[3].Default = []string{"new", "it's", `a\b`}, new("it's")
	return d
}

// TestDeclarations pins the statements of a table that is made and of one that is changed.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	d, opts := declaredTrips(), connectors.DeclareOptions{Now: time.Date(2026, 3, 4, 23, 59, 59, 0, time.UTC)}
	var b strings.Builder
	say := func(what string, statements []string) {
		b.WriteString("-- " + what + "\n" + strings.Join(statements, ";\n") + ";\n\n")
	}
	statements, err := createDeclared(d, opts)
	if err != nil {
		t.Fatal(err)
	}
	say("a fact table", statements)
	dim := d
	dim.Time, dim.Sort, dim.Key = "", nil, []string{"id", "city"}
	if statements, err = createDeclared(dim, opts); err != nil {
		t.Fatal(err)
	}
	say("a dimension table", statements)
	next := d
	next.Columns = append(next.Columns, connectors.DeclaredColumn{Column: connectors.Column{Name: "tip", Type: connectors.NewDecimal(10, 2), Nullable: true}, Default: new("1.50")})
	say("a column and cases more, one less, and the mark", alterDeclared(next, connectors.Difference{Add: []int{5}, Recase: []int{3}, Drop: []string{"city"}, Mark: true}))
	file := filepath.Join("testdata", "declare.sql")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the statements are\n%s", b.String())
	}
}

// TestDeclaredFactTables looks at what a declaration makes at a server, and that a load makes the days to come.
func TestDeclaredFactTables(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := declaredTrips()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	if _, err := f.dest.(connectors.Declarer).Declare(t.Context(), []connectors.Declaration{d}, connectors.DeclareOptions{Apply: true, Now: now}); err != nil {
		t.Fatal(err)
	}
	parts := func() string {
		return strings.Join(f.text(`SELECT replace(inhrelid::regclass::text, '"ana""lytics".', '') FROM pg_inherits WHERE inhparent = '"ana""lytics".trips'::regclass ORDER BY 1`), " ")
	}
	if got := parts(); got != "trips_default trips_p20260303 trips_p20260304 trips_p20260305 trips_p20260306 trips_p20260307 trips_p20260308 trips_p20260309 trips_p20260310 trips_p20260311" {
		t.Errorf("the partitions are %s", got)
	}
	for _, c := range []struct{ sql, want string }{
		{`SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '"ana""lytics".trips'::regclass AND contype = 'p'`, "PRIMARY KEY (id, ts)"},
		{`SELECT column_default FROM information_schema.columns WHERE table_name = 'trips' AND column_name = 'status'`, "'it''s'::text"},
	} {
		if got := f.text(c.sql); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %v, want %s", c.sql, got, c.want)
		}
	}
	if _, err := f.sql.Exec(t.Context(), `INSERT INTO "ana""lytics".trips (ts, id, status) VALUES (1, 1, 'other')`); err == nil || !strings.Contains(err.Error(), "trips_status_cases") {
		t.Errorf("another case: %v", err)
	}
	// Rows of a day without a partition lie in the default one, and go on lying there.
	f.exec(`INSERT INTO "ana""lytics".trips (ts, id) VALUES (extract(epoch FROM '2026-03-15 12:00:00+00'::timestamptz), 7)`)
	later := now.AddDate(0, 0, 5)
	req := connectors.LoadRequest{
		Target: d.Target, Columns: plainColumns(d.Columns[:2]), Key: d.Key, Mode: connectors.Merge, RunID: "0198f0a0-0000-7000-8000-000000000001", SyncedAt: later,
	}
	for range 2 {
		l, err := f.dest.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := parts(); !strings.HasSuffix(got, "trips_p20260311 trips_p20260312 trips_p20260313 trips_p20260314") {
		t.Errorf("after a load the partitions are %s", got)
	}
	if got := f.text(`SELECT tableoid::regclass::text, id FROM "ana""lytics".trips`); len(got) != 1 || !strings.HasSuffix(got[0], "trips_default|7") {
		t.Errorf("the rows are %v", got)
	}
}
