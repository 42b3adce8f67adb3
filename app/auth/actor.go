package auth

import (
	"context"
	"errors"
	"fmt"

	"arus/app/model"
)

// ActorKind says what kind of somebody acts.
type ActorKind string

// The kinds of actor.
const (
	ActorUser      ActorKind = "user"
	ActorToken     ActorKind = "token"
	ActorCLI       ActorKind = "cli"      // who can open the data directory is its admin
	ActorSchedule  ActorKind = "schedule" // the program itself
	ActorAnonymous ActorKind = "anonymous"
)

// Actor is who does something, and from where.
type Actor struct {
	Kind      ActorKind
	ID        string // of the user or the token
	Name      string
	Role      model.Role
	SessionID string // of a signed-in user
	Address   string
}

// UserID is the account behind the actor, "" where there is none.
func (a Actor) UserID() string {
	if a.Kind == ActorUser {
		return a.ID
	}
	return ""
}

// Can says whether the actor has a permission.
func (a Actor) Can(p Permission) bool { return Can(a.Role, p) }

// CLI is the actor of the command line.
func CLI(name string) Actor { return Actor{Kind: ActorCLI, Name: name, Role: model.RoleAdmin} }

// Schedule is the actor of what the program does by itself.
func Schedule() Actor {
	return Actor{Kind: ActorSchedule, Name: "schedule", Role: model.RoleAdmin}
}

type actorKey struct{}

// WithActor puts the actor into a context.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf takes the actor out of a context; nobody is anonymous.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Kind: ActorAnonymous, Name: "anonymous"}
}

// ErrSignIn is the answer to somebody who is not, or no longer, known.
var ErrSignIn = errors.New("sign in first: the session or token is missing, has run out or was revoked")

// ErrCredentials is the answer to a sign-in that is not accepted. It does not
// say which part was wrong.
var ErrCredentials = errors.New("the address or the password is wrong, or the account is disabled")

// ForbiddenError is the answer to somebody who is known and may not.
type ForbiddenError struct {
	Permission Permission
	Role       model.Role
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("a %s may not do this: it takes the role %s", e.Role, Needs(e.Permission))
}

// Check is nil when the context's actor has the permission, else ErrSignIn or a
// *ForbiddenError.
func Check(ctx context.Context, p Permission) error {
	a := ActorOf(ctx)
	switch {
	case a.Can(p):
		return nil
	case a.Role == "":
		return ErrSignIn
	}
	return &ForbiddenError{Permission: p, Role: a.Role}
}
