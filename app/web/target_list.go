package web

import (
	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

func targetTabs(path string) []components.Tab {
	return []components.Tab{
		{Label: "Targets", Href: "/notifications", Active: path == "/notifications"},
		{Label: "Messages", Href: "/notifications/deliveries", Active: path == "/notifications/deliveries"},
	}
}

// targetList is the places that notifications go to.
func targetList(v *visit) error {
	targets, err := v.Control.ListTargets(v.ctx)
	if err != nil {
		return err
	}
	links, err := v.Control.ListAllLinks(v.ctx)
	if err != nil {
		return err
	}
	view := pages.TargetsView{Tabs: targetTabs("/notifications")}
	for _, t := range targets {
		line := pages.TargetLine{ID: t.ID, Name: t.Name, Kind: string(t.Type), Where: targetWhere(t), Active: t.Active}
		for _, l := range links {
			if l.TargetID == t.ID {
				line.Pipelines++
			}
		}
		last, _, err := v.Control.ListNotifications(v.ctx, control.NotificationFilter{TargetID: t.ID, Page: control.Page{Limit: 1}})
		if err != nil {
			return err
		}
		if len(last) > 0 {
			line.LastStatus, line.LastAt = string(last[0].Status), last[0].CreatedAt
		}
		view.Targets = append(view.Targets, line)
	}
	return v.show(page{title: "Notifications"}, pages.Targets(view))
}

// targetWhere is where a target's messages go, as far as it is no secret.
func targetWhere(t model.NotificationTarget) string {
	switch t.Type {
	case model.TargetSMTP:
		return t.Config["to"]
	case model.TargetTelegram:
		return "chat " + t.Config["chat_id"]
	}
	return ""
}
