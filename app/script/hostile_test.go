package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"arus/connectors"
)

// Every script that misbehaves ends in a clear error within its limits, and the next one is healthy.
func TestHostileScripts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: only Linux isolates scripts")
	}
	secret := filepath.Join(t.TempDir(), "arus.db")
	if err := os.WriteFile(secret, []byte("the state"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := newRuntime(t, Limits{Batch: 5 * time.Second, Memory: 512 << 20, File: 1 << 20})
	in := []connectors.Column{col("id", connectors.Int64)}
	row := func(statements string) string {
		return "def transform(row):\n    " + strings.ReplaceAll(statements, "\n", "\n    ") + "\n    return row\n"
	}
	for _, c := range []struct{ name, source, want string }{
		{"loop", row("while True: pass"), "took longer than 5s"},
		{"10 GB", row("x = bytearray(10 << 30)"), "MemoryError"},
		{"many objects", row("x = []\nwhile True: x.append('y' * 1000 + str(len(x)))"), "MemoryError"},
		{"fork", row("import os\nos.fork()"), "PermissionError"},
		{"fork bomb", row("import os\nwhile True: os.fork()"), "PermissionError"},
		{"subprocess", row("import subprocess\nsubprocess.run(['/bin/sh', '-c', 'id'])"), "PermissionError"},
		{"exec", row("import os\nos.execv('/bin/sh', ['/bin/sh'])"), "PermissionError"},
		{"read the state", row(fmt.Sprintf("open(%q).read()", secret)), "PermissionError"},
		{"read /etc/passwd", row("open('/etc/passwd').read()"), "PermissionError"},
		{"list the root", row("import os\nos.listdir('/')"), "PermissionError"},
		{"another's memory", row("import os\nopen(f'/proc/{os.getppid()}/environ').read()"), "PermissionError"},
		{"write outside", row("open('/tmp/arus-was-here', 'w')"), "PermissionError"},
		{"write to the interpreter", row("import sys\nopen(sys.prefix + '/x', 'w')"), "PermissionError"},
		{"socket", row("import socket\nsocket.socket()"), "PermissionError"},
		{"connect", row("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/')"), "not permitted"},
		{"kill", row("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"), "PermissionError"},
		{"exit", row("raise SystemExit(0)"), "SystemExit"},
		{"_exit", row("import os\nos._exit(0)"), "its worker ended in the middle of a batch"},
		{"abort", row("import ctypes\nctypes.string_at(0)"), "its worker ended in the middle of a batch"},
		{"large file", row("f = open('big', 'wb')\nf.write(bytes(10 << 20))\nf.flush()"), "File too large"},
		{"environment", row("import os\nassert not [k for k in os.environ if k not in ('LC_CTYPE',)], os.environ\nassert os.getcwd().split('/')[-1].startswith('script-')\nraise ValueError('bare')"), "ValueError: bare"},
		{"garbage on the descriptors", row("import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'garbage' * 100)\n    except OSError: pass"), "run script"},
		{"recursion", row("f = lambda: f()\nf()"), "RecursionError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			err := attempt(t, r, c.source, in)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if err := attempt(t, r, row("pass"), in); err != nil {
				t.Errorf("the next script: %v", err)
			}
		})
	}
	if _, err := os.Stat("/tmp/arus-was-here"); !errors.Is(err, os.ErrNotExist) {
		t.Error("a script wrote outside its directory")
	}
}

// attempt runs a script over a batch; a failed row is an error too.
func attempt(t *testing.T, r *Runtime, source string, in []connectors.Column) error {
	t.Helper()
	s, err := r.Open(t.Context(), Program{Name: "hostile", Source: source}, in, nil)
	if err != nil {
		return err
	}
	result, err := s.Run(t.Context(), batchOf(t, in, []any{"1"}))
	if result.Batch != nil {
		result.Batch.Release()
	}
	if cerr := s.Close(); cerr != nil {
		t.Error(cerr)
	}
	if err == nil && len(result.Failed) > 0 {
		err = errors.New(result.Failed[0].Reason)
	}
	return err
}

func TestACancelledRunEndsItsWorker(t *testing.T) {
	r := newRuntime(t, Limits{})
	in := []connectors.Column{col("id", connectors.Int64)}
	s, err := r.Open(t.Context(), Program{Name: "slow", Source: "import time\ndef transform(row):\n    print('begun')\n    time.sleep(60)\n    return row"}, in, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	started := time.Now()
	if _, err := s.Run(ctx, batchOf(t, in, []any{"1"})); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("it took %s to end", took)
	}
}

// The same isolation holds for a user without privileges: run the hostile scripts as one.
func TestHostileScriptsAsAnOrdinaryUser(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root on Linux, to become somebody else")
	}
	runuser, err := exec.LookPath("runuser")
	if err != nil {
		t.Skip("SKIPPED: no runuser on this machine")
	}
	dir, err := os.MkdirTemp("", "arus-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self := filepath.Join(dir, "script.test")
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), runuser, "-u", "nobody", "--", self, "-test.run", "^TestHostileScripts$")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
