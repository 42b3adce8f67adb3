package auth

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"arus/app/model"
	"arus/connectors"
)

// How long the tokens of a program's sign-in live.
const (
	AccessLife  = 15 * time.Minute
	RefreshLife = 7 * 24 * time.Hour
)

// The two types of token, in the claim "type".
const (
	TypeAccess  = "access"
	TypeRefresh = "refresh"
)

const issuer = "arus"

// Claims are what a JWT of Arus says. The role is informative: what counts is
// the account's role at the time of the request.
type Claims struct {
	Role      model.Role `json:"role"`
	Type      string     `json:"type"`
	SessionID string     `json:"sid"`
	jwt.RegisteredClaims
}

// NewSigningKey makes a random key for a Signer.
func NewSigningKey() []byte {
	b := make([]byte, 64)
	_, _ = rand.Read(b) // it never fails
	return b
}

// Signer makes and reads JWTs with one key and one algorithm, HS256.
type Signer struct {
	key    []byte
	now    func() time.Time
	parser *jwt.Parser
}

// NewSigner returns a Signer.
func NewSigner(key []byte, now func() time.Time) *Signer {
	return &Signer{key: key, now: now, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)}
}

// Sign makes a token for a session. The nonce makes every token another one.
func (s *Signer) Sign(kind string, user model.User, sessionID string, life time.Duration) (connectors.Secret, error) {
	now := s.now()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{
		Role: user.Role, Type: kind, SessionID: sessionID,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{issuer}, Subject: user.ID, ID: NewToken("").Reveal(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
	}).SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return connectors.Secret(text), nil
}

// Read checks a token and gives its claims. Every fault is ErrSignIn.
func (s *Signer) Read(token connectors.Secret, kind string) (Claims, error) {
	var c Claims
	t, err := s.parser.ParseWithClaims(token.Reveal(), &c, func(*jwt.Token) (any, error) { return s.key, nil })
	if err != nil || !t.Valid || c.Type != kind || c.Subject == "" || c.SessionID == "" {
		return Claims{}, ErrSignIn
	}
	return c, nil
}
