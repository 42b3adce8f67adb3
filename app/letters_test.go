package app

import (
	"encoding/json"
	"strings"
	"testing"

	"arus/app/engine"
	"arus/app/model"
)

// letters lists the pipeline's dead letters.
func (s *shop) letters(t *testing.T) []engine.Letter {
	t.Helper()
	var list struct {
		Letters []engine.Letter `json:"dead_letters"`
	}
	if err := json.Unmarshal([]byte(mustArus(t, s.dir, "deadletters", "list", s.pipeline, "--json")), &list); err != nil {
		t.Fatal(err)
	}
	return list.Letters
}

func TestLettersOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		if list := s.letters(t); len(list) != 0 {
			t.Fatalf("%d letters before anything went wrong", len(list))
		}
		s.edit(t, "--drift", "evolve")
		alter := "ALTER TABLE orders ALTER COLUMN n TYPE text"
		if s.from.quote == "`" {
			alter = "ALTER TABLE orders MODIFY n varchar(20)"
		}
		s.from.exec(t, alter, "UPDATE orders SET n = 'eleven', updated_at = '2026-03-02 00:00:00' WHERE id = 1",
			"UPDATE orders SET n = 'twelve', updated_at = '2026-03-02 00:00:00' WHERE id = 2", "UPDATE orders SET n = '33', updated_at = '2026-03-02 00:00:00' WHERE id = 3")
		s.command(t, exitDeadLetters, "run", s.pipeline)
		s.targetIs(t, "x.id, x.n", `"1" "10" `, `"2" "20" `, `"3" "33" `, `"4" "40" `, `"5" "50" `)
		list := s.letters(t)
		if len(list) != 2 || list[0].Table != "orders" || !strings.Contains(list[0].Reason, "column n") || list[0].FailedAt.IsZero() {
			t.Fatalf("letters %+v", list)
		}
		shown := mustArus(t, s.dir, "deadletters", "show", s.pipeline, list[0].ID)
		if !strings.Contains(shown, "eleven") && !strings.Contains(shown, "twelve") {
			t.Errorf("shown: %s", shown)
		}
		s.command(t, exitDeadLetters, "deadletters", "retry", s.pipeline)
		if again := s.letters(t); len(again) != 2 {
			t.Fatalf("%d letters after a retry in vain, want 2", len(again))
		}
		// The column becomes a text: everything is read, but for row 1, which is gone.
		s.from.exec(t, "DELETE FROM orders WHERE id = 1")
		mustArus(t, s.dir, "drift", "apply", s.changes(t)["type_incompatible n"])
		s.run(t)
		s.targetIs(t, "x.id, x.n", `"2" "twelve" `, `"3" "33" `, `"4" "40" `, `"5" "50" `)
		r := s.command(t, exitOK, "deadletters", "retry", s.pipeline)
		if r.RowsRead != 2 || r.RowsLoaded != 1 || r.RowsFiltered != 1 {
			t.Errorf("read %d, loaded %d, filtered %d, want 2, 1 and 1 that the target has newer", r.RowsRead, r.RowsLoaded, r.RowsFiltered)
		}
		s.targetIs(t, "x.id, x.n", `"1" "eleven" `, `"2" "twelve" `, `"3" "33" `, `"4" "40" `, `"5" "50" `)
		if left := s.letters(t); len(left) != 0 {
			t.Errorf("%d letters are left", len(left))
		}
	})
}

func TestRebuildOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		var p model.Pipeline
		if err := json.Unmarshal([]byte(mustArus(t, s.dir, "pipeline", "show", s.pipeline, "--json")), &p); err != nil {
			t.Fatal(err)
		}
		if p.Tables[0].LoadMode == model.LoadDirect {
			s.refuses(t, "rebuild", s.pipeline)
			return
		}
		s.edit(t, "--deletes", "delete", "--raw-retention-days", "1", "--max-delete-share", "1")
		s.from.exec(t, "UPDATE orders SET n = 11, updated_at = '2026-03-02 00:00:00' WHERE id = 1", "DELETE FROM orders WHERE id = 2")
		s.run(t, "--reconcile")
		want := []string{`"1" "11" "a" `, `"3" "30" "c" `, `"4" "40" "d" `, `"5" "50" NULL `}
		s.targetIs(t, "x.id, x.n, x.note", want...)
		// A value that the column does not hold is a dead letter, and staged none the less.
		s.edit(t, "--drift", "report")
		alter := "ALTER TABLE orders ALTER COLUMN n TYPE bigint"
		if s.from.quote == "`" {
			alter = "ALTER TABLE orders MODIFY n bigint"
		}
		s.from.exec(t, alter, "UPDATE orders SET n = 5000000000, updated_at = '2026-03-03 00:00:00' WHERE id = 3")
		s.command(t, exitDeadLetters, "run", s.pipeline)
		s.targetIs(t, "x.id, x.n, x.note", want...)
		if r := s.command(t, exitOK, "rebuild", s.pipeline); r.RowsLoaded != 4 {
			t.Errorf("%d rows without the dead letter, want 4", r.RowsLoaded)
		}
		s.targetIs(t, "x.id, x.n, x.note", want...)
		s.edit(t, "--drift", "evolve") // mends the column
		s.from.exec(t, "UPDATE orders SET n = 41, updated_at = '2026-03-04 00:00:00' WHERE id = 4")
		s.run(t)
		s.from.exec(t, "DROP TABLE orders")
		if r := s.command(t, exitOK, "rebuild", s.pipeline); r.RowsLoaded != 4 {
			t.Errorf("%d rows, want 4", r.RowsLoaded)
		}
		s.targetIs(t, "x.id, x.n, x.note", `"1" "11" "a" `, `"3" "5000000000" "c" `, `"4" "41" "d" `, `"5" "50" NULL `)
	})
}

// refuses wants a command to be refused as not valid.
func (s *shop) refuses(t *testing.T, args ...string) {
	t.Helper()
	if r := arus(t, s.dir, args...); r.code != exitUsage {
		t.Errorf("arus %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, exitUsage, r.out, r.errOut)
	}
}

func TestLettersOfTablesWithoutAKeyOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		s.edit(t, "--drift", "report")
		s.from.exec(t, "DROP TABLE orders", "CREATE TABLE orders (id int NOT NULL, n int, note varchar(20), updated_at timestamp(6) NULL, deleted_at timestamp(6) NULL)",
			"INSERT INTO orders (id, n, updated_at) VALUES (1, 10, '2026-03-01 00:00:01'), (2, 20, '2026-03-01 00:00:02')")
		s.run(t, "--full-refresh")
		alter := "ALTER TABLE orders ALTER COLUMN n TYPE bigint"
		if s.from.quote == "`" {
			alter = "ALTER TABLE orders MODIFY n bigint"
		}
		s.from.exec(t, alter, "INSERT INTO orders (id, n, updated_at) VALUES (3, 5000000000, '2026-03-02 00:00:00')")
		s.command(t, exitDeadLetters, "run", s.pipeline)
		s.targetIs(t, "x.id, x.n", `"1" "10" `, `"2" "20" `)
		mustArus(t, s.dir, "drift", "apply", s.changes(t)["type_widened n"])
		s.from.exec(t, "INSERT INTO orders (id, n, updated_at) VALUES (4, 40, '2026-03-03 00:00:00')", "DELETE FROM orders WHERE id = 3")
		s.run(t)
		s.targetIs(t, "x.id, x.n", `"1" "10" `, `"2" "20" `, `"4" "40" `)
		if r := s.command(t, exitOK, "deadletters", "retry", s.pipeline); r.RowsLoaded != 1 {
			t.Errorf("%d rows loaded, want 1", r.RowsLoaded)
		}
		s.targetIs(t, "x.id, x.n", `"1" "10" `, `"2" "20" `, `"3" "5000000000" `, `"4" "40" `)
		if left := s.letters(t); len(left) != 0 {
			t.Errorf("%d letters are left", len(left))
		}
		s.refuses(t, "deadletters", "drop", s.pipeline)
		mustArus(t, s.dir, "deadletters", "drop", s.pipeline, "--all")
	})
}
