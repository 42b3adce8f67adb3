package secret

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fernet/fernet-go"
)

func newKey(t *testing.T) string {
	t.Helper()
	var k fernet.Key
	if err := k.Generate(); err != nil {
		t.Fatal(err)
	}
	return k.Encode()
}

func load(t *testing.T, dir, env string) *Ring {
	t.Helper()
	r, err := Load(dir, env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seal(t *testing.T, r *Ring, text string) string {
	t.Helper()
	s, err := r.Seal(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRoundTripThroughKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := load(t, dir, "")
	for _, text := range []string{"", "hunter2", strings.Repeat("ü", 5000), "nul\x00inside"} {
		sealed := seal(t, first, text)
		if text != "" && strings.Contains(sealed, text) {
			t.Errorf("Seal(%q) shows the text", text)
		}
		got, err := load(t, dir, "").Open(sealed) // a later start finds the same key
		if err != nil || got != text {
			t.Errorf("Open(Seal(%q)) = %q, %v", text, got, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("key file mode = %v, want 0600", info.Mode().Perm())
	}
}

func TestLooseKeyFileIsRestricted(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits on Windows")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, KeyFile)
	if err := os.WriteFile(file, []byte(newKey(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	load(t, dir, "")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
}

func TestKeyFromEnvironmentWritesNoFile(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), newKey(t)
	sealed := seal(t, load(t, dir, key), "x")
	if got, err := load(t, dir, strings.TrimRight(key, "=")).Open(sealed); err != nil || got != "x" {
		t.Errorf("Open with the unpadded key = %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, KeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key file was made beside the environment key: %v", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	oldKey, newest := newKey(t), newKey(t)
	before := seal(t, load(t, "", oldKey), "x")
	both := load(t, "", newest+", "+oldKey)
	if got, err := both.Open(before); err != nil || got != "x" {
		t.Errorf("the old value under both keys = %q, %v", got, err)
	}
	if got, err := load(t, "", newest).Open(seal(t, both, "y")); err != nil || got != "y" {
		t.Errorf("a new value under the new key alone = %q, %v", got, err)
	}
}

func TestWrongKeySaysWhichAndNeverWhat(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), newKey(t)
	sealed := seal(t, load(t, t.TempDir(), ""), "hunter2")
	for name, tc := range map[string]struct {
		ring  *Ring
		names string
	}{
		"file":        {load(t, dir, ""), filepath.Join(dir, KeyFile)},
		"environment": {load(t, dir, key), KeyEnv},
	} {
		for _, value := range []string{sealed, "", "not sealed at all", sealed[:len(sealed)/2]} {
			_, err := tc.ring.Open(value)
			if !errors.Is(err, ErrWrongKey) || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("%s: Open = %v, want ErrWrongKey naming %s", name, err, tc.names)
			}
			if err != nil && (strings.Contains(err.Error(), key) || value != "" && strings.Contains(err.Error(), value)) {
				t.Errorf("%s: the error shows key or value: %v", name, err)
			}
		}
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"short", strings.Repeat("A", 64), newKey(t) + ",", newKey(t) + ",x", "!" + newKey(t)[1:]} {
		_, err := Load(t.TempDir(), bad)
		if err == nil || !strings.Contains(err.Error(), KeyEnv) || strings.Contains(err.Error(), bad) {
			t.Errorf("Load with a bad key: %v, want an error that names %s and not the key", err, KeyEnv)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, KeyFile)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, ""); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Load with an empty key file: %v, want an error that names it", err)
	}
	if _, err := Load(filepath.Join(dir, "absent"), ""); err == nil {
		t.Error("Load without a data directory succeeded")
	}
}
