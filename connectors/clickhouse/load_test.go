package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

func idName() []connectors.Column {
	return []connectors.Column{column("id", connectors.Int64), nullable("name", connectors.Text)}
}

// TestLaterRowWins merges one key several times, in one load and in several,
// with a clock that goes back.
func TestLaterRowWins(t *testing.T) {
	t.Parallel()
	for _, raw := range []bool{false, true} {
		f := newFixture(t)
		req := f.request(connectors.Merge, "t", []string{"id"}, idName()...)
		if raw {
			req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: f.schema, Name: "raw"}}
		}
		for i := range 4 {
			req.SyncedAt = req.SyncedAt.Add(-time.Hour)
			f.load(req, []string{"1", fmt.Sprint("early ", i)}, []string{"2", null}, []string{"1", fmt.Sprint("late ", i)})
			want := [][]string{{"1", fmt.Sprint("late ", i)}, {"2", null}}
			if diff := cmp.Diff(want, f.read(req, "id")); diff != "" {
				t.Errorf("raw %v, load %d: %s", raw, i, diff)
			}
			view := f.texts("SELECT toString(id), ifNull(name, '" + null + "') FROM " + ident(f.schema) + ".t_current ORDER BY id")
			if diff := cmp.Diff(want, view); diff != "" {
				t.Errorf("raw %v, load %d, view: %s", raw, i, diff)
			}
		}
		if raw {
			got := f.texts("SELECT toString(count()), toString(uniq(_arus_id)), toString(max(_arus_id)), max(_arus_extracted), argMax(_data, _arus_id) FROM " + ident(f.schema) + ".raw")
			want := [][]string{{"12", "12", "12", "2024-05-06T06:08:09.123456Z", `{"id":1,"name":"late 3"}`}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// TestMetadata looks at the columns that every row gets.
func TestMetadata(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req := f.request(connectors.Merge, "t", []string{"id"}, idName()...)
	f.load(req, []string{"1", "a"}, []string{"2", "b"})
	got := f.texts("SELECT toString(_arus_run_id), _arus_synced_at, toString(_arus_version) FROM " + ident(f.schema) + ".t ORDER BY id")
	want := [][]string{{req.RunID, "2024-05-06T07:08:09.123456Z", "1714979289123456"}, {req.RunID, "2024-05-06T07:08:09.123456Z", "1714979289123457"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestManyBlocks loads more than one INSERT carries.
func TestManyBlocks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	columns := []connectors.Column{column("id", connectors.Int64), nullable("pad", connectors.Text)}
	for _, raw := range []bool{false, true} {
		req := f.request(connectors.Replace, fmt.Sprintf("t_%v", raw), []string{"id"}, columns...)
		if raw {
			req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: f.schema, Name: "raw"}}
		}
		l, err := f.dest.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		pad := strings.Repeat("x", 4<<10)
		const batches, size = 15, 1000
		for b := range batches {
			rows := make([][]string, size)
			for i := range rows {
				rows[i] = []string{fmt.Sprint(b*size + i), pad}
			}
			if err := l.Write(t.Context(), batch(t, columns, rows)); err != nil {
				t.Fatal(err)
			}
		}
		if result, err := l.Commit(t.Context()); err != nil || result.Rows != batches*size {
			t.Fatal(result, err)
		}
		got := f.texts("SELECT toString(count()), toString(uniqExact(id)), toString(sum(length(pad))), toString(uniqExact(_arus_version)) FROM " + qualified(req.Target))
		if diff := cmp.Diff([][]string{{"15000", "15000", fmt.Sprint(15000 * len(pad)), "15000"}}, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestLeftoversAreSwept plants what kills at every point of a load leave.
func TestLeftoversAreSwept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req := f.request(connectors.Replace, "t", []string{"id"}, idName()...)
	f.load(req, []string{"1", "kept"})
	ours := connectors.TableRef{Schema: f.schema, Name: shadowPrefix + targetHash(req.Target) + "_000000000000"}
	other := connectors.TableRef{Schema: f.schema, Name: shadowPrefix + targetHash(connectors.TableRef{Schema: f.schema, Name: "other"}) + "_000000000000"}
	plant := func() {
		for _, ref := range []connectors.TableRef{ours, other} {
			f.exec("CREATE TABLE IF NOT EXISTS " + qualified(ref) + " (a Int32) ENGINE = MergeTree ORDER BY a")
		}
	}
	check := func(what string, want [][]string) {
		t.Helper()
		if diff := cmp.Diff([]string{other.Name, "t", "t_current"}, f.tables()); diff != "" {
			t.Errorf("%s: tables: %s", what, diff)
		}
		if diff := cmp.Diff(want, f.read(req, "id")); diff != "" {
			t.Errorf("%s: rows: %s", what, diff)
		}
	}
	begin := func() {
		t.Helper()
		l, err := f.dest.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	plant()
	begin()
	check("killed before the swap", [][]string{{"1", "kept"}})

	plant() // between the renames of a swap
	f.exec("RENAME TABLE " + qualified(req.Target) + " TO " + qualified(oldTable(req.Target)))
	begin()
	check("killed within the swap", [][]string{{"1", "kept"}})

	plant() // after the swap, before the old table is dropped
	f.exec("CREATE TABLE " + qualified(oldTable(req.Target)) + " (a Int32) ENGINE = MergeTree ORDER BY a")
	begin()
	check("killed after the swap", [][]string{{"1", "kept"}})
}

// TestHalfASwapIsMended fails the swap after its first rename.
func TestHalfASwapIsMended(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req := f.request(connectors.Replace, "t", []string{"id"}, idName()...)
	f.load(req, []string{"1", "kept"})
	begun, err := f.dest.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	l := begun.(*load)
	f.exec("DROP TABLE " + qualified(l.shadow)) // so that its rename fails
	_, err = l.Commit(t.Context())
	if connectors.KindOf(err) != connectors.KindNotFound {
		t.Errorf("Commit: %v", err)
	}
	if diff := cmp.Diff([]string{"t", "t_current"}, f.tables()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"1", "kept"}}, f.read(req, "id")); diff != "" {
		t.Error(diff)
	}
}

// TestALostLockStopsTheCommit kills the query that is the lock.
func TestALostLockStopsTheCommit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req := f.request(connectors.Replace, "t", []string{"id"}, idName()...)
	l, err := f.dest.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	f.exec("KILL QUERY WHERE query_id = " + literal("arus-lock-"+targetHash(req.Target)) + " SYNC")
	waitFor(t, l.(*load).lock.lost.Load)
	if _, err = l.Commit(t.Context()); connectors.KindOf(err) != connectors.KindConflict {
		t.Errorf("Commit: %v", err)
	}
	if diff := cmp.Diff([]string(nil), f.tables()); diff != "" {
		t.Error(diff)
	}
}

// waitFor polls until it is so, or fails.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !so() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("it did not come to be")
		}
	}
}

