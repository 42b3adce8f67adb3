package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"arus/app/model"
	"arus/connectors"
)

// checksAre compares the recorded checks, written as "type status sent held".
func (b *memoryBench) checksAre(want ...string) {
	b.t.Helper()
	var got []string
	for _, q := range b.state.quality {
		if q.PipelineID != b.job.Pipeline.ID || q.RunID == "" || q.TableName != "orders" {
			b.t.Errorf("check %+v", q)
		}
		got = append(got, fmt.Sprintf("%s %s %d %d %s", q.Type, q.Status, q.RowsExtracted, q.RowsLoaded, q.NullColumns))
	}
	b.state.quality = nil
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("checks (-want +got)\n%s", diff)
	}
}

func TestLoadsAreCountedAtTheDestination(t *testing.T) {
	t.Parallel()
	table := orders().many(6)
	b := newMemoryBench(t, table)
	b.mustSucceed()
	b.checksAre("row_count passed 6 6 ", "null_check passed 0 0 ")
	b.mustSucceed()
	b.checksAre() // nothing was loaded
	table.touch(0, 1, nil)
	table.touch(1, 2, nil)
	b.mustSucceed()
	b.checksAre("row_count passed 2 2 ", "null_check passed 0 0 ")
	b.job.Pipeline.Options.Quality.Off = true
	b.job.FullRefresh = true
	b.mustSucceed()
	b.checksAre()
}

// TestMergesAreCountedWhereTheServerDoesNotTellEnough: a count reads the whole target, and is spared where the server has told of
// each row that it is there.
func TestMergesAreCountedWhereTheServerDoesNotTellEnough(t *testing.T) {
	t.Parallel()
	all := func(n int64) int64 { return n }
	for _, tt := range []struct {
		name   string
		tells  func(int64) int64
		counts int
	}{
		{"told", all, 0},
		{"not told", nil, 1},
		{"told of fewer", func(n int64) int64 { return n - 1 }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			table := orders().many(6)
			b := newMemoryBench(t, table)
			b.mustSucceed()
			b.state.quality = nil
			b.to.counts, b.to.tells = 0, tt.tells
			table.touch(0, 1, nil)
			table.touch(1, 2, nil)
			b.mustSucceed()
			b.checksAre("row_count passed 2 2 ", "null_check passed 0 0 ")
			if b.to.counts != tt.counts {
				t.Errorf("%d counts, want %d", b.to.counts, tt.counts)
			}
		})
	}
}

// TestAMissingValueIsNotProven: rows are counted where one of those to load lacks what it has to have.
func TestAMissingValueIsNotProven(t *testing.T) {
	t.Parallel()
	id, n := col("id", connectors.Int32), col("n", connectors.Int32)
	b := connectors.NewBatcher([]connectors.Column{id, n}, connectors.Limits{}, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		for _, required := range []bool{false, true} {
			n := n
			n.Nullable = !required
			f := &flow{loaded: 1, result: connectors.LoadResult{Upserted: 1}, copy: &tableCopy{
				shape: &shape{load: []connectors.Column{id, n}}, table: connectors.Table{PrimaryKey: []string{"id"}},
				plan: plan{load: connectors.Merge, key: []string{"id"}, source: []string{"id"}},
			}}
			if f.findVoids(batch); f.proven() == required {
				t.Errorf("required %v: proven %v", required, f.proven())
			}
			f.copy.table.PrimaryKey = nil
			if f.proven() {
				t.Error("rows of a key that is not the source's own are proven")
			}
		}
		return nil
	})
	defer b.Release()
	b.Builders[0].(*array.Int32Builder).Append(1)
	b.Builders[1].AppendNull()
	if err := errors.Join(b.EndRow(8), b.Flush()); err != nil {
		t.Fatal(err)
	}
}

func TestDeadLettersBreachTheRowCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		threshold float64
		status    model.CheckStatus
	}{{5, model.CheckFailed}, {60, model.CheckWarning}} {
		table := orders().many(3)
		b := newMemoryBench(t, table)
		b.job.Threshold = 1
		b.job.Pipeline.Options.Quality.ThresholdPct = &c.threshold
		b.mustSucceed()
		b.state.quality = nil
		table.Columns[1].Type = connectors.Type{Kind: connectors.Text}
		table.touch(0, 1, record{"n": "x"})
		table.touch(2, 2, record{"n": "1"})
		r := b.mustSucceed()
		b.checksAre(fmt.Sprintf("row_count %s 2 1 ", c.status), "null_check passed 0 0 ")
		if found := r.Tables[0].Checks; len(found) != 2 || found[0].Status != c.status {
			t.Errorf("the report has the checks %+v", found)
		}
		hasWarning(t, r, "row_count", "2 rows were to be loaded", "1 of them")
	}
}

func TestTheWindowIsComparedValueByValue(t *testing.T) {
	t.Parallel()
	table := orders().many(4)
	b := newMemoryBench(t, table)
	b.job.Pipeline.Options.Quality.Checksum = true
	b.mustSucceed()
	b.checksAre("row_count passed 4 4 ", "null_check passed 0 0 ", "checksum passed 4 4 ")
	table.touch(0, 1, nil)
	b.to.spoil = func(r record) { r["n"] = "77" } // the destination keeps another value
	r := b.mustSucceed()
	b.checksAre("row_count passed 1 1 ", "null_check passed 0 0 ", "checksum failed 2 1 ")
	hasWarning(t, r, "checksum", "id=1")
}
