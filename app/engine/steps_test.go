package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"arus/app/model"
	"arus/connectors"
)

// transformed is a pipeline of the orders with steps.
func transformed(t *testing.T, steps string, more ...connectors.Column) (*memoryBench, *memoryTable) {
	t.Helper()
	table := orders(more...)
	b := newMemoryBench(t, table)
	b.job.OpenDestination = func(context.Context) (connectors.Destination, error) { return b.to, nil }
	b.job.Pipeline.Tables[0].TransformConfig = json.RawMessage(steps)
	return b, table
}

func TestTransformsMakeTheTarget(t *testing.T) {
	t.Parallel()
	b, table := transformed(t, `[{"type":"rename","config":{"mapping":{"id":"order_id","updated_at":"changed_at"}}},
		{"type":"compute","config":{"expression":"double = n * 2"}},{"type":"remove_fields","config":{"fields":["n"]}},{"type":"filter","config":{"condition":"order_id != 2"}}]`)
	r := b.mustSucceed()
	if got, want := counts(r), [4]int64{3, 2, 1, 0}; got != want {
		t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
	}
	target := b.to.tables["orders"]
	if got := connectors.ColumnNames(target.Columns); !slices.Equal(got, []string{"order_id", "changed_at", "double"}) || !slices.Equal(target.PrimaryKey, []string{"order_id"}) {
		t.Errorf("columns %v, key %v", got, target.PrimaryKey)
	}
	b.targetHas("changed_at", "double=0 order_id=1", "double=40 order_id=3")
	if mark := b.state.marks["orders"]; mark.Column != "updated_at" || mark.Value != "2026-04-01T00:00:02Z" {
		t.Errorf("the watermark is %+v", mark)
	}
	// The next windows are merged by the new name of the key; the watermark moves
	// past rows that were filtered.
	table.touch(0, 1, record{"n": "7"})
	table.touch(1, 9, record{"n": "8"})
	r = b.mustSucceed()
	if got, want := counts(r), [4]int64{2, 1, 1, 0}; got != want {
		t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
	}
	b.targetHas("changed_at", "double=14 order_id=1", "double=40 order_id=3")
	if mark := b.state.marks["orders"].Value; mark != "2026-04-02T00:00:09Z" {
		t.Errorf("the watermark is %s", mark)
	}
	if r := b.mustSucceed(); r.RowsRead != 0 {
		t.Errorf("unchanged rows were read again: %v", counts(r))
	}
}

// targetHas is targetIs without one more column.
func (b *memoryBench) targetHas(less string, want ...string) {
	b.t.Helper()
	rows := b.to.tables["orders"].rows
	saved := slices.Clone(rows)
	for i, r := range rows {
		rows[i] = record{}
		for k, v := range r {
			if k != less {
				rows[i][k] = v
			}
		}
	}
	b.targetIs("orders", want...)
	copy(rows, saved)
}

func TestAWindowOfATransformedTableWithoutAKey(t *testing.T) {
	t.Parallel()
	b, table := transformed(t, `[{"type":"rename","config":{"mapping":{"updated_at":"changed_at"}}},{"type":"filter","config":{"condition":"n < 100"}}]`)
	table.PrimaryKey = nil
	b.mustSucceed()
	table.touch(2, 1, record{"n": "500"}) // it is filtered now, and its window is made anew
	table.rows = append(table.rows, record{"id": "9", "n": "9", "updated_at": "2026-04-02T00:00:01Z"})
	b.mustSucceed()
	b.targetHas("changed_at", "id=1 n=0", "id=2 n=10", "id=9 n=9")
	if w := b.to.tables["orders"].Columns; connectors.ColumnNames(w)[2] != "changed_at" {
		t.Errorf("the columns are %v", connectors.ColumnNames(w))
	}
}

