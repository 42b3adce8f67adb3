package web

import (
	"errors"
	"net/http"

	"arus/app/api"
	"arus/app/auth"
	"arus/app/control"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// setUp says whether there is nothing to set up any more.
func (v *visit) setUp() bool {
	needed, err := v.Control.NeedsSetup(v.ctx)
	return err != nil || !needed || !v.Control.Setup.Open()
}

// setupPage shows the form for the first admin.
func setupPage(v *visit) error {
	if v.setUp() {
		return errNoPage
	}
	return v.show(page{title: "Set up"}, pages.Setup(components.Form{}, v.query("token")))
}

// setup makes the first admin and signs them in.
func setup(v *visit) error {
	if v.setUp() {
		return errNoPage
	}
	token, password := v.value("token"), connectors.Secret(v.r.PostForm.Get("password"))
	user, err := v.Control.SetUp(v.r.Context(), connectors.Secret(token), control.UserInput{Email: v.value("email"), Name: v.value("name"), Password: password})
	if err != nil {
		form, ok := v.form(err)
		status := http.StatusUnprocessableEntity
		if errors.Is(err, auth.ErrSignIn) {
			form.Message, ok, status = "This setup link is not, or no longer, valid. Use the one that Arus printed at its last start.", true, http.StatusUnauthorized
		}
		if !ok {
			return err
		}
		return v.showAs(status, page{title: "Set up"}, pages.Setup(form, token))
	}
	session, s, err := v.Control.SignIn(v.r.Context(), control.Credentials{Email: user.Email, Password: password, Address: api.ClientAddress(v.r), UserAgent: v.r.UserAgent()})
	if err != nil {
		return err
	}
	v.setSession(session.Reveal(), s.ExpiresAt.Sub(v.Now()))
	return v.done("/welcome", "The account "+user.Email+" is there, and you are signed in.")
}
