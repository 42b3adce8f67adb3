package warehouse

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
	"arus/connectors/warehouse/segment"
	"arus/connectors/warehouse/upsert"
)

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
