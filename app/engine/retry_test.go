package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"arus/app/model"
	"arus/connectors"
)

// steps are the calls between which a table can fail.
var steps = []string{"tables", "max", "table", "begin", "read", "write", "commit", "after commit"}

func TestTransientErrorsAreRetried(t *testing.T) {
	t.Parallel()
	for _, kind := range []connectors.ErrorKind{connectors.KindNetwork, connectors.KindTransient, connectors.KindTimeout} {
		for _, step := range append([]string{"open"}, steps...) {
			t.Run(fmt.Sprint(kind, " ", step), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, fakeTable("orders", "id"))
				b.source.rows["orders"] = rowsFrom(10, func(i int) int64 { return us + int64(i/3) })
				b.faults.kind = kind
				b.faults.after[step] = 0
				r := b.mustSucceed()
				b.equal("orders")
				if opened := b.faults.count("open"); opened != 2 {
					t.Errorf("connections were opened %d times, want fresh ones for the retry", opened)
				}
				if len(b.waits) != 1 || b.waits[0] != firstWait/2 {
					t.Errorf("waited %v, want half of %s by the random number", b.waits, firstWait)
				}
				if got, want := counts(r), [4]int64{10, 10, 0, 0}; got != want {
					t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
				}
				if !slices.ContainsFunc(b.state.logs, func(l model.RunLog) bool {
					return l.Level == model.LogWarning && strings.Contains(l.Message, "retry 1 of 3 in 1s") && strings.Contains(l.Message, string(kind))
				}) {
					t.Errorf("no warning tells of the retry: %+v", b.state.logs)
				}
			})
		}
	}
}

// TestTheFirstWaitIsTheJobs: it doubles with each retry up to a minute, or stays where it is more.
func TestTheFirstWaitIsTheJobs(t *testing.T) {
	t.Parallel()
	for first, want := range map[time.Duration][]time.Duration{
		10 * time.Second: {5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second},
		5 * time.Minute:  {150 * time.Second, 150 * time.Second, 150 * time.Second, 150 * time.Second},
		1:                {0, 1, 2, 4},
	} {
		b := newBench(t, fakeTable("orders", "id"))
		b.job.Backoff, b.job.Pipeline.MaxRetries = first, 4
		b.job.Open = func(context.Context) (connectors.Source, connectors.Destination, error) {
			return nil, nil, &connectors.Error{Kind: connectors.KindNetwork, Op: "open", Err: errors.New("down")}
		}
		if r := b.run(); r.Status != model.RunFailed || !slices.Equal(b.waits, want) {
			t.Errorf("%s: %s after waits of %v, want %v", first, r.Status, b.waits, want)
		}
	}
}

func TestOtherErrorsAreNotRetried(t *testing.T) {
	t.Parallel()
	for _, kind := range []connectors.ErrorKind{
		connectors.KindAuth, connectors.KindPermission, connectors.KindType, connectors.KindConstraint, connectors.KindInvalid,
		connectors.KindConflict, connectors.KindNotFound, connectors.KindUnsupported, "",
	} {
		b := newBench(t, fakeTable("orders", "id"))
		b.source.rows["orders"] = rowsFrom(4, func(i int) int64 { return us + int64(i) })
		b.faults.kind = kind
		b.faults.after["read"] = 1
		if r := b.run(); r.Status != model.RunFailed || len(b.waits) != 0 || r.Tables[0].Retries != 0 {
			t.Errorf("%s: %s after %d waits", kind, r.Status, len(b.waits))
		}
	}
}

// always fails every call of a step.
func always(step string, kind connectors.ErrorKind) func(string) error {
	return func(s string) error {
		if s != step {
			return nil
		}
		return &connectors.Error{Kind: kind, Op: step, Err: errFault}
	}
}

func TestRetriesEndAndGrow(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"open", "read"} {
		b := newBench(t, fakeTable("orders", "id"))
		b.source.rows["orders"] = rowsFrom(4, func(i int) int64 { return us + int64(i) })
		b.job.Pipeline.MaxRetries = 7
		b.faults.random = always(step, connectors.KindNetwork)
		r := b.run()
		s := time.Second
		if want := []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}; r.Status != model.RunFailed || !slices.Equal(b.waits, want) {
			t.Errorf("%s: %s after waits %v, want %v", step, r.Status, b.waits, want)
		}
	}
}

func TestNothingIsRetriedAfterCancel(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"wait", "read"} {
		b := newBench(t, fakeTable("orders", "id"))
		b.source.rows["orders"] = rowsFrom(4, func(i int) int64 { return us + int64(i) })
		ctx, cancel := context.WithCancel(t.Context())
		b.faults.random = func(step string) error {
			if step != "read" {
				return nil
			}
			if where == "read" {
				cancel()
			}
			return &connectors.Error{Kind: connectors.KindNetwork, Op: step, Err: errFault}
		}
		b.engine.Wait = func(context.Context, time.Duration) error {
			cancel()
			return nil
		}
		r, err := b.engine.Run(ctx, b.job)
		if err != nil || r.Status != model.RunCancelled || b.faults.count("open") != 1 || b.faults.count("read") != 1 {
			t.Errorf("cancel in %s: %s after %d openings and %d reads, %v", where, r.Status, b.faults.count("open"), b.faults.count("read"), err)
		}
	}
}

