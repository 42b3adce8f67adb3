package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/app/model"
	"arus/connectors"
)

// peekingSource is a fake source that can look into many tables together.
type peekingSource struct{ *fakeSource }

func (s peekingSource) Peek(ctx context.Context, requests []connectors.PeekRequest, emit func(i int, batch arrow.RecordBatch) error) []error {
	errs := make([]error, len(requests))
	for i, req := range requests {
		enough, left := errors.New("enough"), req.Rows
		err := s.hit("peek " + req.Table.Name)
		if err == nil {
			err = s.Read(ctx, req.ReadRequest, func(batch arrow.RecordBatch) error {
				if batch.NumRows() > int64(left) {
					defer batch.Release()
					batch = batch.NewSlice(0, int64(left))
				}
				left -= int(batch.NumRows())
				if batch.NumRows() == 0 {
					batch.Release()
					return enough
				}
				return emit(i, batch)
			})
		}
		if !errors.Is(err, enough) {
			errs[i] = err
		}
	}
	return errs
}

// quietBench has many tables that were loaded once.
func quietBench(t *testing.T, n int) *bench {
	t.Helper()
	var tables []connectors.Table
	for i := range n {
		tables = append(tables, fakeTable(fmt.Sprintf("t%03d", i), "id"))
	}
	b := newBench(t, tables...)
	b.peeks = true
	for i, table := range tables {
		b.source.rows[table.Name] = rowsFrom(5, func(k int) int64 { return us + int64(i+k/2) })
	}
	b.mustSucceed()
	return b
}

func TestQuietTablesAreLookedAtTogether(t *testing.T) {
	t.Parallel()
	const n = quietGroup + 30
	b := quietBench(t, n)
	before := maps.Clone(b.state.marks)
	b.faults.calls = nil
	b.state.stats = map[string]model.RunTableStat{}
	r := b.mustSucceed()
	if len(r.Tables) != n || counts(r) != [4]int64{} {
		t.Fatalf("%d tables, counts %v", len(r.Tables), counts(r))
	}
	for step, want := range map[string]int{"max": 0, "watermark": 0, "watermarks": 2, "checkpoint": 0, "checkpoint quiet": 2} {
		if got := b.faults.count(step); got != want {
			t.Errorf("step %q happened %d times, want %d", step, got, want)
		}
	}
	for i, x := range r.Tables {
		name := fmt.Sprintf("t%03d", i)
		was, is := before[name], b.state.marks[name]
		if x.Table != name || x.Status != model.RunSuccess || x.Mode != model.ModeIncremental || x.WatermarkAfter != was.Value || x.WatermarkBefore != was.Value || !strings.HasSuffix(x.Target, "."+name) {
			t.Fatalf("the report of %s is %+v", name, x)
		}
		if is.Value != was.Value || string(is.Boundary) != string(was.Boundary) || is.LastRunID != r.RunID || is.RowCount != 0 || is.LastSyncedAt.Equal(was.LastSyncedAt) {
			t.Fatalf("the watermark of %s was %+v and is %+v", name, was, is)
		}
		if stat := b.state.stats[name]; stat.Status != model.RunSuccess || stat.RunID != r.RunID || stat.ID == "" || stat.Target != x.Target {
			t.Fatalf("the figures of %s are %+v", name, stat)
		}
	}
}

