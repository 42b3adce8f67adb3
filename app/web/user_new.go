package web

import (
	"net/http"
	"net/url"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

func userCrumbs() []components.Link { return []components.Link{{Label: "Users", Href: "/users"}} }

// userNewPage is the form of a new account.
func userNewPage(v *visit) error {
	return v.userNewForm(components.Form{Values: url.Values{"role": {string(model.RoleViewer)}}})
}

func (v *visit) userNewForm(f components.Form) error {
	return v.showAs(statusOf(f), page{title: "New user", crumbs: userCrumbs()}, pages.User(pages.UserView{New: true, Form: f}))
}

// userNew makes an account. Without a password it makes one and shows it, once.
func userNew(v *visit) error {
	password, made := v.givenPassword()
	u, err := v.Control.AddUser(v.ctx, control.UserInput{Email: v.value("email"), Name: v.value("name"), Role: model.Role(v.value("role")), Password: password})
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.userNewForm(f)
	}
	if made {
		return v.userForm(http.StatusOK, u, components.Form{Values: userValues(u)}, components.Form{}, password)
	}
	return v.done("/users", "The account "+u.Email+" is there.")
}

// givenPassword is the password of the form, or one that is made.
func (v *visit) givenPassword() (password connectors.Secret, made bool) {
	if text := v.r.PostForm.Get("password"); text != "" {
		return connectors.Secret(text), false
	}
	return connectors.Secret(auth.NewToken("").Reveal()[:20]), true
}
