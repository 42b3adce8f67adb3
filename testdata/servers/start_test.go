//go:build unix

package servers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// flaky fails to start, as on a port that was taken meanwhile, until its last try.
type flaky struct{ failures, tries int }

func (f *flaky) find() error { return nil }

func (f *flaky) prepare(context.Context, string) error { return nil }

func (f *flaky) command(string, [3]int) ([]string, error) {
	f.tries++
	if f.tries <= f.failures {
		return []string{"sh", "-c", "echo address already in use; exit 1"}, nil
	}
	return []string{"sleep", "60"}, nil
}

func (f *flaky) probe(context.Context, string, int) (string, error) {
	if f.tries <= f.failures {
		return "", errors.New("nobody listens")
	}
	return "1.0", nil
}

func TestStartTriesAgain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		failures int
		want     string // in the error
	}{
		{"at once", 0, ""},
		{"port taken twice", startTries - 1, ""},
		{"never", startTries, "address already in use"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "server")
			lock, err := os.Create(filepath.Join(t.TempDir(), "lock"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = lock.Close() })
			k := kind{stop: syscall.SIGTERM, server: &flaky{failures: tt.failures}}
			run, _, _, err := k.start(t.Context(), dir, lock)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error = %v, want one with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			run.stop()
			if state := run.cmd.ProcessState; state.Success() {
				t.Errorf("the server ended by itself: %v", state)
			}
		})
	}
}

func TestRemoveStale(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		age    time.Duration
		locked bool
		want   bool // still there
	}{
		{"left by a run that was killed", time.Hour, false, false},
		{"in use", time.Hour, true, true},
		{"just made", 0, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "arus-servers-1")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			lock, err := os.Create(filepath.Join(dir, "lock"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = lock.Close() })
			if tt.locked && !tryLock(lock) {
				t.Fatal("cannot lock")
			}
			then := time.Now().Add(-tt.age)
			if err := os.Chtimes(dir, then, then); err != nil {
				t.Fatal(err)
			}
			removeStale(filepath.Join(parent, dirPattern))
			if _, err := os.Stat(dir); (err == nil) != tt.want {
				t.Errorf("still there = %v, want %v", err == nil, tt.want)
			}
		})
	}
}
