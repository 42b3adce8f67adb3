package web

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"arus/app/auth"
	"arus/app/model"
)

func TestSigningIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.client("")
	if status, text := s.get(c, "/about"); status != http.StatusOK || !strings.Contains(text, `name="next" value="/about"`) {
		t.Errorf("somebody unknown is not led to the form: %d %s", status, text)
	}
	wrong := url.Values{"email": {"viewer@example.com"}, "password": {"wrong-password-1"}}
	status, text := s.post(c, "/sign-in", wrong)
	if status != http.StatusUnauthorized || !strings.Contains(text, "password is wrong") || strings.Contains(text, "wrong-password-1") || !strings.Contains(text, `value="viewer@example.com"`) {
		t.Errorf("a wrong password: %d %s", status, text)
	}
	right := url.Values{"email": {"viewer@example.com"}, "password": {sitePassword.Reveal()}, "next": {"/about?x=1"}}
	if status, text = s.post(c, "/sign-in", right); status != http.StatusOK || !strings.Contains(text, "This program") {
		t.Errorf("signed in, but not led on: %d %s", status, text)
	}
	if status, text = s.post(c, "/sign-out", nil); status != http.StatusOK || !strings.Contains(text, "Sign in") {
		t.Errorf("signed out: %d %s", status, text)
	}
	if _, text = s.get(c, "/about"); strings.Contains(text, "This program") {
		t.Error("still signed in")
	}
	for range 12 {
		status, text = s.post(c, "/sign-in", wrong)
	}
	if status != http.StatusTooManyRequests || !strings.Contains(text, "too many attempts") {
		t.Errorf("after twelve attempts: %d %s", status, text)
	}
}

func TestNobodyIsLedElsewhere(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"/runs?page=2": "/runs?page=2", "": "/", "https://evil.example/": "/", "//evil.example/": "/", `/\evil.example`: "/", "javascript:alert(1)": "/", "/a\r\nb": "/", "runs": "/",
	} {
		if got := local(address); got != want {
			t.Errorf("local(%q) = %q, want %q", address, got, want)
		}
	}
}

// TestRoutes asks for every address as everybody.
func TestRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	clients := map[model.Role]*http.Client{}
	for _, role := range append([]model.Role{""}, model.Roles()...) {
		clients[role] = s.client(role)
		clients[role].CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	for _, rt := range routes() {
		if rt.path == "/live" || rt.path == "/sign-out" {
			continue
		}
		path := regexp.MustCompile(`{\w+}`).ReplaceAllString(strings.TrimSuffix(rt.path, "{$}"), "00000000-0000-7000-8000-000000000000")
		for role, c := range clients {
			if rt.needs == auth.Public || role != "" && auth.Can(role, rt.needs) && rt.method == http.MethodPost {
				continue // what it does is tested where it is made
			}
			req, err := http.NewRequestWithContext(t.Context(), rt.method, s.url+path, nil)
			s.must(err)
			res, err := c.Do(req)
			s.must(err)
			_, _ = io.Copy(io.Discard, res.Body)
			s.must(res.Body.Close())
			switch {
			case role == "":
				if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/sign-in") {
					t.Errorf("%s %s by nobody: %d to %q", rt.method, path, res.StatusCode, res.Header.Get("Location"))
				}
			case !auth.Can(role, rt.needs):
				if res.StatusCode != http.StatusForbidden {
					t.Errorf("%s %s by a %s: %d, want 403", rt.method, path, role, res.StatusCode)
				}
			default:
				if res.StatusCode >= 500 || res.StatusCode == http.StatusForbidden {
					t.Errorf("%s %s by a %s: %d", rt.method, path, role, res.StatusCode)
				}
			}
			if policy := res.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self'") {
				t.Errorf("%s %s: policy %q", rt.method, path, policy)
			}
		}
	}
}

func TestErrorsArePages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.client(model.RoleViewer)
	if status, text := s.get(c, "/nowhere"); status != http.StatusNotFound || !strings.Contains(text, "Not found") || !strings.Contains(text, "sidebar") {
		t.Errorf("%d %s", status, text)
	}
	v := &visit{console: &console{Server: s.server}, r: &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/x", RawQuery: "token=secret-token"}}}
	if f := v.failure(http.StatusInternalServerError, apiFault()); strings.Contains(f.Details, "secret-token") || !strings.Contains(f.Details, "INTERNAL_ERROR") {
		t.Errorf("details to copy: %s", f.Details)
	}
}

