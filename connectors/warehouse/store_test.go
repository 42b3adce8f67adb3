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

	"arus/connectors"
	"arus/connectors/warehouse/schema"
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
