package engine

import (
	"context"
	"strings"
	"testing"

	"arus/app/model"
	"arus/connectors"
)

func TestRawModeKeepsDeadLetters(t *testing.T) {
	t.Parallel()
	table := orders()
	b := newMemoryBench(t, table)
	b.job.Pipeline.Tables[0].LoadMode = model.LoadRaw
	b.job.Pipeline.Options.Drift = model.DriftReport
	b.job.OpenDestination = func(context.Context) (connectors.Destination, error) { return b.to, nil }
	b.mustSucceed()
	table.Columns[1].Type = connectors.Type{Kind: connectors.Int64}
	table.touch(0, 1, record{"n": "5000000000"})
	table.touch(1, 1, record{"n": "11"})
	r := b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=11", "id=3 n=20")
	if r.DeadLetters != 1 || r.RowsRead != r.RowsLoaded+1 {
		t.Errorf("read, loaded, filtered, dead = %v", counts(r))
	}
	dead := 0
	for _, raw := range b.to.tables["orders"].raw {
		if connectors.IsDead([]byte(raw.data)) {
			dead++
			if !strings.Contains(raw.data, `"n":5000000000,`) || raw.run != b.state.runs[1].ID {
				t.Errorf("staged %+v", raw)
			}
		}
	}
	if letters := b.to.tables[deadLetterTable].rows; dead != 1 || len(letters) != 1 || strings.Contains(letters[0]["row_data"], connectors.MetaDeadLetter) {
		t.Errorf("%d are staged of the letters %v", dead, letters)
	}
	b.job.Rebuild = true
	r = b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=11", "id=3 n=20")
	b.job.Rebuild = false
	b.job.Pipeline.Options.Drift = model.DriftEvolve
	table.touch(2, 2, record{"n": "21"})
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=0", "id=2 n=11", "id=3 n=21")
	b.job.Rebuild = true
	b.mustSucceed()
	b.targetIs("orders", "id=1 n=5000000000", "id=2 n=11", "id=3 n=21")
}
