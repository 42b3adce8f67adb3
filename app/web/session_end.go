package web

import (
	"errors"

	"arus/app/auth"
	"arus/views/components"
)

// sessionEnd signs the visitor out.
func sessionEnd(v *visit) error {
	if err := v.Control.SignOut(v.ctx); err != nil && !errors.Is(err, auth.ErrSignIn) {
		return err
	}
	v.setSession("", 0)
	return v.redirect("/sign-in", components.Flash{Kind: "success", Text: "You are signed out."})
}
