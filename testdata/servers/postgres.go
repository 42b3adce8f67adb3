package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

type postgres struct{ bin string }

func (p *postgres) find() error {
	// initdb and the server must be of one version, so the folder is found once; Debian does not put it in PATH.
	initdb, err := lookup("initdb", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")
	if err != nil {
		return err
	}
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
		return err
	}
	p.bin = filepath.Dir(initdb)
	_, err = os.Stat(filepath.Join(p.bin, "postgres"))
	return err
}

func (p *postgres) prepare(ctx context.Context, dir string) error {
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(testPassword+"\n"), 0o600); err != nil {
		return err
	}
	if err := giveTo("postgres", password); err != nil {
		return err
	}
	return tool(ctx, "postgres", dir, filepath.Join(p.bin, "initdb"), "--pgdata="+filepath.Join(dir, "data"),
		"--username="+testUser, "--pwfile="+password, "--auth-local=trust", "--auth-host=scram-sha-256",
		"--encoding=UTF8", "--no-locale", "--no-sync")
}

func (p *postgres) command(dir string, ports [3]int) ([]string, error) {
	return []string{
		filepath.Join(p.bin, "postgres"), "-D", filepath.Join(dir, "data"), "-k", dir,
		"-p", strconv.Itoa(ports[0]),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "max_connections=200",
		"-c", "max_wal_size=4GB",
		"-c", "fsync=off",
		"-c", "full_page_writes=off",
		"-c", "synchronous_commit=off",
	}, nil
}

func (p *postgres) probe(ctx context.Context, dir string, port int) (version string, err error) {
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/postgres", testUser, testPassword, port))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	var data string
	err = conn.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('data_directory')").Scan(&version, &data)
	if err != nil {
		return "", err
	}
	version, _, _ = strings.Cut(version, " ")
	return version, sameServer(filepath.Join(dir, "data"), data)
}

func sameServer(want, got string) error {
	if filepath.Clean(got) != want {
		return fmt.Errorf("the port belongs to another server, which runs in %s", got)
	}
	return nil
}
