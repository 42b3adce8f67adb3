package servers

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Instance is a PostgreSQL server of one test's own, which the test may stop and start again.
type Instance struct {
	kind     kind
	postgres *postgres
	home     *tempDir
	dir      string
	ports    [3]int
	settings []string
	run      *process
}

// PostgresInstance starts a server for one test, with further settings written as name=value; the end of the test stops
// it. Where no servers are started at all the test is skipped.
func PostgresInstance(t testing.TB, settings ...string) *Instance {
	t.Helper()
	Postgres(t)
	p := &postgres{}
	if err := p.find(); err != nil {
		t.Skipf("SKIPPED: a server of the test's own: %v", err)
	}
	return newInstance(t, p, settings, p.prepare)
}

// Standby starts a read replica of the server, with settings of its own.
func (i *Instance) Standby(t testing.TB, settings ...string) *Instance {
	t.Helper()
	return newInstance(t, i.postgres, settings, func(ctx context.Context, dir string) error {
		return tool(ctx, "postgres", dir, filepath.Join(i.postgres.bin, "pg_basebackup"), "--pgdata="+filepath.Join(dir, "data"),
			"--host="+i.dir, "--port="+strconv.Itoa(i.ports[0]), "--username="+testUser, "--checkpoint=fast", "--write-recovery-conf", "--no-sync")
	})
}

func newInstance(t testing.TB, p *postgres, settings []string, prepare func(ctx context.Context, dir string) error) *Instance {
	t.Helper()
	home, err := newTempDir()
	if err != nil {
		t.Fatal(err)
	}
	i := &Instance{kind: kinds(io.Discard)[0], postgres: p, home: home, dir: filepath.Join(home.path, "0"), settings: settings}
	t.Cleanup(func() {
		i.Stop()
		if err := home.remove(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := os.Mkdir(i.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := giveTo(i.kind.user, i.dir); err != nil {
		t.Fatal(err)
	}
	if err := prepare(ctx, i.dir); err != nil {
		t.Fatal(err)
	}
	for range startTries { // the port may be somebody else's by now
		if i.ports, err = freePorts(ctx); err != nil {
			t.Fatal(err)
		}
		if err = i.start(ctx); err == nil {
			return i
		}
	}
	t.Fatal(err)
	return nil
}

// URL is the address of the server's database "postgres".
func (i *Instance) URL() string { return fmt.Sprintf(i.kind.url, i.ports[0]) }

// Exec runs statements at the server, one by one.
func (i *Instance) Exec(t testing.TB, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), i.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// Stop ends the server at once, as a crash would. Its data stays.
func (i *Instance) Stop() {
	if i.run != nil {
		i.run.stop()
		i.run = nil
	}
}

// Start starts a stopped server again, where it was.
func (i *Instance) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return i.start(ctx)
}

func (i *Instance) start(ctx context.Context) error {
	command, err := i.postgres.command(i.dir, i.ports)
	if err != nil {
		return err
	}
	for _, s := range i.settings {
		command = append(command, "-c", s)
	}
	if i.run, err = i.kind.launch(command, i.dir, i.home.lock); err != nil {
		return err
	}
	if _, err = i.kind.await(ctx, i.run, i.dir, i.ports[0]); err != nil {
		i.Stop()
	}
	return err
}

// Disk is a small disk of the test's own, in a directory that the servers' accounts can reach.
type Disk struct{ Path string }

// SmallDisk mounts a disk of so many bytes for the server's account, or for the test itself, and unmounts it when the
// test ends. Where that is not permitted the test is skipped.
func SmallDisk(t testing.TB, bytes int64, server bool) Disk {
	t.Helper()
	home, err := newTempDir()
	if err != nil {
		t.Fatal(err)
	}
	d := Disk{Path: filepath.Join(home.path, "disk")}
	if err := os.Mkdir(d.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := mountSmall(d.Path, bytes); err != nil {
		_ = home.remove()
		t.Skipf("SKIPPED: a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		var err error
		for range 50 { // whoever had files open on it may be just ending
			if err = unmount(d.Path); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			t.Error(err)
			return
		}
		if err := home.remove(); err != nil {
			t.Error(err)
		}
	})
	if server {
		if err := giveTo("postgres", d.Path); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// Fill takes all of the disk but so many bytes; the function that it returns gives them back.
func (d Disk) Fill(t testing.TB, leave int64) (free func()) {
	t.Helper()
	name := filepath.Join(d.Path, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	block, size := make([]byte, 64<<10), int64(0)
	for err == nil {
		var n int
		n, err = f.Write(block)
		size += int64(n)
		if n < len(block) && len(block) > 512 {
			block, err = block[:len(block)/2], nil
		}
	}
	if err := f.Truncate(max(0, size-leave)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}
