package control

import (
	"context"
	"fmt"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// ownerEmail is the account of whoever the data directory belongs to, where
// nobody has made an admin.
const ownerEmail = "owner@localhost"

// IssueLink makes the token of a link that signs its opener in as the owner of
// the data directory. It is for whoever can read that directory, and so could
// do everything anyway.
func (s *Service) IssueLink(ctx context.Context, name string) (connectors.Secret, error) {
	if err := s.may(ctx, auth.Maintain); err != nil {
		return "", err
	}
	return s.Links.Issue(name, s.Now()), nil
}

// Enter begins a session of the console for the token of a link: of the oldest
// admin, or where there is none of an account that is made.
func (s *Service) Enter(ctx context.Context, token connectors.Secret, address, userAgent string) (connectors.Secret, model.Session, error) {
	name, err := s.Links.Redeem(token, s.Now())
	if err != nil {
		return "", model.Session{}, err
	}
	user, err := s.owner(ctx, name)
	if err != nil {
		return "", model.Session{}, fmt.Errorf("find the owner's account: %w", err)
	}
	return s.beginSession(ctx, user, address, userAgent)
}

func (s *Service) owner(ctx context.Context, name string) (model.User, error) {
	var oldest model.User
	users, err := all(func(p store.Page) ([]model.User, int, error) { return s.Store.ListUsers(ctx, p) })
	if err != nil {
		return oldest, err
	}
	for _, u := range users {
		if u.Role == model.RoleAdmin && u.Active && (oldest.ID == "" || u.CreatedAt.Before(oldest.CreatedAt)) {
			oldest = u
		}
	}
	if oldest.ID != "" {
		return oldest, nil
	}
	if name == "" {
		name = "Owner"
	}
	owner := model.User{Email: ownerEmail, Name: name, Role: model.RoleAdmin, Active: true}
	if err := invalid("the user", owner.Validate()); err != nil {
		return owner, err
	}
	// Without a password: it is signed in by links, until somebody gives it one.
	err = s.change(auth.WithActor(ctx, auth.CLI(name)), func(tx *store.Store) (Change, error) {
		err := tx.CreateUser(ctx, &owner)
		return Change{Action: "user.create", ID: owner.ID, Name: owner.Email, After: owner}, err
	})
	return owner, err
}
