package auth

import (
	"context"
	"fmt"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"arus/connectors"
)

// The lengths a password may have. bcrypt looks at 72 bytes and no further, so
// a longer one is refused instead of being cut.
const (
	MinPassword = 10 // characters
	MaxPassword = 72 // bytes
)

// DefaultCost makes one check take about a tenth of a second on a small server.
const DefaultCost = 11

// PasswordFault says what is wrong with a new password, "" when nothing is.
func PasswordFault(password connectors.Secret) string {
	text := password.Reveal()
	switch n := utf8.RuneCountInString(text); {
	case n < MinPassword:
		return fmt.Sprintf("has %d characters, at least %d are needed", n, MinPassword)
	case len(text) > MaxPassword:
		return fmt.Sprintf("has %d bytes, at most %d are allowed (a letter with an accent has two, an emoji four)", len(text), MaxPassword)
	}
	return ""
}

// Passwords hashes and checks passwords, a few at a time, so that a flood of
// sign-ins leaves the processor to the runs.
type Passwords struct {
	// Compare checks a password against a hash; it is bcrypt's unless a test
	// counts how often it is asked.
	Compare func(hash, password []byte) error

	cost  int
	slots chan struct{}
	dummy func() []byte
}

// NewPasswords returns the means to hash with a bcrypt cost, 0 for DefaultCost.
func NewPasswords(cost int) *Passwords {
	if cost == 0 {
		cost = DefaultCost
	}
	p := &Passwords{Compare: bcrypt.CompareHashAndPassword, cost: cost, slots: make(chan struct{}, 2)}
	// What an unknown account is compared with takes as long as a real one.
	p.dummy = sync.OnceValue(func() []byte {
		hash, err := bcrypt.GenerateFromPassword([]byte("no account has this one"), cost)
		if err != nil {
			return nil
		}
		return hash
	})
	return p
}

// Hash gives the form in which a password is stored.
func (p *Passwords) Hash(ctx context.Context, password connectors.Secret) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	hash, err := bcrypt.GenerateFromPassword([]byte(password.Reveal()), p.cost)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return string(hash), nil
}

// Matches says whether the password belongs to the hash. It takes the same time
// for an empty hash, which stands for an unknown account and never matches.
func (p *Passwords) Matches(ctx context.Context, hash string, password connectors.Secret) (bool, error) {
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	known := hash != ""
	stored := []byte(hash)
	if !known {
		stored = p.dummy()
	}
	text := []byte(password.Reveal())
	if len(text) > MaxPassword {
		text, known = text[:MaxPassword], false
	}
	return p.Compare(stored, text) == nil && known, nil
}

func (p *Passwords) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Passwords) leave() { <-p.slots }
