package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startTries   = 3
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
)

// server is one way to run a kind of server.
type server interface {
	// find looks the server's programs up; its error names the one that is missing.
	find() error
	// prepare fills dir, the server's own empty directory, before the first try to start it.
	prepare(ctx context.Context, dir string) error
	// command is the program and arguments of the server in the foreground, listening on the first of the loopback ports.
	command(dir string, ports [3]int) ([]string, error)
	// probe asks for the version of the server that runs in dir; a stranger that took the port is an error.
	probe(ctx context.Context, dir string, port int) (version string, err error)
}

// builder is a server that comes as source code: build makes its program, once, and may take minutes.
type builder interface {
	build(ctx context.Context) error
}

type kind struct {
	name   string
	env    string
	pkg    string         // Debian package; empty when there is none
	user   string         // unprivileged account, used when the command itself runs as root
	url    string         // address, with %d for the port
	stop   syscall.Signal // asks the server to end quickly; its data is not needed any more
	server server
}

func kinds(out io.Writer) []kind {
	account := testUser + ":" + testPassword
	return []kind{
		{"PostgreSQL", envPostgres, "postgresql", "postgres", "postgres://" + account + "@127.0.0.1:%d/postgres", syscall.SIGQUIT, &postgres{}},
		{"MariaDB", envMariaDB, "mariadb-server", "mysql", "mariadb://" + account + "@127.0.0.1:%d/", syscall.SIGTERM, &mariaDB{localInfile: true}},
		{"MariaDB without LOCAL INFILE", envMariaDBNoLocal, "mariadb-server", "mysql", "mariadb://" + account + "@127.0.0.1:%d/", syscall.SIGTERM, &mariaDB{}},
		{"ClickHouse", envClickHouse, "clickhouse-server", "", "clickhouse://default@127.0.0.1:%d/default", syscall.SIGTERM, &clickHouse{}},
		{"FerretDB", envMongoDB, "", "", "mongodb://127.0.0.1:%d/", syscall.SIGKILL, &ferretDB{out: out}},
		{"Chromium", envChromium, "chromium", "", "", 0, &chromium{}},
	}
}

// Set is the servers that one call of [Start] has started.
type Set struct {
	dir  *tempDir
	mu   sync.Mutex
	env  []string
	runs []*process
}

// Start starts one server of every kind, installing what is missing where it may, and returns when each is ready or has
// failed. A kind that cannot be started is no error: its variable says why. It writes one line about each kind to out.
func Start(ctx context.Context, out io.Writer) (*Set, error) {
	dir, err := newTempDir()
	if err != nil {
		return nil, err
	}
	set := &Set{dir: dir}
	var wanted []kind
	for _, k := range kinds(out) {
		if u := os.Getenv(k.env + "_URL"); u != "" {
			_, _ = fmt.Fprintf(out, "servers: %s: %s_URL is set already\n", k.name, k.env)
			continue
		}
		wanted = append(wanted, k)
	}
	missing := install(ctx, wanted, out)

	var all sync.WaitGroup
	for i, k := range wanted {
		all.Go(func() {
			began := time.Now()
			var run *process
			version, port, err := "", 0, missing[k.pkg]
			installed, isProgram := k.server.(program)
			if b, ok := k.server.(builder); ok && err == nil {
				err = b.build(ctx)
			}
			if err == nil && !isProgram {
				run, version, port, err = k.start(ctx, filepath.Join(dir.path, strconv.Itoa(i)), dir.lock)
			}
			set.mu.Lock()
			defer set.mu.Unlock()
			switch {
			case ctx.Err() != nil:
				// Whoever gave up knows.
			case err != nil:
				_, _ = fmt.Fprintf(out, "servers: %s: not started: %v\n", k.name, err)
				set.env = append(set.env, k.env+"_WHY="+err.Error())
			case isProgram:
				_, _ = fmt.Fprintf(out, "servers: %s: %s\n", k.name, installed.path())
				set.env = append(set.env, k.env+"_URL="+installed.path())
			default:
				_, _ = fmt.Fprintf(out, "servers: %s %s on 127.0.0.1:%d after %.1fs\n", k.name, version, port, time.Since(began).Seconds())
				set.env = append(set.env, fmt.Sprintf("%s_URL="+k.url, k.env, port))
			}
			if run != nil {
				set.runs = append(set.runs, run)
			}
		})
	}
	all.Wait()
	return set, ctx.Err()
}