// ATransformErrorIsNeverSwallowed: a row for which a step has no answer is kept
// as it was read, with the step and the reason, and can be loaded again once the
// step is mended; or it fails the table.
func TestATransformErrorIsNeverSwallowed(t *testing.T) {
	t.Parallel()
	const bad = `[{"type":"rename","config":{"mapping":{"id":"order_id"}}},{"type":"compute","config":{"expression":"share = 100 // n"}},{"type":"filter","config":{"condition":"order_id < 3"}}]`
	b, _ := transformed(t, bad)
	r := b.mustSucceed()
	if got, want := counts(r), [4]int64{3, 1, 1, 1}; got != want {
		t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
	}
	letters := b.letters()
	if len(letters) != 1 || string(letters[0].Row) != `{"id":1,"n":0,"updated_at":"2026-04-01T00:00:00Z"}` || letters[0].Reason != "transform step 2 (compute): division by zero" {
		t.Fatalf("%+v", letters)
	}
	if r := b.retry(Letters{}); r.DeadLetters != 1 || len(b.letters()) != 1 || b.letters()[0].ID != letters[0].ID {
		t.Errorf("a row that fails again has to stay: %v, %+v", counts(r), b.letters())
	}
	b.job.Pipeline.Tables[0].TransformConfig = json.RawMessage(strings.Replace(bad, "100 // n", "100 // n if n else 0", 1))
	r = b.retry(Letters{})
	if got, want := counts(r), [4]int64{1, 1, 0, 0}; got != want || len(b.letters()) != 0 {
		t.Errorf("read, loaded, filtered, dead = %v, want %v; %d letters are left", got, want, len(b.letters()))
	}
	b.targetIs("orders", "n=0 order_id=1 share=0", "n=10 order_id=2 share=10")

	b, table := transformed(t, bad)
	b.job.Pipeline.Options.TransformErrors = model.TransformFail
	r = b.run()
	if r.Status != model.RunFailed || r.Tables[0].Err == nil || !strings.Contains(r.Tables[0].Error, `transform orders: transform step 2 (compute): division by zero; the row is {"id":1`) {
		t.Errorf("%s: %s", r.Status, r.Tables[0].Error)
	}
	if _, ok := b.to.tables["orders"]; ok || b.state.marks["orders"].Value != "" {
		t.Error("something was loaded")
	}
	table.rows[0]["n"] = "1"
	b.mustSucceed()
}

func TestALetterThatIsFilteredNowIsGone(t *testing.T) {
	t.Parallel()
	b, _ := transformed(t, `[{"type":"compute","config":{"expression":"share = 100 // n"}}]`)
	b.mustSucceed()
	b.job.Pipeline.Tables[0].TransformConfig = json.RawMessage(`[{"type":"filter","config":{"condition":"n > 0"}},{"type":"compute","config":{"expression":"share = 100 // n"}}]`)
	r := b.retry(Letters{})
	if got, want := counts(r), [4]int64{1, 0, 1, 0}; got != want || len(b.letters()) != 0 {
		t.Errorf("read, loaded, filtered, dead = %v, want %v; %d letters are left", got, want, len(b.letters()))
	}
}

// The rows that the policies for values take out after the steps are kept as
// they were read, too.
func TestLettersAfterTransformsAreAsRead(t *testing.T) {
	t.Parallel()
	b, _ := transformed(t, `[{"type":"filter","config":{"condition":"n != 10"}},{"type":"compute","config":{"expression":"f = 1e308 * 10 if n == 20 else 1.0"}},{"type":"remove_fields","config":{"fields":["n"]}}]`)
	b.to.holds = connectors.Holds{} // no infinities
	r := b.mustSucceed()
	letters := b.letters()
	if got, want := counts(r), [4]int64{3, 1, 1, 1}; got != want || len(letters) != 1 || string(letters[0].Row) != `{"id":3,"n":20,"updated_at":"2026-04-01T00:00:02Z"}` {
		t.Errorf("read, loaded, filtered, dead = %v, want %v; %+v", got, want, letters)
	}
}

func TestTransformsThatLoseTheKeyAreRefused(t *testing.T) {
	t.Parallel()
	for steps, want := range map[string]string{
		`[{"type":"remove_fields","config":{"fields":["id"]}}]`:             "transform_config[0]: remove_fields loses the key column id",
		`[{"type":"compute","config":{"expression":"id = id // 2"}}]`:       "transform_config[0]: compute loses the key column id",
		`[{"type":"remove_fields","config":{"fields":["updated_at"]}}]`:     "transform_config[0]: remove_fields loses the watermark column updated_at",
		`[{"type":"type_cast","config":{"columns":{"updated_at":"date"}}}]`: "transform_config[0]: type_cast changes the watermark column updated_at",
		`[{"type":"filter","config":{"condition":"m > 1"}}]`:                "transform_config[0].config.condition: at column 1: there is no column named m here",
		`[{"type":"filtre","config":{}}]`:                                   "did you mean filter?",
		`[{"type":"script","config":{"script_name":"x"}}]`:                  "transform_config[0].config: scripts are not available here",
	} {
		b, _ := transformed(t, steps)
		r := b.run()
		if r.Status != model.RunFailed || !strings.Contains(r.Tables[0].Error, want) || connectors.KindOf(r.Tables[0].Err) != connectors.KindInvalid {
			t.Errorf("%s\n%s: %s", steps, r.Status, r.Tables[0].Error)
		}
		if len(b.from.reads) != 0 || len(b.to.tables) != 0 {
			t.Errorf("%s: rows were moved", steps)
		}
	}
	// A full refresh needs no watermark.
	b, _ := transformed(t, `[{"type":"remove_fields","config":{"fields":["updated_at"]}}]`)
	b.job.Pipeline.Tables[0].SyncMode = model.ModeFullRefresh
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=10", "id=3 n=20")
}

