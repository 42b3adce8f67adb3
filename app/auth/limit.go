package auth

import (
	"fmt"
	"sync"
	"time"
)

// The login limit: so many failures within the window, for one account from one
// address and for one address in all.
const (
	limitWindow     = time.Minute
	limitPerAccount = 10
	limitPerAddress = 50
	limitEntries    = 10_000
)

// LimitError is the answer to too many failed sign-ins.
type LimitError struct{ RetryAfter time.Duration }

func (e *LimitError) Error() string {
	return fmt.Sprintf("too many failed sign-ins: try again in %d seconds", e.Seconds())
}

// Seconds is the wait in whole seconds, at least one.
func (e *LimitError) Seconds() int {
	return max(1, int((e.RetryAfter+time.Second-1)/time.Second))
}

// LoginLimit counts failed sign-ins in memory that does not grow without bound.
type LoginLimit struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string][]time.Time // oldest first
}

// NewLoginLimit returns a limit.
func NewLoginLimit(now func() time.Time) *LoginLimit {
	return &LoginLimit{now: now, by: map[string][]time.Time{}}
}

// Allow counts an attempt before its password is looked at, so that attempts at
// the same time count too. The error is a *LimitError.
func (l *LoginLimit) Allow(account, address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	keys := [2]string{address, address + "\x00" + account}
	limits := [2]int{limitPerAddress, limitPerAccount}
	for i, key := range keys {
		times := l.recent(key, now)
		if len(times) >= limits[i] {
			return &LimitError{RetryAfter: times[len(times)-limits[i]].Add(limitWindow).Sub(now)}
		}
	}
	if len(l.by) >= limitEntries {
		l.sweep(now)
	}
	for _, key := range keys {
		l.by[key] = append(l.by[key], now)
	}
	return nil
}

// Succeeded forgets the attempts of an account from an address.
func (l *LoginLimit) Succeeded(account, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.by, address+"\x00"+account)
	if times := l.by[address]; len(times) > 0 {
		l.by[address] = times[:len(times)-1]
	}
}

func (l *LoginLimit) recent(key string, now time.Time) []time.Time {
	times := l.by[key]
	for len(times) > 0 && now.Sub(times[0]) >= limitWindow {
		times = times[1:]
	}
	if len(times) == 0 {
		delete(l.by, key)
		return nil
	}
	l.by[key] = times
	return times
}

// sweep drops what has run out; when that is not enough, everything: a flood of
// made-up accounts must not fill the memory.
func (l *LoginLimit) sweep(now time.Time) {
	for key := range l.by {
		l.recent(key, now)
	}
	if len(l.by) >= limitEntries {
		clear(l.by)
	}
}
