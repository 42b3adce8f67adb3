package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"arus/app/api"
	"arus/app/control/controltest"
)

// TestProxiesAreBelievedOnlyWhereTheyAreNamed: where a request comes from, and
// whether it was encrypted.
func TestProxiesAreBelievedOnlyWhereTheyAreNamed(t *testing.T) {
	t.Parallel()
	admin := controltest.Admin(t)
	s := &Server{Control: controltest.Open(t, t.TempDir(), time.Now, slog.New(slog.DiscardHandler)), Now: time.Now}
	if err := s.Control.ChangeSettings(admin, map[string]string{"trusted_proxies": "10.0.0.5, 10.1.0.0/16,fd00::/8"}, nil); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		remote, forwarded, proto string
		address                  string
		secure                   bool
	}{
		"nobody between":             {"203.0.113.7:99", "", "", "203.0.113.7", false},
		"a stranger's word":          {"203.0.113.7:99", "10.9.9.9", "https", "203.0.113.7", false},
		"a proxy here":               {"127.0.0.1:99", "203.0.113.7", "https", "203.0.113.7", true},
		"a proxy that is named":      {"10.0.0.5:99", "203.0.113.7", "https", "203.0.113.7", true},
		"of a network that is named": {"10.1.7.7:99", "203.0.113.7", "http", "203.0.113.7", false},
		"of an IPv6 network":         {"[fd00::1]:99", "2001:db8::7", "HTTPS", "2001:db8::7", true},
		"beside the network":         {"10.2.0.1:99", "203.0.113.7", "https", "10.2.0.1", false},
		"two proxies":                {"10.0.0.5:99", "198.51.100.1, 203.0.113.7, 10.1.0.9", "https", "203.0.113.7", true},
		"what the client made up":    {"10.0.0.5:99", "127.0.0.1, 203.0.113.7", "", "203.0.113.7", false},
		"nonsense":                   {"10.0.0.5:99", "evil", "https", "10.0.0.5", true},
		"protocol alone":             {"10.0.0.5:99", "", "https", "10.0.0.5", true},
	} {
		var address string
		var secure bool
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = row.remote
		if row.forwarded != "" {
			r.Header.Set("X-Forwarded-For", row.forwarded)
		}
		if row.proto != "" {
			r.Header.Set("X-Forwarded-Proto", row.proto)
		}
		s.proxied(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { address, secure = api.ClientAddress(r), api.IsSecure(r) })).ServeHTTP(httptest.NewRecorder(), r)
		if address != row.address || secure != row.secure {
			t.Errorf("%s: %s, %v", name, address, secure)
		}
	}
}
