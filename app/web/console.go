package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"arus/app/api"
	"arus/app/auth"
)

// console is the pages. A handler takes a request apart, calls control and draws
// or leads on; nothing is decided here.
type console struct {
	*Server
	assets *assets
	board  *board
	sums   *figures
	routes []route
}

func newConsole(s *Server) *console {
	c := &console{Server: s, assets: newAssets(), board: newBoard(s.Now), routes: routes()}
	c.sums = newFigures(s, c.board)
	s.Control.Events.Observe(c.board.observe)
	return c
}

// handler is everything below /.
func (c *console) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/{name}", c.assets)
	for _, rt := range c.routes {
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, rt) })
	}
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, c.assets.address("favicon.svg"), http.StatusFound)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.serve(w, r, route{needs: auth.Anyone, path: "/", handler: func(*visit) error { return errNoPage }})
	})
	return mux
}

// has says whether there is a page at an address.
func (c *console) has(path string) bool {
	_, ok := c.route(path)
	return ok
}

// route is the page at an address.
func (c *console) route(path string) (route, bool) {
	if path == "/" {
		path = "/{$}"
	}
	at := slices.IndexFunc(c.routes, func(rt route) bool { return rt.method == http.MethodGet && rt.path == path })
	if at < 0 {
		return route{}, false
	}
	return c.routes[at], true
}

// errNoPage is an address that leads nowhere.
var errNoPage = errors.New("there is nothing at this address")

// maxForm bounds what a form may send, but for the one at backupUpload, which
// reads its own.
const maxForm = 4 << 20

// serve answers one request: who asks, whether they may, what is drawn.
func (c *console) serve(w http.ResponseWriter, r *http.Request, rt route) {
	v := &visit{console: c, w: w, r: r, ctx: r.Context(), now: c.Control.Events.Last()}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // the server compares it in the same way
				panic(p)
			}
			c.Log.ErrorContext(r.Context(), "a page panicked", "route", rt.path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			v.fail(errors.New("a fault of the program"))
		}
	}()
	w.Header().Set("Cache-Control", "no-store")
	if rt.path != backupUpload {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	ctx, err := api.Identify(c.Control, r)
	if err == nil {
		v.ctx = ctx
	}
	if rt.needs != auth.Public {
		if err == nil {
			err = auth.Check(v.ctx, rt.needs)
		}
	} else if errors.Is(err, auth.ErrSignIn) {
		err = nil
	}
	if err == nil && r.Method == http.MethodPost && rt.path != backupUpload {
		// A form with a file is read too; one without is no error.
		if err = r.ParseMultipartForm(maxForm); errors.Is(err, http.ErrNotMultipart) {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("read the form: %w", err)
		}
	}
	if err == nil {
		err = rt.handler(v)
	}
	if err != nil {
		v.fail(err)
	}
}

// signInAddress is where somebody unknown is led, and from there back.
func (c *console) signInAddress(ctx context.Context, r *http.Request) string {
	if needed, err := c.Control.NeedsSetup(ctx); err == nil && needed {
		return "/setup"
	}
	next := r.URL.RequestURI()
	if r.Method != http.MethodGet || r.Header.Get("Hx-Request") != "" {
		next = "/"
		if from, err := url.Parse(r.Header.Get("Hx-Current-Url")); err == nil && from.Path != "" {
			next = from.RequestURI()
		}
	}
	if next == "/" {
		return "/sign-in"
	}
	return "/sign-in?next=" + url.QueryEscape(next)
}

// local is an address of this console, or "/": nobody is led elsewhere.
func local(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(address, "//") || strings.ContainsAny(address, "\\\r\n") {
		return "/"
	}
	return u.RequestURI()
}
