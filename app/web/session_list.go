package web

import (
	"slices"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// sessionLines are sign-ins for a list, with the names of their accounts.
func (v *visit) sessionLines(sessions []model.Session, names map[string]string) []pages.SessionLine {
	lines := make([]pages.SessionLine, len(sessions))
	for i, s := range sessions {
		kind := "browser"
		if s.Kind == model.SessionProgram {
			kind = "program"
		}
		lines[i] = pages.SessionLine{
			ID: s.ID, User: names[s.UserID], UserID: s.UserID, Kind: kind, Address: s.Address, Agent: s.UserAgent,
			Made: s.CreatedAt, Seen: s.LastSeenAt, Until: s.ExpiresAt, Here: s.ID == v.actor().SessionID,
		}
	}
	return lines
}

// sessionList is everybody's sign-ins.
func sessionList(v *visit) error {
	list := v.list()
	users, _, err := v.Control.ListUsers(v.ctx, control.Page{Limit: 1000})
	if err != nil {
		return err
	}
	sessions, err := v.Control.ListSessions(v.ctx, list.Filter("user"))
	if err != nil {
		return err
	}
	names := map[string]string{}
	view := pages.SessionsView{}
	for _, u := range users {
		names[u.ID] = u.Name
		view.Users = append(view.Users, components.Option{Value: u.ID, Label: u.Name + " (" + u.Email + ")"})
	}
	list.Total = len(sessions)
	view.List = list
	view.Sessions = slices.Clip(v.sessionLines(sessions[min(list.Offset(), len(sessions)):min(list.Offset()+list.Size, len(sessions))], names))
	return v.show(page{title: "Sessions", crumbs: userCrumbs()}, pages.Sessions(view))
}

// sessionRevoke ends a session: one's own, or as an admin anybody's.
func sessionRevoke(v *visit) error {
	id := v.path("id")
	if err := v.Control.RevokeSession(v.ctx, id); err != nil {
		return err
	}
	if id == v.actor().SessionID {
		v.setSession("", 0)
		return v.redirect("/sign-in", components.Flash{Kind: "success", Text: "You are signed out."})
	}
	return v.done(v.query("next"), "The session has ended.")
}
