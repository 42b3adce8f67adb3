package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"arus/connectors"
)

// keepRaw gives a load rows for the staging table alone.
func keepRaw(t testing.TB, l connectors.Load, rows ...string) {
	t.Helper()
	k, ok := l.(connectors.RawKeeper)
	if !ok {
		t.Fatal("a load in raw mode keeps no rows for the staging table alone")
	}
	var all [][]byte
	for _, r := range rows {
		all = append(all, connectors.MarkDead([]byte(r)))
	}
	k.KeepRaw(all)
}

// rawKeepsDeadLetters wants rows that the target does not hold to stand in the staging table, whatever the way of the load,
// and in the target once it is rebuilt in columns that hold them. Until then a rebuild can leave them out.
func rawKeepsDeadLetters(t *testing.T, h *Harness) {
	d, s := h.destination(t), h.source(t)
	r := rebuilder(t, d)
	small := []connectors.Column{idText()[0], column("n", connectors.Int32)}
	wide := []connectors.Column{small[0], column("n", connectors.Int64)}
	for _, careful := range []bool{false, true} {
		name := fmt.Sprintf("t_%v", careful)
		req := h.request(name, small, []string{"id"}, connectors.Replace)
		req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: name + "_raw"}}
		req.Careful = careful
		base := req.RunID
		step := func(what string, l connectors.Load, rows [][]any, rawRows int64, dead ...string) {
			t.Helper()
			if len(rows) > 0 {
				write(t, l, req.Columns, rows)
			}
			keepRaw(t, l, dead...)
			result, err := l.Commit(t.Context())
			if err != nil || result.Rows != int64(len(rows)) || result.RawRows != rawRows {
				t.Fatalf("%s: %+v, %v, want %d rows and %d staged ones", what, result, err, len(rows), rawRows)
			}
		}
		begin := func() connectors.Load {
			t.Helper()
			l, err := d.Begin(t.Context(), req)
			if err != nil {
				t.Fatalf("begin: %v", err)
			}
			return l
		}
		step("a full load", begin(), [][]any{{"1", "10"}, {"2", "20"}, {"3", "30"}}, 5, `{"id":4,"n":4000000000}`, `{"id":5,"n":5000000000}`)
		h.wantRows(t, "the full load", req, [][]any{{"1", "10"}, {"2", "20"}, {"3", "30"}})
		h.wantRaw(t, "the full load", req, 5)
		req.RunID, req.SyncedAt, req.Mode = uuid.NewString(), req.SyncedAt.Add(time.Hour), connectors.Merge
		step("a merge", begin(), [][]any{{"1", "11"}}, 2, `{"id":2,"n":2000000000000}`)
		h.wantRows(t, "the merge", req, [][]any{{"1", "11"}, {"2", "20"}, {"3", "30"}})
		req.RunID, req.SyncedAt = uuid.NewString(), req.SyncedAt.Add(time.Hour)
		step("nothing but a dead letter", begin(), nil, 1, `{"id":3,"n":3000000000}`)
		h.wantRaw(t, "all loads", req, 8)

		build := connectors.RebuildRequest{Raw: req.Raw.Table, Target: req.Target, Columns: small, Key: req.Key, Base: base}
		if result, err := r.Rebuild(t.Context(), build); err == nil || connectors.Retryable(err) {
			t.Errorf("rebuilt with what does not fit: %+v, %v", result, err)
		}
		h.wantRows(t, "a rebuild that failed", req, [][]any{{"1", "11"}, {"2", "20"}, {"3", "30"}})
		build.Fitting = true
		if result, err := r.Rebuild(t.Context(), build); err != nil || result.Rows != 3 {
			t.Fatalf("rebuilt without dead letters: %+v, %v", result, err)
		}
		h.wantRows(t, "a rebuild without dead letters", req, [][]any{{"1", "11"}, {"2", "20"}, {"3", "30"}})

		if _, err := r.PruneRaw(t.Context(), connectors.RebuildRequest{Raw: build.Raw, Target: build.Target, Columns: small, Key: req.Key}, req.SyncedAt.Add(time.Hour)); err != nil {
			t.Fatalf("prune: %v", err)
		}
		h.wantRaw(t, "pruned", req, 7) // the first row 1 went
		build.Columns, build.Fitting, build.Base = wide, false, ""
		if result, err := r.Rebuild(t.Context(), build); err != nil || result.Rows != 5 {
			t.Fatalf("rebuilt wide: %+v, %v", result, err)
		}
		req.Columns = wide
		h.wantRows(t, "a wide rebuild", req, [][]any{{"1", "11"}, {"2", "2000000000000"}, {"3", "3000000000"}, {"4", "4000000000"}, {"5", "5000000000"}})
		if _, err := r.PruneRaw(t.Context(), build, req.SyncedAt.Add(time.Hour)); err != nil {
			t.Fatalf("prune: %v", err)
		}

		// In parts.
		req.Columns, req.Mode, req.RunID, req.SyncedAt, req.Resume = small, connectors.Replace, uuid.NewString(), req.SyncedAt.Add(time.Hour), uuid.NewString()
		l := inParts(t, d, req)
		step("a part", partOf(t, l, "a", false), [][]any{{"1", "1"}, {"2", "2"}}, 3, `{"id":6,"n":6000000000}`)
		step("a part of dead letters", partOf(t, l, "b", false), nil, 1, `{"id":7,"n":7000000000}`)
		if result, err := l.Commit(t.Context()); err != nil || result.Rows != 2 || result.RawRows != 4 {
			t.Fatalf("parts: %+v, %v", result, err)
		}
		h.wantRows(t, "the parts", req, [][]any{{"1", "1"}, {"2", "2"}})
		build.Columns, build.Base = wide, req.RunID
		if result, err := r.Rebuild(t.Context(), build); err != nil || result.Rows != 4 {
			t.Fatalf("rebuilt from parts: %+v, %v", result, err)
		}
		if n, err := r.PruneRaw(t.Context(), build, req.SyncedAt.Add(time.Hour)); err != nil || n != 6 { // row 3 is its key's newest that fits
			t.Errorf("pruned %d rows before the base, dead letters too: %v, want 6", n, err)
		}
	}
	if left := h.tables(t, s, h.Schema); len(left) != 4 {
		t.Errorf("%d tables are left, want 4", len(left))
	}
}
