package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	idlePipelines = 100
	viewers       = 50
	idleFor       = 10 * time.Second
	watchedFor    = 20 * time.Second
)

// fact is a figure that has no floor.
type fact struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Most  float64 `json:"most,omitempty"`  // what it should not exceed
	Least float64 `json:"least,omitempty"` // what it should reach
}

func (f fact) String() string {
	text := strings.TrimSpace(fmt.Sprintf("%s: %s %s", f.Name, trim(f.Value), f.Unit))
	if f.Most > 0 {
		text += fmt.Sprintf(" (at most %s)", trim(f.Most))
	}
	if f.Least > 0 {
		text += fmt.Sprintf(" (at least %s)", trim(f.Least))
	}
	return text
}

func trim(x float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", x), "0"), ".")
}

// serving starts the server with pipelines that have nothing to do: how soon it is ready, what it takes when nothing
// happens, and what people who look at it cost.
func serving(ctx context.Context, b *bench) (*job, error) {
	data, err := b.fresh()
	if err != nil {
		return nil, err
	}
	token, err := b.idleData(ctx, data)
	if err != nil {
		return nil, err
	}
	sizes, err := b.sizes(ctx)
	if err != nil {
		return nil, err
	}
	j := &job{
		rows: idlePipelines, idle: true, facts: sizes,
		end: func(context.Context) error { return os.RemoveAll(data) },
	}
	j.arus = contender{
		name: "arus serve, until it is ready",
		run: func(ctx context.Context) (sample, error) {
			s, facts, err := b.serve(ctx, data, token, len(j.facts) == len(sizes))
			j.facts = append(j.facts, facts...)
			return s, err
		},
	}
	return j, nil
}

// idleData makes the pipelines and a token.
func (b *bench) idleData(ctx context.Context, data string) (token string, err error) {
	source, file := b.path("shop.sqlite"), b.path("pipelines.yaml")
	db, err := sql.Open("sqlite", "file:"+source)
	if err != nil {
		return "", err
	}
	_, err = db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, updated_at DATETIME NOT NULL)")
	if err = errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "version: 1\nsources:\n  - name: shop\n    type: sqlite\n    database: %s\ndestinations:\n  - name: warehouse\n    type: embedded\npipelines:\n", source)
	for i := range idlePipelines {
		fmt.Fprintf(&text, "  - name: pipeline %d\n    source: shop\n    destination: warehouse\n    tables:\n      - source_table: orders\n        target_table: orders_%d\n", i, i)
	}
	if err := toFile(file, func(w io.Writer) error { _, err := io.WriteString(w, text.String()); return err }); err != nil {
		return "", err
	}
	if _, _, err := child(ctx, stage{path: b.arus, args: []string{"apply", file, "--data", data}}); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"user", "add", "--email", "bench@example.com", "--name", "bench", "--role", "admin", "--password-stdin"}, {"token", "create", "--name", "bench", "--role", "viewer"},
	} {
		cmd := exec.CommandContext(ctx, b.arus, append(args, "--data", data)...)
		cmd.Stdin = strings.NewReader("correct horse battery staple\n")
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("arus %s: %w", args[0], err)
		}
		token = strings.TrimSpace(string(out))
	}
	return token, nil
}

// sizes builds the two binaries that are shipped.
func (b *bench) sizes(ctx context.Context) (facts []fact, err error) {
	for _, build := range []struct {
		tags, name string
		most       float64
	}{{"", "binary with Python", 95}, {"nopython", "binary without Python", 60}} {
		path := b.path("arus-size")
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", build.tags, "-o", path, "arus")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w: %s", err, tail(text))
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		facts = append(facts, fact{Name: build.name, Value: round(float64(info.Size())/1e6, 1), Unit: "MB", Most: build.most})
	}
	return facts, nil
}

// serve starts the server, waits until it says that it is ready, and ends it. Once, it also looks at it for a while.
func (b *bench) serve(ctx context.Context, data, token string, look bool) (s sample, facts []fact, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return s, nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return s, nil, err
	}
	cmd := exec.CommandContext(ctx, b.arus, "serve", "--listen", address, "--data", data)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	s.Load = loadAverage()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return s, nil, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if werr := cmd.Wait(); werr != nil && err == nil {
			err = fmt.Errorf("arus serve: %w: %s", werr, tail(out.Bytes()))
		}
		s.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		s.PeakMB = peak(cmd.ProcessState, nil)
	}()
	for {
		res, err := request(ctx, "http://"+address+"/readyz", token)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Since(began) > time.Minute {
			return s, nil, fmt.Errorf("arus serve is not ready after a minute: %s", tail(out.Bytes()))
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.Seconds = time.Since(began).Seconds()
	if !look {
		return s, nil, nil
	}
	time.Sleep(idleFor)
	before, err := processTime(cmd.Process.Pid)
	if err != nil {
		return s, nil, err
	}
	facts = append(facts, fact{Name: fmt.Sprintf("memory when idle with %d pipelines", idlePipelines), Value: resident(cmd.Process.Pid), Unit: "MB", Most: 40})
	watching, stop := context.WithTimeout(ctx, watchedFor)
	defer stop()
	ended := make(chan error, viewers)
	for range viewers {
		go func() {
			res, err := request(watching, "http://"+address+"/api/events", token)
			if err != nil {
				ended <- err
				return
			}
			defer func() { _ = res.Body.Close() }()
			if res.StatusCode != http.StatusOK {
				ended <- fmt.Errorf("the events answer %s", res.Status)
				return
			}
			for in := bufio.NewScanner(res.Body); in.Scan(); {
			}
			ended <- nil
		}()
	}
	for range viewers {
		if werr := <-ended; werr != nil && watching.Err() == nil {
			err = errors.Join(err, werr)
		}
	}
	after, terr := processTime(cmd.Process.Pid)
	facts = append(facts,
		fact{Name: fmt.Sprintf("memory with %d viewers of the live events", viewers), Value: resident(cmd.Process.Pid), Unit: "MB"},
		fact{Name: fmt.Sprintf("processor with %d viewers of the live events", viewers), Value: round((after-before)/watchedFor.Seconds()*100, 2), Unit: "% of a core"})
	return s, facts, errors.Join(err, terr)
}

func request(ctx context.Context, url, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return http.DefaultClient.Do(req)
}

// resident is what a running process holds in memory now, in megabytes; 0 where the system does not tell.
func resident(pid int) float64 {
	var kb float64
	if _, err := fmt.Sscanf(procField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS"), "%f kB", &kb); err != nil {
		return 0
	}
	return round(kb/1000, 1)
}

// processTime is the processor time of a running process in seconds.
func processTime(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("the system does not tell the time of a process")
	}
	var user, system float64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, err
	}
	const ticks = 100 // a second, on every Linux
	return (user + system) / ticks, nil
}
