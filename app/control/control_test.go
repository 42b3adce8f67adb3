package control

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/script"
	"arus/app/secret"
	"arus/app/store"
	"arus/connectors"
	connectorlist "arus/connectors/all"
)

func TestMain(m *testing.M) {
	if code, ok := script.Launched(os.Args[1:], os.Stderr); ok { // this binary as the launcher of a script's worker
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// bundle is a service on a state file of its own, at a time that the test sets.
type bundle struct {
	*Service
	at    time.Time
	admin context.Context
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	now := func() time.Time { return b.at }
	st, err := store.Open(t.Context(), t.TempDir(), store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.Load(st.Dir(), "")
	if err != nil {
		t.Fatal(err)
	}
	b.Service = New(Parts{
		Store: st, Ring: ring, Registry: connectorlist.Registry(), Now: now, Log: slog.New(slog.DiscardHandler),
		Getenv: func(string) string { return "" }, Passwords: auth.NewPasswords(bcrypt.MinCost),
	})
	b.admin = auth.WithActor(t.Context(), auth.CLI("test"))
	t.Cleanup(func() {
		if err := errors.Join(b.Stop(context.Background()), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

const password = connectors.Secret("correct horse battery")

func (b *bundle) user(t *testing.T, email string, role model.Role) model.User {
	t.Helper()
	u, err := b.AddUser(b.admin, UserInput{Email: email, Name: email, Role: role, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (b *bundle) login(t *testing.T, email string) Login {
	t.Helper()
	l, err := b.Login(t.Context(), Credentials{Email: email, Password: password, Address: "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheLastAdminStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ann := b.user(t, "Ann@Example.com", model.RoleAdmin)
	editor := model.RoleEditor
	no := false
	for name, do := range map[string]func() error{
		"demote":  func() error { _, err := b.UpdateUser(b.admin, ann.ID, UserUpdate{Role: &editor}); return err },
		"disable": func() error { _, err := b.UpdateUser(b.admin, ann.ID, UserUpdate{Active: &no}); return err },
		"delete":  func() error { return b.DeleteUser(b.admin, "ann@example.com") },
	} {
		if err := do(); !errors.Is(err, ErrInUse) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := b.User(b.admin, ann.ID); err != nil || got.Role != model.RoleAdmin || !got.Active {
		t.Errorf("%+v, %v", got, err)
	}
	b.user(t, "bob@example.com", model.RoleAdmin)
	if _, err := b.UpdateUser(b.admin, ann.ID, UserUpdate{Active: &no}); err != nil {
		t.Errorf("with a second admin: %v", err)
	}
	if err := b.DeleteUser(b.admin, "bob@example.com"); !errors.Is(err, ErrInUse) {
		t.Errorf("the other one is disabled: %v", err)
	}
}

func TestAllFaultsOfAUserAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.AddUser(b.admin, UserInput{Email: "nobody", Role: "root", Password: "short"})
	e, ok := errors.AsType[*InvalidError](err)
	if !ok || len(e.Faults) != 4 {
		t.Fatalf("%v", err)
	}
	if strings.Contains(err.Error(), "short") {
		t.Errorf("the error shows the password: %v", err)
	}
	b.user(t, "ann@example.com", model.RoleViewer)
	if _, err := b.AddUser(b.admin, UserInput{Email: " ANN@example.com", Name: "x", Password: password}); !errors.Is(err, ErrConflict) {
		t.Errorf("the same address: %v", err)
	}
}

// TestDeactivationTakesEffectAtOnce follows a cookie, an access token and an API
// token through everything that must end them.
func TestDeactivationTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	no, viewer, fresh := false, model.RoleViewer, connectors.Secret("another password")
	ends := map[string]struct {
		do    func(*bundle, model.User) error
		token bool // the API token still works
	}{
		"disabled": {func(b *bundle, u model.User) error {
			_, err := b.UpdateUser(b.admin, u.ID, UserUpdate{Active: &no})
			return err
		}, false},
		"deleted": {func(b *bundle, u model.User) error { return b.DeleteUser(b.admin, u.ID) }, false},
		"password": {func(b *bundle, u model.User) error {
			_, err := b.UpdateUser(b.admin, u.ID, UserUpdate{Password: &fresh})
			return err
		}, true},
		"signed out everywhere": {func(b *bundle, u model.User) error { _, err := b.SignOutEverywhere(b.admin, u.ID); return err }, true},
		"demoted": {func(b *bundle, u model.User) error {
			_, err := b.UpdateUser(b.admin, u.ID, UserUpdate{Role: &viewer})
			return err
		}, true},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.user(t, "root@example.com", model.RoleAdmin)
			u := b.user(t, "ann@example.com", model.RoleAdmin)
			cookie, _, err := b.SignIn(t.Context(), Credentials{Email: u.Email, Password: password, Address: "1"})
			if err != nil {
				t.Fatal(err)
			}
			login := b.login(t, u.Email)
			ctx, err := b.AuthenticateSession(t.Context(), cookie, "1")
			if err != nil {
				t.Fatal(err)
			}
			token, _, err := b.AddToken(ctx, TokenInput{Name: "script", Role: model.RoleAdmin})
			if err != nil {
				t.Fatal(err)
			}
			if ctx, err := b.AuthenticateBearer(t.Context(), token, "1"); err != nil || auth.ActorOf(ctx).Role != model.RoleAdmin {
				t.Fatal(err)
			}
			if _, err := b.AuthenticateBearer(t.Context(), login.Access, "1"); err != nil {
				t.Fatal(err)
			}
			if err := end.do(b, u); err != nil {
				t.Fatal(err)
			}
			if _, err := b.AuthenticateSession(t.Context(), cookie, "1"); !errors.Is(err, auth.ErrSignIn) {
				t.Errorf("the cookie: %v", err)
			}
			if _, err := b.AuthenticateBearer(t.Context(), login.Access, "1"); !errors.Is(err, auth.ErrSignIn) {
				t.Errorf("the access token: %v", err)
			}
			if _, err := b.Refresh(t.Context(), login.Refresh); !errors.Is(err, auth.ErrSignIn) {
				t.Errorf("the refresh token: %v", err)
			}
			ctx, err = b.AuthenticateBearer(t.Context(), token, "1")
			if end.token != (err == nil) {
				t.Errorf("the API token: %v", err)
			}
			if name == "demoted" && auth.ActorOf(ctx).Role != model.RoleViewer {
				t.Errorf("the token may do more than its maker: %s", auth.ActorOf(ctx).Role)
			}
		})
	}
}

func TestRefreshTokensRotate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ann@example.com", model.RoleViewer)
	first := b.login(t, u.Email)
	b.at = b.at.Add(16 * time.Minute)
	if _, err := b.AuthenticateBearer(t.Context(), first.Access, "1"); !errors.Is(err, auth.ErrSignIn) {
		t.Errorf("an access token of 16 minutes: %v", err)
	}
	second, err := b.Refresh(t.Context(), first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.AuthenticateBearer(t.Context(), second.Access, "1"); err != nil {
		t.Error(err)
	}
	if _, err := b.AuthenticateBearer(t.Context(), second.Refresh, "1"); !errors.Is(err, auth.ErrSignIn) {
		t.Errorf("a refresh token as an access token: %v", err)
	}
	if _, err := b.Refresh(t.Context(), first.Refresh); !errors.Is(err, auth.ErrSignIn) {
		t.Errorf("a spent one: %v", err)
	}
	if _, err := b.Refresh(t.Context(), second.Refresh); !errors.Is(err, auth.ErrSignIn) {
		t.Errorf("the spent one was shown again, and the session goes on: %v", err)
	}
	third := b.login(t, u.Email)
	b.at = b.at.Add(8 * 24 * time.Hour)
	if _, err := b.Refresh(t.Context(), third.Refresh); !errors.Is(err, auth.ErrSignIn) {
		t.Errorf("after eight days: %v", err)
	}
}

func TestSignInSaysTheSameToEverybody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ann@example.com", model.RoleViewer)
	off := b.user(t, "off@example.com", model.RoleViewer)
	no := false
	if _, err := b.UpdateUser(b.admin, off.ID, UserUpdate{Active: &no}); err != nil {
		t.Fatal(err)
	}
	for i, c := range []Credentials{
		{Email: "ann@example.com", Password: "wrong password"},
		{Email: "nobody@example.com", Password: password},
		{Email: "off@example.com", Password: password},
		{Email: u.ID, Password: password},
		{},
		{Email: strings.Repeat("x", 10_000), Password: password},
	} {
		c.Address = string(rune('a' + i))
		if _, err := b.Login(t.Context(), c); !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("%d: %v", i, err)
		}
	}
	var limited *auth.LimitError
	for range 11 {
		_, err := b.Login(t.Context(), Credentials{Email: u.Email, Password: "wrong password", Address: "z"})
		limited, _ = errors.AsType[*auth.LimitError](err)
	}
	if limited == nil {
		t.Error("the eleventh attempt is not refused")
	}
	if got, err := b.User(b.admin, u.ID); err != nil || !got.LastLogin.IsZero() {
		t.Errorf("last login %v, %v", got.LastLogin, err)
	}
	b.login(t, u.Email)
	if got, err := b.User(b.admin, u.ID); err != nil || !got.LastLogin.Equal(b.at) {
		t.Errorf("last login %v, %v", got.LastLogin, err)
	}
}

// TestEverySignInComparesOnce: whoever asks, whether there is such an account or not, waits for one comparison with a hash of
// the same cost.
func TestEverySignInComparesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ann@example.com", model.RoleViewer)
	off := b.user(t, "off@example.com", model.RoleViewer)
	if _, err := b.UpdateUser(b.admin, off.ID, UserUpdate{Active: new(false)}); err != nil {
		t.Fatal(err)
	}
	compared := []int{}
	compare := b.Passwords.Compare
	b.Passwords.Compare = func(hash, text []byte) error {
		cost, err := bcrypt.Cost(hash)
		if err != nil {
			t.Errorf("compared with what is no hash: %v", err)
		}
		compared = append(compared, cost)
		return compare(hash, text)
	}
	for _, tc := range []struct {
		name, email string
		password    connectors.Secret
		in          bool
	}{
		{"the right password", "ann@example.com", password, true},
		{"a wrong password", "ann@example.com", "wrong horse battery", false},
		{"no password", "ann@example.com", "", false},
		{"a password that is too long", "ann@example.com", connectors.Secret(strings.Repeat("x", 500)), false},
		{"an unknown account", "nobody@example.com", password, false},
		{"no account", "", password, false},
		{"an address that is too long", strings.Repeat("a", 5000) + "@example.com", password, false},
		{"an id in place of the address", off.ID, password, false},
		{"a disabled account", "off@example.com", password, false},
	} {
		compared = compared[:0]
		_, _, err := b.SignIn(t.Context(), Credentials{Email: tc.email, Password: tc.password, Address: tc.name})
		if (err == nil) != tc.in || !tc.in && !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if len(compared) != 1 || compared[0] != bcrypt.MinCost {
			t.Errorf("%s: compared %d times, with the costs %v", tc.name, len(compared), compared)
		}
	}
}

func TestSetUpMakesTheFirstAdminOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if needed, err := b.NeedsSetup(t.Context()); !needed || err != nil {
		t.Fatal(needed, err)
	}
	token := b.Setup.Issue()
	in := UserInput{Email: "ann@example.com", Name: "Ann", Password: password}
	if _, err := b.SetUp(t.Context(), "wrong", in); !errors.Is(err, auth.ErrSignIn) {
		t.Errorf("%v", err)
	}
	u, err := b.SetUp(t.Context(), token, in)
	if err != nil || u.Role != model.RoleAdmin {
		t.Fatalf("%+v, %v", u, err)
	}
	if _, err := b.SetUp(t.Context(), token, in); !errors.Is(err, auth.ErrSignIn) {
		t.Errorf("the second time: %v", err)
	}
	again := b.Setup.Issue()
	if _, err := b.SetUp(t.Context(), again, UserInput{Email: "eve@example.com", Name: "Eve", Password: password}); !errors.Is(err, auth.ErrSignIn) {
		t.Errorf("with an admin there: %v", err)
	}
}

func TestAuditSaysWhatChangedAndNoSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const marked = connectors.Secret("s3cr3t-marker")
	cfg, err := b.Registry.ParseURL("postgres://reader@db.example:5432/shop")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = marked
	src, err := b.AddSource(b.admin, SourceInput{Name: "shop", Connection: cfg})
	if err != nil {
		t.Fatal(err)
	}
	name := "shop2"
	if _, err := b.UpdateSource(b.admin, src.ID, SourceUpdate{Name: &name, Connection: func(c *connectors.Config) error {
		c.Password = marked + "2"
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.UpdateSource(b.admin, src.ID, SourceUpdate{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.UpdateSource(b.admin, src.ID, SourceUpdate{Connection: func(c *connectors.Config) error { c.Host = "evil"; return nil }}); err == nil {
		t.Error("the stored password goes to another server")
	}
	if _, err := b.AddTarget(b.admin, TargetInput{Name: &name, Type: new(model.TargetTelegram), Config: map[string]string{"bot_token": string(marked), "chat_id": "1"}}); err != nil {
		t.Fatal(err)
	}
	list, total, err := b.ListAudit(b.admin, AuditFilter{})
	if err != nil || total != 3 {
		t.Fatalf("%d entries, %v: %+v", total, err, list)
	}
	update := list[1]
	if update.Action != "source.update" || update.ActorName != "test" || string(update.Before) != `{"name":"shop"}` || string(update.After) != `{"name":"shop2","password":"changed"}` {
		t.Errorf("%+v\n%s\n%s", update, update.Before, update.After)
	}
	for _, e := range list {
		if strings.Contains(string(e.Before)+string(e.After), "marker") {
			t.Errorf("the log shows a secret: %s %s", e.Before, e.After)
		}
	}
	if _, _, err := b.ListAudit(auth.WithActor(t.Context(), auth.Actor{Role: model.RoleEditor}), AuditFilter{}); err == nil {
		t.Error("an editor reads the audit log")
	}
}

func TestTargetsKeepTheSecretsThatAreLeftBlank(t *testing.T) {
	t.Parallel()
	b := setup(t)
	target, err := b.AddTarget(b.admin, TargetInput{Name: new("ops"), Type: new(model.TargetSlack), Config: map[string]string{"webhook_url": "https://hooks.example/x"}})
	if err != nil || len(target.Config) != 0 {
		t.Fatalf("%+v, %v", target, err)
	}
	if _, err := b.UpdateTarget(b.admin, target.ID, TargetInput{Name: new("ops2"), Config: map[string]string{"webhook_url": ""}}); err != nil {
		t.Fatal(err)
	}
	got, secrets, err := b.TargetSecrets(b.admin, target.ID)
	if err != nil || got.Name != "ops2" || secrets["webhook_url"] != "https://hooks.example/x" {
		t.Errorf("%+v %v %v", got, secrets, err)
	}
	if _, err := b.UpdateTarget(b.admin, target.ID, TargetInput{Type: new(model.TargetSMTP)}); err == nil {
		t.Error("another type with the settings of the first")
	}
	if _, err := b.AddTarget(b.admin, TargetInput{Name: new("x"), Type: new(model.TargetType("fax")), Config: map[string]string{"n": "1"}}); err == nil {
		t.Error("an unknown type is taken")
	}
}

func TestRotatedKeyOpensEverything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cfg, err := b.Registry.ParseURL("postgres://reader:secret@db.example:5432/shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.AddSource(b.admin, SourceInput{Name: "shop", Connection: cfg}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.AddDestination(b.admin, DestinationInput{Name: "dwh", Connection: cfg}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.AddTarget(b.admin, TargetInput{Name: new("ops"), Type: new(model.TargetSlack), Config: map[string]string{"webhook_url": "https://hooks.example/x"}}); err != nil {
		t.Fatal(err)
	}
	b.user(t, "ann@example.com", model.RoleViewer)
	login := b.login(t, "ann@example.com")
	before, err := b.Source(b.admin, "shop")
	if err != nil {
		t.Fatal(err)
	}
	n, err := b.RotateKey(b.admin)
	if err != nil || n != 4 {
		t.Fatalf("%d sealed anew, %v", n, err)
	}
	after, err := b.Source(b.admin, "shop")
	if err != nil || after.PasswordEnc == before.PasswordEnc {
		t.Errorf("the password was not sealed anew: %v", err)
	}
	// A process that starts now has the new key alone.
	ring, err := secret.Load(b.Store.Dir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Open(before.PasswordEnc); !errors.Is(err, secret.ErrWrongKey) {
		t.Errorf("the old key is still there: %v", err)
	}
	parts := b.Parts
	parts.Ring = ring
	fresh := New(parts)
	if text, err := fresh.unseal(after.PasswordEnc); err != nil || text != "secret" {
		t.Errorf("%v", err)
	}
	if _, err := fresh.AuthenticateBearer(t.Context(), login.Access, "1"); err != nil {
		t.Errorf("the tokens' key was lost: %v", err)
	}
}

func TestSettingsAreHonouredAtOnceAndCheckedTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := b.ChangeSettings(b.admin, map[string]string{"max_retries": "many", "nothing": "1", "metrics": "off"}, []string{"nowhere"})
	if e, ok := errors.AsType[*InvalidError](err); !ok || len(e.Faults) != 3 {
		t.Fatalf("%v", err)
	}
	if s, err := b.Settings(b.admin); err != nil || s.Metrics != model.MetricsLocal {
		t.Errorf("a part of it was stored: %v %v", s.Metrics, err)
	}
	if err := b.ChangeSettings(b.admin, map[string]string{"max_retries": "5"}, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := b.Settings(b.admin); err != nil || s.MaxRetries != 5 {
		t.Errorf("%v %v", s.MaxRetries, err)
	}
	if err := b.ChangeSettings(b.admin, nil, []string{"max_retries"}); err != nil {
		t.Fatal(err)
	}
	if s, err := b.Settings(b.admin); err != nil || s.MaxRetries != 3 {
		t.Errorf("%v %v", s.MaxRetries, err)
	}
}

func TestEventsReachWhoListensAndNobodyHoldsThemUp(t *testing.T) {
	t.Parallel()
	b := NewBus(time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	events, missed := b.Listen(ctx, 0)
	slow, _ := b.Listen(t.Context(), 0)
	var seen int
	b.Observe(func(Event) { seen++ })
	b.Emit(Event{Type: ConfigChanged})
	first := <-events
	if missed || first.Type != ConfigChanged {
		t.Errorf("%+v", first)
	}
	for range 2 * keptEvents {
		b.Emit(Event{Type: RunProgress})
		<-events
	}
	if seen != 1+2*keptEvents {
		t.Errorf("%d observed", seen)
	}
	n := 0
	for range slow { // it was let go, and reads what it had
		n++
	}
	if n != subscriberBuffer {
		t.Errorf("the slow one read %d", n)
	}
	if _, missed := b.Listen(ctx, first.ID); !missed {
		t.Error("what is gone is not said to be missed")
	}
	recent := b.last - 10
	again, missed := b.Listen(ctx, recent)
	for i := range uint64(10) {
		if e := <-again; e.ID != recent+1+i {
			t.Errorf("event %d, want %d", e.ID, recent+1+i)
		}
	}
	if missed {
		t.Error("nothing was missed")
	}
	cancel()
	for range events { // closed
	}
	for range again {
	}
}
