package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
)

// Sender delivers one notification to its target. The answer is what the target
// said, or why nothing came; it holds no secret, and neither does the error.
type Sender interface {
	Send(ctx context.Context, t model.NotificationTarget, secrets map[string]string, n model.Notification) (answer string, err error)
}

// DueNotifications are queued notifications whose time has come, and when the
// next of the others is due; the zero time: there is none.
func (s *Service) DueNotifications(ctx context.Context, limit int) ([]model.Notification, time.Time, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return nil, time.Time{}, err
	}
	return s.Store.DueNotifications(ctx, limit)
}

// SaveAttempt keeps what became of an attempt to deliver a notification.
func (s *Service) SaveAttempt(ctx context.Context, n model.Notification) error {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return err
	}
	return s.Store.SaveAttempt(ctx, n)
}

// NotificationFilter narrows the history of notifications.
type NotificationFilter = store.NotificationFilter

// ListNotifications gives one page of the queue and history of notifications,
// the newest first, and how many match.
func (s *Service) ListNotifications(ctx context.Context, f NotificationFilter) ([]model.Notification, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	if f.Status != "" && !slices.Contains(model.Deliveries(), f.Status) {
		return nil, 0, fault("the filter", "status", "%q is not one of %s", f.Status, words(model.Deliveries()))
	}
	return s.Store.ListNotifications(ctx, f)
}

// FindTarget finds a notification target by id or name.
func (s *Service) FindTarget(ctx context.Context, idOrName string) (model.NotificationTarget, error) {
	list, err := s.ListTargets(ctx)
	if err != nil {
		return model.NotificationTarget{}, err
	}
	at := slices.IndexFunc(list, func(t model.NotificationTarget) bool { return t.ID == idOrName })
	if at < 0 {
		at = slices.IndexFunc(list, func(t model.NotificationTarget) bool { return t.Name == idOrName })
	}
	if at < 0 {
		return model.NotificationTarget{}, fmt.Errorf("find notification target %q: %w", idOrName, ErrNotFound)
	}
	return list[at], nil
}

// TestTarget sends a message of the event with made-up figures to a target, now
// and once, and keeps it in the history. A target that did not take it is no
// error: the notification says what came back. An empty event is EventTest; text
// takes the place of what the message would say.
func (s *Service) TestTarget(ctx context.Context, id string, event model.NotifyEvent, text string) (model.Notification, error) {
	t, secrets, err := s.TargetSecrets(ctx, id)
	if err != nil {
		return model.Notification{}, err
	}
	if event == "" {
		event = model.EventTest
	}
	if event != model.EventTest && !slices.Contains(model.NotifyEvents(), event) {
		return model.Notification{}, fault("the test", "event_type", "%q is not one of %s, %s", event, model.EventTest, words(model.NotifyEvents()))
	}
	if s.Sender == nil {
		return model.Notification{}, fault("the test", "target", "this program sends no notifications")
	}
	key, err := uuid.NewV7()
	if err != nil {
		return model.Notification{}, err
	}
	n := model.Notification{
		ID: key.String(), TargetID: t.ID, TargetName: t.Name, TargetType: t.Type, Event: event, Dedupe: "test:" + key.String(), Message: demo(event, text, s.Now()),
		Status: model.DeliverySent, Attempts: 1,
	}
	n.Answer, err = s.Sender.Send(ctx, t, secrets, n)
	if err != nil {
		n.Status, n.Answer = model.DeliveryFailed, err.Error()
	}
	if err := s.Store.Enqueue(ctx, &n); err != nil {
		return n, err
	}
	return n, s.audit(ctx, s.Store, Change{Action: "notification_target.test", ID: t.ID, Name: t.Name, After: map[string]string{"event": string(event), "status": string(n.Status)}})
}

// demo is a message with made-up figures.
func demo(event model.NotifyEvent, text string, now time.Time) model.Message {
	m := model.Message{Event: event, Pipeline: "Demo Pipeline", Fields: []model.MessageField{}, At: now.UTC()}
	if event != model.EventTest {
		m.Add("Pipeline", m.Pipeline)
		m.Add("Run", "00000000-0000-7000-8000-000000000000")
	}
	switch event {
	case model.EventSuccess:
		m.Title = "Pipeline succeeded: " + m.Pipeline
		m.Add("Rows", thousands(1500))
		m.Add("Duration", (4300 * time.Millisecond).String())
	case model.EventFailure:
		m.Title, m.Cause = "Pipeline failed: "+m.Pipeline, "read table orders: connection refused"
	case model.EventDeadLetter:
		m.Title = "Rows became dead letters: " + m.Pipeline
		m.Add("Rejected rows", "47")
		m.Add("Tables", "raw_orders (47)")
	case model.EventSchemaDrift:
		m.Title, m.Cause = "Schema changed: "+m.Pipeline, "customers: column added phone\ncustomers: column added city\ncustomers: column added segment"
		m.Add("Tables", "customers")
	case model.EventQualityBreach:
		m.Title, m.Cause = "Quality check failed: "+m.Pipeline, "orders: row_count: 35 % of the rows are missing, 5 % are tolerated"
		m.Add("Tables", "orders")
	case model.EventRecovery:
		m.Title = "Pipeline recovered: " + m.Pipeline
		m.Add("Failed runs", "3")
	case model.EventOverdue:
		m.Title = "Pipeline overdue: " + m.Pipeline
		m.Add("Last success", clock(now.Add(-3*time.Hour)))
	default:
		m.Title, m.Pipeline = "Test message of Arus", ""
		m.Add("Message", "This target receives the notifications that are linked to it.")
	}
	if text != "" {
		m.Cause = text
	}
	return m
}
