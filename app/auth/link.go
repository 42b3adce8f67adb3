package auth

import (
	"crypto/subtle"
	"sync"
	"time"

	"arus/connectors"
)

// linkLife is how long a link that signs in may be opened.
const linkLife = 10 * time.Minute

// maxLinks bounds how many links wait to be opened.
const maxLinks = 16

// Links are the links that sign their opener in, each once and soon. They live
// as long as the process.
type Links struct {
	mu    sync.Mutex
	links []link
}

type link struct {
	token connectors.Secret
	name  string
	until time.Time
}

// Issue makes the token of a link for somebody of that name.
func (l *Links) Issue(name string, now time.Time) connectors.Secret {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.links) == maxLinks {
		l.links = l.links[1:]
	}
	token := NewToken("")
	l.links = append(l.links, link{token, name, now.Add(linkLife)})
	return token
}

// Redeem spends a token and gives the name it was made for.
func (l *Links) Redeem(given connectors.Secret, now time.Time) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, k := range l.links {
		if subtle.ConstantTimeCompare([]byte(k.token.Reveal()), []byte(given.Reveal())) == 1 {
			l.links = append(l.links[:i:i], l.links[i+1:]...)
			if now.Before(k.until) {
				return k.name, nil
			}
		}
	}
	return "", ErrSignIn
}
