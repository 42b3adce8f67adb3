package store

import (
	"errors"
	"testing"
	"time"

	"arus/app/model"
)

func TestTablesWithoutNewsAreRecordedTogether(t *testing.T) {
	t.Parallel()
	s, clk := openWithClock(t, t.TempDir())
	ctx := t.Context()
	p := addPipeline(t, s, "p")
	first := startRun(t, s, p.ID)
	for _, w := range []model.Watermark{
		{PipelineID: p.ID, SourceTable: "a", Column: "at", Value: "1", Type: "timestamptz", Boundary: []byte("edge"), RowCount: 7, LastRunID: first.ID},
		{PipelineID: p.ID, SourceTable: "b", Column: "at", Value: "2", Type: "timestamptz", Boundary: []byte("a longer edge"), RowCount: 8, LastRunID: first.ID},
		{PipelineID: p.ID, SourceTable: "c", RowCount: 9, LastRunID: first.ID},
		{PipelineID: "other", SourceTable: "a", Value: "3", RowCount: 9, LastRunID: first.ID},
	} {
		if err := s.SaveWatermark(ctx, &w); err != nil {
			t.Fatal(err)
		}
	}
	short, err := s.Watermarks(ctx, p.ID, []string{"a", "b", "c", "never loaded"}, len("edge"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, w := range short {
		one, err := s.GetWatermark(ctx, p.ID, w.SourceTable)
		if err != nil {
			t.Fatal(err)
		}
		check(t, "the watermark of "+w.SourceTable, one, w)
		found = append(found, w.SourceTable)
	}
	check(t, "those with a short boundary", []string{"a", "c"}, found)
	for _, name := range []string{"a", "b"} {
		if err := s.SaveTableSchema(ctx, &model.TableSchema{PipelineID: p.ID, SourceTable: name, Columns: []byte(`[]`), Key: []string{"id"}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.RecordSchemaChanges(ctx, p.ID, "b", first.ID, []model.SchemaChange{{Kind: model.ColumnAdded, Column: "x"}}); err != nil {
		t.Fatal(err)
	}
	schemas, err := s.TableSchemas(ctx, p.ID, []string{"b", "a", "c"})
	if err != nil || len(schemas) != 2 {
		t.Fatalf("schemas %+v, %v", schemas, err)
	}
	for _, schema := range schemas {
		one, err := s.GetTableSchema(ctx, p.ID, schema.SourceTable)
		if err != nil {
			t.Fatal(err)
		}
		check(t, "the schema of "+schema.SourceTable, one, schema)
	}

	at := clk.now().Add(time.Hour).Truncate(time.Millisecond)
	stats := []model.RunTableStat{
		{ID: "00000000-0000-7000-8000-00000000000a", RunID: first.ID, TableName: "a", Target: "t.a", Status: model.RunSuccess, Mode: model.ModeIncremental, WatermarkBefore: "1", WatermarkAfter: "1", DurationMS: 3},
		{ID: "00000000-0000-7000-8000-00000000000b", RunID: first.ID, TableName: "reset meanwhile", Status: model.RunSuccess},
	}
	if err := s.CheckpointQuiet(ctx, p.ID, at, stats); err != nil {
		t.Fatal(err)
	}
	a, err := s.GetWatermark(ctx, p.ID, "a")
	if err != nil {
		t.Fatal(err)
	}
	if a.Value != "1" || string(a.Boundary) != "edge" || a.RowCount != 0 || a.LastRunID != first.ID || !a.LastSyncedAt.Equal(at) {
		t.Errorf("the watermark of a quiet table is %+v", a)
	}
	if _, err := s.GetWatermark(ctx, p.ID, "reset meanwhile"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a watermark came back: %v", err)
	}
	for _, other := range []string{p.ID + " b", "other a"} {
		pipeline, table := other[:len(other)-2], other[len(other)-1:]
		if w, err := s.GetWatermark(ctx, pipeline, table); err != nil || w.RowCount < 8 {
			t.Errorf("another table's watermark is %+v, %v", w, err)
		}
	}
	run, err := s.GetRun(ctx, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "the figures", stats, run.Tables)

	if _, err := s.FinishRun(ctx, first.ID, RunResult{Status: model.RunFailed}); err != nil {
		t.Fatal(err)
	}
	if _, over := errors.AsType[*RunStateError](s.CheckpointQuiet(ctx, p.ID, at.Add(time.Hour), stats)); !over {
		t.Error("a run that is over moved something")
	}
	if w, _ := s.GetWatermark(ctx, p.ID, "a"); !w.LastSyncedAt.Equal(at) {
		t.Errorf("it moved %+v", w)
	}
}
