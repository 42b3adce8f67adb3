package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
	"arus/connectors"
	"arus/embed/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sitePassword = connectors.Secret("correct horse battery")
	dbPassword   = "s3cr3t-marker"
)

// site is a server on a data directory of its own.
type site struct {
	t       testing.TB
	service *control.Service
	server  *Server
	url     string
	admin   context.Context
	offset  atomic.Int64 // of the clock, in nanoseconds

	source, broken   model.Source
	pipeline, failed model.Pipeline
	run, failedRun   string
	target           model.Destination
}

func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.offset.Load())) }

// newSite starts a server with the accounts viewer, editor and admin (at
// example.com), and nothing else.
func newSite(t testing.TB) *site {
	t.Helper()
	s := newBareSite(t)
	for _, role := range model.Roles() {
		name := strings.ToUpper(string(role[:1])) + string(role[1:]) + " Example"
		_, err := s.service.AddUser(s.admin, control.UserInput{Email: string(role) + "@example.com", Name: name, Role: role, Password: sitePassword})
		s.must(err)
	}
	return s
}

// newBareSite starts a server without accounts, as at a first start.
func newBareSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, admin: controltest.Admin(t)}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	s.service = controltest.Open(t, filepath.Join(t.TempDir(), "data"), s.now, log)
	s.server = &Server{Control: s.service, Log: log, Now: s.now, Version: "test", Started: s.now()}
	s.server.SetReady(true)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	s.must(err)
	s.url = "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.server.Serve(ctx, listener, func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 10*time.Second)
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// testWriter logs into the test.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// fill makes a week of a small shop: a pipeline that runs, one that fails, one
// that is paused.
func (s *site) fill() {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "shop.db")
	s.must(sample.Create(s.t.Context(), file, 6000))
	const day = 24 * time.Hour
	s.offset.Store(int64(-8 * day))
	var err error
	s.source, err = s.service.AddSource(s.admin, control.SourceInput{Name: "shop", Connection: connectors.Config{Type: "sqlite", Database: file}})
	s.must(err)
	s.target, err = s.service.AddDestination(s.admin, control.DestinationInput{Name: "warehouse", Connection: connectors.Config{Type: "embedded"}, IsDefault: true})
	s.must(err)
	remote, err := s.service.Registry.ParseURL("postgres://reader:" + dbPassword + "@127.0.0.1:1/crm")
	s.must(err)
	s.broken, err = s.service.AddSource(s.admin, control.SourceInput{Name: "crm", Connection: remote})
	s.must(err)
	s.pipeline, err = s.service.AddPipeline(s.admin, control.PipelineInput{Name: "shop-to-warehouse", Source: s.source.ID, Schedule: "*/15 * * * *"})
	s.must(err)
	none := 0
	s.failed, err = s.service.AddPipeline(s.admin, control.PipelineInput{
		Name: "crm-nightly", Source: s.broken.ID, Choices: []control.TableChoice{{Name: "contacts"}}, Schedule: "0 3 * * *", MaxRetries: &none,
	})
	s.must(err)
	paused, err := s.service.AddPipeline(s.admin, control.PipelineInput{Name: "shop-archive", Source: s.source.ID, Choices: []control.TableChoice{{Name: "customers", TargetSchema: new("archive")}}})
	s.must(err)
	_, err = s.service.PausePipeline(s.admin, paused.ID)
	s.must(err)
	for round := 1; round <= 7; round++ {
		s.offset.Store(int64(time.Duration(round-7)*day - time.Hour))
		report, err := s.service.Run(s.admin, control.RunRequest{Pipeline: s.pipeline.ID, Trigger: model.TriggerScheduled})
		s.must(err)
		if s.run = report.RunID; report.Status != model.RunSuccess {
			s.t.Fatalf("the run of the fixture: %+v", report)
		}
		_, err = sample.Change(s.t.Context(), file, round)
		s.must(err)
		if round > 5 {
			report, err = s.service.Run(s.admin, control.RunRequest{Pipeline: s.failed.ID, Trigger: model.TriggerScheduled})
			s.must(err)
			if s.failedRun = report.RunID; report.Status != model.RunFailed {
				s.t.Fatalf("the failing run of the fixture: %+v", report)
			}
		}
	}
	s.connect()
	_, err = s.service.HearRuns(s.admin) // makes the incidents, as the schedule does
	s.must(err)
	s.offset.Store(0)
}

// client is an HTTP client without scripts, signed in as a role.
func (s *site) client(role model.Role) *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	s.must(err)
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second}
	if role != "" {
		status, text := s.post(c, "/sign-in", url.Values{"email": {string(role) + "@example.com"}, "password": {sitePassword.Reveal()}})
		if status != http.StatusOK || strings.Contains(text, "<h1 class=\"card-title\">Sign in") {
			s.t.Fatalf("sign in as %s: %d %s", role, status, text)
		}
	}
	return c
}

func (s *site) get(c *http.Client, path string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	s.must(err)
	return s.do(c, req)
}

func (s *site) post(c *http.Client, path string, form url.Values) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
	s.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(c, req)
}

func (s *site) do(c *http.Client, req *http.Request) (int, string) {
	s.t.Helper()
	res, err := c.Do(req)
	s.must(err)
	text, err := io.ReadAll(res.Body)
	s.must(errors.Join(err, res.Body.Close()))
	if strings.Contains(string(text), dbPassword) {
		s.t.Errorf("%s shows a password", req.URL)
	}
	return res.StatusCode, string(text)
}
