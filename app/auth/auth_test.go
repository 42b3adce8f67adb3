package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/bcrypt"

	"arus/app/model"
	"arus/connectors"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func TestEveryRoleMayWhatTheRolesBelowMay(t *testing.T) {
	t.Parallel()
	var seen []Permission
	for _, row := range allowed {
		for _, p := range row.permissions {
			if slices.Contains(seen, p) {
				t.Errorf("%s stands in the table twice", p)
			}
			seen = append(seen, p)
			for _, role := range model.Roles() {
				if want := rank(role) >= rank(row.role); Can(role, p) != want {
					t.Errorf("Can(%s, %s) = %v, want %v", role, p, !want, want)
				}
			}
			if Can("", p) || Can("root", p) {
				t.Errorf("nobody may %s", p)
			}
		}
	}
	if Can(model.RoleAdmin, "no.such.permission") {
		t.Error("a permission outside the table is given to nobody")
	}
	if err := Check(t.Context(), Read); !errors.Is(err, ErrSignIn) {
		t.Errorf("anonymous: %v", err)
	}
	viewer := WithActor(t.Context(), Actor{Kind: ActorUser, Role: model.RoleViewer})
	if f, ok := errors.AsType[*ForbiddenError](Check(viewer, ManageUsers)); !ok || !strings.Contains(f.Error(), "admin") {
		t.Errorf("a viewer: %v", f)
	}
	if err := Check(viewer, Read); err != nil {
		t.Error(err)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"short": false, "ten chars!": true, strings.Repeat("x", 72): true, strings.Repeat("x", 73): false, strings.Repeat("é", 37): false, "пароль-пар": true,
	} {
		if got := PasswordFault(connectors.Secret(text)) == ""; got != ok {
			t.Errorf("%q: %v", text, PasswordFault(connectors.Secret(text)))
		}
	}
	p := NewPasswords(bcrypt.MinCost)
	hash, err := p.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	long := connectors.Secret(strings.Repeat("x", 72))
	longHash, err := p.Hash(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		hash  string
		given connectors.Secret
		want  bool
	}{
		{hash, "correct horse", true},
		{hash, "wrong horse", false},
		{hash, "", false},
		{"", "no account has this one", false},
		{"", "", false},
		{longHash, long, true},
		{longHash, long + "y", false},
		{"no hash", "x", false},
	}
	for i, tc := range tests {
		if got, err := p.Matches(t.Context(), tc.hash, tc.given); got != tc.want || err != nil {
			t.Errorf("%d: %v, %v", i, got, err)
		}
	}
}

