package web

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

// TestNoPageShowsASecret plants a secret wherever one can be stored and opens every address of the console as each role, with
// the ids of everything there is in the place of {id}.
func TestNoPageShowsASecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill()
	mongo, err := s.service.Registry.ParseURL("mongodb://app:m0ngo-marker@127.0.0.1:1/shop?authSource=admin")
	s.must(err)
	documents, err := s.service.AddSource(s.admin, control.SourceInput{Name: "documents", Connection: mongo})
	s.must(err)
	remote, err := s.service.Registry.ParseURL("postgres://loader:d3st-marker@127.0.0.1:1/dwh")
	s.must(err)
	dwh, err := s.service.AddDestination(s.admin, control.DestinationInput{Name: "dwh", Connection: remote})
	s.must(err)
	ids := map[string]bool{s.source.ID: true, s.broken.ID: true, documents.ID: true, s.target.ID: true, dwh.ID: true, s.pipeline.ID: true, s.failed.ID: true, s.run: true, s.failedRun: true}
	for kind, config := range map[model.TargetType]map[string]string{
		model.TargetTelegram: {"bot_token": "12345678:t3legram-marker-t3legram-marker0000", "chat_id": "5"},
		model.TargetDiscord:  {"webhook_url": "https://discord.example/api/webhooks/disc0rd-marker"},
		model.TargetSlack:    {"webhook_url": "https://hooks.slack.example/sl4ck-marker"},
		model.TargetWebhook:  {"url": "https://hooks.example/p4th-marker", "secret": "h00k-marker"},
		model.TargetSMTP:     {"host": "mail.example", "port": "587", "username": "u", "password": "m4il-marker", "from": "a@example.com", "to": "b@example.com"},
	} {
		name := string(kind)
		target, err := s.service.AddTarget(s.admin, control.TargetInput{Name: &name, Type: &kind, Config: config})
		s.must(err)
		ids[target.ID] = true
		_, err = s.service.AddLink(s.admin, s.failed.ID, target.ID, []model.NotifyEvent{model.EventFailure})
		s.must(err)
	}
	token, made, err := s.service.AddToken(s.admin, control.TokenInput{Name: "script", Role: model.RoleEditor})
	s.must(err)
	ids[made.ID] = true
	users, _, err := s.service.ListUsers(s.admin, control.Page{})
	s.must(err)
	hidden := []string{
		dbPassword, "m0ngo-marker", "d3st-marker", "t3legram-marker", "disc0rd-marker", "sl4ck-marker", "p4th-marker", "h00k-marker", "m4il-marker", sitePassword.Reveal(), "$2a$", token.Reveal(), auth.HashToken(token), "token_hash", "password_enc", "secrets_enc", "reader:", "loader:", "app:m0ngo",
	}
	for _, u := range users {
		ids[u.ID] = true
		hidden = append(hidden, u.PasswordHash)
	}
	login, err := s.service.Login(t.Context(), control.Credentials{Email: "viewer@example.com", Password: sitePassword})
	s.must(err)
	hidden = append(hidden, login.Access.Reveal(), login.Refresh.Reveal())
	list := []string{}
	for id := range ids {
		list = append(list, id)
	}
	slices.Sort(list)
	placeholder := regexp.MustCompile(`{\w+}`)
	pages := 0
	there := map[string]bool{} // what the admin, who comes first, was shown
	roles := model.Roles()
	slices.SortFunc(roles, func(x, y model.Role) int {
		return strings.Compare(map[bool]string{true: "0"}[x == model.RoleAdmin]+string(x), map[bool]string{true: "0"}[y == model.RoleAdmin]+string(y))
	})
	for _, role := range roles {
		c := s.client(role)
		jar, err := url.Parse(s.url)
		s.must(err)
		secrets := slices.Clone(hidden)
		for _, cookie := range c.Jar.Cookies(jar) {
			if cookie.Name == "arus_session" {
				secrets = append(secrets, cookie.Value, auth.HashToken(connectors.Secret(cookie.Value)))
			}
		}
		for _, rt := range routes() {
			if rt.method != http.MethodGet || rt.path == "/live" {
				continue
			}
			paths := []string{strings.TrimSuffix(rt.path, "{$}")}
			if placeholder.MatchString(paths[0]) {
				paths = nil
				for _, id := range list {
					paths = append(paths, placeholder.ReplaceAllString(rt.path, id))
				}
			}
			for _, path := range paths {
				if role != model.RoleAdmin && !there[path] {
					continue
				}
				status, text := s.get(c, path)
				if status == http.StatusOK {
					pages++
					there[path] = true
				}
				for _, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Errorf("%s as %s shows %q", path, role, secret)
					}
				}
			}
		}
	}
	if pages < 40 {
		t.Errorf("only %d pages were there", pages)
	}
}