// TestQuietTablesAreThoseWithoutNews compares runs that look at tables together
// with runs that do not, over the same changes.
func TestQuietTablesAreThoseWithoutNews(t *testing.T) {
	t.Parallel()
	quiet := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 9))
		lookBack := rng.IntN(2) * 2
		var tables []connectors.Table
		for i := range 12 {
			key := []string{"id"}
			if i%4 == 3 {
				key = nil
			}
			tables = append(tables, fakeTable(fmt.Sprintf("t%02d", i), key...))
		}
		apart, together := newBench(t, tables...), newBench(t, tables...)
		together.peeks = true
		for _, b := range []*bench{apart, together} {
			b.job.Pipeline.Options.LookbackSeconds = lookBack
			if seed%5 == 0 {
				b.job.Pipeline.Options.NullWatermark = model.NullSkip
			}
		}
		now := us
		for round := range 6 {
			for i, table := range tables {
				rows := apart.source.rows[table.Name]
				if round == 0 {
					rows = rowsFrom(rng.IntN(6), func(k int) int64 { return us + int64(k/2)*1_000_000 })
					if i%3 == 0 && len(rows) > 2 {
						rows[1].stamp = 0
					}
				}
				switch rng.IntN(8) {
				case 0: // new
					now += 1_000_000
					rows = append(rows, row{id: int64(100*round + i + 10), text: "new", stamp: now})
				case 1: // new at the edge, or without a time
					rows = append(rows, row{id: int64(100*round + i + 10), text: "late", stamp: int64(rng.IntN(2)) * now})
				case 2: // changed, with or without a new time
					if len(rows) > 0 {
						k := rng.IntN(len(rows))
						rows = slices.Clone(rows)
						rows[k].text += "+"
						if rng.IntN(2) == 0 && rows[k].stamp > 0 {
							rows[k].stamp = now
						}
					}
				case 3: // gone
					if len(rows) > 0 {
						rows = slices.Delete(slices.Clone(rows), len(rows)-1, len(rows))
					}
				}
				apart.source.rows[table.Name], together.source.rows[table.Name] = rows, slices.Clone(rows)
			}
			want, got := apart.mustSucceed(), together.mustSucceed()
			for i := range want.Tables {
				w, g := want.Tables[i], got.Tables[i]
				w.DurationMS, g.DurationMS = 0, 0
				if diff := cmp.Diff(w, g); diff != "" {
					t.Fatalf("seed %d, round %d (-apart +together)\n%s", seed, round, diff)
				}
				wm, gm := apart.state.marks[w.Table], together.state.marks[w.Table]
				wm.LastSyncedAt = gm.LastSyncedAt
				if diff := cmp.Diff(wm, gm); diff != "" {
					t.Fatalf("seed %d, round %d: the watermark of %s (-apart +together)\n%s", seed, round, w.Table, diff)
				}
			}
			if diff := cmp.Diff(apart.dest.tables, together.dest.tables, cmp.AllowUnexported(row{})); diff != "" {
				t.Fatalf("seed %d, round %d: the targets (-apart +together)\n%s", seed, round, diff)
			}
			quiet += together.faults.count("checkpoint quiet")
		}
	}
	if quiet == 0 {
		t.Error("no table was ever quiet")
	}
}

func TestOneTableThatFailsIsNotQuiet(t *testing.T) {
	t.Parallel()
	b := quietBench(t, 10)
	b.faults.random = func(step string) error {
		if step == "peek t004" || step == "read t004" {
			return &connectors.Error{Kind: connectors.KindPermission, Op: "read", Object: "t004", Err: errFault}
		}
		return nil
	}
	b.faults.calls = nil
	r := b.run()
	if r.Status != model.RunFailed {
		t.Fatalf("the run is %s", r.Status)
	}
	for _, x := range r.Tables {
		want := model.RunSuccess
		if x.Table == "t004" {
			want = model.RunFailed
		}
		if x.Status != want || (want == model.RunFailed) != strings.Contains(x.Error, "t004") {
			t.Errorf("%s is %s: %s", x.Table, x.Status, x.Error)
		}
	}
	if n := b.faults.count("max"); n != 1 {
		t.Errorf("%d tables went their whole way, want 1", n)
	}
}

func TestWhatIsNotPlainlyQuietGoesItsWholeWay(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bench){
		"a full refresh":         func(b *bench) { b.job.FullRefresh = true },
		"a comparison of keys":   func(b *bench) { b.job.Reconcile = true },
		"a backfill":             func(b *bench) { b.job.BackfillFrom = "2023-01-01" },
		"full refresh by source": func(b *bench) { b.job.SyncMethod = model.SyncFullRefresh },
		"a soft delete column":   func(b *bench) { b.job.Pipeline.Tables[0].SoftDeleteColumn = "text" },
		"no stored watermark":    func(b *bench) { delete(b.state.marks, "t000") },
		"no stored schema":       func(b *bench) { delete(b.state.schemas, "t000") },
		"no target":              func(b *bench) { delete(b.dest.tables, "t000") },
		"a changed type of the watermark": func(b *bench) {
			w := b.state.marks["t000"]
			w.Type = "date"
			b.state.marks["t000"] = w
		},
		"a change of the schema that waits": func(b *bench) {
			b.state.changes = append(b.state.changes, model.SchemaChange{ID: "c", SourceTable: "t000", Kind: model.ColumnRemoved, Column: "x"})
		},
		"a large table without an index": func(b *bench) { b.source.tables[0].Bytes = quietScan + 1 },
		"a table of unknown size":        func(b *bench) { b.source.tables[0].Bytes = -1 },
		"a state that refuses":           func(b *bench) { b.faults.after["checkpoint quiet"] = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := quietBench(t, 1)
			change(b)
			b.faults.calls = nil
			r, err := b.engine.Run(t.Context(), b.job)
			if err != nil {
				t.Fatal(err)
			}
			if b.faults.count("max")+b.faults.count("begin") == 0 && r.Tables[0].Status == model.RunSuccess {
				t.Errorf("it was taken for quiet: %+v", r.Tables[0])
			}
		})
	}
}
