package web

import (
	"net/http"
	"net/url"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// userShow is one account.
func userShow(v *visit) error {
	u, err := v.Control.User(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.userForm(http.StatusOK, u, components.Form{Values: userValues(u)}, components.Form{}, "")
}

func userValues(u model.User) url.Values {
	values := url.Values{"name": {u.Name}, "email": {u.Email}, "role": {string(u.Role)}}
	if u.Active {
		values.Set("is_active", "true")
	}
	return values
}

func (v *visit) userForm(status int, u model.User, f, password components.Form, fresh connectors.Secret) error {
	sessions, err := v.Control.ListSessions(v.ctx, u.ID)
	if err != nil {
		return err
	}
	view := pages.UserView{
		ID: u.ID, Name: u.Name, Email: u.Email, Self: u.ID == v.actor().UserID(), Form: f, Password: password, Last: u.LastLogin, Made: u.CreatedAt,
		Sessions: v.sessionLines(sessions, nil), Fresh: fresh.Reveal(),
	}
	return v.showAs(status, page{title: u.Name, crumbs: userCrumbs()}, pages.User(view))
}

// userEdit changes an account.
func userEdit(v *visit) error {
	u, err := v.Control.User(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	email, name, role, active := v.value("email"), v.value("name"), model.Role(v.value("role")), v.checked("is_active")
	if _, err = v.Control.UpdateUser(v.ctx, u.ID, control.UserUpdate{Email: &email, Name: &name, Role: &role, Active: &active}); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.userForm(http.StatusUnprocessableEntity, u, f, components.Form{}, "")
	}
	return v.done("/users/"+u.ID, "The account is saved.")
}

// userPassword gives an account another password: the one of the form, or one
// that is made and shown once.
func userPassword(v *visit) error {
	u, err := v.Control.User(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	password, made := v.givenPassword()
	values := components.Form{Values: userValues(u)}
	if _, err = v.Control.UpdateUser(v.ctx, u.ID, control.UserUpdate{Password: &password}); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.userForm(http.StatusUnprocessableEntity, u, values, f, "")
	}
	if made {
		return v.userForm(http.StatusOK, u, values, components.Form{}, password)
	}
	return v.done("/users/"+u.ID, "The password is another one, and every session has ended.")
}

// userSignOut ends every session of an account.
func userSignOut(v *visit) error {
	n, err := v.Control.SignOutEverywhere(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.done("/users/"+v.path("id"), components.Plural(n, "session")+" ended.")
}
