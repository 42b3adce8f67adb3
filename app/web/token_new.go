package web

import (
	"net/url"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// tokenNewPage is the form of a new token.
func tokenNewPage(v *visit) error {
	return v.tokenNewForm(components.Form{Values: url.Values{"role": {string(model.RoleViewer)}, "expires_at": {"2160h"}}})
}

func (v *visit) tokenNewForm(f components.Form) error {
	return v.showAs(statusOf(f), page{title: "New token", crumbs: tokenCrumbs()}, pages.TokenNew(f))
}

// tokenNew makes a token and shows it, this once.
func tokenNew(v *visit) error {
	in := control.TokenInput{Name: v.value("name"), Role: model.Role(v.value("role"))}
	if life := v.value("expires_at"); life != "never" {
		d, err := time.ParseDuration(life)
		if err != nil || d <= 0 {
			return v.tokenNewForm(components.Form{Values: v.r.PostForm, Faults: map[string]string{"expires_at": "must be one of the list"}})
		}
		in.ExpiresAt = v.Now().Add(d)
	}
	token, made, err := v.Control.AddToken(v.ctx, in)
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.tokenNewForm(f)
	}
	return v.show(page{title: "Token " + made.Name, crumbs: tokenCrumbs()}, pages.TokenMade(made.Name, token.Reveal()))
}
