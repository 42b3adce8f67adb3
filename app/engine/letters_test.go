package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"arus/app/model"
	"arus/connectors"
)

// withLetters is a pipeline of which rows 1 and 2 have become dead letters: their
// n is a text where the target holds a number.
func withLetters(t *testing.T, key ...string) (*memoryBench, *memoryTable) {
	t.Helper()
	table := orders()
	table.PrimaryKey = key
	b := newMemoryBench(t, table)
	b.job.OpenDestination = func(context.Context) (connectors.Destination, error) { return b.to, nil }
	b.to.holds = connectors.Holds{}
	b.mustSucceed()
	table.Columns[1].Type = connectors.Type{Kind: connectors.Text}
	table.touch(0, 1, record{"n": "one"})
	table.touch(1, 2, record{"n": "2000"})
	b.now = table.at(1).Add(time.Second / 2) // runs start one second apart
	if r := b.mustSucceed(); r.DeadLetters != 1 {
		t.Fatalf("%d dead letters, want 1", r.DeadLetters)
	}
	return b, table
}

// retry loads the letters again.
func (b *memoryBench) retry(which Letters) Report {
	b.t.Helper()
	b.job.Letters = &which
	r := b.mustSucceed()
	b.job.Letters = nil
	return r
}

func (b *memoryBench) letters() []Letter {
	b.t.Helper()
	var list []Letter
	if err := ReadLetters(b.t.Context(), b.to, "staging", Letters{}, func(l Letter) error { list = append(list, l); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return list
}

func TestRetriedLettersAreGone(t *testing.T) {
	t.Parallel()
	b, table := withLetters(t, "id")
	reads := len(b.from.reads)
	before := b.letters()
	r := b.retry(Letters{})
	if len(b.from.reads) != reads {
		t.Error("the source was read")
	}
	after := b.letters()
	if r.RowsRead != 1 || r.DeadLetters != 1 || len(after) != 1 || after[0].ID != before[0].ID || !strings.Contains(after[0].Reason, "column n") {
		t.Errorf("what fails again has to stay: %+v, %+v", counts(r), after)
	}
	// A person decides that the column is a text from now on, and a full load makes it one.
	if err := b.state.decide(model.TypeIncompatible, model.ChangeApplied); err != nil {
		t.Fatal(err)
	}
	saved := table.rows
	table.rows = table.rows[1:] // the row does not come by itself
	b.mustSucceed()
	table.rows = saved
	b.targetIs("orders", "id=2 n=2000", "id=3 n=20")
	if got := b.retry(Letters{Tables: []string{"other"}}); got.RowsRead != 0 {
		t.Errorf("letters of another table were taken: %v", counts(got))
	}
	r = b.retry(Letters{Source: "src", Tables: []string{"orders"}, RunID: after[0].RunID, IDs: []string{after[0].ID}})
	if got, want := counts(r), [4]int64{1, 1, 0, 0}; got != want || len(b.letters()) != 0 {
		t.Errorf("read, loaded, filtered, dead = %v, want %v; %d letters are left", got, want, len(b.letters()))
	}
	b.targetIs("orders", "id=1 n=one", "id=2 n=2000", "id=3 n=20")
	if w := b.state.runs[len(b.state.runs)-1].Work; w != model.WorkLetters {
		t.Errorf("the run is recorded as %q", w)
	}
}

func TestARetriedLetterDoesNotSetANewerRowBack(t *testing.T) {
	t.Parallel()
	b, table := withLetters(t, "id")
	table.touch(0, 5, record{"n": "11"}) // mended at the source
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=11", "id=2 n=2000", "id=3 n=20")
	b.to.tables[deadLetterTable].rows[0]["row_data"] = `{"id":1,"n":"10","updated_at":"2026-04-02T00:00:01Z"}`
	r := b.retry(Letters{})
	if got, want := counts(r), [4]int64{1, 0, 1, 0}; got != want || len(b.letters()) != 0 {
		t.Errorf("read, loaded, filtered, dead = %v, want %v; %d letters are left", got, want, len(b.letters()))
	}
	b.targetIs("orders", "id=1 n=11", "id=2 n=2000", "id=3 n=20")
}

func TestLettersOfTablesWithoutAKeyAreAppended(t *testing.T) {
	t.Parallel()
	b, _ := withLetters(t)
	before := len(b.to.tables["orders"].rows)
	b.to.tables[deadLetterTable].rows[0]["row_data"] = `{"id":9,"n":7,"updated_at":"2026-04-02T00:00:01Z"}`
	r := b.retry(Letters{})
	if got := len(b.to.tables["orders"].rows); r.RowsLoaded != 1 || got != before+1 || len(b.letters()) != 0 {
		t.Errorf("loaded %d, the target has %d rows where %d were, %d letters are left", r.RowsLoaded, got, before, len(b.letters()))
	}
}

func TestDroppedLettersAreGone(t *testing.T) {
	t.Parallel()
	b, _ := withLetters(t, "id")
	ids := []string{b.letters()[0].ID, "00000000-0000-7000-8000-000000000099"}
	n, err := DropLetters(t.Context(), b.to, "staging", ids, b.now)
	if err != nil || n != 1 || len(b.letters()) != 0 {
		t.Errorf("dropped %d, %v; %d are left", n, err, len(b.letters()))
	}
}

func TestRebuildNeedsNoSource(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.job.Pipeline.Tables[0].LoadMode = model.LoadRaw
	b.job.OpenDestination = func(context.Context) (connectors.Destination, error) { return b.to, nil }
	b.mustSucceed()
	table.touch(0, 1, record{"n": "5"})
	b.mustSucceed()
	b.to.tables["orders"].rows = nil // somebody emptied it
	b.job.Rebuild = true
	b.job.Open = func(context.Context) (connectors.Source, connectors.Destination, error) {
		t.Error("the source was opened")
		return nil, nil, errFault
	}
	r := b.mustSucceed()
	b.targetIs("orders", "id=1 n=5", "id=2 n=10", "id=3 n=20")
	if r.RowsLoaded != 3 || b.state.runs[2].Work != model.WorkRebuild {
		t.Errorf("%d rows, recorded as %q", r.RowsLoaded, b.state.runs[2].Work)
	}
	if req := b.to.rebuilt; req.Base != b.state.runs[0].ID || req.Raw.Name != "src_orders_raw" || len(req.Columns) != 3 {
		t.Errorf("rebuilt by %+v", req)
	}
	b.job.Pipeline.Tables[0].LoadMode, b.job.Only = model.LoadDirect, []string{"orders"}
	if r := b.run(); r.Status != model.RunFailed || !strings.Contains(r.Tables[0].Error, "no raw rows") {
		t.Errorf("a table without raw rows: %s %+v", r.Status, r.Tables)
	}
}

func TestRawRowsArePrunedAfterSuccess(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.job.Pipeline.Tables[0].LoadMode = model.LoadRaw
	b.mustSucceed()
	if !b.to.pruned.IsZero() {
		t.Error("raw rows are pruned though nobody asked")
	}
	b.job.Pipeline.Options.RawRetentionDays = 30
	b.mustSucceed()
	if want := b.now.AddDate(0, 0, -30); !b.to.pruned.Equal(want) {
		t.Errorf("pruned before %v, want %v", b.to.pruned, want)
	}
}
