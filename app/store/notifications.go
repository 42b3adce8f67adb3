package store

import (
	"context"

	"arus/app/model"
)

const targetColumns = `id, name, type, config, secrets_enc, active, created_at, updated_at`

func scanTarget(row scanner) (model.NotificationTarget, error) {
	t := model.NotificationTarget{Config: map[string]string{}}
	err := row.Scan(&t.ID, &t.Name, &t.Type, jsonScanner{&t.Config}, null(&t.SecretsEnc, ""), null(&t.Active, true),
		timeScanner{&t.CreatedAt}, timeScanner{&t.UpdatedAt})
	if t.UpdatedAt.IsZero() {
		t.UpdatedAt = t.CreatedAt
	}
	return t, err
}

// CreateTarget adds a notification target and fills its id and times. ErrConflict: the name is taken.
func (s *Store) CreateTarget(ctx context.Context, t *model.NotificationTarget) error {
	row := *t
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.CreatedAt, row.UpdatedAt = s.now(), s.now()
	config, err := asJSON(row.Config)
	if err != nil {
		return fail(err, "create notification target %q", row.Name)
	}
	_, err = s.writer.ExecContext(ctx, `INSERT INTO arus_config_notification_targets (`+targetColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		row.ID, row.Name, row.Type, config, orNull(row.SecretsEnc), row.Active, stamp(row.CreatedAt), stamp(row.UpdatedAt))
	if err != nil {
		return fail(err, "create notification target %q", row.Name)
	}
	*t = row
	return nil
}

// UpdateTarget replaces every field but the id and the creation time. ErrNotFound, ErrConflict.
func (s *Store) UpdateTarget(ctx context.Context, t *model.NotificationTarget) error {
	row := *t
	row.UpdatedAt = s.now()
	config, err := asJSON(row.Config)
	if err != nil {
		return fail(err, "update notification target %q", row.Name)
	}
	err = s.writer.QueryRowContext(ctx, `UPDATE arus_config_notification_targets SET name = ?, type = ?, config = ?, secrets_enc = ?,
		active = ?, updated_at = ? WHERE id = ? RETURNING created_at`, row.Name, row.Type, config, orNull(row.SecretsEnc), row.Active,
		stamp(row.UpdatedAt), row.ID).Scan(timeScanner{&row.CreatedAt})
	if err != nil {
		return fail(err, "update notification target %q", row.Name)
	}
	*t = row
	return nil
}

// GetTarget returns the notification target with the id.
func (s *Store) GetTarget(ctx context.Context, id string) (model.NotificationTarget, error) {
	t, err := scanTarget(s.reader.QueryRowContext(ctx, `SELECT `+targetColumns+` FROM arus_config_notification_targets WHERE id = ?`, id))
	return t, fail(err, "get notification target %s", id)
}

// ListTargets returns every notification target by name.
func (s *Store) ListTargets(ctx context.Context) ([]model.NotificationTarget, error) {
	list, err := collect(ctx, s.reader, scanTarget, `SELECT `+targetColumns+` FROM arus_config_notification_targets ORDER BY name, id`)
	return list, fail(err, "list notification targets")
}

// DeleteTarget removes the notification target with its links.
func (s *Store) DeleteTarget(ctx context.Context, id string) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM arus_config_pipeline_notifications WHERE target_id = ?`, id); err != nil {
			return err
		}
		return changed(tx.ExecContext(ctx, `DELETE FROM arus_config_notification_targets WHERE id = ?`, id))
	}), "delete notification target %s", id)
}

const linkSelect = `SELECT l.id, l.pipeline_id, l.target_id, t.name, t.type, l.events, l.created_at
	FROM arus_config_pipeline_notifications l JOIN arus_config_notification_targets t ON t.id = l.target_id `

func scanLink(row scanner) (model.NotificationLink, error) {
	l := model.NotificationLink{Events: []model.NotifyEvent{}}
	err := row.Scan(&l.ID, &l.PipelineID, &l.TargetID, &l.TargetName, &l.TargetType, jsonScanner{&l.Events}, timeScanner{&l.CreatedAt})
	return l, err
}

// CreateLink links a pipeline with a target and fills the link. ErrConflict: they are linked already; ErrInvalid: one of the
// two does not exist.
func (s *Store) CreateLink(ctx context.Context, l *model.NotificationLink) error {
	row := *l
	if err := giveID(&row.ID); err != nil {
		return err
	}
	events, err := asJSON(row.Events)
	if err != nil {
		return fail(err, "link pipeline %s", row.PipelineID)
	}
	err = s.write(ctx, func(tx *transaction) error {
		var there bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM arus_config_pipelines WHERE id = ?)
			AND EXISTS (SELECT 1 FROM arus_config_notification_targets WHERE id = ?)`, row.PipelineID, row.TargetID).Scan(&there)
		if err == nil && !there {
			err = ErrInvalid
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO arus_config_pipeline_notifications (id, pipeline_id, target_id, events, created_at)
			VALUES (?, ?, ?, ?, ?)`, row.ID, row.PipelineID, row.TargetID, events, stamp(s.now()))
		if err != nil {
			return err
		}
		row, err = scanLink(tx.QueryRowContext(ctx, linkSelect+`WHERE l.id = ?`, row.ID))
		return err
	})
	if err != nil {
		return fail(err, "link pipeline %s with a notification target", l.PipelineID)
	}
	*l = row
	return nil
}

// SetLinkEvents replaces the events of a link.
func (s *Store) SetLinkEvents(ctx context.Context, id string, events []model.NotifyEvent) error {
	text, err := asJSON(events)
	if err == nil {
		err = changed(s.writer.ExecContext(ctx, `UPDATE arus_config_pipeline_notifications SET events = ? WHERE id = ?`, text, id))
	}
	return fail(err, "change notification link %s", id)
}

// GetLink returns the link with the id.
func (s *Store) GetLink(ctx context.Context, id string) (model.NotificationLink, error) {
	l, err := scanLink(s.reader.QueryRowContext(ctx, linkSelect+`WHERE l.id = ?`, id))
	return l, fail(err, "get notification link %s", id)
}

// ListLinks returns the links of a pipeline by target; of all pipelines when pipelineID is empty.
func (s *Store) ListLinks(ctx context.Context, pipelineID string) ([]model.NotificationLink, error) {
	list, err := collect(ctx, s.reader, scanLink, linkSelect+`WHERE (?1 = '' OR l.pipeline_id = ?1) ORDER BY t.name, l.id`, pipelineID)
	return list, fail(err, "list notification links")
}

// DeleteLink removes the link.
func (s *Store) DeleteLink(ctx context.Context, id string) error {
	return fail(changed(s.writer.ExecContext(ctx, `DELETE FROM arus_config_pipeline_notifications WHERE id = ?`, id)), "delete notification link %s", id)
}
