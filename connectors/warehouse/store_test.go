package warehouse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
	"arus/connectors/warehouse/segment"
	"arus/connectors/warehouse/upsert"
)

// noon is the test's present: 2026-03-10 12:00 UTC.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

const day = secondsADay

// at gives a time of so many days before noon, as text.
func at(days float64) string { return fmt.Sprint(noon.Unix() - int64(days*day)) }

type testStore struct {
	*Store
	t   testing.TB
	now time.Time
}

func newStore(t testing.TB) *testStore {
	t.Helper()
	s := &testStore{t: t, now: noon}
	store, err := OpenStore(t.TempDir(), func() time.Time { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	s.Store = store
	return s
}

// restarted is another process's hold on the same directory.
func (s *testStore) restarted() *testStore {
	s.t.Helper()
	out := &testStore{t: s.t, now: s.now}
	store, err := OpenStore(s.dir, func() time.Time { return out.now })
	if err != nil {
		s.t.Fatal(err)
	}
	out.Store = store
	return out
}

func trips() *schema.Table {
	c := schema.DefaultConfig()
	return &schema.Table{
		Name: "trips", IsFactTable: true, Config: c, PrimaryKeyColumns: []int{1}, ArchivingSortColumns: []int{2, 3},
		Columns: []schema.Column{
			{Name: "ts", Type: "Uint32"},
			{Name: "id", Type: "Int64"},
			{Name: "city", Type: "Uint16"},
			{Name: "status", Type: "SmallEnum", DefaultValue: new("new")},
			{Name: "fare", Type: "Float32"},
			{Name: "n", Type: "Int32", DefaultValue: new("5")},
		},
	}
}

func cities() *schema.Table {
	return &schema.Table{Name: "cities", Config: schema.DefaultConfig(), PrimaryKeyColumns: []int{0}, Columns: []schema.Column{{Name: "id", Type: "Int32"}, {Name: "name", Type: "String"}}}
}

func (s *testStore) create(t *schema.Table) {
	s.t.Helper()
	if _, err := s.Create(context.Background(), t); err != nil {
		s.t.Fatal(err)
	}
}

// put upserts rows of text; "-" is null.
func (s *testStore) put(table, columns string, rows ...string) Summary {
	s.t.Helper()
	var all [][]*string
	for _, r := range rows {
		var row []*string
		for v := range strings.FieldsSeq(r) {
			if v == "-" {
				row = append(row, nil)
			} else {
				row = append(row, &v)
			}
		}
		all = append(all, row)
	}
	sum, err := s.UpsertText(context.Background(), table, strings.Fields(columns), all)
	if err != nil {
		s.t.Fatalf("upsert into %s: %v", table, err)
	}
	if n := sum.Inserted + sum.Updated + sum.Backfilled + len(sum.Rejected); n != len(rows) {
		s.t.Errorf("the summary counts %d rows of %d", n, len(rows))
	}
	return sum
}

// rows reads a table, each row as text, in the order of the first column.
func (s *testStore) rows(table, columns string) []string {
	s.t.Helper()
	v, err := s.View(context.Background(), table)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	var ids []int
	for c := range strings.FieldsSeq(columns) {
		ids = append(ids, v.Schema().ColumnID(c))
	}
	out := []string{}
	err = v.Each(context.Background(), ScanRequest{Columns: ids}, func(b arrow.RecordBatch) error {
		defer b.Release()
		for i := range int(b.NumRows()) {
			var row []string
			for c, id := range ids {
				if b.Column(c).IsNull(i) {
					row = append(row, "-")
				} else {
					row = append(row, string(connectors.AppendValue(nil, b.Column(c), v.layout.columns[id].read, i)))
				}
			}
			out = append(out, strings.Join(row, " "))
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func (s *testStore) want(what, table, columns string, rows ...string) {
	s.t.Helper()
	if rows == nil {
		rows = []string{}
	}
	slices.Sort(rows)
	diff(s.t, what, s.rows(table, columns), rows)
}

func (s *testStore) stats(table string) Stats {
	s.t.Helper()
	out, err := s.Stats(context.Background(), table)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *testStore) do(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

func schemaClass(err error) schema.Class {
	if e, ok := errors.AsType[*schema.Error](err); ok {
		return e.Class
	}
	return 0
}

func TestR1TablesAreIndependent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(cities())
	other := cities()
	other.Name = "towns"
	s.create(other)
	s.put("cities", "id name", "1 a")
	s.put("towns", "id name", "1 b", "2 c")
	s.want("cities", "cities", "id name", "1 a")
	s.want("towns", "towns", "id name", "1 b", "2 c")
	if _, err := s.Create(t.Context(), cities()); schemaClass(err) != schema.Conflict || err.Error() != schema.MsgTableExists {
		t.Errorf("R44 a table that exists: %v", err)
	}
	s.do("drop", s.Drop(t.Context(), "cities"))
	if err := s.Drop(t.Context(), "cities"); schemaClass(err) != schema.NotFound {
		t.Errorf("R44 drop what is gone: %v", err)
	}
	names, err := s.Tables()
	s.do("tables", err)
	diff(t, "tables", names, []string{"towns"})
	s.create(cities())
	s.want("a new table of the name", "cities", "id name")
	for _, name := range []string{"../evil", "", "a.b"} {
		bad := cities()
		bad.Name = name
		if _, err := s.Create(t.Context(), bad); schemaClass(err) != schema.Invalid {
			t.Errorf("R2 %q: %v", name, err)
		}
		if _, _, err := s.Schema(t.Context(), name); schemaClass(err) != schema.NotFound {
			t.Errorf("R2 %q is found: %v", name, err)
		}
	}
}

func TestR5UpsertsByKey(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	sum := s.put("trips", "ts id city fare", at(0)+" 2 7 1.5", at(0)+" 1 7 2.5", at(0)+" 2 8 3.5")
	if sum.Inserted != 2 || sum.Updated != 1 {
		t.Errorf("%+v", sum)
	}
	s.want("the later row wins", "trips", "id city status fare n", "1 7 new 2.5 5", "2 8 new 3.5 5")
	s.put("trips", "id ts status", "1 "+at(0)+" done")
	s.want("only what is given changes", "trips", "id city status fare n", "1 7 done 2.5 5", "2 8 new 3.5 5")
	s.put("trips", "id ts fare n", "1 "+at(0)+" - 6")
	s.want("nulls leave what there is", "trips", "id fare n", "1 2.5 6", "2 3.5 5")
}

func TestR6LiveBatches(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	c := cities()
	c.Config.BatchSize = 3
	s.create(c)
	s.put("cities", "id", "1", "2", "3")
	if got := s.stats("cities").LiveBatches; got != 1 {
		t.Errorf("3 rows make %d batches", got)
	}
	s.put("cities", "id", "4")
	if got := s.stats("cities").LiveBatches; got != 2 {
		t.Errorf("4 rows make %d batches", got)
	}
}

// change makes a schema's next version.
func (s *testStore) change(table string, next func(*schema.Table) (*schema.Table, error)) schema.Update {
	s.t.Helper()
	u, err := s.Change(context.Background(), table, next)
	s.do("change", err)
	return u
}

func add(name, typ string, def *string) func(*schema.Table) (*schema.Table, error) {
	return func(t *schema.Table) (*schema.Table, error) {
		return t.WithColumn(schema.AddColumn{Column: schema.Column{Name: name, Type: typ, DefaultValue: def}})
	}
}

func drop(name string) func(*schema.Table) (*schema.Table, error) {
	return func(t *schema.Table) (*schema.Table, error) { return t.WithoutColumn(name) }
}

// TestR12NewColumns adds columns to a table with live and archived rows; R19: without a default they read null.
func TestR12NewColumns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	s.put("trips", "ts id city", at(3)+" 1 7", at(0)+" 2 7")
	_, err := s.Archive(t.Context(), "trips", noon.Unix()-day)
	s.do("archive", err)
	s.change("trips", add("v", "BigEnum", new("x")))
	s.change("trips", add("w", "Int64", nil))
	s.change("trips", add("p", "GeoPoint", new("1,2")))
	s.want("defaults", "trips", "id v w p", "1 x - Point(1,2)", "2 x - Point(1,2)")
	_, enums, err := s.restarted().Schema(t.Context(), "trips")
	s.do("R17 the case is there after a restart", err)
	diff(t, "cases", enums[6], []string{"x"})
	s.put("trips", "ts id w", at(3)+" 1 9")
	s.want("one changed", "trips", "id v w", "1 x 9", "2 x -")
	_, err = s.Backfill(t.Context(), "trips")
	s.do("backfill", err)
	s.want("after backfill", "trips", "id v w p", "1 x 9 Point(1,2)", "2 x - Point(1,2)")
}

// TestR13DeletedColumns deletes columns, whose data goes at once from live rows and by compaction from files.
func TestR13DeletedColumns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	s.put("trips", "ts id city status fare", at(3)+" 1 7 paid 1", at(0)+" 2 8 paid 2")
	_, err := s.Archive(t.Context(), "trips", noon.Unix()-day)
	s.do("archive", err)
	before := s.state("trips")
	for name, message := range map[string]string{"ts": schema.MsgTimeDeleted, "id": schema.MsgKeyDeleted, "nope": schema.MsgColumnMissing} {
		if _, err := s.Change(t.Context(), "trips", drop(name)); schemaClass(err) == 0 || err.Error() != message {
			t.Errorf("R43 delete %s: %v, want %q", name, err, message)
		}
	}
	diff(t, "R43 nothing changed", s.state("trips"), before)
	s.change("trips", drop("fare"))
	s.change("trips", drop("city"))
	s.change("trips", drop("status"))
	u := s.change("trips", add("fare", "Int64", new("3"))) // D6
	if u.Next.ColumnID("fare") != 6 {
		t.Errorf("R7 the new column has ID %d", u.Next.ColumnID("fare"))
	}
	s.want("D6 none of the old data", "trips", "id fare", "1 3", "2 3")
	_, enums, _ := s.Schema(t.Context(), "trips")
	if _, ok := enums[3]; ok {
		t.Error("the dictionary of a deleted column is there")
	}
	diff(t, "R31 the placeholder", u.Next.ArchivingSortColumns, []int{2, 3})
	if v, err := s.View(t.Context(), "trips"); err == nil {
		seg, err := v.Segment(0)
		s.do("open", err)
		if _, ok := seg.Place(4); !ok {
			t.Error("the file has no old column before compaction")
		}
		_ = v.Close()
	}
	done, err := s.Compact(t.Context(), "trips")
	if err != nil || done.Files != 1 {
		t.Fatalf("compact: %+v, %v", done, err)
	}
	v, err := s.View(t.Context(), "trips")
	s.do("view", err)
	seg, err := v.Segment(0)
	s.do("open", err)
	for _, id := range []int{2, 3, 4} {
		if _, ok := seg.Place(id); ok {
			t.Errorf("the file has the deleted column %d after compaction", id)
		}
	}
	_ = v.Close()
	s.want("after compaction", "trips", "id fare n", "1 3 5", "2 3 5")
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || slices.ContainsFunc(jobs, func(d Done) bool { return d.Job == JobCompaction }) {
		t.Errorf("compaction never ends: %+v, %v", jobs, err)
	}
}

// state is everything about a table in bytes that can be compared.
func (s *testStore) state(table string) []string {
	s.t.Helper()
	t, enums, err := s.Schema(context.Background(), table)
	s.do("schema", err)
	var columns []string
	for _, c := range t.Columns {
		if !c.Deleted {
			columns = append(columns, c.Name)
		}
	}
	file, err := os.ReadFile(filepath.Join(s.dir, table, schemaFile))
	s.do("schema file", err)
	return append(s.rows(table, strings.Join(columns, " ")), fmt.Sprint(enums), string(file))
}

func TestR23R24Times(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	reasons := func(sum Summary) string { return fmt.Sprint(sum.Rejected) }
	sum := s.put("trips", "ts id", at(0)+" 1", "- 2", at(-1)+" 3", at(91)+" 4", at(89)+" 5", "x 6", "4294967296 7")
	if sum.Inserted != 2 || reasons(sum) != "[{1 missing_event_time} {2 future_event_time} {3 before_retention} {5 invalid_value} {6 invalid_value}]" {
		t.Errorf("%+v", sum)
	}
	_, err := s.Archive(t.Context(), "trips", noon.Unix()-day)
	s.do("archive", err)
	sum = s.put("trips", "ts id fare", at(2)+" 8 1", at(0)+" 9 1", at(89)+" 5 7")
	if sum.Backfilled != 2 || sum.Inserted != 1 {
		t.Errorf("R24: %+v", sum)
	}
	s.want("R24 late rows are seen at once", "trips", "id fare", "1 -", "5 7", "8 1", "9 1")
	done, err := s.Backfill(t.Context(), "trips")
	if err != nil || done.Rows != 2 || s.stats("trips").LiveRows != 2 {
		t.Errorf("backfill: %+v, %v", done, err)
	}
	s.want("after backfill", "trips", "id fare", "1 -", "5 7", "8 1", "9 1")
	s.change("trips", func(t *schema.Table) (*schema.Table, error) {
		next := t.Clone()
		next.Config.AllowMissingEventTime = true
		return next, nil
	})
	if sum := s.put("trips", "id fare", "20 1"); sum.Inserted != 1 {
		t.Errorf("without a time: %+v", sum)
	}
	s.want("R23 a row of no time", "trips", "id ts", "1 "+at(0), "20 -", "5 "+at(89), "8 "+at(2), "9 "+at(0))
}

func TestR25TheTimeOfARowStays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	s.put("trips", "ts id fare", at(5)+" 1 1", at(3)+" 2 1", at(0)+" 3 1")
	_, err := s.Archive(t.Context(), "trips", noon.Unix()-day)
	s.do("archive", err)
	sum := s.put("trips", "ts id fare", at(4)+" 1 9", at(0)+" 2 9", at(0.1)+" 3 9", at(3)+" 2 8", at(2.9)+" 2 7", at(0)+" 4 1")
	if fmt.Sprint(sum.Rejected) != "[{0 event_time_changed} {1 event_time_changed} {2 event_time_changed} {4 event_time_changed}]" || sum.Backfilled != 1 || sum.Inserted != 1 {
		t.Errorf("%+v", sum)
	}
	s.want("rows", "trips", "id fare", "1 1", "2 8", "3 1", "4 1")
}

// TestR26R27R28 archives three days of shuffled rows and looks at the files: sort order, runs, and due times.
func TestR26R27R28(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	var rows []string
	for i := range 3000 {
		rows = append(rows, fmt.Sprintf("%s %d %d %s %d", at(float64(i%30)/10), (i*7919)%3000, i%11, []string{"a", "b", "-"}[i%3], i))
	}
	s.put("trips", "ts id city status n", rows...)
	want := s.rows("trips", "id ts city status n")
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || len(jobs) != 2 || jobs[0].Job != JobArchiving {
		t.Fatalf("the first jobs are %+v, %v", jobs, err)
	}
	live, _ := s.View(t.Context(), "trips")
	for _, p := range live.Parts() {
		if p.MaxT >= noon.Unix()-day {
			t.Errorf("R26 the file %s has rows of the last 24 hours", p.File)
		}
	}
	_ = live.Close()
	if n := s.stats("trips"); n.LiveRows != 1100 || n.FileRows != 1900 || n.Files != 3 {
		t.Errorf("R26: %+v", n)
	}
	diff(t, "rows", s.rows("trips", "id ts city status n"), want)
	s.now = noon.Add(179 * time.Minute)
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || len(jobs) != 0 {
		t.Errorf("R27 within the interval: %+v, %v", jobs, err)
	}
	s.now = noon.Add(181 * time.Minute)
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || len(jobs) != 1 {
		t.Errorf("R27 after the interval: %+v, %v", jobs, err)
	}
	if _, err := s.Archive(t.Context(), "trips", 1); schemaClass(err) != schema.Conflict || !strings.Contains(err.Error(), "is no greater than current cutoff") {
		t.Errorf("an old cutoff: %v", err)
	}
	v, err := s.View(t.Context(), "trips")
	s.do("view", err)
	defer func() { _ = v.Close() }()
	for _, p := range v.Parts() {
		last := ""
		err := v.Each(t.Context(), ScanRequest{Columns: []int{2, 3, 0}, Stored: true, NoLive: true, Skip: func(i int) bool { return i != p.Index }}, func(b arrow.RecordBatch) error {
			defer b.Release()
			order, err := v.layout.rowOrderer([]arrow.Array{2: b.Column(0), 3: b.Column(1)}, []int{2, 3}, true)
			for i := range int(b.NumRows()) {
				if timeOf(b.Column(2), i)/day != p.Day {
					t.Errorf("%s has a row of another day", p.File)
				}
				if key := string(order(nil, i)); key < last {
					t.Fatalf("R28 %s is out of order at row %d", p.File, i)
				} else {
					last = key
				}
			}
			return err
		})
		s.do("scan", err)
	}
}

// TestR34ManyDays archives day after day, as the clock goes on: what was archived is found by its key, and the live database
// stays small.
func TestR34ManyDays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(trips())
	for d := range 12 {
		s.now = noon.Add(time.Duration(d) * 24 * time.Hour)
		var rows []string
		for i := range 500 {
			rows = append(rows, fmt.Sprintf("%d %d %d", s.now.Unix()-int64(i), d*1000+i, d))
		}
		s.put("trips", "ts id city", rows...)
		if _, err := s.RunJobs(t.Context(), s.now); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.stats("trips"); n.LiveRows > 1000 || n.FileRows < 5000 {
		t.Errorf("%+v", n)
	}
	first := noon.Unix() - 3
	if sum := s.put("trips", "ts id n", fmt.Sprintf("%d 3 77", first), fmt.Sprintf("%d 4 78", s.now.Unix())); sum.Backfilled != 1 || fmt.Sprint(sum.Rejected) != "[{1 event_time_changed}]" {
		t.Errorf("keys of an archived day: %+v", sum)
	}
	n := 0
	for _, row := range s.rows("trips", "id n") {
		if strings.HasPrefix(row, "3 ") || strings.HasPrefix(row, "4 ") {
			n++
			if row != "3 77" && row != "4 5" {
				t.Errorf("the row %q", row)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d rows of two keys", n)
	}
}

func TestR35Snapshot(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	c := cities()
	c.Config.SnapshotThreshold = 3
	s.create(c)
	s.put("cities", "id name", "1 a")
	s.put("cities", "id name", "1 b")
	if n := s.stats("cities"); n.Files != 0 || n.Upserts != 2 {
		t.Errorf("after two upserts: %+v", n)
	}
	s.put("cities", "id name", "2 c")
	if n := s.stats("cities"); n.Files != 1 || n.LiveRows != 0 || n.Upserts != 0 {
		t.Errorf("after the third: %+v", n)
	}
	s.put("cities", "id name", "2 d", "3 e")
	again := s.restarted()
	again.want("R35 snapshot and tail after a restart", "cities", "id name", "1 b", "2 d", "3 e")
	snapshots := func(d Done) bool { return d.Job == JobSnapshot }
	if jobs, err := s.RunJobs(t.Context(), s.now); err != nil || slices.ContainsFunc(jobs, snapshots) {
		t.Errorf("before the interval: %+v, %v", jobs, err)
	}
	if jobs, err := s.RunJobs(t.Context(), s.now.Add(361*time.Minute)); err != nil || !slices.ContainsFunc(jobs, snapshots) {
		t.Errorf("after the interval: %+v, %v", jobs, err)
	}
	if _, err := s.Archive(t.Context(), "cities", noon.Unix()); err == nil || err.Error() != schema.MsgNotFact { // R36
		t.Errorf("R36: %v", err)
	}
	s.want("after the snapshot", "cities", "id name", "1 b", "2 d", "3 e")
}

func TestRetention(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	c := trips()
	c.Config.RecordRetentionInDays = 10
	s.create(c)
	s.put("trips", "ts id", at(9)+" 1", at(5)+" 2", at(0)+" 3")
	if _, err := s.RunJobs(t.Context(), s.now); err != nil {
		t.Fatal(err)
	}
	s.now = noon.Add(3 * 24 * time.Hour)
	jobs, err := s.RunJobs(t.Context(), s.now)
	if err != nil || !slices.ContainsFunc(jobs, func(d Done) bool { return d.Job == JobRetention && d.Rows == 1 }) {
		t.Errorf("%+v, %v", jobs, err)
	}
	s.want("the old day is gone", "trips", "id", "2", "3")
	if sum := s.put("trips", "ts id", at(9)+" 1"); len(sum.Rejected) != 1 {
		t.Errorf("an old row comes again: %+v", sum)
	}
}

// TestR37ACopyIsATable copies a table of each kind into another warehouse.
func TestR37ACopyIsATable(t *testing.T) {
	t.Parallel()
	s, other := newStore(t), newStore(t)
	s.create(trips())
	s.create(cities())
	s.put("trips", "ts id city status", at(3)+" 1 7 paid", at(0)+" 2 8 open")
	s.put("cities", "id name", "1 a")
	_, err := s.Archive(t.Context(), "trips", noon.Unix()-day)
	s.do("archive", err)
	_, err = s.Snapshot(t.Context(), "cities")
	s.do("snapshot", err)
	s.put("cities", "id name", "2 b")
	for _, name := range []string{"trips", "cities"} {
		if _, err := os.Stat(filepath.Join(s.dir, name, schemaFile)); err != nil {
			t.Error(err)
		}
		s.do("copy", os.CopyFS(filepath.Join(other.dir, name), os.DirFS(filepath.Join(s.dir, name))))
		diff(t, name, other.state(name), s.state(name))
	}
	other.put("trips", "ts id status", at(3)+" 1 done")
	other.want("the copy changes", "trips", "id city status", "1 7 done", "2 8 open")
	s.want("the original stays", "trips", "id city status", "1 7 paid", "2 8 open")
}

// wire encodes a batch of columns by ID, each with its values as text.
func wire(t testing.TB, s *testStore, table string, n int, columns map[int][]any, modes map[int]upsert.Mode) []byte {
	t.Helper()
	sch, _, err := s.Schema(t.Context(), table)
	s.do("schema", err)
	b := &upsert.Batch{Rows: n, Arrival: uint32(s.now.Unix())}
	for id := range sch.Columns {
		values, ok := columns[id]
		if !ok {
			continue
		}
		typ := sch.DataType(id)
		builder := array.NewBuilder(memory.DefaultAllocator, typ.Stored().Arrow())
		for _, v := range values {
			putText(t, builder, typ.Stored(), v)
		}
		b.Columns = append(b.Columns, upsert.Column{ID: id, Type: typ, Mode: modes[id], Values: builder.NewArray()})
	}
	data, err := upsert.Encode(b)
	s.do("encode", err)
	return data
}

// TestUpsertModes follows section 6: rows live, archived, and in one batch.
func TestUpsertModes(t *testing.T) {
	t.Parallel()
	for _, archived := range []bool{false, true} {
		s := newStore(t)
		s.create(trips())
		ids := []any{"1", "2"}
		times := []any{at(3), at(3)}
		put := func(columns map[int][]any, modes map[int]upsert.Mode) {
			t.Helper()
			columns[0], columns[1] = times, ids
			sum, err := s.Upsert(t.Context(), "trips", wire(t, s, "trips", 2, columns, modes))
			s.do("upsert", err)
			if len(sum.Rejected) > 0 {
				t.Errorf("%+v", sum)
			}
			if archived {
				cutoff := s.stats("trips").Cutoff
				if cutoff == 0 {
					_, err = s.Archive(t.Context(), "trips", noon.Unix()-day)
				} else {
					_, err = s.Backfill(t.Context(), "trips")
				}
				s.do("archive", err)
			}
		}
		put(map[int][]any{4: {"100", nil}, 5: {"3", nil}}, map[int]upsert.Mode{5: upsert.Add, 4: upsert.OverwriteNull})
		s.want("6.3 a default counts as the old value; 6.2 null on insert", "trips", "id fare n", "1 100 8", "2 - 5")
		put(map[int][]any{4: {"7", "7"}, 5: {"-10", "2147483647"}}, map[int]upsert.Mode{4: upsert.Add, 5: upsert.Add})
		s.want("6.3 add, saturating", "trips", "id fare n", "1 107 -2", "2 7 2147483647")
		put(map[int][]any{4: {"50", "8"}, 5: {"-1", "9"}}, map[int]upsert.Mode{4: upsert.Min, 5: upsert.Max})
		s.want("6.3 min and max", "trips", "id fare n", "1 50 -1", "2 7 2147483647")
		put(map[int][]any{4: {nil, nil}, 5: {nil, nil}}, map[int]upsert.Mode{4: upsert.OverwriteNull})
		s.want("6.2 modes 0 and 1", "trips", "id fare n", "1 - -1", "2 - 2147483647")
	}
	s := newStore(t)
	s.create(trips())
	s.create(cities())
	full := func() map[int][]any { return map[int][]any{0: {at(0)}, 1: {"1"}} }
	for message, c := range map[string]struct {
		columns map[int][]any
		modes   map[int]upsert.Mode
	}{
		"column id only supports overwrite":                        {full(), map[int]upsert.Mode{1: upsert.Add}},
		"column ts only supports overwrite":                        {full(), map[int]upsert.Mode{0: upsert.Max}},
		"Primary key column 1 is missing from upsert batch":        {map[int][]any{0: {at(0)}}, nil},
		"Fact table's event time column (first column) is missing": {map[int][]any{1: {"1"}}, nil},
		"column city only supports overwrite":                      {map[int][]any{0: {at(0)}, 1: {"1"}, 2: {"1"}}, map[int]upsert.Mode{2: upsert.Min}},
	} {
		if _, err := s.Upsert(t.Context(), "trips", wire(t, s, "trips", 1, c.columns, c.modes)); schemaClass(err) != schema.Invalid || err.Error() != message {
			t.Errorf("%v, want %q", err, message)
		}
	}
	sum, err := s.Upsert(t.Context(), "trips", wire(t, s, "trips", 3, map[int][]any{0: {at(0), at(0), at(0)}, 1: {"1", nil, "3"}, 3: {"0", "0", "9"}}, nil))
	if err != nil || sum.Inserted != 1 || fmt.Sprint(sum.Rejected) != "[{1 missing_key} {2 unknown_enum_case}]" {
		t.Errorf("%+v, %v", sum, err)
	}
	ids, err := s.AddCases(t.Context(), "trips", "status", []string{"a", "new", "a"})
	if err != nil || fmt.Sprint(ids) != "[1 0 1]" {
		t.Errorf("cases %v, %v", ids, err)
	}
	for _, bad := range [][]byte{nil, {1}, make([]byte, 100)} {
		if _, err := s.Upsert(t.Context(), "trips", bad); schemaClass(err) != schema.Invalid {
			t.Errorf("%v", err)
		}
	}
	s.change("trips", drop("fare"))
	if sum, err := s.Upsert(t.Context(), "trips", wire(t, s, "trips", 1, map[int][]any{0: {at(0)}, 1: {"1"}, 4: {"5"}, 5: {"6"}}, nil)); err != nil || sum.Updated != 1 {
		t.Errorf("6.13 a batch with a deleted column: %+v, %v", sum, err)
	}
	if _, err := s.Upsert(t.Context(), "nope", nil); schemaClass(err) != schema.NotFound {
		t.Errorf("an unknown table: %v", err)
	}
}

// TestAPipelineLoadsADeclaredTable loads a fact table by its declaration: bulk, small, with changed rows.
func TestAPipelineLoadsADeclaredTable(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	declared := &schema.Table{
		Name: "rides", IsFactTable: true, Config: schema.DefaultConfig(), PrimaryKeyColumns: []int{1}, ArchivingSortColumns: []int{2},
		Columns: []schema.Column{{Name: "event_time", Type: "Uint32"}, {Name: "id", Type: "Int64"}, {Name: "city", Type: "BigEnum"}},
	}
	declared.Config.TimeSource = "started"
	declared.Config.RecordRetentionInDays = 0
	s.create(declared)
	columns := []connectors.Column{col("id", connectors.Int32), col("started", connectors.TimestampTZ), col("city", connectors.Text), col("note", connectors.Text)}
	var rows [][]any
	for i := range 5000 {
		when := noon.Add(-time.Duration(i) * 10 * time.Minute)
		rows = append(rows, []any{fmt.Sprint(i), when.Format("2006-01-02T15:04:05Z"), fmt.Sprint("city", i*i%13), nil})
	}
	d := &Destination{s.storage}
	load := func(mode connectors.LoadMode, rows [][]any) error {
		req := connectors.LoadRequest{Target: connectors.TableRef{Name: "rides"}, Columns: columns, Key: []string{"id"}, Mode: mode, RunID: runA, SyncedAt: syncedAt}
		l, err := d.Begin(t.Context(), req)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(rows, 700) {
			if err := l.Write(t.Context(), batchOf(t, columns, some)); err != nil {
				return errors.Join(err, l.Abort())
			}
		}
		_, err = l.Commit(t.Context())
		return err
	}
	table, ok, err := d.Table(t.Context(), connectors.TableRef{Name: "rides"})
	if err != nil || !ok || !table.Managed {
		t.Fatalf("the declared table is %+v, %v, %v", table, ok, err)
	}
	for range 2 {
		s.do("replace", load(connectors.Replace, rows))
		n := s.stats("rides")
		if n.LiveRows != 145 || n.FileRows != 5000-145 || n.Files < 34 {
			t.Errorf("%+v", n)
		}
	}
	late := [][]any{{"4000", rows[4000][1], "city1", "late"}, {"5001", rows[4500][1], "elsewhere", nil}, {"1", rows[1][1], "city2", "live"}}
	s.do("merge", load(connectors.Merge, late))
	got := s.rows("rides", "id city note event_time")
	if len(got) != 5001 || !slices.Contains(got, fmt.Sprintf("4000 city1 late %d", noon.Unix()-4000*600)) || !slices.Contains(got, fmt.Sprintf("1 city2 live %d", noon.Unix()-600)) {
		t.Errorf("%d rows after the merge", len(got))
	}
	for what, row := range map[string][]any{"another time": {"4000", rows[10][1], "x", nil}, "the future": {"9", "2026-04-01T00:00:00Z", "x", nil}, "no time": {"9", nil, "x", nil}} {
		for _, mode := range []connectors.LoadMode{connectors.Merge, connectors.Replace} {
			some := [][]any{row}
			if what == "another time" && mode == connectors.Replace {
				some = append(some, rows[4000])
			}
			if err := load(mode, some); connectors.KindOf(err) != connectors.KindConstraint {
				t.Errorf("%s, %s: %v", what, mode, err)
			}
		}
	}
	if n := len(s.rows("rides", "id")); n != 5001 {
		t.Errorf("%d rows after what was refused", n)
	}
	if err := load(connectors.Replace, [][]any{rows[0], rows[0]}); connectors.KindOf(err) != connectors.KindConstraint {
		t.Errorf("a key twice: %v", err)
	}
	_, err = s.Compact(t.Context(), "rides")
	s.do("compact", err)
	if _, err := query(t, s.dir, "SELECT city, count(*) FROM rides GROUP BY city"); err != nil {
		t.Error(err)
	}
}

// TestR38FilesOfAnotherSchema puts a file of other types in a table's place.
func TestR38FilesOfAnotherSchema(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.create(cities())
	s.put("cities", "id name", "1 a")
	_, err := s.Snapshot(t.Context(), "cities")
	s.do("snapshot", err)
	v, err := s.View(t.Context(), "cities")
	s.do("view", err)
	defer func() { _ = v.Close() }()
	seg, err := v.Segment(0)
	s.do("open", err)
	if _, err := seg.NewReader([]segment.Column{{ID: 1, Name: "name", Type: connectors.Type{Kind: connectors.Int64}}}); err == nil {
		t.Error("a column of another type is read")
	}
}
