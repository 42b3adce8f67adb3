package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"arus/app/auth"
	"arus/app/control"
)

// An answer is held until something that it was made from changes, and never longer than answerLife: figures of "the last 24
// hours" move with the clock.
const (
	answerLife = 10 * time.Second
	answerMost = 1 << 20 // bytes of one that is held
	answersMax = 8 << 20 // bytes of all
)

// remembered are the routes whose answers are held: those that are made from the state and the queue alone, and are the same
// for everybody of a role.
func remembered() map[string]bool {
	routes := map[string]bool{}
	for _, path := range []string{
		"/api/sources", "/api/sources/{id}", "/api/destinations", "/api/destinations/{id}",
		"/api/pipelines", "/api/pipelines/{id}", "/api/pipelines/{id}/runs", "/api/pipelines/{id}/watermarks", "/api/pipelines/{id}/scripts",
		"/api/runs", "/api/runs/{id}", "/api/runs/{id}/logs", "/api/runs/stats/daily", "/api/dashboard/summary", "/api/dashboard/recent-runs", "/api/dag",
		"/api/quality", "/api/schema-changes", "/api/schedules", "/api/settings", "/api/settings/details",
		"/api/notifications/targets", "/api/notifications/history", "/api/notifications/links/{id}",
	} {
		routes["GET "+path] = true
	}
	return routes
}

// answers holds answers by role and address.
type answers struct {
	mu    sync.Mutex
	by    map[string]*place
	bytes int

	held, made atomic.Int64
}

// Answers counts the answers that may be held: those that came from memory, and
// those that were made.
func (a *API) Answers() (held, made int64) { return a.answers.held.Load(), a.answers.made.Load() }

// place is where an answer is held. Whoever makes it anew has the turn and the others wait, so that a change costs one making.
type place struct {
	turn chan struct{} // holds one while nobody has the turn
	mu   sync.RWMutex
	page *page // nil: not made yet
}

// page is an answer, or one that is being made.
type page struct {
	header http.Header
	body   bytes.Buffer
	tag    string
	at     time.Time
	seen   *control.Seen
}

// Header is the answer's header.
func (p *page) Header() http.Header { return p.header }

// WriteHeader is for what is always 200.
func (p *page) WriteHeader(int) {}

// Write keeps a part of the answer.
func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }

// of gives the place of an answer. When there are too many, all go.
func (a *answers) of(key string) *place {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, ok := a.by[key]; ok {
		return at
	}
	if a.by == nil || len(a.by) >= 4000 || a.bytes > answersMax {
		a.by, a.bytes = map[string]*place{}, 0
	}
	at := &place{turn: make(chan struct{}, 1)}
	at.turn <- struct{}{}
	a.by[key] = at
	return at
}

// current is the page that is held, nil when it is no longer true.
func (at *place) current(c *call) *page {
	at.mu.RLock()
	p := at.page
	at.mu.RUnlock()
	if p == nil {
		return nil
	}
	if age := c.Now().Sub(p.at); age < 0 || age > answerLife || !c.Control.Unchanged(c.ctx, p.seen) {
		return nil
	}
	return p
}

// keep holds a page in place of the one before.
func (a *answers) keep(at *place, p *page) {
	if p.body.Len() > answerMost {
		return
	}
	at.mu.Lock()
	more := p.body.Len()
	if at.page != nil {
		more -= at.page.body.Len()
	}
	at.page = p
	at.mu.Unlock()
	a.mu.Lock()
	a.bytes += more
	a.mu.Unlock()
}

// remember sends the answer that is held, or makes it.
func (a *API) remember(c *call, rt route) error {
	// The role is all that these answers depend on beside the address.
	at := a.answers.of(string(auth.ActorOf(c.ctx).Role) + " " + c.r.URL.Path + "?" + c.r.URL.RawQuery)
	if p := at.current(c); p != nil {
		a.answers.held.Add(1)
		p.send(c)
		return nil
	}
	select {
	case <-at.turn:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	defer func() { at.turn <- struct{}{} }()
	if p := at.current(c); p != nil {
		a.answers.held.Add(1)
		p.send(c)
		return nil
	}
	a.answers.made.Add(1)
	p := &page{header: http.Header{}, at: c.Now()}
	inner := &call{API: a, w: p}
	inner.ctx, p.seen = control.Watch(c.ctx)
	inner.r = c.r.WithContext(inner.ctx)
	data, err := rt.handler(inner)
	if err == nil {
		err = inner.err()
	}
	if err != nil {
		return err
	}
	inner.write(http.StatusOK, data)
	sum := sha256.Sum256(p.body.Bytes())
	p.tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
	a.answers.keep(at, p)
	p.send(c)
	return nil
}

// send answers with the page; whoever has it already is told so.
func (p *page) send(c *call) {
	head := c.w.Header()
	maps.Copy(head, p.header)
	head.Set("Cache-Control", "private, no-cache") // it may be kept, and is asked for with its tag each time
	head.Set("Vary", "Authorization, Cookie")
	head.Set("ETag", p.tag)
	if strings.Contains(c.r.Header.Get("If-None-Match"), p.tag) {
		c.w.WriteHeader(http.StatusNotModified)
		return
	}
	head.Set("Content-Length", strconv.Itoa(p.body.Len()))
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(p.body.Bytes())
}
