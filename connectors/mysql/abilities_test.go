package mysql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// TestCarefulLoadsMeetTheTargetsOwnRules loads rows that only the target itself refuses: by a CHECK, a foreign key, a
// narrower column, another unique key.
func TestCarefulLoadsMeetTheTargetsOwnRules(t *testing.T) {
	t.Parallel()
	for _, mode := range []connectors.LoadMode{connectors.Merge, connectors.ReplaceWindow} {
		paths(t, func(t *testing.T, f *fixture, raw bool) {
			d := f.destination()
			req := connectors.LoadRequest{Target: f.ref("people"), Columns: people, Key: []string{"id"}, Mode: connectors.Replace}
			if mode == connectors.ReplaceWindow {
				req.Key = nil
			}
			if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"1", "old"}, []string{"2", "old"}, []string{"9", "nine"})); err != nil {
				t.Fatal(err)
			}
			f.exec("CREATE TABLE known (id bigint PRIMARY KEY)", "INSERT INTO known SELECT seq FROM seq_1_to_20",
				"ALTER TABLE people MODIFY name varchar(8), ADD CHECK (name <> 'bad'), ADD FOREIGN KEY (id) REFERENCES known (id)")
			refused := [][2]string{{"5", "bad"}, {"5", "much too long"}, {"99", "x"}}
			if mode == connectors.ReplaceWindow { // of 1 to 8: nine stays
				f.exec("UPDATE people SET name = 'older' WHERE id = 2", "ALTER TABLE people ADD UNIQUE (name)")
				refused = append(refused, [2]string{"5", "nine"})
				req.Window = &connectors.Window{Column: "id", Lower: &connectors.Bound{Kind: connectors.Int64, Text: "1"}, Upper: &connectors.Bound{Kind: connectors.Int64, Text: "8"}}
			}
			req.Mode, req.Careful, req.Raw, req.RunID, req.SyncedAt = mode, true, f.rawTarget(raw), runTwo, syncedAt
			l, err := d.Begin(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range refused {
				err := l.Write(t.Context(), rowsBatch(t, people, []string{"4", "with it"}, row[:]))
				if kind := connectors.KindOf(err); kind != connectors.KindConstraint && kind != connectors.KindType {
					t.Errorf("%q is refused with kind %q: %v", row, kind, err)
				}
				if err := l.Write(t.Context(), rowsBatch(t, people, []string{fmt.Sprint(i + 4), fmt.Sprint("good", i)})); err != nil {
					t.Fatal(err)
				}
			}
			res, err := l.Commit(t.Context())
			if err != nil || res.Rows != int64(len(refused)) {
				t.Fatalf("%+v, %v", res, err)
			}
			want := []string{"1|old", "2|old", "4|good0", "5|good1", "6|good2", "9|nine"}
			if mode == connectors.ReplaceWindow {
				want = []string{"4|good0", "5|good1", "6|good2", "7|good3", "9|nine"}
			}
			if diff := cmp.Diff(want, f.rows("SELECT id, name FROM people ORDER BY id")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", mode, diff)
			}
			if raw {
				if got := f.rows("SELECT COUNT(*) FROM shop_t_raw"); got[0] != fmt.Sprint(len(refused)) {
					t.Errorf("%s rows are staged, want %d", got[0], len(refused))
				}
			}
		})
	}
}

