package mysql

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
	"arus/testdata/servers"
)

var people = cols("id", connectors.Int64, "name", connectors.Text)

func TestMergeUpsertsAndTheLastOfTwoRowsWins(t *testing.T) {
	t.Parallel()
	paths(t, func(t *testing.T, f *fixture, raw bool) {
		d := f.destination()
		req := connectors.LoadRequest{Target: f.ref("people"), Columns: people, Key: []string{"id"}, Mode: connectors.Merge, Raw: f.rawTarget(raw)}
		for _, step := range []struct {
			rows [][]string
			want []string
		}{
			{[][]string{{"1", "a"}, {"2", "first"}, {"2", "last"}}, []string{"1|a", "2|last"}},
			{[][]string{{"2", "NULL"}, {"3", "x"}, {"3", "y"}}, []string{"1|a", "2|NULL", "3|y"}},
			{nil, []string{"1|a", "2|NULL", "3|y"}},
		} {
			var batches []arrow.RecordBatch
			for _, r := range step.rows {
				batches = append(batches, rowsBatch(t, people, r))
			}
			res, err := runLoad(t.Context(), d, req, batches...)
			if err != nil {
				t.Fatal(err)
			}
			if res.Rows != int64(len(step.rows)) || raw && res.RawRows != res.Rows {
				t.Errorf("result: got %+v for %d rows", res, len(step.rows))
			}
			if diff := cmp.Diff(step.want, f.rows("SELECT id, name FROM people ORDER BY id")); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		}
		if raw {
			want := []string{"6|" + runOne + "|2026-03-04 05:06:07.890123"}
			if diff := cmp.Diff(want, f.rows("SELECT COUNT(*), MAX(_arus_run_id), MAX(_arus_extracted) FROM shop_t_raw")); diff != "" {
				t.Errorf("staging (-want +got):\n%s", diff)
			}
		}
	})
}

func TestMergeOfKeysOnlyStillUpdatesTheMetadata(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.destination()
	columns := cols("a", connectors.Int32, "b", connectors.Type{Kind: connectors.Text, Length: 10})
	req := connectors.LoadRequest{Target: f.ref("t"), Columns: columns, Key: []string{"a", "b"}, Mode: connectors.Merge}
	for _, run := range []string{runOne, runTwo} {
		req.RunID = run
		if _, err := runLoad(t.Context(), d, req, rowsBatch(t, columns, []string{"1", "x"})); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"1|x|" + runTwo + "|2026-03-04 05:06:07.890123"}
	if diff := cmp.Diff(want, f.rows("SELECT * FROM t")); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestKeysThatDifferInCaseOrBlanksStayDistinct(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	columns := cols("k", connectors.Text, "v", connectors.Int32)
	rows := [][]string{{"a", "1"}, {"A", "2"}, {"a ", "3"}, {"ä", "4"}, {"", "5"}, {" ", "6"}, {strings.Repeat("😀", 768), "7"}}
	_, err := runLoad(t.Context(), f.destination(), connectors.LoadRequest{Target: f.ref("t"), Columns: columns, Key: []string{"k"}, Mode: connectors.Merge}, rowsBatch(t, columns, rows...))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.rows("SELECT COUNT(*) FROM t"); got[0] != "7" {
		t.Errorf("got %s rows, want 7", got[0])
	}
	_, err = runLoad(t.Context(), f.destination(), connectors.LoadRequest{Target: f.ref("t"), Columns: columns, Key: []string{"k"}, Mode: connectors.Merge},
		rowsBatch(t, columns, []string{strings.Repeat("x", 769), "8"}))
	wantKind(t, err, connectors.KindType, "'k'")
}

func TestReplaceWindowReplacesTheWindowOnly(t *testing.T) {
	t.Parallel()
	paths(t, func(t *testing.T, f *fixture, raw bool) {
		d := f.destination()
		columns := cols("at", connectors.Timestamp, "v", connectors.Text)
		req := connectors.LoadRequest{Target: f.ref("t"), Columns: columns, Mode: connectors.ReplaceWindow, Raw: f.rawTarget(raw), Window: &connectors.Window{Column: "at", Nulls: true}}
		if _, err := runLoad(t.Context(), d, req, rowsBatch(t, columns, []string{"2026-01-01", "a"}, []string{"2026-01-02T00:00:00.000001", "b"},
			[]string{"2026-01-03", "c"}, []string{"NULL", "n"})); err != nil {
			t.Fatal(err)
		}
		req.Window = &connectors.Window{
			Column: "at", Lower: &connectors.Bound{Kind: connectors.Timestamp, Text: "2026-01-02T00:00:00.000001"},
			Upper: &connectors.Bound{Kind: connectors.Timestamp, Text: "2026-01-03T00:00:00"},
		}
		if _, err := runLoad(t.Context(), d, req, rowsBatch(t, columns, []string{"2026-01-02T12:00:00", "B"})); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "B", "n"}, f.rows("SELECT v FROM t ORDER BY at IS NULL, at")); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		req.Window.Nulls = true
		if _, err := runLoad(t.Context(), d, req); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a"}, f.rows("SELECT v FROM t")); diff != "" {
			t.Errorf("rows with nulls (-want +got):\n%s", diff)
		}
	})
}

