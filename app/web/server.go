// Package web is the HTTP server: the listener, what surrounds every request
// (security headers, limits, the log), health, metrics, and the console. The API
// hangs below it.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"arus/app/api"
	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

// Server serves one data directory. Construct it with all fields set, then Serve
// once.
type Server struct {
	Control *control.Service
	Log     *slog.Logger
	Now     func() time.Time
	Version string
	Started time.Time
	Public  bool // it listens beyond this machine
	// SampleRows is how many rows the sample data has; 0: as many as it has by default.
	SampleRows int

	Knock connectors.Secret // what another start of the program shows to get a link; empty: none gets one
	TLS   *tls.Config       // nil: plain HTTP
	Close func()            // ends the program; nil: it cannot be ended from the console

	ready atomic.Bool
}

// The limits of a request. Answers take as long as they need: a run may be
// waited for.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 2 * time.Minute
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

// SetReady says whether the services run.
func (s *Server) SetReady(yes bool) { s.ready.Store(yes) }

// Serve answers requests until ctx ends; then it takes no new ones and waits for
// those it has until stop ends. Streams end at once.
func (s *Server) Serve(ctx context.Context, listener net.Listener, stop func() (context.Context, context.CancelFunc)) error {
	// Who started the program is not who sends a request.
	nobody := auth.WithActor(context.WithoutCancel(ctx), auth.Actor{Kind: auth.ActorAnonymous, Name: "anonymous"})
	base, end := context.WithCancel(nobody)
	defer end()
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base }, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() {
		if s.TLS == nil {
			failed <- srv.Serve(listener)
			return
		}
		srv.TLSConfig = s.TLS
		failed <- srv.ServeTLS(listener, "", "")
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.SetReady(false)
	deadline, cancel := stop()
	defer cancel()
	end() // streams and waiting requests
	err := srv.Shutdown(deadline)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Handler is everything that is served.
func (s *Server) Handler() http.Handler {
	rest := &api.API{Control: s.Control, Log: s.Log, Now: s.Now, Version: s.Version, Started: s.Started, Ready: s.ready.Load}
	mux := http.NewServeMux()
	mux.Handle("/api/", rest.Handler())
	tables := rest.Tables()
	for _, path := range []string{"/schema/", "/data/", "/dbg/"} {
		mux.Handle(path, tables)
	}
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.readiness)
	figures := newMetrics(s, rest)
	mux.Handle("GET /metrics", figures.handler())
	mux.HandleFunc("POST "+LinkPath, s.giveLink)
	mux.Handle("/", newConsole(s).handler())
	// Browsers say where a request comes from; one that changes something and comes from another site is refused.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this request came from another site", http.StatusForbidden)
	}))
	return s.proxied(s.surround(figures.timed(guard.Handler(s.closed(mux)))))
}

// health says that the process answers.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") }

// readiness says whether it can do its work: the services run, and the state
// file can be read and written.
func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	switch err := s.Control.Ready(ctx); {
	case !s.ready.Load():
		plain(w, http.StatusServiceUnavailable, "starting or stopping")
	case err != nil:
		s.Log.ErrorContext(ctx, "the state file does not answer", "error", err)
		plain(w, http.StatusServiceUnavailable, "the state file does not answer")
	default:
		plain(w, http.StatusOK, "ready")
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// closed serves nobody beyond this machine until there is an admin.
func (s *Server) closed(next http.Handler) http.Handler {
	var open atomic.Bool // an admin stays, so it is asked for once only
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Public && !open.Load() && r.URL.Path != "/healthz" {
			needed, err := s.Control.NeedsSetup(r.Context())
			if err == nil && !needed {
				open.Store(true)
			} else if !api.IsLoopback(api.ClientAddress(r)) {
				plain(w, http.StatusServiceUnavailable, "Arus has no admin yet: make one on its own machine, with the setup link or arus user add")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// surround sets the headers that every answer has, and logs the request.
func (s *Server) surround(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := s.Now()
		s.Control.Pace.Ask()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		if s.Secure(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		// The path without its query: a setup link's token stands there.
		s.Log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", rec.status, "duration", s.Now().Sub(started))
	})
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader sends the status.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController what it needs.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Secure says whether the person's browser speaks https: to this server, to the
// base URL, or to a proxy that is believed.
func (s *Server) Secure(r *http.Request) bool {
	if api.IsSecure(r) {
		return true
	}
	settings, err := s.settings(r.Context())
	return err == nil && len(settings.BaseURL) > 8 && settings.BaseURL[:8] == "https://"
}

// settings are the runtime settings, for the server's own needs.
func (s *Server) settings(ctx context.Context) (model.Settings, error) {
	return s.Control.Settings(auth.WithActor(ctx, auth.Schedule()))
}

// scheduleContext is for what the program does by itself.
func scheduleContext() context.Context {
	return auth.WithActor(context.Background(), auth.Schedule())
}
