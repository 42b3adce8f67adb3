package control

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

func newSessionID() string {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.NewString()
	}
	return id.String()
}

// UserInput is a new account.
type UserInput struct {
	Email    string
	Name     string
	Role     model.Role // empty: viewer
	Password connectors.Secret
}

// AddUser makes an account.
func (s *Service) AddUser(ctx context.Context, in UserInput) (model.User, error) {
	if err := s.may(ctx, auth.ManageUsers); err != nil {
		return model.User{}, err
	}
	return s.addUser(ctx, in)
}

func (s *Service) addUser(ctx context.Context, in UserInput) (model.User, error) {
	u := model.User{Email: model.NormalEmail(in.Email), Name: in.Name, Role: in.Role, Active: true}
	if u.Role == "" {
		u.Role = model.RoleViewer
	}
	faults := u.Validate()
	if f := auth.PasswordFault(in.Password); f != "" {
		faults = append(faults, model.FieldError{Field: "password", Message: f})
	}
	if err := invalid("the user", faults); err != nil {
		return model.User{}, err
	}
	var err error
	if u.PasswordHash, err = s.Passwords.Hash(ctx, in.Password); err != nil {
		return model.User{}, err
	}
	err = s.change(ctx, func(tx *store.Store) (Change, error) {
		err := tx.CreateUser(ctx, &u)
		return Change{Action: "user.create", ID: u.ID, Name: u.Email, After: u}, err
	})
	return u, err
}

// NeedsSetup says whether there is no admin yet.
func (s *Service) NeedsSetup(ctx context.Context) (bool, error) {
	n, err := s.Store.CountAdmins(ctx)
	return n == 0, err
}

// SetUp makes the first admin for whoever has the setup token.
func (s *Service) SetUp(ctx context.Context, token connectors.Secret, in UserInput) (model.User, error) {
	var u model.User
	err := s.Setup.Redeem(token, func() error {
		needed, err := s.NeedsSetup(ctx)
		if err != nil {
			return err
		}
		if !needed {
			return auth.ErrSignIn
		}
		in.Role = model.RoleAdmin
		u, err = s.addUser(ctx, in)
		return err
	})
	return u, err
}

// User finds an account by id or address.
func (s *Service) User(ctx context.Context, idOrEmail string) (model.User, error) {
	if err := s.may(ctx, auth.ManageUsers); err != nil {
		return model.User{}, err
	}
	return s.Store.FindUser(ctx, idOrEmail)
}

// Me is the actor's own account; a token or the command line has none.
func (s *Service) Me(ctx context.Context) (model.User, error) {
	if err := s.may(ctx, auth.Anyone); err != nil {
		return model.User{}, err
	}
	a := auth.ActorOf(ctx)
	if a.Kind != auth.ActorUser {
		return model.User{ID: a.ID, Name: a.Name, Role: a.Role, Active: true}, nil
	}
	return s.Store.GetUser(ctx, a.ID)
}

// ListUsers gives one page of the accounts and how many there are.
func (s *Service) ListUsers(ctx context.Context, page Page) ([]model.User, int, error) {
	if err := s.may(ctx, auth.ManageUsers); err != nil {
		return nil, 0, err
	}
	return s.Store.ListUsers(ctx, page)
}

// ListUserNames gives the addresses of the accounts by id, for whoever manages
// what belongs to them.
func (s *Service) ListUserNames(ctx context.Context) (map[string]string, error) {
	if err := s.may(ctx, auth.ManageTokens); err != nil {
		return nil, err
	}
	users, err := all(func(p store.Page) ([]model.User, int, error) { return s.Store.ListUsers(ctx, p) })
	names := make(map[string]string, len(users))
	for _, u := range users {
		names[u.ID] = u.Email
	}
	return names, err
}

// UserUpdate is what to change of an account; nil leaves a field as it is.
type UserUpdate struct {
	Email    *string
	Name     *string
	Role     *model.Role
	Active   *bool
	Password *connectors.Secret
}

// UpdateUser changes an account. A new password, another role and disabling it
// end its sessions; its tokens follow at once.
func (s *Service) UpdateUser(ctx context.Context, idOrEmail string, in UserUpdate) (model.User, error) {
	if err := s.may(ctx, auth.ManageUsers); err != nil {
		return model.User{}, err
	}
	return s.updateUser(ctx, idOrEmail, in)
}

