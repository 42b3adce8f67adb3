package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"arus/app/model"
	"arus/connectors"
)

// many gives the table rows 1 to n.
func (t *memoryTable) many(n int) *memoryTable {
	t.rows = nil
	for i := range n {
		t.rows = append(t.rows, record{"id": fmt.Sprint(i + 1), "n": "0", "updated_at": fmt.Sprintf("2026-04-01T00:00:%02dZ", i)})
	}
	return t
}

// drop deletes rows at the source, where no watermark tells of it.
func (t *memoryTable) drop(ids ...int) {
	var rows []record
	for _, r := range t.rows {
		gone := false
		for _, id := range ids {
			gone = gone || r["id"] == fmt.Sprint(id)
		}
		if !gone {
			rows = append(rows, r)
		}
	}
	t.rows = rows
}

func TestDeletedRowsLeaveTheTarget(t *testing.T) {
	t.Parallel()
	table := orders().many(5)
	b := newMemoryBench(t, table)
	b.job.Pipeline.Options.Deletes = model.Deletes{Mode: model.DeletesDelete, EverySeconds: 3600}
	b.mustSucceed()
	table.drop(2)
	b.now = b.now.Add(time.Minute)
	if r := b.mustSucceed(); r.Tables[0].RowsDeleted != 0 || len(b.to.tables["orders"].rows) != 5 {
		t.Errorf("keys are compared before it is time: %+v", r.Tables[0])
	}
	b.now = b.now.Add(time.Hour)
	table.touch(0, 1, record{"n": "1"})
	r := b.mustSucceed()
	b.targetIs("orders", "id=1 n=1", "id=3 n=0", "id=4 n=0", "id=5 n=0")
	if r.Tables[0].RowsDeleted != 1 || b.state.stats["orders"].RowsDeleted != 1 {
		t.Errorf("%d rows are reported and %d recorded as deleted, want 1", r.Tables[0].RowsDeleted, b.state.stats["orders"].RowsDeleted)
	}
	reads := len(b.from.reads)
	b.mustSucceed()
	if got := len(b.from.reads) - reads; got != 1 {
		t.Errorf("%d reads right after a comparison, want 1", got)
	}
	table.drop(3)
	b.job.Reconcile = true // asked for
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=1", "id=4 n=0", "id=5 n=0")
	if last := b.from.reads[len(b.from.reads)-1]; len(last.Columns) != 1 || last.Window != nil {
		t.Errorf("the keys were read as %+v", last)
	}
}

func TestMarkedRowsAreUnmarkedWhenTheyComeBack(t *testing.T) {
	t.Parallel()
	table := orders().many(4)
	b := newMemoryBench(t, table)
	b.mustSucceed()
	b.job.Pipeline.Options.Deletes = model.Deletes{Mode: model.DeletesMark} // since now: the target gets the column
	b.job.Reconcile = true
	gone := table.rows[1]
	table.drop(2)
	b.mustSucceed()
	mark := connectors.MetaDeletedAt + "=" + stampText(b.state.runs[1].StartedAt.UnixMicro())
	b.targetIs("orders", "id=1 n=0", mark+" id=2 n=0", "id=3 n=0", "id=4 n=0")
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", mark+" id=2 n=0", "id=3 n=0", "id=4 n=0")
	gone["updated_at"] = "2026-04-03T00:00:00Z"
	table.rows = append(table.rows, gone)
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=0", "id=3 n=0", "id=4 n=0")
}

func TestASuspiciousMassDeleteChangesNothing(t *testing.T) {
	t.Parallel()
	table := orders().many(10)
	b := newMemoryBench(t, table)
	b.job.Pipeline.Options.Deletes = model.Deletes{Mode: model.DeletesDelete, EverySeconds: 1}
	b.mustSucceed()
	table.drop(1, 2, 3, 4)
	table.touch(0, 1, record{"n": "9"})
	b.now = b.now.Add(time.Minute)
	r := b.run()
	if r.Status != model.RunFailed || connectors.KindOf(r.Tables[0].Err) != connectors.KindConflict || !strings.Contains(r.Tables[0].Error, "max_share") {
		t.Fatalf("the run is %s: %s", r.Status, r.Tables[0].Error)
	}
	if n := len(b.to.tables["orders"].rows); n != 10 {
		t.Errorf("the target has %d rows, want all 10", n)
	}
	if r.RowsLoaded == 0 || b.state.marks["orders"].Value != "2026-04-02T00:00:01Z" || r.Tables[0].WatermarkAfter != "2026-04-02T00:00:01Z" {
		t.Errorf("what was loaded before is not kept: %+v, %+v", r.Tables[0], b.state.marks["orders"])
	}
	b.job.Pipeline.Options.Deletes.MaxShare = 0.5
	b.mustSucceed()
	if n := len(b.to.tables["orders"].rows); n != 6 {
		t.Errorf("the target has %d rows, want 6", n)
	}
}

