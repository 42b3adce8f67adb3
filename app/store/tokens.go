package store

import (
	"context"

	"arus/app/model"
)

const tokenColumns = `id, name, role, token_hash, user_id, expires_at, last_used_at, last_used_from, created_at`

func scanToken(row scanner) (model.APIToken, error) {
	var t model.APIToken
	err := row.Scan(&t.ID, &t.Name, &t.Role, &t.TokenHash, null(&t.UserID, ""), timeScanner{&t.ExpiresAt}, timeScanner{&t.LastUsedAt},
		null(&t.LastUsedFrom, ""), timeScanner{&t.CreatedAt})
	return t, err
}

// CreateToken adds the token and fills its id and creation time. ErrConflict: the name is taken.
func (s *Store) CreateToken(ctx context.Context, t *model.APIToken) error {
	row := *t
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.CreatedAt = s.now()
	_, err := s.writer.ExecContext(ctx, `INSERT INTO arus_config_api_tokens (`+tokenColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.ID, row.Name, row.Role, row.TokenHash, orNull(row.UserID), stamp(row.ExpiresAt), stamp(row.LastUsedAt),
		orNull(row.LastUsedFrom), stamp(row.CreatedAt))
	if err != nil {
		return fail(err, "create token %q", row.Name)
	}
	*t = row
	return nil
}

// TokenByHash returns the token with this hash. ErrNotFound: there is none, or it was revoked.
func (s *Store) TokenByHash(ctx context.Context, hash string) (model.APIToken, error) {
	t, err := scanToken(s.reader.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM arus_config_api_tokens WHERE token_hash = ?`, hash))
	return t, fail(err, "find a token")
}

// FindToken returns the token with that id or else that name.
func (s *Store) FindToken(ctx context.Context, idOrName string) (model.APIToken, error) {
	t, err := scanToken(s.reader.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM arus_config_api_tokens
		WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1`, idOrName))
	return t, fail(err, "find token %q", idOrName)
}

// ListTokens returns one page of the tokens by name, and how many there are.
func (s *Store) ListTokens(ctx context.Context, page Page) (list []model.APIToken, total int, err error) {
	limit, offset := page.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*) FROM arus_config_api_tokens`).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanToken, `SELECT `+tokenColumns+` FROM arus_config_api_tokens ORDER BY name, id LIMIT ? OFFSET ?`, limit, offset)
		return err
	})
	return list, total, fail(err, "list tokens")
}

// DeleteToken revokes the token.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	return fail(changed(s.writer.ExecContext(ctx, `DELETE FROM arus_config_api_tokens WHERE id = ?`, id)), "revoke token %s", id)
}
