package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"arus/app/model"
)

func startRun(t *testing.T, s *Store, pipelineID string) model.Run {
	t.Helper()
	run := model.Run{PipelineID: pipelineID, Trigger: model.TriggerManual}
	if err := s.StartRun(t.Context(), &run); err != nil {
		t.Fatal(err)
	}
	return run
}

func TestRunStatesMoveOnlyForward(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	for i, from := range model.RunStatuses() {
		pipeline := fmt.Sprint("p", i)
		run := model.Run{PipelineID: pipeline, Status: from}
		if !model.CanMove("", from) {
			if err := s.StartRun(ctx, &run); !errors.Is(err, ErrRunState) {
				t.Errorf("start as %s = %v, want ErrRunState", from, err)
			}
			run = startRun(t, s, pipeline)
			if _, err := s.FinishRun(ctx, run.ID, RunResult{Status: from, ErrorMessage: "first"}); err != nil {
				t.Fatalf("running to %s: %v", from, err)
			}
		} else if err := s.StartRun(ctx, &run); err != nil {
			t.Fatalf("start as %s: %v", from, err)
		}
		before, err := s.GetRun(ctx, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range append(model.RunStatuses(), "", "other") {
			if model.CanMove(from, to) {
				continue
			}
			_, err := s.FinishRun(ctx, run.ID, RunResult{Status: to, ErrorMessage: "second"})
			if e, ok := errors.AsType[*RunStateError](err); !ok || e.From != from || e.To != to {
				t.Errorf("%s to %q = %v, want a RunStateError", from, to, err)
			}
		}
		after, err := s.GetRun(ctx, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		check(t, "the "+string(from)+" run after refused moves", before, after)
	}
}

func TestRunEndsOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	run := startRun(t, s, "p")
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			to := []model.RunStatus{model.RunSuccess, model.RunFailed, model.RunCancelled}[i%3]
			_, err := s.FinishRun(t.Context(), run.ID, RunResult{Status: to})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, ErrRunState) {
				t.Errorf("FinishRun: %v", err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d callers ended the run, want 1", won.Load())
	}
}

func TestOneRunOfAPipelineAtATime(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	run := startRun(t, s, "p")
	if err := s.StartRun(t.Context(), &model.Run{PipelineID: "p"}); !errors.Is(err, ErrRunActive) {
		t.Errorf("second run = %v, want ErrRunActive", err)
	}
	skipped := model.Run{PipelineID: "p", Status: model.RunSkipped, ErrorMessage: "already running"}
	if err := s.StartRun(t.Context(), &skipped); err != nil {
		t.Errorf("recording a skipped run: %v", err)
	}
	startRun(t, s, "q")
	if _, err := s.FinishRun(t.Context(), run.ID, RunResult{Status: model.RunCancelled}); err != nil {
		t.Fatal(err)
	}
	startRun(t, s, "p")
}

func TestRunRoundTrip(t *testing.T) {
	t.Parallel()
	s, clk := openWithClock(t, t.TempDir())
	ctx := t.Context()
	run := startRun(t, s, "p")
	stats := []model.RunTableStat{
		{RunID: run.ID, TableName: "a", Target: "analytics.a", Mode: model.ModeIncremental, LoadMode: model.LoadRaw, WatermarkBefore: "1"},
		{RunID: run.ID, TableName: "b"},
	}
	for i := range stats {
		if err := s.SaveTableStat(ctx, &stats[i]); err != nil {
			t.Fatal(err)
		}
	}
	stats[0].Status, stats[0].RowsExtracted, stats[0].RowsLoadedRaw, stats[0].RowsLoadedAnalytics = model.RunSuccess, 10, 8, 7
	stats[0].RowsFiltered, stats[0].RowsFailed, stats[0].WatermarkAfter, stats[0].DurationMS, stats[0].ErrorMessage = 2, 1, "9", 5, "e"
	if err := s.SaveTableStat(ctx, &stats[0]); err != nil {
		t.Fatal(err)
	}
	clk.advance(1500 * time.Millisecond)
	want := run
	want.Status, want.Counts, want.RowsSynced = model.RunFailed, model.RunCounts{Read: 10, Loaded: 7, Filtered: 2, DeadLetters: 1}, 7
	want.FinishedAt, want.DurationMS, want.ErrorMessage = run.StartedAt.Add(1500*time.Millisecond), 1500, "b failed"
	finished, err := s.FinishRun(ctx, run.ID, RunResult{Status: want.Status, Counts: want.Counts, ErrorMessage: want.ErrorMessage})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "finished", want, finished)
	want.Tables = stats
	got, err := s.GetRun(ctx, run.ID)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "read back", want, got)
}

