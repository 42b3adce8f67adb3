package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arus/app/engine"
	"arus/app/model"
	"arus/testdata/proxy"
	"arus/testdata/servers"
)

// faultRows is how many rows the tables have that are copied through a proxy.
const faultRows = 12_000

// faultPair is a source and a destination, one of them behind a proxy.
type faultPair struct {
	name     string
	from, to func(t *testing.T) (raw string, args []string)
	source   bool // the proxy is before the source, else before the destination
	maria    bool // the source is MariaDB
}

// late is how long after its timeout or a cancel a run may end whose cable is
// pulled: 5 s are promised, which `go tool task soak` holds it to; otherwise the
// machine may be doing much else.
func late() time.Duration {
	if os.Getenv("ARUS_SOAK_OUTAGE") != "" {
		return 5 * time.Second
	}
	return 50 * time.Second
}

func faultPostgres(t *testing.T) (string, []string) {
	u := servers.PostgresDatabase(t)
	execPostgres(t, u, `CREATE TABLE orders (id bigint PRIMARY KEY, note text NOT NULL, updated_at timestamptz NOT NULL)`,
		fmt.Sprintf(`INSERT INTO orders SELECT i, repeat(md5(i::text), 3), '2026-01-01'::timestamptz + i %% 50 * interval '1 second' FROM generate_series(1, %d) i`, faultRows),
		`ANALYZE`)
	return u, nil
}

func faultMariaDB(t *testing.T) (string, []string) {
	d := mariadbDatabase(t)
	d.exec(t, `CREATE TABLE orders (id bigint PRIMARY KEY, note text NOT NULL, updated_at datetime(6) NOT NULL)`,
		fmt.Sprintf(`INSERT INTO orders SELECT seq, repeat(md5(seq), 3), '2026-01-01' + interval seq %% 50 second FROM seq_1_to_%d`, faultRows), `ANALYZE TABLE orders`)
	return d.url, nil
}

