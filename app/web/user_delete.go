package web

import (
	"arus/app/model"
	"arus/views/components"
)

// userDeletePage asks whether an account is to be deleted.
func userDeletePage(v *visit) error {
	u, err := v.Control.User(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.userDeleteForm(u, components.Form{})
}

func (v *visit) userDeleteForm(u model.User, f components.Form) error {
	return v.confirm(page{title: "Delete " + u.Name, crumbs: userCrumbs()}, components.Confirm{
		Title: "Delete " + u.Email + "?", Text: "The account goes with its sessions, its tokens and the history of its queries.",
		Consequences: []string{"Programs that use a token of this account are refused at once.", "What the account changed stays, and so does its name in the audit log.", "To keep the tokens, make the account inactive for a while and see what is refused."},
		Action:       "/users/" + u.ID + "/delete", Submit: "Delete the account", Back: "/users/" + u.ID, Danger: true, Type: u.Email, Form: f,
	})
}

// userDelete deletes an account.
func userDelete(v *visit) error {
	u, err := v.Control.User(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	if v.value("confirm") != u.Email {
		return v.userDeleteForm(u, components.Form{Values: v.r.PostForm, Faults: map[string]string{"confirm": "must be the account's address"}})
	}
	if err := v.Control.DeleteUser(v.ctx, u.ID); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.userDeleteForm(u, f)
	}
	return v.done("/users", u.Email+" is deleted.")
}
