package store

import (
	"errors"
	"testing"
	"time"

	"arus/app/model"
)

func TestSchemasAndTheirChangesAreKept(t *testing.T) {
	t.Parallel()
	s, clk := openWithClock(t, t.TempDir())
	ctx := t.Context()
	p := addPipeline(t, s, "p")
	none, err := s.GetTableSchema(ctx, p.ID, "orders")
	if err != nil || !none.UpdatedAt.IsZero() {
		t.Fatalf("before anything: %+v, %v", none, err)
	}
	want := model.TableSchema{PipelineID: p.ID, SourceTable: "orders", Columns: []byte(`[{"name":"id"}]`), Key: []string{"id"}, BaseRunID: "r1", ReconciledAt: clk.now().Truncate(time.Millisecond)}
	if err := s.SaveTableSchema(ctx, &want); err != nil {
		t.Fatal(err)
	}
	found := []model.SchemaChange{{Kind: model.ColumnAdded, Column: "a", To: "text"}, {Kind: model.TypeWidened, Column: "b", From: "int32", To: "int64"}}
	first, err := s.RecordSchemaChanges(ctx, p.ID, "orders", "r1", found)
	if err != nil || len(first) != 2 || first[0].Status != model.ChangePending || first[0].RunID != "r1" {
		t.Fatalf("recorded %+v, %v", first, err)
	}
	want.Open = 2
	got, err := s.GetTableSchema(ctx, p.ID, "orders")
	if err != nil {
		t.Fatal(err)
	}
	check(t, "the schema", want, got)
	decided, err := s.DecideSchemaChange(ctx, first[0].ID, model.ChangeApplied, "ann")
	if err != nil || decided.Status != model.ChangeApplied || decided.DecidedBy != "ann" {
		t.Fatalf("decided %+v, %v", decided, err)
	}
	again, err := s.RecordSchemaChanges(ctx, p.ID, "orders", "r2", found[:1]) // the second is gone at the source
	if err != nil {
		t.Fatal(err)
	}
	check(t, "found again", []model.SchemaChange{decided}, again)
	if err := s.FollowSchemaChanges(ctx, "r2", []string{decided.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DecideSchemaChange(ctx, decided.ID, model.ChangeIgnored, "ann"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a change that was followed is decided about: %v", err)
	}
	open, total, err := s.ListSchemaChanges(ctx, ChangeFilter{PipelineID: p.ID, Open: true})
	if err != nil || total != 0 || len(open) != 0 {
		t.Errorf("open %+v, %d, %v", open, total, err)
	}
	list, total, err := s.ListSchemaChanges(ctx, ChangeFilter{PipelineID: p.ID, Table: "orders"})
	if err != nil || total != 2 {
		t.Fatalf("listed %+v, %d, %v", list, total, err)
	}
	for _, c := range list {
		if c.DoneRunID != "r2" || c.Column == "b" && c.Status != model.ChangeIgnored || c.Column == "a" && (c.Status != model.ChangeApplied || c.DecidedBy != "ann") {
			t.Errorf("in the end %+v", c)
		}
	}
	if err := s.DeletePipeline(ctx, p.ID); err != nil {
		t.Fatal(err)
	}
	check(t, "left behind", []string(nil), leftovers(t, s, p.ID, "r1"))
}

func TestQualityChecksAreListed(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	p := addPipeline(t, s, "p")
	checks := []model.QualityCheck{
		{PipelineID: p.ID, RunID: "r", TableName: "orders", Type: model.CheckRowCount, Status: model.CheckFailed, RowsExtracted: 10, RowsLoaded: 8, DiscrepancyPct: 20, Message: "m"},
		{PipelineID: p.ID, RunID: "r", TableName: "orders", Type: model.CheckNulls, Status: model.CheckWarning, NullColumns: "a(1)", RequiredColumns: "a"},
		{PipelineID: p.ID, RunID: "r", TableName: "orders", Type: model.CheckChecksum, Status: model.CheckPassed},
	}
	if err := s.SaveQuality(t.Context(), checks); err != nil {
		t.Fatal(err)
	}
	list, total, err := s.ListQuality(t.Context(), QualityFilter{PipelineID: p.ID, RunID: "r", Table: "orders"})
	if err != nil || total != 3 {
		t.Fatalf("%d, %v", total, err)
	}
	for _, q := range list {
		for _, want := range checks {
			if q.ID == want.ID {
				check(t, string(q.Type), want, q)
			}
		}
	}
	check(t, "passed", []string{"0", "0", "1"}, texts(t, s, `SELECT CAST(passed AS TEXT) FROM arus_config_data_quality_log ORDER BY passed`))
	if _, total, _ = s.ListQuality(t.Context(), QualityFilter{Status: model.CheckFailed}); total != 1 {
		t.Errorf("%d failed checks, want 1", total)
	}
}
