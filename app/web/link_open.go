package web

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"arus/app/api"
	"arus/app/auth"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// LinkPath is where another start of the program asks for a link. It shows the
// secret that stands in the data directory, so only whoever can read that gets one.
const LinkPath = "/local/link"

// openLink signs in whoever holds a link, once, and leads to the first page.
func openLink(v *visit) error {
	token, session, err := v.Control.Enter(v.r.Context(), connectors.Secret(v.query("token")), api.ClientAddress(v.r), v.r.UserAgent())
	if errors.Is(err, auth.ErrSignIn) {
		if v.actor().Role != "" { // opened again by somebody who is in
			return v.redirect("/", components.Flash{})
		}
		form := components.Form{Message: "This link was used already or is too old. Start Arus again for another, or sign in."}
		return v.showAs(http.StatusUnauthorized, page{title: "Sign in"}, pages.SignIn(form, "/"))
	}
	if err != nil {
		return err
	}
	v.setSession(token.Reveal(), session.ExpiresAt.Sub(v.Now()))
	return v.redirect("/", components.Flash{})
}

// Link is the address of a link that signs its opener in, once.
func Link(base string, token connectors.Secret) string {
	return base + "/enter?token=" + url.QueryEscape(token.Reveal())
}

// giveLink answers another start of the program on this data directory.
func (s *Server) giveLink(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if err != nil || !api.IsLoopback(host) || s.Knock == "" || subtle.ConstantTimeCompare([]byte(given), []byte(s.Knock.Reveal())) != 1 {
		http.NotFound(w, r)
		return
	}
	token, err := s.Control.IssueLink(scheduleContext(), r.Header.Get("X-Arus-Name"))
	if err != nil {
		s.Log.ErrorContext(r.Context(), "make a link", "error", err)
		http.Error(w, "no link can be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprint(w, token.Reveal())
}
