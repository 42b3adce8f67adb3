package sqlite

import (
	"fmt"
	"strings"
	"testing"

	"arus/connectors"
	"arus/connectors/conformance"
	"arus/connectors/sqlite/lite"
)

// TestChunksOfWhateverAKeyHolds divides tables whose keys hold values of any class, spelling and collation, and wants
// every row once; only by one key, a new value of another class comes after the division.
func TestChunksOfWhateverAKeyHolds(t *testing.T) {
	t.Parallel()
	const n = 60
	mixed := func(i int) string {
		return []string{fmt.Sprint(i), fmt.Sprintf("%d.5", i), fmt.Sprintf("'t%d'", i), fmt.Sprintf("'%d'", i), fmt.Sprintf("x'%04x'", i)}[i%5]
	}
	for i, test := range []struct {
		name, key string
		value     func(i int) string
		divided   bool
	}{
		{"rowid", "k INTEGER PRIMARY KEY", func(i int) string { return fmt.Sprint(i*i*i - 1000) }, true},
		{"int", "k INT PRIMARY KEY NOT NULL", func(i int) string { return fmt.Sprint(int64(i) - 9_000_000_000_000_000_000) }, true},
		{"descending", "k INT NOT NULL, PRIMARY KEY (k DESC)", func(i int) string { return fmt.Sprint(i) }, true},
		{"mixed blob", "k BLOB PRIMARY KEY NOT NULL", mixed, false},
		{"mixed any", "k PRIMARY KEY NOT NULL", mixed, false},
		{"mixed int", "k INT PRIMARY KEY NOT NULL", mixed, false},
		{"mixed text", "k TEXT PRIMARY KEY NOT NULL", mixed, false},
		{"mixed numeric", "k NUMERIC PRIMARY KEY NOT NULL", mixed, false},
		{"nocase", "k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL", func(i int) string { return "'" + []string{"a", "B", "_", "ä", "Ä"}[i%5] + fmt.Sprint(i) + "'" }, true},
		{"rtrim", "k TEXT COLLATE RTRIM PRIMARY KEY NOT NULL", func(i int) string { return fmt.Sprintf("'%c%s'", 'A'+i, strings.Repeat(" ", i%3)) }, true},
		{"decimal", "k DECIMAL(10,2) PRIMARY KEY NOT NULL", func(i int) string { return fmt.Sprintf("%d.%02d", i/3, i%100) }, true},
		{"real", "k REAL PRIMARY KEY NOT NULL", func(i int) string { return fmt.Sprintf("%de-3", i*i) }, true},
		{"dates", "k DATETIME PRIMARY KEY NOT NULL", func(i int) string {
			return fmt.Sprintf("'2026-%02d-%02d%s10:%02d:00'", i%12+1, i%28+1, []string{" ", "T"}[i%2], i)
		}, true},
		{"uuids", "k UUID PRIMARY KEY NOT NULL", func(i int) string {
			u := fmt.Sprintf("%08x-0000-4000-8000-00000000abcd", i*i*7919)
			return "'" + []string{u, strings.ToUpper(u)}[i%2] + "'"
		}, true},
		{"uuid blobs", "k UUID PRIMARY KEY NOT NULL", func(i int) string { return fmt.Sprintf("x'%032x'", i) }, false},
		{"without rowid", "k TEXT, PRIMARY KEY (k)) WITHOUT ROWID --", func(i int) string { return fmt.Sprintf("'k%d'", i) }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path, c := database(t)
			head, tail, _ := strings.Cut(test.key, ") WITHOUT")
			create := "CREATE TABLE t (n INTEGER NOT NULL, " + head
			if tail != "" {
				create += ") WITHOUT" + tail
			} else {
				create += ")"
			}
			exec(t, c, create)
			for i := range n {
				exec(t, c, fmt.Sprintf("INSERT INTO t (n, k) VALUES (%d, %s)", i, test.value(i)))
			}
			s := open(t, path).(*Source)
			table := settled(t, s, "t")
			for _, size := range []int64{1, 4, 7} {
				ranges, err := s.Chunks(t.Context(), table, []string{"k"}, size)
				if err != nil {
					t.Fatal(err)
				}
				if test.divided && len(ranges) < 4 {
					t.Errorf("%d rows are divided into %d stretches of %d", n, len(ranges), size)
				}
				if i == 1 && size == 7 {
					exec(t, c, fmt.Sprintf("INSERT INTO t (n, k) VALUES (%d, 'late')", n))
				}
				seen := map[any]int{}
				number, _ := table.Column("n")
				for _, r := range ranges {
					rows, err := conformance.ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: []connectors.Column{number}, Range: &r})
					if err != nil {
						t.Fatal(err)
					}
					for _, row := range rows {
						seen[row[0]]++
					}
				}
				rows, err := conformance.ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: []connectors.Column{number}})
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows {
					if seen[row[0]] != 1 {
						t.Errorf("in stretches of %d, row %s is read %d times", size, row[0], seen[row[0]])
					}
				}
			}
		})
	}
}

// TestStretchesUseTheIndex asks SQLite how it reads a stretch.
func TestStretchesUseTheIndex(t *testing.T) {
	t.Parallel()
	path, c := database(t, "CREATE TABLE t (a TEXT COLLATE NOCASE NOT NULL, b INT NOT NULL, v TEXT, PRIMARY KEY (a, b))", "CREATE TABLE r (id INTEGER PRIMARY KEY, v TEXT)")
	s := open(t, path).(*Source)
	for name, k := range map[string]connectors.KeyRange{
		"t": {Columns: []string{"a", "b"}, From: []connectors.Bound{{Kind: connectors.Text, Text: "x"}, {Kind: connectors.Int64, Text: "1"}}, To: []connectors.Bound{{Kind: connectors.Text, Text: "y"}, {Kind: connectors.Int64, Text: "2"}}},
		"r": {Columns: []string{"id"}, From: []connectors.Bound{{Kind: connectors.Int64, Text: "1"}}, To: []connectors.Bound{{Kind: connectors.Int64, Text: "2"}}},
	} {
		table := settled(t, s, name)
		r, err := s.relation(t.Context(), c, table)
		if err != nil {
			t.Fatal(err)
		}
		sql, args, err := selectRows(r, connectors.ReadRequest{Table: table, Columns: table.Columns, Range: &k})
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		rows, err := c.Query(t.Context(), "EXPLAIN QUERY PLAN "+sql, args...)
		if err != nil {
			t.Fatal(err)
		}
		for row, ok := rows.Next(); ok; row, ok = rows.Next() {
			plan = append(plan, lite.String(row[3]))
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if len(plan) != 1 || !strings.HasPrefix(plan[0], "SEARCH") {
			t.Errorf("%s is read by %q", name, plan)
		}
	}
}
