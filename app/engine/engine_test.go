package engine

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"arus/app/model"
	"arus/connectors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWatermarkNeverPassesUnloadedRows injects a fault at every step of a first
// load and of an incremental one, and checks that the stored watermark never
// says more than the target holds, and that the next run mends everything.
func TestWatermarkNeverPassesUnloadedRows(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"open", "tables", "max", "table", "watermark", "stat", "begin", "read", "write", "commit", "after commit", "checkpoint"} {
		for _, nth := range []int{0, 1, 4} {
			for _, first := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %d first %v", step, nth, first), func(t *testing.T) {
					t.Parallel()
					b := newBench(t, fakeTable("orders", "id"))
					b.source.rows["orders"] = rowsFrom(10, func(i int) int64 { return us + int64(i/3) })
					if !first {
						b.mustSucceed()
						for i := range 6 {
							b.source.rows["orders"][i].text += " changed"
							b.source.rows["orders"][i].stamp = us + 100 + int64(i)
						}
					}
					b.faults.after[step] = nth
					r := b.run()
					if _, left := b.faults.after[step]; left {
						delete(b.faults.after, step) // the step is not called so often
					} else if r.Status != model.RunFailed {
						t.Errorf("a fault at %q left the run %s", step, r.Status)
					}
					held := map[int64]row{}
					for _, have := range b.dest.tables["orders"] {
						held[have.id] = have
					}
					mark, _ := boundInt(connectors.Bound{Kind: connectors.TimestampTZ, Text: b.state.marks["orders"].Value})
					for _, want := range b.source.rows["orders"] {
						if want.stamp <= mark && held[want.id] != want {
							t.Errorf("watermark %s passed row %v, the target holds %v", b.state.marks["orders"].Value, want, held[want.id])
						}
					}
					b.mustSucceed()
					b.equal("orders")
				})
			}
		}
	}
}

func TestRerunningAnyWindowGivesTheSameTable(t *testing.T) {
	t.Parallel()
	for _, keyed := range []bool{true, false} {
		t.Run(fmt.Sprint("keyed ", keyed), func(t *testing.T) {
			t.Parallel()
			table := fakeTable("events")
			if keyed {
				table = fakeTable("events", "id")
			}
			b := newBench(t, table)
			b.source.rows["events"] = rowsFrom(12, func(i int) int64 { return us + int64(i/4)*1_000_000 })
			b.mustSucceed()
			for range 3 { // set the watermark back to an old value: the window is read and loaded again
				w := b.state.marks["events"]
				w.Value, w.Boundary = stampText(us+1_000_000), nil
				b.state.marks["events"] = w
				b.source.rows["events"] = append(b.source.rows["events"], row{id: int64(len(b.source.rows["events"]) + 1), text: "new", stamp: us + 2_000_000})
				b.mustSucceed()
				b.equal("events")
			}
		})
	}
}

func TestOneTableFailingDoesNotStopItsSiblings(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("a", "id"), fakeTable("b", "id"), fakeTable("c", "id"))
	for _, name := range []string{"a", "b", "c"} {
		b.source.rows[name] = rowsFrom(7, func(i int) int64 { return us + int64(i) })
	}
	b.faults.after["write b"] = 1
	r := b.run()
	if r.Status != model.RunFailed || r.Tables[0].Status != model.RunSuccess || r.Tables[1].Status != model.RunFailed || r.Tables[2].Status != model.RunSuccess {
		t.Errorf("states %s: %s %s %s", r.Status, r.Tables[0].Status, r.Tables[1].Status, r.Tables[2].Status)
	}
	b.equal("a")
	b.equal("c")
	if b.state.marks["a"].Value == "" || b.state.marks["c"].Value == "" || b.state.marks["b"].Value != "" {
		t.Errorf("watermarks %v: the good tables keep their progress, the failed one has none", b.state.marks)
	}
	b.mustSucceed()
	b.equal("b")
}

func TestAMissingTableFailsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("a", "id"), fakeTable("b", "id"))
	b.source.rows["a"] = rowsFrom(2, func(int) int64 { return us })
	b.source.tables = b.source.tables[:1]
	r := b.run()
	if r.Tables[0].Status != model.RunSuccess || connectors.KindOf(r.Tables[1].Err) != connectors.KindNotFound {
		t.Errorf("tables %+v", r.Tables)
	}
}

func TestAnEmptyRunLeavesTheWatermark(t *testing.T) {
	t.Parallel()
	for _, key := range [][]string{{"id"}, nil} {
		b := newBench(t, fakeTable("orders", key...))
		b.source.rows["orders"] = rowsFrom(9, func(i int) int64 { return us + int64(i/5) }) // four rows share the boundary
		b.mustSucceed()
		before := b.state.marks["orders"]
		for range 2 {
			loads := b.dest.loads
			r := b.mustSucceed()
			after := b.state.marks["orders"]
			if r.RowsRead != 0 || b.dest.loads != loads || before.Value != after.Value || string(before.Boundary) != string(after.Boundary) {
				t.Errorf("key %v: an empty run read %d rows, began %d loads, moved %q to %q", key, r.RowsRead, b.dest.loads-loads, before.Value, after.Value)
			}
			if x := r.Tables[0]; x.WatermarkBefore != before.Value || x.WatermarkAfter != before.Value {
				t.Errorf("reported watermarks %q, %q, want %q twice", x.WatermarkBefore, x.WatermarkAfter, before.Value)
			}
		}
		b.source.rows["orders"] = nil // everything is gone at the source
		b.mustSucceed()
		if got := b.state.marks["orders"].Value; got != before.Value {
			t.Errorf("key %v: an emptied source moved the watermark to %q", key, got)
		}
	}
}

func TestEveryRowReadIsCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("a", "id"), fakeTable("b"))
	b.source.rows["a"] = rowsFrom(11, func(i int) int64 { return us + int64(i) })
	b.source.rows["b"] = rowsFrom(4, func(i int) int64 { return us + int64(i) })
	if got, want := counts(b.mustSucceed()), [4]int64{15, 15, 0, 0}; got != want {
		t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
	}
	b.source.rows["a"][0] = row{id: 1, text: "x", stamp: us + 50}
	b.source.rows["a"][1] = row{id: 2, text: "y", stamp: us + 50}
	r := b.mustSucceed()
	if got, want := counts(r), [4]int64{2, 2, 0, 0}; got != want {
		t.Errorf("read, loaded, filtered, dead = %v, want %v: exactly the changed rows", got, want)
	}
	last := b.state.runs[len(b.state.runs)-1]
	if last.Counts.Read != 2 || last.Counts.Loaded != 2 || b.state.stats["a"].RowsExtracted != 2 || b.state.stats["a"].RowsLoadedAnalytics != 2 {
		t.Errorf("recorded %+v and %+v", last.Counts, b.state.stats["a"])
	}
}

func TestTiesAtTheWatermarkAreNeverLost(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.source.rows["orders"] = rowsFrom(4, func(int) int64 { return us })
	b.mustSucceed()
	// A row committed later with the very same stamp, and one changed within it.
	b.source.rows["orders"] = append(b.source.rows["orders"], row{id: 5, text: "late", stamp: us})
	b.source.rows["orders"][0].text = "changed within the same instant"
	if r := b.mustSucceed(); r.RowsRead != 2 {
		t.Errorf("read %d rows, want the 2 that are new at the boundary", r.RowsRead)
	}
	b.equal("orders")
}