func TestReplaceIsNeverSeenEmptyOrHalf(t *testing.T) {
	t.Parallel()
	paths(t, func(t *testing.T, f *fixture, raw bool) {
		const rows = 2000
		d := f.destination()
		var data [][]string
		for i := range rows {
			data = append(data, []string{fmt.Sprint(i), "x"})
		}
		req := connectors.LoadRequest{Target: f.ref("t"), Columns: people, Key: []string{"id"}, Mode: connectors.Replace, Raw: f.rawTarget(raw)}
		replace := func() {
			if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, data...)); err != nil {
				t.Error(err)
			}
		}
		replace()
		done := make(chan struct{})
		var reader sync.WaitGroup
		reader.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				var n int
				if err := f.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n); err != nil || n != rows {
					t.Errorf("a reader saw %d rows, error %v", n, err)
					return
				}
			}
		})
		for range 4 {
			replace()
		}
		close(done)
		reader.Wait()
		if left := f.rows("SHOW TABLES LIKE '%arus%'"); len(left) > 0 {
			t.Errorf("left behind: %s", left)
		}
	})
}

func TestAbortLeavesTheTargetAndNothingElse(t *testing.T) {
	t.Parallel()
	paths(t, func(t *testing.T, f *fixture, raw bool) {
		for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.ReplaceWindow} {
			for _, how := range []string{"abort", "lost session", "lost before commit"} {
				f.exec("DROP TABLE IF EXISTS t, shop_t_raw")
				d := f.destination()
				req := connectors.LoadRequest{
					Target: f.ref("t"), Columns: people, Key: []string{"id"}, Mode: mode, Raw: f.rawTarget(raw), RunID: runOne, SyncedAt: syncedAt,
					Window: &connectors.Window{Column: "id"},
				}
				if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"1", "old"})); err != nil {
					t.Fatal(err)
				}
				req.RunID = runTwo
				l, err := d.Begin(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if err := l.Write(t.Context(), rowsBatch(t, people, []string{"1", "new"}, []string{"2", "new"})); err != nil {
					t.Fatal(err)
				}
				if how != "abort" {
					f.exec("KILL CONNECTION " + l.(*load).ss.id)
				}
				if how == "lost before commit" {
					if _, err := l.Commit(t.Context()); err == nil || !connectors.Retryable(err) {
						t.Errorf("%s: commit on a lost session: %v", mode, err)
					}
				} else if err := l.Abort(); err != nil {
					t.Errorf("%s, %s: %v", mode, how, err)
				}
				if diff := cmp.Diff([]string{"1|old|" + runOne}, f.rows("SELECT id, name, _arus_run_id FROM t")); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", mode, how, diff)
				}
				want := []string{"t"}
				if raw {
					want = []string{"shop_t_raw", "t"}
					if staged := f.rows("SELECT DISTINCT _arus_run_id FROM shop_t_raw"); len(staged) != 1 || staged[0] != runOne {
						t.Errorf("%s, %s: staged runs %s", mode, how, staged)
					}
				}
				if diff := cmp.Diff(want, f.rows("SHOW TABLES")); diff != "" {
					t.Errorf("%s, %s: tables (-want +got):\n%s", mode, how, diff)
				}
				if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"1", "next"})); err != nil {
					t.Errorf("%s, %s: the next load: %v", mode, how, err)
				}
			}
		}
	})
}

