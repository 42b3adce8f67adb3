package store

import (
	"context"
	"encoding/json"
	"time"

	"arus/app/model"
)

const auditColumns = `at, actor_kind, actor_id, actor_name, address, action, object_type, object_id, object_name, before, after`

func scanAudit(row scanner) (model.AuditEntry, error) {
	var e model.AuditEntry
	var before, after string
	err := row.Scan(&e.ID, timeScanner{&e.At}, &e.ActorKind, null(&e.ActorID, ""), &e.ActorName, null(&e.Address, ""), &e.Action, &e.ObjectType,
		null(&e.ObjectID, ""), null(&e.ObjectName, ""), null(&before, ""), null(&after, ""))
	if before != "" {
		e.Before = json.RawMessage(before)
	}
	if after != "" {
		e.After = json.RawMessage(after)
	}
	return e, err
}

// AuditFilter narrows the audit log. Empty fields do not filter.
type AuditFilter struct {
	ActorID    string
	Action     string // a whole action, or a noun
	ObjectType string
	ObjectID   string
	Since      time.Time
	Until      time.Time
	Page
}

// AppendAudit adds an entry and fills its id and time.
func (s *Store) AppendAudit(ctx context.Context, e *model.AuditEntry) error {
	e.At = s.now()
	err := s.writer.QueryRowContext(ctx, `INSERT INTO arus_config_audit_log (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		stamp(e.At), e.ActorKind, orNull(e.ActorID), e.ActorName, orNull(e.Address), e.Action, e.ObjectType, orNull(e.ObjectID),
		orNull(e.ObjectName), orNull(string(e.Before)), orNull(string(e.After))).Scan(&e.ID)
	return fail(err, "write the audit log")
}

// ListAudit returns one page of the audit log, newest first, and how many entries match.
func (s *Store) ListAudit(ctx context.Context, f AuditFilter) (list []model.AuditEntry, total int, err error) {
	const where = ` FROM arus_config_audit_log WHERE (?1 = '' OR actor_id = ?1) AND (?2 = '' OR action = ?2 OR action LIKE ?2 || '.%')
		AND (?3 = '' OR object_type = ?3) AND (?4 = '' OR object_id = ?4) AND (?5 IS NULL OR at >= ?5) AND (?6 IS NULL OR at < ?6)`
	args := []any{f.ActorID, f.Action, f.ObjectType, f.ObjectID, stamp(f.Since), stamp(f.Until)}
	limit, offset := f.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*)`+where, args...).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanAudit, `SELECT id, `+auditColumns+where+` ORDER BY id DESC LIMIT ?7 OFFSET ?8`, append(args, limit, offset)...)
		return err
	})
	return list, total, fail(err, "read the audit log")
}