func TestThePipelinesOwnTimeoutIsNotRetried(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.source.rows["orders"] = rowsFrom(4, func(i int) int64 { return us + int64(i) })
	b.job.Pipeline.TimeoutSeconds = 1
	started := time.Now()
	b.job.Open = func(ctx context.Context) (connectors.Source, connectors.Destination, error) {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	r := b.run()
	if r.Status != model.RunFailed || connectors.KindOf(r.Err) != connectors.KindTimeout || !strings.Contains(r.Error, "timeout_seconds") || len(b.waits) != 0 {
		t.Errorf("%s: %s after waits %v", r.Status, r.Error, b.waits)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("the timeout of 1 s ended the run after %s", took)
	}
}

func TestATimeoutOfTheServerIsRetriedInSmallerReads(t *testing.T) {
	t.Parallel()
	for _, key := range [][]string{{"id"}, nil} {
		b := newBench(t, fakeTable("orders", key...))
		b.source.rows["orders"] = rowsFrom(4000, func(i int) int64 { return us + int64(i) })
		b.source.tables[0].RowEstimate = 4000
		b.faults.kind = connectors.KindTimeout
		b.faults.after["read"] = 100
		b.mustSucceed()
		b.equal("orders")
		if key != nil && len(b.source.ranges) != 2 {
			t.Errorf("read the ranges %v, want two halves", b.source.ranges)
		}
		if want := b.job.limits(fakeColumns).Rows / 2; b.source.limits.Rows != want {
			t.Errorf("batches of %d rows, want %d", b.source.limits.Rows, want)
		}
	}
}

// TestASiblingKeepsItsConnections lets one table of two fail: the other goes on
// with the connections it has, and each pair is closed once, after its last user.
func TestASiblingKeepsItsConnections(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("a", "id"), fakeTable("b", "id"))
	for _, name := range []string{"a", "b"} {
		b.source.rows[name] = rowsFrom(9, func(i int) int64 { return us + int64(i) })
	}
	b.engine.Wait = func(context.Context, time.Duration) error { return nil }
	b.faults.kind = connectors.KindNetwork
	b.faults.after["write b"] = 1
	var closed []string
	opened := 0
	b.job.Open = func(context.Context) (connectors.Source, connectors.Destination, error) {
		opened++
		return &closing{Source: b.source, name: fmt.Sprint(opened), closed: &closed}, b.dest, nil
	}
	b.job.Pipeline.Options.Parallel = 1
	b.mustSucceed()
	b.equal("a")
	b.equal("b")
	if slices.Sort(closed); !slices.Equal(closed, []string{"1", "2"}) {
		t.Errorf("closed %v, want each of two once", closed)
	}
}

type closing struct {
	connectors.Source
	name   string
	closed *[]string
}

func (c *closing) Close() error {
	*c.closed = append(*c.closed, c.name)
	return c.Source.Close()
}

// TestFiftyTablesThreeFail runs 50 tables of which 3 fail: 47 keep their
// progress, and a retry of the failed tables runs only those.
func TestFiftyTablesThreeFail(t *testing.T) {
	t.Parallel()
	var tables []connectors.Table
	for i := range 50 {
		tables = append(tables, fakeTable(fmt.Sprintf("t%02d", i), "id"))
	}
	b := newBench(t, tables...)
	for _, table := range tables {
		b.source.rows[table.Name] = rowsFrom(20, func(i int) int64 { return us + int64(i) })
	}
	bad := []string{"t07", "t23", "t49"}
	for _, name := range bad {
		b.faults.after["write "+name] = 2
	}
	r := b.run()
	if r.Status != model.RunFailed || len(r.Tables) != 50 || !strings.HasPrefix(b.state.runs[0].ErrorMessage, "t07") {
		t.Fatalf("%s, %d tables, %s", r.Status, len(r.Tables), b.state.runs[0].ErrorMessage)
	}
	var failed []string
	for _, table := range r.Tables {
		if table.Status == model.RunFailed {
			failed = append(failed, table.Table)
			continue
		}
		b.equal(table.Table)
		if b.state.marks[table.Table].Value == "" {
			t.Errorf("%s has no watermark", table.Table)
		}
	}
	if !slices.Equal(failed, bad) || r.RowsLoaded != 47*20 {
		t.Errorf("failed: %v; %d rows loaded", failed, r.RowsLoaded)
	}
	b.job.Only = failed
	if r = b.mustSucceed(); len(r.Tables) != 3 || r.RowsLoaded != 60 {
		t.Errorf("the retry ran %d tables and loaded %d rows", len(r.Tables), r.RowsLoaded)
	}
	for _, name := range bad {
		b.equal(name)
	}
}

