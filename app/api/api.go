// Package api is the REST interface under /api: the original Arus's paths,
// fields and envelopes, with real statuses. Each handler takes a request apart,
// calls one use case of control and gives its answer a shape; nothing is decided
// here.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"arus/app/auth"
	"arus/app/control"
	"arus/connectors"
)

// API serves the REST interface. Construct it with all fields set.
type API struct {
	Control *control.Service
	Log     *slog.Logger
	Now     func() time.Time
	Version string
	Started time.Time
	Ready   func() bool // false until the services run, and while they stop

	bodies  *semaphore.Weighted // bytes of bodies of Tables that are in memory
	answers answers
}

// route is one path with what it takes and gives.
type route struct {
	method  string
	path    string
	needs   auth.Permission
	handler func(*call) (any, error)
	summary string
	query   string // names of the query parameters, with a blank between
	in      any    // the body's zero value; nil: none
	out     any    // the zero value of the answer's data
}

// Handler is the whole of /api.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	held := remembered()
	for _, rt := range routes() {
		f := form{maxBody: maxBody, write: (*call).write, fail: (*API).fail, held: held[rt.method+" "+rt.path]}
		if rt.method == http.MethodPost && rt.path == uploads {
			f.maxBody = math.MaxInt64
		}
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { a.serveAs(f, w, r, rt) })
	}
	// What no route takes gets the envelope too.
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			probe := r.Clone(r.Context())
			probe.Method = method
			if _, pattern := mux.Handler(probe); pattern != "/api/" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			writeError(w, http.StatusMethodNotAllowed, Error{Code: "METHOD_NOT_ALLOWED", Message: r.Method + " is not possible here, " + strings.Join(allowed, ", ") + " is"})
			return
		}
		writeError(w, http.StatusNotFound, Error{Code: codeNotFound, Message: "there is nothing at " + r.URL.Path})
	})
	return mux
}

// maxBody bounds a request's body, but for that of uploads.
const maxBody = 4 << 20

// uploads is where a backup of any size is sent to.
const uploads = "/api/backups"

// form is how answers of some routes look.
type form struct {
	maxBody int64
	write   func(c *call, status int, data any)
	fail    func(a *API, w http.ResponseWriter, r *http.Request, rt route, err error)
	held    bool // see remembered
}

// serveAs answers one request: who asks, whether they may, what comes out.
func (a *API) serveAs(f form, w http.ResponseWriter, r *http.Request, rt route) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // the server compares it in the same way
				panic(p)
			}
			a.Log.ErrorContext(r.Context(), "a request panicked", "route", rt.path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			f.fail(a, w, r, rt, errPanicked)
		}
	}()
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, f.maxBody)
	ctx := r.Context()
	if rt.needs != auth.Public {
		var err error
		if ctx, err = Identify(a.Control, r); err == nil {
			err = auth.Check(ctx, rt.needs)
		}
		if err != nil {
			f.fail(a, w, r, rt, err)
			return
		}
	}
	c := &call{API: a, w: w, r: r.WithContext(ctx), ctx: ctx}
	defer func() {
		if c.leave != nil {
			c.leave()
		}
	}()
	if f.held {
		if err := a.remember(c, rt); err != nil {
			f.fail(a, w, r, rt, err)
		}
		return
	}
	data, err := rt.handler(c)
	if err == nil {
		err = c.err()
	}
	if err != nil {
		f.fail(a, w, r, rt, err)
		return
	}
	switch d := data.(type) {
	case written:
	case reply:
		f.write(c, d.status, d.data)
	default:
		f.write(c, http.StatusOK, data)
	}
}

// reply is data with another status than 200.
type reply struct {
	status int
	data   any
}

func created(data any) reply  { return reply{http.StatusCreated, data} }
func accepted(data any) reply { return reply{http.StatusAccepted, data} }

// written says that the handler has written its answer itself.
type written struct{}

// CookieName is the console's session cookie; over https it has SecureCookieName,
// which a browser takes from this host alone.
const (
	CookieName       = "arus_session"
	SecureCookieName = "__Host-arus_session"
)

// Identify puts whoever sends a request into its context: the holder of a bearer
// token or else of the console's cookie. The error is auth.ErrSignIn.
func Identify(s *control.Service, r *http.Request) (context.Context, error) {
	address := ClientAddress(r)
	if header := r.Header.Get("Authorization"); header != "" {
		token := header
		if scheme, rest, ok := strings.Cut(header, " "); ok {
			if !strings.EqualFold(scheme, "Bearer") {
				return r.Context(), auth.ErrSignIn
			}
			token = rest
		}
		return s.AuthenticateBearer(r.Context(), connectors.Secret(strings.TrimSpace(token)), address)
	}
	for _, name := range []string{SecureCookieName, CookieName} {
		if c, err := r.Cookie(name); err == nil && c.Value != "" {
			return s.AuthenticateSession(r.Context(), connectors.Secret(c.Value), address)
		}
	}
	return r.Context(), auth.ErrSignIn
}

// ClientAddress is where a request comes from. The server has put there what a
// proxy that is believed says.
func ClientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

type secureKey struct{}

// WithSecure notes what a proxy that is believed says: whether the person's
// browser speaks https to it.
func WithSecure(r *http.Request, yes bool) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), secureKey{}, yes))
}

// IsSecure says whether the person's browser speaks https, to this server or to
// a proxy that is believed.
func IsSecure(r *http.Request) bool {
	yes, _ := r.Context().Value(secureKey{}).(bool)
	return yes || r.TLS != nil
}

// IsLoopback says whether an address is this machine's own.
func IsLoopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback() || host == "localhost"
}

var errPanicked = errors.New("a fault of the program")
