package web

import (
	"net/http"
	"net/url"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// linkList says who hears of what befalls a pipeline.
func linkList(v *visit) error {
	return v.links(http.StatusOK, components.Form{Values: url.Values{"event": {string(model.EventFailure)}}})
}

func (v *visit) links(status int, f components.Form) error {
	o, err := v.Control.Overview(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	links, err := v.Control.ListLinks(v.ctx, o.ID)
	if err != nil {
		return err
	}
	targets, err := v.Control.ListTargets(v.ctx)
	if err != nil {
		return err
	}
	head, surround := v.pipelineHead(o, "/notifications")
	view := pages.LinksView{Head: head, Form: f, Targets: v.has("/notifications")}
	for _, e := range model.NotifyEvents() {
		view.Events = append(view.Events, components.Option{Value: string(e), Label: eventWords(e)})
	}
	linked := map[string]bool{}
	for _, l := range links {
		row := pages.LinkRow{ID: l.ID, Target: l.TargetName, Type: string(l.TargetType)}
		for _, e := range l.Events {
			row.Events = append(row.Events, string(e))
		}
		linked[l.TargetID] = true
		view.Links = append(view.Links, row)
	}
	for _, t := range targets {
		if !linked[t.ID] {
			view.Free = append(view.Free, components.Option{Value: t.ID, Label: t.Name})
		}
		for i := range view.Links {
			if view.Links[i].Target == t.Name {
				view.Links[i].Off = !t.Active
			}
		}
	}
	view.Any = len(targets) > 0
	return v.showAs(status, surround, pages.Links(view))
}

// eventWords says what an event is, as the end of "tell me of ...".
func eventWords(e model.NotifyEvent) string {
	switch e {
	case model.EventFailure:
		return "a failed run"
	case model.EventSuccess:
		return "a good run"
	case model.EventDeadLetter:
		return "dead letters"
	case model.EventSchemaDrift:
		return "a changed schema"
	case model.EventQualityBreach:
		return "a failed quality check"
	case model.EventRecovery:
		return "the first good run after a failure"
	case model.EventOverdue:
		return "no success in time"
	}
	return string(e)
}

// linkChange adds a link, changes what it tells of, or removes it.
func linkChange(v *visit) error {
	events := []model.NotifyEvent{}
	for _, e := range v.r.PostForm["event"] {
		events = append(events, model.NotifyEvent(e))
	}
	id := v.path("id")
	back := "/pipelines/" + id + "/notifications"
	var err error
	said := "The notifications are saved."
	switch v.value("do") {
	case "remove":
		err, said = v.Control.DeleteLink(v.ctx, v.value("link")), "The target is no longer told."
	case "save":
		_, err = v.Control.UpdateLink(v.ctx, v.value("link"), events)
	default:
		if len(events) == 0 {
			return v.links(http.StatusUnprocessableEntity, components.Form{Values: v.r.PostForm, Faults: map[string]string{"event": "is missing: tick at least one"}})
		}
		p, perr := v.Control.Pipeline(v.ctx, id)
		if perr != nil {
			return perr
		}
		_, err = v.Control.AddLink(v.ctx, p.ID, v.value("target_id"), events)
	}
	if err != nil {
		f, ok := v.form(err)
		if !ok || control.IsNotFound(err) {
			return err
		}
		return v.links(http.StatusUnprocessableEntity, f)
	}
	return v.done(back, said)
}
