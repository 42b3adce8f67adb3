package web

import (
	"arus/app/auth"
	"arus/views/components"
	"arus/views/pages"
)

// appClosePage asks whether the program is to end. Only one that a person
// started for themselves can be closed from here.
func appClosePage(v *visit) error {
	if v.Close == nil {
		return errNoPage
	}
	return v.confirm(page{title: "Close Arus", crumbs: []components.Link{{Label: "About", Href: "/about"}}}, components.Confirm{
		Title: "Close Arus?", Text: "Nothing runs by itself while Arus is closed.",
		Consequences: []string{"Runs that go on now end and continue from their last checkpoint next time.", "Start Arus again to come back."},
		Action:       "/close", Submit: "Close Arus", Back: "/about",
	})
}

// appClose ends the program, after its answer.
func appClose(v *visit) error {
	if v.Close == nil {
		return errNoPage
	}
	v.ctx = auth.WithActor(v.ctx, auth.Actor{}) // a page of its own: nothing answers the links of the others any more
	v.w.Header().Set("Connection", "close")
	if err := v.show(page{title: "Arus is closed"}, pages.Closed()); err != nil {
		return err
	}
	v.Close()
	return nil
}