func TestListRuns(t *testing.T) {
	t.Parallel()
	s, clk := openWithClock(t, t.TempDir())
	ctx := t.Context()
	var newest []string
	for i := range 6 {
		run := startRun(t, s, fmt.Sprint("p", i%2))
		if i < 4 {
			if _, err := s.FinishRun(ctx, run.ID, RunResult{Status: model.RunSuccess}); err != nil {
				t.Fatal(err)
			}
		}
		newest = append([]string{run.ID}, newest...)
		if i%3 == 0 { // some start within the same millisecond
			clk.advance(time.Second)
		}
	}
	tests := []struct {
		name   string
		filter RunFilter
		want   []string
		total  int
	}{
		{"all", RunFilter{}, newest, 6},
		{"page", RunFilter{Page: Page{Limit: 2, Offset: 1}}, newest[1:3], 6},
		{"past the end", RunFilter{Page: Page{Offset: 9}}, nil, 6},
		{"pipeline", RunFilter{PipelineID: "p1"}, []string{newest[0], newest[2], newest[4]}, 3},
		{"status", RunFilter{Status: model.RunRunning}, newest[:2], 2},
		{"both", RunFilter{PipelineID: "p0", Status: model.RunSuccess}, []string{newest[3], newest[5]}, 2},
		{"none", RunFilter{PipelineID: "x"}, nil, 0},
	}
	for _, tc := range tests {
		list, total, err := s.ListRuns(ctx, tc.filter)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		check(t, tc.name, tc.want, ids)
		check(t, tc.name+" total", tc.total, total)
	}
	latest, err := s.LatestRuns(ctx, []string{"p0", "p1", "never"})
	if err != nil || len(latest) != 2 || latest["p1"].ID != newest[0] || latest["p0"].ID != newest[1] {
		t.Errorf("LatestRuns = %v, %v", latest, err)
	}
	if run, err := s.LatestRun(ctx, "p0"); err != nil || run.ID != newest[1] {
		t.Errorf("LatestRun = %v, %v", run.ID, err)
	}
}

func TestRescueRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := openWithClock(t, dir)
	ctx := t.Context()
	done := startRun(t, s, "p0")
	done, err := s.FinishRun(ctx, done.ID, RunResult{Status: model.RunSuccess})
	if err != nil {
		t.Fatal(err)
	}
	lost := startRun(t, s, "p1")
	good := model.RunTableStat{RunID: lost.ID, TableName: "a", Status: model.RunSuccess, RowsExtracted: 5, RowsLoadedAnalytics: 4, RowsFiltered: 1}
	half := model.RunTableStat{RunID: lost.ID, TableName: "b", RowsExtracted: 2, RowsLoadedAnalytics: 2}
	for _, stat := range []*model.RunTableStat{&good, &half} {
		if err := s.Checkpoint(ctx, &model.Watermark{PipelineID: "p1", SourceTable: stat.TableName, Value: "1"}, stat); err != nil {
			t.Fatal(err)
		}
	}
	closeNow(t, s)

	s, clk := openWithClock(t, dir)
	clk.advance(time.Hour)
	rescued, err := s.RescueRuns(ctx, "the program stopped")
	if err != nil {
		t.Fatal(err)
	}
	lost.Status, lost.ErrorMessage, lost.FinishedAt, lost.DurationMS = model.RunFailed, "the program stopped", lost.StartedAt.Add(time.Hour), 3600000
	lost.Counts, lost.RowsSynced = model.RunCounts{Read: 7, Loaded: 6, Filtered: 1}, 6
	check(t, "rescued", []model.Run{lost}, rescued)
	half.Status, half.ErrorMessage = model.RunFailed, "the program stopped"
	lost.Tables = []model.RunTableStat{good, half}
	got, err := s.GetRun(ctx, lost.ID)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "read back", lost, got)
	after, err := s.GetRun(ctx, done.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(done, after, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the finished run (-want +got)\n%s", diff)
	}
	if again, err := s.RescueRuns(ctx, "x"); err != nil || len(again) > 0 {
		t.Errorf("second rescue = %v, %v, want nothing", again, err)
	}
	// Whatever the old run's goroutines still hold, they can no longer move the watermark.
	err = s.Checkpoint(ctx, &model.Watermark{PipelineID: "p1", SourceTable: "b", Value: "2"}, &half)
	if !errors.Is(err, ErrRunState) {
		t.Errorf("checkpoint of a finished run = %v, want ErrRunState", err)
	}
	if w, err := s.GetWatermark(ctx, "p1", "b"); err != nil || w.Value != "1" {
		t.Errorf("watermark = %q, %v, want 1", w.Value, err)
	}
	startRun(t, s, "p1")
}