func TestBeginSweepsWhatAKilledLoadLeft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.destination()
	req := connectors.LoadRequest{Target: f.ref("t"), Columns: people, Key: []string{"id"}, Mode: connectors.Replace, Raw: f.rawTarget(true), RunID: runOne, SyncedAt: syncedAt}
	if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"1", "old"})); err != nil {
		t.Fatal(err)
	}
	// As after a kill between the commit of shadow and staging and the swap.
	l := &load{d: d.(*destination), target: f.ref("t")}
	l.name()
	f.exec("CREATE TABLE "+qualified(l.shadow)+" LIKE t", "CREATE TABLE "+qualified(l.old)+" LIKE t",
		"INSERT INTO "+qualified(l.shadow)+" (id, _arus_run_id) VALUES (1, '"+runTwo+"')",
		"INSERT INTO shop_t_raw (_arus_run_id, _arus_extracted, _data) VALUES ('"+runTwo+"', NOW(), '{\"id\":1}')")
	begun, err := d.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if staged := f.rows("SELECT _arus_run_id FROM shop_t_raw"); len(staged) != 1 || staged[0] != runOne {
		t.Errorf("staged runs: %s", staged)
	}
	if err := begun.Abort(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"shop_t_raw", "t"}, f.rows("SHOW TABLES")); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

func TestTwoLoadsOfOneTargetConflict(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.destination()
	req := connectors.LoadRequest{Target: f.ref("t"), Columns: people, Mode: connectors.Replace, RunID: runOne, SyncedAt: syncedAt, LockWait: 50 * time.Millisecond}
	first, err := d.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Write(t.Context(), rowsBatch(t, people, []string{"1", "x"})); err != nil {
		t.Fatal(err)
	}
	_, err = f.destination().Begin(t.Context(), req)
	wantKind(t, err, connectors.KindConflict, f.cfg.Database+".t", "another load")
	other := req
	other.Target = f.ref("u")
	if _, err := runLoad(t.Context(), d, other); err != nil {
		t.Errorf("another target: %v", err)
	}
	if _, err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := runLoad(t.Context(), d, req); err != nil {
		t.Errorf("after the first ended: %v", err)
	}
}

