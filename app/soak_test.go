package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestKillsUnderContinuousWrites kills runs at random moments while others write to the source: inserts, updates that move
// the watermark, soft deletes that move only deleted_at, restored rows, hard deletes, and transactions that commit late.
// After one quiet run the target equals the source. ARUS_SOAK_KILLS sets the number of kills (`go tool task soak`).
func TestKillsUnderContinuousWrites(t *testing.T) {
	t.Parallel()
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("ARUS_SOAK_KILLS")); err == nil {
		kills = n
	}
	for _, pair := range []struct {
		name string
		from func(*testing.T) database
		to   func(*testing.T) target
	}{
		{"postgres-postgres", postgresDatabase, postgresTarget},
		{"mariadb-postgres", mariadbDatabase, postgresTarget},
		{"postgres-clickhouse", postgresDatabase, clickhouseTarget},
		{"postgres-embedded", postgresDatabase, embeddedTarget},
	} {
		t.Run(pair.name, func(t *testing.T) {
			t.Parallel()
			dir, from, to := t.TempDir(), pair.from(t), pair.to(t)
			from.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, note varchar(60) NOT NULL, amount numeric(12,2), updated_at timestamp(6) NOT NULL, deleted_at timestamp(6) NULL)",
				"CREATE INDEX orders_updated_at ON orders (updated_at)")
			w := &writers{database: from, next: soakRows}
			w.fill(t)
			r := runSync(t, dir, append([]string{"--from", from.url, "--to", to.url, "--lookback", "8s"}, to.args...)...)
			mustArus(t, dir, "pipeline", "edit", r.Pipeline, "--deletes", "delete", "--max-delete-share", "1", "--soft-delete-column", "orders=deleted_at")
			args := []string{"run", r.Pipeline, "--reconcile", "--quiet"}
			k := newKiller(t, dir, uint64(len(pair.name)), args)
			stop := w.start(t)
			k.kill(t, kills, args, func(round int) { w.await(t, int64(round+1)) })
			t.Logf("%d statements were written meanwhile", stop())
			mustArus(t, dir, args...)
			verify(t, dir, r.Pipeline)
			want := from.rows(t, "SELECT COUNT(*) FROM orders")
			if got := to.read(t, "SELECT COUNT(*) FROM "+to.name("orders")); !slices.Equal(got, want) {
				t.Errorf("%s rows at the target, %s at the source", got, want)
			}
		})
	}
}

const soakRows = 20_000

// writers change the table orders of a database until they are stopped.
type writers struct {
	database
	mu   sync.Mutex
	next int64
	done int64
}

// now is the server's own clock: the machines' need not agree.
func (w *writers) now() string {
	if w.quote == "`" {
		return "UTC_TIMESTAMP(6)"
	}
	return "(clock_timestamp() AT TIME ZONE 'UTC')"
}

func (w *writers) fill(t *testing.T) {
	t.Helper()
	if w.quote == "`" {
		w.exec(t, fmt.Sprintf("INSERT INTO orders SELECT seq, md5(seq), seq / 100, UTC_TIMESTAMP(6) - INTERVAL (seq %% 50) SECOND, NULL FROM seq_1_to_%d", soakRows))
		return
	}
	w.exec(t, fmt.Sprintf("INSERT INTO orders SELECT i, md5(i::text), i / 100.0, (now() AT TIME ZONE 'UTC') - i %% 50 * interval '1 second', NULL FROM generate_series(1, %d) i", soakRows))
}

// start starts two writers of single statements and two whose transactions commit up to two seconds late. The function
// that it returns ends them and says how many statements they wrote.
func (w *writers) start(t *testing.T) func() int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var group sync.WaitGroup
	for n := range 4 {
		rng := rand.New(rand.NewPCG(uint64(n), 11))
		group.Go(func() {
			for ctx.Err() == nil {
				if err := w.write(ctx, rng, n >= 2); err != nil && ctx.Err() == nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	return func() int64 {
		cancel()
		group.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.done
	}
}

// write commits a few statements in one transaction, at once or late.
func (w *writers) write(ctx context.Context, rng *rand.Rand, late bool) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	low := rng.Int64N(soakRows)
	// Writers in the order of their keys: two transactions never wait for each other.
	statements := []string{
		fmt.Sprintf("UPDATE orders SET note = 'u%d', updated_at = %s WHERE id BETWEEN %d AND %d", rng.IntN(1000), w.now(), low, low+5),
	}
	switch rng.IntN(5) {
	case 0:
		statements = []string{fmt.Sprintf("UPDATE orders SET deleted_at = %s WHERE id BETWEEN %d AND %d", w.now(), low, low+3)}
	case 1:
		statements = []string{fmt.Sprintf("UPDATE orders SET deleted_at = NULL, updated_at = %s WHERE id BETWEEN %d AND %d", w.now(), low, low+3)}
	case 2:
		statements = []string{fmt.Sprintf("DELETE FROM orders WHERE id = %d", low)}
	case 3:
		statements = nil
		for range 3 {
			statements = append(statements, fmt.Sprintf("INSERT INTO orders (id, note, amount, updated_at) VALUES (%d, 'new', 1, %s)", w.id(), w.now()))
		}
	}
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	pause := 20 * time.Millisecond
	if late {
		pause = time.Duration(rng.Int64N(int64(2 * time.Second)))
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	w.mu.Lock()
	w.done += int64(len(statements))
	w.mu.Unlock()
	return nil
}

// await lets the writers come to a number of statements.
func (w *writers) await(t *testing.T, statements int64) {
	t.Helper()
	for {
		w.mu.Lock()
		done := w.done
		w.mu.Unlock()
		if done >= statements || t.Failed() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *writers) id() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return w.next
}