func TestLookBackFindsRowsCommittedLate(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.job.Pipeline.Options.LookbackSeconds = 60
	second := int64(1_000_000)
	b.source.rows["orders"] = rowsFrom(5, func(i int) int64 { return us + int64(i)*10*second })
	b.mustSucceed()
	late := row{id: 9, text: "late", stamp: us + 5*second}
	b.source.rows["orders"] = append(b.source.rows["orders"], late, row{id: 10, text: "next", stamp: us + 41*second})
	if r := b.mustSucceed(); r.RowsRead != 2 {
		t.Errorf("read %d rows, want 2: the late one and the next, not those known from the last run", r.RowsRead)
	}
	b.equal("orders")
	b.source.rows["orders"] = append(b.source.rows["orders"], row{id: 11, text: "later", stamp: us + 30*second})
	if r := b.mustSucceed(); r.RowsRead != 1 {
		t.Errorf("read %d rows, want 1", r.RowsRead)
	}
	b.equal("orders")
}

func TestTheLookBackDoesNotLowerTheUpperBound(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.job.Pipeline.Options.LookbackSeconds = 60
	second := int64(1_000_000)
	b.source.rows["orders"] = rowsFrom(5, func(i int) int64 { return us + int64(i)*10*second })
	b.mustSucceed()
	mark := b.state.marks["orders"].Value
	// The newest row goes, and another comes within the look-back.
	b.source.rows["orders"] = append(b.source.rows["orders"][:4], row{id: 9, text: "late", stamp: us + 35*second})
	if r := b.mustSucceed(); r.RowsRead != 1 {
		t.Errorf("read %d rows, want the late one", r.RowsRead)
	}
	if now := b.state.marks["orders"].Value; now != mark {
		t.Errorf("the watermark went from %s to %s", mark, now)
	}
}

func TestNullWatermarks(t *testing.T) {
	t.Parallel()
	stamps := func(i int) int64 {
		if i%2 == 0 {
			return 0
		}
		return us + int64(i)
	}
	t.Run("include", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, fakeTable("orders", "id"))
		b.source.rows["orders"] = rowsFrom(6, stamps)
		b.mustSucceed()
		b.equal("orders")
		b.source.rows["orders"][0].text = "changed without a stamp"
		b.source.rows["orders"] = append(b.source.rows["orders"], row{id: 7, text: "new without a stamp"})
		if r := b.mustSucceed(); r.RowsRead != 2 {
			t.Errorf("read %d rows, want the 2 changed ones", r.RowsRead)
		}
		b.equal("orders")
	})
	t.Run("skip", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, fakeTable("orders", "id"))
		b.job.Pipeline.Options.NullWatermark = model.NullSkip
		b.source.rows["orders"] = rowsFrom(6, stamps)
		if r := b.mustSucceed(); r.RowsRead != 3 {
			t.Errorf("read %d rows, want the 3 with a stamp", r.RowsRead)
		}
	})
	t.Run("all null", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, fakeTable("orders", "id"))
		b.source.rows["orders"] = rowsFrom(6, func(int) int64 { return 0 })
		b.mustSucceed()
		b.equal("orders")
		b.source.rows["orders"][2].stamp = us
		b.mustSucceed()
		b.equal("orders")
	})
}

func TestDuplicatesWithoutAKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("log"))
	same := row{id: 1, text: "x", stamp: us}
	b.source.rows["log"] = []row{same, same}
	b.mustSucceed()
	b.equal("log")
	b.source.rows["log"] = append(b.source.rows["log"], same)
	if r := b.mustSucceed(); r.RowsRead != 3 {
		t.Errorf("read %d rows, want the whole window of 3", r.RowsRead)
	}
	b.equal("log")
	b.source.rows["log"] = b.source.rows["log"][:1]
	b.mustSucceed()
	b.equal("log")
}

