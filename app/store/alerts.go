package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"arus/app/model"
)

// UnheardRuns returns runs that are over and that the notifications have not heard of, the oldest first.
func (s *Store) UnheardRuns(ctx context.Context, limit int) ([]model.Run, error) {
	list, err := collect(ctx, s.reader, scanRun, `SELECT `+runColumns+` FROM arus_run_logs_runs
		WHERE heard = 0 AND coalesce(status, 'running') <> 'running' ORDER BY started_at, id LIMIT ?`, limit)
	return list, fail(err, "list the runs that ended")
}

// HearRuns says that the notifications have heard of the runs. It counts as no change: nothing that is read of a run tells of it.
func (s *Store) HearRuns(ctx context.Context, ids []string) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		_, err := tx.Tx.ExecContext(ctx, `UPDATE arus_run_logs_runs SET heard = 1 WHERE id IN (SELECT value FROM json_each(?))`, listJSON(ids))
		return err
	}), "note the runs that ended")
}

// ChangesFoundBy returns the changes of schemas that a run found first.
func (s *Store) ChangesFoundBy(ctx context.Context, pipelineID, runID string) ([]model.SchemaChange, error) {
	list, err := collect(ctx, s.reader, scanChange, `SELECT `+changeColumns+` FROM arus_state_schema_changes
		WHERE pipeline_id = ? AND run_id = ? ORDER BY source_table, id`, pipelineID, runID)
	return list, fail(err, "list the schema changes of run %s", runID)
}

func scanIncident(row scanner) (model.Incident, error) {
	var i model.Incident
	err := row.Scan(&i.PipelineID, &i.Kind, &i.RunID, timeScanner{&i.OpenedAt}, &i.Runs)
	return i, err
}

// Incidents returns the incidents that are open.
func (s *Store) Incidents(ctx context.Context) ([]model.Incident, error) {
	list, err := collect(ctx, s.reader, scanIncident, `SELECT pipeline_id, kind, run_id, opened_at, runs FROM arus_state_incidents ORDER BY opened_at, pipeline_id, kind`)
	return list, fail(err, "list the incidents")
}

// SaveIncident opens an incident, or counts one more run of an open one.
func (s *Store) SaveIncident(ctx context.Context, i model.Incident) error {
	_, err := s.writer.ExecContext(ctx, `INSERT INTO arus_state_incidents (pipeline_id, kind, run_id, opened_at, runs) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (pipeline_id, kind) DO UPDATE SET runs = runs + 1`, i.PipelineID, i.Kind, i.RunID, stamp(i.OpenedAt), i.Runs)
	return fail(err, "open an incident of pipeline %s", i.PipelineID)
}

// CloseIncident ends an incident.
func (s *Store) CloseIncident(ctx context.Context, pipelineID string, kind model.NotifyEvent) error {
	_, err := s.writer.ExecContext(ctx, `DELETE FROM arus_state_incidents WHERE pipeline_id = ? AND kind = ?`, pipelineID, kind)
	return fail(err, "close an incident of pipeline %s", pipelineID)
}

const notificationColumns = `id, target_id, target_name, target_type, pipeline_id, run_id, event, dedupe, message, status, attempts,
	next_attempt_at, answer, created_at, finished_at`

func scanNotification(row scanner) (model.Notification, error) {
	n := model.Notification{Message: model.Message{Fields: []model.MessageField{}}}
	err := row.Scan(&n.ID, &n.TargetID, &n.TargetName, &n.TargetType, &n.PipelineID, &n.RunID, &n.Event, &n.Dedupe, jsonScanner{&n.Message},
		&n.Status, &n.Attempts, timeScanner{&n.NextAttemptAt}, &n.Answer, timeScanner{&n.CreatedAt}, timeScanner{&n.FinishedAt})
	if n.Status != model.DeliveryQueued {
		n.NextAttemptAt = time.Time{}
	}
	return n, err
}

// Enqueue puts a notification into the queue, unless its target has been told already, and fills its id and times. Status
// says where it stands; the zero one is queued.
func (s *Store) Enqueue(ctx context.Context, n *model.Notification) error {
	row := *n
	if err := giveID(&row.ID); err != nil {
		return err
	}
	if row.Status == "" {
		row.Status = model.DeliveryQueued
	}
	row.CreatedAt = s.now()
	if row.NextAttemptAt.IsZero() {
		row.NextAttemptAt = row.CreatedAt
	}
	if row.Status != model.DeliveryQueued {
		row.FinishedAt = row.CreatedAt
	}
	message, err := asJSON(row.Message)
	if err == nil {
		_, err = s.writer.ExecContext(ctx, `INSERT INTO arus_state_notifications (`+notificationColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (target_id, dedupe) DO NOTHING`,
			row.ID, row.TargetID, row.TargetName, row.TargetType, row.PipelineID, row.RunID, row.Event, row.Dedupe, message, row.Status,
			row.Attempts, stamp(row.NextAttemptAt), row.Answer, stamp(row.CreatedAt), stamp(row.FinishedAt))
	}
	if err == nil {
		*n = row
	}
	return fail(err, "queue a notification to %q", n.TargetName)
}

// DueNotifications returns queued notifications whose time has come, the oldest first, and when the next of the others is
// due; the zero time: there is none.
func (s *Store) DueNotifications(ctx context.Context, limit int) (due []model.Notification, next time.Time, err error) {
	now := s.now()
	due, err = collect(ctx, s.reader, scanNotification, `SELECT `+notificationColumns+` FROM arus_state_notifications
		WHERE status = 'queued' AND next_attempt_at <= ? ORDER BY created_at, id LIMIT ?`, stamp(now), limit)
	if err != nil {
		return nil, next, fail(err, "read the queue of notifications")
	}
	err = s.reader.QueryRowContext(ctx, `SELECT min(next_attempt_at) FROM arus_state_notifications WHERE status = 'queued' AND next_attempt_at > ?`,
		stamp(now)).Scan(timeScanner{&next})
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return due, next, fail(err, "read the queue of notifications")
}

// SaveAttempt keeps what became of an attempt to deliver a notification.
func (s *Store) SaveAttempt(ctx context.Context, n model.Notification) error {
	var finished any
	if n.Status != model.DeliveryQueued {
		finished = stamp(s.now())
	}
	return fail(changed(s.writer.ExecContext(ctx, `UPDATE arus_state_notifications SET status = ?, attempts = ?, next_attempt_at = coalesce(?, next_attempt_at),
		answer = ?, finished_at = ? WHERE id = ?`, n.Status, n.Attempts, stamp(n.NextAttemptAt), n.Answer, finished, n.ID)), "save notification %s", n.ID)
}

// NotificationFilter narrows the history of notifications. Empty fields do not filter.
type NotificationFilter struct {
	TargetID   string
	PipelineID string
	Status     model.Delivery
	Page
}

// ListNotifications returns one page of the notifications, the newest first, and how many match.
func (s *Store) ListNotifications(ctx context.Context, f NotificationFilter) (list []model.Notification, total int, err error) {
	const where = ` FROM arus_state_notifications WHERE (?1 = '' OR target_id = ?1) AND (?2 = '' OR pipeline_id = ?2) AND (?3 = '' OR status = ?3)`
	limit, offset := f.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+where, f.TargetID, f.PipelineID, f.Status).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanNotification, `SELECT `+notificationColumns+where+` ORDER BY created_at DESC, id DESC LIMIT ?4 OFFSET ?5`,
			f.TargetID, f.PipelineID, f.Status, limit, offset)
		return err
	})
	return list, total, fail(err, "list the notifications")
}
