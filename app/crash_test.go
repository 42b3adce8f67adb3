package app

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"arus/testdata/servers"
)

// TestACrashIsRescuedAtStart kills the program at random moments of a full
// refresh and of an incremental load, over and over, while the source changes
// between the runs. The next run after the last kill completes, and the target
// equals the source.
func TestACrashIsRescuedAtStart(t *testing.T) {
	t.Parallel()
	const kills = 20
	pairs := []struct {
		name     string
		from, to func(*testing.T) (url string, args []string)
		change   func(t *testing.T, url string, round int)
		load     string
	}{
		{"postgres-postgres", crashPostgres, crashTargetPostgres, changePostgres, "direct"},
		{"postgres-postgres raw", crashPostgres, crashTargetPostgres, changePostgres, "raw"},
		{"postgres-mariadb", crashPostgres, crashTargetMariaDB, changePostgres, "direct"},
		{"postgres-embedded", crashPostgres, crashTargetEmbedded, changePostgres, "direct"},
	}
	for _, pair := range pairs {
		for _, mode := range []string{"full_refresh", "incremental"} {
			t.Run(pair.name+" "+mode, func(t *testing.T) {
				t.Parallel()
				from, fromArgs := pair.from(t)
				to, toArgs := pair.to(t)
				dir := t.TempDir()
				args := slices.Concat([]string{"sync", "--quiet", "--from", from, "--to", to, "--mode", mode, "--load", pair.load}, fromArgs, toArgs)
				k := newKiller(t, dir, uint64(len(pair.name)), args) // the first load; what is killed then are increments, or refreshes
				k.kill(t, kills, args, func(round int) { pair.change(t, from, round) })
				report := runSync(t, dir, args[2:]...)
				if report.Status != "success" {
					t.Errorf("the run after the kills is %s", report.Status)
				}
				verify(t, dir, report.Pipeline)
				if out := mustArus(t, dir, "runs", "--json", "--limit", "100"); !contains(out, `"failed"`) || contains(out, `"running"`) {
					t.Errorf("killed runs are not recorded as failed:\n%.2000s", out)
				}
			})
		}
	}
}

// killer kills runs at random moments of their work. It learns how long they work, so that a run is still going on when its
// moment comes, whatever else the machine does.
type killer struct {
	dir   string
	state *sql.DB
	rng   *rand.Rand
	span  time.Duration
}

// newKiller runs the command once whole.
func newKiller(t *testing.T, dir string, seed uint64, args []string) *killer {
	t.Helper()
	started := time.Now()
	if out, err := child(t, dir, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &killer{
		dir: dir, state: openState(t, dir), rng: rand.New(rand.NewPCG(1, seed)), span: time.Since(started),
	}
}

// openState opens the state file of a data directory for reading.
func openState(t *testing.T, dir string) *sql.DB {
	t.Helper()
	return openSQL(t, "sqlite", "file:"+filepath.Join(dir, "arus.db")+"?mode=ro&_pragma=busy_timeout(60000)")
}

// kill runs the command again and again until n of its runs were killed at work. Something may be changed before each.
func (k *killer) kill(t *testing.T, n int, args []string, change func(round int)) {
	t.Helper()
	died, runs := 0, 0
	for ; died < n && runs < 20*n; runs++ {
		change(runs)
		if k.one(t, args) {
			died++
		}
	}
	t.Logf("%d of %d runs were killed at work", died, runs)
	if died < n {
		t.Errorf("%d of %d runs were killed at work, want %d", died, runs, n)
	}
}

// one starts the command and kills it a random while after it has recorded its run. It says whether the run was still
// going on then.
func (k *killer) one(t *testing.T, args []string) bool {
	t.Helper()
	last := k.newest(t)
	after := time.Duration(k.rng.Int64N(int64(k.span) + 1))
	died := killAt(t, k.dir, args, func(over <-chan struct{}) {
		for k.newest(t) == last {
			select {
			case <-over:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
		}
	})
	if died {
		k.span += k.span / 20
	} else {
		k.span -= k.span / 3
	}
	return died
}

// newest is the id of the run that was recorded last.
func (k *killer) newest(t *testing.T) (id string) {
	if err := k.state.QueryRowContext(t.Context(), "SELECT COALESCE(MAX(id), '') FROM arus_run_logs_runs").Scan(&id); err != nil {
		t.Errorf("read the newest run: %v", err)
	}
	return id
}

// killAt runs the program and kills it when moment returns. It reports whether
// the program was still running; moment is told when it is over.
func killAt(t *testing.T, dir string, args []string, moment func(over <-chan struct{})) bool {
	t.Helper()
	cmd := child(t, dir, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over, killed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(killed)
		moment(over)
		_ = cmd.Process.Signal(os.Kill)
	}()
	err := cmd.Wait()
	close(over)
	<-killed
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		return true
	}
	if err != nil {
		t.Fatalf("the run failed by itself: %v\n%s", err, out.String())
	}
	return false
}

const crashRows = 20_000

func crashPostgres(t *testing.T) (string, []string) {
	u := servers.PostgresDatabase(t)
	execPostgres(t, u, `CREATE TABLE orders (id bigint PRIMARY KEY, note text NOT NULL, amount numeric(12,2), updated_at timestamptz NOT NULL)`,
		fmt.Sprintf(`INSERT INTO orders SELECT i, repeat(md5(i::text), 3), i / 100.0, '2026-01-01'::timestamptz + i %% 50 * interval '1 second' FROM generate_series(1, %d) i`, crashRows),
		`CREATE TABLE small (id int PRIMARY KEY, updated_at timestamptz)`, `INSERT INTO small SELECT i, '2026-01-01' FROM generate_series(1, 50) i`)
	return u, nil
}

// changePostgres updates a tenth of the rows and inserts some, partly at the
// instant of the round before.
func changePostgres(t *testing.T, url string, round int) {
	execPostgres(t, url, fmt.Sprintf(`UPDATE orders SET note = note || 'r%d', updated_at = '2026-02-01'::timestamptz + %d * interval '1 second' WHERE id %% 10 = %d`, round, round, round%10),
		fmt.Sprintf(`INSERT INTO orders SELECT %d + i, 'new', 1, '2026-02-01'::timestamptz + %d * interval '1 second' FROM generate_series(1, 100) i`, crashRows+round*100, max(round-1, 0)))
}

func crashTargetPostgres(t *testing.T) (string, []string) { return servers.PostgresDatabase(t), nil }

func crashTargetMariaDB(t *testing.T) (string, []string) {
	to := mariadbTarget(t)
	return to.url, to.args
}

func crashTargetEmbedded(*testing.T) (string, []string) { return "embedded:", nil }
