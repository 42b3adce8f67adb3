package api

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite" // makes the source's file

	"arus/app/auth"
	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
	"arus/connectors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What may never be in an answer.
const (
	accountPassword = connectors.Secret("correct horse battery")
	dbPassword      = "s3cr3t-marker"
	hookSecret      = "https://hooks.example/t0ken-marker"
)

// bundle is an API over a data directory in which there is one of everything.
type bundle struct {
	t       testing.TB
	service *control.Service
	handler http.Handler
	admin   context.Context

	mu  sync.Mutex
	at  time.Time
	log bytes.Buffer

	users     map[model.Role]model.User
	tokens    map[string]connectors.Secret // by role; and disabled, expired
	source    model.Source
	dest      model.Destination
	pipeline  model.Pipeline
	run       string
	failed    string // a run that failed
	script    model.Script
	target    model.NotificationTarget
	link      model.NotificationLink
	token     model.APIToken
	session   model.Session
	lettersOf string         // a pipeline that has a dead letter, once letters was called
	other     model.Pipeline // another pipeline, for ids under the wrong parent
}

func (b *bundle) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

// lockedWriter lets several goroutines log into the bundle.
type lockedWriter struct{ b *bundle }

func (w lockedWriter) Write(p []byte) (int, error) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	return w.b.log.Write(p)
}

// setupFuzz is setup for a fuzz test.
func setupFuzz(f *testing.F) *bundle { return newBundle(f) }

func setup(t *testing.T) *bundle {
	t.Helper()
	return newBundle(t)
}

