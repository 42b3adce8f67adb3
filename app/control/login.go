package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
)

// signingKey is the name of the key that signs JWTs, kept sealed in the state file.
const signingKey = "jwt"

// signerCache makes the signer when it is first needed.
type signerCache struct {
	mu     sync.Mutex
	signer *auth.Signer
}

// jwt gives the signer; its key is made on first use.
func (s *Service) jwt(ctx context.Context) (*auth.Signer, error) {
	s.signer.mu.Lock()
	defer s.signer.mu.Unlock()
	if s.signer.signer != nil {
		return s.signer.signer, nil
	}
	sealed, err := s.Store.Key(ctx, signingKey)
	if errors.Is(err, store.ErrNotFound) {
		if sealed, err = s.Ring.Seal(string(auth.NewSigningKey())); err == nil {
			err = s.Store.SaveKey(ctx, signingKey, sealed)
		}
	}
	if err != nil {
		return nil, err
	}
	key, err := s.Ring.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("open the key that signs tokens: %w", err)
	}
	s.signer.signer = auth.NewSigner([]byte(key), s.Now)
	return s.signer.signer, nil
}

// Credentials are what somebody signs in with, and from where.
type Credentials struct {
	Email     string
	Password  connectors.Secret
	Address   string
	UserAgent string
}

// check finds the account that the credentials belong to. Whatever is wrong with
// them, the answer is the same and takes as long.
func (s *Service) check(ctx context.Context, c Credentials) (model.User, error) {
	email := model.NormalEmail(c.Email)
	if len(email) > 255 {
		email = email[:255]
	}
	if err := s.limit.Allow(email, c.Address); err != nil {
		return model.User{}, err
	}
	user, err := s.Store.FindUser(ctx, email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return model.User{}, err
	}
	if err != nil || user.Email != email { // an id is no name to sign in with
		user = model.User{}
	}
	matches, err := s.Passwords.Matches(ctx, user.PasswordHash, c.Password)
	if err != nil {
		return model.User{}, err
	}
	if !matches || !user.Active {
		s.Log.WarnContext(ctx, "a sign-in was refused", "address", c.Address)
		return model.User{}, auth.ErrCredentials
	}
	s.limit.Succeeded(email, c.Address)
	return user, nil
}

// SignIn begins a session of the console. The token goes into its cookie.
func (s *Service) SignIn(ctx context.Context, c Credentials) (connectors.Secret, model.Session, error) {
	user, err := s.check(ctx, c)
	if err != nil {
		return "", model.Session{}, err
	}
	return s.beginSession(ctx, user, c.Address, c.UserAgent)
}

// beginSession begins a session of the console for somebody who is known.
func (s *Service) beginSession(ctx context.Context, user model.User, address, userAgent string) (connectors.Secret, model.Session, error) {
	settings, err := s.settings(ctx)
	if err != nil {
		return "", model.Session{}, err
	}
	token := auth.NewToken("")
	session := model.Session{
		UserID: user.ID, Kind: model.SessionConsole, TokenHash: auth.HashToken(token), Address: address, UserAgent: clip(userAgent, 300),
		ExpiresAt: s.Now().Add(settings.SessionLife),
	}
	_, err = s.signedIn(ctx, user, &session)
	return token, session, err
}

// signedIn stores a session with its audit line.
func (s *Service) signedIn(ctx context.Context, user model.User, session *model.Session) (model.User, error) {
	ctx = auth.WithActor(ctx, auth.Actor{Kind: auth.ActorUser, ID: user.ID, Name: user.Email, Role: user.Role, Address: session.Address})
	err := s.Store.Atomically(ctx, func(tx *store.Store) (err error) {
		if err := tx.CreateSession(ctx, session); err != nil {
			return err
		}
		if user.LastLogin, err = tx.SetLastLogin(ctx, user.ID); err != nil {
			return err
		}
		return s.audit(ctx, tx, Change{Action: "session.begin", ID: session.ID, Name: string(session.Kind)})
	})
	return user, err
}

// Login is what a program gets for a password.
type Login struct {
	Access, Refresh connectors.Secret
	ExpiresIn       time.Duration
	RefreshIn       time.Duration
	ExpiresAt       time.Time
	User            model.User
}

