package web

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"arus/app/auth"
	"arus/app/model"
)

// matcher finds the route of an address.
func matcher() func(method, address string) (route, bool) {
	mux := http.NewServeMux()
	known := map[string]route{}
	for _, rt := range routes() {
		pattern := rt.method + " " + rt.path
		known[pattern] = rt
		mux.Handle(pattern, http.NotFoundHandler())
	}
	return func(method, address string) (route, bool) {
		_, pattern := mux.Handler(httptest.NewRequest(method, address, nil))
		rt, ok := known[pattern]
		return rt, ok
	}
}

// notPages are the addresses that give no page of their own to whoever is signed
// in: parts of pages, files, and what is for nobody yet.
func notPages() []string {
	return []string{
		"/sign-in", "/setup", "/enter", "/live", "/alerts/bell", "/runs/{id}/log", "/query/words", "/audit/export", "/settings/configuration/export", "/backups/{file}/download", "/pipelines/{id}/dead-letters/export", "/welcome",
	}
}

// TestEveryPageIsInTheList fails for a page that nobody has added to pageList.
func TestEveryPageIsInTheList(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	find, seen := matcher(), map[string]bool{}
	list := pageList(s, furnished{table: "t", view: "v", backup: "b", target: model.NotificationTarget{ID: "i"}, token: model.APIToken{ID: "i"}, user: model.User{ID: "i"}, script: model.Script{ID: "i"}})
	fill := regexp.MustCompile(`//|/$`)
	for _, p := range list {
		path, query, _ := strings.Cut(p.path, "?")
		if path != "/" {
			path = strings.TrimSuffix(fill.ReplaceAllString(path, "/x/"), "/") // the site is not filled: its ids are empty
		}
		if rt, ok := find(http.MethodGet, path+"?"+query); ok {
			seen[rt.path] = true
		}
	}
	for _, path := range notPages() {
		seen[path] = true
	}
	for _, rt := range routes() {
		if rt.method == http.MethodGet && !seen[rt.path] {
			t.Errorf("no page of pageList opens %s", rt.path)
		}
	}
}

var (
	formTag   = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	linkTag   = regexp.MustCompile(`<a\b([^>]*)>`)
	buttonTag = regexp.MustCompile(`<(?:button|input)\b([^>]*)>`)
	htmxTag   = regexp.MustCompile(`hx-(get|post)="([^"]*)"`)
)

func attribute(tag, name string) string {
	m := regexp.MustCompile(`(?:^|\s)` + name + `="([^"]*)"`).FindStringSubmatch(tag)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// submits says whether a form has a button that sends it.
func submits(form string) bool {
	for _, b := range regexp.MustCompile(`<button\b([^>]*)>`).FindAllStringSubmatch(form, -1) {
		if attribute(b[1], "type") != "button" {
			return true
		}
	}
	return false
}

// offers are the requests that a page lets somebody make.
func offers(page, at string) [][2]string {
	var list [][2]string
	add := func(method, address string) {
		address, _, _ = strings.Cut(address, "#")
		u, err := url.Parse(address)
		if err == nil && u.Host == "" && (address == "" || strings.HasPrefix(address, "/")) {
			if address == "" {
				address = at
			}
			list = append(list, [2]string{strings.ToUpper(method), address})
		}
	}
	for _, m := range formTag.FindAllStringSubmatch(page, -1) {
		method := attribute(m[1], "method")
		if method == "dialog" {
			continue
		}
		if method == "" {
			method = "get"
		}
		if method == "post" && !submits(m[2]) {
			continue // there to be read
		}
		add(method, attribute(m[1], "action"))
		for _, b := range buttonTag.FindAllStringSubmatch(m[2], -1) {
			if to := attribute(b[1], "formaction"); to != "" {
				add(method, to)
			}
		}
	}
	for _, m := range linkTag.FindAllStringSubmatch(page, -1) {
		if to := attribute(m[1], "href"); strings.HasPrefix(to, "/") {
			add("get", to)
		}
	}
	for _, m := range htmxTag.FindAllStringSubmatch(page, -1) {
		add(m[1], html.UnescapeString(m[2]))
	}
	return list
}

// TestWhatIsNotAllowedIsNotOffered reads every page as everybody: no link, form
// or button leads where they may not go, and pages that are not theirs are refused.
func TestWhatIsNotAllowedIsNotOffered(t *testing.T) {
	t.Parallel()
	s, f := fullSite(t)
	find := matcher()
	for _, role := range model.Roles() {
		c := s.client(role)
		for _, p := range pageList(s, f) {
			rt, ok := find(http.MethodGet, p.path)
			status, text := s.get(c, p.path)
			if ok && !auth.Can(role, rt.needs) {
				if status != http.StatusForbidden || !strings.Contains(text, "Not allowed") {
					t.Errorf("%s by a %s: %d, want 403", p.path, role, status)
				}
				continue
			}
			if want := http.StatusOK; ok && status != want {
				t.Errorf("%s by a %s: %d", p.path, role, status)
			}
			for _, o := range offers(text, p.path) {
				to, known := find(o[0], o[1])
				switch {
				case !known:
					if !strings.HasPrefix(o[1], "/api/") && !strings.HasPrefix(o[1], "/static/") && o[1] != "/metrics" && o[1] != "/readyz" && o[1] != "/healthz" {
						t.Errorf("%s offers a %s: %s %s, which leads nowhere", p.path, role, o[0], o[1])
					}
				case !auth.Can(role, to.needs):
					t.Errorf("%s offers a %s: %s %s, which takes %s", p.path, role, o[0], o[1], to.needs)
				}
			}
		}
	}
}