// TestManyTombstones deletes more rows than are held in memory at once.
func TestManyTombstones(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.destination()
	columns := cols("id", connectors.Int64, "at", connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}, "v", connectors.Text)
	req := connectors.LoadRequest{Target: f.ref("t"), Columns: columns, Key: []string{"id", "at"}, Mode: connectors.Replace, Raw: f.rawTarget(true)}
	const n = 2*tombstoneBatch + 100
	rows := make([][]string, n)
	for i := range rows {
		rows[i] = []string{fmt.Sprint(i), "2026-01-02T03:04:05.000006Z", "x"}
	}
	if _, err := runLoad(t.Context(), d, req, rowsBatch(t, columns, rows...)); err != nil {
		t.Fatal(err)
	}
	req.Mode, req.Columns, req.RunID = connectors.Retain, columns[:2], runTwo
	res, err := runLoad(t.Context(), d, req, rowsBatch(t, columns[:2], rows[7][:2]))
	if err != nil || res.Deleted != n-1 || res.RawRows != n-1 {
		t.Fatalf("%+v, %v", res, err)
	}
	want := []string{fmt.Sprintf("%d|%d", n-1, n-1)}
	if diff := cmp.Diff(want, f.rows("SELECT COUNT(*), COUNT(DISTINCT _data) FROM shop_t_raw WHERE _data REGEXP '^.\"id\":[0-9]+,\"at\":\"2026-01-02T03:04:05.000006Z\",\"_arus_deleted_at\":\"2026-03-04T05:06:07.890123Z\".$' AND _arus_run_id = '"+runTwo+"'")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestStagedPartsAreTakenBack kills a load in parts between the copy to the staging table and the swap.
func TestStagedPartsAreTakenBack(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"the same token", "another token", "a merge"} {
		t.Run(next, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			d := f.destination()
			req := connectors.LoadRequest{Target: f.ref("people"), Columns: people, Key: []string{"id"}, Mode: connectors.Replace, Raw: f.rawTarget(true), RunID: runOne, SyncedAt: syncedAt}
			if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"1", "old"})); err != nil {
				t.Fatal(err)
			}
			req.Resume, req.RunID = "token", "0198f0a0-0000-7000-8000-0000000000aa"
			begin := func() *partLoad {
				l, err := d.Begin(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				return l.(*partLoad)
			}
			l := begin()
			part, _, err := l.Part(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if err := part.Write(t.Context(), rowsBatch(t, people, []string{"2", "new"}, []string{"3", "new"})); err != nil {
				t.Fatal(err)
			}
			if _, err := part.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := l.stageAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.release(t.Context()) // killed
			want, raw := []string{"2|new", "3|new"}, "3"
			req.RunID = runTwo
			switch next {
			case "the same token":
				l = begin()
				if _, done, err := l.Part(t.Context(), "a"); !done || err != nil {
					t.Errorf("the part is done: %v, %v", done, err)
				}
				if res, err := l.Commit(t.Context()); err != nil || res.Rows != 2 || res.RawRows != 2 {
					t.Errorf("%+v, %v", res, err)
				}
				if got := f.rows("SELECT COUNT(*) FROM shop_t_raw WHERE _arus_run_id = '" + runTwo + "'"); got[0] != "2" {
					t.Errorf("%s rows are staged as those of the run that committed", got[0])
				}
			case "another token":
				req.Resume = "other"
				if err := begin().Abort(); err != nil {
					t.Error(err)
				}
				want, raw = []string{"1|old"}, "1"
			case "a merge":
				req.Resume, req.Mode = "", connectors.Merge
				if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"4", "merged"})); err != nil {
					t.Fatal(err)
				}
				want, raw = []string{"1|old", "4|merged"}, "2"
			}
			if diff := cmp.Diff(want, f.rows("SELECT id, name FROM people ORDER BY id")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := f.rows("SELECT COUNT(*) FROM shop_t_raw"); got[0] != raw {
				t.Errorf("%s rows are staged, want %s", got[0], raw)
			}
			if got := f.rows("SHOW TABLES"); len(got) != 2 {
				t.Errorf("left: %v", got)
			}
		})
	}
}

