package engine

import (
	"slices"
	"strings"
	"testing"

	"arus/app/model"
	"arus/connectors"
)

func TestNewColumnsArrive(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.mustSucceed()
	table.Columns = append(table.Columns, col("note", connectors.Text))
	for _, r := range table.rows { // the source filled them with a default and touched no watermark
		r["note"] = "default"
	}
	table.touch(0, 1, record{"note": "mine"})
	r := b.mustSucceed()
	b.targetIs("orders", "id=1 n=0 note=mine", "id=2 n=10", "id=3 n=20 note=default") // row 3 is at the watermark
	b.changesAre("column_added note applied done")
	hasWarning(t, r, "note", "read NULL", "full refresh")
	if found := r.Tables[0].Changes; len(found) != 1 || found[0].Kind != model.ColumnAdded {
		t.Errorf("the report has the changes %+v", found)
	}
	if b.to.alters != 1 {
		t.Errorf("%d alterations, want 1", b.to.alters)
	}
	table.touch(1, 2, nil)
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0 note=mine", "id=2 n=10 note=default", "id=3 n=20 note=default")
	table.rows[0]["note"] = "silent" // the watermark does not move
	b.job.FullRefresh = true
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0 note=silent", "id=2 n=10 note=default", "id=3 n=20 note=default")
	if b.to.alters != 1 {
		t.Errorf("%d alterations, want 1", b.to.alters)
	}
}

func TestNewColumnsAreReportedAndLeftOut(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.job.Pipeline.Options.Drift = model.DriftReport
	b.mustSucceed()
	table.Columns = append(table.Columns, col("note", connectors.Text))
	table.touch(0, 1, record{"note": "x"})
	hasWarning(t, b.mustSucceed(), "note", "left out")
	b.targetIs("orders", "id=1 n=0", "id=2 n=10", "id=3 n=20")
	b.changesAre("column_added note pending")
	table.touch(1, 2, record{"note": "y"})
	b.mustSucceed()
	b.changesAre("column_added note pending")
	if err := b.state.decide(model.ColumnAdded, model.ChangeApplied); err != nil {
		t.Fatal(err)
	}
	table.touch(2, 3, record{"note": "z"})
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=10 note=y", "id=3 n=20 note=z") // row 2 was at the watermark
	b.changesAre("column_added note applied done")
}

// TestColumnsStayAsAgreedWhenChangesAreNotLookedFor adds, removes and narrows columns while nobody looks.
func TestColumnsStayAsAgreedWhenChangesAreNotLookedFor(t *testing.T) {
	t.Parallel()
	table := orders(col("note", connectors.Text))
	b := newMemoryBench(t, table)
	b.job.Agreed = true
	b.mustSucceed()
	table.Columns = append(slices.DeleteFunc(table.Columns, func(c connectors.Column) bool { return c.Name == "note" }), col("more", connectors.Text))
	table.touch(0, 1, record{"n": "7", "more": "x"})
	if r := b.mustSucceed(); len(r.Warnings) > 0 || len(r.Tables[0].Changes) > 0 {
		t.Errorf("changes are reported: %v, %v", r.Warnings, r.Tables[0].Changes)
	}
	b.targetIs("orders", "id=1 n=7", "id=2 n=10", "id=3 n=20")
	b.changesAre()
	b.job.Agreed = false // looked for again
	table.touch(1, 2, record{"more": "y"})
	b.mustSucceed()
	b.targetIs("orders", "id=1 more=x n=7", "id=2 more=y n=10", "id=3 n=20") // row 1 was at the watermark
}

func TestAFrozenSchemaMovesNoRow(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.job.Pipeline.Options.Drift = model.DriftFreeze
	b.mustSucceed()
	table.Columns = append(table.Columns, col("note", connectors.Text))
	table.touch(0, 1, record{"n": "99"})
	for range 2 {
		r := b.run()
		if r.Status != model.RunFailed || connectors.KindOf(r.Tables[0].Err) != connectors.KindConflict || !strings.Contains(r.Tables[0].Error, "note") {
			t.Fatalf("the run is %s: %s", r.Status, r.Tables[0].Error)
		}
		b.targetIs("orders", "id=1 n=0", "id=2 n=10", "id=3 n=20")
	}
	b.changesAre("column_added note pending")
	if err := b.state.decide(model.ColumnAdded, model.ChangeIgnored); err != nil {
		t.Fatal(err)
	}
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=99", "id=2 n=10", "id=3 n=20")
}

func TestRemovedColumnsStayAndReadNull(t *testing.T) {
	t.Parallel()
	required := col("kind", connectors.Text)
	required.Nullable = false
	table := orders(required)
	for _, r := range table.rows {
		r["kind"] = "k"
	}
	b := newMemoryBench(t, table)
	b.mustSucceed()
	table.Columns = table.Columns[:3]
	for _, r := range table.rows {
		delete(r, "kind")
	}
	table.touch(0, 1, nil)
	hasWarning(t, b.mustSucceed(), "kind", "gone")
	b.targetIs("orders", "id=1 n=0", "id=2 kind=k n=10", "id=3 n=20") // row 3 is at the watermark and was read again
	b.changesAre("column_removed kind applied done")
	table.touch(1, 2, nil)
	if r := b.mustSucceed(); len(r.Warnings) != 0 {
		t.Errorf("the removed column is reported again: %q", r.Warnings)
	}
	b.targetIs("orders", "id=1 n=0", "id=2 n=10", "id=3 n=20")
	table.Columns = append(table.Columns, required) // and comes back
	table.touch(2, 3, record{"kind": "new"})
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=10", "id=3 kind=new n=20")
}

