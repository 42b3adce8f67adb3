package web

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/a-h/templ"

	"arus/app/auth"
	"arus/app/control"
	"arus/connectors/warehouse/schema"
	"arus/views/components"
	"arus/views/layout"
	"arus/views/pages"
)

// visit is one request for a page, by somebody whom ctx knows.
type visit struct {
	*console
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context
	now uint64 // the last thing that happened before
}

// page says what surrounds the content of a page.
type page struct {
	title  string
	crumbs []components.Link // from the section to the page itself, which the title adds
	status string            // stands before the title in the browser's tab
	icon   string            // of the tab: bad or busy
	script []string
	style  []string
}

// actor is who visits.
func (v *visit) actor() auth.Actor { return auth.ActorOf(v.ctx) }

// can says whether the visitor has a permission.
func (v *visit) can(p auth.Permission) bool { return v.actor().Can(p) }

// path is a part of the address, such as {id}.
func (v *visit) path(name string) string { return v.r.PathValue(name) }

// query is a parameter of the address.
func (v *visit) query(name string) string { return v.r.URL.Query().Get(name) }

// value is what stands in a field of the form that was sent.
func (v *visit) value(name string) string { return strings.TrimSpace(v.r.PostForm.Get(name)) }

// checked says whether a box of the form was ticked.
func (v *visit) checked(name string) bool { return v.r.PostForm.Get(name) != "" }

// list is the state of a list, as the address has it.
func (v *visit) list() components.List { return components.NewList(v.r.URL) }

// listPage is the part of a list that its page shows.
func listPage(l components.List) control.Page { return control.Page{Limit: l.Size, Offset: l.Offset()} }

// form is what was sent, with what err says is wrong with it. ok is false when
// err is about something else than what was filled in.
func (v *visit) form(err error) (f components.Form, ok bool) {
	f.Values = v.r.PostForm
	if err == nil {
		return f, true
	}
	if invalid, is := errors.AsType[*control.InvalidError](err); is {
		f.Faults = map[string]string{}
		for _, fault := range invalid.Faults {
			f.Faults[fault.Field] = fault.Message
		}
		return f, true
	}
	if errors.Is(err, control.ErrConflict) || errors.Is(err, control.ErrInvalid) || errors.Is(err, control.ErrInUse) ||
		errors.Is(err, control.ErrOwnAccount) || errors.Is(err, control.ErrRunActive) || errors.Is(err, control.ErrRunState) {
		f.Message = err.Error()
		return f, true
	}
	if broken, is := errors.AsType[*schema.Error](err); is && broken.Class != schema.NotFound {
		f.Message = broken.Error()
		return f, true
	}
	return f, false
}

// partial says whether only the content is wanted: by htmx, for a part of a page
// or a dialog.
func (v *visit) partial() bool { return v.r.Header.Get("Hx-Request") != "" }

// show draws a page.
func (v *visit) show(p page, body templ.Component) error { return v.showAs(http.StatusOK, p, body) }

// showAs draws a page with a status: 422 for a form that was not taken.
func (v *visit) showAs(status int, p page, body templ.Component) error {
	if v.partial() {
		v.tab(p)
		return v.write(status, body)
	}
	shell := v.shell(p)
	whole := layout.Page(shell)
	if v.actor().Role == "" {
		whole = layout.Plain(shell)
	}
	return v.write(status, templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return whole.Render(templ.WithChildren(ctx, body), w)
	}))
}

// fragment draws a part of a page.
func (v *visit) fragment(body templ.Component) error { return v.write(http.StatusOK, body) }

// live draws a part of a page anew, and with it the browser's tab.
func (v *visit) live(p page, body templ.Component) error {
	v.tab(p)
	return v.fragment(body)
}

// tab says to app.js how the browser's tab is to look now. A dialog is no page of
// its own.
func (v *visit) tab(p page) {
	if v.r.Header.Get("Hx-Target") == "dialog-body" {
		return
	}
	title, icon := layout.Shell{Title: p.title, Status: p.status, Icon: p.icon}.Tab()
	text, err := json.Marshal(map[string]any{"tab": map[string]string{"title": title, "icon": v.assets.address(icon)}})
	if err != nil {
		return
	}
	var header strings.Builder // of ASCII alone
	for _, c := range string(text) {
		if c < utf8.RuneSelf {
			header.WriteRune(c)
			continue
		}
		for _, unit := range utf16.Encode([]rune{c}) {
			fmt.Fprintf(&header, "\\u%04x", unit)
		}
	}
	v.w.Header().Set("Hx-Trigger", header.String())
}

