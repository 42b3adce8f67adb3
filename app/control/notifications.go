package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// TargetInput is what to make or change of a notification target; nil leaves a
// field as it is. Fields of Config that are not given stay as they are too, so
// that a secret that cannot be read need not be given again.
type TargetInput struct {
	Name   *string
	Type   *model.TargetType
	Config map[string]string
	Active *bool
}

// targetState is a target with its secrets, in the clear.
type targetState struct {
	model.NotificationTarget
	secrets map[string]string
}

func (s *Service) openTarget(t model.NotificationTarget) (targetState, error) {
	st := targetState{NotificationTarget: t, secrets: map[string]string{}}
	if t.SecretsEnc == "" {
		return st, nil
	}
	text, err := s.Ring.Open(t.SecretsEnc)
	if err == nil {
		err = json.Unmarshal([]byte(text), &st.secrets)
	}
	if err != nil {
		return st, fmt.Errorf("open the secrets of notification target %q: %w", t.Name, err)
	}
	return st, nil
}

// apply changes the target and seals its secrets; what says which of them changed.
func (s *Service) applyTarget(st *targetState, in TargetInput) error {
	config := map[string]string{}
	maps.Copy(config, st.Config)
	set(&st.Name, in.Name)
	set(&st.Active, in.Active)
	if in.Type != nil && *in.Type != st.Type {
		st.Type, config, st.secrets = *in.Type, map[string]string{}, map[string]string{}
	}
	secret := map[string]bool{}
	for _, f := range model.TargetFields(st.Type) {
		secret[f.Name] = f.Secret
	}
	for name, value := range in.Config {
		if secret[name] {
			if value != "" { // left blank: keep
				st.secrets[name] = value
			}
		} else {
			config[name] = value
		}
	}
	st.Config = config
	if err := invalid("the notification target", st.Validate(st.secrets)); err != nil {
		return err
	}
	text, err := json.Marshal(st.secrets)
	if err != nil {
		return err
	}
	st.SecretsEnc, err = s.Ring.Seal(string(text))
	return err
}

// ListTargets gives every notification target, without secrets.
func (s *Service) ListTargets(ctx context.Context) ([]model.NotificationTarget, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.ListTargets(ctx)
}

// Target gives a notification target, without secrets.
func (s *Service) Target(ctx context.Context, id string) (model.NotificationTarget, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return model.NotificationTarget{}, err
	}
	return s.Store.GetTarget(ctx, id)
}

// TargetSecrets gives a target with everything a sender needs. It is for the
// sender alone.
func (s *Service) TargetSecrets(ctx context.Context, id string) (model.NotificationTarget, map[string]string, error) {
	if err := s.may(ctx, auth.EditNotifications); err != nil {
		return model.NotificationTarget{}, nil, err
	}
	t, err := s.Store.GetTarget(ctx, id)
	if err != nil {
		return t, nil, err
	}
	st, err := s.openTarget(t)
	for name, value := range st.secrets {
		text, rerr := s.resolve(connectors.Secret(value))
		st.secrets[name] = text.Reveal()
		err = errors.Join(err, rerr)
	}
	return t, st.secrets, err
}

// guardTarget refuses references in the secrets of a target to whoever is no
// admin: they would tell what is in the files and variables of the machine.
func (s *Service) guardTarget(ctx context.Context, in TargetInput) error {
	if auth.ActorOf(ctx).Can(auth.Maintain) {
		return nil
	}
	for name, value := range in.Config {
		if strings.HasPrefix(value, "${") {
			return fault("the notification target", "config."+name, "names a file or variable of the server: only an admin may do that")
		}
	}
	return nil
}

// AddTarget makes a notification target.
func (s *Service) AddTarget(ctx context.Context, in TargetInput) (model.NotificationTarget, error) {
	if err := s.may(ctx, auth.EditNotifications); err != nil {
		return model.NotificationTarget{}, err
	}
	if err := s.guardTarget(ctx, in); err != nil {
		return model.NotificationTarget{}, err
	}
	st := targetState{NotificationTarget: model.NotificationTarget{Active: true}, secrets: map[string]string{}}
	if err := s.applyTarget(&st, in); err != nil {
		return model.NotificationTarget{}, err
	}
	t := st.NotificationTarget
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		err := tx.CreateTarget(ctx, &t)
		return Change{Action: "notification_target.create", ID: t.ID, Name: t.Name, After: t}, err
	})
	return t, err
}

