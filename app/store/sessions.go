package store

import (
	"context"
	"time"

	"arus/app/model"
)

const sessionColumns = `id, user_id, kind, token_hash, previous_hash, address, user_agent, created_at, last_seen_at, expires_at`

func scanSession(row scanner) (model.Session, error) {
	var s model.Session
	err := row.Scan(&s.ID, &s.UserID, &s.Kind, &s.TokenHash, null(&s.PreviousHash, ""), &s.Address, &s.UserAgent,
		timeScanner{&s.CreatedAt}, timeScanner{&s.LastSeenAt}, timeScanner{&s.ExpiresAt})
	return s, err
}

// CreateSession adds the session and fills its id and times.
func (s *Store) CreateSession(ctx context.Context, session *model.Session) error {
	row := *session
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.CreatedAt, row.LastSeenAt = s.now(), s.now()
	_, err := s.writer.ExecContext(ctx, `INSERT INTO arus_config_sessions (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.ID, row.UserID, row.Kind, row.TokenHash, orNull(row.PreviousHash), row.Address, row.UserAgent, stamp(row.CreatedAt),
		stamp(row.LastSeenAt), stamp(row.ExpiresAt))
	if err != nil {
		return fail(err, "create a session")
	}
	*session = row
	return nil
}

// SessionByHash returns the session whose token has this hash. ErrNotFound: there is none, or it was revoked.
func (s *Store) SessionByHash(ctx context.Context, hash string) (model.Session, error) {
	row, err := scanSession(s.reader.QueryRowContext(ctx, `SELECT `+sessionColumns+` FROM arus_config_sessions WHERE token_hash = ?`, hash))
	return row, fail(err, "find a session")
}

// GetSession returns the session with the id.
func (s *Store) GetSession(ctx context.Context, id string) (model.Session, error) {
	row, err := scanSession(s.reader.QueryRowContext(ctx, `SELECT `+sessionColumns+` FROM arus_config_sessions WHERE id = ?`, id))
	return row, fail(err, "get session %s", id)
}

// RotateSession replaces the session's token, if it is still the one with the hash old. ErrNotFound: it is not.
func (s *Store) RotateSession(ctx context.Context, id, old, fresh string, expires time.Time) error {
	return fail(changed(s.writer.ExecContext(ctx, `UPDATE arus_config_sessions SET token_hash = ?, previous_hash = ?, last_seen_at = ?,
		expires_at = ? WHERE id = ? AND token_hash = ?`, fresh, old, stamp(s.now()), stamp(expires), id, old)), "rotate session %s", id)
}

// Touch says that a session, or else an API token, was used.
type Touch struct {
	ID      string
	Token   bool // it is an API token
	Address string
	At      time.Time
}

// SaveTouches records uses of sessions and tokens. Those that are gone by now are left out. It counts as no change: who holds
// what stays as it is, and whoever shows the last use reads it anew.
func (s *Store) SaveTouches(ctx context.Context, list []Touch) error {
	return fail(s.write(ctx, func(tx *transaction) error {
		for _, t := range list {
			query := `UPDATE arus_config_sessions SET last_seen_at = max(?1, last_seen_at), address = coalesce(?2, '') WHERE id = ?3`
			if t.Token {
				query = `UPDATE arus_config_api_tokens SET last_used_at = max(?1, coalesce(last_used_at, '')), last_used_from = ?2 WHERE id = ?3`
			}
			if _, err := tx.Tx.ExecContext(ctx, query, stamp(t.At), orNull(t.Address), t.ID); err != nil {
				return err
			}
		}
		return nil
	}), "record the use of sessions and tokens")
}

// ListSessions returns the sessions of a user that have not run out, the last used first; of all users when userID is empty.
func (s *Store) ListSessions(ctx context.Context, userID string) ([]model.Session, error) {
	list, err := collect(ctx, s.reader, scanSession, `SELECT `+sessionColumns+` FROM arus_config_sessions
		WHERE (?1 = '' OR user_id = ?1) AND expires_at > ?2 ORDER BY last_seen_at DESC, id LIMIT 1000`, userID, stamp(s.now()))
	return list, fail(err, "list sessions")
}

// DeleteSession revokes one session.
func (s *Store) DeleteSession(ctx context.Context, id string) error {
	return fail(changed(s.writer.ExecContext(ctx, `DELETE FROM arus_config_sessions WHERE id = ?`, id)), "revoke session %s", id)
}

// DeleteSessions revokes every session of a user but the one named, and returns how many.
func (s *Store) DeleteSessions(ctx context.Context, userID, but string) (int64, error) {
	res, err := s.writer.ExecContext(ctx, `DELETE FROM arus_config_sessions WHERE user_id = ? AND id <> ?`, userID, but)
	if err != nil {
		return 0, fail(err, "revoke the sessions of user %s", userID)
	}
	return res.RowsAffected()
}
