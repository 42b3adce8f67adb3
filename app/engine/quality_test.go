package engine

import (
	"fmt"
	"testing"

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
