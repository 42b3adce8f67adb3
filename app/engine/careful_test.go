package engine

import (
	"fmt"
	"strings"
	"testing"

	"arus/app/model"
)

// refuseSome makes the destination refuse the rows whose id n divides.
func (b *bench) refuseSome(n int64) {
	b.dest.refuse = func(r row) bool { return r.id%n == 0 }
}

// equalBut checks that the target holds the source's rows but those refused.
func (b *bench) equalBut(table string) {
	b.t.Helper()
	all := b.source.rows[table]
	var good []row
	for _, r := range all {
		if !b.dest.refuse(r) {
			good = append(good, r)
		}
	}
	b.source.rows[table] = good
	b.equal(table)
	b.source.rows[table] = all
}

func TestCarefulLoadsIsolateBadRows(t *testing.T) {
	t.Parallel()
	for _, chunks := range []bool{false, true} {
		for _, key := range [][]string{{"id"}, nil} {
			t.Run(fmt.Sprint("chunks ", chunks, " key ", key), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, fakeTable("orders", key...))
				if chunks {
					b.inChunks("orders", 8)
				}
				b.source.rows["orders"] = rowsFrom(40, func(i int) int64 { return us + int64(i) })
				b.refuseSome(11)
				r := b.mustSucceed()
				b.equalBut("orders")
				if got, want := counts(r), [4]int64{40, 37, 0, 3}; got != want {
					t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
				}
				if b.state.stats["orders"].RowsFailed != 3 || len(b.dest.letters) != 3 {
					t.Fatalf("stat %+v, letters %q", b.state.stats["orders"], b.dest.letters)
				}
				found := strings.Join(b.dest.letters, "\n")
				for _, id := range []int{11, 22, 33} {
					want := fmt.Sprintf(`{"id":%d,"text":"v%d","updated_at":"%s"}`, id, id, stampText(us+int64(id)-1))
					if !strings.Contains(found, want) || !strings.Contains(found, fmt.Sprintf("v%d is refused", id)) {
						t.Errorf("no letter %s: %s", want, found)
					}
				}
				// The next window has a bad row too, which a merge or a window meets.
				b.source.rows["orders"] = append(b.source.rows["orders"], row{id: 44, text: "v44", stamp: us + 100}, row{id: 45, text: "v45", stamp: us + 100})
				if r := b.mustSucceed(); r.DeadLetters != 1 || r.RowsLoaded != r.RowsRead-1 {
					t.Errorf("the next run: %v", counts(r))
				}
				b.equalBut("orders")
			})
		}
	}
}

func TestToleranceFailsTheTable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		limit model.Tolerance
		fails bool
	}{
		{"count reached", model.Tolerance{MaxRows: 5}, false},
		{"count passed", model.Tolerance{MaxRows: 4}, true},
		{"share reached", model.Tolerance{MaxShare: 0.1}, false},
		{"share passed", model.Tolerance{MaxShare: 0.09}, true},
	} {
		for _, chunks := range []bool{false, true} {
			t.Run(fmt.Sprint(test.name, " chunks ", chunks), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, fakeTable("orders", "id"))
				if chunks {
					b.inChunks("orders", 10)
				}
				b.source.rows["orders"] = rowsFrom(50, func(i int) int64 { return us + int64(i) })
				b.refuseSome(10)
				b.job.Pipeline.Options.DeadLetters = test.limit
				r := b.run()
				if !test.fails {
					if r.Status != model.RunSuccess || r.DeadLetters != 5 {
						t.Errorf("%s with %d dead letters: %+v", r.Status, r.DeadLetters, r.Tables)
					}
					b.equalBut("orders")
					return
				}
				if r.Status != model.RunFailed || !strings.Contains(r.Tables[0].Error, "dead letters") || len(b.waits) != 0 {
					t.Errorf("%s: %s", r.Status, r.Tables[0].Error)
				}
				if len(b.dest.tables["orders"]) != 0 || b.state.marks["orders"].Value != "" || len(b.state.chunked) != 0 {
					t.Errorf("the failed load left %d rows, watermark %q, chunks %v", len(b.dest.tables["orders"]), b.state.marks["orders"].Value, b.state.chunked)
				}
				b.dest.refuse = nil
				b.mustSucceed()
				b.equal("orders")
			})
		}
	}
}

// TestWatermarkNeverPassesUnloadedRowsCarefully injects a fault at every step
// of a load that has to be careful.
func TestWatermarkNeverPassesUnloadedRowsCarefully(t *testing.T) {
	t.Parallel()
	for _, chunks := range []bool{false, true} {
		for _, step := range []string{"begin", "read", "write", "letters", "part", "part commit", "after part commit", "checkpoint chunk", "suspend", "commit", "after commit", "checkpoint"} {
			for _, nth := range []int{0, 1, 3, 7} {
				t.Run(fmt.Sprint(step, " ", nth, " chunks ", chunks), func(t *testing.T) {
					t.Parallel()
					b := newBench(t, fakeTable("orders", "id"))
					if chunks {
						b.inChunks("orders", 6)
					}
					b.source.rows["orders"] = rowsFrom(20, func(i int) int64 { return us + int64(i/3) })
					b.refuseSome(7)
					b.faults.after[step] = nth
					r := b.run()
					if _, left := b.faults.after[step]; left {
						delete(b.faults.after, step)
					} else if r.Status != model.RunFailed {
						t.Errorf("a fault at %q left the run %s", step, r.Status)
					}
					b.notPassed("orders")
					b.mustSucceed()
					b.equalBut("orders")
					if len(b.dest.letters) != 2 {
						t.Errorf("letters %q, want one for each bad row", b.dest.letters)
					}
				})
			}
		}
	}
}
