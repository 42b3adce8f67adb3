package conformance

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"arus/connectors"
)

// removing is the request for the keys of rows to delete from a target that req loads.
func (h *Harness) removing(req connectors.LoadRequest) connectors.LoadRequest {
	keys := h.retaining(req, connectors.RetainLimits{})
	keys.Mode = connectors.Remove
	return keys
}

// removeDeletesWhatArrived deletes by single, text and composite keys the rows whose key comes, and nothing else; a key
// that comes twice or that no row has does no harm.
func removeDeletesWhatArrived(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	for name, made := range keyed(60) {
		req := h.request("t_"+name, made.columns, made.key, connectors.Replace)
		load(t, d, req, made.rows)
		var keys, want [][]any
		for i, row := range made.rows {
			if i%3 == 1 {
				keys = append(keys, row[:len(made.key)])
			} else {
				want = append(want, row)
			}
		}
		gone := int64(len(keys))
		if name == "int" {
			keys = append(keys, []any{"123456789"})
		}
		result, err := retain(t, d, h.removing(req), keys)
		wantDeleted(t, name, result, err, gone)
		number := req.Columns[len(req.Columns)-1]
		got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: h.find(t, s, req.Target), Columns: req.Columns, OrderBy: []string{number.Name}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		result, err = retain(t, d, h.removing(req), keys)
		wantDeleted(t, name+" again", result, err, 0)
		result, err = retain(t, d, h.removing(req), nil)
		wantDeleted(t, name+" without a key", result, err, 0)
	}
	absent := h.request("absent_table", idText(), []string{"id"}, connectors.Replace)
	result, err := retain(t, d, h.removing(absent), [][]any{{"1"}})
	wantDeleted(t, "an absent table", result, err, 0)
}

// countsRows wants the rows of a target, those of one run, and their nulls, each row once after it was loaded twice.
func countsRows(t *testing.T, h *Harness) {
	d := h.destination(t)
	c, ok := d.(connectors.Counter)
	if !ok {
		t.Fatal("the destination counts no rows")
	}
	columns := append(idText(), typed("a b\"`\\'c", connectors.Type{Kind: connectors.Int64}))
	columns[2].Name = h.shorten(columns[2].Name)
	first := h.request("t", columns, []string{"id"}, connectors.Replace)
	load(t, d, first, [][]any{{"1", "x", nil}, {"2", nil, "7"}, {"3", nil, nil}, {"4", "y", "8"}})
	second := first
	second.Mode, second.RunID = connectors.Merge, uuid.NewString()
	load(t, d, second, [][]any{{"2", "z", nil}, {"5", nil, "9"}})
	nulls := []string{columns[2].Name, "v"}
	if columns[1].Name != "v" {
		nulls[1] = columns[1].Name
	}
	for _, test := range []struct {
		run    string
		fields []string
		want   connectors.Counts
	}{
		{"", nulls, connectors.Counts{Rows: 5, Nulls: []int64{3, 2}}},
		{first.RunID, nulls, connectors.Counts{Rows: 3, Nulls: []int64{2, 1}}},
		{second.RunID, nulls, connectors.Counts{Rows: 2, Nulls: []int64{1, 1}}},
		{uuid.NewString(), nulls, connectors.Counts{Rows: 0, Nulls: []int64{0, 0}}},
		{"", nil, connectors.Counts{Rows: 5}},
	} {
		got, err := c.Count(t.Context(), connectors.CountRequest{Target: first.Target, RunID: test.run, Nulls: test.fields})
		if err != nil || got.Rows != test.want.Rows || !slices.Equal(got.Nulls, test.want.Nulls) {
			t.Errorf("run %q counts %+v, %v, want %+v", test.run, got, err, test.want)
		}
	}
	_, err := c.Count(t.Context(), connectors.CountRequest{Target: connectors.TableRef{Schema: h.Schema, Name: "absent_table"}})
	if connectors.KindOf(err) != connectors.KindNotFound || !mentions(err, "absent_table") {
		t.Errorf("to count an absent table gives %v (kind %q)", err, connectors.KindOf(err))
	}
}
