package control

import (
	"context"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// TokenInput is a new API token.
type TokenInput struct {
	Name      string
	Role      model.Role // empty: viewer
	ExpiresAt time.Time  // zero: never
}

// AddToken makes an API token and returns it, this once.
func (s *Service) AddToken(ctx context.Context, in TokenInput) (connectors.Secret, model.APIToken, error) {
	if err := s.may(ctx, auth.ManageTokens); err != nil {
		return "", model.APIToken{}, err
	}
	token := auth.NewToken(auth.TokenPrefix)
	t := model.APIToken{
		Name: in.Name, Role: in.Role, ExpiresAt: in.ExpiresAt.UTC().Truncate(time.Millisecond),
		TokenHash: auth.HashToken(token), UserID: auth.ActorOf(ctx).UserID(),
	}
	if t.Role == "" {
		t.Role = model.RoleViewer
	}
	faults := t.Validate()
	if !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(s.Now()) {
		faults = append(faults, model.FieldError{Field: "expires_at", Message: "lies in the past"})
	}
	if err := invalid("the token", faults); err != nil {
		return "", model.APIToken{}, err
	}
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		err := tx.CreateToken(ctx, &t)
		return Change{Action: "token.create", ID: t.ID, Name: t.Name, After: t}, err
	})
	if err != nil {
		return "", model.APIToken{}, err
	}
	return token, t, nil
}

// ListTokens gives one page of the API tokens and how many there are.
func (s *Service) ListTokens(ctx context.Context, page Page) ([]model.APIToken, int, error) {
	if err := s.may(ctx, auth.ManageTokens); err != nil {
		return nil, 0, err
	}
	if err := s.saveTouches(ctx); err != nil {
		return nil, 0, err
	}
	return s.Store.ListTokens(ctx, page)
}

// DeleteToken revokes an API token, at once.
func (s *Service) DeleteToken(ctx context.Context, idOrName string) error {
	if err := s.may(ctx, auth.ManageTokens); err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		t, err := tx.FindToken(ctx, idOrName)
		if err != nil {
			return Change{}, err
		}
		return Change{Action: "token.delete", ID: t.ID, Name: t.Name, Before: t}, tx.DeleteToken(ctx, t.ID)
	})
}

// ListSessions gives the sessions of an account: one's own, or as an admin
// anybody's; all of them for an empty id.
func (s *Service) ListSessions(ctx context.Context, userID string) ([]model.Session, error) {
	if err := s.mayOn(ctx, userID); err != nil {
		return nil, err
	}
	if err := s.saveTouches(ctx); err != nil {
		return nil, err
	}
	return s.Store.ListSessions(ctx, userID)
}

// mayOn lets people at what is their own, and admins at all of it.
func (s *Service) mayOn(ctx context.Context, userID string) error {
	if a := auth.ActorOf(ctx); userID != "" && a.UserID() == userID {
		return s.may(ctx, auth.Anyone)
	}
	return s.may(ctx, auth.ManageUsers)
}

// RevokeSession ends one session: one's own, or as an admin anybody's.
func (s *Service) RevokeSession(ctx context.Context, id string) error {
	if err := s.may(ctx, auth.Anyone); err != nil {
		return err
	}
	session, err := s.Store.GetSession(ctx, id)
	if err == nil && session.UserID != auth.ActorOf(ctx).UserID() && !auth.ActorOf(ctx).Can(auth.ManageUsers) {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		return Change{Action: "session.revoke", ID: id, Before: session}, tx.DeleteSession(ctx, id)
	})
}

// SignOutEverywhere ends every session of an account, the present one too.
func (s *Service) SignOutEverywhere(ctx context.Context, userID string) (int64, error) {
	if err := s.mayOn(ctx, userID); err != nil {
		return 0, err
	}
	var n int64
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		u, err := tx.GetUser(ctx, userID)
		if err != nil {
			return Change{}, err
		}
		n, err = tx.DeleteSessions(ctx, userID, "")
		return Change{Action: "user.sign_out", ID: u.ID, Name: u.Email}, err
	})
	return n, err
}
