package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arus/app/model"
)

// TestRetentionGivesSpaceBack removes what fills the state file and sees the file shrink, also one from before this was possible.
func TestRetentionGivesSpaceBack(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		dir := t.TempDir()
		s, clk := openWithClock(t, dir)
		exec := func(query string) {
			t.Helper()
			if _, err := s.pools[len(s.pools)-1].Exec(query); err != nil {
				t.Fatal(err)
			}
		}
		if old {
			exec("PRAGMA auto_vacuum = NONE")
			exec("VACUUM")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, clk = openWithClock(t, dir)
		}
		p := addPipeline(t, s, "p")
		run := model.Run{PipelineID: p.ID}
		if err := s.StartRun(t.Context(), &run); err != nil {
			t.Fatal(err)
		}
		lines := make([]model.RunLog, 2000)
		for i := range lines {
			lines[i] = model.RunLog{RunID: run.ID, Timestamp: s.now(), Level: model.LogInfo, Message: strings.Repeat("x", 1000)}
		}
		if err := s.AppendRunLogs(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
		size := func() int64 {
			t.Helper()
			exec("PRAGMA wal_checkpoint(TRUNCATE)")
			info, err := os.Stat(filepath.Join(s.Dir(), FileName))
			if err != nil {
				t.Fatal(err)
			}
			return info.Size()
		}
		before := size()
		clk.mu.Lock()
		clk.at = clk.at.AddDate(0, 0, 40)
		clk.mu.Unlock()
		n, err := s.Retain(t.Context(), Retention{Logs: s.now().AddDate(0, 0, -30)})
		if err != nil || n.Logs < 2000 {
			t.Fatalf("%+v %v", n, err)
		}
		if err := s.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := size(); after > before-1<<20 {
			t.Errorf("old %v: the file has %d bytes, before it had %d", old, after, before)
		}
	}
}