// redirect leads on after something was done. The flash, where it has a text, is
// said on the next page.
func (v *visit) redirect(to string, flash components.Flash) error {
	if flash.Text != "" {
		text, err := json.Marshal(flash)
		if err != nil {
			return err
		}
		v.setCookie(flashCookie, base64.RawURLEncoding.EncodeToString(text), 60*time.Second, true)
	}
	to = local(to)
	if v.partial() {
		v.w.Header().Set("Hx-Redirect", to)
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// done is a redirect that says that something was done.
func (v *visit) done(to, text string) error {
	return v.redirect(to, components.Flash{Kind: "success", Text: text})
}

// confirm asks whether something is to be done: as a page, and as a dialog where
// there are scripts.
func (v *visit) confirm(p page, c components.Confirm) error {
	status := http.StatusOK
	if c.Form.Failed() {
		status = http.StatusUnprocessableEntity
	}
	return v.showAs(status, p, pages.Confirm(c))
}

// The console's cookies, next to that of the session.
const (
	flashCookie = "arus_flash"
	themeCookie = "arus_theme"
	zoneCookie  = "arus_zone" // set by app.js

	chosenZoneCookie = "arus_zone_chosen"
	seenCookie       = "arus_seen"
)

func (v *visit) setCookie(name, value string, life time.Duration, hidden bool) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()), HttpOnly: hidden, SameSite: http.SameSiteLaxMode, Secure: v.Secure(v.r)}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(v.w, c)
}

func (v *visit) cookie(name string) string {
	if c, err := v.r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

// flashes are what the page before left to be said; they are said once.
func (v *visit) flashes() []components.Flash {
	text, err := base64.RawURLEncoding.DecodeString(v.cookie(flashCookie))
	var f components.Flash
	if err != nil || len(text) == 0 || json.Unmarshal(text, &f) != nil {
		return nil
	}
	v.setCookie(flashCookie, "", 0, true)
	if f.Link.Href != "" {
		f.Link.Href = local(f.Link.Href)
	}
	return []components.Flash{f}
}

// zone is the zone of whoever looks: the one that was chosen, else the browser's.
func (v *visit) zone() *time.Location {
	if zone, err := time.LoadLocation(v.cookie(chosenZoneCookie)); err == nil && v.cookie(chosenZoneCookie) != "" {
		return zone
	}
	return v.browserZone()
}

// browserZone is the zone of the browser: UTC where it is not known.
func (v *visit) browserZone() *time.Location {
	name, err := url.QueryUnescape(v.cookie(zoneCookie))
	if err != nil || name == "" || name == "Local" {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

// shell is what surrounds a page.
func (v *visit) shell(p page) layout.Shell {
	actor := v.actor()
	s := layout.Shell{
		Title: p.title, Status: p.status, Icon: p.icon, Theme: v.cookie(themeCookie), Path: v.r.URL.RequestURI(), Search: "",
		Flash: v.flashes(), Events: v.now, Script: p.script, Style: p.style, Account: v.has("/account"),
		User: layout.User{Name: actor.Name, Email: actor.Name, Role: string(actor.Role)},
	}
	if actor.Role == "" {
		return s
	}
	if v.r.URL.Path == "/search" {
		s.Search = v.query("q")
	}
	if user, err := v.Control.Me(v.ctx); err == nil {
		s.User.Name = user.Name
	}
	s.Alerts, _ = v.unseen()
	s.Crumbs = append(s.Crumbs, p.crumbs...)
	if p.title != "" {
		s.Crumbs = append(s.Crumbs, components.Link{Label: p.title})
	}
	for _, sec := range sections() {
		if !v.has(sec.path) || !v.can(sec.needs) {
			continue
		}
		item := layout.Item{Label: sec.label, Href: sec.path, Icon: sec.icon, Key: sec.key, Active: within(v.r.URL.Path, sec.path)}
		if n := len(s.Nav); n == 0 || s.Nav[n-1].Label != sec.group {
			s.Nav = append(s.Nav, layout.Group{Label: sec.group})
		}
		g := &s.Nav[len(s.Nav)-1]
		g.Items = append(g.Items, item)
	}
	return s
}

// within says whether an address belongs to a section.
func within(path, section string) bool {
	return path == section || section != "/" && strings.HasPrefix(path, section+"/")
}

// write draws a component. It is drawn whole before the first byte is sent, so
// that a fault on the way is an error page and not half a page.
func (v *visit) write(status int, body templ.Component) error {
	ctx := components.WithViewer(v.ctx, components.Viewer{
		Now: v.Now(), Zone: v.zone(), Asset: v.assets.address,
		Can: func(p string) bool { return v.can(auth.Permission(p)) },
	})
	buffer := templ.GetBuffer()
	defer templ.ReleaseBuffer(buffer)
	if err := body.Render(ctx, buffer); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Accept-Encoding, Hx-Request")
	if buffer.Len() < 1<<10 || !acceptsGzip(v.r) {
		v.w.WriteHeader(status)
		_, _ = v.w.Write(buffer.Bytes()) // the browser is gone
		return nil
	}
	h.Set("Content-Encoding", "gzip")
	v.w.WriteHeader(status)
	z, err := gzip.NewWriterLevel(v.w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	_, _ = z.Write(buffer.Bytes()) // as above
	_ = z.Close()
	return nil
}

// json sends a value to a script of the page.
func (v *visit) json(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	_, _ = v.w.Write(text) // the browser is gone
	return nil
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" && strings.TrimSpace(q) != "q=0" {
			return true
		}
	}
	return false
}
