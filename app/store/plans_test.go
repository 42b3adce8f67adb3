package store

import (
	"strings"
	"testing"

	"arus/app/model"
)

// TestListsOfRunsUseIndexes asks SQLite how it would answer: no list looks at
// every run, and none sorts more than ties.
func TestListsOfRunsUseIndexes(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	plan := func(sql string, args ...any) string {
		rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+sql, args...)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		defer func() { _ = rows.Close() }()
		var lines []string
		for rows.Next() {
			var id, parent, unused int
			var line string
			if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "; ")
	}
	for _, f := range []RunFilter{{}, {PipelineID: "p"}, {Status: model.RunFailed}, {PipelineID: "p", Status: model.RunFailed}, {PipelineID: "p", Table: "orders"}, {Table: "orders"}} {
		where, args := f.where()
		list := plan(runPage(where), append(args, 25, 0)...)
		// The page's own rows are sorted, not those before it.
		if strings.Count(list, "TEMP B-TREE") != 1 || strings.Count(list, "INDEX") < 2 || f.Table == "" && f.Status == "" && !strings.Contains(list, "COVERING INDEX") {
			t.Errorf("the list of %+v: %s", f, list)
		}
		if f.PipelineID != "" && !strings.Contains(list, "pipeline_id=?") {
			t.Errorf("the list of %+v reads the runs of all pipelines: %s", f, list)
		}
		if count := plan("SELECT count(*)"+where, args...); strings.Contains(count, "SCAN arus_run_logs_runs") && !strings.Contains(count, "COVERING INDEX") && f.Table == "" {
			t.Errorf("the count of %+v: %s", f, count)
		}
	}
	log := LogFilter{RunID: "r", Levels: []model.LogLevel{model.LogError}}
	if got := plan("SELECT count(*) FROM arus_run_logs_run_logs WHERE run_id = ?", log.RunID); !strings.Contains(got, "run_id=?") {
		t.Errorf("the lines of a run: %s", got)
	}
}
