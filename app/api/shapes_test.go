package api

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"arus/app/control"
	"arus/app/model"
)

var update = flag.Bool("update", false, "write the goldens")

// original are the fields that the original's console reads, by answer. A golden
// may hold more, never less.
func original() map[string][]string {
	return map[string][]string{
		"dashboard_summary": {
			"active_sources", "total_sources", "total_destinations", "total_pipelines", "active_pipelines", "total_tables_synced", "total_rows_synced",
			"rows_synced_24h", "failed_runs_24h", "total_runs_24h", "uptime_pct_7d", "avg_latency_ms", "new_sources_week", "running_pipelines", "degraded_pipelines",
		},
		"dashboard_recent-runs": {"[].id", "[].run_id", "[].pipeline_id", "[].status", "[].rows_synced", "[].duration_ms", "[].started_at"},
		"dag": {
			"[].id", "[].name", "[].source_name", "[].status", "[].pipeline_status", "[].assets", "[].edges[].from", "[].edges[].to", "[].table_count",
			"[].last_run_status", "[].has_raw_mode",
		},
		"health": {"version", "database", "scheduler", "uptime_seconds"},
		"sources": {
			"sources[].id", "sources[].name", "sources[].type", "sources[].host", "sources[].port", "sources[].database", "sources[].uri", "sources[].auth_source",
			"sources[].status", "sources[].table_count", "sources[].enabled_table_count", "sources[].schema_include", "sources[].last_tested", "sources[].created_at",
			"total", "limit", "offset",
		},
		"source":          {"username", "ssl", "sync_method", "table_include", "table_exclude"},
		"source_discover": {"source_id", "tables[].name", "tables[].schema", "tables[].row_count_estimate", "tables[].columns[].name", "tables[].columns[].type", "tables[].columns[].nullable", "tables[].columns[].pk", "tables[].detected_sync", "tables[].watermark_column", "tables[].enabled"},
		"destinations": {
			"destinations[].id", "destinations[].name", "destinations[].type", "destinations[].host", "destinations[].port", "destinations[].database",
			"destinations[].status", "destinations[].raw_schema", "destinations[].target_schema", "destinations[].is_default", "destinations[].total_tables",
			"destinations[].total_rows", "destinations[].created_at", "total", "limit", "offset",
		},
		"destination": {"username"},
		"pipelines": {
			"pipelines[].id", "pipelines[].name", "pipelines[].source_id", "pipelines[].source_name", "pipelines[].status", "pipelines[].schedule",
			"pipelines[].target_schema", "pipelines[].load_mode", "pipelines[].depends_on", "pipelines[].enabled_table_count", "pipelines[].total_rows_synced",
			"pipelines[].error_count_7d", "pipelines[].last_run", "pipelines[].created_at", "total", "limit", "offset",
		},
		"pipeline": {
			"id", "name", "source.id", "source.name", "source.type", "destination.id", "destination.name", "destination.type", "status", "schedule", "target_schema",
			"load_mode", "tables[].name", "tables[].schema", "tables[].target_schema", "tables[].sync_mode", "tables[].load_mode", "tables[].transform_config",
			"tables[].watermark_column", "tables[].watermark_value", "tables[].enabled", "stats.total_rows_synced", "stats.total_runs", "stats.successful_runs",
			"stats.failed_runs", "created_at",
		},
		"pipeline_runs": {"[].id", "[].status", "[].started_at", "[].duration_ms", "[].trigger_type", "[].error_message"},
		"runs": {
			"runs[].id", "runs[].pipeline_id", "runs[].pipeline_name", "runs[].status", "runs[].started_at", "runs[].finished_at", "runs[].duration_ms",
			"runs[].trigger_type", "runs[].error_message", "runs[].rows_synced", "total", "limit", "offset",
		},
		"run":         {"id", "pipeline_id", "status", "started_at", "finished_at", "duration_ms", "trigger_type", "error_message", "per_table[].table"},
		"run_logs":    {"run_id", "logs[].timestamp", "logs[].level", "logs[].message", "total", "offset", "limit"},
		"stats_daily": {"[].date", "[].run_count", "[].total_rows"},
		"trigger":     {"run_id", "status", "error", "results[].table", "results[].rows", "results[].status", "results[].error", "results[].duration_ms", "started_at", "finished_at", "duration_ms", "rows_synced"},
		"started":     {"run_id", "status", "error", "results", "started_at", "finished_at", "duration_ms", "rows_synced"},
		"users":       {"users[].id", "users[].email", "users[].name", "users[].role", "users[].is_active", "users[].last_login", "users[].created_at", "total", "limit", "offset"},
		"me":          {"id", "email", "name", "role"},
		"scripts":     {"scripts[].id", "scripts[].pipeline_id", "scripts[].name", "scripts[].description", "scripts[].content", "scripts[].created_at", "scripts[].updated_at", "total", "limit", "offset"},
		"targets":     {"[].id", "[].name", "[].type", "[].config", "[].is_active", "[].created_at", "[].updated_at"},
		"links":       {"[].id", "[].pipeline_id", "[].target_id", "[].target_name", "[].target_type", "[].event_types", "[].created_at"},
		"settings": {
			"pipeline_name_prefix", "default_schedule", "auto_discover_tables", "schema_drift_detection", "auto_alter_schema", "max_retries", "initial_backoff",
			"quality_check_threshold", "notify_pipeline_failures", "notify_schema_drift", "notify_dead_letter",
		},
		"pause":     {"pipeline_id", "status"},
		"pause_all": {"paused_count", "pipelines[].id", "pipelines[].name", "pipelines[].status"},
		"created":   {"id"},
		"tables":    {"id", "updated", "auto_created"},

		"login":          {"access_token", "refresh_token", "expires_in", "refresh_expires_in", "user.id", "user.email", "user.name", "user.role", "expires_at"},
		"refresh":        {"access_token", "refresh_token", "expires_in", "refresh_expires_in"},
		"logout":         {"message"},
		"user_updated":   {"id", "email", "name", "role", "is_active"},
		"updated":        {"updated"},
		"deleted":        {"deleted"},
		"user_deleted":   {"message"},
		"test":           {"connected"},
		"schemas":        {"source_id", "schemas"},
		"resume_all":     {"resumed_count", "pipelines[].id", "pipelines[].name", "pipelines[].status"},
		"letters":        {"[].id", "[].source_name", "[].table_name", "[].run_id", "[].row_data", "[].error_text", "[].failed_at"},
		"asset_runs":     {"[].id", "[].status", "[].started_at", "[].duration_ms", "[].trigger_type", "[].error_message"},
		"retry":          {"run_id", "status", "error", "results", "started_at", "finished_at", "duration_ms", "rows_synced"},
		"script":         {"id", "pipeline_id", "name", "description", "content", "created_at", "updated_at"},
		"target":         {"id", "name", "type", "config", "is_active", "created_at", "updated_at"},
		"target_test":    {"sent", "type", "target", "event_type"},
		"link":           {"id", "pipeline_id", "target_id", "event_types", "created_at"},
		"settings_saved": {"max_retries"},
	}
}