// TestTypesOfOtherDatabases are those that MySQL has not: they come back as
// they were by Table, and their values by text.
func TestTypesOfOtherDatabases(t *testing.T) {
	t.Parallel()
	columns := cols("id", connectors.Int32, "b", connectors.Bool, "n", connectors.Numeric, "big", connectors.Type{Kind: connectors.Decimal, Precision: 70, Scale: 35},
		"tz", connectors.TimestampTZ, "iv", connectors.Interval, "u", connectors.UUID, "j", connectors.Type{Kind: connectors.JSON, Parsed: true}, "jt", connectors.JSON,
		"ar", connectors.Type{Kind: connectors.Array, Elem: &connectors.Type{Kind: connectors.Int32}}, "tm", connectors.Time,
		"e", connectors.Type{Kind: connectors.Enum, Values: []string{"a", "b ", ""}}, "long", connectors.Type{Kind: connectors.Text, Length: 9000})
	columns[0].Nullable = false
	row := []string{
		"1", "true", "NaN", "12345678901234567890123456789012345.12345678901234567890123456789012345", "2026-01-02T03:04:05.000006Z", "P1Y2M",
		"01234567-89ab-cdef-0123-456789abcdef", `{"a":  [1,2]}`, `{"a":  [1,2]}`, "[1, 2, null]", "24:00:00", "b ", "l",
	}
	empty := []string{"2", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL"}
	paths(t, func(t *testing.T, f *fixture, raw bool) {
		d := f.destination()
		req := connectors.LoadRequest{Target: connectors.TableRef{Schema: f.cfg.Database, Name: "t"}, Columns: columns, Key: []string{"id"}, Mode: connectors.Merge, Raw: f.rawTarget(raw)}
		for range 2 {
			if _, err := runLoad(t.Context(), d, req, rowsBatch(t, columns, row, empty)); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			"1|1|NaN|" + row[3] + "|2026-01-02 03:04:05.000006|P1Y2M|" + row[6] + "|" + row[7] + "|" + row[8] + "|" + row[9] + "|24:00:00.000000|b |l",
			"2" + strings.Repeat("|NULL", 12),
		}
		if diff := cmp.Diff(want, f.rows("SELECT "+connectors.QuoteList(connectors.ColumnNames(columns), '`')+" FROM t ORDER BY id")); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		got, ok, err := d.Table(t.Context(), req.Target)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		for i, c := range got.Columns {
			w := columns[i].Type
			if w.Kind == connectors.Enum {
				w = connectors.Type{Kind: connectors.Text, Length: 255}
			}
			if c.Type.String() != w.String() || c.Type.Parsed != w.Parsed || c.Nullable != (i > 0) {
				t.Errorf("column %s: got %s parsed=%v nullable=%v, want %s parsed=%v", c.Name, c.Type, c.Type.Parsed, c.Nullable, w, w.Parsed)
			}
		}
		if diff := cmp.Diff([]string{"id"}, got.PrimaryKey); diff != "" {
			t.Errorf("key (-want +got):\n%s", diff)
		}
	})
}

func TestValuesWithoutAPlaceAreRefused(t *testing.T) {
	t.Parallel()
	paths(t, func(t *testing.T, f *fixture, raw bool) {
		for _, tt := range []struct {
			typ   any
			value string
		}{
			{connectors.Float64, "NaN"},
			{connectors.Float64, "+Inf"},
			{connectors.Float32, "-Inf"},
			{connectors.Type{Kind: connectors.Decimal, Precision: 10, Scale: 2}, "NaN"},
			{connectors.Type{Kind: connectors.Decimal, Precision: 50, Scale: 2}, "NaN"},
			{connectors.Date, "infinity"},
			{connectors.Date, "-infinity"},
			{connectors.Date, "10000-01-01"},
			{connectors.Date, "-0001-12-31"},
			{connectors.Timestamp, "infinity"},
			{connectors.TimestampTZ, "-infinity"},
			{connectors.Timestamp, "10000-01-01T00:00:00"},
			{connectors.Timestamp, "-0001-12-31T23:59:59.999999"},
			{connectors.Type{Kind: connectors.Time, Wide: true}, "839:00:00"},
			{connectors.Type{Kind: connectors.Enum, Values: []string{"a"}}, "b"},
			{connectors.Type{Kind: connectors.Text, Length: 3}, "abcd"},
			{connectors.Type{Kind: connectors.Text, Length: 3, Fixed: true}, "abcd"},
			{connectors.Type{Kind: connectors.Bytes, Length: 3}, "abcd"},
			{connectors.JSON, "{bad"},
		} {
			columns := cols("id", connectors.Int32, "odd", tt.typ)
			_, err := runLoad(t.Context(), f.destination(), connectors.LoadRequest{Target: f.ref("t"), Columns: columns, Mode: connectors.Replace, Raw: f.rawTarget(raw)},
				rowsBatch(t, columns, []string{"1", tt.value}))
			if err == nil {
				t.Errorf("%v %s was taken: %s", tt.typ, tt.value, f.rows("SELECT odd FROM t"))
				f.exec("DROP TABLE t")
				continue
			}
			if strings.HasPrefix(tt.value, "{") {
				continue // MariaDB's JSON is a CHECK constraint
			}
			wantKind(t, err, connectors.KindType, "odd")
		}
	})
}

func TestDuplicateKeysOfAFullCopyAreAConstraint(t *testing.T) {
	t.Parallel()
	paths(t, func(t *testing.T, f *fixture, raw bool) {
		_, err := runLoad(t.Context(), f.destination(), connectors.LoadRequest{Target: f.ref("t"), Columns: people, Key: []string{"id"}, Mode: connectors.Replace, Raw: f.rawTarget(raw)},
			rowsBatch(t, people, []string{"1", "a"}, []string{"1", "b"}))
		wantKind(t, err, connectors.KindConstraint, "PRIMARY")
		_, err = runLoad(t.Context(), f.destination(), connectors.LoadRequest{Target: f.ref("t"), Columns: people, Key: []string{"id"}, Mode: connectors.Replace, Raw: f.rawTarget(raw)},
			rowsBatch(t, people, []string{"NULL", "a"}))
		wantKind(t, err, connectors.KindConstraint, "id")
	})
}

func TestTargetsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	const meta = ", _arus_run_id char(36) NOT NULL, _arus_synced_at datetime(6) NOT NULL"
	for _, tt := range []struct {
		name, ddl string
		kind      connectors.ErrorKind
		words     string
	}{
		{"no column", "CREATE TABLE t (id bigint PRIMARY KEY" + meta + ")", connectors.KindNotFound, "ADD `name`"},
		{"no meta", "CREATE TABLE t (id bigint PRIMARY KEY, name longtext)", connectors.KindConflict, "_arus_run_id"},
		{"no key", "CREATE TABLE t (id bigint, name longtext" + meta + ")", connectors.KindConstraint, "primary key"},
		{"other key", "CREATE TABLE t (id bigint, name varchar(10) PRIMARY KEY" + meta + ")", connectors.KindConstraint, "(name)"},
		{"second key", "CREATE TABLE t (id bigint PRIMARY KEY, name varchar(10) UNIQUE" + meta + ")", connectors.KindConstraint, "drop the index name"},
		{"type", "CREATE TABLE t (id bigint PRIMARY KEY, name datetime" + meta + ")", connectors.KindType, "t.name"},
		{"view", "CREATE VIEW t AS SELECT 1 AS id", connectors.KindConflict, "view"},
		{"more columns", "CREATE TABLE t (id bigint PRIMARY KEY, name longtext, must int NOT NULL" + meta + ")", connectors.KindConstraint, "must"},
		{"narrow", "CREATE TABLE t (id tinyint PRIMARY KEY, name longtext" + meta + ")", connectors.KindType, "id"},
		{"decimal", "CREATE TABLE t (id decimal(3,0) PRIMARY KEY, name longtext" + meta + ")", connectors.KindType, "id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.exec(tt.ddl)
			_, err := runLoad(t.Context(), f.destination(), connectors.LoadRequest{Target: f.ref("t"), Columns: people, Key: []string{"id"}, Mode: connectors.Merge},
				rowsBatch(t, people, []string{"1000", "a"}))
			wantKind(t, err, tt.kind, tt.words)
		})
	}
}

