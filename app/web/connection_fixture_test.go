package web

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
)

// as is a context in which somebody acts who has signed in with a role.
func (s *site) as(role model.Role) context.Context {
	s.t.Helper()
	users, _, err := s.service.ListUsers(s.admin, control.Page{Limit: 100})
	s.must(err)
	for _, u := range users {
		if u.Email == string(role)+"@example.com" {
			return auth.WithActor(s.t.Context(), auth.Actor{Kind: auth.ActorUser, ID: u.ID, Name: u.Name, Role: role})
		}
	}
	s.t.Fatalf("nobody is %s", role)
	return nil
}

// connect tests the connections of the fixture, looks for tables, and leaves the
// admin at the end of the wizard.
func (s *site) connect() {
	s.t.Helper()
	for _, start := range []func() (*control.Probe, error){
		func() (*control.Probe, error) { return s.service.StartSourceTest(s.admin, s.source.ID) },
		func() (*control.Probe, error) { return s.service.StartSourceTest(s.admin, s.broken.ID) },
		func() (*control.Probe, error) { return s.service.StartDestinationTest(s.admin, s.target.ID) },
	} {
		probe, err := start()
		s.must(err)
		probe.Wait(s.t.Context())
	}
	tables, err := s.service.Discover(s.admin, s.source.ID)
	s.must(err)
	_, err = s.service.DiscoverDestination(s.admin, s.target.ID)
	s.must(err)
	draft := control.Draft{Source: s.source.ID, Destination: s.target.ID, Pipeline: s.pipeline.ID, Run: s.run, Picked: true}
	for _, t := range tables[:len(tables)-1] {
		draft.Tables = append(draft.Tables, t.TableRef)
	}
	_, err = s.service.ChangeDraft(s.as(model.RoleAdmin), func(d *control.Draft) { *d = draft })
	s.must(err)
}

// pgShop makes a few tables in a PostgreSQL database.
func (s *site) pgShop(address string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), address)
	s.must(err)
	defer func() { _ = conn.Close(s.t.Context()) }()
	_, err = conn.Exec(s.t.Context(), `
		CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
		CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, total numeric(12,2), updated_at timestamptz NOT NULL DEFAULT now());
		CREATE TABLE notes (id int PRIMARY KEY, text text);
		INSERT INTO customers (id, name) SELECT i, 'customer ' || i FROM generate_series(1, 200) i;
		INSERT INTO orders (id, customer_id, total) SELECT i, i % 200 + 1, i * 1.25 FROM generate_series(1, 1000) i;
		ANALYZE customers, orders`)
	s.must(err)
}

// manyTables makes a SQLite file of so many tables.
func manyTables(t testing.TB, tables int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "many.db")
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(file)+"?_pragma=journal_mode(off)&_pragma=synchronous(off)")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tables {
		_, err := tx.ExecContext(t.Context(), fmt.Sprintf(`CREATE TABLE part_%02d_of_table_%04d (id INTEGER PRIMARY KEY, name TEXT, amount DECIMAL(12,2), updated_at TIMESTAMP)`, i%7, i))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}
