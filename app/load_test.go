package app

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"arus/app/auth"
	"arus/app/control"
	"arus/app/model"
	"arus/app/store"
)

// TestManyClients lets clients read the API with a connection and a token of their own each, one request a second as an open
// dashboard asks, first alone and then while five pipelines run over and over in the same process. No answer may be a fault of
// the server, none is made anew while nothing changes, runs end while requests go on, and no run keeps a place (see
// engine.Pace). ARUS_SOAK_CLIENTS=500 makes it a load test of ARUS_SOAK_SECONDS for each part, in which 99 of 100 requests must
// be answered within 100 ms (the requests a second of as many clients that never pause are for information).
func TestManyClients(t *testing.T) {
	t.Parallel()
	clients, length, strict := 20, 2*time.Second, false
	if n, err := strconv.Atoi(os.Getenv("ARUS_SOAK_CLIENTS")); err == nil {
		clients, length, strict = n, 30*time.Second, true
	}
	if n, err := strconv.Atoi(os.Getenv("ARUS_SOAK_SECONDS")); err == nil {
		length = time.Duration(n) * time.Second
	}
	rows, known := 2_000, 20
	if strict {
		rows, known = 200_000, 100
	}
	dir := t.TempDir()
	manyPipelines(t, dir, known, "manual")
	busy, tokens := loadFixture(t, dir, rows, clients)

	cmd := child(t, dir, "serve", "--listen", "127.0.0.1:0", "--max-concurrent-runs", "5")
	said := newOutput()
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // 130 where it was interrupted
	}()
	var url string
	for url == "" {
		select {
		case <-said.more:
			if m := readyLine.FindStringSubmatch(said.String()); m != nil {
				url = "http://" + m[1]
			}
		case <-time.After(time.Minute):
			t.Fatalf("the server does not get ready:\n%s", said)
		}
	}
	l := load{url: url, tokens: tokens, pid: cmd.Process.Pid, paths: []string{
		"/api/dashboard/summary", "/api/dashboard/recent-runs", "/api/pipelines?limit=50", "/api/runs?limit=20", "/api/runs/stats/daily",
		"/api/sources", "/api/destinations", "/api/schedules", "/api/pipelines/" + busy[0], "/api/auth/me", "/api/pipelines?limit=50", "/api/runs?limit=20",
	}}
	report := func(name string, r loadResult) {
		t.Logf("%s: %s", name, r)
		if r.faults > 0 || r.requests == 0 {
			t.Errorf("%s: %d of %d requests failed, such as %s", name, r.faults, r.requests, r.fault)
		}
	}
	idle := l.run(t, length, time.Second, nil)
	report("idle", idle)
	// Two roles ask for the same addresses; nothing changes, so each answer is made once in its life of 10 s.
	if lives := 1 + int((idle.length+9*time.Second)/(10*time.Second)); idle.made > 2*len(l.paths)*lives {
		t.Errorf("idle: %d answers were made anew in %s", idle.made, idle.length)
	}
	report("never pausing", l.run(t, length/4, 0, nil))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	ended := make(chan string, 1000)
	for _, id := range busy {
		running.Go(func() {
			for ctx.Err() == nil {
				if status, text := l.ask(ctx, http.DefaultClient, http.MethodPost, "/api/pipelines/"+id+"/full-refresh?wait=true", tokens[0]); status == http.StatusOK {
					ended <- ""
				} else if ctx.Err() == nil {
					ended <- fmt.Sprintf("%d %.200s", status, text)
				}
			}
		})
	}
	runs := 0
	result := l.run(t, length, time.Second, func() bool { // until each pipeline has run twice, however slow the machine is
		for len(ended) > 0 {
			if fault := <-ended; fault != "" {
				t.Errorf("a run failed: %s", fault)
				return true
			}
			runs++
		}
		return runs >= 2*len(busy)
	})
	cancel()
	running.Wait()
	http.DefaultClient.CloseIdleConnections()
	report("beside five pipelines", result)
	t.Logf("%d runs of %d rows ended meanwhile, on %d processors", runs, rows, runtime.NumCPU())
	if strict && result.p99 > 100*time.Millisecond {
		t.Errorf("99 of 100 requests took up to %s", result.p99)
	}
	// Runs whose request was given up go on; each gives back what it had.
	for l.figures(t)[`arus_runs{state="running"}`] > 0 {
		time.Sleep(20 * time.Millisecond)
	}
	if f := l.figures(t); f["arus_run_work_places"] != 0 || f[`arus_run_work_total{pieces="all"}`] == 0 {
		t.Errorf("%v of %v pieces of work have not given their place back", f["arus_run_work_places"], f[`arus_run_work_total{pieces="all"}`])
	}
}