// Login begins a session of a program.
func (s *Service) Login(ctx context.Context, c Credentials) (Login, error) {
	signer, err := s.jwt(ctx)
	if err != nil {
		return Login{}, err
	}
	user, err := s.check(ctx, c)
	if err != nil {
		return Login{}, err
	}
	// The session's id stands in the refresh token, and the token's hash in the session.
	session := model.Session{
		ID: newSessionID(), UserID: user.ID, Kind: model.SessionProgram, Address: c.Address, UserAgent: clip(c.UserAgent, 300),
		ExpiresAt: s.Now().Add(auth.RefreshLife),
	}
	login, err := s.tokens(signer, user, session.ID)
	if err != nil {
		return Login{}, err
	}
	session.TokenHash = auth.HashToken(login.Refresh)
	login.User, err = s.signedIn(ctx, user, &session)
	return login, err
}

func (s *Service) tokens(signer *auth.Signer, user model.User, sessionID string) (Login, error) {
	access, err := signer.Sign(auth.TypeAccess, user, sessionID, auth.AccessLife)
	if err != nil {
		return Login{}, err
	}
	refresh, err := signer.Sign(auth.TypeRefresh, user, sessionID, auth.RefreshLife)
	return Login{
		Access: access, Refresh: refresh, ExpiresIn: auth.AccessLife, RefreshIn: auth.RefreshLife,
		ExpiresAt: s.Now().UTC().Add(auth.AccessLife), User: user,
	}, err
}

// Refresh gives a new pair of tokens for a refresh token, which is spent by it.
// A spent one that is shown again was stolen, or its answer got lost: either
// way the session ends.
func (s *Service) Refresh(ctx context.Context, refresh connectors.Secret) (Login, error) {
	signer, err := s.jwt(ctx)
	if err != nil {
		return Login{}, err
	}
	claims, err := signer.Read(refresh, auth.TypeRefresh)
	if err != nil {
		return Login{}, err
	}
	hash := auth.HashToken(refresh)
	session, err := s.Store.GetSession(ctx, claims.SessionID)
	if err != nil {
		return Login{}, signIn(err)
	}
	user, err := s.activeUser(ctx, session)
	if err != nil {
		return Login{}, err
	}
	if session.PreviousHash == hash {
		s.Log.WarnContext(ctx, "a spent refresh token was shown again: its session ends", "session", session.ID)
		return Login{}, errors.Join(auth.ErrSignIn, s.Store.DeleteSession(ctx, session.ID))
	}
	login, err := s.tokens(signer, user, session.ID)
	if err != nil {
		return Login{}, err
	}
	err = s.Store.RotateSession(ctx, session.ID, hash, auth.HashToken(login.Refresh), s.Now().Add(auth.RefreshLife))
	return login, signIn(err)
}

// signIn turns "there is no such session" into the answer for everybody who is
// not known.
func signIn(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return auth.ErrSignIn
	}
	return err
}

// activeUser is the account of a session that has not run out.
func (s *Service) activeUser(ctx context.Context, session model.Session) (model.User, error) {
	if !s.Now().Before(session.ExpiresAt) {
		return model.User{}, auth.ErrSignIn
	}
	user, err := s.Store.GetUser(ctx, session.UserID)
	if err != nil {
		return model.User{}, signIn(err)
	}
	if !user.Active {
		return model.User{}, auth.ErrSignIn
	}
	return user, nil
}

// identity is who holds a session or a token, and until when.
type identity struct {
	actor auth.Actor
	until time.Time // zero: for ever
	use   store.Touch
}

// recognize puts the holder of a session or token into the context. What find finds is held until an account, a session or a
// token changes, so whoever was disabled, demoted or signed out since is so at once.
func (s *Service) recognize(ctx context.Context, kind string, token connectors.Secret, address string, find func(context.Context) (identity, error)) (context.Context, error) {
	who, err := s.identities.get(ctx, s.Store, kind+auth.HashToken(token), find)
	if err != nil {
		return ctx, err
	}
	now := s.Now()
	if !who.until.IsZero() && !now.Before(who.until) {
		return ctx, auth.ErrSignIn
	}
	if now.Sub(who.use.At) >= touchEvery {
		use := who.use
		use.At, use.Address = now, address
		if s.touched.add(use) {
			if err := s.saveTouches(ctx); err != nil {
				return ctx, err
			}
		}
	}
	who.actor.Address = address
	return auth.WithActor(ctx, who.actor), nil
}

