package app

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNothingServedShowsASecret plants secrets wherever the API takes one, lets connections, runs, notifications and sign-ins
// fail with them, and looks for them in every answer of every route, in the log in both its forms, in the export and in the
// list of backups.
func TestNothingServedShowsASecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := strings.TrimSpace(mustArus(t, dir, "token", "create", "--name", "root", "--role", "admin"))
	bearer := map[string]string{"Authorization": "Bearer " + token}
	secrets := []string{token, "marker", "$2a$", "password_hash", "password_enc", "secrets_enc", "token_hash", "reader:", "loader:"}
	said := map[string]string{} // what was said, by where
	for _, format := range []string{"text", "json"} {
		r := serve(t, dir, "--verbose", "--log-format", format)
		ask := func(method, path, body string) string {
			t.Helper()
			status, text := r.call(t, method, path, body, bearer)
			if status >= 500 {
				t.Errorf("%s %s: %d %s", method, path, status, text)
			}
			said[format+" "+method+" "+path+" "+body] = text
			return text
		}
		id := func(text string) string {
			t.Helper()
			var answer struct{ Data struct{ ID string } }
			if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Data.ID == "" {
				t.Fatalf("no id in %s", text)
			}
			return answer.Data.ID
		}
		source := id(ask("POST", "/api/sources", `{"name":"pg `+format+`","type":"postgresql","host":"127.0.0.1","port":1,"database":"shop","username":"reader","password":"pg-marker"}`))
		mongo := id(ask("POST", "/api/sources", `{"name":"mongo `+format+`","type":"mongodb","uri":"mongodb://reader:mongo-marker@127.0.0.1:1/shop?serverSelectionTimeoutMS=100"}`))
		destination := id(ask("POST", "/api/destinations", `{"name":"dwh `+format+`","type":"mysql","host":"127.0.0.1","port":1,"database":"dwh","username":"loader","password":"dwh-marker"}`))
		ask("PUT", "/api/sources/"+source, `{"password":"pg2-marker"}`)
		ask("PUT", "/api/sources/"+source, `{"host":"elsewhere.example","password":""}`)
		ask("POST", "/api/sources", `{"name":"pg `+format+`","type":"postgresql","host":"h","database":"d","username":"reader","password":"taken-marker"}`)
		pipeline := id(ask("POST", "/api/pipelines", `{"name":"p `+format+`","source_id":"`+source+`","destination_id":"`+destination+`","schedule":"manual","tables":[{"name":"orders"}]}`))
		ask("PUT", "/api/pipelines/"+pipeline, `{"max_retries":0}`)
		for _, target := range []string{
			`{"name":"t ` + format + `","type":"telegram","config":{"bot_token":"12345678:bot-marker-bot-marker-bot-marker00","chat_id":"5","api_base":"http://127.0.0.1:1"}}`,
			`{"name":"d ` + format + `","type":"discord","config":{"webhook_url":"http://127.0.0.1:1/api/webhooks/1/discord-marker"}}`,
			`{"name":"s ` + format + `","type":"slack","config":{"webhook_url":"http://127.0.0.1:1/services/slack-marker"}}`,
			`{"name":"w ` + format + `","type":"webhook","config":{"url":"http://127.0.0.1:1/hook-marker","secret":"signing-marker"}}`,
			`{"name":"m ` + format + `","type":"smtp","config":{"host":"127.0.0.1","port":"1","username":"u","password":"mail-marker","from":"a@example.com","to":"b@example.com"}}`,
		} {
			made := id(ask("POST", "/api/notifications/targets", target))
			ask("POST", "/api/notifications/links", `{"pipeline_id":"`+pipeline+`","target_id":"`+made+`","events":["failure"]}`)
			ask("POST", "/api/notifications/targets/"+made+"/test", `{}`)
		}
		for _, path := range []string{"/api/sources/" + source + "/test", "/api/sources/" + mongo + "/test", "/api/destinations/" + destination + "/test"} {
			ask("POST", path, "")
		}
		ask("POST", "/api/connections/test", `{"type":"postgresql","host":"127.0.0.1","port":1,"database":"x","username":"reader","password":"probe-marker"}`)
		status, text := r.call(t, "POST", "/api/sources/"+source+"/discover", "", bearer)
		said["discover "+format] = text
		if status < 400 {
			t.Errorf("the source that is not there was looked at: %d", status)
		}
		ask("POST", "/api/pipelines/"+pipeline+"/trigger?wait=true", `{}`)
		ask("POST", "/api/auth/users", `{"email":"`+format+`@example.com","name":"N","password":"user-marker-one"}`)
		ask("POST", "/api/auth/login", `{"email":"`+format+`@example.com","password":"wrong-marker"}`)
		_, text = r.call(t, "POST", "/api/auth/login", `{"email":"`+format+`@example.com","password":"user-marker-one"}`, nil)
		var login struct {
			Data struct {
				Access  string `json:"access_token"`
				Refresh string `json:"refresh_token"`
			}
		}
		if err := json.Unmarshal([]byte(text), &login); err != nil || login.Data.Access == "" {
			t.Fatalf("no tokens: %s", text)
		}
		secrets = append(secrets, login.Data.Access, login.Data.Refresh)
		ask("POST", "/api/backup", "")
		everything(t, r, bearer, func(path, text string) { said[format+" GET "+path] = text })
		if code := r.stop(); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		log := r.said.String()
		said["the log as "+format] = log
		if !strings.Contains(log, "request") || format == "json" && !strings.Contains(log, `"msg":"request"`) {
			t.Errorf("the log as %s lacks the requests:\n%.2000s", format, log)
		}
	}
	said["export"] = mustArus(t, dir, "export")
	for _, args := range [][]string{{"source", "list", "--json"}, {"destination", "list", "--json"}, {"settings", "list"}, {"token", "list"}, {"user", "list"}, {"runs", "--json"}} {
		said[strings.Join(args, " ")] = mustArus(t, dir, args...)
	}
	if len(said) < 200 {
		t.Errorf("only %d answers were looked at", len(said))
	}
	for where, text := range said {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q:\n%.1000s", strings.ReplaceAll(where, "marker", "..."), secret, text)
			}
		}
	}
}

var uuidIn = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// everything asks for every address that the API describes as readable, with the ids that its answers name.
func everything(t *testing.T, r running, bearer map[string]string, seen func(path, text string)) {
	t.Helper()
	_, text := r.call(t, "GET", "/api/openapi.json", "", nil)
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	param := regexp.MustCompile(`{\w+}`)
	ids := map[string]bool{}
	ask := func(path string) {
		status, text := r.call(t, "GET", path, "", bearer)
		if status >= http.StatusInternalServerError && status != http.StatusBadGateway {
			t.Errorf("%s: %d %s", path, status, text)
		}
		seen(path, text)
		for _, id := range uuidIn.FindAllString(text, -1) {
			ids[id] = true
		}
	}
	var withID []string
	for path, methods := range doc.Paths {
		switch {
		case methods["get"] == nil || path == "/api/events" || path == "/api/backups/{file}":
		case param.MatchString(path):
			withID = append(withID, path)
		default:
			ask(path)
		}
	}
	slices.Sort(withID)
	known := []string{}
	for id := range ids {
		known = append(known, id)
	}
	for _, path := range withID {
		for _, id := range known {
			ask(param.ReplaceAllString(path, id))
		}
	}
}
