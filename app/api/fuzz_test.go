package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// fuzz sends a request and wants an answer that no fault of the program made.
func (b *bundle) fuzz(t *testing.T, method, path, body string, header map[string]string) {
	t.Helper()
	u, err := url.Parse("http://x" + path)
	if err != nil {
		t.Skip()
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
	r.URL, r.RemoteAddr = u, "10.0.0.1:1"
	for k, v := range header {
		r.Header.Set(k, v)
	}
	r.Header.Set("Authorization", "Bearer "+b.tokens["admin"].Reveal())
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	if w.Code >= 500 {
		t.Errorf("%s %q %q: %d %s", method, path, body, w.Code, w.Body)
	}
	b.forbid(t, path, w.Body.String())
}

func FuzzIDs(f *testing.F) {
	b := setupFuzz(f)
	for _, id := range []string{"x", "..", "%2e%2e", "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}", "urn:uuid:00000000-0000-0000-0000-000000000000", "'", "\x00", b.source.ID, strings.ToUpper(b.source.ID)} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		for _, path := range []string{"/api/sources/", "/api/pipelines/", "/api/runs/", "/api/auth/users/", "/api/notifications/links/"} {
			b.fuzz(t, http.MethodGet, path+url.PathEscape(id), "", nil)
		}
	})
}

func FuzzBodies(f *testing.F) {
	b := setupFuzz(f)
	for _, body := range []string{`{}`, `null`, `[]`, `{"name":null}`, `{"tables":[{"name":"x","transform_config":{}}]}`, `{"name":"a","source_id":"x","schedule":"\u0000"}`, `{"max_retries":-9223372036854775808}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		b.fuzz(t, http.MethodPut, "/api/pipelines/"+b.other.ID, body, nil)
		b.fuzz(t, http.MethodPut, "/api/sources/"+b.source.ID+"/tables", body, nil)
		b.fuzz(t, http.MethodPost, "/api/notifications/targets", body, nil)
		b.fuzz(t, http.MethodPut, "/api/settings", body, nil)
		b.fuzz(t, http.MethodPost, "/api/destinations", body, nil)
	})
}

func FuzzCursors(f *testing.F) {
	b := setupFuzz(f)
	for _, q := range []string{"limit=1&offset=2", "limit=99999999999999999999", "offset=%00", "since=2026-01-01&until=x", "status='", "days=30"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/api/runs?", "/api/audit?", "/api/pipelines?", "/api/runs/stats/daily?", "/api/runs/" + b.run + "/logs?"} {
			b.fuzz(t, http.MethodGet, path+query, "", nil)
		}
	})
}
