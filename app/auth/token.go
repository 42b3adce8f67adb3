package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync"

	"arus/connectors"
)

// TokenPrefix begins every API token, so that one is recognised where it should
// not be.
const TokenPrefix = "arus_"

// NewToken makes a random token of 256 bits after the prefix.
func NewToken(prefix string) connectors.Secret {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails
	return connectors.Secret(prefix + base64.RawURLEncoding.EncodeToString(b))
}

// HashToken is what is stored of a token. The token is random, so a fast hash
// without a salt is enough.
func HashToken(token connectors.Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

// IsAPIToken says whether a bearer is an API token rather than a JWT.
func IsAPIToken(bearer connectors.Secret) bool {
	return strings.HasPrefix(bearer.Reveal(), TokenPrefix)
}

// SetupToken lets the first admin in, once. It lives as long as the process.
type SetupToken struct {
	mu    sync.Mutex
	token connectors.Secret
}

// Issue makes the token and returns it; before Issue none is accepted.
func (s *SetupToken) Issue() connectors.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = NewToken("")
	return s.token
}

// Open says whether a token was issued and not yet used.
func (s *SetupToken) Open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token != ""
}

// Redeem runs use when the given token is the right one; when use succeeds the
// token is spent. Two at a time cannot both succeed.
func (s *SetupToken) Redeem(given connectors.Secret, use func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" || subtle.ConstantTimeCompare([]byte(s.token.Reveal()), []byte(given.Reveal())) != 1 {
		return ErrSignIn
	}
	if err := use(); err != nil {
		return err
	}
	s.token = ""
	return nil
}
