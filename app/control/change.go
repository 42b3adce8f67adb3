package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// The conditions that a caller branches on, in the words of this package.
var (
	ErrNotFound  = store.ErrNotFound
	ErrConflict  = store.ErrConflict
	ErrInUse     = store.ErrInUse
	ErrInvalid   = store.ErrInvalid
	ErrRunActive = store.ErrRunActive
	ErrRunState  = store.ErrRunState
)

// IsNotFound says whether err is about something that does not exist.
func IsNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// may is nil when the context's actor has the permission. Every use case begins
// with it.
func (s *Service) may(ctx context.Context, p auth.Permission) error { return auth.Check(ctx, p) }

// Change is what a use case did to the configuration: for the audit log, and for
// whoever listens. Before and After are put into JSON; what a type keeps out of
// its JSON (hashes, sealed passwords) stays out of the log.
type Change struct {
	Action string // noun.verb
	ID     string
	Name   string
	Before any
	After  any
}

// noun is the kind of object that was changed.
func (c Change) noun() string {
	noun, _, _ := strings.Cut(c.Action, ".")
	return noun
}

// change runs do in one transaction together with the audit line of what it
// did; when both are durable the listeners hear of it. do uses the store it is
// given and waits for nothing else.
func (s *Service) change(ctx context.Context, do func(tx *store.Store) (Change, error)) error {
	var c Change
	var same bool
	err := s.Store.Atomically(ctx, func(tx *store.Store) (err error) {
		if c, err = do(tx); err != nil {
			return err
		}
		same, err = s.audited(ctx, tx, c)
		return err
	})
	if err != nil || same {
		return err
	}
	s.Events.Emit(Event{Type: ConfigChanged, Data: ConfigChange{Action: c.Action, Object: c.noun(), ID: c.ID, Name: c.Name}})
	return nil
}

// audit writes one line of the audit log.
func (s *Service) audit(ctx context.Context, st *store.Store, c Change) error {
	_, err := s.audited(ctx, st, c)
	return err
}

// audited writes one line of the audit log, unless before and after are the same.
func (s *Service) audited(ctx context.Context, st *store.Store, c Change) (same bool, err error) {
	a := auth.ActorOf(ctx)
	e := model.AuditEntry{
		ActorKind: string(a.Kind), ActorID: a.ID, ActorName: a.Name, Address: a.Address,
		Action: c.Action, ObjectType: c.noun(), ObjectID: c.ID, ObjectName: c.Name,
	}
	if e.Before, e.After, err = difference(c.Before, c.After); err != nil {
		return false, fmt.Errorf("write the audit log: %w", err)
	}
	if string(e.Before) == "{}" && string(e.After) == "{}" {
		return true, nil
	}
	return false, st.AppendAudit(ctx, &e)
}

// maxAudited bounds one side of an audit line.
const maxAudited = 32 << 10

// difference leaves in two objects what differs between them; an object that is
// new or gone stays whole. What is the same or changes with every write says
// nothing.
func difference(before, after any) (model.JSON, model.JSON, error) {
	b, err := fields(before)
	if err != nil {
		return nil, nil, err
	}
	a, err := fields(after)
	if err != nil {
		return nil, nil, err
	}
	if a != nil && b != nil {
		for key, value := range b {
			if bytes.Equal(value, a[key]) || key == "updated_at" {
				delete(a, key)
				delete(b, key)
			}
		}
		delete(a, "updated_at")
	}
	left, err := bounded(b)
	if err != nil {
		return nil, nil, err
	}
	right, err := bounded(a)
	return left, right, err
}

func fields(v any) (map[string]json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	err = json.Unmarshal(text, &m)
	return m, err
}

// bounded puts the fields together again; what is too long is named only.
func bounded(m map[string]json.RawMessage) (model.JSON, error) {
	if m == nil {
		return nil, nil
	}
	text, err := json.Marshal(m)
	if err != nil || len(text) <= maxAudited {
		return text, err
	}
	for key, value := range m {
		if len(value) > maxAudited/16 {
			m[key] = json.RawMessage(fmt.Sprintf(`"%d bytes, too long for the log"`, len(value)))
		}
	}
	if text, err = json.Marshal(m); err != nil || len(text) <= maxAudited {
		return text, err
	}
	return json.Marshal(map[string]string{"note": fmt.Sprintf("%d fields, too long for the log", len(m))})
}

// AuditFilter narrows the audit log.
type AuditFilter = store.AuditFilter

// Page cuts a list.
type Page = store.Page

// ListAudit gives one page of the audit log, newest first, and how many entries match.
func (s *Service) ListAudit(ctx context.Context, f AuditFilter) ([]model.AuditEntry, int, error) {
	if err := s.may(ctx, auth.ReadAudit); err != nil {
		return nil, 0, err
	}
	return s.Store.ListAudit(ctx, f)
}
