package auth

import (
	"errors"
	"testing"
	"time"
)

// TestALinkSignsInOnceAndSoon and only by its own token.
func TestALinkSignsInOnceAndSoon(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var l Links
	if _, err := l.Redeem("", now); !errors.Is(err, ErrSignIn) {
		t.Errorf("no token: %v", err)
	}
	token, late := l.Issue("ann", now), l.Issue("bob", now)
	if name, err := l.Redeem(token, now); err != nil || name != "ann" {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := l.Redeem(token, now); !errors.Is(err, ErrSignIn) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := l.Redeem(late, now.Add(linkLife)); !errors.Is(err, ErrSignIn) {
		t.Errorf("too late: %v", err)
	}
	first := l.Issue("ann", now)
	for range maxLinks {
		l.Issue("ann", now)
	}
	if _, err := l.Redeem(first, now); !errors.Is(err, ErrSignIn) {
		t.Errorf("the oldest of too many: %v", err)
	}
}
