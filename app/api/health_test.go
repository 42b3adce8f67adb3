package api

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestHealthSaysWhatTheScheduleDoes lets the schedule rest, and then stop looking.
func TestHealthSaysWhatTheScheduleDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	check := func(status int, state string) {
		t.Helper()
		if a := b.do("", http.MethodGet, "/api/health", ""); a.status != status || !strings.Contains(a.text, `"scheduler":"`+state+`"`) {
			t.Errorf("%d %s, want %d %s", a.status, a.text, status, state)
		}
	}
	check(http.StatusOK, "running")
	if err := b.service.ChangeSettings(b.admin, map[string]string{"schedule_paused": "true"}, nil); err != nil {
		t.Fatal(err)
	}
	check(http.StatusOK, "paused")
	b.mu.Lock()
	b.at = b.at.Add(2 * time.Minute)
	b.mu.Unlock()
	check(http.StatusServiceUnavailable, "stopped")
	b.service.Beat()
	check(http.StatusOK, "paused")
}