func TestTheTargetsDatabaseIsMade(t *testing.T) {
	t.Parallel()
	f := fixtureOf(t, servers.MariaDBDatabase(t))
	name := f.cfg.Database + "_a`b c"
	t.Cleanup(func() { _, _ = f.db.Exec("DROP DATABASE IF EXISTS " + ident(name)) }) // the test's context has ended
	f.cfg.Database = ""
	d := f.destination()
	ref := connectors.TableRef{Schema: name, Name: "select"}
	if _, ok, err := d.Table(t.Context(), ref); ok || err != nil {
		t.Errorf("an absent table: %v %v", ok, err)
	}
	raw := &connectors.RawTarget{Table: connectors.TableRef{Schema: name, Name: "raw"}}
	if _, err := runLoad(t.Context(), d, connectors.LoadRequest{Target: ref, Columns: people, Mode: connectors.Replace, Raw: raw}, rowsBatch(t, people, []string{"1", "a"})); err != nil {
		t.Fatal(err)
	}
	if got := f.rows("SELECT name FROM " + qualified(ref)); len(got) != 1 {
		t.Errorf("rows: %s", got)
	}
	_, err := runLoad(t.Context(), d, connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: people, Mode: connectors.Replace})
	wantKind(t, err, connectors.KindInvalid, "database")
}

func TestLongValues(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	columns := cols("id", connectors.Int32, "t", connectors.Text, "b", connectors.Bytes)
	// 2^24-1 is where the protocol splits packets.
	var data [][]string
	for i, n := range []int{1<<24 - 10, 1<<24 - 6, 1 << 24, 20 << 20} {
		data = append(data, []string{fmt.Sprint(i), strings.Repeat("t", n), strings.Repeat("\x00", 100)})
	}
	data = append(data, []string{"9", "short", strings.Repeat("\xff", 20<<20)})
	var batches []arrow.RecordBatch
	for _, r := range data {
		batches = append(batches, rowsBatch(t, columns, r))
	}
	if _, err := runLoad(t.Context(), f.destination(), connectors.LoadRequest{Target: f.ref("t"), Columns: columns, Mode: connectors.Replace}, batches...); err != nil {
		t.Fatal(err)
	}
	s := f.source()
	i := 0
	err := s.Read(t.Context(), connectors.ReadRequest{Table: f.table(s, "t"), Columns: columns, OrderBy: []string{"id"}}, func(b arrow.RecordBatch) error {
		defer b.Release()
		for r := range int(b.NumRows()) {
			if got := string(connectors.AppendValue(nil, b.Column(1), columns[1].Type, r)); got != data[i][1] {
				t.Errorf("row %d: got %d characters, want %d", i, len(got), len(data[i][1]))
			}
			i++
		}
		return nil
	})
	if err != nil || i != len(data) {
		t.Fatal(i, err)
	}
}
