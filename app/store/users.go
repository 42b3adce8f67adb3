package store

import (
	"context"
	"time"

	"arus/app/model"
)

const userColumns = `id, email, password_hash, name, role, is_active, last_login, created_at, updated_at`

func scanUser(row scanner) (model.User, error) {
	var u model.User
	err := row.Scan(&u.ID, &u.Email, &u.PasswordHash, &u.Name, &u.Role, null(&u.Active, true), timeScanner{&u.LastLogin},
		timeScanner{&u.CreatedAt}, timeScanner{&u.UpdatedAt})
	return u, err
}

// CreateUser adds the account and fills its id and times. ErrConflict: the address is taken.
func (s *Store) CreateUser(ctx context.Context, u *model.User) error {
	row := *u
	if err := giveID(&row.ID); err != nil {
		return err
	}
	row.Email = model.NormalEmail(row.Email)
	row.CreatedAt, row.UpdatedAt = s.now(), s.now()
	_, err := s.writer.ExecContext(ctx, `INSERT INTO arus_config_users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.ID, row.Email, row.PasswordHash, row.Name, row.Role, row.Active, stamp(row.LastLogin), stamp(row.CreatedAt), stamp(row.UpdatedAt))
	if err != nil {
		return fail(err, "create user %q", row.Email)
	}
	*u = row
	return nil
}

// UpdateUser replaces every field of the account but its id, its last login and its creation time. ErrNotFound, ErrConflict.
func (s *Store) UpdateUser(ctx context.Context, u *model.User) error {
	row := *u
	row.Email, row.UpdatedAt = model.NormalEmail(row.Email), s.now()
	err := s.writer.QueryRowContext(ctx, `UPDATE arus_config_users SET email = ?, password_hash = ?, name = ?, role = ?, is_active = ?,
		updated_at = ? WHERE id = ? RETURNING created_at, last_login`, row.Email, row.PasswordHash, row.Name, row.Role, row.Active,
		stamp(row.UpdatedAt), row.ID).Scan(timeScanner{&row.CreatedAt}, timeScanner{&row.LastLogin})
	if err != nil {
		return fail(err, "update user %q", row.Email)
	}
	*u = row
	return nil
}

// SetLastLogin records a sign-in made now.
func (s *Store) SetLastLogin(ctx context.Context, id string) (at time.Time, err error) {
	at = s.now()
	return at, fail(changed(s.writer.ExecContext(ctx, `UPDATE arus_config_users SET last_login = ? WHERE id = ?`, stamp(at), id)),
		"record the sign-in of user %s", id)
}

// GetUser returns the account with the id.
func (s *Store) GetUser(ctx context.Context, id string) (model.User, error) {
	u, err := scanUser(s.reader.QueryRowContext(ctx, `SELECT `+userColumns+` FROM arus_config_users WHERE id = ?`, id))
	return u, fail(err, "get user %s", id)
}

// FindUser returns the account with that id or else that address.
func (s *Store) FindUser(ctx context.Context, idOrEmail string) (model.User, error) {
	u, err := scanUser(s.reader.QueryRowContext(ctx, `SELECT `+userColumns+` FROM arus_config_users
		WHERE id = ?1 OR email = ?2 ORDER BY id = ?1 DESC LIMIT 1`, idOrEmail, model.NormalEmail(idOrEmail)))
	return u, fail(err, "find user %q", idOrEmail)
}

// ListUsers returns one page of the accounts by address, and how many there are.
func (s *Store) ListUsers(ctx context.Context, page Page) (list []model.User, total int, err error) {
	limit, offset := page.args()
	err = s.read(ctx, func(tx *transaction) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT count(*) FROM arus_config_users`).Scan(&total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanUser, `SELECT `+userColumns+` FROM arus_config_users ORDER BY email, id LIMIT ? OFFSET ?`, limit, offset)
		return err
	})
	return list, total, fail(err, "list users")
}

// CountAdmins counts the active admins.
func (s *Store) CountAdmins(ctx context.Context) (n int, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT count(*) FROM arus_config_users WHERE role = 'admin' AND coalesce(is_active, 1) = 1`).Scan(&n)
	return n, fail(err, "count the admins")
}

// DeleteUser removes the account with its sessions and tokens. Runs it started stay, without its name.
func (s *Store) DeleteUser(ctx context.Context, id string) error {
	return fail(changed(s.writer.ExecContext(ctx, `DELETE FROM arus_config_users WHERE id = ?`, id)), "delete user %s", id)
}
