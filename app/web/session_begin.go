package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"arus/app/api"
	"arus/app/auth"
	"arus/app/control"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// sessionBeginPage shows the form for signing in.
func sessionBeginPage(v *visit) error {
	if v.actor().Role != "" {
		return v.redirect(v.query("next"), components.Flash{})
	}
	if needed, err := v.Control.NeedsSetup(v.ctx); err == nil && needed {
		return v.redirect("/setup", components.Flash{})
	}
	return v.show(page{title: "Sign in"}, pages.SignIn(components.Form{}, local(v.query("next"))))
}

// sessionBegin signs somebody in.
func sessionBegin(v *visit) error {
	next := local(v.value("next"))
	token, session, err := v.Control.SignIn(v.r.Context(), control.Credentials{
		Email: v.value("email"), Password: connectors.Secret(v.r.PostForm.Get("password")),
		Address: api.ClientAddress(v.r), UserAgent: v.r.UserAgent(),
	})
	if err == nil {
		v.setSession(token.Reveal(), session.ExpiresAt.Sub(v.Now()))
		return v.redirect(next, components.Flash{})
	}
	form := components.Form{Values: v.r.PostForm, Message: "The address or the password is wrong, or the account is disabled."}
	status := http.StatusUnauthorized
	if limit, ok := errors.AsType[*auth.LimitError](err); ok {
		status = http.StatusTooManyRequests
		form.Message = fmt.Sprintf("There were too many attempts. Try again in %s.", components.Duration(time.Duration(limit.Seconds())*time.Second))
		v.w.Header().Set("Retry-After", strconv.Itoa(limit.Seconds()))
	} else if !errors.Is(err, auth.ErrCredentials) {
		return err
	}
	return v.showAs(status, page{title: "Sign in"}, pages.SignIn(form, next))
}

// setSession gives the browser the session's token; without one it takes it away.
func (v *visit) setSession(token string, life time.Duration) {
	name := api.CookieName
	if v.Secure(v.r) {
		name = api.SecureCookieName
	}
	v.setCookie(name, token, life, true)
}