func TestWidenedTypesAreFollowed(t *testing.T) {
	t.Parallel()
	for _, policy := range []model.DriftPolicy{model.DriftEvolve, model.DriftReport} {
		table := orders()
		b := newMemoryBench(t, table)
		b.job.Pipeline.Options.Drift = policy
		b.mustSucceed()
		table.Columns[1].Type.Kind = connectors.Int64
		table.touch(0, 1, record{"n": "5000000000"})
		table.touch(1, 1, record{"n": "11"})
		r := b.mustSucceed()
		if policy == model.DriftEvolve {
			b.targetIs("orders", "id=1 n=5000000000", "id=2 n=11", "id=3 n=20")
			b.changesAre("type_widened n applied done")
			continue
		}
		b.targetIs("orders", "id=1 n=0", "id=2 n=11", "id=3 n=20")
		b.changesAre("type_widened n pending")
		if r.DeadLetters != 1 || r.RowsRead != r.RowsLoaded+1 {
			t.Errorf("read, loaded, filtered, dead = %v", counts(r))
		}
	}
}

func TestANarrowedColumnDeadLettersOnlyWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.mustSucceed()
	table.Columns[1].Type = connectors.Type{Kind: connectors.Text}
	table.touch(0, 1, record{"n": "7"})
	table.touch(1, 1, record{"n": "seven"})
	r := b.mustSucceed()
	b.targetIs("orders", "id=1 n=7", "id=2 n=10", "id=3 n=20")
	b.changesAre("type_incompatible n pending")
	hasWarning(t, r, "n was int32 and is text now")
	if r.DeadLetters != 1 || r.RowsRead != r.RowsLoaded+1 {
		t.Errorf("read, loaded, filtered, dead = %v", counts(r))
	}
	letters := b.to.tables[deadLetterTable].rows
	if len(letters) != 1 || !strings.Contains(letters[0]["row_data"], `"n":"seven"`) || !strings.Contains(letters[0]["error_text"], "column n") {
		t.Errorf("letters %v", letters)
	}
	if err := b.state.decide(model.TypeIncompatible, model.ChangeApplied); err != nil {
		t.Fatal(err)
	}
	table.rows[2]["n"] = "three"
	b.mustSucceed() // everything is read by the new type
	b.targetIs("orders", "id=1 n=7", "id=2 n=seven", "id=3 n=three")
	b.changesAre("type_incompatible n applied done")

	table.Columns[1].Type = connectors.Type{Kind: connectors.Text, Length: 5}
	table.touch(0, 3, record{"n": "abc"})
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=abc", "id=2 n=seven", "id=3 n=three")
	b.changesAre("type_incompatible n applied done", "type_narrowed n pending")
}

func TestAColumnThatTakesNullNow(t *testing.T) {
	t.Parallel()
	for _, policy := range []model.DriftPolicy{model.DriftEvolve, model.DriftReport} {
		table := orders()
		table.Columns[1].Nullable = false
		b := newMemoryBench(t, table)
		b.job.Pipeline.Options.Drift = policy
		b.mustSucceed()
		table.Columns[1].Nullable = true
		table.touch(0, 1, nil)
		delete(table.rows[0], "n")
		r := b.mustSucceed()
		if policy == model.DriftEvolve {
			b.targetIs("orders", "id=1", "id=2 n=10", "id=3 n=20")
			continue
		}
		b.targetIs("orders", "id=1 n=0", "id=2 n=10", "id=3 n=20")
		if r.DeadLetters != 1 {
			t.Errorf("%d dead letters, want 1", r.DeadLetters)
		}
	}
}

func TestAChangedKeyIsRefusedWithItsRemedy(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.mustSucceed()
	table.PrimaryKey = []string{"id", "n"}
	table.touch(0, 1, record{"n": "1"})
	r := b.run()
	if r.Status != model.RunFailed || !strings.Contains(r.Tables[0].Error, "full refresh") {
		t.Fatalf("the run is %s: %s", r.Status, r.Tables[0].Error)
	}
	b.targetIs("orders", "id=1 n=0", "id=2 n=10", "id=3 n=20")
	b.job.FullRefresh = true
	b.mustSucceed()
	b.changesAre("key_changed  applied done")
	b.job.FullRefresh = false
	table.touch(1, 2, nil)
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=1", "id=2 n=10", "id=3 n=20")
}

func TestADestinationThatCannotAlterKeepsItsColumns(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.to.frozen = true
	b.mustSucceed()
	table.Columns = append(table.Columns, col("note", connectors.Text))
	table.touch(0, 1, record{"note": "x"})
	hasWarning(t, b.mustSucceed(), "note", "left out")
	b.targetIs("orders", "id=1 n=0", "id=2 n=10", "id=3 n=20")
}

func TestAChangeThatIsTakenBackIsClosed(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.job.Pipeline.Options.Drift = model.DriftReport
	b.mustSucceed()
	before := table.Columns
	table.Columns = append(table.Columns[:3:3], col("note", connectors.Text))
	b.mustSucceed()
	table.Columns = before
	b.mustSucceed()
	b.changesAre("column_added note ignored done")
}