func TestTablesWithoutAKeyKeepTheirRows(t *testing.T) {
	t.Parallel()
	table := orders().many(3)
	table.PrimaryKey = nil
	b := newMemoryBench(t, table)
	b.job.Pipeline.Options.Deletes = model.Deletes{Mode: model.DeletesMark}
	b.job.Reconcile = true
	b.mustSucceed()
	table.drop(1)
	hasWarning(t, b.mustSucceed(), "no key")
	b.targetIs("orders", "id=1 n=0", "id=2 n=0", "id=3 n=0")
}

// soft is a table whose rows are deleted by a column.
func soft(how model.SoftDelete) (*memoryTable, func(*testing.T) *memoryBench) {
	table := orders(col("deleted_at", connectors.TimestampTZ)).many(4)
	return table, func(t *testing.T) *memoryBench {
		t.Helper()
		b := newMemoryBench(t, table)
		b.now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		b.job.Pipeline.Tables[0].SoftDeleteColumn, b.job.Pipeline.Tables[0].SoftDelete = "deleted_at", how
		return b
	}
}

func TestSoftDeletesArriveWhenOnlyTheirColumnMoved(t *testing.T) {
	t.Parallel()
	table, bench := soft(model.SoftDeleteKeep)
	b := bench(t)
	b.mustSucceed()
	table.rows[0]["deleted_at"] = "2026-04-05T00:00:00Z"
	b.mustSucceed()
	b.targetIs("orders", "deleted_at=2026-04-05T00:00:00Z id=1 n=0", "id=2 n=0", "id=3 n=0", "id=4 n=0")
	if r := b.mustSucceed(); r.RowsRead != 0 {
		t.Errorf("a run with nothing new read %d rows", r.RowsRead)
	}
	delete(table.rows[0], "deleted_at")
	table.rows[0]["updated_at"] = "2026-04-06T00:00:00Z"
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=0", "id=3 n=0", "id=4 n=0")
}

func TestADeletionInTheFutureDoesNotMoveTheWatermark(t *testing.T) {
	t.Parallel()
	table, bench := soft(model.SoftDeleteKeep)
	b := bench(t)
	table.rows[0]["deleted_at"] = "2099-01-01T00:00:00Z"
	b.mustSucceed()
	table.touch(1, 1, record{"n": "1"})
	b.mustSucceed()
	b.targetIs("orders", "deleted_at=2099-01-01T00:00:00Z id=1 n=0", "id=2 n=1", "id=3 n=0", "id=4 n=0")
}

