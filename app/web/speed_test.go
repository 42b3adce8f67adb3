package web

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

// TestPagesOfALargeStateFileAreQuick measures pages with 1,000 pipelines,
// 100,000 runs and 1,000,000 log lines. It takes its time, so it runs when
// ARUS_SOAK_PAGES is set.
func TestPagesOfALargeStateFileAreQuick(t *testing.T) {
	if os.Getenv("ARUS_SOAK_PAGES") == "" {
		t.Skip("ARUS_SOAK_PAGES is not set")
	}
	s, f := fullSite(t)
	many := s.withManyTables()
	enlarge(t, s, 1000, 100_000, 1_000_000)
	c := s.client(model.RoleAdmin)
	one := "/pipelines/10000000-0000-7000-8000-000000000007"
	paths := append([]string{
		"/?days=90", "/search?q=many", "/pipelines?q=many&page=3", "/pipelines?status=failing", "/runs?status=failed", "/runs?page=1000", one, one + "/runs", one + "/tables", one + "/settings", "/graph?q=many",
	}, many...)
	for _, p := range pageList(s, f) {
		paths = append(paths, p.path)
	}
	for _, path := range paths {
		if status, _ := s.get(c, path); status != http.StatusOK {
			t.Logf("%s: %d", path, status)
			continue
		}
		times := make([]time.Duration, 20)
		for i := range times {
			began := time.Now()
			s.get(c, path)
			times[i] = time.Since(began)
		}
		slices.Sort(times)
		median, p95 := times[len(times)/2], times[len(times)-2]
		t.Logf("%s: median %s, p95 %s", path, median, p95)
		if median > 50*time.Millisecond || p95 > 150*time.Millisecond {
			t.Errorf("%s takes too long", path)
		}
	}
}

// enlarge writes many pipelines and runs straight into the state file.
func enlarge(t *testing.T, s *site, pipelines, runs, lines int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(s.service.Store.Dir(), "arus.db"))+"?_pragma=busy_timeout(10000)")
	s.must(err)
	defer func() { _ = db.Close() }()
	for _, q := range []string{
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO arus_config_pipelines (id, name, source_id, destination_id, status, schedule, target_schema, load_mode, options, created_at, updated_at)
			SELECT printf('10000000-0000-7000-8000-%%012d', i), printf('many-%%05d', i), p.source_id, p.destination_id, 'active', '@hourly', p.target_schema, p.load_mode, p.options, p.created_at, p.updated_at
			FROM n, arus_config_pipelines p WHERE p.id = '%s'`, pipelines, s.pipeline.ID),
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO arus_config_pipeline_tables (id, pipeline_id, source_table, source_schema, sync_mode, load_mode, key_columns, enabled, position)
			SELECT printf('20000000-0000-7000-8000-%%012d', i * 10 + t.position), printf('10000000-0000-7000-8000-%%012d', i), t.source_table, t.source_schema, t.sync_mode, t.load_mode, t.key_columns, 1, t.position
			FROM n, arus_config_pipeline_tables t WHERE t.pipeline_id = '%s'`, pipelines, s.pipeline.ID),
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO arus_run_logs_runs (id, pipeline_id, status, trigger_type, started_at, finished_at, duration_ms, rows_synced, created_at)
			SELECT printf('30000000-0000-7000-8000-%%012d', i), printf('10000000-0000-7000-8000-%%012d', i %% %d + 1), CASE WHEN i %% 50 = 0 THEN 'failed' ELSE 'success' END, 'scheduled',
			strftime('%%Y-%%m-%%dT%%H:%%M:%%S.000000Z', 'now', '-' || (i * 70) || ' seconds'), strftime('%%Y-%%m-%%dT%%H:%%M:%%S.000000Z', 'now', '-' || (i * 70 - 5) || ' seconds'), 5000, i %% 1000, strftime('%%Y-%%m-%%dT%%H:%%M:%%S.000000Z', 'now') FROM n`, runs, pipelines),
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO arus_run_logs_run_logs (run_id, timestamp, level, message)
			SELECT printf('30000000-0000-7000-8000-%%012d', i %% %d + 1), '2026-01-01T00:00:00.000000Z', 'INFO', 'a line of the log of a run' FROM n`, lines, runs),
		`ANALYZE`,
	} {
		_, err := db.ExecContext(t.Context(), q)
		s.must(err)
	}
}

// withManyTables adds a source of 5,000 tables, of which the admin has ticked
// half, and gives the pages that show them and what else shows connections.
func (s *site) withManyTables() []string {
	s.t.Helper()
	src, err := s.service.AddSource(s.admin, control.SourceInput{Name: "wide", Connection: connectors.Config{Type: "sqlite", Database: manyTables(s.t, 5000)}})
	s.must(err)
	tables, err := s.service.Discover(s.admin, src.ID)
	s.must(err)
	_, err = s.service.ChangeDraft(s.as(model.RoleAdmin), func(d *control.Draft) {
		*d = control.Draft{Source: src.ID, Destination: s.target.ID, Picked: true}
		for _, t := range tables[:2500] {
			d.Tables = append(d.Tables, t.TableRef)
		}
	})
	s.must(err)
	return []string{
		"/sources", "/sources/" + src.ID, "/sources/" + src.ID + "?q=part_03*&size=200&sort=rows", "/sources/" + src.ID + "?show=warnings",
		"/sources/" + src.ID + "/table?schema=&name=" + tables[0].Name, "/sources/" + s.source.ID, "/destinations", "/destinations/" + s.target.ID,
		"/welcome/source", "/welcome/tables", "/welcome/tables?show=left&size=200", "/welcome/schedule",
	}
}