// TestCancelKillsTheQuery looks on the server for a query whose context ended.
func TestCancelKillsTheQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	mark := "'" + f.schema + "' AS mark"
	count := func() string {
		return f.texts("SELECT toString(count()) FROM system.processes WHERE query LIKE '%sleepy%" + f.schema + "%' AND query NOT LIKE '%system.processes%'")[0][0]
	}
	ended := make(chan error, 1)
	go func() {
		ended <- f.dest.exec(ctx, "CREATE TABLE "+ident(f.schema)+".sleepy ENGINE = Memory AS SELECT sleep(1), "+mark+" FROM (SELECT number FROM system.numbers LIMIT 65536000)")
	}()
	waitFor(t, func() bool { return count() == "1" })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the query ended with %v", err)
	}
	waitFor(t, func() bool { return count() == "0" })
}

// TestReplaceWindow replaces by each kind of column that can bound one.
func TestReplaceWindow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind   connectors.Type
		values []string // ascending
	}{
		{connectors.Type{Kind: connectors.Int64}, []string{"-9223372036854775808", "-1", "0", "7", "9223372036854775807"}},
		{connectors.Type{Kind: connectors.Uint64}, []string{"0", "1", "2", "9223372036854775808", "18446744073709551615"}},
		{connectors.NewDecimal(12, 3), []string{"-1.500", "0.000", "0.001", "1.000", "999999999.999"}},
		{connectors.Type{Kind: connectors.Float64}, []string{"-Infinity", "-1.5", "0", "0.1", "Infinity"}},
		{connectors.Type{Kind: connectors.Text}, []string{"", "A", "a'\\", "b", "é😀"}},
		{connectors.Type{Kind: connectors.UUID}, []string{"00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002", "10000000-0000-0000-0000-000000000000", "a0000000-0000-0000-0000-000000000000", "ffffffff-0000-0000-0000-000000000000"}},
		{connectors.Type{Kind: connectors.Date}, []string{"-infinity", "0099-01-01", "2024-01-01", "10000-01-01", "infinity"}},
		{connectors.Type{Kind: connectors.Timestamp}, []string{"-infinity", "0099-01-01T00:00:00", "2024-01-01T00:00:00", "2024-01-01T00:00:00.5", "10000-01-01T00:00:00"}},
		{connectors.Type{Kind: connectors.TimestampTZ}, []string{"-infinity", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00.5Z", "infinity"}},
	} {
		t.Run(test.kind.Kind.String(), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			columns := []connectors.Column{{Name: "at 'x`", Type: test.kind, Nullable: true}, column("v", connectors.Text)}
			req := f.request(connectors.Replace, "t", nil, columns...)
			rows := [][]string{{null, "old"}, {null, "old"}}
			for _, v := range test.values {
				rows = append(rows, []string{v, "old"}, []string{v, "old"})
			}
			f.load(req, rows...)
			req.Mode = connectors.ReplaceWindow
			bound := func(i int) *connectors.Bound {
				return &connectors.Bound{Kind: test.kind.Kind, Text: test.values[i]}
			}
			for _, nulls := range []bool{false, true} {
				req.Window = &connectors.Window{Column: columns[0].Name, Lower: bound(1), Upper: bound(3), Nulls: nulls}
				for range 2 {
					f.load(req, []string{test.values[2], "new"})
					got := map[string]int{}
					for _, row := range f.read(req) {
						got[row[0]+"/"+row[1]]++
					}
					want := map[string]int{test.values[0] + "/old": 2, test.values[4] + "/old": 2, test.values[2] + "/new": 1}
					if !nulls {
						want[null+"/old"] = 2
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("nulls %v: %s", nulls, diff)
					}
				}
			}
			table := connectors.Table{TableRef: req.Target, Columns: columns}
			if got, ok, err := f.source.Max(t.Context(), table, columns[0].Name); err != nil || !ok || got.Text != test.values[4] {
				t.Errorf("Max = %+v, %v, %v", got, ok, err)
			}
		})
	}
}