// TestADeletionInTheFutureWaitsForItsTime sets times of deletion beforehand. Such a row stays until its time, and then
// leaves without a change of its own; deletions of now are not held up, and the watermark does not run ahead.
func TestADeletionInTheFutureWaitsForItsTime(t *testing.T) {
	t.Parallel()
	table, bench := soft(model.SoftDeleteRemove)
	b := bench(t)
	stamp := func(d time.Duration) string { return stampText(b.now.Add(d).UnixMicro()) }
	table.rows[0]["deleted_at"] = stamp(time.Hour)
	table.rows[3]["deleted_at"] = "2099-01-01T00:00:00Z"
	b.mustSucceed()
	b.targetIs("orders", "deleted_at="+table.rows[0]["deleted_at"]+" id=1 n=0", "id=2 n=0", "id=3 n=0", "deleted_at=2099-01-01T00:00:00Z id=4 n=0")
	// Another row is deleted now, by its column alone, beside those of the future.
	table.rows[1]["deleted_at"] = stamp(-time.Second)
	b.mustSucceed()
	first := "deleted_at=" + table.rows[0]["deleted_at"] + " id=1 n=0"
	b.targetIs("orders", first, "id=3 n=0", "deleted_at=2099-01-01T00:00:00Z id=4 n=0")
	if r := b.mustSucceed(); r.RowsRead != 0 {
		t.Errorf("a run with nothing new read %d rows", r.RowsRead)
	}
	// One is touched and deleted beforehand at once.
	table.touch(2, 1, record{"n": "1", "deleted_at": stamp(30 * time.Minute)})
	b.mustSucceed()
	b.targetIs("orders", first, "deleted_at="+table.rows[2]["deleted_at"]+" id=3 n=1", "deleted_at=2099-01-01T00:00:00Z id=4 n=0")
	b.now = b.now.Add(45 * time.Minute)
	b.mustSucceed()
	b.targetIs("orders", first, "deleted_at=2099-01-01T00:00:00Z id=4 n=0")
	b.now = b.now.Add(time.Hour)
	r := b.mustSucceed()
	b.targetIs("orders", "deleted_at=2099-01-01T00:00:00Z id=4 n=0")
	if r.Tables[0].RowsDeleted != 1 || r.RowsRead != r.RowsFiltered {
		t.Errorf("%d deleted; read, loaded, filtered, dead = %v", r.Tables[0].RowsDeleted, counts(r))
	}
	if w := b.state.marks["orders"].Value; w > stampText(b.now.UnixMicro()) {
		t.Errorf("the watermark %s runs ahead of %s", w, b.now)
	}
	// A time of deletion that is taken back in time never counted.
	table.rows[3]["deleted_at"] = stamp(time.Minute)
	table.touch(3, 2, nil)
	b.mustSucceed()
	delete(table.rows[3], "deleted_at")
	table.touch(3, 3, nil)
	b.now = b.now.Add(time.Hour)
	b.mustSucceed()
	b.targetIs("orders", "id=4 n=0")
}

func TestRestoredRowsComeBack(t *testing.T) {
	t.Parallel()
	table, bench := soft(model.SoftDeleteRemove)
	b := bench(t)
	table.rows[3]["deleted_at"] = "2026-04-01T12:00:00Z"
	r := b.mustSucceed() // a first load leaves it out
	b.targetIs("orders", "id=1 n=0", "id=2 n=0", "id=3 n=0")
	if got, want := counts(r), [4]int64{4, 3, 1, 0}; got != want {
		t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
	}
	table.rows[0]["deleted_at"] = "2026-04-05T00:00:00Z"
	table.touch(1, 1, record{"n": "1"})
	r = b.mustSucceed()
	b.targetIs("orders", "id=2 n=1", "id=3 n=0")
	if r.Tables[0].RowsDeleted != 1 || r.RowsRead != r.RowsLoaded+r.RowsFiltered {
		t.Errorf("%d deleted; read, loaded, filtered, dead = %v", r.Tables[0].RowsDeleted, counts(r))
	}
	delete(table.rows[0], "deleted_at")
	table.rows[0]["updated_at"] = "2026-04-06T00:00:00Z"
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=1", "id=3 n=0")
}

// TestDeletionsSurviveFaults fails the load of the keys, after the table's own,
// and wants the next run to do it.
func TestDeletionsSurviveFaults(t *testing.T) {
	t.Parallel()
	table, bench := soft(model.SoftDeleteRemove)
	b := bench(t)
	b.job.Pipeline.Options.Deletes = model.Deletes{Mode: model.DeletesDelete, MaxShare: 0.5}
	b.job.Reconcile = true
	b.job.Pipeline.MaxRetries = 0
	b.mustSucceed()
	for _, mode := range []connectors.LoadMode{connectors.Remove, connectors.Retain} {
		b.to.fail = func(req connectors.LoadRequest) error {
			if req.Mode == mode {
				return errFault
			}
			return nil
		}
		if mode == connectors.Remove {
			table.rows[0]["deleted_at"] = "2026-04-05T00:00:00Z"
		} else {
			table.drop(2)
		}
		if r := b.run(); r.Status != model.RunFailed {
			t.Fatalf("%s: the run is %s", mode, r.Status)
		}
		b.to.fail = nil
		b.mustSucceed()
	}
	b.targetIs("orders", "id=3 n=0", "id=4 n=0")
}
