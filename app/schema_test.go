package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const tripsFile = `tables:
  - name: trips
    isFactTable: true
    columns:
      - {name: ts, type: Uint32}
      - {name: id, type: Int64}
      - {name: city, type: Uint16}
      - {name: status, type: SmallEnum, defaultValue: new}
    primaryKeyColumns: [id]
    archivingSortColumns: [city]
    config: {archivingDelayMinutes: 2880}
  - name: cities
    columns: [{name: id, type: Int32}, {name: name, type: String}]
    primaryKeyColumns: [id]
`

// TestSchemaOnTheCommandLine makes, compares, changes, refuses and drops tables by files.
func TestSchemaOnTheCommandLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tables.yaml")
	arus := func(want int, args ...string) string {
		t.Helper()
		var out, errs strings.Builder
		code := Main(t.Context(), append([]string{"--data", filepath.Join(dir, "data")}, args...), Stdio{In: strings.NewReader(""), Out: &out, Err: &errs})
		if code != want {
			t.Fatalf("arus %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, &out, &errs)
		}
		return out.String() + errs.String()
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(text string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(text, p) {
				t.Errorf("no %q in\n%s", p, text)
			}
		}
	}
	write(tripsFile)
	has(arus(exitOK, "schema", "plan", file), "trips", "cities", "create table")
	has(arus(exitOK, "schema", "list"), "no tables yet")
	has(arus(exitFailed, "schema", "diff", file), "create table")
	arus(exitOK, "schema", "apply", file)
	has(arus(exitOK, "schema", "diff", file), "nothing to change")
	has(arus(exitOK, "schema", "list"), "trips", "fact", "cities", "dimension")
	shown := arus(exitOK, "schema", "show", "trips")
	has(shown, "primaryKeyColumns:", "- id", "archivingDelayMinutes: 2880")
	write(shown)
	has(arus(exitOK, "schema", "diff", file), "nothing to change")

	changed := strings.Replace(tripsFile, "defaultValue: new}", "defaultValue: new}\n      - {name: fare, type: Float32}", 1)
	write(strings.Replace(changed, "type: String}", "type: String, deleted: true}", 1))
	has(arus(exitOK, "schema", "plan", file), "add column", "fare", "delete column", "name")
	arus(exitOK, "schema", "apply", file)
	has(arus(exitOK, "schema", "diff", file), "nothing to change")

	write(strings.Replace(strings.Replace(changed, "type: Uint16", "type: Uint32", 1), "type: String}", "type: String, deleted: true}, {name: more, type: Bool}", 1))
	has(arus(exitUsage, "schema", "apply", file), "nothing was changed", "Illegal schame update on immutable field")
	has(arus(exitOK, "schema", "show", "cities"), "deleted: true")
	if strings.Contains(arus(exitOK, "schema", "show", "cities"), "more") {
		t.Error("a part of a refused file was applied")
	}
	for _, slip := range []string{"{", "5", "name: 5", "name: a b", "name: t\ncolums: []", "name: t\ncolumns: [{name: a, typ: Bool}]", "name: t\ncolumns: [{name: a, type: Bool}]\nprimaryKeyColumns: [b]"} {
		write(slip)
		arus(exitUsage, "schema", "plan", file)
	}
	arus(exitUsage, "schema", "drop", "trips")
	arus(exitOK, "schema", "drop", "trips", "--yes")
	arus(exitUsage, "schema", "show", "trips")
}

// TestTheServerServesTables makes a table, puts rows and asks for them over a running server, with a token; and finds
// them after a restart.
func TestTheServerServesTables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var token strings.Builder
	if code := Main(t.Context(), []string{"--data", dir, "token", "create", "--name", "t", "--role", "editor"}, Stdio{In: strings.NewReader(""), Out: &token, Err: os.Stderr}); code != exitOK {
		t.Fatal(code)
	}
	header := map[string]string{"Authorization": "Bearer " + strings.TrimSpace(token.String()), "Content-Type": "application/json"}
	r := serve(t, dir)
	for _, step := range []struct {
		method, path, body string
		status             int
		wants              string
	}{
		{"GET", "/schema/tables", "", 200, "[]"},
		{"POST", "/schema/tables", `{"name":"cities","columns":[{"name":"id","type":"Int32"},{"name":"name","type":"String"}],"primaryKeyColumns":[0]}`, 200, ""},
		{"POST", "/schema/tables", `{"name":"../evil","columns":[{"name":"id","type":"Int32"}],"primaryKeyColumns":[0]}`, 400, "Invalid table name"},
		{"POST", "/data/cities/0", `[{"id":1,"name":"Rome"}]`, 200, `"inserted":1`},
		{"DELETE", "/schema/tables", "", 405, "Method not allowed"},
		{"POST", "/dbg/cities/0/snapshot", "", 403, "admin"},
		{"GET", "/schema/tables/%2e%2e%2fevil", "", 404, "table does not exist"},
		{"POST", "/api/warehouse/query", `{"sql":"SELECT name FROM cities"}`, 200, "Rome"},
	} {
		if status, text := r.call(t, step.method, step.path, step.body, header); status != step.status || !strings.Contains(text, step.wants) {
			t.Errorf("%s %s: %d %s", step.method, step.path, status, text)
		}
	}
	if status, _ := r.call(t, "GET", "/schema/tables", "", nil); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	if code := r.stop(); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, r.said)
	}
	again := serve(t, dir)
	if status, text := again.call(t, "POST", "/api/warehouse/query", `{"sql":"SELECT name FROM cities"}`, header); status != 200 || !strings.Contains(text, "Rome") {
		t.Errorf("after a restart: %d %s", status, text)
	}
}