func newBundle(t testing.TB) *bundle {
	t.Helper()
	b := &bundle{t: t, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), users: map[model.Role]model.User{}, tokens: map[string]connectors.Secret{}}
	dir := t.TempDir()
	log := slog.New(slog.NewTextHandler(lockedWriter{b}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.service = controltest.Open(t, filepath.Join(dir, "data"), b.now, log)
	b.service.Beat()
	b.handler = (&API{Control: b.service, Log: log, Now: b.now, Version: "test", Started: b.at, Ready: func() bool { return true }}).Handler()
	b.admin = controltest.Admin(t)
	b.fill(dir)
	return b
}

func (b *bundle) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// fill makes one of everything.
func (b *bundle) fill(dir string) {
	file := filepath.Join(dir, "shop.db")
	db, err := sql.Open("sqlite", "file:"+file)
	b.must(err)
	_, err = db.Exec(`CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER NOT NULL, updated_at TIMESTAMP NOT NULL);
		INSERT INTO orders VALUES (1, 10, '2026-02-01 00:00:00'), (2, 20, '2026-02-02 00:00:00'); CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
		INSERT INTO customers VALUES (1, '<b>ann</b>')`)
	b.must(errors.Join(err, db.Close()))
	cfg, err := b.service.Registry.ParseURL("sqlite://" + filepath.ToSlash(file))
	b.must(err)
	b.source, err = b.service.AddSource(b.admin, control.SourceInput{Name: "shop", Connection: cfg})
	b.must(err)
	b.dest, err = b.service.AddDestination(b.admin, control.DestinationInput{Name: "warehouse", Connection: connectors.Config{Type: "embedded"}, IsDefault: true})
	b.must(err)
	remote, err := b.service.Registry.ParseURL("postgres://reader:" + dbPassword + "@127.0.0.1:1/shop")
	b.must(err)
	gone, err := b.service.AddSource(b.admin, control.SourceInput{Name: "remote", Connection: remote})
	b.must(err)
	_, err = b.service.AddDestination(b.admin, control.DestinationInput{Name: "remote", Connection: remote})
	b.must(err)
	b.pipeline, err = b.service.AddPipeline(b.admin, control.PipelineInput{Name: "orders", Source: b.source.ID, Tables: []string{"orders"}, Schedule: "*/5 * * * *"})
	b.must(err)
	b.other, err = b.service.AddPipeline(b.admin, control.PipelineInput{Name: "broken", Source: gone.ID, Choices: []control.TableChoice{{Name: "absent"}}})
	b.must(err)
	report, err := b.service.Run(b.admin, control.RunRequest{Pipeline: b.pipeline.ID})
	b.must(err)
	if b.run = report.RunID; report.Status != model.RunSuccess {
		b.t.Fatalf("the run of the fixture: %+v", report)
	}
	zero := 0
	_, err = b.service.UpdatePipeline(b.admin, b.other.ID, control.PipelineUpdate{MaxRetries: &zero})
	b.must(err)
	report, err = b.service.Run(b.admin, control.RunRequest{Pipeline: b.other.ID})
	b.must(err)
	if b.failed = report.RunID; report.Status != model.RunFailed {
		b.t.Fatalf("the failing run of the fixture: %+v", report)
	}
	content := "def transform(row):\n    return row\n"
	b.script, err = b.service.AddScript(b.admin, b.pipeline.ID, control.ScriptInput{Name: new("mask"), Content: &content})
	b.must(err)
	slack := model.TargetSlack
	b.target, err = b.service.AddTarget(b.admin, control.TargetInput{Name: new("ops"), Type: &slack, Config: map[string]string{"webhook_url": hookSecret}})
	b.must(err)
	b.link, err = b.service.AddLink(b.admin, b.pipeline.ID, b.target.ID, nil)
	b.must(err)
	for _, role := range model.Roles() {
		b.users[role], err = b.service.AddUser(b.admin, control.UserInput{Email: string(role) + "@example.com", Name: string(role), Role: role, Password: accountPassword})
		b.must(err)
		b.tokens[string(role)], _, err = b.service.AddToken(b.admin, control.TokenInput{Name: string(role), Role: role})
		b.must(err)
	}
	_, b.session, err = b.service.SignIn(b.t.Context(), control.Credentials{Email: "viewer@example.com", Password: accountPassword, Address: "10.0.0.9"})
	b.must(err)
	_, b.token, err = b.service.AddToken(b.admin, control.TokenInput{Name: "spare"})
	b.must(err)
	off, err := b.service.AddUser(b.admin, control.UserInput{Email: "off@example.com", Name: "off", Role: model.RoleAdmin, Password: accountPassword})
	b.must(err)
	login, err := b.service.Login(b.t.Context(), control.Credentials{Email: "off@example.com", Password: accountPassword, Address: "10.0.0.9"})
	b.must(err)
	b.tokens["disabled"] = login.Access
	no := false
	_, err = b.service.UpdateUser(b.admin, off.ID, control.UserUpdate{Active: &no})
	b.must(err)
	b.tokens["expired"], _, err = b.service.AddToken(b.admin, control.TokenInput{Name: "old", Role: model.RoleAdmin, ExpiresAt: b.at.Add(time.Minute)})
	b.must(err)
	b.mu.Lock()
	b.at = b.at.Add(2 * time.Minute)
	b.mu.Unlock()
	b.service.Beat() // as the schedule does
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	data   any
	code   string
}

// do sends a request as somebody; as is a key of b.tokens, or empty.
func (b *bundle) do(as, method, path, body string) answer {
	b.t.Helper()
	return b.doWith(as, method, path, body, nil)
}

// doWith sends a request with more headers.
func (b *bundle) doWith(as, method, path, body string, header map[string]string) answer {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	if path == "/api/events" || strings.HasPrefix(path, "/api/events?") { // it has no end
		ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
	}
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.RemoteAddr = "10.0.0.1:4711"
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+b.tokens[as].Reveal())
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	res := w.Result()
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	b.must(err)
	a := answer{status: res.StatusCode, header: res.Header, text: string(text)}
	var envelope struct {
		Status string
		Data   any
		Error  Error
	}
	if json.Unmarshal(text, &envelope) == nil {
		a.data, a.code = envelope.Data, envelope.Error.Code
		if (envelope.Status == "error") != (a.status >= 400) && path != "/api/openapi.json" && path != "/api/health" && envelope.Status != "" {
			b.t.Errorf("%s %s: status %d with the envelope %s", method, path, a.status, text)
		}
	}
	b.forbid(b.t, method+" "+path, a.text)
	return a
}

// forbid looks for what may never be in an answer.
func (b *bundle) forbid(t testing.TB, where, text string) {
	t.Helper()
	for _, bad := range []string{
		dbPassword, "t0ken-marker", accountPassword.Reveal(), "$2a$", "password_hash", "password_enc", "token_hash", "secrets_enc", "gAAAA",
		"reader:", b.session.TokenHash, auth.HashToken(b.tokens["admin"]),
	} {
		if bad != "" && strings.Contains(text, bad) {
			t.Errorf("%s shows %q:\n%s", where, bad, text)
		}
	}
	for name, token := range b.tokens {
		if strings.Contains(text, token.Reveal()) {
			t.Errorf("%s shows the token %s", where, name)
		}
	}
}
