package web

import (
	"net/http"
	"net/url"
	"slices"

	"arus/app/control"
	"arus/app/model"
	"arus/views/components"
	"arus/views/pages"
)

// targetField says a field of a kind of target in words.
func targetField(f model.TargetField) pages.TargetField {
	field := pages.TargetField{Name: f.Name, Required: f.Required, Secret: f.Secret}
	switch f.Name {
	case "bot_token":
		field.Label, field.Help = "Token of the bot", "BotFather gives it."
	case "chat_id":
		field.Label, field.Help = "Chat", "The chat's number, such as -1001234567890."
	case "api_base":
		field.Label, field.Help = "Address of the bot API", "Empty: https://api.telegram.org."
	case "webhook_url":
		field.Label, field.Help = "Address of the webhook", "Whoever has it can write to the channel."
	case "url":
		field.Label, field.Help = "Address", "It gets a POST with JSON; see docs/notifications.md."
	case "secret":
		field.Label, field.Help = "Signing secret", "Signs what is sent with HMAC-SHA256."
	case "host":
		field.Label = "Mail server"
	case "port":
		field.Label, field.Type, field.Help = "Port", "number", "Empty: as the encryption has it."
	case "security":
		field.Label = "Encryption"
		field.Options = []components.Option{{Value: "", Label: "as the port has it"}, {Value: "starttls", Label: "STARTTLS"}, {Value: "tls", Label: "TLS from the beginning"}, {Value: "none", Label: "none"}}
	case "username":
		field.Label = "User"
	case "password":
		field.Label = "Password"
	case "from":
		field.Label, field.Help = "From", "Such as arus@example.com."
	case "to":
		field.Label, field.Help = "To", "Addresses with commas between."
	default:
		field.Label = f.Name
	}
	return field
}

func targetFields(kind model.TargetType, stored bool) []pages.TargetField {
	var list []pages.TargetField
	for _, f := range model.TargetFields(kind) {
		field := targetField(f)
		field.Set = stored && f.Secret && f.Required // a secret that must be there is there
		list = append(list, field)
	}
	return list
}

func targetCrumbs() []components.Link {
	return []components.Link{{Label: "Notifications", Href: "/notifications"}}
}

// targetNewPage is the form of a new target of a kind.
func targetNewPage(v *visit) error {
	kind := model.TargetType(v.query("type"))
	if !slices.Contains(model.TargetTypes(), kind) {
		kind = model.TargetSMTP
	}
	return v.targetNewForm(kind, components.Form{Values: url.Values{"is_active": {"true"}}})
}

func (v *visit) targetNewForm(kind model.TargetType, f components.Form) error {
	view := pages.TargetView{New: true, Kind: string(kind), Form: f, Fields: targetFields(kind, false)}
	return v.showAs(statusOf(f), page{title: "New target", crumbs: targetCrumbs()}, pages.Target(view))
}

// targetNew makes a target.
func targetNew(v *visit) error {
	kind := model.TargetType(v.value("type"))
	in := v.targetInput(kind)
	in.Type = &kind
	t, err := v.Control.AddTarget(v.ctx, in)
	if err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.targetNewForm(kind, f)
	}
	return v.done("/notifications/"+t.ID, "The target is saved. Send it a test.")
}

// targetInput reads the form of a target.
func (v *visit) targetInput(kind model.TargetType) control.TargetInput {
	name, active := v.value("name"), v.checked("is_active")
	in := control.TargetInput{Name: &name, Active: &active, Config: map[string]string{}}
	for _, f := range model.TargetFields(kind) {
		in.Config[f.Name] = v.value("config." + f.Name)
	}
	return in
}

// targetShow is one target.
func targetShow(v *visit) error {
	t, err := v.Control.Target(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	return v.targetForm(t, components.Form{Values: targetValues(t)}, nil)
}

func targetValues(t model.NotificationTarget) url.Values {
	values := url.Values{"name": {t.Name}}
	for name, value := range t.Config {
		values.Set("config."+name, value)
	}
	if t.Active {
		values.Set("is_active", "true")
	}
	return values
}

func (v *visit) targetForm(t model.NotificationTarget, f components.Form, test *pages.TestAnswer) error {
	links, err := v.Control.ListAllLinks(v.ctx)
	if err != nil {
		return err
	}
	names, err := v.Control.PipelineNames(v.ctx)
	if err != nil {
		return err
	}
	view := pages.TargetView{ID: t.ID, Name: t.Name, Kind: string(t.Type), Active: t.Active, Form: f, Fields: targetFields(t.Type, true), Test: test}
	for _, l := range links {
		if l.TargetID == t.ID {
			view.Pipelines = append(view.Pipelines, components.Link{Label: names[l.PipelineID], Href: "/pipelines/" + l.PipelineID})
		}
	}
	view.Events = []components.Option{{Value: string(model.EventTest), Label: "a test"}}
	for _, e := range model.NotifyEvents() {
		view.Events = append(view.Events, components.Option{Value: string(e), Label: eventWords(e)})
	}
	status := statusOf(f)
	if test != nil && !test.Sent {
		status = http.StatusBadGateway
	}
	return v.showAs(status, page{title: t.Name, crumbs: targetCrumbs()}, pages.Target(view))
}

// targetEdit changes a target. A secret that is left empty stays.
func targetEdit(v *visit) error {
	t, err := v.Control.Target(v.ctx, v.path("id"))
	if err != nil {
		return err
	}
	if _, err := v.Control.UpdateTarget(v.ctx, t.ID, v.targetInput(t.Type)); err != nil {
		f, ok := v.form(err)
		if !ok {
			return err
		}
		return v.targetForm(t, f, nil)
	}
	return v.done("/notifications/"+t.ID, "The target is saved.")
}
