package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"arus/app/model"
	"arus/connectors"
)

// inChunks makes the table large enough for chunks of n rows.
func (b *bench) inChunks(table string, n int64) {
	b.job.Pipeline.Options.ChunkRows = n
	for i := range b.source.tables {
		if b.source.tables[i].Name == table {
			b.source.tables[i].RowEstimate = 1_000_000
		}
	}
}

// notPassed fails if the watermark is past a row that is not in the target.
func (b *bench) notPassed(table string) {
	b.t.Helper()
	b.notPassedBut(table, 0)
}

// notPassedBut leaves out the last rows before the watermark: those at it may
// have come after the run.
func (b *bench) notPassedBut(table string, last int64) {
	b.t.Helper()
	held := map[int64]row{}
	for _, have := range b.dest.tables[table] {
		held[have.id] = have
	}
	mark, _ := boundInt(connectors.Bound{Kind: connectors.TimestampTZ, Text: b.state.marks[table].Value})
	for _, want := range b.source.rows[table] {
		if want.stamp <= mark-last && held[want.id] != want && (b.dest.refuse == nil || !b.dest.refuse(want)) {
			b.t.Errorf("watermark %s passed row %v, the target holds %v", b.state.marks[table].Value, want, held[want.id])
		}
	}
}

func TestAFirstLoadInChunks(t *testing.T) {
	t.Parallel()
	for _, parallel := range []int{1, 4} {
		b := newBench(t, fakeTable("orders", "id"))
		b.inChunks("orders", 10)
		b.job.Pipeline.Options.Parallel = parallel
		b.source.rows["orders"] = rowsFrom(95, func(i int) int64 { return us + int64(i/3) })
		b.source.rows["orders"][4].stamp = 0
		r := b.mustSucceed()
		b.equal("orders")
		if len(b.source.ranges) != 10 {
			t.Errorf("read %d ranges, want 10", len(b.source.ranges))
		}
		if got, want := counts(r), [4]int64{95, 95, 0, 0}; got != want {
			t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
		}
		if r := b.mustSucceed(); r.RowsRead != 0 {
			t.Errorf("the next run read %d rows: the boundary of the chunks is lost", r.RowsRead)
		}
		if len(b.state.chunked) != 0 {
			t.Error("the finished load is still recorded as unfinished")
		}
	}
}

func TestWhatIsNotLoadedInChunks(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *bench){
		"a small table":             func(b *bench) { b.source.tables[0].RowEstimate = 19 },
		"a table without a key":     func(b *bench) { b.source.tables[0].PrimaryKey = nil },
		"a full refresh only":       func(b *bench) { b.job.Pipeline.Tables[0].SyncMode = model.ModeFullRefresh },
		"a destination of no parts": func(b *bench) { b.dest.whole = true },
		"a key with nulls": func(b *bench) {
			b.source.tables[0].Columns = slices.Clone(fakeColumns)
			b.source.tables[0].Columns[0].Nullable = true
		},
	} {
		b := newBench(t, fakeTable("orders", "id"))
		b.inChunks("orders", 10)
		b.source.rows["orders"] = rowsFrom(30, func(i int) int64 { return us + int64(i) })
		change(b)
		b.mustSucceed()
		b.equal("orders")
		if len(b.source.ranges) != 0 || len(b.state.chunked) != 0 {
			t.Errorf("%s was read by the ranges %v", name, b.source.ranges)
		}
	}
}

func TestAResumedFirstLoadReadsOnlyMissingChunks(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.inChunks("orders", 10)
	b.job.Pipeline.Options.Parallel = 1
	b.source.rows["orders"] = rowsFrom(100, func(i int) int64 { return us + int64(i) })
	b.faults.after["write"] = 4*4 + 2 // within the fifth chunk
	r := b.run()
	if got, want := counts(r), [4]int64{40, 40, 0, 0}; r.Status != model.RunFailed || got != want {
		t.Fatalf("%s with %v, want what the finished chunks brought: %v", r.Status, got, want)
	}
	if len(b.dest.tables["orders"]) != 0 || b.state.marks["orders"].Value != "" {
		t.Error("an unfinished first load shows rows or has a watermark")
	}
	// Rows that come meanwhile are the next run's.
	b.source.rows["orders"] = append(b.source.rows["orders"], row{id: 101, text: "later", stamp: us + 500})
	b.source.rows["orders"][2].text, b.source.rows["orders"][2].stamp = "changed in a finished chunk", us+501
	b.source.ranges = nil
	r = b.mustSucceed()
	if got, want := counts(r), [4]int64{60, 60, 0, 0}; got != want || len(b.source.ranges) != 6 {
		t.Errorf("read, loaded, filtered, dead = %v, want %v in 6 ranges: %v", got, want, b.source.ranges)
	}
	if got := b.state.marks["orders"].Value; got != stampText(us+99) {
		t.Errorf("the watermark is %s, want the bound fixed by the first run, %s", got, stampText(us+99))
	}
	if b.state.marks["orders"].RowCount != 100 {
		t.Errorf("the table's total is %d", b.state.marks["orders"].RowCount)
	}
	if r = b.mustSucceed(); r.RowsRead != 2 {
		t.Errorf("the run after it read %d rows, want the 2 that came meanwhile", r.RowsRead)
	}
	b.equal("orders")
}