// targetAudit is a target in the audit log: that a secret was given, not the
// secret.
type targetAudit struct {
	model.NotificationTarget
	Secrets string `json:"secrets,omitempty"`
}

// UpdateTarget changes a notification target.
func (s *Service) UpdateTarget(ctx context.Context, id string, in TargetInput) (model.NotificationTarget, error) {
	if err := s.may(ctx, auth.EditNotifications); err != nil {
		return model.NotificationTarget{}, err
	}
	if err := s.guardTarget(ctx, in); err != nil {
		return model.NotificationTarget{}, err
	}
	var t model.NotificationTarget
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.GetTarget(ctx, id)
		if err != nil {
			return Change{}, err
		}
		st, err := s.openTarget(before)
		if err != nil {
			return Change{}, err
		}
		old := maps.Clone(st.secrets)
		if err := s.applyTarget(&st, in); err != nil {
			return Change{}, err
		}
		t = st.NotificationTarget
		if err := tx.UpdateTarget(ctx, &t); err != nil {
			return Change{}, err
		}
		return Change{
			Action: "notification_target.update", ID: t.ID, Name: t.Name,
			Before: targetAudit{NotificationTarget: before}, After: targetAudit{t, changedSecret(!maps.Equal(old, st.secrets))},
		}, nil
	})
	return t, err
}

// DeleteTarget removes a notification target with its links.
func (s *Service) DeleteTarget(ctx context.Context, id string) error {
	if err := s.may(ctx, auth.EditNotifications); err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		t, err := tx.GetTarget(ctx, id)
		if err != nil {
			return Change{}, err
		}
		return Change{Action: "notification_target.delete", ID: id, Name: t.Name, Before: t}, tx.DeleteTarget(ctx, id)
	})
}

// ListLinks gives the notification links of a pipeline.
func (s *Service) ListLinks(ctx context.Context, pipeline string) ([]model.NotificationLink, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	p, err := s.Store.FindPipeline(ctx, pipeline)
	if err != nil {
		return nil, err
	}
	return s.Store.ListLinks(ctx, p.ID)
}

// ListAllLinks gives the notification links of all pipelines.
func (s *Service) ListAllLinks(ctx context.Context) ([]model.NotificationLink, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.ListLinks(ctx, "")
}

// AddLink links a pipeline with a notification target. No events mean failure.
func (s *Service) AddLink(ctx context.Context, pipelineID, targetID string, events []model.NotifyEvent) (model.NotificationLink, error) {
	if err := s.may(ctx, auth.EditNotifications); err != nil {
		return model.NotificationLink{}, err
	}
	if len(events) == 0 {
		events = []model.NotifyEvent{model.EventFailure}
	}
	l := model.NotificationLink{PipelineID: pipelineID, TargetID: targetID, Events: events}
	if err := invalid("the link", l.Validate()); err != nil {
		return l, err
	}
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		err := tx.CreateLink(ctx, &l)
		return Change{Action: "notification_link.create", ID: l.ID, Name: l.TargetName, After: l}, err
	})
	return l, err
}

// UpdateLink replaces the events of a notification link.
func (s *Service) UpdateLink(ctx context.Context, id string, events []model.NotifyEvent) (model.NotificationLink, error) {
	if err := s.may(ctx, auth.EditNotifications); err != nil {
		return model.NotificationLink{}, err
	}
	var l model.NotificationLink
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.GetLink(ctx, id)
		if err != nil {
			return Change{}, err
		}
		l = before
		l.Events = events
		if err := invalid("the link", l.Validate()); err != nil {
			return Change{}, err
		}
		err = tx.SetLinkEvents(ctx, id, events)
		return Change{Action: "notification_link.update", ID: id, Name: l.TargetName, Before: before, After: l}, err
	})
	return l, err
}

// DeleteLink removes a notification link.
func (s *Service) DeleteLink(ctx context.Context, id string) error {
	if err := s.may(ctx, auth.EditNotifications); err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		l, err := tx.GetLink(ctx, id)
		if err != nil {
			return Change{}, err
		}
		return Change{Action: "notification_link.delete", ID: id, Name: l.TargetName, Before: l}, tx.DeleteLink(ctx, id)
	})
}