// TestRefusals are loads that end before a row has travelled, or at the row.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.load(f.request(connectors.Replace, "t", []string{"id"}, idName()...), []string{"1", "a"})
	f.load(f.request(connectors.Replace, "strict", []string{"id"}, column("id", connectors.Int64), column("gone", connectors.Int32)), []string{"1", "2"})
	f.exec("CREATE VIEW " + ident(f.schema) + ".v AS SELECT 1 AS id")
	f.exec("CREATE TABLE " + ident(f.schema) + ".foreign (id Int64, name Nullable(String)) ENGINE = MergeTree ORDER BY id")
	f.exec("CREATE TABLE " + ident(f.schema) + ".rawish (id Int64) ENGINE = MergeTree ORDER BY id")
	f.exec("CREATE TABLE " + ident(f.schema) + ".logs (id Int64) ENGINE = Log")
	decimal := connectors.Column{Name: "d", Type: connectors.NewDecimal(10, 2), Nullable: true}
	for _, test := range []struct {
		name string
		req  connectors.LoadRequest
		row  []string
		kind connectors.ErrorKind
		says string
	}{
		{"nullable key", f.request(connectors.Replace, "n", []string{"name"}, idName()...), nil, connectors.KindConstraint, `"name"`},
		{"null in a key", f.request(connectors.Replace, "n", []string{"id"}, idName()...), []string{null, "x"}, connectors.KindConstraint, `"id"`},
		{"null in a strict column", f.request(connectors.Replace, "n", nil, column("x", connectors.Text)), []string{null}, connectors.KindConstraint, `"x"`},
		{"NaN", f.request(connectors.Replace, "n", nil, decimal), []string{"NaN"}, connectors.KindType, `"d"`},
		{"other key", f.request(connectors.Merge, "t", []string{"id", "name"}, column("id", connectors.Int64), column("name", connectors.Text)), nil, connectors.KindConstraint, "ordered by id, name"},
		{"missing column", f.request(connectors.Merge, "t", []string{"id"}, append(idName(), nullable("more", connectors.Float32))...), nil, connectors.KindNotFound, "ADD COLUMN `more` Nullable(Float32)"},
		{"other type", f.request(connectors.Merge, "t", []string{"id"}, column("id", connectors.Int64), nullable("name", connectors.Int32)), nil, connectors.KindType, `"name"`},
		{"narrower type", f.request(connectors.Merge, "t", []string{"id"}, column("id", connectors.Uint64), nullable("name", connectors.Text)), nil, connectors.KindType, `"id"`},
		{"column gone", f.request(connectors.Merge, "strict", []string{"id"}, column("id", connectors.Int64)), nil, connectors.KindConstraint, `"gone"`},
		{"a view", f.request(connectors.Replace, "v", nil, idName()...), nil, connectors.KindConflict, "View"},
		{"a log", f.request(connectors.Replace, "logs", nil, idName()...), nil, connectors.KindConflict, "Log"},
		{"a stranger's table", f.request(connectors.Merge, "foreign", []string{"id"}, idName()...), nil, connectors.KindNotFound, "_arus_run_id"},
		{"a stranger's staging table", withRaw(f.request(connectors.Replace, "n", nil, idName()...), "rawish"), nil, connectors.KindConflict, "_arus_id"},
		{"no key", f.request(connectors.Merge, "t", nil, idName()...), nil, connectors.KindInvalid, "key"},
		{"no window", f.request(connectors.ReplaceWindow, "t", nil, idName()...), nil, connectors.KindInvalid, "window"},
		{"metadata of one's own", f.request(connectors.Replace, "n", nil, column(metaVersion, connectors.Int64)), nil, connectors.KindInvalid, metaVersion},
		{"a column twice", f.request(connectors.Replace, "n", nil, column("a", connectors.Int64), column("a", connectors.Int64)), nil, connectors.KindInvalid, "twice"},
		{"a long name", f.request(connectors.Replace, strings.Repeat("n", 81), nil, idName()...), nil, connectors.KindInvalid, "longer"},
	} {
		before := f.tables()
		var rows [][]string
		if test.row != nil {
			rows = append(rows, test.row)
		}
		_, err := f.tryLoad(test.req, rows...)
		if connectors.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.req.Target.Name) {
			t.Errorf("%s: %v (kind %q), want kind %q and %q", test.name, err, connectors.KindOf(err), test.kind, test.says)
		}
		if diff := cmp.Diff(before, f.tables()); diff != "" {
			t.Errorf("%s: tables: %s", test.name, diff)
		}
	}
}