// Environ is the variables that tell a test about the servers.
func (s *Set) Environ() []string { return s.env }

// Stop ends the servers and removes their directory. Its error names servers that had ended before.
func (s *Set) Stop() error {
	var all sync.WaitGroup
	var died error
	for _, run := range s.runs {
		select {
		case <-run.done:
			died = errors.Join(died, fmt.Errorf("%s ended by itself: %s", filepath.Base(run.cmd.Path), run.lastWords()))
			continue
		default:
		}
		all.Go(run.stop)
	}
	all.Wait()
	return errors.Join(died, s.dir.remove())
}

func (k kind) start(ctx context.Context, dir string, lock *os.File) (run *process, version string, port int, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, "", 0, err
	}
	if err := giveTo(k.user, dir); err != nil {
		return nil, "", 0, err
	}
	if err := k.server.prepare(ctx, dir); err != nil {
		return nil, "", 0, err
	}
	// A free port can be taken by somebody else before the server binds it, so one failure proves nothing.
	var lastErr error
	for range startTries {
		ports, err := freePorts(ctx)
		if err != nil {
			return nil, "", 0, err
		}
		command, err := k.server.command(dir, ports)
		if err != nil {
			return nil, "", 0, err
		}
		if run, err = k.launch(command, dir, lock); err != nil {
			return nil, "", 0, err
		}
		if version, lastErr = k.await(ctx, run, dir, ports[0]); lastErr == nil {
			return run, version, ports[0], nil
		}
		run.stop()
		if ctx.Err() != nil {
			break
		}
	}
	return nil, "", 0, lastErr
}

// await polls until the server answers as itself, has ended, or the time is up.
func (k kind) await(ctx context.Context, run *process, dir string, port int) (version string, err error) {
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		probing, cancel := context.WithTimeout(ctx, 5*time.Second)
		version, err = k.server.probe(probing, dir, port)
		cancel()
		if err == nil {
			return version, nil
		}
		select {
		case <-run.done:
			return "", fmt.Errorf("ended at once: %s", run.lastWords())
		case <-ctx.Done():
			return "", fmt.Errorf("not ready in time: %w: %s", err, run.lastWords())
		case <-poll.C:
		}
	}
}

// freePorts are distinct because all are held until the last one is found.
func freePorts(ctx context.Context) (ports [3]int, err error) {
	var listeners [3]net.Listener
	defer func() {
		for _, listener := range listeners {
			if listener != nil {
				_ = listener.Close()
			}
		}
	}()
	var config net.ListenConfig
	for i := range ports {
		if listeners[i], err = config.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return ports, err
		}
		ports[i] = listeners[i].Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	output string
	signal syscall.Signal
	done   chan struct{}
}

// launch starts a server with its output in a file in dir. It inherits the lock, so that a directory whose server still
// runs is never taken for a stale one, whatever became of the command that started it.
func (k kind) launch(command []string, dir string, lock *os.File) (*process, error) {
	output := filepath.Join(dir, "output.log")
	file, err := os.OpenFile(output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it outlives its start and is asked to stop
	cmd.Stdout, cmd.Stderr = file, file
	cmd.ExtraFiles = []*os.File{lock}
	if err := confine(cmd, k.user, dir, k.stop); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, output: output, signal: k.stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is in its output
	}()
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(p.signal) // fails only when it has ended already
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *process) lastWords() string {
	text, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	return tail(text)
}

// tool runs a program that prepares a server's directory and has to succeed.
func tool(ctx context.Context, user, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	if err := confine(cmd, user, dir, syscall.SIGKILL); err != nil {
		return err
	}
	cmd.Cancel = func() error {
		signalGroup(cmd, syscall.SIGKILL) // some of the programs are scripts
		return nil
	}
	text, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, tail(text))
	}
	return nil
}

// tail is the last few lines of a program's output, on one line.
func tail(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	lines = lines[max(0, len(lines)-5):]
	return string(bytes.Join(lines, []byte(" | ")))
}

// lookup finds a program in PATH or in one of the folders that matches a pattern, the newest version first.
func lookup(program string, patterns ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return filepath.Abs(path)
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(filepath.Join(pattern, program))
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s: %w", program, errNotInstalled)
}

var errNotInstalled = errors.New("not installed")
