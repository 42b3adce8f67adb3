package app

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"arus/app/engine"
	"arus/app/script"
)

// TestMain turns the test binary into arus itself where a test wants a process
// of its own to kill.
func TestMain(m *testing.M) {
	if code, ok := script.Launched(os.Args[1:], os.Stderr); ok {
		os.Exit(code)
	}
	if os.Getenv("ARUS_TEST_AS_PROGRAM") == "1" {
		SaveMemory()
		stop := Profile()
		code := Main(context.Background(), os.Args[1:], Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
		stop()
		os.Exit(code)
	}
	if os.Getenv("ARUS_TEST_AS_PROGRAM") == "crash" {
		crashInABackground()
	}
	goleak.VerifyTestMain(m)
}

// result is what one command line did.
type result struct {
	code        int
	out, errOut string
}

// arus runs a command line in this process, in the data directory dir.
func arus(t *testing.T, dir string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	code := Main(t.Context(), append(args, "--data", dir), Stdio{In: strings.NewReader(""), Out: &out, Err: &errOut})
	return result{code: code, out: out.String(), errOut: errOut.String()}
}

// mustArus fails the test unless the command succeeds.
func mustArus(t *testing.T, dir string, args ...string) string {
	t.Helper()
	r := arus(t, dir, args...)
	if r.code != 0 {
		t.Fatalf("arus %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.errOut)
	}
	return r.out
}

// runSync runs arus sync --json and reads its report.
func runSync(t *testing.T, dir string, args ...string) engine.Report {
	t.Helper()
	var r engine.Report
	out := mustArus(t, dir, append([]string{"sync", "--json", "--quiet"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("the report is not one JSON object: %v\n%s", err, out)
	}
	return r
}

// child is a command line as a process of its own.
func child(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, append(args, "--data", dir)...)
	cmd.Env = append(os.Environ(), "ARUS_TEST_AS_PROGRAM=1")
	return cmd
}