func (s *Service) updateUser(ctx context.Context, idOrEmail string, in UserUpdate) (model.User, error) {
	var hash string
	var faults []model.FieldError
	if in.Password != nil {
		if f := auth.PasswordFault(*in.Password); f != "" {
			faults = append(faults, model.FieldError{Field: "password", Message: f})
		} else {
			var err error
			if hash, err = s.Passwords.Hash(ctx, *in.Password); err != nil {
				return model.User{}, err
			}
		}
	}
	var u model.User
	err := s.change(ctx, func(tx *store.Store) (Change, error) {
		before, err := tx.FindUser(ctx, idOrEmail)
		if err != nil {
			return Change{}, err
		}
		u = before
		set(&u.Email, in.Email)
		set(&u.Name, in.Name)
		set(&u.Role, in.Role)
		set(&u.Active, in.Active)
		u.Email = model.NormalEmail(u.Email)
		if err := invalid("the user", append(u.Validate(), faults...)); err != nil {
			return Change{}, err
		}
		if hash != "" {
			u.PasswordHash = hash
		}
		if err := tx.UpdateUser(ctx, &u); err != nil {
			return Change{}, err
		}
		if err := lastAdmin(ctx, tx, before); err != nil {
			return Change{}, err
		}
		if hash != "" || !u.Active || u.Role != before.Role {
			keep := ""
			if a := auth.ActorOf(ctx); a.UserID() == u.ID && u.Active {
				keep = a.SessionID
			}
			if _, err := tx.DeleteSessions(ctx, u.ID, keep); err != nil {
				return Change{}, err
			}
		}
		return Change{
			Action: "user.update", ID: u.ID, Name: u.Email,
			Before: userAudit{User: before}, After: userAudit{User: u, Password: changedSecret(hash != "")},
		}, nil
	})
	return u, err
}

// userAudit is an account in the audit log: that the password was changed, not
// the password.
type userAudit struct {
	model.User
	Password string `json:"password,omitempty"`
}

// changedSecret is what the audit log says of a secret.
func changedSecret(yes bool) string {
	if yes {
		return "changed"
	}
	return ""
}

// set changes a field when there is something to change it to.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// LastAdminError is the refusal to leave nobody who can manage users.
type LastAdminError struct{ Email string }

func (e *LastAdminError) Error() string {
	return e.Email + " is the last active admin: make another account an admin first"
}

// Is makes errors.Is(err, ErrInUse) true.
func (e *LastAdminError) Is(target error) bool { return target == ErrInUse }

// lastAdmin refuses a change that left no active admin where there was one.
func lastAdmin(ctx context.Context, tx *store.Store, before model.User) error {
	if before.Role != model.RoleAdmin || !before.Active {
		return nil
	}
	n, err := tx.CountAdmins(ctx)
	if err == nil && n == 0 {
		return &LastAdminError{Email: before.Email}
	}
	return err
}

// ErrOwnAccount is the refusal to remove the account one is signed in with.
var ErrOwnAccount = errors.New("this is your own account: let another admin remove it")

// DeleteUser removes an account with its sessions and tokens.
func (s *Service) DeleteUser(ctx context.Context, idOrEmail string) error {
	if err := s.may(ctx, auth.ManageUsers); err != nil {
		return err
	}
	return s.change(ctx, func(tx *store.Store) (Change, error) {
		u, err := tx.FindUser(ctx, idOrEmail)
		if err != nil {
			return Change{}, err
		}
		if auth.ActorOf(ctx).UserID() == u.ID {
			return Change{}, ErrOwnAccount
		}
		if err := tx.DeleteUser(ctx, u.ID); err != nil {
			return Change{}, err
		}
		return Change{Action: "user.delete", ID: u.ID, Name: u.Email, Before: u}, lastAdmin(ctx, tx, u)
	})
}

// ChangePassword gives the actor's own account another password, and ends its
// other sessions.
func (s *Service) ChangePassword(ctx context.Context, old, fresh connectors.Secret) error {
	if err := s.may(ctx, auth.Anyone); err != nil {
		return err
	}
	a := auth.ActorOf(ctx)
	if a.UserID() == "" {
		return fault("the password", "password", "only an account has one")
	}
	u, err := s.Store.GetUser(ctx, a.ID)
	if err != nil {
		return err
	}
	if err := s.limit.Allow(u.Email, a.Address); err != nil {
		return err
	}
	matches, err := s.Passwords.Matches(ctx, u.PasswordHash, old)
	if err != nil {
		return err
	}
	if !matches {
		return fault("the password", "old_password", "is wrong")
	}
	s.limit.Succeeded(u.Email, a.Address)
	_, err = s.updateUser(ctx, u.ID, UserUpdate{Password: &fresh})
	return err
}
