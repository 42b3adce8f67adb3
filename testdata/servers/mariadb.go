package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

type mariaDB struct {
	localInfile bool
	install     string
	daemon      string
}

func (m *mariaDB) find() (err error) {
	if m.install, err = lookup("mariadb-install-db", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"); err != nil {
		return err
	}
	m.daemon, err = lookup("mariadbd", "/usr/sbin", "/usr/libexec", "/usr/local/bin", "/opt/homebrew/bin")
	return err
}

func (m *mariaDB) prepare(ctx context.Context, dir string) error {
	// The server runs this at its start, one statement a line.
	statements := fmt.Sprintf("CREATE USER IF NOT EXISTS '%s'@'127.0.0.1' IDENTIFIED BY '%s';\nGRANT ALL PRIVILEGES ON *.* TO '%s'@'127.0.0.1' WITH GRANT OPTION;\n",
		testUser, testPassword, testUser)
	file := m.initFile(dir)
	if err := os.WriteFile(file, []byte(statements), 0o600); err != nil {
		return err
	}
	if err := giveTo("mysql", file); err != nil {
		return err
	}
	return tool(ctx, "mysql", dir, m.install, "--no-defaults", "--datadir="+filepath.Join(dir, "data"),
		"--auth-root-authentication-method=normal", "--skip-test-db",
		"--innodb-log-file-size=16M", "--innodb-flush-method=nosync")
}

func (m *mariaDB) initFile(dir string) string { return filepath.Join(dir, "init.sql") }

func (m *mariaDB) command(dir string, ports [3]int) ([]string, error) {
	infile := "--local-infile=0"
	if m.localInfile {
		infile = "--local-infile=1"
	}
	return []string{
		m.daemon, "--no-defaults", infile,
		"--datadir=" + filepath.Join(dir, "data"),
		"--socket=" + filepath.Join(dir, "socket"),
		"--pid-file=" + filepath.Join(dir, "pid"),
		"--init-file=" + m.initFile(dir),
		"--bind-address=127.0.0.1",
		"--port=" + strconv.Itoa(ports[0]),
		"--skip-name-resolve",
		"--skip-log-bin",
		"--character-set-server=utf8mb4",
		"--max-connections=200",
		"--max-allowed-packet=64M",
		"--innodb-flush-log-at-trx-commit=0",
		"--innodb-flush-method=nosync",
		"--innodb-doublewrite=0",
		"--innodb-fast-shutdown=2",
	}, nil
}

func (m *mariaDB) probe(ctx context.Context, dir string, port int) (version string, err error) {
	db, err := openMariaDB(fmt.Sprintf("mariadb://%s:%s@127.0.0.1:%d/", testUser, testPassword, port))
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	var data string
	if err := db.QueryRowContext(ctx, "SELECT version(), @@datadir").Scan(&version, &data); err != nil {
		return "", err
	}
	version, _, _ = strings.Cut(version, "-")
	return version, sameServer(filepath.Join(dir, "data"), data)
}