// TestShapesOfTheOriginal pins the answers that the original's console reads.
func TestShapesOfTheOriginal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reads := []struct{ name, method, path, body string }{
		{"health", "GET", "/api/health", ""},
		{"dashboard_summary", "GET", "/api/dashboard/summary", ""},
		{"dashboard_recent-runs", "GET", "/api/dashboard/recent-runs", ""},
		{"dag", "GET", "/api/dag", ""},
		{"sources", "GET", "/api/sources", ""},
		{"source", "GET", "/api/sources/{source}", ""},
		{"source_discover", "POST", "/api/sources/{source}/discover", ""},
		{"destinations", "GET", "/api/destinations", ""},
		{"destination", "GET", "/api/destinations/{destination}", ""},
		{"pipelines", "GET", "/api/pipelines", ""},
		{"pipeline", "GET", "/api/pipelines/{pipeline}", ""},
		{"pipeline_runs", "GET", "/api/pipelines/{pipeline}/runs", ""},
		{"runs", "GET", "/api/runs", ""},
		{"run", "GET", "/api/runs/{run}", ""},
		{"run_logs", "GET", "/api/runs/{run}/logs", ""},
		{"stats_daily", "GET", "/api/runs/stats/daily?days=2", ""},
		{"users", "GET", "/api/auth/users", ""},
		{"me", "GET", "/api/auth/me", ""},
		{"scripts", "GET", "/api/pipelines/{pipeline}/scripts", ""},
		{"targets", "GET", "/api/notifications/targets", ""},
		{"links", "GET", "/api/notifications/links/{pipeline}", ""},
		{"settings", "GET", "/api/settings", ""},
		{"pause", "POST", "/api/pipelines/{other}/pause", ""},
		{"pause_all", "POST", "/api/pipelines/pause-all", ""},
		{"created", "POST", "/api/auth/users", `{"email":"n@example.com","name":"N","password":"a new password"}`},
		{"tables", "PUT", "/api/sources/{source}/tables", `{"tables":[{"name":"orders"}]}`},
		{"trigger", "POST", "/api/pipelines/{pipeline}/trigger?wait=true", `{"full_refresh":true}`},
		{"started", "POST", "/api/pipelines/{pipeline}/trigger", `{}`},
	}
	b.service.Sender = takes{}
	// Once more, all else that the original's console calls. What a sign-in answers is its secret, so no golden has it; what a test of a connection
	// answers is of the moment.
	private := map[string]bool{"login": true, "refresh": true, "test": true}
	reads = append(reads, []struct{ name, method, path, body string }{
		{"login", "POST", "/api/auth/login", `{"email":"admin@example.com","password":"` + accountPassword.Reveal() + `"}`},
		{"refresh", "POST", "/api/auth/refresh", ""},
		{"logout", "POST", "/api/auth/logout", ""},
		{"user_updated", "PUT", "/api/auth/users/{viewer}", `{"name":"V","role":"editor","is_active":true}`},
		{"updated", "PUT", "/api/sources/{source}", `{"name":"shop"}`},
		{"updated", "PUT", "/api/destinations/{destination}", `{"name":"warehouse"}`},
		{"updated", "PUT", "/api/pipelines/{pipeline}", `{"name":"orders","schedule":"0 * * * *","depends_on":null}`},
		{"created", "POST", "/api/sources", `{"name":"n1","type":"mysql","host":"h","port":3306,"database":"d","username":"u","password":"p","ssl":false,"auth_source":"admin","sync_method":"auto","table_include":[],"table_exclude":["audit_*"],"schema_include":[]}`},
		{"created", "POST", "/api/destinations", `{"name":"n2","type":"postgresql","host":"h","port":5432,"database":"d","username":"u","password":"p","raw_schema":"staging","target_schema":"analytics","is_default":false}`},
		{"created", "POST", "/api/pipelines", `{"name":"n3","source_id":"{source}","destination_id":"{destination}","schedule":"*/5 * * * *","target_schema":"mart","load_mode":"direct","tables":[{"name":"orders","load_mode":"direct","sync_mode":"incremental","watermark_column":"updated_at"}]}`},
		{"test", "POST", "/api/sources/{source}/test", ""},
		{"test", "POST", "/api/destinations/{destination}/test", ""},
		{"schemas", "POST", "/api/sources/{source}/schemas", ""},
		{"pause", "POST", "/api/pipelines/{pipeline}/resume", ""},
		{"resume_all", "POST", "/api/pipelines/resume-all", ""},
		{"asset_runs", "GET", "/api/pipelines/{pipeline}/runs?asset_name=orders&limit=5", ""},
		{"letters", "GET", "/api/pipelines/{letters}/dead-letters?limit=50", ""},
		{"retry", "POST", "/api/runs/{failed}/retry?wait=true", ""},
		{"trigger", "POST", "/api/pipelines/{pipeline}/full-refresh?wait=true", ""},
		{"trigger", "POST", "/api/pipelines/{pipeline}/backfill?wait=true", `{"from":"2026-02-01"}`},
		{"script", "POST", "/api/pipelines/{pipeline}/scripts", `{"name":"s2","description":"d","content":"def transform(row): return row"}`},
		{"script", "GET", "/api/pipelines/{pipeline}/scripts/{script}", ""},
		{"script", "PUT", "/api/pipelines/{pipeline}/scripts/{script}", `{"content":"def transform(row): return None"}`},
		{"deleted", "DELETE", "/api/pipelines/{pipeline}/scripts/{script}", ""},
		{"target", "POST", "/api/notifications/targets", `{"name":"n4","type":"slack","config":{"webhook_url":"` + hookSecret + `"},"is_active":true}`},
		{"target", "PUT", "/api/notifications/targets/{target}", `{"name":"ops","config":{},"is_active":true}`},
		{"target_test", "POST", "/api/notifications/targets/{target}/test", `{"event_type":"failure"}`},
		{"link", "POST", "/api/notifications/links", `{"pipeline_id":"{other}","target_id":"{target}","event_types":["failure"]}`},
		{"link", "PUT", "/api/notifications/links/{link}", `{"event_types":["failure","success"]}`},
		{"deleted", "DELETE", "/api/notifications/links/{link}", ""},
		{"deleted", "DELETE", "/api/notifications/targets/{target}", ""},
		{"settings_saved", "PUT", "/api/settings", `{"max_retries":"4","notify_dead_letter":"false"}`},
		{"deleted", "DELETE", "/api/pipelines/{pipeline}", ""},
		{"deleted", "DELETE", "/api/sources/{source}", ""},
		{"user_deleted", "DELETE", "/api/auth/users/{viewer}", ""},
	}...)
	fields := original()
	seen := map[string]bool{}
	for _, r := range reads {
		if r.name == "asset_runs" { // what was started at the end of the first part
			b.wait()
			b.letters()
		}
		var header map[string]string
		if r.name == "refresh" {
			login, err := b.service.Login(t.Context(), control.Credentials{Email: "editor@example.com", Password: accountPassword, Address: "10.0.0.8"})
			b.must(err)
			header = map[string]string{"X-Refresh-Token": login.Refresh.Reveal()}
		}
		a := b.doWith("admin", r.method, b.resolve(r.path), b.resolve(r.body), header)
		if a.status >= 300 {
			t.Errorf("%s: %d %s", r.name, a.status, a.text)
			continue
		}
		have := map[string]bool{}
		paths("", a.data, have)
		for _, want := range fields[r.name] {
			if !have[want] {
				t.Errorf("%s lacks %s, which the original's console reads; it has %v", r.name, want, slices.Sorted(maps.Keys(have)))
			}
		}
		if _, ok := fields[r.name]; !ok {
			t.Errorf("nothing is said of what the console reads in %s", r.name)
		}
		if !private[r.name] && !seen[r.name] {
			golden(t, r.name, a.text)
		}
		seen[r.name] = true
	}
	for name := range fields {
		if !seen[name] {
			t.Errorf("nothing was asked for %s", name)
		}
	}
	b.wait()
}

