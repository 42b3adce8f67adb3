package app

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
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
				whole := time.Duration(0)
				if mode == "incremental" {
					whole = timed(t, dir, args) // the first load; what is killed then are increments
				}
				rng := rand.New(rand.NewPCG(1, uint64(len(pair.name))))
				died := 0
				for round := range kills {
					pair.change(t, from, round)
					if whole == 0 {
						whole = timed(t, dir, args)
					}
					if kill(t, dir, args, time.Duration(rng.Int64N(int64(whole)))) {
						died++
					}
				}
				t.Logf("a whole run takes %s; %d of %d runs were killed", whole, died, kills)
				if died < kills/4 {
					t.Errorf("only %d of %d runs were still going on when they were killed", died, kills)
				}
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

// timed runs the command as a process and says how long it took.
func timed(t *testing.T, dir string, args []string) time.Duration {
	t.Helper()
	started := time.Now()
	if out, err := child(t, dir, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return time.Since(started)
}

// kill starts the command, kills it after a while and says whether it was
// still running then.
func kill(t *testing.T, dir string, args []string, after time.Duration) bool {
	t.Helper()
	timer := time.NewTimer(after)
	defer timer.Stop()
	return killAt(t, dir, args, func(over <-chan struct{}) {
		select {
		case <-over:
		case <-timer.C:
		}
	})
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
