package app

import (
	"strings"
	"testing"
)

func TestDeletionsAreFollowedOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		s.edit(t, "--deletes", "delete")
		s.from.exec(t, "DELETE FROM orders WHERE id = 2", "UPDATE orders SET n = 11, updated_at = '2026-03-02 00:00:00' WHERE id = 1")
		if r := s.run(t); r.Tables[0].RowsDeleted != 0 {
			t.Errorf("keys were compared though nobody asked: %+v", r.Tables[0])
		}
		r := s.run(t, "--reconcile")
		s.targetIs(t, "x.id, x.n", `"1" "11" `, `"3" "30" `, `"4" "40" `, `"5" "50" `)
		if r.Tables[0].RowsDeleted != 1 {
			t.Errorf("%d rows deleted, want 1", r.Tables[0].RowsDeleted)
		}
		s.from.exec(t, "INSERT INTO orders VALUES (2, 22, 'back', '2026-03-03 00:00:00', NULL)")
		s.run(t, "--reconcile")
		s.targetIs(t, "x.id, x.n", `"1" "11" `, `"2" "22" `, `"3" "30" `, `"4" "40" `, `"5" "50" `)

		s.from.exec(t, "DELETE FROM orders WHERE id < 4")
		failed := s.command(t, exitFailed, "run", s.pipeline, "--reconcile")
		if !strings.Contains(failed.Tables[0].Error, "nothing was deleted") {
			t.Errorf("the error is %s", failed.Tables[0].Error)
		}
		s.targetIs(t, "x.id", `"1" `, `"2" `, `"3" `, `"4" `, `"5" `)
		s.edit(t, "--max-delete-share", "1")
		s.run(t, "--reconcile")
		s.targetIs(t, "x.id", `"4" `, `"5" `)
	})
}

func TestMarkedRowsOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		s.edit(t, "--deletes", "mark")
		s.from.exec(t, "DELETE FROM orders WHERE id = 2")
		s.run(t, "--reconcile")
		s.targetIs(t, "x.id, CASE WHEN x._arus_deleted_at IS NULL THEN 'there' ELSE 'gone' END", `"1" "there" `, `"2" "gone" `, `"3" "there" `, `"4" "there" `, `"5" "there" `)
		s.from.exec(t, "INSERT INTO orders VALUES (2, 22, 'back', '2026-03-03 00:00:00', NULL)")
		s.run(t, "--reconcile")
		s.targetIs(t, "x.id, CASE WHEN x._arus_deleted_at IS NULL THEN 'there' ELSE 'gone' END", `"1" "there" `, `"2" "there" `, `"3" "there" `, `"4" "there" `, `"5" "there" `)
	})
}

func TestSoftDeletesOnRealServers(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, s *shop) {
		s.edit(t, "--soft-delete-column", "orders=deleted_at")
		s.from.exec(t, "UPDATE orders SET deleted_at = '2026-03-02 00:00:00' WHERE id = 1") // updated_at does not move
		s.run(t)
		s.targetIs(t, "x.id, CASE WHEN x.deleted_at IS NULL THEN 'there' ELSE 'gone' END", `"1" "gone" `, `"2" "there" `, `"3" "there" `, `"4" "there" `, `"5" "there" `)
		s.edit(t, "--soft-delete", "orders=remove")
		s.from.exec(t, "UPDATE orders SET deleted_at = '2026-03-03 00:00:00' WHERE id = 3", "UPDATE orders SET deleted_at = '2026-03-03 00:00:01' WHERE id = 1")
		r := s.run(t)
		s.targetIs(t, "x.id", `"2" `, `"4" `, `"5" `)
		if r.RowsRead != r.RowsLoaded+r.RowsFiltered || r.Tables[0].RowsDeleted != 2 {
			t.Errorf("read %d, loaded %d, filtered %d, deleted %d", r.RowsRead, r.RowsLoaded, r.RowsFiltered, r.Tables[0].RowsDeleted)
		}
		s.from.exec(t, "UPDATE orders SET deleted_at = NULL, updated_at = '2026-03-04 00:00:00' WHERE id = 3")
		s.run(t)
		s.targetIs(t, "x.id", `"2" `, `"3" `, `"4" `, `"5" `)
		// A row whose time is still to come stays, and does not hold up the deletion of another.
		s.from.exec(t, "UPDATE orders SET deleted_at = '2037-01-01 00:00:00' WHERE id = 5", "UPDATE orders SET deleted_at = '2026-03-05 00:00:00' WHERE id = 3")
		s.run(t)
		s.targetIs(t, "x.id", `"2" `, `"4" `, `"5" `)
		// Its time has come by the source's own clock, which wrote the watermark.
		s.from.exec(t, "UPDATE orders SET updated_at = '2037-01-02 00:00:00' WHERE id = 2")
		s.run(t)
		s.targetIs(t, "x.id", `"2" `, `"4" `)
	})
}