func TestATransientErrorCostsOnlyItsChunks(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.inChunks("orders", 10)
	b.job.Pipeline.Options.Parallel = 1
	b.source.rows["orders"] = rowsFrom(100, func(i int) int64 { return us + int64(i) })
	b.job.Pipeline.MaxRetries = 1
	failures := 0
	b.faults.random = func(step string) error {
		if step == "part commit" && b.faults.calls[step]%3 == 0 { // every third chunk fails once: more failures than retries
			failures++
			return &connectors.Error{Kind: connectors.KindNetwork, Op: step, Err: errFault}
		}
		return nil
	}
	r := b.mustSucceed()
	b.equal("orders")
	if failures < 3 || r.Tables[0].Retries != failures || len(b.source.ranges) != 10+failures || counts(r) != [4]int64{100, 100, 0, 0} {
		t.Errorf("%d failures, %d retries, %d ranges, %v", failures, r.Tables[0].Retries, len(b.source.ranges), counts(r))
	}
}

func TestATimeoutWithinAChunkSplitsIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.inChunks("orders", 16)
	b.job.Pipeline.Options.Parallel = 1
	b.source.rows["orders"] = rowsFrom(64, func(i int) int64 { return us + int64(i) })
	b.faults.kind = connectors.KindTimeout
	b.faults.after["read"] = 20 // in the second chunk
	b.mustSucceed()
	b.equal("orders")
	if len(b.source.ranges) != 2+3*2 {
		t.Errorf("read the ranges %v, want the three missing chunks in halves", b.source.ranges)
	}
}

func TestAnotherPlanStartsChunksAnew(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *bench){
		"columns": func(b *bench) {
			b.source.tables[0].Columns = slices.Clone(fakeColumns)
			b.source.tables[0].Columns[1].Type.Length = 9
		},
		"target":          func(b *bench) { b.job.Names.TargetSchema = "elsewhere" },
		"the null policy": func(b *bench) { b.job.Pipeline.Options.NullWatermark = model.NullSkip },
	} {
		b := newBench(t, fakeTable("orders", "id"))
		b.inChunks("orders", 10)
		b.source.rows["orders"] = rowsFrom(60, func(i int) int64 { return us + int64(i) })
		b.faults.after["write"] = 14
		b.run()
		token := b.state.chunked["orders"].Token
		change(b)
		b.faults.after["commit"] = 0
		b.run()
		if again := b.state.chunked["orders"].Token; token == "" || again == token || again == "" {
			t.Errorf("%s: the load %q went on as %q", name, token, again)
		}
		b.mustSucceed()
		b.equal("orders")
	}
}

// TestWatermarkNeverPassesUnloadedRowsInChunks kills the program at every step
// of a load in chunks, or lets the step fail: the next run completes it.
func TestWatermarkNeverPassesUnloadedRowsInChunks(t *testing.T) {
	t.Parallel()
	steps := []string{
		"open", "tables", "max", "table", "watermark", "stat", "chunked load", "chunks", "start chunks", "begin", "part", "read", "write",
		"part commit", "after part commit", "checkpoint chunk", "suspend", "commit", "after commit", "checkpoint",
	}
	for _, step := range steps {
		for _, nth := range []int{0, 1, 3} {
			for _, kill := range []bool{false, true} {
				t.Run(fmt.Sprint(step, " ", nth, " kill ", kill), func(t *testing.T) {
					t.Parallel()
					b := newBench(t, fakeTable("orders", "id"))
					b.inChunks("orders", 5)
					b.source.rows["orders"] = rowsFrom(23, func(i int) int64 { return us + int64(i/3) })
					if kill {
						b.faults.kill, b.faults.killAt = step, nth
					} else {
						b.faults.after[step] = nth
					}
					r, _ := b.engine.Run(t.Context(), b.job)
					b.restart()
					b.notPassed("orders")
					b.source.rows["orders"][3].text, b.source.rows["orders"][3].stamp = "changed meanwhile", us+1000
					b.source.ranges = nil
					again := b.mustSucceed()
					b.notPassed("orders")
					b.mustSucceed()
					b.equal("orders")
					if step == "checkpoint chunk" && !kill && nth == 1 && r.RowsLoaded+again.RowsLoaded > 23 {
						t.Errorf("%d rows were loaded twice", r.RowsLoaded+again.RowsLoaded-23)
					}
				})
			}
		}
	}
}