func withRaw(req connectors.LoadRequest, name string) connectors.LoadRequest {
	req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: req.Target.Schema, Name: name}}
	return req
}

// TestWideningMerge writes narrower kinds into wider columns, and leaves a
// nullable column that the source no longer has.
func TestWideningMerge(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	wide := []connectors.Column{column("id", connectors.Int64), column("u", connectors.Uint64), column("s", connectors.Int64), nullable("f", connectors.Float64), {Name: "d", Type: connectors.NewDecimal(30, 2)}, nullable("gone", connectors.Text)}
	req := f.request(connectors.Replace, "t", []string{"id"}, wide...)
	f.load(req, []string{"1", "1", "1", "1", "1.00", "x"})
	narrow := []connectors.Column{column("id", connectors.Int16), column("u", connectors.Uint8), column("s", connectors.Uint32), nullable("f", connectors.Float32), {Name: "d", Type: connectors.NewDecimal(5, 2)}}
	f.load(f.request(connectors.Merge, "t", []string{"id"}, narrow...), []string{"-2", "255", "4294967295", "0.5", "-123.45"}, []string{"3", "0", "0", null, "0.00"})
	want := [][]string{{"-2", "255", "4294967295", "0.5", "-123.45", null}, {"1", "1", "1", "1", "1.00", "x"}, {"3", "0", "0", null, "0.00", null}}
	if diff := cmp.Diff(want, f.read(req, "id")); diff != "" {
		t.Error(diff)
	}
}

