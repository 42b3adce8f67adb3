package conformance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"arus/connectors"
)

func rebuilder(t testing.TB, d connectors.Destination) connectors.Rebuilder {
	t.Helper()
	r, ok := d.(connectors.Rebuilder)
	if !ok {
		t.Fatal("the destination rebuilds no targets")
	}
	return r
}

// staged are columns of many kinds, the first of them the key, and rows of them.
func staged() ([]connectors.Column, func(id int, text string) []any) {
	columns := append(idText(),
		typed("d", connectors.NewDecimal(14, 4)), column("big", connectors.Numeric), column("f", connectors.Float64), column("b", connectors.Bool),
		typed("at", connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}), column("day", connectors.Date), column("bytes", connectors.Bytes),
		column("u", connectors.UUID), column("j", connectors.JSON),
	)
	return columns, func(id int, text string) []any {
		switch id % 3 {
		case 0:
			return []any{
				fmt.Sprint(id), text + "\"\\\n é😀", "-1234567890.0001", "123456789012345678901234567890.5", "1e+300", "true",
				"2026-01-02T03:04:05.000006Z", "1999-12-31", "AP8=", "00000000-0000-0000-0000-0000000000ff", `{"a":[1,null,"x"]}`,
			}
		case 1:
			return []any{fmt.Sprint(id), text, nil, nil, nil, nil, nil, nil, nil, nil, nil}
		}
		return []any{fmt.Sprint(id), "", "0.0000", "-0.5", "-0.1", "false", "1970-01-01T00:00:00Z", "2026-02-28", "", "ffffffff-0000-0000-0000-000000000000", `"text"`}
	}
}

// history is a table in raw mode with a past: a full load that base replaces, merges, deleted rows and one that is back.
type history struct {
	t    testing.TB
	h    *Harness
	d    connectors.Destination
	req  connectors.LoadRequest // of the next run
	base string
	runs []string
}

func (h *Harness) history(t testing.TB, d connectors.Destination, name string) *history {
	t.Helper()
	columns, row := staged()
	y := &history{t: t, h: h, d: d, req: h.request(name, columns, []string{"id"}, connectors.Replace)}
	y.req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: name + "_raw"}}
	rows := func(text string, ids ...int) [][]any {
		var rows [][]any
		for _, id := range ids {
			rows = append(rows, row(id, text))
		}
		return rows
	}
	y.load(connectors.Replace, rows("first", 1, 2, 3, 100, 101, 102))
	y.load(connectors.Replace, rows("base", 1, 2, 3, 4, 5, 6, 7, 8, 9))
	y.base = y.runs[1]
	y.load(connectors.Merge, rows("merged", 3, 4, 10, 11, 12))
	y.load(connectors.Merge, rows("again", 4, 7))
	keys := h.retaining(y.req, connectors.RetainLimits{})
	keys.Raw, keys.SyncedAt = y.req.Raw, y.req.SyncedAt
	result, err := retain(t, d, keys, [][]any{{"1"}, {"3"}, {"4"}, {"6"}, {"7"}, {"8"}, {"10"}, {"11"}})
	wantDeleted(t, "history", result, err, 4) // 2, 5, 9, 12
	y.next()
	y.load(connectors.Merge, rows("back", 5, 12))
	return y
}

func (y *history) next() {
	y.req.RunID, y.req.SyncedAt = uuid.NewString(), y.req.SyncedAt.Add(time.Hour)
}

func (y *history) load(mode connectors.LoadMode, rows [][]any) {
	y.t.Helper()
	y.req.Mode = mode
	y.runs = append(y.runs, y.req.RunID)
	load(y.t, y.d, y.req, rows)
	y.next()
}

// rebuild is the request to make another target from the staging table.
func (y *history) rebuild(name string) connectors.RebuildRequest {
	return connectors.RebuildRequest{
		Raw: y.req.Raw.Table, Target: connectors.TableRef{Schema: y.h.Schema, Name: name},
		Columns: y.req.Columns, Key: y.req.Key, Base: y.base,
	}
}

