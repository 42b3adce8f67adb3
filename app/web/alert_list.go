package web

import (
	"strconv"
	"time"

	"arus/app/control"
	"arus/app/model"
	"arus/views/layout"
	"arus/views/pages"
)

// unseen is how many incidents began since the visitor last looked at them.
func (v *visit) unseen() (int, error) {
	list, err := v.Control.ListIncidents(v.ctx)
	if err != nil {
		return 0, err
	}
	seen := v.seen()
	n := 0
	for _, i := range list {
		if i.OpenedAt.After(seen) {
			n++
		}
	}
	return n, nil
}

// seen is when the visitor last looked at the alerts.
func (v *visit) seen() time.Time {
	ms, err := strconv.ParseInt(v.cookie(seenCookie), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// alertBell draws the bell anew.
func alertBell(v *visit) error {
	n, err := v.unseen()
	if err != nil {
		return err
	}
	return v.fragment(layout.Bell(n))
}

// alertList is what is wrong at present, and what people were told.
func alertList(v *visit) error {
	incidents, err := v.Control.ListIncidents(v.ctx)
	if err != nil {
		return err
	}
	names, err := v.Control.PipelineNames(v.ctx)
	if err != nil {
		return err
	}
	list := v.list()
	sent, total, err := v.Control.ListNotifications(v.ctx, control.NotificationFilter{Page: listPage(list)})
	if err != nil {
		return err
	}
	list.Total = total
	seen := v.seen()
	view := pages.AlertsView{List: list}
	for _, i := range incidents {
		view.Incidents = append(view.Incidents, pages.Incident{
			Pipeline: names[i.PipelineID], PipelineID: i.PipelineID, Kind: incidentWords(i.Kind), RunID: i.RunID,
			Since: i.OpenedAt, Runs: i.Runs, New: i.OpenedAt.After(seen),
		})
	}
	for _, n := range sent {
		view.Told = append(view.Told, pages.Told{
			Title: n.Message.Title, Target: n.TargetName, Status: string(n.Status), Answer: n.Answer, At: n.CreatedAt, PipelineID: n.PipelineID, RunID: n.RunID,
		})
	}
	v.setCookie(seenCookie, strconv.FormatInt(v.Now().UnixMilli(), 10), 365*24*time.Hour, true)
	return v.show(page{title: "Alerts"}, pages.Alerts(view))
}

// incidentWords says what kind of trouble it is.
func incidentWords(kind model.NotifyEvent) string {
	switch kind {
	case model.EventFailure:
		return "failing"
	case model.EventOverdue:
		return "overdue"
	case model.EventDeadLetter:
		return "dead letters"
	case model.EventQualityBreach:
		return "quality check failed"
	}
	return string(kind)
}
