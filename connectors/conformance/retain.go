package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"arus/connectors"
)

// retain loads the keys that are to stay, each third of them twice.
func retain(t testing.TB, d connectors.Destination, req connectors.LoadRequest, keys [][]any) (connectors.LoadResult, error) {
	t.Helper()
	l, err := d.Begin(t.Context(), req)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	for i, key := range slices.Clone(keys) {
		if i%3 == 0 {
			keys = append(keys, key)
		}
	}
	write(t, l, req.Columns, keys)
	result, err := l.Commit(t.Context())
	if err != nil {
		_ = l.Abort()
	}
	return result, err
}

// retaining is the request for the keys of a target that req loads.
func (h *Harness) retaining(req connectors.LoadRequest, limits connectors.RetainLimits) connectors.LoadRequest {
	keys := h.request(req.Target.Name, nil, req.Key, connectors.Retain)
	for _, k := range req.Key {
		i := slices.IndexFunc(req.Columns, func(c connectors.Column) bool { return c.Name == k })
		keys.Columns = append(keys.Columns, req.Columns[i])
	}
	keys.Retain, keys.SyncedAt = limits, req.SyncedAt.Add(time.Hour)
	return keys
}

func wantDeleted(t testing.TB, what string, result connectors.LoadResult, err error, deleted int64) {
	t.Helper()
	if err != nil || result.Deleted != deleted {
		t.Errorf("%s: %+v, %v, want %d deleted", what, result, err, deleted)
	}
}

// retainDeletesWhatIsGone deletes by single, text and composite keys the rows whose key does not come, and nothing else.
func retainDeletesWhatIsGone(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	texts := keyed(500)["text"]
	for name, made := range keyed(120) {
		if name == "text" { // more of them, so that all the look-alikes are there
			made = texts
		}
		req := h.request("t_"+name, made.columns, made.key, connectors.Replace)
		load(t, d, req, made.rows)
		var keys, want [][]any
		for i, row := range made.rows {
			if i%3 == 1 {
				continue
			}
			want = append(want, row)
			keys = append(keys, row[:len(made.key)])
		}
		gone := int64(len(made.rows) - len(want))
		if name == "int" { // a key that came up at the source after the last load is none of its business
			keys = append(keys, []any{"123456789"})
		}
		result, err := retain(t, d, h.retaining(req, connectors.RetainLimits{}), keys)
		wantDeleted(t, name, result, err, gone)
		number := req.Columns[len(req.Columns)-1]
		got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: h.find(t, s, req.Target), Columns: req.Columns, OrderBy: []string{number.Name}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		result, err = retain(t, d, h.retaining(req, connectors.RetainLimits{MaxShare: 0.01}), keys)
		wantDeleted(t, name+" again", result, err, 0)
	}
	req := h.request("t_int", idText(), []string{"id"}, connectors.Replace)
	load(t, d, req, counted(5, "x"))
	result, err := retain(t, d, h.retaining(req, connectors.RetainLimits{}), nil)
	wantDeleted(t, "no key without a limit", result, err, 5)
	if got := h.read(t, s, req); len(got) != 0 {
		t.Errorf("no key came and %d rows are left", len(got))
	}
}

// retainMarks marks what is gone, once, and a merge of a row that is back clears its mark.
func retainMarks(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	columns := append(idText(), column(connectors.MetaDeletedAt, connectors.TimestampTZ))
	columns[2].Type.Precision = 6
	rows := func(mark any, marked ...int) [][]any {
		var rows [][]any
		for i, r := range counted(9, "old") {
			if slices.Contains(marked, i) {
				rows = append(rows, append(r, mark))
			} else {
				rows = append(rows, append(r, nil))
			}
		}
		return rows
	}
	req := h.request("t", columns, []string{"id"}, connectors.Replace)
	load(t, d, req, rows(nil))
	keys := h.retaining(req, connectors.RetainLimits{Mark: true, MaxShare: 0.4})
	mark := keys.SyncedAt.Format("2006-01-02T15:04:05.000000Z")
	result, err := retain(t, d, keys, [][]any{{"0"}, {"2"}, {"3"}, {"5"}, {"6"}, {"8"}})
	wantDeleted(t, "marked", result, err, 3)
	if diff := cmp.Diff(rows(mark, 1, 4, 7), h.read(t, s, req)); diff != "" {
		t.Errorf("marked (-want +got):\n%s", diff)
	}
	later := keys
	later.RunID, later.SyncedAt = uuid.NewString(), keys.SyncedAt.Add(time.Hour)
	result, err = retain(t, d, later, [][]any{{"0"}, {"2"}, {"3"}, {"5"}, {"6"}, {"8"}})
	wantDeleted(t, "marked already", result, err, 0)
	if diff := cmp.Diff(rows(mark, 1, 4, 7), h.read(t, s, req)); diff != "" {
		t.Errorf("marked twice (-want +got):\n%s", diff)
	}
	back := req
	back.Mode, back.RunID, back.SyncedAt = connectors.Merge, uuid.NewString(), later.SyncedAt
	load(t, d, back, [][]any{{"4", "old", nil}})
	if diff := cmp.Diff(rows(mark, 1, 7), h.read(t, s, req)); diff != "" {
		t.Errorf("after row 4 came back (-want +got):\n%s", diff)
	}
}