// wantSame wants the target that req made to have the rows of the history's, each of the run that loaded it.
func (y *history) wantSame(what string, req connectors.RebuildRequest, result connectors.LoadResult) {
	y.t.Helper()
	s := y.h.source(y.t)
	want := y.h.read(y.t, s, y.req)
	other := y.req
	other.Target = req.Target
	if diff := cmp.Diff(byText(want), byText(y.h.read(y.t, s, other))); diff != "" {
		y.t.Errorf("%s (-want +got):\n%.3000s", what, diff)
	}
	if result.Rows != int64(len(want)) {
		y.t.Errorf("%s: %+v, want %d rows", what, result, len(want))
	}
	c, ok := y.d.(connectors.Counter)
	if !ok {
		return
	}
	for i, run := range y.runs {
		want, err := c.Count(y.t.Context(), connectors.CountRequest{Target: y.req.Target, RunID: run})
		if err != nil {
			y.t.Fatal(err)
		}
		if got, err := c.Count(y.t.Context(), connectors.CountRequest{Target: req.Target, RunID: run}); err != nil || got.Rows != want.Rows {
			y.t.Errorf("%s: run %d has %d rows (%v), want %d", what, i, got.Rows, err, want.Rows)
		}
	}
}

// rebuildGivesTheSameTable rebuilds a table in the place of nothing, of another one, and of itself; loads go on afterwards.
func rebuildGivesTheSameTable(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	r := rebuilder(t, d)
	y := h.history(t, d, "t")
	want := h.read(t, s, y.req)
	if len(want) != 10 { // 1 3 4 5 6 7 8 10 11 12
		t.Fatalf("the history has %d rows: %v", len(want), want)
	}
	for _, what := range []string{"in the place of nothing", "in the place of itself"} {
		result, err := r.Rebuild(t.Context(), y.rebuild("other"))
		if err != nil {
			t.Fatalf("rebuild %s: %v", what, err)
		}
		y.wantSame(what, y.rebuild("other"), result)
	}
	result, err := r.Rebuild(t.Context(), y.rebuild("t"))
	if err != nil {
		t.Fatalf("rebuild: %v", err)
	}
	y.wantSame("rebuilt", y.rebuild("t"), result)
	if diff := cmp.Diff(byText(want), byText(h.read(t, s, y.req))); diff != "" {
		t.Errorf("rebuilt (-want +got):\n%.3000s", diff)
	}
	_, row := staged()
	y.load(connectors.Merge, [][]any{row(1, "after"), row(2, "after")})
	got := h.read(t, s, y.req)
	if len(got) != 11 || got[0][1] != "after" {
		t.Errorf("after a merge the rebuilt table has %d rows, the first %v", len(got), got[0])
	}
	all := y.rebuild("other")
	all.Base = ""
	if result, err = r.Rebuild(t.Context(), all); err != nil || result.Rows != 14 { // 100, 101 and 102 too
		t.Errorf("rebuilt from all rows: %+v, %v, want 14 rows", result, err)
	}
	if left := h.tables(t, s, h.Schema); len(left) != 3 {
		t.Errorf("%d tables are left, want 3", len(left))
	}
}