// TestReplaceChangesShape gives the target other columns and another key; the
// view follows.
func TestReplaceChangesShape(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.load(f.request(connectors.Replace, "t", []string{"id"}, idName()...), []string{"1", "a"})
	shapes := []struct {
		key     []string
		columns []connectors.Column
		row     []string
	}{
		{[]string{"name", "id"}, []connectors.Column{column("name", connectors.Text), column("id", connectors.Int32)}, []string{"b", "2"}},
		{nil, []connectors.Column{column("name", connectors.Text), column("id", connectors.Int32)}, []string{"c", "3"}},
		{[]string{"only"}, []connectors.Column{column("only", connectors.Text)}, []string{"d"}},
	}
	for _, shape := range shapes {
		req := f.request(connectors.Replace, "t", shape.key, shape.columns...)
		f.load(req, shape.row, shape.row)
		rows := 1
		if shape.key == nil {
			rows = 2
		}
		if got := f.read(req); len(got) != rows || cmp.Diff(shape.row, got[0]) != "" {
			t.Errorf("%v: %v", shape.columns, got)
		}
		view := f.readRequest(connectors.ReadRequest{Table: connectors.Table{TableRef: currentView(req.Target)}, Columns: req.Columns})
		if len(view) != rows || cmp.Diff(shape.row, view[0]) != "" {
			t.Errorf("view: %v: %v", shape.columns, view)
		}
		table, _, err := f.dest.Table(t.Context(), req.Target)
		if err != nil || cmp.Diff(shape.key, table.PrimaryKey) != "" {
			t.Errorf("key %v, %v, want %v", table.PrimaryKey, err, shape.key)
		}
	}
	// A name that a view of current rows has taken is given up to a table.
	f.load(f.request(connectors.Replace, "t_current", []string{"id"}, idName()...), []string{"1", "a"})
	// And a stranger's object under the view's name stays.
	f.exec("CREATE TABLE " + ident(f.schema) + ".u_current (a Int32) ENGINE = Log")
	f.load(f.request(connectors.Replace, "u", []string{"id"}, idName()...), []string{"1", "a"})
	if diff := cmp.Diff([]string{"t", "t_current", "t_current_current", "u", "u_current"}, f.tables()); diff != "" {
		t.Error(diff)
	}
}

// TestPartitionedTarget merges into a table that somebody has partitioned.
func TestPartitionedTarget(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE " + ident(f.schema) + ".t (id Int64, name Nullable(String), _arus_run_id UUID, _arus_synced_at String COMMENT 'arus:{\"kind\":\"timestamptz\"}', _arus_version UInt64) " +
		"ENGINE = ReplacingMergeTree(_arus_version) PARTITION BY id % 3 ORDER BY id")
	req := f.request(connectors.Merge, "t", []string{"id"}, idName()...)
	var want [][]string
	for round := range 2 {
		want = nil
		for i := range 10 {
			want = append(want, []string{fmt.Sprint(i), fmt.Sprint(round)})
		}
		f.load(req, want...)
	}
	if diff := cmp.Diff(want, f.read(req, "id")); diff != "" {
		t.Error(diff)
	}
}

// TestLowCardinality writes into dictionary columns, which the server under
// test knows as an experiment.
func TestLowCardinality(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := ch.Context(t.Context(), ch.WithSettings(ch.Settings{"allow_experimental_low_cardinality_type": 1}))
	if err := f.dest.conn.Exec(ctx, "CREATE TABLE "+ident(f.schema)+".t (id Int64, a LowCardinality(String), b LowCardinality(Nullable(String))) ENGINE = MergeTree ORDER BY id"); err != nil {
		t.Fatal(err)
	}
	later := &db{dialect: dialect{version: version{19, 17}}, conn: f.dest.conn}
	columns := []connectors.Column{column("id", connectors.Int64), column("a", connectors.Enum), nullable("b", connectors.Enum)}
	w, err := later.newInserter(connectors.TableRef{Schema: f.schema, Name: "t"}, []native{{columns[0], "Int64"}, {columns[1], "LowCardinality(String)"}, {columns[2], "LowCardinality(Nullable(String))"}}, nil, insertBytes)
	if err != nil {
		t.Fatal(err)
	}
	w.stamp = func([]*encoder, uint64, int) {}
	rows := [][]string{{"1", "x", "y"}, {"2", "x", null}, {"3", "", ""}, {"4", "é", "x"}}
	if err := errors.Join(w.write(t.Context(), batch(t, columns, rows), 0), w.flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	w.close()
	var got [][]string
	err = f.dest.query(t.Context(), "SELECT id, toString(a), CAST(b AS Nullable(String)) FROM "+ident(f.schema)+".t ORDER BY id", func(r driver.Rows) error {
		var id int64
		var a string
		var b *string
		err := r.Scan(&id, &a, &b)
		row := []string{fmt.Sprint(id), a, null}
		if b != nil {
			row[2] = *b
		}
		got = append(got, row)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Error(diff)
	}
}
