package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"arus/connectors"
)

// TestChunksOfOddTables divides what has an index of the key's order and leaves the rest whole; the stretches of the former
// read together are the table.
func TestChunksOfOddTables(t *testing.T) {
	t.Parallel()
	const rows = "FROM generate_series(1, 1000) n"
	for name, tt := range map[string]struct {
		setup string
		key   string
		whole bool
	}{
		"no index":           {"CREATE TABLE t (id int NOT NULL); INSERT INTO t SELECT n " + rows, "id", true},
		"partial index":      {"CREATE TABLE t (id int NOT NULL); CREATE UNIQUE INDEX ON t (id) WHERE id > 0; INSERT INTO t SELECT n " + rows, "id", true},
		"descending index":   {"CREATE TABLE t (id int NOT NULL); CREATE UNIQUE INDEX ON t (id DESC); INSERT INTO t SELECT n " + rows, "id", true},
		"another collation":  {`CREATE TABLE t (id text NOT NULL); CREATE UNIQUE INDEX ON t (id COLLATE "POSIX"); INSERT INTO t SELECT n ` + rows, "id", true},
		"another order":      {"CREATE TABLE t (id text NOT NULL); CREATE UNIQUE INDEX ON t (id text_pattern_ops); INSERT INTO t SELECT n " + rows, "id", true},
		"part of a key":      {"CREATE TABLE t (id int, b int, PRIMARY KEY (b, id)); INSERT INTO t SELECT n, n " + rows, "id", true},
		"view":               {"CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u SELECT n " + rows + "; CREATE VIEW t AS SELECT * FROM u", "id", true},
		"inheritance":        {"CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE c () INHERITS (t); INSERT INTO c SELECT n " + rows, "id", true},
		"jsonb":              {"CREATE TABLE t (id jsonb PRIMARY KEY); INSERT INTO t SELECT to_jsonb(n) " + rows, "id", true},
		"partitioned":        {"CREATE TABLE t (id int PRIMARY KEY) PARTITION BY HASH (id); CREATE TABLE a PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE b PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO t SELECT n " + rows, "id", false},
		"dense":              {"CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT n - 500 " + rows + "; ANALYZE t", "id", false},
		"dense at the edges": {"CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t SELECT 9223372036854775807 - n + 1 " + rows + "; ANALYZE t", "id", false},
		"sparse":             {"CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t SELECT n * (n % 2 * 2 - 1) * 9000000000000000 " + rows + "; ANALYZE t", "id", false},
		"char":               {"CREATE TABLE t (id char(8) PRIMARY KEY); INSERT INTO t SELECT n " + rows, "id", false},
		"unicode collation":  {`CREATE TABLE t (id varchar(20) COLLATE "en-x-icu" PRIMARY KEY); INSERT INTO t SELECT CASE n % 3 WHEN 0 THEN 'ä' WHEN 1 THEN 'a' ELSE 'Z' END || n ` + rows, "id", false},
		"bytes":              {`CREATE TABLE t (id bytea PRIMARY KEY); INSERT INTO t SELECT decode(md5(n::text), 'hex') ` + rows, "id", false},
		"dates":              {`CREATE TABLE t (id date PRIMARY KEY); INSERT INTO t SELECT date '0001-01-01' + n - 500 ` + rows + "; INSERT INTO t VALUES ('infinity'), ('-infinity')", "id", false},
		"numbers":            {`CREATE TABLE t (id numeric PRIMARY KEY); INSERT INTO t SELECT n * 1e30 ` + rows + "; INSERT INTO t VALUES ('NaN')", "id", false},
		"floats":             {`CREATE TABLE t (id real PRIMARY KEY); INSERT INTO t SELECT n / 7.0 ` + rows + "; INSERT INTO t VALUES ('NaN'), ('Infinity')", "id", false},
		"addresses":          {`CREATE TABLE t (id inet PRIMARY KEY); INSERT INTO t SELECT inet '10.0.0.0' + n ` + rows, "id", false},
		"equal keys":         {`CREATE TABLE t (id int NOT NULL); CREATE INDEX ON t (id); INSERT INTO t SELECT n / 300 ` + rows, "id", false},
		"wide index":         {`CREATE TABLE t (id int, b int, c int, PRIMARY KEY (id, b, c)); INSERT INTO t SELECT n / 90, n / 7, n ` + rows, "id,b", false},
		"enum":               {`CREATE TYPE mood AS ENUM ('z', 'a'); CREATE TABLE t (id mood, n int, PRIMARY KEY (id, n)); INSERT INTO t SELECT CASE WHEN n % 2 = 0 THEN 'z'::mood ELSE 'a' END, n ` + rows, "id,n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.exec(tt.setup)
			table := f.table("t")
			ranges, err := f.source.(*Source).Chunks(t.Context(), table, strings.Split(tt.key, ","), 100)
			if err != nil {
				t.Fatal(err)
			}
			if tt.whole != (len(ranges) == 1) {
				t.Errorf("%d stretches: %+v", len(ranges), ranges)
			}
			want, err := f.read(connectors.ReadRequest{Table: table, Columns: table.Columns})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range ranges {
				part, err := f.read(connectors.ReadRequest{Table: table, Columns: table.Columns, Range: &ranges[i]})
				if err != nil {
					t.Fatal(err)
				}
				if len(part) > 350 && !tt.whole {
					t.Errorf("stretch %d has %d rows", i, len(part))
				}
				got = append(got, part...)
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("the stretches have %d rows, the table %d", len(got), len(want))
			}
		})
	}
}

// TestChunksWalkTheIndex wants a plan without a sort and without a look at the table, however large the stretches are.
func TestChunksWalkTheIndex(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE t (a int, b text, v text, PRIMARY KEY (a, b)); INSERT INTO t SELECT n, n, repeat('x', 100) FROM generate_series(1, 20000) n")
	f.exec("VACUUM ANALYZE t")
	for _, rows := range []int64{10, 15000} {
		plan := strings.Join(f.text(byIndex+"EXPLAIN "+walkQuery(f.table("t"), []string{"a", "b"}, rows)+"SELECT * FROM w"), "\n")
		if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") || strings.Count(plan, "Index Only Scan") != 2 {
			t.Errorf("by %d rows:\n%s", rows, plan)
		}
	}
	if got := f.text("SHOW enable_sort"); got[0] != "on" {
		t.Error("a setting outlives the query")
	}
	_, err := f.source.(*Source).Chunks(t.Context(), f.table("t"), []string{"absent"}, 10)
	wantKind(t, err, connectors.KindNotFound, `"absent"`)
	_, err = f.read(connectors.ReadRequest{Table: f.table("t"), Columns: f.table("t").Columns, Range: &connectors.KeyRange{Columns: []string{"a"}, From: []connectors.Bound{{}, {}}}})
	wantKind(t, err, connectors.KindInvalid, fmt.Sprint(2))
}