// loadFixture adds five pipelines with something to copy, a history of runs, and a token for each client. It gives the ids of
// the pipelines, and the tokens, of which the first is an editor's.
func loadFixture(t *testing.T, dir string, rows, clients int) (busy, tokens []string) {
	t.Helper()
	ctx := auth.WithActor(t.Context(), auth.CLI("test"))
	env := testEnvironment(dir)
	files := t.TempDir()
	err := env.with(ctx, func(d *data) error {
		for i := range 5 {
			file := filepath.Join(files, fmt.Sprintf("busy%d.db", i))
			db, err := sql.Open("sqlite", "file:"+file)
			if err != nil {
				return err
			}
			_, err = db.Exec(fmt.Sprintf(`CREATE TABLE orders%d (id INTEGER PRIMARY KEY, note TEXT, amount NUMERIC, updated_at TIMESTAMP NOT NULL);
				WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO orders%[1]d SELECT i, 'order ' || i, i / 10.0, '2026-01-01 00:00:00' FROM n`, i, rows))
			if err != nil {
				return err
			}
			if err := db.Close(); err != nil {
				return err
			}
			cfg, err := env.Registry.ParseURL("sqlite://" + filepath.ToSlash(file))
			if err != nil {
				return err
			}
			if _, err := d.AddSource(ctx, control.SourceInput{Name: fmt.Sprintf("busy%d", i), Connection: cfg}); err != nil {
				return err
			}
			p, err := d.AddPipeline(ctx, control.PipelineInput{Name: fmt.Sprintf("busy%d", i), Source: fmt.Sprintf("busy%d", i), Choices: []control.TableChoice{{Name: fmt.Sprintf("orders%d", i)}}, Schedule: "manual"})
			if err != nil {
				return err
			}
			busy = append(busy, p.ID)
		}
		err := d.Store.Atomically(ctx, func(tx *store.Store) error {
			for i := range 2000 {
				run := model.Run{PipelineID: busy[i%len(busy)]}
				if err := tx.StartRun(ctx, &run); err != nil {
					return err
				}
				if _, err := tx.FinishRun(ctx, run.ID, store.RunResult{Status: model.RunSuccess, Counts: model.RunCounts{Read: 10, Loaded: 10}}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range clients {
			role := model.RoleViewer
			if i == 0 {
				role = model.RoleEditor
			}
			token, _, err := d.AddToken(ctx, control.TokenInput{Name: fmt.Sprintf("client %d", i), Role: role})
			if err != nil {
				return err
			}
			tokens = append(tokens, token.Reveal())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return busy, tokens
}

// load asks one server as many clients.
type load struct {
	url    string
	tokens []string // one a client
	paths  []string
	pid    int
}

type loadResult struct {
	requests, faults int
	fault            string
	p50, p99, most   time.Duration
	length           time.Duration
	cpu              time.Duration // of the server, a request; 0 where it is not known

	// By the server's own figures, which other work on the machine touches less: how long it had the requests, how long what
	// was ready to go on waited for a processor, and how many answers were made anew.
	within, ready [2]time.Duration // half, 99 of 100
	made          int
}

func (r loadResult) String() string {
	return fmt.Sprintf("%d requests, %.0f a second; half within %s, 99 of 100 within %s, all within %s; in the server half within %s, 99 of 100 within %s; "+
		"ready for a processor half within %s, 99 of 100 within %s; %d answers made; %s of processor time each",
		r.requests, float64(r.requests)/r.length.Seconds(), r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), r.most.Round(10*time.Microsecond),
		r.within[0], r.within[1], r.ready[0], r.ready[1], r.made, r.cpu.Round(time.Microsecond))
}

// run lets every client ask one path after another, each pause after the last; 0: as fast as it is answered. It ends after the
// length, and not before enough says so.
func (l load) run(t *testing.T, length, pause time.Duration, enough func() bool) loadResult {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var res loadResult
	transport := &http.Transport{MaxIdleConnsPerHost: len(l.tokens), MaxConnsPerHost: len(l.tokens)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	before, figures, began := processorTime(l.pid), l.figures(t), time.Now()
	var group sync.WaitGroup
	for i, token := range l.tokens {
		group.Go(func() {
			next := time.Now().Add(pause * time.Duration(i) / time.Duration(len(l.tokens)))
			for n := i; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(next)):
				}
				asked := time.Now()
				next = next.Add(pause)
				status, text := l.ask(t.Context(), client, http.MethodGet, l.paths[n%len(l.paths)], token)
				spent := time.Since(asked)
				mu.Lock()
				took = append(took, spent)
				if status != http.StatusOK {
					res.faults++
					res.fault = fmt.Sprintf("%s: %d %.200s", l.paths[n%len(l.paths)], status, text)
				}
				mu.Unlock()
			}
		})
	}
	for enough != nil && !enough() || time.Since(began) < length {
		time.Sleep(20 * time.Millisecond)
	}
	res.length = time.Since(began)
	cancel()
	group.Wait()
	res.requests = len(took)
	after := l.figures(t)
	for i, share := range []float64{0.5, 0.99} {
		res.within[i] = after.within(figures, `arus_http_request_seconds_bucket{kind="read",le="`, share)
		res.ready[i] = after.within(figures, `go_sched_latencies_seconds_bucket{le="`, share)
	}
	res.made = int(after[`arus_api_answers_total{from="made"}`] - figures[`arus_api_answers_total{from="made"}`])
	if res.requests > 0 {
		slices.Sort(took)
		res.p50, res.p99, res.most = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
		res.cpu = (processorTime(l.pid) - before) / time.Duration(res.requests)
	}
	return res
}

// figures are the server's metrics, by name and labels.
type figures map[string]float64

func (l load) figures(t *testing.T) figures {
	t.Helper()
	status, text := l.ask(t.Context(), http.DefaultClient, http.MethodGet, "/metrics", l.tokens[0])
	if status != http.StatusOK {
		t.Fatalf("metrics: %d %.200s", status, text)
	}
	f := figures{}
	for line := range strings.Lines(text) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			if v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64); err == nil {
				f[line[:at]] = v
			}
		}
	}
	return f
}

// within is the bound of the buckets below which a share of what was observed since lies.
func (f figures) within(since figures, bucket string, share float64) time.Duration {
	counts := map[float64]float64{}
	for name, v := range f {
		if rest, ok := strings.CutPrefix(name, bucket); ok {
			if le, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64); err == nil {
				counts[le] = v - since[name]
			}
		}
	}
	bounds := slices.Sorted(maps.Keys(counts))
	for _, le := range bounds {
		if all := counts[bounds[len(bounds)-1]]; counts[le] >= share*all && le < 1e6 {
			return time.Duration(le * float64(time.Second)).Round(time.Microsecond)
		}
	}
	return -1 // beyond the last bound
}

// ask sends one request; status 0: no answer came.
func (l load) ask(ctx context.Context, client *http.Client, method, path, token string) (status int, text string) {
	req, err := http.NewRequestWithContext(ctx, method, l.url+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// processorTime is what a process has taken of the processors; 0 where that is not known.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