func TestBackfillLeavesTheWatermark(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.source.rows["orders"] = rowsFrom(8, func(i int) int64 { return us + int64(i)*86_400_000_000 })
	b.mustSucceed()
	before := b.state.marks["orders"]
	b.source.rows["orders"][3].text = "mended without touching the stamp"
	b.source.rows["orders"][0].text = "before the window"
	b.job.BackfillFrom = stampText(us + 2*86_400_000_000)[:10]
	b.faults.after["write"] = 1
	b.run() // a failed backfill changes nothing either
	if r := b.mustSucceed(); r.RowsRead != 6 {
		t.Errorf("read %d rows, want 6", r.RowsRead)
	}
	after := b.state.marks["orders"]
	if after.Value != before.Value || string(after.Boundary) != string(before.Boundary) {
		t.Errorf("the backfill moved the watermark from %q to %q", before.Value, after.Value)
	}
	if got := b.dest.tables["orders"]; len(got) != 8 {
		t.Errorf("%d rows after the backfill, want 8", len(got))
	}
}

func TestFullRefreshSwapsAndGoesOnIncrementally(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.source.rows["orders"] = rowsFrom(5, func(i int) int64 { return us + int64(i) })
	b.mustSucceed()
	b.source.rows["orders"] = b.source.rows["orders"][1:] // a hard delete, which only a full refresh sees
	b.job.FullRefresh = true
	b.mustSucceed()
	b.equal("orders")
	b.job.FullRefresh = false
	if r := b.mustSucceed(); r.RowsRead != 0 {
		t.Errorf("read %d rows after the full refresh, want 0", r.RowsRead)
	}
}

func TestATableOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.dest.tables["orders"] = []row{{id: 77}}
	d := &strangerDestination{b.dest}
	b.job.Open = func(context.Context) (connectors.Source, connectors.Destination, error) { return b.source, d, nil }
	r := b.run()
	if connectors.KindOf(r.Tables[0].Err) != connectors.KindConflict || len(b.dest.tables["orders"]) != 1 {
		t.Errorf("error %v, rows %v", r.Tables[0].Err, b.dest.tables["orders"])
	}
}

// strangerDestination has tables that Arus did not make.
type strangerDestination struct{ *fakeDestination }

func (d *strangerDestination) Table(ctx context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	t, ok, err := d.fakeDestination.Table(ctx, ref)
	t.Managed = false
	return t, ok, err
}

func TestCancelledRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.source.rows["orders"] = rowsFrom(20, func(i int) int64 { return us + int64(i) })
	ctx, cancel := context.WithCancel(t.Context())
	b.engine.Progress = func(ev Event) {
		if ev.Rows >= 6 {
			cancel()
		}
	}
	r, err := b.engine.Run(ctx, b.job)
	if err != nil || r.Status != model.RunCancelled || b.state.runs[0].Status != model.RunCancelled {
		t.Errorf("status %s, %v", r.Status, err)
	}
	if len(b.dest.tables["orders"]) != 0 || b.state.marks["orders"].Value != "" {
		t.Error("a cancelled first load left rows or a watermark")
	}
	b.engine.Progress = nil
	b.mustSucceed()
	b.equal("orders")
}

func TestCompareFindsEveryDifference(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("a", "id"), fakeTable("b", "id"))
	b.source.rows["a"] = rowsFrom(20, func(i int) int64 { return us + int64(i) })
	b.source.rows["b"] = rowsFrom(20, func(i int) int64 { return us + int64(i) })
	side := func(i int) Side { return Side{Source: b.source, Table: b.source.tables[i]} }
	d, err := Compare(t.Context(), side(0), side(1), []string{"id"})
	if err != nil || !d.Equal() || d.Rows != 20 {
		t.Errorf("equal tables: %+v, %v", d, err)
	}
	b.source.rows["b"] = append(b.source.rows["b"][2:], row{id: 99})
	b.source.rows["b"][3].text = "other"
	b.source.rows["b"][4].stamp = 0
	d, err = Compare(t.Context(), side(0), side(1), []string{"id"})
	if err != nil || d.Missing != 2 || d.Extra != 1 || d.Changed != 2 || len(d.Examples) != 5 {
		t.Errorf("differences: %+v, %v", d, err)
	}
}
