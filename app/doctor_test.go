package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arus/app/control"
	"arus/connectors/all"
)

// crashInABackground is a program whose data directory is open when one of its
// goroutines panics.
func crashInABackground() {
	env := &environment{Stdio: Stdio{Out: io.Discard, Err: os.Stderr}, Registry: all.Registry(), Getenv: os.Getenv, Now: time.Now}
	if _, err := env.open(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(9)
	}
	go func() { panic("boom with password=hunter2-marker") }()
	select {}
}

// doctor gives the findings of arus doctor by name.
func doctor(t *testing.T, dir string, code int) map[string]control.Finding {
	t.Helper()
	r := arus(t, dir, "doctor", "--json")
	var out struct {
		OK     bool              `json:"ok"`
		Checks []control.Finding `json:"checks"`
	}
	if err := json.Unmarshal([]byte(r.out), &out); err != nil || r.code != code || out.OK != (code == exitOK) {
		t.Fatalf("exit code %d, want %d: %v\n%s%s", r.code, code, err, r.out, r.errOut)
	}
	found := map[string]control.Finding{}
	for _, f := range out.Checks {
		found[f.Name] = f
	}
	return found
}

// TestACrashOfAnyGoroutineIsReported as a local file, without secrets.
func TestACrashOfAnyGoroutineIsReported(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ARUS_LISTEN", "127.0.0.1:0")
	cmd := child(t, dir)
	cmd.Env = append(os.Environ(), "ARUS_TEST_AS_PROGRAM=crash", "ARUS_DATA="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitCrashed {
		t.Fatalf("%v\n%s", err, out)
	}
	if f := doctor(t, dir, exitOK)["crashes"]; f.Status != control.FindingWarning {
		t.Errorf("%+v", f)
	}
	said := arus(t, dir, "pipeline", "list")
	found, err := filepath.Glob(filepath.Join(dir, "crash-*.txt"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v\n%s", found, err, said.errOut)
	}
	text, err := os.ReadFile(found[0])
	if err != nil || !strings.Contains(string(text), "boom") || !strings.Contains(string(text), "crashInABackground") || strings.Contains(string(text), "hunter2-marker") {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, crashPending)); !os.IsNotExist(err) {
		t.Errorf("what was reported is still there: %v", err)
	}
}

// TestDoctor finds what is wrong, says what to do and shows no secret.
func TestDoctor(t *testing.T) {
	t.Setenv("ARUS_LISTEN", "127.0.0.1:0")
	dir := filepath.Join(t.TempDir(), "data")
	mustArus(t, dir, "source", "add", "away", "postgres://u:hunter2-marker@127.0.0.1:1/shop")
	found := doctor(t, dir, exitEnvironment)
	for _, ok := range []string{"version", "data directory", "disk space", "writable", "state file", "clock", "key", "port", "crashes"} {
		if f, there := found[ok]; !there || f.Status != control.FindingOK {
			t.Errorf("%s: %+v", ok, f)
		}
	}
	if f := found["source away"]; f.Status != control.FindingFailed || !strings.Contains(f.Detail, "refused") {
		t.Errorf("%+v", f)
	}
	if r := arus(t, dir, "doctor"); strings.Contains(r.out+r.errOut, "hunter2-marker") || !strings.Contains(r.out, "source away") {
		t.Errorf("%s%s", r.out, r.errOut)
	}
	mustArus(t, dir, "source", "rm", "away")
	doctor(t, dir, exitOK)

	// While a server runs the connections are left to it.
	r := serve(t, dir)
	if f := doctor(t, dir, exitOK); f["connections"].Status != control.FindingSkipped || !strings.Contains(f["port"].Detail, r.url+" answers: ready") {
		t.Errorf("%+v", f)
	}
	if h := arus(t, dir, "healthcheck", "--json"); h.code != exitOK || !strings.Contains(h.out, `"ready": true`) {
		t.Errorf("%d %s", h.code, h.out)
	}
	r.stop()
	if h := arus(t, dir, "healthcheck", "--json", "--url", r.url); h.code != exitEnvironment || !strings.Contains(h.out, `"ready": false`) {
		t.Errorf("%d %s", h.code, h.out)
	}

	// What is broken is named, and nothing is changed or made.
	if err := os.Remove(filepath.Join(dir, "arus.key")); err != nil {
		t.Fatal(err)
	}
	if f := doctor(t, dir, exitEnvironment)["key"]; f.Status != control.FindingFailed || f.Hint == "" {
		t.Errorf("%+v", f)
	}
	if _, err := os.Stat(filepath.Join(dir, "arus.key")); !os.IsNotExist(err) {
		t.Errorf("doctor made a key: %v", err)
	}
	state := filepath.Join(dir, "arus.db")
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < 8192; i++ {
		text[i] ^= 0xff
	}
	if err := os.WriteFile(state, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := doctor(t, dir, exitEnvironment)["state file"]; f.Status != control.FindingFailed || !strings.Contains(f.Hint, "backup") {
		t.Errorf("%+v", f)
	}
}
