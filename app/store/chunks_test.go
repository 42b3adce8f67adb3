package store

import (
	"errors"
	"slices"
	"testing"

	"arus/app/model"
)

func TestChunkedLoadKeepsItsProgress(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	if _, err := s.GetChunkedLoad(ctx, "p", "orders"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("before the first = %v", err)
	}
	run := model.Run{PipelineID: "p", Trigger: model.TriggerManual}
	if err := s.StartRun(ctx, &run); err != nil {
		t.Fatal(err)
	}
	load := model.ChunkedLoad{PipelineID: "p", SourceTable: "orders", Token: "t1", Plan: "x", Upper: "100", Chunks: []model.Chunk{
		{Position: 0, Range: []byte(`{"to":["5"]}`)}, {Position: 1, Range: []byte(`{"from":["5"]}`)},
	}}
	if err := s.StartChunkedLoad(ctx, &load); err != nil {
		t.Fatal(err)
	}
	load.Chunks[1] = model.Chunk{
		Position: 1, Range: load.Chunks[1].Range, Done: true, RunID: run.ID, RawRows: 3,
		Counts: model.RunCounts{Read: 5, Loaded: 3, Filtered: 1, DeadLetters: 1}, Boundary: []byte{1, 2},
	}
	if err := s.CheckpointChunk(ctx, "t1", load.Chunks[1]); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckpointChunk(ctx, "t1", model.Chunk{Position: 7, RunID: run.ID}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a chunk that is not planned = %v", err)
	}
	got, err := s.GetChunkedLoad(ctx, "p", "orders")
	if err != nil {
		t.Fatal(err)
	}
	check(t, "stored", load, got)

	// A checkpoint of the table ends it; another load of the table replaces it.
	again := load
	again.Token, again.Chunks = "t2", load.Chunks[:1]
	if err := s.StartChunkedLoad(ctx, &again); err != nil {
		t.Fatal(err)
	}
	if got, err = s.GetChunkedLoad(ctx, "p", "orders"); err != nil || got.Token != "t2" || len(got.Chunks) != 1 {
		t.Errorf("after another began: %+v, %v", got, err)
	}
	stat := model.RunTableStat{RunID: run.ID, TableName: "orders", Status: model.RunSuccess}
	if err := s.Checkpoint(ctx, &model.Watermark{PipelineID: "p", SourceTable: "orders"}, &stat); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetChunkedLoad(ctx, "p", "orders"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the checkpoint = %v", err)
	}

	// A run that is over moves nothing.
	if err := s.StartChunkedLoad(ctx, &load); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FinishRun(ctx, run.ID, RunResult{Status: model.RunFailed}); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckpointChunk(ctx, "t1", load.Chunks[1]); !errors.Is(err, ErrRunState) {
		t.Errorf("a chunk of a run that is over = %v", err)
	}
	if err := s.DeleteWatermark(ctx, "p", "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetChunkedLoad(ctx, "p", "orders"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after a reset = %v", err)
	}
	if left := texts(t, s, `SELECT CAST(count(*) AS TEXT) FROM arus_state_chunks`); !slices.Equal(left, []string{"0"}) {
		t.Errorf("chunks without a load: %v", left)
	}
}

func TestFailedTablesAreWhatARetryDoes(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	run := model.Run{PipelineID: "p", Trigger: model.TriggerManual}
	if err := s.StartRun(ctx, &run); err != nil {
		t.Fatal(err)
	}
	for table, status := range map[string]model.RunStatus{"a": model.RunSuccess, "b": model.RunFailed, "c": model.RunCancelled, "d": model.RunRunning} {
		if err := s.SaveTableStat(ctx, &model.RunTableStat{RunID: run.ID, TableName: table, Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.FailedTables(ctx, run.ID)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Errorf("failed tables %v, %v", got, err)
	}
}
