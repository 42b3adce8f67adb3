package web

import (
	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// notificationList is every message to every target.
func notificationList(v *visit) error {
	list := v.list()
	targets, err := v.Control.ListTargets(v.ctx)
	if err != nil {
		return err
	}
	names, err := v.Control.PipelineNames(v.ctx)
	if err != nil {
		return err
	}
	sent, total, err := v.Control.ListNotifications(v.ctx, control.NotificationFilter{
		TargetID: list.Filter("target"), PipelineID: list.Filter("pipeline"), Status: model.Delivery(list.Filter("status")), Page: listPage(list),
	})
	if err != nil {
		return err
	}
	list.Total = total
	view := pages.DeliveriesView{Tabs: targetTabs("/notifications/deliveries"), List: list}
	options := make([]components.Option, len(targets))
	for i, t := range targets {
		options[i] = components.Option{Value: t.ID, Label: t.Name}
	}
	view.Filters = []components.Filter{{Name: "status", Label: "Any state", Options: components.Options(model.Deliveries()...)}}
	if len(options) > 0 {
		view.Filters = append(view.Filters, components.Filter{Name: "target", Label: "Any target", Options: options})
	}
	if len(names) > 0 {
		view.Filters = append(view.Filters, components.Filter{Name: "pipeline", Label: "Any pipeline", Options: nameOptions(names)})
	}
	for _, n := range sent {
		view.Lines = append(view.Lines, pages.Delivery{
			Title: n.Message.Title, Target: n.TargetName, TargetID: n.TargetID, Kind: string(n.TargetType), Event: string(n.Event), Status: string(n.Status), Answer: n.Answer,
			Pipeline: names[n.PipelineID], PipelineID: n.PipelineID, RunID: n.RunID, At: n.CreatedAt, Next: n.NextAttemptAt, Attempts: n.Attempts,
		})
	}
	return v.show(page{title: "Messages", crumbs: targetCrumbs()}, pages.Deliveries(view))
}