// The target follows changed steps as it follows a changed source.
func TestChangedTransformsAreFollowed(t *testing.T) {
	t.Parallel()
	b, table := transformed(t, `[{"type":"compute","config":{"expression":"double = n * 2"}}]`)
	b.mustSucceed()
	b.job.Pipeline.Tables[0].TransformConfig = json.RawMessage(`[{"type":"compute","config":{"expression":"double = n * 2"}},{"type":"add_constant","config":{"column":"shop","value":"Wien"}}]`)
	table.touch(0, 1, record{"n": "1"})
	b.mustSucceed()
	b.changesAre("column_added shop applied done")
	b.targetIs("orders", "double=2 id=1 n=1 shop=Wien", "double=20 id=2 n=10", "double=40 id=3 n=20")
	b.job.FullRefresh = true
	b.mustSucceed()
	b.targetIs("orders", "double=2 id=1 n=1 shop=Wien", "double=20 id=2 n=10 shop=Wien", "double=40 id=3 n=20 shop=Wien")
}

// Columns that only rows tell are looked for before anything is loaded.
func TestColumnsThatTheFirstRowsTell(t *testing.T) {
	t.Parallel()
	b, table := transformed(t, `[{"type":"flatten","config":{"column":"doc","prefix":"","drop_source":true}},{"type":"rename","config":{"mapping":{"city":"town"}}}]`, col("doc", connectors.JSON))
	for i, doc := range []string{`{"city":"Wien","zip":1010}`, `{"city":"Graz"}`, `{"zip":null}`} {
		table.rows[i]["doc"] = doc
	}
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0 town=Wien zip=1010", "id=2 n=10 town=Graz", "id=3 n=20")
	table.touch(1, 1, record{"doc": `{"city":"Linz","zip":4020}`})
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0 town=Wien zip=1010", "id=2 n=10 town=Linz zip=4020", "id=3 n=20")
}

// Deletions are followed by what the steps make of keys: a row that is filtered
// now is gone, and where it is not known what becomes of a row nothing is deleted.
func TestDeletionsOfTransformedTables(t *testing.T) {
	t.Parallel()
	b, table := transformed(t, `[{"type":"rename","config":{"mapping":{"id":"key"}}},{"type":"mask","config":{"columns":["key"],"method":"hash","salt":"s"}},
		{"type":"filter","config":{"condition":"n < 100"}},{"type":"compute","config":{"expression":"share = 7 // (n - 5)"}}]`)
	b.job.Pipeline.Options.Deletes = model.Deletes{Mode: model.DeletesDelete, MaxShare: 1}
	b.mustSucceed()
	if n := len(b.to.tables["orders"].rows); n != 3 {
		t.Fatalf("%d rows", n)
	}
	table.rows[1]["n"] = "200"  // filtered from now on
	table.rows = table.rows[:2] // the third is gone
	b.job.Reconcile = true
	if r := b.mustSucceed(); r.Tables[0].RowsDeleted != 2 || len(b.to.tables["orders"].rows) != 1 {
		t.Errorf("%d deleted, %d rows are left", r.Tables[0].RowsDeleted, len(b.to.tables["orders"].rows))
	}
	table.rows[0]["n"] = "5"
	r := b.run()
	if r.Status != model.RunFailed || !strings.Contains(r.Tables[0].Error, "1 rows fail in the table's transforms") || len(b.to.tables["orders"].rows) != 1 {
		t.Errorf("%s: %s; %d rows are left", r.Status, r.Tables[0].Error, len(b.to.tables["orders"].rows))
	}
}

func TestSoftDeletesOfTransformedTables(t *testing.T) {
	t.Parallel()
	b, table := transformed(t, `[{"type":"rename","config":{"mapping":{"id":"key"}}},{"type":"remove_fields","config":{"fields":["gone"]}}]`, col("gone", connectors.Bool))
	b.job.Pipeline.Tables[0].SoftDeleteColumn, b.job.Pipeline.Tables[0].SoftDelete = "gone", model.SoftDeleteRemove
	b.mustSucceed()
	table.touch(1, 1, record{"gone": "true"})
	r := b.mustSucceed()
	if got, want := counts(r), [4]int64{1, 0, 1, 0}; got != want || r.Tables[0].RowsDeleted != 1 {
		t.Errorf("read, loaded, filtered, dead = %v, want %v; %d deleted", got, want, r.Tables[0].RowsDeleted)
	}
	b.targetIs("orders", "key=1 n=0", "key=3 n=20")
}

