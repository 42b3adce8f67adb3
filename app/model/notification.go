package model

import (
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TargetType is a kind of place that notifications go to.
type TargetType string

// The kinds of notification target.
const (
	TargetTelegram TargetType = "telegram"
	TargetDiscord  TargetType = "discord"
	TargetSlack    TargetType = "slack"
	TargetWebhook  TargetType = "webhook"
	TargetSMTP     TargetType = "smtp"
)

// TargetTypes lists every TargetType.
func TargetTypes() []TargetType {
	return []TargetType{TargetTelegram, TargetDiscord, TargetSlack, TargetWebhook, TargetSMTP}
}

// NotifyEvent is something a pipeline's people may want to hear of.
type NotifyEvent string

// The events of a pipeline. EventTest is for trying a target only.
const (
	EventFailure       NotifyEvent = "failure"
	EventSuccess       NotifyEvent = "success"
	EventDeadLetter    NotifyEvent = "dead_letter"
	EventSchemaDrift   NotifyEvent = "schema_drift"
	EventQualityBreach NotifyEvent = "quality_breach"
	EventRecovery      NotifyEvent = "recovery"
	EventOverdue       NotifyEvent = "overdue"
	EventTest          NotifyEvent = "test"
)

// NotifyEvents lists every event a pipeline can be linked with.
func NotifyEvents() []NotifyEvent {
	return []NotifyEvent{EventFailure, EventSuccess, EventDeadLetter, EventSchemaDrift, EventQualityBreach, EventRecovery, EventOverdue}
}

// TargetField is one field of a notification target's configuration.
type TargetField struct {
	Name     string
	Secret   bool // sealed and never returned
	Required bool
	URL      bool
}

// TargetFields lists the configuration of one kind of target.
func TargetFields(t TargetType) []TargetField {
	switch t {
	case TargetTelegram:
		return []TargetField{{Name: "bot_token", Secret: true, Required: true}, {Name: "chat_id", Required: true}, {Name: "api_base", URL: true}}
	case TargetDiscord, TargetSlack:
		return []TargetField{{Name: "webhook_url", Secret: true, Required: true, URL: true}}
	case TargetWebhook:
		return []TargetField{{Name: "url", Secret: true, Required: true, URL: true}, {Name: "secret", Secret: true}}
	case TargetSMTP:
		return []TargetField{
			{Name: "host", Required: true},
			{Name: "port"},
			{Name: "security"},
			{Name: "username"},
			{Name: "password", Secret: true},
			{Name: "from", Required: true},
			{Name: "to", Required: true},
		}
	}
	return nil
}

// NotificationTarget is a place that notifications go to. Config holds what may
// be shown; the secret fields are sealed in SecretsEnc.
type NotificationTarget struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       TargetType        `json:"type"`
	Config     map[string]string `json:"config"`
	SecretsEnc string            `json:"-"`
	Active     bool              `json:"is_active"`
	CreatedAt  time.Time         `json:"created_at"`
	UpdatedAt  time.Time         `json:"updated_at"`
}

// Validate returns every fault of the target together with the secrets that
// belong to it, nil when there is none.
func (t NotificationTarget) Validate(secrets map[string]string) []FieldError {
	var f faults
	f.required("name", t.Name)
	f.length("name", t.Name, 255)
	oneOf(&f, "type", t.Type, TargetTypes())
	known := map[string]bool{}
	for _, field := range TargetFields(t.Type) {
		known[field.Name] = true
		value := t.Config[field.Name]
		if field.Secret {
			value = secrets[field.Name]
		}
		at := "config." + field.Name
		if field.Required {
			f.required(at, value)
		}
		f.length(at, value, 2000)
		if field.URL && value != "" && (!field.Secret || !strings.HasPrefix(value, "${")) { // a reference says nothing of what it leads to
			if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
				f.add(at, "must be a URL that starts with https:// or http://")
			}
		}
	}
	if t.Type == TargetSMTP {
		t.validateMail(&f)
	}
	if len(known) > 0 {
		for _, name := range slices.Sorted(maps.Keys(t.Config)) {
			if !known[name] {
				f.add("config."+name, "is not a setting of %s", t.Type)
			}
		}
	}
	return f
}

// validateMail checks what a mail server is told.
func (t NotificationTarget) validateMail(f *faults) {
	if port := t.Config["port"]; port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			f.add("config.port", "must be between 1 and 65535")
		}
	}
	if security := t.Config["security"]; security != "" {
		oneOf(f, "config.security", security, []string{"starttls", "tls", "none"})
	}
	if from := t.Config["from"]; from != "" {
		if _, err := mail.ParseAddress(from); err != nil {
			f.add("config.from", "must be an address such as arus@example.com")
		}
	}
	if to := t.Config["to"]; to != "" {
		if _, err := mail.ParseAddressList(to); err != nil {
			f.add("config.to", "must be addresses such as ann@example.com, ben@example.com")
		}
	}
}

// NotificationLink sends events of a pipeline to a target.
type NotificationLink struct {
	ID         string        `json:"id"`
	PipelineID string        `json:"pipeline_id"`
	TargetID   string        `json:"target_id"`
	TargetName string        `json:"target_name"` // filled where links are read
	TargetType TargetType    `json:"target_type"`
	Events     []NotifyEvent `json:"event_types"`
	CreatedAt  time.Time     `json:"created_at"`
}

// Validate returns every fault of the link, nil when there is none.
func (l NotificationLink) Validate() []FieldError {
	var f faults
	f.required("pipeline_id", l.PipelineID)
	f.required("target_id", l.TargetID)
	if len(l.Events) == 0 {
		f.add("event_types", "needs at least one event")
	}
	for i, e := range l.Events {
		oneOf(&f, fmt.Sprintf("event_types[%d]", i), e, NotifyEvents())
	}
	return f
}