// restart is the start after a kill, without the faults.
func (b *bench) restart() {
	b.faults.mu.Lock()
	b.faults.dead, b.faults.kill, b.faults.random = false, "", nil
	clear(b.faults.after)
	b.faults.mu.Unlock()
	b.dest.restart()
}

// TestRandomFaults runs schedules of faults and changes drawn from a seed: after
// one quiet run the target equals the source, and the figures of every run add up.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 4))
			tables := []connectors.Table{fakeTable("keyed", "id"), fakeTable("large", "id"), fakeTable("keyless")}
			b := newBench(t, tables...)
			b.engine.Wait = func(context.Context, time.Duration) error { return nil }
			b.inChunks("large", 7)
			b.peeks = seed%2 == 0
			b.job.Pipeline.Options.Parallel = 1 + rng.IntN(3)
			b.job.Pipeline.Options.LookbackSeconds = rng.IntN(2) * 60
			if rng.IntN(2) == 0 {
				b.refuseSome(13)
			}
			now := us + 1_000_000
			for _, table := range tables {
				b.source.rows[table.Name] = rowsFrom(20+rng.IntN(30), func(i int) int64 { return us + int64(i/4) })
			}
			kinds := []connectors.ErrorKind{connectors.KindNetwork, connectors.KindTransient, connectors.KindTimeout, connectors.KindPermission, ""}
			for range 12 {
				chance := rng.Float64() * 0.08
				mode := rng.IntN(3)
				b.faults.random = func(step string) error {
					if rng.Float64() > chance {
						return nil
					}
					if mode == 0 {
						b.faults.dead = true // killed here
						return errors.New("killed")
					}
					return &connectors.Error{Kind: kinds[rng.IntN(len(kinds))], Op: step, Err: errFault}
				}
				b.job.FullRefresh = rng.IntN(8) == 0
				r, _ := b.engine.Run(t.Context(), b.job)
				b.restart()
				for _, x := range r.Tables {
					if x.Status == model.RunSuccess && x.RowsRead != x.RowsLoaded+x.RowsFiltered+x.DeadLetters {
						t.Errorf("%s: read %d, loaded %d, filtered %d, dead %d", x.Table, x.RowsRead, x.RowsLoaded, x.RowsFiltered, x.DeadLetters)
					}
				}
				for _, table := range tables {
					b.notPassedBut(table.Name, 1)
					now += int64(rng.IntN(2)) * 1_000_000
					rows := b.source.rows[table.Name]
					for range rng.IntN(4) {
						if table.Name == "keyless" {
							break // without a key a changed row cannot be told from a new one
						}
						i := rng.IntN(len(rows))
						rows[i].text, rows[i].stamp = rows[i].text+"+", now
					}
					for range rng.IntN(3) {
						rows = append(rows, row{id: int64(len(rows) + 1), text: "new", stamp: now})
					}
					b.source.rows[table.Name] = rows
				}
			}
			b.job.FullRefresh = false
			b.mustSucceed()
			b.mustSucceed() // a load that was resumed ends at its own bound
			for _, table := range tables {
				if b.dest.refuse != nil {
					b.equalBut(table.Name)
				} else {
					b.equal(table.Name)
				}
			}
		})
	}
}

func TestTheLogTellsOfChunks(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.inChunks("orders", 10)
	b.source.rows["orders"] = rowsFrom(30, func(i int) int64 { return us + int64(i) })
	var last Event
	b.engine.Progress = func(ev Event) {
		if ev.Phase == PhaseRows && ev.Chunk > 0 {
			last = ev
		}
	}
	b.job.Pipeline.Options.Parallel = 1
	b.mustSucceed()
	var text strings.Builder
	for _, l := range b.state.logs {
		text.WriteString(l.Message + "\n")
	}
	for _, want := range []string{"in 3 chunks of about 10 rows by key [id]", "chunk 2 loaded 10 rows; 2 of 3 chunks are done"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, text.String())
		}
	}
	if last.Chunk != 3 || last.Chunks != 3 || last.Rows != 30 || last.Attempt != 1 || last.Bytes == 0 || last.Estimate != 1_000_000 {
		t.Errorf("the last event is %+v", last)
	}
}
