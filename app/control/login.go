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

// touchEvery bounds how often the use of a session or token is written down.
const touchEvery = time.Minute

// signingKey is the name of the key that signs JWTs, kept sealed in the state file.
const signingKey = "jwt"

// signerCache makes the signer when it is first needed.
type signerCache struct {
	mu     sync.Mutex
	signer *auth.Signer
}

// touches lets one of many requests at the same time write down that a session
// or token was used.
type touches struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// first says whether nobody has written it down within the last moment.
func (t *touches) first(id string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.last[id]; ok && now.Sub(at) < touchEvery {
		return false
	}
	if t.last == nil || len(t.last) >= 10_000 {
		t.last = map[string]time.Time{}
	}
	t.last[id] = now
	return true
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
	settings, err := s.settings(ctx)
	if err != nil {
		return "", model.Session{}, err
	}
	token := auth.NewToken("")
	session := model.Session{
		UserID: user.ID, Kind: model.SessionConsole, TokenHash: auth.HashToken(token), Address: c.Address, UserAgent: clip(c.UserAgent, 300),
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

// AuthenticateSession puts the holder of a console's session into the context.
// Whoever was disabled or signed out since is not known.
func (s *Service) AuthenticateSession(ctx context.Context, token connectors.Secret, address string) (context.Context, error) {
	session, err := s.Store.SessionByHash(ctx, auth.HashToken(token))
	if err != nil {
		return ctx, signIn(err)
	}
	if session.Kind != model.SessionConsole {
		return ctx, auth.ErrSignIn
	}
	return s.actor(ctx, session, address)
}

// actor puts a session's user into the context.
func (s *Service) actor(ctx context.Context, session model.Session, address string) (context.Context, error) {
	user, err := s.activeUser(ctx, session)
	if err != nil {
		return ctx, err
	}
	if now := s.Now(); now.Sub(session.LastSeenAt) >= touchEvery && s.touched.first(session.ID, now) {
		if err := s.Store.TouchSession(ctx, session.ID, address); err != nil {
			return ctx, err
		}
	}
	return auth.WithActor(ctx, auth.Actor{
		Kind: auth.ActorUser, ID: user.ID, Name: user.Email, Role: user.Role, SessionID: session.ID, Address: address,
	}), nil
}

// AuthenticateBearer puts the holder of an access token or an API token into the
// context.
func (s *Service) AuthenticateBearer(ctx context.Context, bearer connectors.Secret, address string) (context.Context, error) {
	if auth.IsAPIToken(bearer) {
		return s.authenticateToken(ctx, bearer, address)
	}
	signer, err := s.jwt(ctx)
	if err != nil {
		return ctx, err
	}
	claims, err := signer.Read(bearer, auth.TypeAccess)
	if err != nil {
		return ctx, err
	}
	session, err := s.Store.GetSession(ctx, claims.SessionID)
	if err != nil {
		return ctx, signIn(err)
	}
	if session.UserID != claims.Subject || session.Kind != model.SessionProgram {
		return ctx, auth.ErrSignIn
	}
	return s.actor(ctx, session, address)
}

// authenticateToken lets an API token in. It may do no more than whoever made
// it may now.
func (s *Service) authenticateToken(ctx context.Context, bearer connectors.Secret, address string) (context.Context, error) {
	token, err := s.Store.TokenByHash(ctx, auth.HashToken(bearer))
	if err != nil {
		return ctx, signIn(err)
	}
	now := s.Now()
	if !token.ExpiresAt.IsZero() && !now.Before(token.ExpiresAt) {
		return ctx, auth.ErrSignIn
	}
	role := token.Role
	if token.UserID != "" {
		maker, err := s.Store.GetUser(ctx, token.UserID)
		if err != nil {
			return ctx, signIn(err)
		}
		if !maker.Active {
			return ctx, auth.ErrSignIn
		}
		role = auth.Lesser(role, maker.Role)
	}
	if now.Sub(token.LastUsedAt) >= touchEvery && s.touched.first(token.ID, now) {
		if err := s.Store.TouchToken(ctx, token.ID, address); err != nil {
			return ctx, err
		}
	}
	return auth.WithActor(ctx, auth.Actor{Kind: auth.ActorToken, ID: token.ID, Name: token.Name, Role: role, Address: address}), nil
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