func TestWatermarks(t *testing.T) {
	t.Parallel()
	s, clk := openWithClock(t, t.TempDir())
	ctx := t.Context()
	w := model.Watermark{
		PipelineID: "p", SourceTable: "orders", Column: "updated_at", Value: "2026-01-01T00:00:00.123456Z", Type: "timestamptz",
		Boundary: []byte{0, 1, 255}, RowCount: 1 << 40, LastRunID: "r", LastSyncedAt: clk.now().Truncate(time.Millisecond),
	}
	if err := s.SaveWatermark(ctx, &w); err != nil {
		t.Fatal(err)
	}
	clk.advance(time.Minute)
	again := model.Watermark{PipelineID: "p", SourceTable: "orders", Value: "2"}
	if err := s.SaveWatermark(ctx, &again); err != nil {
		t.Fatal(err)
	}
	if again.ID != w.ID || again.CreatedAt != w.CreatedAt || !again.UpdatedAt.After(w.UpdatedAt) {
		t.Errorf("the second save made %+v, want the first one's id and creation time", again)
	}
	got, err := s.GetWatermark(ctx, "p", "orders")
	if err != nil {
		t.Fatal(err)
	}
	check(t, "replaced", again, got)
	w.ID = ""
	w.SourceTable = "a"
	if err := s.SaveWatermark(ctx, &w); err != nil {
		t.Fatal(err)
	}
	list, err := s.ListWatermarks(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	check(t, "listed", []model.Watermark{w, again}, list)
	_, err = s.writer.ExecContext(ctx, `INSERT INTO arus_state_watermarks (id, pipeline_id, source_table) VALUES ('x', 'p', 'a')`)
	if c, ok := errors.AsType[*ConflictError](translate(err)); !ok || c.Field != "pipeline_id, source_table" {
		t.Errorf("a second watermark of a table = %v, want a conflict", err)
	}
	for range 2 {
		if err := s.DeleteWatermark(ctx, "p", "a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.GetWatermark(ctx, "p", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after delete: %v", err)
	}
}

func TestCheckpointIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	run := startRun(t, s, "p")
	w := model.Watermark{PipelineID: "p", SourceTable: "t", Value: "1"}
	bad := model.RunTableStat{RunID: run.ID, TableName: "t", Status: "no such status"}
	if err := s.Checkpoint(ctx, &w, &bad); !errors.Is(err, ErrInvalid) {
		t.Fatalf("Checkpoint = %v, want ErrInvalid", err)
	}
	if _, err := s.GetWatermark(ctx, "p", "t"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the watermark moved without its statistics: %v", err)
	}
	if w.ID != "" || bad.ID != "" {
		t.Error("the refused values were changed in the caller's hands")
	}
	good := model.RunTableStat{RunID: run.ID, TableName: "t"}
	if err := s.Checkpoint(ctx, nil, &good); err != nil || good.ID == "" {
		t.Errorf("Checkpoint without a watermark = %v, id %q", err, good.ID)
	}
}

// The beginning of a table may be written after its end.
func TestABeginningWrittenLateChangesNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx := t.Context()
	run := startRun(t, s, "p")
	late := model.RunTableStat{ID: "00000000-0000-7000-8000-000000000001", RunID: run.ID, TableName: "late", Status: model.RunRunning}
	done := late
	done.Status, done.RowsExtracted = model.RunSuccess, 7
	if err := s.SaveTableStat(ctx, &done); err != nil {
		t.Fatal(err)
	}
	begun := model.RunTableStat{ID: "00000000-0000-7000-8000-000000000002", RunID: run.ID, TableName: "begun", Status: model.RunRunning, LoadMode: model.LoadRaw}
	if err := s.StartTables(ctx, []model.RunTableStat{late, begun}); err != nil {
		t.Fatal(err)
	}
	stats, err := s.LastTableStats(ctx, "p")
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]model.RunTableStat{"late": done, "begun": begun}; !cmp.Equal(stats, want) {
		t.Errorf("the tables: %s", cmp.Diff(want, stats))
	}
}

func TestRunLogs(t *testing.T) {
	t.Parallel()
	s, clk := openWithClock(t, t.TempDir())
	ctx := t.Context()
	run, other := startRun(t, s, "p"), startRun(t, s, "q")
	var lines []model.RunLog
	for i := range 5 {
		lines = append(lines, model.RunLog{RunID: run.ID, Message: fmt.Sprint(i)}, model.RunLog{RunID: other.ID, Level: model.LogError, Message: "o"})
	}
	if err := s.AppendRunLogs(ctx, lines); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendRunLogs(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendRunLogs(ctx, []model.RunLog{{RunID: run.ID, Message: "x"}, {RunID: "nowhere", Message: "y"}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("lines of an unknown run = %v, want ErrInvalid", err)
	}
	var got []string
	after := int64(0)
	for {
		page, err := s.ListRunLogs(ctx, run.ID, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			if l.Level != model.LogInfo || !l.Timestamp.Equal(clk.now().Truncate(time.Millisecond)) {
				t.Errorf("line = %+v, want INFO and the clock's time", l)
			}
			got, after = append(got, l.Message), l.ID
		}
	}
	check(t, "all pages", []string{"0", "1", "2", "3", "4"}, got)
}