// Chunks, care and steps go together: each chunk has a plan of its own, a row
// that the destination refuses is kept as it was read.
func TestTransformsInChunksAndWithCare(t *testing.T) {
	t.Parallel()
	for _, chunks := range []bool{false, true} {
		t.Run(fmt.Sprint("chunks ", chunks), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, fakeTable("orders", "id"))
			if chunks {
				b.inChunks("orders", 8)
				b.job.Pipeline.Options.Parallel = 3
			}
			b.job.Pipeline.Tables[0].TransformConfig = json.RawMessage(`[{"type":"filter","config":{"condition":"id % 5 != 0"}},{"type":"compute","config":{"expression":"text = text.upper() + str(6 // (id - 7))"}}]`)
			b.source.rows["orders"] = rowsFrom(40, func(i int) int64 { return us + int64(i) })
			b.refuseSome(11)
			r := b.mustSucceed()
			if got, want := counts(r), [4]int64{40, 28, 8, 4}; got != want {
				t.Errorf("read, loaded, filtered, dead = %v, want %v", got, want)
			}
			if (len(b.source.ranges) > 0) != chunks {
				t.Errorf("read the ranges %v", b.source.ranges)
			}
			for _, have := range b.dest.tables["orders"] {
				if want := fmt.Sprintf("V%d%d", have.id, floorDiv(6, have.id-7)); have.text != want || have.id%5 == 0 {
					t.Errorf("row %+v, want the text %s", have, want)
				}
			}
			found := strings.Join(b.dest.letters, "\n")
			for _, id := range []int{11, 22, 33, 7} {
				if want := fmt.Sprintf(`{"id":%d,"text":"v%d","updated_at":"%s"}`, id, id, stampText(us+int64(id)-1)); !strings.Contains(found, want) {
					t.Errorf("no letter %s: %s", want, found)
				}
			}
		})
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// Steps that compare rows with each other see all of them: such a table is read
// in one piece.
func TestDeduplicatedTablesAreNotLoadedInChunks(t *testing.T) {
	t.Parallel()
	for _, keep := range []string{"first", "last"} {
		b := newBench(t, fakeTable("orders", "id"))
		b.inChunks("orders", 8)
		b.job.Pipeline.Tables[0].TransformConfig = json.RawMessage(`[{"type":"compute","config":{"expression":"text = text[-1:]"}},{"type":"deduplicate","config":{"columns":["text"],"keep":"` + keep + `"}}]`)
		b.source.rows["orders"] = rowsFrom(40, func(i int) int64 { return us + int64(i) })
		r := b.mustSucceed()
		if got, want := counts(r), [4]int64{40, 10, 30, 0}; got != want || len(b.source.ranges) != 0 {
			t.Errorf("read, loaded, filtered, dead = %v, want %v; ranges %v", got, want, b.source.ranges)
		}
		for _, have := range b.dest.tables["orders"] {
			if first := have.id <= 10; first != (keep == "first") {
				t.Errorf("kept %+v", have)
			}
		}
	}
}

// Faults at every step of a run with transforms never lose a row.
func TestTransformsUnderFaults(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"open", "tables", "max", "read", "begin", "write", "commit", "letters", "checkpoint"} {
		for n := range 3 {
			b := newBench(t, fakeTable("orders", "id"))
			b.job.Pipeline.MaxRetries = 0
			b.job.Pipeline.Tables[0].TransformConfig = json.RawMessage(`[{"type":"filter","config":{"condition":"id % 5 != 0"}},{"type":"compute","config":{"expression":"text = str(6 // (id - 7))"}}]`)
			b.source.rows["orders"] = rowsFrom(20, func(i int) int64 { return us + int64(i) })
			b.faults.after[step] = n
			b.run()
			b.source.rows["orders"] = append(b.source.rows["orders"], row{id: 21, text: "v21", stamp: us + 50})
			b.faults.after = map[string]int{}
			b.run()
			b.mustSucceed()
			if got := len(b.dest.tables["orders"]); got != 16 {
				t.Errorf("a fault at %s %d: %d rows, want 16", step, n, got)
			}
		}
	}
}
