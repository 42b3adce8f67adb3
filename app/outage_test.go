package app

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"arus/app/engine"
	"arus/app/model"
	"arus/testdata/proxy"
	"arus/testdata/servers"
)

// outage is how long a server is away beyond the first retry: no time, or ARUS_SOAK_OUTAGE (`go tool task soak`).
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("ARUS_SOAK_OUTAGE")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// midway lets a run come as far as the stalled proxy lets it, does something there, and lets it go on. Wait for the
// returned channel.
func midway(t *testing.T, p *proxy.Proxy, stall proxy.Fault, do func()) <-chan struct{} {
	t.Helper()
	stall.Kind = proxy.Stall
	p.Set(stall)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.Set(proxy.Fault{})
		p.Await(t, 1)
		if t.Context().Err() == nil {
			do()
		}
	}()
	return done
}

// retriesLogged counts the retries that the state file of a data directory has log lines of.
func retriesLogged(t *testing.T, dir string) (n int) {
	t.Helper()
	db := openState(t, dir)
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM arus_run_logs_run_logs WHERE message LIKE '%retry % of % in %'").Scan(&n); err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
	return n
}

// awaitRetries waits until n retries were logged, or the run or the test is over.
func awaitRetries(t *testing.T, dir string, n int, over <-chan struct{}) {
	t.Helper()
	for retriesLogged(t, dir) < n && t.Context().Err() == nil {
		select {
		case <-over:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// outageRun runs a full refresh that something befalls in the middle.
func outageRun(t *testing.T, dir, pipeline string) (engine.Report, result) {
	t.Helper()
	r := arus(t, dir, "run", "--json", "--quiet", "--full-refresh", pipeline)
	return readReport(t, r), r
}

// quietRun is a run that succeeds, after which both ends are equal and no run is recorded as running.
func quietRun(t *testing.T, dir, pipeline string) {
	t.Helper()
	for range 2 { // a load that was resumed ends at its own bound
		if report := readReport(t, arus(t, dir, "run", "--json", "--quiet", pipeline)); report.Status != model.RunSuccess {
			t.Errorf("the quiet run is %s: %s", report.Status, report.Error)
		}
	}
	verify(t, dir, pipeline)
	if out := mustArus(t, dir, "runs", "--json", "--limit", "100"); contains(out, `"running"`) {
		t.Errorf("a run is still recorded as running:\n%.2000s", out)
	}
}

// TestADestinationThatIsStopped stops the destination's server in the middle of a full refresh and starts it again later:
// the run waits for it and succeeds.
func TestADestinationThatIsStopped(t *testing.T) {
	t.Parallel()
	away := outage(t)
	server := servers.PostgresInstance(t)
	pair := faultPair{from: faultPostgres, to: func(*testing.T) (string, []string) { return server.URL(), nil }}
	p, dir, raw, args := pair.start(t)
	changeOrders(t, raw, false, 0)
	pipeline := runSync(t, dir, args...).Pipeline
	setPipeline(t, dir, "max_retries = 20")
	back := midway(t, p, proxy.Fault{Direction: proxy.Up, After: 200_000}, server.Stop)
	up, over := make(chan error, 1), make(chan struct{})
	go func() {
		<-back
		awaitRetries(t, dir, 1, over)
		time.Sleep(away)
		up <- server.Start(t.Context())
	}()
	report, r := outageRun(t, dir, pipeline)
	close(over)
	if err := <-up; err != nil {
		t.Fatal(err)
	}
	if report.Status != model.RunSuccess || len(report.Tables) != 1 || report.Tables[0].Retries == 0 {
		t.Errorf("the run is %s: %s", report.Status, r.out)
	}
	t.Logf("the server was away for %s after the first retry, of which the run took %d", away, report.Tables[0].Retries)
	quietRun(t, dir, pipeline)
}

// TestADestinationWhoseDiskIsFull fills the disk of the destination: without retries the run fails and says so, and the
// target stays as it was; with retries it goes on once there is space.
func TestADestinationWhoseDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := servers.SmallDisk(t, 64<<20, true)
	server := servers.PostgresInstance(t)
	server.Exec(t, "CREATE TABLESPACE small LOCATION '"+disk.Path+"'", "CREATE DATABASE shop TABLESPACE small")
	pair := faultPair{from: faultPostgres, to: func(*testing.T) (string, []string) {
		return with(t, server.URL(), func(u *url.URL) { u.Path = "/shop" }), nil
	}}
	_, dir, raw, args := pair.start(t)
	pipeline := runSync(t, dir, args...).Pipeline
	target := openSQL(t, "pgx", with(t, server.URL(), func(u *url.URL) { u.Path = "/shop" }))
	rows := func() (n int) {
		if err := target.QueryRowContext(t.Context(), "SELECT count(*) FROM analytics.orders").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	changeOrders(t, raw, false, 0)
	server.Exec(t, "CHECKPOINT")
	free := disk.Fill(t, 256<<10)
	setPipeline(t, dir, "max_retries = 0")
	if report, r := outageRun(t, dir, pipeline); report.Status != model.RunFailed || !contains(r.out, "disk is full") {
		t.Errorf("with a full disk the run is %s: %s", report.Status, r.out)
	}
	if n := rows(); n != faultRows {
		t.Errorf("the target has %d rows, not the %d of before", n, faultRows)
	}
	setPipeline(t, dir, "max_retries = 20")
	before, freed, over := retriesLogged(t, dir), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(freed)
		awaitRetries(t, dir, before+1, over)
		free()
	}()
	report, r := outageRun(t, dir, pipeline)
	close(over)
	<-freed
	if report.Status != model.RunSuccess || report.Tables[0].Retries == 0 {
		t.Errorf("the run is %s, once there is space again: %s", report.Status, r.out)
	}
	quietRun(t, dir, pipeline)
}

// TestAReadReplicaThatCancelsTheQuery reads from a standby that ends the query because its primary removed rows that the
// query still sees: without retries the run fails and says what to do, with them it succeeds.
func TestAReadReplicaThatCancelsTheQuery(t *testing.T) {
	t.Parallel()
	if os.Getenv("ARUS_SOAK_OUTAGE") == "" {
		t.Skip("SKIPPED: ARUS_SOAK_OUTAGE is not set; `go tool task soak` sets it")
	}
	const rows = 100_000                                     // more than the buffers between the two ends take
	primary := servers.PostgresInstance(t, "autovacuum=off") // it would hold back the vacuum of below
	primary.Exec(t, `CREATE TABLE orders (id bigint PRIMARY KEY, note text NOT NULL, updated_at timestamptz NOT NULL)`,
		fmt.Sprintf(`INSERT INTO orders SELECT i, repeat(md5(i::text), 12), '2026-01-01'::timestamptz + i %% 50 * interval '1 second' FROM generate_series(1, %d) i`, rows), `ANALYZE`)
	standby := primary.Standby(t, "max_standby_streaming_delay=100ms", "hot_standby_feedback=off")
	replica := openSQL(t, "pgx", standby.URL())
	until := func(what, query string) {
		begun := time.Now()
		for ok := false; !ok; time.Sleep(20 * time.Millisecond) {
			if err := replica.QueryRowContext(t.Context(), query).Scan(&ok); time.Since(begun) > time.Minute {
				t.Errorf("%s: not after a minute: %v", what, err)
				return
			}
		}
	}
	until("the standby has the rows", fmt.Sprintf("SELECT count(*) = %d FROM orders", rows))
	p, from := behind(t, standby.URL())
	dir := t.TempDir()
	pipeline := runSync(t, dir, "--from", from, "--to", servers.PostgresDatabase(t)).Pipeline
	for round, retries := range []int{0, 5} {
		setPipeline(t, dir, fmt.Sprintf("max_retries = %d", retries))
		back := midway(t, p, proxy.Fault{Direction: proxy.Down, After: 1_000_000}, func() {
			primary.Exec(t, fmt.Sprintf("DELETE FROM orders WHERE id %% 10 = %d", round), "VACUUM orders")
			// A query that waits for its client to read is ended once that reads on.
			until("the standby wants to end the query", fmt.Sprintf("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event LIKE 'RecoveryConflict%%') OR (SELECT confl_snapshot > %d FROM pg_stat_database_conflicts WHERE datname = current_database())", round))
		})
		report, r := outageRun(t, dir, pipeline)
		<-back
		switch {
		case retries == 0 && (report.Status != model.RunFailed || !contains(r.out, "conflict with recovery") || !contains(r.out, "max_standby_streaming_delay")):
			t.Errorf("without retries the run is %s: %s", report.Status, r.out)
		case retries > 0 && (report.Status != model.RunSuccess || report.Tables[0].Retries == 0):
			t.Errorf("with retries the run is %s: %s", report.Status, r.out)
		}
	}
	quietRun(t, dir, pipeline)
}

// TestTheStateFileIsBusy lets another program write to the state file for a while, at the start and in the middle of a
// run: a short while is waited for, a longer one fails the run in words, and the next one completes.
func TestTheStateFileIsBusy(t *testing.T) {
	t.Parallel()
	pair := faultPairs[0]
	p, dir, raw, args := pair.start(t)
	pipeline := runSync(t, dir, args...).Pipeline
	hold := func() (release func()) {
		db := openSQL(t, "sqlite", "file:"+filepath.Join(dir, "arus.db")+"?_pragma=busy_timeout(60000)&_txlock=immediate")
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Error(err)
			return func() {}
		}
		return func() { _ = tx.Rollback() }
	}
	short := time.AfterFunc(time.Second, hold())
	defer short.Stop()
	if report, r := outageRun(t, dir, pipeline); report.Status != model.RunSuccess {
		t.Errorf("a state file that is busy for 1 s: the run is %s: %s", report.Status, r.out)
	}
	release := hold()
	if r := arus(t, dir, "run", "--json", "--quiet", pipeline); r.code != exitEnvironment || !contains(r.errOut, "another program has held the state file") {
		t.Errorf("a state file that is busy for long: exit code %d, %s%s", r.code, r.out, r.errOut)
	}
	release()
	changeOrders(t, raw, false, 0)
	released := make(chan struct{})
	back := midway(t, p, proxy.Fault{Direction: proxy.Down, After: 200_000}, func() {
		release := hold()
		time.AfterFunc(7*time.Second, func() {
			defer close(released)
			release()
		})
	})
	report, r := outageRun(t, dir, pipeline)
	<-back
	<-released
	t.Logf("a state file that is busy for 7 s in the middle: the run is %s", report.Status)
	if report.Status == model.RunFailed && !contains(r.out, "another program has held the state file") {
		t.Errorf("the words are: %s", r.out)
	}
	changeOrders(t, raw, false, 1)
	quietRun(t, dir, pipeline)
}

// TestTheStateFilesDiskIsFull fills the disk of the data directory, before and in the middle of a run.
func TestTheStateFilesDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := servers.SmallDisk(t, 16<<20, false)
	from, _ := faultPostgres(t)
	p, through := behind(t, from)
	dir := filepath.Join(disk.Path, "data")
	pipeline := runSync(t, dir, "--from", through, "--to", servers.PostgresDatabase(t)).Pipeline
	setPipeline(t, dir, `options = json_set(options, '$.chunk_rows', 2000)`)
	free := disk.Fill(t, 0)
	if r := arus(t, dir, "run", "--json", "--quiet", pipeline); r.code != exitEnvironment || !contains(r.errOut, "disk of the data directory is full") {
		t.Errorf("a full disk: exit code %d, %s%s", r.code, r.out, r.errOut)
	}
	free()
	quietRun(t, dir, pipeline)
	changeOrders(t, from, false, 0)
	back := midway(t, p, proxy.Fault{Direction: proxy.Down, After: 200_000}, func() { free = disk.Fill(t, 0) })
	r := arus(t, dir, "run", "--json", "--quiet", "--full-refresh", pipeline)
	<-back
	if r.code == 0 || !contains(r.out+r.errOut, "disk of the data directory is full") {
		t.Errorf("a disk that is full in the middle: exit code %d, %s%s", r.code, r.out, r.errOut)
	}
	t.Logf("exit code %d: %s%s", r.code, r.out, r.errOut)
	free()
	quietRun(t, dir, pipeline)
}