// retainRefusesTooMany wants a deletion beyond the limit to name both counts and to change nothing.
func retainRefusesTooMany(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	columns := append(idText(), column(connectors.MetaDeletedAt, connectors.TimestampTZ))
	columns[2].Type.Precision = 6
	var rows, half [][]any
	for i, r := range counted(20, "x") {
		rows = append(rows, append(r, nil))
		if i%2 == 0 {
			half = append(half, r[:1])
		}
	}
	req := h.request("t", columns, []string{"id"}, connectors.Replace)
	load(t, d, req, rows)
	for _, mark := range []bool{false, true} {
		for _, test := range []struct {
			keys  [][]any
			share float64
			gone  string
		}{{half, 0.4, "10"}, {half, 0.499, "10"}, {nil, 0.9, "20"}, {nil, 0.05, "20"}} {
			_, err := retain(t, d, h.retaining(req, connectors.RetainLimits{Mark: mark, MaxShare: test.share}), test.keys)
			if connectors.KindOf(err) != connectors.KindConflict || !mentions(err, test.gone, "20") {
				t.Errorf("%s of 20 rows are gone and the limit is %v: %v (kind %q)", test.gone, test.share, err, connectors.KindOf(err))
			}
			if diff := cmp.Diff(rows, h.read(t, s, req)); diff != "" {
				t.Errorf("the refused deletion changed the rows (-want +got):\n%s", diff)
			}
		}
	}
	l, err := d.Begin(t.Context(), h.retaining(req, connectors.RetainLimits{}))
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, req.Columns[:1], half)
	if err := l.Abort(); err != nil {
		t.Errorf("abort: %v", err)
	}
	if diff := cmp.Diff(rows, h.read(t, s, req)); diff != "" {
		t.Errorf("the aborted deletion changed the rows (-want +got):\n%s", diff)
	}
	result, err := retain(t, d, h.retaining(req, connectors.RetainLimits{MaxShare: 0.5}), half)
	wantDeleted(t, "just within the limit", result, err, 10)
	if left := h.tables(t, s, h.Schema); len(left) != 1 {
		t.Errorf("the deletions leave %d tables, want 1", len(left))
	}
}

// retainLeavesTombstones wants a staging row of each deleted key, and none of the others.
func retainLeavesTombstones(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	columns := []connectors.Column{column("a", connectors.Int64), typed("b", connectors.Type{Kind: connectors.Text, Length: 10}), column("v", connectors.Text)}
	columns[0].Nullable, columns[1].Nullable = false, false
	req := h.request("t", columns, []string{"a", "b"}, connectors.Replace)
	req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: "t_raw"}}
	load(t, d, req, [][]any{{"1", "x", "v"}, {"1", "y\"", "v"}, {"2", "x", "v"}})
	keys := h.retaining(req, connectors.RetainLimits{MaxShare: 0.7})
	keys.Raw = req.Raw
	result, err := retain(t, d, keys, [][]any{{"1", "x"}})
	wantDeleted(t, "raw", result, err, 2)
	if diff := cmp.Diff([][]any{{"1", "x", "v"}}, h.read(t, s, req)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	staged := h.find(t, s, req.Raw.Table)
	got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: staged, Columns: h.columnsOf(t, staged, "_data")})
	if err != nil {
		t.Fatal(err)
	}
	var stones []string
	for _, row := range got {
		if text := strings.ReplaceAll(fmt.Sprint(row[0]), " ", ""); strings.Contains(text, connectors.MetaDeletedAt) {
			stones = append(stones, text)
		}
	}
	if len(got) != 5 || len(stones) != 2 {
		t.Fatalf("the staging table has %d rows, %d of them tombstones: %v", len(got), len(stones), stones)
	}
	slices.Sort(stones)
	for i, words := range [][]string{{`"a":1`, `"b":"y\""`}, {`"a":2`, `"b":"x"`}} {
		words = append(words, `"`+connectors.MetaDeletedAt+`":"2026-03-04T06:06:07.890123Z"`)
		for _, w := range words {
			if !strings.Contains(stones[i], w) {
				t.Errorf("the tombstone %s does not say %s", stones[i], w)
			}
		}
	}
}