func TestBackfillOfAWindow(t *testing.T) {
	t.Parallel()
	const day = 86_400_000_000
	midnight := us - us%day
	b := newBench(t, fakeTable("orders", "id"))
	b.source.rows["orders"] = rowsFrom(8, func(i int) int64 { return midnight + int64(i)*day + 5 })
	b.source.rows["orders"][7].stamp = 0
	b.mustSucceed()
	before := b.state.marks["orders"]
	for i := range b.source.rows["orders"] {
		b.source.rows["orders"][i].text = "mended without touching the stamp"
	}
	b.job.BackfillFrom, b.job.BackfillTo = stampText(midnight + 2*day)[:10], stampText(midnight + 4*day)[:10]
	for _, step := range append(steps, "checkpoint") {
		b.faults.after[step] = 0
		if r := b.run(); r.Status != model.RunFailed {
			t.Errorf("a fault at %s left the backfill %s", step, r.Status)
		}
		if now := b.state.marks["orders"]; now.Value != before.Value || string(now.Boundary) != string(before.Boundary) {
			t.Errorf("a backfill that failed at %s moved the watermark to %q", step, now.Value)
		}
	}
	if r := b.mustSucceed(); r.RowsRead != 3 {
		t.Errorf("read %d rows, want those of three days", r.RowsRead)
	}
	mended := 0
	for _, have := range b.dest.tables["orders"] {
		if strings.HasPrefix(have.text, "mended") {
			mended++
		}
	}
	if now := b.state.marks["orders"]; mended != 3 || len(b.dest.tables["orders"]) != 8 || now.Value != before.Value {
		t.Errorf("%d rows mended of %d, watermark %q", mended, len(b.dest.tables["orders"]), now.Value)
	}
}

// TestABackfillOfANewTableIsItsFirstLoad has no window to merge into.
func TestABackfillOfANewTableIsItsFirstLoad(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.source.rows["orders"] = rowsFrom(8, func(i int) int64 { return us + int64(i) })
	b.job.BackfillFrom = stampText(us)[:10]
	b.mustSucceed()
	b.equal("orders")
	if b.state.marks["orders"].Value != stampText(us+7) {
		t.Errorf("watermark %q", b.state.marks["orders"].Value)
	}
}

// TestWideAndLongRowsKeepToTheMemory computes the bounds of batches.
func TestWideAndLongRowsKeepToTheMemory(t *testing.T) {
	t.Parallel()
	var wide []connectors.Column
	for i := range 300 {
		wide = append(wide, connectors.Column{Name: fmt.Sprint("c", i), Type: connectors.Type{Kind: connectors.Int64}, Nullable: true})
	}
	for _, parallel := range []int{0, 1, 4, 16} {
		for _, columns := range [][]connectors.Column{fakeColumns, wide} {
			job := Job{Pipeline: model.Pipeline{Options: model.PipelineOptions{Parallel: parallel}}}
			l := job.limits(columns)
			if all := job.parallel() * held * l.Bytes; all > DefaultMemory {
				t.Errorf("%d tables of %d columns take %d bytes", parallel, len(columns), all)
			}
			if len(columns) == 300 && l.Rows*300*8 > l.Bytes {
				t.Errorf("%d rows of nulls in 300 columns take more than %d bytes", l.Rows, l.Bytes)
			}
		}
	}
	if l := (&Job{}).limits(fakeColumns); l.Rows != connectors.DefaultLimits.Rows || l.Bytes != DefaultMemory/(DefaultParallel*held) {
		t.Errorf("a narrow table's batches are cut to %+v by default", l)
	}
}

func TestTheLogTellsWhatWasDone(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.source.rows["orders"] = rowsFrom(8, func(i int) int64 { return us + int64(i) })
	b.job.UserID = "someone"
	b.mustSucceed()
	b.source.rows["orders"][2].stamp = us + 20
	r := b.mustSucceed()
	var text strings.Builder
	for _, l := range b.state.logs {
		if l.RunID == r.RunID {
			text.WriteString(l.Message + "\n")
		}
	}
	for _, want := range []string{
		"orders: incremental", "merge into analytics.orders", "key [id]", "SELECT 3 columns FROM orders WHERE updated_at >= '" + stampText(us+7) + "' AND updated_at <= '" + stampText(us+20) + "'",
		"loaded 1 rows", "rows/s", "watermark " + stampText(us+20),
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, text.String())
		}
	}
	if b.state.runs[1].UserID != "someone" {
		t.Errorf("the run is of %q", b.state.runs[1].UserID)
	}
}

func TestAFailureToRecordIsReported(t *testing.T) {
	t.Parallel()
	b := newBench(t, fakeTable("orders", "id"))
	b.faults.after["finish"] = 0
	if _, err := b.engine.Run(t.Context(), b.job); !errors.Is(err, errFault) {
		t.Errorf("Run = %v", err)
	}
}