// TestAssetsAreWhatWasFetched compares what came from npm with its list.
func TestAssetsAreWhatWasFetched(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "embed", "static")
	list, err := os.Open(filepath.Join(dir, "VERSIONS"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Close() }()
	lines := bufio.NewScanner(list)
	n := 0
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 4 || strings.HasPrefix(words[0], "#") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, words[0]))
		if err != nil {
			t.Error(err)
			continue
		}
		sum := sha256.Sum256(text)
		if got := hex.EncodeToString(sum[:]); got != words[3] {
			t.Errorf("%s of %s %s was changed: %s", words[0], words[1], words[2], got)
		}
		n++
	}
	if n < 6 {
		t.Errorf("%d files in the list", n)
	}
}

// TestStyleSheetIsWhole counts the brackets of what is written by hand: one that
// is missing hides all that follows from wide screens.
func TestStyleSheetIsWhole(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "embed", "static", "app.css"))
	if err != nil {
		t.Fatal(err)
	}
	depth := 0
	for i, line := range strings.Split(string(text), "\n") {
		if depth != 0 && (strings.HasPrefix(line, "/*") || strings.HasPrefix(line, "@media")) {
			t.Fatalf("line %d: a bracket above is not closed", i+1)
		}
		depth += strings.Count(line, "{") - strings.Count(line, "}")
	}
	if depth != 0 {
		t.Errorf("%d brackets are not closed", depth)
	}
}

// TestFirstPageIsSmall counts what goes over the wire for the first page.
func TestFirstPageIsSmall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	c := s.client(model.RoleAdmin)
	_, page := s.get(c, "/")
	total := 0
	fetch := func(path string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		s.must(err)
		req.Header.Set("Accept-Encoding", "gzip") // set by hand, so that it is not unpacked
		res, err := c.Do(req)
		s.must(err)
		text, err := io.ReadAll(res.Body)
		s.must(err)
		s.must(res.Body.Close())
		total += len(text)
		if res.Header.Get("Content-Encoding") != "gzip" && len(text) > 2000 {
			t.Errorf("%s: %d bytes that are not compressed", path, len(text))
		}
		if strings.HasPrefix(path, "/static/") && !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: Cache-Control %q", path, res.Header.Get("Cache-Control"))
		}
		if res.Header.Get("Content-Encoding") == "gzip" {
			if _, err := gzip.NewReader(strings.NewReader(string(text))); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	fetch("/")
	seen := map[string]bool{}
	for rest := page; ; {
		_, after, ok := strings.Cut(rest, `"/static/`)
		if !ok {
			break
		}
		name, _, _ := strings.Cut(after, `"`)
		name, _, _ = strings.Cut(name, "#")
		if !seen[name] {
			seen[name] = true
			fetch("/static/" + name)
		}
		rest = after
	}
	t.Logf("%d bytes in %d files", total, len(seen)+1)
	if len(seen) < 8 || total > 300_000 {
		t.Errorf("%d bytes in %d files, want at most 300,000", total, len(seen)+1)
	}
}

// TestReadingNeedsNoScripts reads pages as a browser without scripts does.
func TestReadingNeedsNoScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	c := s.client(model.RoleViewer)
	for path, want := range map[string]string{
		"/": "crm-nightly", "/alerts": "failing", "/search?q=SHOP": "shop-to-warehouse", "/search?q=" + s.run[:12]: "/runs/" + s.run,
		"/search?q=%25": "Nothing has", "/about": "State file",
	} {
		if status, text := s.get(c, path); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d, without %q", path, status, want)
		}
	}
	if _, text := s.post(c, "/theme", url.Values{"theme": {"dark"}, "next": {"/about"}}); !strings.Contains(text, `data-bs-theme="dark"`) || !strings.Contains(text, "This program") {
		t.Error("the theme is not remembered")
	}
	// Looking at the alerts makes them known.
	if _, text := s.get(c, "/"); !strings.Contains(text, "Alerts, none new") {
		t.Error("alerts stay new after they were looked at")
	}
}
