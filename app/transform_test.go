package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTransformsFromTheCommandLine stores a script and steps, previews and runs them, and follows a failing row into the dead
// letters and, once the script is mended, out of them.
func TestTransformsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	from, to := postgresDatabase(t), postgresTarget(t)
	from.exec(t, "CREATE TABLE people (id int PRIMARY KEY, name text, born date, salary numeric(10,2), updated_at timestamp NOT NULL)",
		"INSERT INTO people VALUES (1, ' Ann ', '1990-05-01', 100.10, '2026-01-01'), (2, 'Bob', NULL, 200.20, '2026-01-02'), (3, 'Cy', '1980-01-01', 10, '2026-01-03'), (4, NULL, '2000-01-01', 50, '2026-01-04')")
	dir, files := t.TempDir(), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipeline := runSync(t, dir, append([]string{"--from", from.url, "--to", to.url}, to.args...)...).Pipeline
	script := write("initial.py", "columns = {'initial': 'text'}\ndef transform(row):\n    row['initial'] = row['name'][0]\n    return row\n")
	mustArus(t, dir, "script", "set", pipeline, "initial", script)
	if r := arus(t, dir, "script", "set", pipeline, "broken", write("broken.py", "def transform(row)\n    return row")); r.code != exitUsage || !strings.Contains(r.errOut, "line 1") {
		t.Errorf("a script that does not parse: exit code %d, %s", r.code, r.errOut)
	}
	steps := write("steps.json", `[{"type": "trim", "config": {"columns": ["name"]}},
		{"type": "filter", "config": {"condition": "salary >= 50"}},
		{"type": "compute", "config": {"expression": "raise = salary * 1.1"}},
		{"type": "script", "config": {"script_name": "initial"}},
		{"type": "rename", "config": {"mapping": {"id": "person_id"}}},
		{"type": "remove_fields", "config": {"fields": ["born"]}}]`)
	preview := mustArus(t, dir, "transform", "preview", pipeline, "people", "--steps", steps)
	for _, want := range []string{"2  dropped", "3  failed: TypeError", `"initial":"A"`, "person_id"} {
		if !strings.Contains(preview, want) {
			t.Errorf("the preview lacks %q:\n%s", want, preview)
		}
	}
	if r := arus(t, dir, "pipeline", "edit", pipeline, "--transform", "people="+write("lost.json", `[{"type":"remove_fields","config":{"fields":["id"]}}]`)); r.code != exitUsage || !strings.Contains(r.errOut, "id") {
		t.Errorf("steps that lose the key: exit code %d, %s", r.code, r.errOut)
	}
	mustArus(t, dir, "pipeline", "edit", pipeline, "--transform", "people="+steps)
	if r := arus(t, dir, "run", pipeline, "--full-refresh"); r.code != exitDeadLetters {
		t.Fatalf("exit code %d, want %d\n%s%s", r.code, exitDeadLetters, r.out, r.errOut)
	}
	read := func() string {
		return strings.Join(to.read(t, "SELECT x.person_id, x.name, x.salary, x.raise, x.initial FROM "+to.name("people")+" x ORDER BY 1"), "|")
	}
	if got, want := read(), `"1" "Ann" "100.10" "110.110" "A" |"2" "Bob" "200.20" "220.220" "B" `; got != want {
		t.Errorf("the target has %s, want %s", got, want)
	}
	mustArus(t, dir, "script", "set", pipeline, "initial", write("initial.py", "columns = {'initial': 'text'}\ndef transform(row):\n    row['initial'] = (row['name'] or '?')[0]\n    return row\n"))
	mustArus(t, dir, "deadletters", "retry", pipeline)
	if got, want := read(), `"1" "Ann" "100.10" "110.110" "A" |"2" "Bob" "200.20" "220.220" "B" |"4" NULL "50.00" "55.000" "?" `; got != want {
		t.Errorf("after the retry the target has %s, want %s", got, want)
	}
	if out := mustArus(t, dir, "deadletters", "list", pipeline, "--json"); !strings.Contains(out, `"total": 0`) {
		t.Errorf("letters are left: %s", out)
	}
}