func TestTokensAreSignedWithOneAlgorithmAndRunOut(t *testing.T) {
	t.Parallel()
	c := newClock()
	key := NewSigningKey()
	s := NewSigner(key, c.now)
	user := model.User{ID: "u1", Role: model.RoleEditor}
	token, err := s.Sign(TypeAccess, user, "s1", AccessLife)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := s.Read(token, TypeAccess)
	if err != nil || claims.Subject != "u1" || claims.SessionID != "s1" || claims.Role != model.RoleEditor {
		t.Fatalf("%+v, %v", claims, err)
	}
	again, _ := s.Sign(TypeAccess, user, "s1", AccessLife)
	if again == token {
		t.Error("two tokens are the same")
	}
	base := Claims{Type: TypeAccess, SessionID: "s1", RegisteredClaims: jwt.RegisteredClaims{
		Issuer: issuer, Audience: jwt.ClaimStrings{issuer}, Subject: "u1", ExpiresAt: jwt.NewNumericDate(c.at.Add(time.Hour)),
	}}
	sign := func(m jwt.SigningMethod, key any, change func(*Claims)) connectors.Secret {
		claims := base
		if change != nil {
			change(&claims)
		}
		text, err := jwt.NewWithClaims(m, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return connectors.Secret(text)
	}
	if _, err := s.Read(sign(jwt.SigningMethodHS256, key, nil), TypeAccess); err != nil {
		t.Errorf("the base of the forgeries is refused itself: %v", err)
	}
	forged := map[string]connectors.Secret{
		"no algorithm":      sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"another algorithm": sign(jwt.SigningMethodHS512, key, nil),
		"empty key":         sign(jwt.SigningMethodHS256, []byte{}, nil),
		"another key":       sign(jwt.SigningMethodHS256, NewSigningKey(), nil),
		"no end":            sign(jwt.SigningMethodHS256, key, func(c *Claims) { c.ExpiresAt = nil }),
		"no session":        sign(jwt.SigningMethodHS256, key, func(c *Claims) { c.SessionID = "" }),
		"no subject":        sign(jwt.SigningMethodHS256, key, func(c *Claims) { c.Subject = "" }),
		"another issuer":    sign(jwt.SigningMethodHS256, key, func(c *Claims) { c.Issuer = "x" }),
		"refresh token":     sign(jwt.SigningMethodHS256, key, func(c *Claims) { c.Type = TypeRefresh }),
		"not a token":       "a.b.c",
		"nothing":           "",
		"changed":           token[:len(token)-2] + "xx",
	}
	for name, text := range forged {
		if _, err := s.Read(text, TypeAccess); !errors.Is(err, ErrSignIn) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.at = c.at.Add(AccessLife)
	if _, err := s.Read(token, TypeAccess); !errors.Is(err, ErrSignIn) {
		t.Errorf("after its end: %v", err)
	}
}

func TestLoginLimit(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := NewLoginLimit(c.now)
	for range limitPerAccount {
		if err := l.Allow("ann", "1"); err != nil {
			t.Fatal(err)
		}
		c.at = c.at.Add(time.Second)
	}
	limited, ok := errors.AsType[*LimitError](l.Allow("ann", "1"))
	if !ok || limited.Seconds() != 50 {
		t.Fatalf("the eleventh: %+v", limited)
	}
	if err := l.Allow("ann", "2"); err != nil {
		t.Errorf("another address is locked out: %v", err)
	}
	if err := l.Allow("bob", "1"); err != nil {
		t.Errorf("another account is locked out: %v", err)
	}
	c.at = c.at.Add(51 * time.Second)
	if err := l.Allow("ann", "1"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	for i := range 60 {
		err := l.Allow("u"+string(rune('a'+i)), "3")
		if _, limited := errors.AsType[*LimitError](err); limited != (i >= limitPerAddress) {
			t.Errorf("account %d from one address: %v", i, err)
		}
	}
	for range 3 * limitPerAccount {
		if err := l.Allow("right", "4"); err != nil {
			t.Fatalf("successes count: %v", err)
		}
		l.Succeeded("right", "4")
	}
	for i := range 3 * limitEntries {
		_ = l.Allow("x", string(rune(i)))
	}
	if len(l.by) > limitEntries+2 {
		t.Errorf("%d entries are kept", len(l.by))
	}
}

func TestSetupTokenWorksOnce(t *testing.T) {
	t.Parallel()
	var s SetupToken
	done := func() error { return nil }
	if err := s.Redeem("", done); !errors.Is(err, ErrSignIn) || s.Open() {
		t.Errorf("before it was issued: %v", err)
	}
	token := s.Issue()
	if err := s.Redeem("wrong", done); !errors.Is(err, ErrSignIn) {
		t.Errorf("a wrong one: %v", err)
	}
	failed := errors.New("not valid")
	if err := s.Redeem(token, func() error { return failed }); !errors.Is(err, failed) || !s.Open() {
		t.Errorf("a failed use spends it: %v", err)
	}
	if err := s.Redeem(token, done); err != nil || s.Open() {
		t.Errorf("%v", err)
	}
	if err := s.Redeem(token, done); !errors.Is(err, ErrSignIn) {
		t.Errorf("the second time: %v", err)
	}
}

func TestAPITokensAreHashed(t *testing.T) {
	t.Parallel()
	a, b := NewToken(TokenPrefix), NewToken(TokenPrefix)
	if a == b || !IsAPIToken(a) || IsAPIToken("eyJ") || len(a.Reveal()) < 43 || HashToken(a) == HashToken(b) || strings.Contains(HashToken(a), a.Reveal()) {
		t.Errorf("%s %s", a.Reveal(), b.Reveal())
	}
}