// takes is a sender to which every message is delivered.
type takes struct{}

// Send delivers nothing.
func (takes) Send(context.Context, model.NotificationTarget, map[string]string, model.Notification) (string, error) {
	return "200 OK", nil
}

// letters adds a pipeline that has a dead letter.
func (b *bundle) letters() {
	b.t.Helper()
	steps := model.JSON(`[{"type":"type_cast","config":{"columns":{"name":"int"}}}]`)
	p, err := b.service.AddPipeline(b.admin, control.PipelineInput{Name: "letters", Source: b.source.ID, Choices: []control.TableChoice{{Name: "customers", Transform: &steps}}})
	b.must(err)
	b.lettersOf = p.ID
	_, err = b.service.Run(b.admin, control.RunRequest{Pipeline: p.ID})
	b.must(err)
}

// wait lets the runs that were started end.
func (b *bundle) wait() {
	b.t.Helper()
	for len(b.service.Busy()) > 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-b.t.Context().Done():
			b.t.Fatal("a run does not end")
		}
	}
}

// paths are the names of all that is in a value.
func paths(at string, v any, have map[string]bool) {
	have[strings.TrimPrefix(at, ".")] = true
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			paths(at+"."+key, inner, have)
		}
	case []any:
		for _, inner := range v {
			paths(at+"[]", inner, have)
		}
	}
}

var (
	uuids  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	tmpDir = regexp.MustCompile(`"[^"]*shop\.db"`)
	millis = regexp.MustCompile(`("duration_ms": |"avg_latency_ms": )\d+`)
	sizes  = regexp.MustCompile(`batches of at most \d+ kB`)
	took   = regexp.MustCompile(`in \d+(\.\d+)?(µs|ms|s)`)
)

// golden compares an answer with testdata/NAME.json, ids and durations aside.
func golden(t *testing.T, name, text string) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	got := uuids.ReplaceAllString(b.String(), "ID")
	got = tmpDir.ReplaceAllString(got, `"/tmp/shop.db"`)
	got = millis.ReplaceAllString(got, "${1}0")
	got = sizes.ReplaceAllString(got, "batches of at most 1 kB")
	got = took.ReplaceAllString(got, "in 0s")
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s changed: is that meant? (-update writes it; -want +got)\n%s", file, diff)
	}
}
