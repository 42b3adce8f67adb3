package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// refusable are rows that some destination or other refuses for their content. The first has no value in its key.
func refusable() ([]connectors.Column, [][]any) {
	columns := append(idText(), column("d", connectors.Date))
	columns[1].Type.Length = 5
	return columns, [][]any{
		{nil, "null", nil},
		{"8", "too long", nil},
		{"8", "n\x00l", nil},
		{"8", "date", "-4712-01-01"},
		{"8", "date", "12345-06-07"},
	}
}

// aCarefulLoadKeepsTheGoodRows wants a batch that is refused to leave nothing behind: neither its good rows nor a broken
// load. A destination that takes a row has to show it.
func aCarefulLoadKeepsTheGoodRows(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	columns, bad := refusable()
	good := func(id int, v string) []any { return []any{fmt.Sprint(id), v, "2026-01-02"} }
	for _, mode := range modes {
		for _, raw := range []bool{false, true} {
			name := fmt.Sprintf("t%d_%v", mode, raw)
			first, req := h.in(connectors.Replace, name), h.in(mode, name)
			first.Columns, first.Key, req.Columns, req.Careful = columns, req.Key, columns, true
			var old [][]any
			for i := range 20 {
				old = append(old, good(i, "old"))
			}
			load(t, d, first, old)
			if raw {
				req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: name + "_raw"}}
			}
			l, err := d.Begin(t.Context(), req)
			if err != nil {
				t.Fatalf("begin: %v", err)
			}
			var taken [][]any
			refused := 0
			put := func(mayFail bool, rows ...[]any) bool {
				t.Helper()
				batch, err := Batch(columns, rows)
				if err != nil {
					t.Fatal(err)
				}
				err = l.Write(t.Context(), batch)
				kind := connectors.KindOf(err)
				switch {
				case err == nil:
					taken = append(taken, rows...)
				case !mayFail || kind != connectors.KindType && kind != connectors.KindConstraint:
					_ = l.Abort()
					t.Fatalf("%s, raw %v: the batch %.200q is refused with kind %q: %v", mode, raw, rows, kind, err)
				default:
					refused++
				}
				return err == nil
			}
			id := 5
			for i, row := range bad {
				row = slices.Clone(row)
				if row[0] != nil {
					row[0] = fmt.Sprint(id + 1)
				}
				ok := put(true, good(id, "good"), row)
				if ok && row[0] == nil && len(req.Key) > 0 {
					t.Errorf("%s, raw %v: a NULL in the key is taken", mode, raw)
				}
				if !ok { // what came with the row is not there: it may come again
					put(false, good(id, "good"), good(id+1, "good"))
				}
				if id += 2; i == 1 {
					put(false) // nothing at all
				}
			}
			if refused == 0 && len(req.Key) > 0 {
				t.Errorf("%s, raw %v: no row is refused", mode, raw)
			}
			result, err := l.Commit(t.Context())
			if err != nil {
				t.Fatalf("%s, raw %v: commit: %v", mode, raw, err)
			}
			if result.Rows != int64(len(taken)) || raw && result.RawRows != int64(len(taken)) {
				t.Errorf("%s, raw %v: the load counts %+v, want %d rows", mode, raw, result, len(taken))
			}
			want := slices.Clone(taken)
			if mode != connectors.Replace {
				for _, row := range old {
					if !slices.ContainsFunc(taken, func(r []any) bool { return r[0] == row[0] }) &&
						(mode == connectors.Merge || len(row[0].(string)) == 1 && row[0].(string) < "5" || len(row[0].(string)) == 2 && row[0].(string) > "14") {
						want = append(want, row)
					}
				}
			}
			if diff := gocmp.Diff(byText(want), byText(h.read(t, s, req))); diff != "" {
				t.Errorf("%s, raw %v (-want +got):\n%s", mode, raw, diff)
			}
		}
	}
}

// byText sorts rows whose order does not matter.
func byText(rows [][]any) [][]any {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b []any) int { return cmp.Compare(fmt.Sprintf("%q", a), fmt.Sprintf("%q", b)) })
	return rows
}

// aCarefulLoadOfNoGoodRow wants a load whose every batch was refused to commit as one without rows.
func aCarefulLoadOfNoGoodRow(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
		req := h.in(mode, fmt.Sprintf("t%d", mode))
		load(t, d, h.in(connectors.Replace, req.Target.Name), counted(3, "old"))
		req.Careful = true
		l, err := d.Begin(t.Context(), req)
		if err != nil {
			t.Fatalf("begin: %v", err)
		}
		for range 2 {
			batch, err := Batch(req.Columns, [][]any{{"1", "good"}, {nil, "bad"}})
			if err != nil {
				t.Fatal(err)
			}
			err = l.Write(t.Context(), batch)
			if kind := connectors.KindOf(err); kind != connectors.KindType && kind != connectors.KindConstraint {
				t.Errorf("%s: a NULL in the key gives %v (kind %q)", mode, err, kind)
			}
		}
		result, err := l.Commit(t.Context())
		if err != nil || result.Rows != 0 {
			t.Fatalf("%s: commit: %+v, %v", mode, result, err)
		}
		want := [][]any{}
		if mode == connectors.Merge {
			want = counted(3, "old")
		}
		if diff := gocmp.Diff(want, h.read(t, s, req)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
	}
}
