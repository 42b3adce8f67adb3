package api

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"arus/app/control"
)

// TestABackupIsSentToTheAPI whatever its size; it is the same when it comes back.
func TestABackupIsSentToTheAPI(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	// What cannot be compressed makes the file larger than other bodies may be.
	noise := make([]byte, 2*maxBody)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	b.must(os.WriteFile(filepath.Join(b.service.Store.Dir(), "arus.yaml"), append([]byte("# "), bytes.ReplaceAll(noise, []byte("\n"), []byte(" "))...), 0o600))
	elsewhere := filepath.Join(t.TempDir(), "made.tar.gz")
	info, err := b.service.Backup(b.admin, control.BackupOptions{File: elsewhere})
	b.must(err)
	text, err := os.ReadFile(elsewhere)
	b.must(err)
	if len(text) <= maxBody {
		t.Fatalf("the backup has %d bytes only", len(text))
	}
	if got := b.do("editor", http.MethodPost, uploads, string(text)); got.status != http.StatusForbidden {
		t.Errorf("by an editor: %d %s", got.status, got.text)
	}
	got := b.do("admin", http.MethodPost, uploads, string(text))
	data, ok := got.data.(map[string]any)
	if got.status != http.StatusCreated || !ok || data["bytes"] != float64(len(text)) || data["warehouse_tables"] != float64(info.Tables) {
		t.Fatalf("%d %s", got.status, got.text)
	}
	name, _ := data["file"].(string)
	if back := b.do("admin", http.MethodGet, "/api/backups/"+name, ""); back.status != http.StatusOK || back.text != string(text) {
		t.Errorf("%d, %d bytes of %d", back.status, len(back.text), len(text))
	}
	if again := b.do("admin", http.MethodPost, uploads, string(text)); again.status != http.StatusConflict {
		t.Errorf("twice: %d %s", again.status, again.text)
	}
}