// changeOrders updates a tenth of the rows and adds some.
func changeOrders(t *testing.T, raw string, maria bool, round int) {
	if maria {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		password, _ := u.User.Password()
		db := openSQL(t, "mysql", fmt.Sprintf("%s:%s@tcp(%s)%s", u.User.Username(), password, u.Host, u.Path))
		for _, s := range []string{
			fmt.Sprintf(`UPDATE orders SET note = concat(note, 'r%d'), updated_at = '2026-02-01' + interval %d second WHERE id %% 10 = %d`, round, round, round%10),
			fmt.Sprintf(`INSERT INTO orders SELECT %d + seq, 'new', '2026-02-01' + interval %d second FROM seq_1_to_100`, faultRows+round*100, round),
		} {
			if _, err := db.ExecContext(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	execPostgres(t, raw, fmt.Sprintf(`UPDATE orders SET note = note || 'r%d', updated_at = '2026-02-01'::timestamptz + %d * interval '1 second' WHERE id %% 10 = %d`, round, round, round%10),
		fmt.Sprintf(`INSERT INTO orders SELECT %d + i, 'new', '2026-02-01'::timestamptz + %d * interval '1 second' FROM generate_series(1, 100) i`, faultRows+round*100, round))
}

// behind puts a proxy before the server of a URL.
func behind(t *testing.T, raw string) (*proxy.Proxy, string) {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	p := proxy.New(t, u.Host)
	u.Host = p.Addr()
	return p, u.String()
}

// setPipeline changes the stored pipeline of a data directory.
func setPipeline(t *testing.T, dir, set string) {
	t.Helper()
	db := openSQL(t, "sqlite", "file:"+filepath.Join(dir, "arus.db")+"?_pragma=busy_timeout(5000)")
	if _, err := db.ExecContext(t.Context(), "UPDATE arus_config_pipelines SET "+set); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func readReport(t *testing.T, r result) engine.Report {
	t.Helper()
	var report engine.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("exit code %d, the report is not one JSON object: %v\n%s%s", r.code, err, r.out, r.errOut)
	}
	return report
}

var faultPairs = []faultPair{
	{"from postgres", faultPostgres, crashTargetPostgres, true, false},
	{"to postgres", faultPostgres, crashTargetPostgres, false, false},
	{"from mariadb", faultMariaDB, crashTargetPostgres, true, true},
	{"to mariadb", faultPostgres, crashTargetMariaDB, false, false},
	{"to clickhouse", faultPostgres, faultClickHouse, false, false},
}

// rawPairs go by way of staging tables, in chunks, one table without a key.
var rawPairs = []faultPair{
	{"raw from postgres", faultPostgresRaw, crashTargetPostgres, true, false},
	{"raw to postgres", faultPostgresRaw, crashTargetPostgres, false, false},
	{"raw to mariadb", faultPostgresRaw, crashTargetMariaDB, false, false},
}

func faultPostgresRaw(t *testing.T) (string, []string) {
	u, _ := faultPostgres(t)
	execPostgres(t, u, `CREATE TABLE events (n int, at timestamptz)`, `INSERT INTO events SELECT i, '2026-01-01'::timestamptz + i * interval '1 second' FROM generate_series(1, 3000) i`, `ANALYZE`)
	return u, []string{"--load", "raw"}
}

func faultClickHouse(t *testing.T) (string, []string) {
	to := clickhouseMatrix(t)
	return to.url, to.args
}

// start makes the two ends of the pair, with the proxy, and the data directory
// with the pipeline after one whole run.
func (pair faultPair) start(t *testing.T) (p *proxy.Proxy, dir, raw string, args []string) {
	raw, fromArgs := pair.from(t)
	to, toArgs := pair.to(t)
	from := raw
	if pair.source {
		p, from = behind(t, raw)
	} else {
		p, to = behind(t, to)
	}
	dir = t.TempDir()
	args = append(append([]string{"--from", from, "--to", to}, fromArgs...), toArgs...)
	if r := runSync(t, dir, args...); r.Status != model.RunSuccess {
		t.Fatalf("the first run is %s: %s", r.Status, r.Error)
	}
	setPipeline(t, dir, `options = json_set(options, '$.chunk_rows', 2000)`)
	return p, dir, raw, args
}

// TestHarmedConnections cuts and truncates the connections of a source or of a
// destination at random bytes of full refreshes in chunks and of increments. Each
// run recovers, or fails with words about the network; after one quiet run the
// target equals the source.
func TestHarmedConnections(t *testing.T) {
	t.Parallel()
	const rounds = 6
	for _, pair := range slices.Concat(faultPairs, rawPairs) {
		t.Run(pair.name, func(t *testing.T) {
			t.Parallel()
			p, dir, raw, args := pair.start(t)
			rng := rand.New(rand.NewPCG(7, uint64(len(pair.name))))
			main := proxy.Up // where the rows go
			if pair.source {
				main = proxy.Down
			}
			whole := [2]int64{}
			recovered, failed, chunked := 0, 0, 0
			var pipeline, last string
			for round := range rounds {
				changeOrders(t, raw, pair.maria, round)
				refresh := round%2 == 0
				kind := proxy.Cut
				if rng.IntN(2) == 0 {
					kind = proxy.Truncate
				}
				d := main
				if round%3 == 2 {
					d = 1 - main
				}
				after := rng.Int64N(max(1, whole[d]))
				if round == 0 {
					after = 1 << 40 // counts the bytes of a whole refresh
				}
				p.Set(proxy.Fault{Kind: kind, Direction: d, After: after})
				run := append([]string{"sync", "--json", "--quiet"}, args...)
				if refresh && pipeline != "" {
					run = []string{"run", "--json", "--quiet", "--full-refresh", pipeline}
				}
				started := time.Now()
				r := arus(t, dir, run...)
				report := readReport(t, r)
				pipeline = report.Pipeline
				if round == 0 {
					whole = [2]int64{p.Passed(proxy.Up), p.Passed(proxy.Down)}
				}
				retries := 0
				for _, table := range report.Tables {
					retries += table.Retries
				}
				switch {
				case report.Status == model.RunSuccess && p.Hits() > 0:
					recovered++
				case report.Status == model.RunFailed:
					failed++
					if words := report.Error + r.out; !strings.Contains(words, "network") && !strings.Contains(words, "connection") && !strings.Contains(words, "EOF") {
						t.Errorf("round %d: %s after %s at byte %d: %s", round, report.Status, kind, after, words)
					}
				}
				t.Logf("round %d: %s at byte %d of %d %v, refresh %v: %s after %d retries in %s, %d warnings", round, kind, after, whole[d], d, refresh, report.Status, retries, time.Since(started).Round(time.Millisecond), len(report.Warnings))
				if strings.Contains(mustArus(t, dir, "runs", report.RunID), "chunks are done") {
					chunked++
				}
				if refresh {
					last = report.RunID
				}
			}
			p.Set(proxy.Fault{})
			for range 2 { // a load that was resumed ends at its own bound
				if report := runSync(t, dir, args...); report.Status != model.RunSuccess {
					t.Errorf("the quiet run is %s: %s", report.Status, report.Error)
				}
			}
			verify(t, dir, pipeline, "--table", "orders")
			if pair.name == "raw to postgres" {
				rowsStandOnce(t, args)
			}
			if recovered == 0 {
				t.Error("no run recovered")
			}
			if chunked == 0 && pair.name != "to clickhouse" {
				t.Errorf("no full refresh went in chunks:\n%s", mustArus(t, dir, "runs", last))
			}
			if out := mustArus(t, dir, "runs", "--json", "--limit", "100"); contains(out, `"running"`) {
				t.Errorf("a run is still recorded as running:\n%.2000s", out)
			}
		})
	}
}

// rowsStandOnce fails the test if a run left a row twice in a staging table, or
// staging tables hold fewer rows of their last whole load than the target.
func rowsStandOnce(t *testing.T, args []string) {
	t.Helper()
	db := openSQL(t, "pgx", args[slices.Index(args, "--to")+1])
	for _, table := range []string{"orders", "events"} {
		var staging string
		if err := db.QueryRowContext(t.Context(), "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables WHERE table_schema = 'staging' AND table_name LIKE $1", "%"+table+"_raw").Scan(&staging); err != nil {
			t.Fatal(err)
		}
		var rows, twice int
		err := db.QueryRowContext(t.Context(), "SELECT count(*), count(*) FILTER (WHERE n > 1) FROM (SELECT count(*) AS n FROM "+staging+" GROUP BY _arus_run_id, _data) r").Scan(&rows, &twice)
		if err != nil {
			t.Fatal(err)
		}
		if rows == 0 || twice > 0 {
			t.Errorf("%s: %d of %d rows stand more than once as one run's", staging, twice, rows)
		}
	}
}

// TestStalledConnections pulls the cable in the middle of a run: the pipeline's
// timeout and a cancel end it in time, and the next run completes.
func TestStalledConnections(t *testing.T) {
	t.Parallel()
	for _, pair := range faultPairs {
		t.Run(pair.name, func(t *testing.T) {
			t.Parallel()
			p, dir, raw, args := pair.start(t)
			changeOrders(t, raw, pair.maria, 0)
			pipeline := runSync(t, dir, args...).Pipeline
			setPipeline(t, dir, "timeout_seconds = 2")
			d := proxy.Up
			if pair.source {
				d = proxy.Down
			}
			p.Set(proxy.Fault{Kind: proxy.Stall, Direction: d, After: 200_000})
			started := time.Now()
			r := arus(t, dir, "run", "--json", "--quiet", "--full-refresh", pipeline)
			report := readReport(t, r)
			took := time.Since(started) - 2*time.Second
			t.Logf("the timeout ended the run after %s more", took.Round(time.Millisecond))
			if took > late() || report.Status != model.RunFailed || !contains(r.out, "timeout_seconds") {
				t.Errorf("the timeout ended the run as %s %s late: %.1000s", report.Status, took, r.out)
			}
			p.Set(proxy.Fault{})

			setPipeline(t, dir, "timeout_seconds = 0")
			p.Set(proxy.Fault{Kind: proxy.Stall, Direction: d, After: 200_000})
			ctx, cancel := context.WithCancel(t.Context())
			cancelled := make(chan time.Time, 1)
			go func() {
				p.Await(t, 1) // the cable is pulled
				cancelled <- time.Now()
				cancel()
			}()
			var out, errOut bytes.Buffer
			Main(ctx, []string{"run", "--json", "--quiet", "--full-refresh", pipeline, "--data", dir}, Stdio{In: strings.NewReader(""), Out: &out, Err: &errOut})
			took = time.Since(<-cancelled)
			t.Logf("the cancel ended the run after %s more", took.Round(time.Millisecond))
			report = readReport(t, result{out: out.String(), errOut: errOut.String()})
			if took > late() || report.Status != model.RunCancelled {
				t.Errorf("the cancel ended the run as %s %s late: %.1000s", report.Status, took, out.String())
			}
			p.Set(proxy.Fault{})
			for range 2 {
				runSync(t, dir, args...)
			}
			verify(t, dir, pipeline)
		})
	}
}

// TestADestinationThatIsDownForAWhile stops the destination in the middle of a
// run and lets it come back while the run waits to try again.
func TestADestinationThatIsDownForAWhile(t *testing.T) {
	t.Parallel()
	pair := faultPairs[1]
	p, dir, raw, args := pair.start(t)
	changeOrders(t, raw, false, 0)
	setPipeline(t, dir, "max_retries = 12")
	p.Set(proxy.Fault{Kind: proxy.Cut, Direction: proxy.Up, After: 20_000})
	up, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(up)
		p.Await(t, 1)
		p.Down(true)
		awaitRetries(t, dir, 1, over)
		p.Down(false)
	}()
	report := runSync(t, dir, args...)
	close(over)
	<-up
	if report.Status != model.RunSuccess {
		t.Errorf("the run is %s: %s", report.Status, report.Error)
	}
	verify(t, dir, report.Pipeline)
	setPipeline(t, dir, "max_retries = 1")
	p.Down(true)
	r := arus(t, dir, append([]string{"sync", "--json", "--quiet"}, args...)...)
	if r.code != exitEnvironment || !contains(r.out, "refused") && !contains(r.out, "reset") && !contains(r.out, "EOF") && !contains(r.out, "closed") {
		t.Errorf("a destination that is down: exit code %d, %s%s", r.code, r.out, r.errOut)
	}
}

// TestAKilledFirstLoadGoesOn kills the program in the middle of a first load in
// chunks: the next run loads only what is missing.
func TestAKilledFirstLoadGoesOn(t *testing.T) {
	t.Parallel()
	from := servers.PostgresDatabase(t)
	execPostgres(t, from, `CREATE TABLE orders (id uuid PRIMARY KEY, note text NOT NULL, updated_at timestamptz NOT NULL)`)
	to, dir := servers.PostgresDatabase(t), t.TempDir()
	args := []string{"--from", from, "--to", to}
	pipeline := runSync(t, dir, args...).Pipeline // nothing yet: the first rows are the next run's
	setPipeline(t, dir, `options = json_set(options, '$.chunk_rows', 4000, '$.parallel', 2)`)
	execPostgres(t, from, `INSERT INTO orders SELECT md5(i::text)::uuid, repeat(md5(i::text), 10), '2026-01-01'::timestamptz + i % 50 * interval '1 second' FROM generate_series(1, 120000) i`, `ANALYZE`)
	// Each run dies as soon as it has done one chunk more than the one before.
	state := openState(t, dir)
	done := func() (n int) {
		if err := state.QueryRowContext(t.Context(), "SELECT count(*) FROM arus_state_chunks WHERE done").Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	died, resumed := 0, 0
	for range 4 {
		before := done()
		if killAt(t, dir, []string{"run", pipeline, "--quiet"}, func(over <-chan struct{}) {
			for done() <= before {
				select {
				case <-over:
					return
				case <-time.After(2 * time.Millisecond):
				}
			}
		}) {
			died++
		}
		execPostgres(t, from, `UPDATE orders SET note = note || '+', updated_at = now() WHERE note < '1'`)
	}
	for range 2 {
		report := readReport(t, arus(t, dir, "run", pipeline, "--json", "--quiet"))
		if report.Status != model.RunSuccess || report.RowsRead != report.RowsLoaded {
			t.Errorf("the run is %s: %+v", report.Status, report)
		}
		if contains(mustArus(t, dir, "runs", report.RunID), "going on with a load in chunks") {
			resumed++
			if report.RowsRead >= 120_000 {
				t.Errorf("the resumed run read %d rows, as many as there are", report.RowsRead)
			}
		}
	}
	verify(t, dir, pipeline)
	if t.Logf("%d of 4 runs were killed", died); died == 0 || resumed == 0 {
		t.Errorf("%d runs were killed, %d went on with what another had loaded", died, resumed)
	}
}
