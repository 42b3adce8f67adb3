package web

import (
	"time"

	"arus/app/auth"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// accountShow is the visitor's own account.
func accountShow(v *visit) error { return v.accountForm(components.Form{}) }

func (v *visit) accountForm(f components.Form) error {
	me, err := v.Control.Me(v.ctx)
	if err != nil {
		return err
	}
	theme := v.cookie(themeCookie)
	if theme == "" {
		theme = "auto"
	}
	zone := v.cookie(chosenZoneCookie)
	if f.Faults["zone"] != "" {
		zone = f.Value("zone")
	}
	view := pages.AccountView{
		Name: me.Name, Email: me.Email, Role: string(me.Role), HasPassword: v.actor().Kind == auth.ActorUser, Form: f, Theme: theme, Zone: zone,
		Detected: v.browserZone().String(), Zones: zoneNames(),
	}
	if id := v.actor().UserID(); id != "" {
		sessions, err := v.Control.ListSessions(v.ctx, id)
		if err != nil {
			return err
		}
		view.Sessions = v.sessionLines(sessions, nil)
	}
	return v.showAs(statusOf(f), page{title: "Account"}, pages.Account(view))
}

// accountPassword gives the visitor another password.
func accountPassword(v *visit) error {
	form := v.r.PostForm
	if err := v.Control.ChangePassword(v.ctx, connectors.Secret(form.Get("old_password")), connectors.Secret(form.Get("password"))); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.accountForm(f)
	}
	return v.done("/account", "The password is another one. Your other sessions have ended.")
}

// accountZone remembers in which zone the visitor wants times; empty is the
// browser's.
func accountZone(v *visit) error {
	name := v.value("zone")
	if name == "" {
		v.setCookie(chosenZoneCookie, "", 0, true)
		return v.done("/account", "Times are in the zone of the browser.")
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" || len(name) > 60 {
		return v.accountForm(components.Form{Values: v.r.PostForm, Faults: map[string]string{"zone": "There is no such zone: write one such as UTC or Europe/Berlin."}})
	}
	v.setCookie(chosenZoneCookie, name, 365*24*time.Hour, true)
	return v.done("/account", "Times are in the zone "+name+".")
}

// zoneNames are zones that the form offers; others can be written.
func zoneNames() []string {
	return []string{
		"UTC", "Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "Africa/Nairobi", "America/Bogota", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Mexico_City",
		"America/New_York", "America/Sao_Paulo", "America/Toronto", "Asia/Bangkok", "Asia/Dhaka", "Asia/Dubai", "Asia/Hong_Kong", "Asia/Jakarta", "Asia/Karachi", "Asia/Kolkata", "Asia/Manila",
		"Asia/Seoul", "Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo", "Australia/Perth", "Australia/Sydney", "Europe/Amsterdam", "Europe/Athens", "Europe/Berlin", "Europe/Istanbul",
		"Europe/London", "Europe/Madrid", "Europe/Moscow", "Europe/Paris", "Europe/Warsaw", "Pacific/Auckland",
	}
}

// accountSignOut ends every session of the visitor, this one too.
func accountSignOut(v *visit) error {
	id := v.actor().UserID()
	if id == "" {
		return errNoPage
	}
	if _, err := v.Control.SignOutEverywhere(v.ctx, id); err != nil {
		return err
	}
	v.setSession("", 0)
	return v.redirect("/sign-in", components.Flash{Kind: "success", Text: "You are signed out everywhere."})
}
