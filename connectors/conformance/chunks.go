package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"arus/connectors"
)

// chunker gives the source's ability to divide tables; a source without it has no ranges to read either.
func chunker(t testing.TB, s connectors.Source) connectors.Chunker {
	t.Helper()
	c, ok := s.(connectors.Chunker)
	if !ok {
		t.Skip("SKIPPED: the source divides no tables")
	}
	return c
}

// keyed are tables of n rows with keys of each kind that a table is divided by; the last column numbers the rows.
func keyed(n int) map[string]struct {
	columns []connectors.Column
	key     []string
	rows    [][]any
} {
	texts := []string{"a", "A", "ä", "Ä", "a ", "a  ", "B", "b", "ß", "ss", "é", "e", "É", "z", "Z", "%", "_", "'", `\`, "", " ", "日本", "😀", "a\tb"}
	column := func(name string, t connectors.Type) connectors.Column { return connectors.Column{Name: name, Type: t} }
	single := map[string]struct {
		t     connectors.Type
		value func(i int) string
	}{
		"int":     {connectors.Type{Kind: connectors.Int64}, func(i int) string { return fmt.Sprint(i*7 - 900) }},
		"gap":     {connectors.Type{Kind: connectors.Int64}, func(i int) string { return fmt.Sprint(int64(i) + int64(i/(n/2))*4_000_000_000_000) }},
		"uuid":    {connectors.Type{Kind: connectors.UUID}, func(i int) string { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.Itoa(i))).String() }},
		"text":    {connectors.Type{Kind: connectors.Text, Length: 20}, func(i int) string { return texts[i%len(texts)] + fmt.Sprint(i/len(texts)) + texts[i%7] }},
		"decimal": {connectors.NewDecimal(12, 2), func(i int) string { return fmt.Sprintf("%d.%02d", i*37/100, i*37%100) }},
		"timestmp": {connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}, func(i int) string {
			return fmt.Sprintf("20%02d-%02d-%02dT23:%02d:00.125Z", i/300, i%12+1, i/12%25+1, i%60)
		}},
	}
	tables := map[string]struct {
		columns []connectors.Column
		key     []string
		rows    [][]any
	}{}
	number := column("n", connectors.Type{Kind: connectors.Int64})
	for name, k := range single {
		table := tables[name]
		table.columns, table.key = []connectors.Column{column("id", k.t), number}, []string{"id"}
		for i := range n {
			table.rows = append(table.rows, []any{k.value(i), fmt.Sprint(i)})
		}
		tables[name] = table
	}
	both := tables["both"]
	both.columns, both.key = []connectors.Column{column("a", single["int"].t), column("b", single["text"].t), number}, []string{"a", "b"}
	for i := range n {
		both.rows = append(both.rows, []any{fmt.Sprint(i * i / 4000), single["text"].value(i), fmt.Sprint(i)})
	}
	tables["both"] = both
	return tables
}

// chunksCoverTheTable wants the ranges of every key, read together, to give each row once.
func chunksCoverTheTable(t *testing.T, h *Harness) {
	const n, size = 500, 100
	s := h.source(t)
	c := chunker(t, s)
	order := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same order each time
	for name, made := range keyed(n) {
		rows := slices.Clone(made.rows)
		order.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		table := h.make(t, s, "t_"+name, made.columns, made.key, rows)
		ranges, err := c.Chunks(t.Context(), table, table.PrimaryKey, size)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		follow(t, name, ranges, table.PrimaryKey)
		if len(ranges) < 2 || len(ranges) > 5*n/size {
			t.Errorf("%s: %d rows are divided into %d stretches of about %d", name, n, len(ranges), size)
		}
		seen := map[any]int{}
		for i, r := range ranges {
			got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: h.columnsOf(t, table, "n"), Range: &r})
			if err != nil {
				t.Fatalf("%s, %+v: %v", name, r, err)
			}
			if len(got) > 3*size {
				t.Errorf("%s: stretch %d of %d has %d rows, want about %d", name, i, len(ranges), len(got), size)
			}
			for _, row := range got {
				seen[row[0]]++
			}
		}
		for i := range n {
			if times := seen[fmt.Sprint(i)]; times != 1 {
				t.Errorf("%s: the row %q is read %d times", name, made.rows[i], times)
			}
		}
		whole, err := c.Chunks(t.Context(), table, table.PrimaryKey, 10*n)
		if err != nil || len(whole) != 1 || whole[0].From != nil || whole[0].To != nil {
			t.Errorf("%s: a table smaller than a stretch is divided into %+v, %v", name, whole, err)
		}
	}
	table := h.make(t, s, "few", idText(), []string{"id"}, counted(1, "x"))
	if ranges, err := c.Chunks(t.Context(), table, table.PrimaryKey, 1); err != nil || len(ranges) > 2 {
		t.Errorf("a table of one row is divided into %+v, %v", ranges, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Chunks(ctx, table, table.PrimaryKey, size); err == nil {
		t.Error("a cancelled division succeeds")
	}
}

// follow wants stretches without a gap.
func follow(t testing.TB, name string, ranges []connectors.KeyRange, key []string) {
	t.Helper()
	for i, r := range ranges {
		if diff := cmp.Diff(key, r.Columns); diff != "" {
			t.Errorf("%s: a stretch is over other columns than the key's (-want +got):\n%s", name, diff)
		}
		if i == 0 && r.From != nil || i == len(ranges)-1 && r.To != nil {
			t.Errorf("%s: the stretch %d of %d, %+v, leaves rows out", name, i, len(ranges), r)
		}
		if i > 0 && cmp.Diff(ranges[i-1].To, r.From) != "" {
			t.Errorf("%s: the stretches %+v and %+v do not meet", name, ranges[i-1], r)
		}
	}
}

// rangesMeetWindows reads rows that lie in a range of the key and in a window.
func rangesMeetWindows(t *testing.T, h *Harness) {
	s := h.source(t)
	chunker(t, s)
	columns := []connectors.Column{column("a", connectors.Int64), column("b", connectors.Text), column("w", connectors.Int64), column("n", connectors.Int64)}
	columns[0].Nullable, columns[1].Nullable, columns[1].Type.Length = false, false, 10
	var rows [][]any
	for i := range 100 {
		row := []any{fmt.Sprint(i / 10), string(rune('a' + i%10)), fmt.Sprint(i % 7), fmt.Sprintf("%d", i)}
		if i%9 == 0 {
			row[2] = nil
		}
		rows = append(rows, row)
	}
	table := h.make(t, s, "t", columns, []string{"a", "b"}, rows)
	bounds := func(i int) []connectors.Bound {
		a, _ := table.Column("a")
		b, _ := table.Column("b")
		return []connectors.Bound{{Kind: a.Type.Kind, Text: rows[i][0].(string)}, {Kind: b.Type.Kind, Text: rows[i][1].(string)}}
	}
	w, _ := table.Column("w")
	two, five := &connectors.Bound{Kind: w.Type.Kind, Text: "2"}, &connectors.Bound{Kind: w.Type.Kind, Text: "5"}
	for _, window := range []*connectors.Window{nil, {Column: "w", Lower: two, Upper: five}, {Column: "w", Lower: two, Nulls: true}, {Column: "w", Upper: five}, {Column: "w", Nulls: true}} {
		for _, at := range [][2]int{{-1, -1}, {-1, 37}, {37, -1}, {20, 80}, {33, 38}, {33, 66}, {40, 41}, {50, 50}} {
			r := connectors.KeyRange{Columns: []string{"a", "b"}}
			if at[0] >= 0 {
				r.From = bounds(at[0])
			}
			if at[1] >= 0 {
				r.To = bounds(at[1])
			}
			want := [][]any{}
			for i, row := range rows {
				in := i >= at[0] && (at[1] < 0 || i < at[1])
				if window != nil && row[2] == nil {
					in = in && window.Nulls
				} else if window != nil {
					v := row[2].(string)
					in = in && (window.Lower == nil || v >= "2") && (window.Upper == nil || v <= "5")
				}
				if in {
					want = append(want, row[3:])
				}
			}
			got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: h.columnsOf(t, table, "n"), Window: window, Range: &r, OrderBy: []string{"n"}})
			if err != nil {
				t.Fatalf("%+v, %+v: %v", window, r, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("window %+v, rows %v (-want +got):\n%s", window, at, diff)
			}
		}
	}
}

// windowsWithOr reads rows of which any of several columns lies in the window.
func windowsWithOr(t *testing.T, h *Harness) {
	s := h.source(t)
	columns := []connectors.Column{idText()[0], column("updated", connectors.TimestampTZ), column("deleted", connectors.TimestampTZ), column("moved", connectors.TimestampTZ)}
	at := func(day int) any {
		if day == 0 {
			return nil
		}
		return fmt.Sprintf("2026-01-%02dT00:00:00.5Z", day)
	}
	days := [][3]int{{1, 0, 0}, {5, 0, 0}, {9, 0, 0}, {1, 5, 0}, {9, 5, 0}, {9, 1, 0}, {0, 5, 0}, {0, 1, 0}, {0, 0, 0}, {1, 1, 5}, {5, 5, 5}, {9, 1, 9}, {3, 9, 0}, {7, 1, 0}, {2, 8, 1}}
	var rows [][]any
	for i, d := range days {
		rows = append(rows, []any{fmt.Sprintf("%d", i), at(d[0]), at(d[1]), at(d[2])})
	}
	table := h.make(t, s, "t", columns, []string{"id"}, rows)
	updated, _ := table.Column("updated")
	bound := func(day int) *connectors.Bound {
		if day == 0 {
			return nil
		}
		return &connectors.Bound{Kind: updated.Type.Kind, Text: boundText(updated, at(day).(string))}
	}
	for _, or := range [][]string{nil, {"deleted"}, {"deleted", "moved"}} {
		for _, span := range [][2]int{{3, 7}, {5, 0}, {0, 5}, {5, 5}} {
			for _, nulls := range []bool{false, true} {
				want := [][]any{}
				for i, d := range days {
					in := nulls && d[0] == 0
					for c := range 1 + len(or) {
						in = in || d[c] != 0 && d[c] >= span[0] && (span[1] == 0 || d[c] <= span[1])
					}
					if in {
						want = append(want, rows[i][:1])
					}
				}
				w := &connectors.Window{Column: "updated", Lower: bound(span[0]), Upper: bound(span[1]), Nulls: nulls, Or: or}
				got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: h.columnsOf(t, table, "id"), Window: w, OrderBy: []string{"id"}})
				if err != nil {
					t.Fatalf("%+v: %v", w, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("days %v, or %v, nulls %v (-want +got):\n%s", span, or, nulls, diff)
				}
			}
		}
	}
}
