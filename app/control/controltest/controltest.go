// Package controltest makes services for the tests of those who call control.
package controltest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/secret"
	"arus/app/store"
	"arus/connectors/all"
)

// Open returns a service on a new data directory in dir, with every connector
// and cheap passwords. It ends with the test.
func Open(t testing.TB, dir string, now func() time.Time, log *slog.Logger) *control.Service {
	t.Helper()
	st, err := store.Open(t.Context(), dir, store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.Load(st.Dir(), "")
	if err != nil {
		t.Fatal(errors.Join(err, st.Close()))
	}
	s := control.New(control.Parts{
		Store: st, Ring: ring, Registry: all.Registry(), Now: now, Log: log,
		Getenv: func(string) string { return "" }, Passwords: auth.NewPasswords(bcrypt.MinCost),
	})
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(context.Background()), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Admin is a context in which everything may be done.
func Admin(t testing.TB) context.Context {
	t.Helper()
	return auth.WithActor(t.Context(), auth.CLI("test"))
}
