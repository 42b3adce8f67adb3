package model

import (
	"math"
	"slices"
	"testing"
)

// TestOptionsAreCheckedAllAtOnce wants every fault of the options that follow a
// source, by its field.
func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	t.Parallel()
	p := NewPipeline("p", "s", "d")
	p.Tables = []PipelineTable{NewPipelineTable("", "a"), NewPipelineTable("", "b")}
	if f := p.Validate(); f != nil {
		t.Fatalf("the defaults have faults: %v", f)
	}
	high := 101.0
	p.Options.Drift = "perhaps"
	p.Options.Deletes = Deletes{Mode: "burn", EverySeconds: -1, MaxShare: math.NaN()}
	p.Options.Quality.ThresholdPct = &high
	p.Options.RunAfterUpstream, p.Options.RawRetentionDays = true, -1
	p.Tables[0].SoftDelete, p.Tables[0].Deletes = SoftDeleteRemove, "burn"
	p.Tables[1].SoftDelete, p.Tables[1].SoftDeleteColumn = "hide", "x"
	var fields []string
	for _, f := range p.Validate() {
		fields = append(fields, f.Field)
	}
	want := []string{
		"options.drift", "options.deletes.mode", "options.deletes.every_seconds", "options.deletes.max_share", "options.quality.threshold_pct",
		"options.run_after_upstream", "options.raw_retention_days", "tables[0].soft_delete_column", "tables[0].deletes", "tables[1].soft_delete",
	}
	if !slices.Equal(fields, want) {
		t.Errorf("faults of %v, want %v", fields, want)
	}
	table := NewPipelineTable("", "t")
	for _, c := range []struct {
		pipeline, table, want DeleteMode
	}{{"", "", DeletesIgnore}, {DeletesDelete, "", DeletesDelete}, {DeletesDelete, DeletesIgnore, DeletesIgnore}, {"", DeletesMark, DeletesMark}} {
		p.Options.Deletes.Mode, table.Deletes = c.pipeline, c.table
		if got := p.DeleteMode(table); got != c.want {
			t.Errorf("pipeline %q and table %q give %q, want %q", c.pipeline, c.table, got, c.want)
		}
	}
	if got := (Deletes{}).Limit(); got != DefaultMaxShare {
		t.Errorf("the limit is %v without one", got)
	}
}
