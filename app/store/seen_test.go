package store

import (
	"context"
	"errors"
	"testing"

	"arus/app/model"
)

func TestWhatWasSeenIsHeldUntilItChanges(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	p := addPipeline(t, s, "p")
	run := model.Run{PipelineID: p.ID}
	if err := s.StartRun(t.Context(), &run); err != nil {
		t.Fatal(err)
	}
	token := model.APIToken{Name: "t", Role: model.RoleViewer, TokenHash: "h"}
	if err := s.CreateToken(t.Context(), &token); err != nil {
		t.Fatal(err)
	}
	reads := map[string]func(context.Context) error{
		"pipelines": func(ctx context.Context) error { _, err := s.GetPipeline(ctx, p.ID); return err },
		"runs":      func(ctx context.Context) error { _, _, err := s.ListRuns(ctx, RunFilter{}); return err },
		"logs":      func(ctx context.Context) error { _, _, err := s.RunLogPage(ctx, LogFilter{RunID: run.ID}); return err },
		"settings":  func(ctx context.Context) error { _, err := s.Settings(ctx); return err },
		"user":      func(ctx context.Context) error { _, err := s.FindUser(ctx, "ann@example.com"); return ignore(err) },
		"figures":   func(ctx context.Context) error { _, err := s.Summarize(ctx); return err },
		"token":     func(ctx context.Context) error { _, err := s.FindToken(ctx, token.ID); return err },
		"in a transaction": func(ctx context.Context) error {
			return s.Atomically(ctx, func(tx *Store) error { _, err := tx.Settings(ctx); return err })
		},
	}
	failed := errors.New("no")
	changes := []struct {
		name    string
		change  func() error
		outdate []string
	}{
		{"looks", func() error {
			for _, read := range reads {
				if err := read(t.Context()); err != nil {
					return err
				}
			}
			return nil
		}, nil},
		{"the use of a token", func() error {
			return s.SaveTouches(t.Context(), []Touch{{Token: true, ID: token.ID, At: s.now()}})
		}, nil},
		{"that a run was heard of", func() error { return s.HearRuns(t.Context(), []string{run.ID}) }, nil},
		{"log lines", func() error {
			return s.AppendRunLogs(t.Context(), []model.RunLog{{RunID: run.ID, Level: model.LogInfo, Message: "x", Timestamp: s.now()}})
		}, []string{"logs"}},
		{"a setting", func() error { return s.SaveSettings(t.Context(), map[string]string{"max_retries": "4"}, nil) }, []string{"settings", "in a transaction"}},
		{"an account", func() error {
			return s.CreateUser(t.Context(), &model.User{Email: "ann@example.com", Name: "Ann", Role: model.RoleViewer, PasswordHash: "h"})
		}, []string{"user"}},
		{"a statement with RETURNING", func() error {
			u, err := s.FindUser(t.Context(), "ann@example.com")
			if err != nil {
				return err
			}
			u.Name = "Anne"
			return s.UpdateUser(t.Context(), &u)
		}, []string{"user"}},
		{"the end of a run", func() error {
			_, err := s.FinishRun(t.Context(), run.ID, RunResult{Status: model.RunSuccess})
			return err
		}, []string{"runs", "figures"}},
		{"a transaction that fails", func() error { // it changed nothing; what is outdated for nothing is read again
			err := s.Atomically(t.Context(), func(tx *Store) error {
				return errors.Join(tx.SaveSettings(t.Context(), map[string]string{"max_retries": "5"}, nil), failed)
			})
			if errors.Is(err, failed) {
				return nil
			}
			return err
		}, []string{"settings", "in a transaction"}},
		{"a deletion and what goes with it", func() error { return s.DeletePipeline(t.Context(), p.ID) }, []string{"pipelines", "runs", "logs", "figures"}},
	}
	for _, c := range changes {
		seen := map[string]*Seen{}
		for name, read := range reads {
			ctx, one := Watch(t.Context())
			if err := read(ctx); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if seen[name] = one; len(one.counts) == 0 || !s.Unchanged(t.Context(), one) {
				t.Errorf("%s: %v", name, one.counts)
			}
		}
		if err := c.change(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		outdated := map[string]bool{}
		for _, name := range c.outdate {
			outdated[name] = true
		}
		for name, one := range seen {
			if s.Unchanged(t.Context(), one) == outdated[name] {
				t.Errorf("%s: what was seen of %s is held: %v", c.name, name, !outdated[name])
			}
		}
	}
}

func TestStatementsThatChange(t *testing.T) {
	t.Parallel()
	c := openStore(t, t.TempDir()).changes
	for query, tables := range map[string]int{
		"SELECT\n\t(SELECT count(*) FROM arus_config_users)":                                                0,
		"  select 1 FROM arus_config_users":                                                                 0,
		"WITH u AS (SELECT id FROM arus_config_users) SELECT * FROM u":                                      0,
		"WITH u AS (SELECT id FROM arus_config_users) DELETE FROM arus_config_sessions WHERE user_id IN u":  2,
		"\n\tUPDATE\n arus_config_users SET name = (SELECT max(name) FROM arus_config_sources)":             1,
		"INSERT INTO arus_config_runtime_settings (key, value) SELECT 'a', count(*) FROM arus_config_users": 1,
		"REPLACE INTO arus_config_runtime_settings (key, value) VALUES ('a', 'b')":                          1,
	} {
		if s := c.statement(query); s.writes != (tables > 0) || s.writes && len(s.tables) < tables {
			t.Errorf("%q: %+v", query, s)
		}
	}
}

// TestASnapshotIsAsOldAsItsBeginning changes a table between two looks of one snapshot, which does not see the change.
func TestASnapshotIsAsOldAsItsBeginning(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	ctx, seen := Watch(t.Context())
	err := s.read(ctx, func(tx *transaction) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM arus_config_users`).Scan(&n); err != nil {
			return err
		}
		if err := s.SaveSettings(t.Context(), map[string]string{"max_retries": "4"}, nil); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM arus_config_runtime_settings`).Scan(&n)
	})
	if err != nil || s.Unchanged(t.Context(), seen) {
		t.Errorf("%v: a change within a snapshot is not noticed", err)
	}
	outer, all := Watch(t.Context())
	inner, part := Watch(outer)
	if _, err := s.Settings(inner); err != nil || !s.Unchanged(outer, part) || len(all.counts) != 1 {
		t.Errorf("%v: what was seen is not passed on: %v", err, all.counts)
	}
}

func ignore(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