// AuthenticateSession puts the holder of a console's session into the context.
func (s *Service) AuthenticateSession(ctx context.Context, token connectors.Secret, address string) (context.Context, error) {
	return s.recognize(ctx, "session ", token, address, func(ctx context.Context) (identity, error) {
		session, err := s.Store.SessionByHash(ctx, auth.HashToken(token))
		if err != nil {
			return identity{}, signIn(err)
		}
		if session.Kind != model.SessionConsole {
			return identity{}, auth.ErrSignIn
		}
		return s.sessionHolder(ctx, session)
	})
}

// sessionHolder is the user of a session.
func (s *Service) sessionHolder(ctx context.Context, session model.Session) (identity, error) {
	user, err := s.activeUser(ctx, session)
	if err != nil {
		return identity{}, err
	}
	return identity{
		actor: auth.Actor{Kind: auth.ActorUser, ID: user.ID, Name: user.Email, Role: user.Role, SessionID: session.ID},
		until: session.ExpiresAt, use: store.Touch{ID: session.ID, At: session.LastSeenAt},
	}, nil
}

// AuthenticateBearer puts the holder of an access token or an API token into the
// context.
func (s *Service) AuthenticateBearer(ctx context.Context, bearer connectors.Secret, address string) (context.Context, error) {
	if auth.IsAPIToken(bearer) {
		return s.recognize(ctx, "token ", bearer, address, func(ctx context.Context) (identity, error) { return s.tokenHolder(ctx, bearer) })
	}
	return s.recognize(ctx, "access ", bearer, address, func(ctx context.Context) (identity, error) {
		signer, err := s.jwt(ctx)
		if err != nil {
			return identity{}, err
		}
		claims, err := signer.Read(bearer, auth.TypeAccess)
		if err != nil {
			return identity{}, err
		}
		session, err := s.Store.GetSession(ctx, claims.SessionID)
		if err != nil {
			return identity{}, signIn(err)
		}
		if session.UserID != claims.Subject || session.Kind != model.SessionProgram {
			return identity{}, auth.ErrSignIn
		}
		who, err := s.sessionHolder(ctx, session)
		if claims.ExpiresAt.Before(who.until) {
			who.until = claims.ExpiresAt.Time
		}
		return who, err
	})
}

// tokenHolder lets an API token in. It may do no more than whoever made it may
// now.
func (s *Service) tokenHolder(ctx context.Context, bearer connectors.Secret) (identity, error) {
	token, err := s.Store.TokenByHash(ctx, auth.HashToken(bearer))
	if err != nil {
		return identity{}, signIn(err)
	}
	role := token.Role
	if token.UserID != "" {
		maker, err := s.Store.GetUser(ctx, token.UserID)
		if err != nil {
			return identity{}, signIn(err)
		}
		if !maker.Active {
			return identity{}, auth.ErrSignIn
		}
		role = auth.Lesser(role, maker.Role)
	}
	return identity{
		actor: auth.Actor{Kind: auth.ActorToken, ID: token.ID, Name: token.Name, Role: role},
		until: token.ExpiresAt, use: store.Touch{ID: token.ID, Token: true, At: token.LastUsedAt},
	}, nil
}

// SignOut ends the session that the actor came with; a token stays.
func (s *Service) SignOut(ctx context.Context) error {
	if err := s.may(ctx, auth.Anyone); err != nil {
		return err
	}
	a := auth.ActorOf(ctx)
	if a.SessionID == "" {
		return nil
	}
	err := s.Store.Atomically(ctx, func(tx *store.Store) error {
		if err := tx.DeleteSession(ctx, a.SessionID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return s.audit(ctx, tx, Change{Action: "session.end", ID: a.SessionID})
	})
	return err
}

func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit]
}