// rebuildTakesOlderRows rebuilds in columns that were added, widened, reordered and dropped since the first rows were staged.
func rebuildTakesOlderRows(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	id := idText()[0]
	id.Type.Kind = connectors.Int32
	first := h.request("t", []connectors.Column{id, column("n", connectors.Int32), column("dropped", connectors.Text), column("j", connectors.JSON)}, []string{"id"}, connectors.Replace)
	first.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: "t_raw"}}
	load(t, d, first, [][]any{{"1", "7", "x", `{"n":1,"late":"no"}`}, {"2", nil, `{"late":"no"}`, nil}, {"3", "-5", nil, "null"}})
	id.Type.Kind = connectors.Int64
	later := h.request("t2", []connectors.Column{column("late", connectors.Text), id, column("j", connectors.JSON), typed("n", connectors.NewDecimal(14, 2))}, []string{"id"}, connectors.Merge)
	later.Raw, later.SyncedAt = first.Raw, first.SyncedAt.Add(time.Hour)
	load(t, d, later, [][]any{{"yes", "3000000000", nil, "0.25"}, {nil, "3", `[]`, "1.00"}})
	result, err := rebuilder(t, d).Rebuild(t.Context(), connectors.RebuildRequest{Raw: first.Raw.Table, Target: first.Target, Columns: later.Columns, Key: later.Key, Base: first.RunID})
	if err != nil || result.Rows != 4 {
		t.Fatalf("rebuild: %+v, %v", result, err)
	}
	want := [][]any{{nil, "1", `{"n":1,"late":"no"}`, "7.00"}, {nil, "2", nil, nil}, {nil, "3", `[]`, "1.00"}, {"yes", "3000000000", nil, "0.25"}}
	req := later
	req.Target = first.Target
	if diff := cmp.Diff(plain(req.Columns, byText(want)), plain(req.Columns, byText(h.read(t, s, req)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// rebuildRefuses wants a base of which nothing is staged and an absent staging table to be told and to change nothing, and
// rows without a key to be rebuilt as often as they were.
func rebuildRefuses(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	r := rebuilder(t, d)
	req := h.request("t", idText(), nil, connectors.Replace)
	req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: "t_raw"}}
	load(t, d, req, counted(3, "before"))
	req = again(req)
	rows := slices.Concat(counted(3, "x"), counted(2, "x"))
	load(t, d, req, rows)
	build := connectors.RebuildRequest{Raw: req.Raw.Table, Target: req.Target, Columns: req.Columns, Base: req.RunID}
	result, err := r.Rebuild(t.Context(), build)
	if err != nil || result.Rows != 5 {
		t.Errorf("rebuild without a key: %+v, %v, want 5 rows", result, err)
	}
	h.wantRows(t, "rebuilt", req, rows)
	unknown := build
	unknown.Base = uuid.NewString()
	if _, err := r.Rebuild(t.Context(), unknown); connectors.KindOf(err) != connectors.KindNotFound || !mentions(err, unknown.Base) {
		t.Errorf("to rebuild from a run of which nothing is staged gives %v (kind %q)", err, connectors.KindOf(err))
	}
	absent := build
	absent.Raw.Name = "absent_raw"
	if _, err := r.Rebuild(t.Context(), absent); connectors.KindOf(err) != connectors.KindNotFound || !mentions(err, "absent_raw") {
		t.Errorf("to rebuild from an absent staging table gives %v (kind %q)", err, connectors.KindOf(err))
	}
	if _, err := r.PruneRaw(t.Context(), absent, time.Now()); connectors.KindOf(err) != connectors.KindNotFound || !mentions(err, "absent_raw") {
		t.Errorf("to prune an absent staging table gives %v (kind %q)", err, connectors.KindOf(err))
	}
	h.wantRows(t, "after what was refused", req, rows)
	if left := h.tables(t, s, h.Schema); len(left) != 2 {
		t.Errorf("%d tables are left, want 2", len(left))
	}
}

// pruneRawKeepsTheNewest deletes older staging rows, after which a rebuild still gives the same table.
func pruneRawKeepsTheNewest(t *testing.T, h *Harness) {
	d := h.destination(t)
	r := rebuilder(t, d)
	y := h.history(t, d, "t") // staged: 6, 9, 5, 2, 4 tombstones, 2
	prune := func(what string, req connectors.RebuildRequest, before time.Time, deleted int64, left int) {
		t.Helper()
		n, err := r.PruneRaw(t.Context(), req, before)
		if err != nil || n != deleted {
			t.Errorf("%s: %d rows were deleted, %v, want %d", what, n, err, deleted)
		}
		h.wantRaw(t, what, y.req, left)
		result, err := r.Rebuild(t.Context(), y.rebuild("other"))
		if err != nil {
			t.Fatalf("rebuild: %v", err)
		}
		y.wantSame(what, y.rebuild("other"), result)
	}
	build := y.rebuild("t")
	prune("before everything", build, syncedAt, 0, 28)
	prune("before the end", build, y.req.SyncedAt, 3, 25) // of the first run 1, 2 and 3 came again; 100, 101 and 102 are the newest of their keys
	build.Base = ""
	prune("the first two runs without a base", build, syncedAt.Add(2*time.Hour), 6, 19) // 1, 6 and 8 never came again
}
