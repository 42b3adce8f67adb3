package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"arus/app/engine"
	"arus/app/model"
	"arus/testdata/servers"
)

// TestAPipelineWaitsForItsUpstream runs two pipelines between PostgreSQL databases, one after the success of the other:
// on the command line it is skipped in words until that came, and a server starts it by itself.
func TestAPipelineWaitsForItsUpstream(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), servers.PostgresDatabase(t)
	sources, names := make([]string, 2), make([]string, 2)
	for i := range sources {
		sources[i] = servers.PostgresDatabase(t)
		execPostgres(t, sources[i], `CREATE TABLE orders (id int PRIMARY KEY, v text)`, `INSERT INTO orders SELECT i, 'v' FROM generate_series(1, 10) i`)
		names[i] = runSync(t, dir, "--from", sources[i], "--to", to, "--target-schema", []string{"first", "second"}[i]).Pipeline
	}
	mustArus(t, dir, "pipeline", "edit", names[1], "--depends-on", names[0])
	run := func(pipeline string, want model.RunStatus, code int) engine.Report {
		t.Helper()
		r := arus(t, dir, "run", pipeline, "--json", "--quiet")
		var report engine.Report
		if err := json.Unmarshal([]byte(r.out), &report); err != nil || report.Status != want || r.code != code {
			t.Fatalf("the run of %s is %s with exit code %d, want %s and %d (%v)\n%s%s", pipeline, report.Status, r.code, want, code, err, r.out, r.errOut)
		}
		return report
	}
	skipped := func() {
		t.Helper()
		run(names[1], model.RunSkipped, exitOK)
		if r := arus(t, dir, "run", names[1]); r.code != exitOK || !strings.Contains(r.out+r.errOut, names[0]) || !strings.Contains(r.out+r.errOut, "depends on") {
			t.Errorf("skipped in other words, with exit code %d:\n%s%s", r.code, r.out, r.errOut)
		}
	}
	skipped() // the upstream succeeded before this one did
	execPostgres(t, sources[0], `ALTER TABLE orders RENAME TO hidden`)
	if r := arus(t, dir, "run", names[0], "--quiet"); r.code == exitOK {
		t.Fatalf("the upstream succeeds without its table:\n%s", r.out)
	}
	skipped()
	execPostgres(t, sources[0], `ALTER TABLE hidden RENAME TO orders`)
	execPostgres(t, sources[1], `INSERT INTO orders VALUES (11, 'new')`)
	run(names[0], model.RunSuccess, exitOK)
	if r := run(names[1], model.RunSuccess, exitOK); r.RowsLoaded != 11 {
		t.Errorf("%d rows after the upstream's success, want 11", r.RowsLoaded)
	}
	skipped()

	mustArus(t, dir, "pipeline", "edit", names[1], "--run-after-upstream")
	execPostgres(t, sources[1], `INSERT INTO orders VALUES (12, 'by itself')`)
	bearer := map[string]string{"Authorization": "Bearer " + strings.TrimSpace(mustArus(t, dir, "token", "create", "--name", "script", "--role", "editor"))}
	r := serve(t, dir)
	stream := r.follow(t, "/api/events", bearer)
	_, text := r.call(t, http.MethodGet, "/api/pipelines", "", bearer)
	var list struct {
		Data struct{ Pipelines []model.Pipeline }
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	ids := map[string]string{}
	for _, p := range list.Data.Pipelines {
		ids[p.Name] = p.ID
	}
	status, text := r.call(t, http.MethodPost, "/api/pipelines/"+ids[names[0]]+"/trigger?wait=true", `{}`, bearer)
	if status != http.StatusOK || !strings.Contains(text, `"status":"success"`) {
		t.Fatalf("%d %s", status, text)
	}
	stream(func(seen string) bool { return strings.Count(seen, "event: run.finished") >= 2 })
	_, text = r.call(t, http.MethodGet, "/api/runs?pipeline_id="+ids[names[1]]+"&limit=1", "", bearer)
	if !strings.Contains(text, `"trigger_type":"scheduled"`) || !strings.Contains(text, `"status":"success"`) {
		t.Errorf("the last run of the downstream: %s", text)
	}
	db := openSQL(t, "pgx", to)
	var n int
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM second.orders`).Scan(&n); err != nil || n != 12 {
		t.Errorf("the target has %d rows, %v, want 12", n, err)
	}
}

// follow reads a stream of events; the function it gives reads on until what was seen is enough.
func (r running) follow(t *testing.T, path string, header map[string]string) func(enough func(seen string) bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	stream, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Body.Close() })
	seen := ""
	return func(enough func(string) bool) {
		t.Helper()
		buffer := make([]byte, 4096)
		for !enough(seen) {
			n, err := stream.Body.Read(buffer)
			seen += string(buffer[:n])
			if err != nil {
				t.Fatalf("%v after\n%s", err, seen)
			}
		}
	}
}
