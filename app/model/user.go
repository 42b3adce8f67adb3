package model

import (
	"net/mail"
	"strings"
	"time"
)

// Role is what an account or a token may do; see the table in app/auth.
type Role string

// The roles, from the least to the most.
const (
	RoleViewer Role = "viewer"
	RoleEditor Role = "editor"
	RoleAdmin  Role = "admin"
)

// Roles lists every Role, from the least to the most.
func Roles() []Role { return []Role{RoleViewer, RoleEditor, RoleAdmin} }

// User is an account. PasswordHash never leaves the program.
type User struct {
	ID           string    `json:"id"`
	Email        string    `json:"email"`
	Name         string    `json:"name"`
	Role         Role      `json:"role"`
	Active       bool      `json:"is_active"`
	PasswordHash string    `json:"-"`
	LastLogin    time.Time `json:"last_login,omitzero"` // zero: never
	CreatedAt    time.Time `json:"created_at,omitzero"`
	UpdatedAt    time.Time `json:"updated_at,omitzero"`
}

// NormalEmail is the one spelling in which an address is stored and compared.
func NormalEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// Validate returns every fault of the account, nil when there is none.
func (u User) Validate() []FieldError {
	var f faults
	switch a, err := mail.ParseAddress(u.Email); {
	case u.Email == "":
		f.add("email", "is required")
	case err != nil || a.Address != u.Email || strings.ContainsAny(u.Email, " \t\r\n"):
		f.add("email", "must be a plain address such as ann@example.com")
	}
	f.length("email", u.Email, 255)
	f.required("name", u.Name)
	f.length("name", u.Name, 255)
	oneOf(&f, "role", u.Role, Roles())
	return f
}

// SessionKind says who holds a session: a browser with a cookie, or a program
// with an access and a refresh token.
type SessionKind string

// The kinds of session.
const (
	SessionConsole SessionKind = "console"
	SessionProgram SessionKind = "program"
)

// Session is one sign-in. The hashes are of what its holder carries.
type Session struct {
	ID           string      `json:"id"`
	UserID       string      `json:"user_id"`
	Kind         SessionKind `json:"kind"`
	TokenHash    string      `json:"-"`
	PreviousHash string      `json:"-"` // the refresh token before the last rotation
	Address      string      `json:"address"`
	UserAgent    string      `json:"user_agent"`
	CreatedAt    time.Time   `json:"created_at"`
	LastSeenAt   time.Time   `json:"last_seen_at"`
	ExpiresAt    time.Time   `json:"expires_at"`
}

// APIToken lets a program in without an account's password.
type APIToken struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Role         Role      `json:"role"`
	TokenHash    string    `json:"-"`
	UserID       string    `json:"user_id,omitempty"`     // who made it; empty: the command line
	ExpiresAt    time.Time `json:"expires_at,omitzero"`   // zero: never
	LastUsedAt   time.Time `json:"last_used_at,omitzero"` // zero: never
	LastUsedFrom string    `json:"last_used_from,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
}

// Validate returns every fault of the token, nil when there is none.
func (t APIToken) Validate() []FieldError {
	var f faults
	f.required("name", t.Name)
	f.length("name", t.Name, 255)
	oneOf(&f, "role", t.Role, Roles())
	return f
}

// AuditEntry says who did what, when and from where. Before and After hold what
// changed, as JSON without secrets.
type AuditEntry struct {
	ID         int64     `json:"id"`
	At         time.Time `json:"at"`
	ActorKind  string    `json:"actor_kind"`
	ActorID    string    `json:"actor_id,omitempty"`
	ActorName  string    `json:"actor_name"`
	Address    string    `json:"address,omitempty"`
	Action     string    `json:"action"` // noun.verb
	ObjectType string    `json:"object_type"`
	ObjectID   string    `json:"object_id,omitempty"`
	ObjectName string    `json:"object_name,omitempty"`
	Before     JSON      `json:"before,omitempty"`
	After      JSON      `json:"after,omitempty"`
}