// TestOtherColumnsAreOtherParts begins a load in parts anew when its columns have changed since.
func TestOtherColumnsAreOtherParts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.destination()
	req := connectors.LoadRequest{Target: f.ref("people"), Columns: people, Key: []string{"id"}, Mode: connectors.Replace, Resume: "token", RunID: runOne, SyncedAt: syncedAt}
	for i, columns := range [][]connectors.Column{people, people, append(cols("more", connectors.Int32), people...)} {
		req.Columns = columns
		l, err := d.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		part, done, err := l.(connectors.PartLoad).Part(t.Context(), "a")
		if err != nil || done != (i == 1) {
			t.Fatalf("begin %d: done %v, %v", i, done, err)
		}
		if !done {
			if _, err := part.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.(connectors.PartLoad).Suspend(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAKilledRebuildCostsNoStagedRow leaves the table of a rebuild that did not end, which a load sweeps and nothing more.
func TestAKilledRebuildCostsNoStagedRow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.destination()
	req := connectors.LoadRequest{Target: f.ref("people"), Columns: people, Key: []string{"id"}, Mode: connectors.Merge, Raw: f.rawTarget(true)}
	if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"1", "a"})); err != nil {
		t.Fatal(err)
	}
	l := &load{target: req.Target, d: d.(*destination)}
	l.name()
	f.exec("CREATE TABLE " + qualified(l.helper(builtTable)) + " LIKE people")
	f.exec("INSERT INTO " + qualified(l.helper(builtTable)) + " SELECT * FROM people")
	req.RunID = runTwo
	if _, err := runLoad(t.Context(), d, req, rowsBatch(t, people, []string{"2", "b"})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2"}, f.rows("SELECT COUNT(*) FROM shop_t_raw")); diff != "" {
		t.Errorf("staged (-want +got):\n%s", diff)
	}
	if got := f.rows("SHOW TABLES"); len(got) != 2 {
		t.Errorf("left: %v", got)
	}
}

// TestAlterKeepsViewsAndWaitsForReaders alters a table that a view shows and that a transaction has read.
func TestAlterKeepsViewsAndWaitsForReaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.destination()
	key := cols("id", connectors.Uint32, "name", connectors.Type{Kind: connectors.Text, Length: 10}, "n", connectors.Uint64)
	req := connectors.LoadRequest{Target: f.ref("people"), Columns: key, Key: []string{"id"}, Mode: connectors.Replace}
	if _, err := runLoad(t.Context(), d, req, rowsBatch(t, key, []string{"1", "a", "18446744073709551615"})); err != nil {
		t.Fatal(err)
	}
	f.exec("CREATE VIEW v AS SELECT id, n FROM people")
	tx, err := f.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "SELECT * FROM people"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- d.(connectors.Alterer).Alter(t.Context(), req.Target, cols("more", connectors.UUID),
			cols("id", connectors.Int64, "n", connectors.Type{Kind: connectors.Decimal, Precision: 20}))
	}()
	for range 200 { // until it waits
		if n := f.rows("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER TABLE%' AND DB IS NULL AND STATE LIKE '%metadata lock%'"); n[0] != "0" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1|18446744073709551615"}, f.rows("SELECT * FROM v")); diff != "" {
		t.Errorf("the view (-want +got):\n%s", diff)
	}
	described, _, err := d.Table(t.Context(), req.Target)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range described.Columns {
		got = append(got, c.Name+" "+c.Type.String())
	}
	if want := "id int64, name text(10), n decimal(20,0), more uuid"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestACarefulLoadSendsBatchesWhole wants a batch with a value that has no spelling to be refused before any of it is sent.
func TestACarefulLoadSendsBatchesWhole(t *testing.T) {
	t.Parallel()
	paths(t, func(t *testing.T, f *fixture, raw bool) {
		columns := cols("id", connectors.Int64, "f", connectors.Float64)
		d := f.destination()
		l, err := d.Begin(t.Context(), connectors.LoadRequest{Target: f.ref("t"), Columns: columns, Key: []string{"id"}, Mode: connectors.Merge, Raw: f.rawTarget(raw), Careful: true, RunID: runOne, SyncedAt: syncedAt})
		if err != nil {
			t.Fatal(err)
		}
		var rows [][]string
		for i := range 30_000 {
			rows = append(rows, []string{fmt.Sprint(i), "0.5"})
		}
		for _, batch := range []arrow.RecordBatch{rowsBatch(t, columns, append(rows, []string{"-1", "NaN"})...), rowsBatch(t, columns, rows[:3]...), rowsBatch(t, columns, []string{"-1", "NaN"})} {
			n := batch.NumRows()
			if err := l.Write(t.Context(), batch); (err != nil) != (n != 3) || err != nil && connectors.KindOf(err) != connectors.KindType {
				t.Errorf("a batch of %d rows: %v", n, err)
			}
		}
		if res, err := l.Commit(t.Context()); err != nil || res.Rows != 3 {
			t.Fatalf("%+v, %v", res, err)
		}
		if got := f.rows("SELECT COUNT(*) FROM t"); got[0] != "3" {
			t.Errorf("%s rows, want 3", got[0])
		}
	})
}
