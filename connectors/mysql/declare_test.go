package mysql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"arus/connectors"
)

func declaredTrips(schema string) connectors.Declaration {
	column := func(name string, k connectors.Kind, nullable bool) connectors.DeclaredColumn {
		return connectors.DeclaredColumn{Column: connectors.Column{Name: name, Type: connectors.Type{Kind: k}, Nullable: nullable}}
	}
	d := connectors.Declaration{
		Target: connectors.TableRef{Schema: schema, Name: "trips"}, Key: []string{"id"}, Time: "ts", Sort: []string{"city", "status"}, Retention: 1,
		Columns: []connectors.DeclaredColumn{
			column("ts", connectors.Uint32, false), column("id", connectors.Int64, false), column("city", connectors.Uint16, true), column("status", connectors.Enum, true),
			column("odd `name", connectors.Float32, true), column("doc", connectors.JSON, true),
		},
	}
	d.Columns[3].Type.Values, d.Columns[3].Default = []string{"new", "it's", `a\b`}, new("it's")
	d.Columns[5].Default = new(`{"a":1}`)
	return d
}

// TestDeclarations pins the statements for servers at hand and not.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	for file, f := range map[string]flavour{"declare_mariadb10.sql": maria10, "declare_mysql8.sql": mysql8} {
		d := declaredTrips("ana`lytics")
		var b strings.Builder
		made := func(d connectors.Declaration) []declared {
			columns, err := f.declaredColumns(d)
			if err != nil {
				t.Fatal(err)
			}
			return columns
		}
		b.WriteString("-- a fact table\n" + f.createDeclared(d, made(d), connectors.DeclareOptions{Now: time.Date(2026, 3, 4, 23, 59, 59, 0, time.UTC)}) + ";\n\n")
		dim := d
		dim.Time, dim.Sort, dim.Key = "", nil, []string{"id", "city"}
		b.WriteString("-- a dimension table\n" + f.createDeclared(dim, made(dim), connectors.DeclareOptions{}) + ";\n\n")
		next := d
		next.Columns = append(next.Columns, connectors.DeclaredColumn{Column: connectors.Column{Name: "tip", Type: connectors.NewDecimal(10, 2), Nullable: true}, Default: new("1.50")})
		b.WriteString("-- a column and cases more, one less, and the mark\nALTER TABLE " + qualified(d.Target) + " " +
			strings.Join(alterClauses(next, connectors.Difference{Add: []int{6}, Recase: []int{3}, Drop: []string{"city"}, Mark: true}, made(next), map[string]string{"status": "trips_status_cases"}), ",\n  ") + ";\n")
		golden(t, file, b.String())
	}
}

// TestDeclaredFactTables looks at what a declaration makes at a server, and that a load makes the days to come.
func TestDeclaredFactTables(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	opened, err := NewMariaDB().OpenDestination(t.Context(), f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	d := declaredTrips(f.cfg.Database)
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	if _, err := opened.(connectors.Declarer).Declare(t.Context(), []connectors.Declaration{d}, connectors.DeclareOptions{Apply: true, Now: now}); err != nil {
		t.Fatal(err)
	}
	parts := func() string {
		return strings.Join(f.rows("SELECT PARTITION_NAME FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'trips' ORDER BY PARTITION_ORDINAL_POSITION"), " ")
	}
	if got := parts(); got != "p20260303 p20260304 p20260305 p20260306 p20260307 p20260308 p20260309 p20260310 p20260311 plater" {
		t.Errorf("the partitions are %s", got)
	}
	if _, err := f.db.ExecContext(t.Context(), "INSERT INTO trips (ts, id, status) VALUES (1, 1, 'other')"); err == nil || !strings.Contains(err.Error(), "trips_status_cases") {
		t.Errorf("another case: %v", err)
	}
	f.exec("INSERT INTO trips (ts, id) VALUES (UNIX_TIMESTAMP('2026-03-13 12:00:00'), 7), (1, 8), (4294967295, 9)")
	req := connectors.LoadRequest{
		Target: d.Target, Columns: []connectors.Column{d.Columns[0].Column, d.Columns[1].Column}, Key: d.Key, Mode: connectors.Merge, RunID: runOne, SyncedAt: now.AddDate(0, 0, 5),
	}
	for range 2 {
		l, err := opened.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := parts(); !strings.HasSuffix(got, "p20260311 p20260312 p20260313 p20260314 p20260315 p20260316 plater") {
		t.Errorf("after a load the partitions are %s", got)
	}
	if got := strings.Join(f.rows("SELECT id, status FROM trips PARTITION (p20260303, p20260313, plater) ORDER BY id"), " "); got != "7|it's 8|it's 9|it's" {
		t.Errorf("the rows are %s", got)
	}
}

// TestStagedRowsChangeTheirDay merges into a declared fact table by the staging table.
func TestStagedRowsChangeTheirDay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	opened, err := NewMariaDB().OpenDestination(t.Context(), f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	d := declaredTrips(f.cfg.Database)
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	if _, err := opened.(connectors.Declarer).Declare(t.Context(), []connectors.Declaration{d}, connectors.DeclareOptions{Apply: true, Now: now}); err != nil {
		t.Fatal(err)
	}
	columns := []connectors.Column{d.Columns[0].Column, d.Columns[1].Column, d.Columns[2].Column}
	for i, merge := range []struct {
		careful bool
		batches [][][]string
		want    string
	}{
		{false, [][][]string{{{"86400", "1", "5"}, {"86401", "2", "0"}, {"1772625600", "3", "7"}}}, "86400|1|5 86401|2|0 1772625600|3|7"},
		{false, [][][]string{{{"172800", "1", "6"}, {"86401", "2", "8"}}, {{"4294967295", "3", "9"}, {"259200", "1", "0"}, {"5", "4", "1"}}}, "259200|1|0 86401|2|8 4294967295|3|9 5|4|1"},
		{true, [][][]string{{{"1", "1", "1"}, {"2", "1", "2"}}, {{"3", "1", "3"}, {"86401", "2", "9"}}, {{"7", "5", "5"}}}, "3|1|3 86401|2|9 4294967295|3|9 5|4|1 7|5|5"},
	} {
		l, err := opened.Begin(t.Context(), connectors.LoadRequest{
			Target: d.Target, Columns: columns, Key: d.Key, Mode: connectors.Merge, RunID: runOne, SyncedAt: now, Careful: merge.careful, Again: i > 0,
			Raw: &connectors.RawTarget{Table: connectors.TableRef{Schema: d.Target.Schema, Name: "trips_raw"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for _, rows := range merge.batches {
			if err := l.Write(t.Context(), rowsBatch(t, columns, rows...)); err != nil {
				t.Fatal(err)
			}
			sent += len(rows)
		}
		result, err := l.Commit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if result.Rows != int64(sent) || result.RawRows != int64(sent) {
			t.Errorf("merge %d: %+v of %d rows", i, result, sent)
		}
		if got := strings.Join(f.rows("SELECT ts, id, city FROM trips ORDER BY id"), " "); got != merge.want {
			t.Errorf("after merge %d the rows are %s", i, got)
		}
		if got := strings.Join(f.rows("SELECT COUNT(*) FROM trips_raw"), " "); got != fmt.Sprint(sent) {
			t.Errorf("after merge %d there are %s staged rows of %d", i, got, sent)
		}
	}
}
