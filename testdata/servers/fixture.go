package servers

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
)

// Postgres returns the URL of a PostgreSQL superuser's connection, or skips the test.
func Postgres(t testing.TB) string {
	t.Helper()
	return address(t, envPostgres)
}

// MariaDB returns the URL of a MariaDB server that accepts LOAD DATA LOCAL INFILE, or skips the test.
func MariaDB(t testing.TB) string {
	t.Helper()
	return address(t, envMariaDB)
}

// MariaDBNoLocal returns the URL of a MariaDB server that refuses LOAD DATA LOCAL INFILE, or skips the test.
func MariaDBNoLocal(t testing.TB) string {
	t.Helper()
	return address(t, envMariaDBNoLocal)
}

// ClickHouse returns the URL of a ClickHouse server's native protocol, or skips the test.
func ClickHouse(t testing.TB) string {
	t.Helper()
	return address(t, envClickHouse)
}

func address(t testing.TB, env string) string {
	t.Helper()
	if u := os.Getenv(env + "_URL"); u != "" {
		return u
	}
	why := os.Getenv(env + "_WHY")
	if why == "" {
		why = "no server was started"
	}
	message := fmt.Sprintf("%s_URL is not set: %s; `go tool task test` starts the servers", env, why)
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip("SKIPPED: " + message)
	return ""
}

// PostgresDatabase creates an empty database, drops it when the test ends, and returns its URL.
func PostgresDatabase(t testing.TB) string {
	t.Helper()
	admin := Postgres(t)
	name := databaseName(t)
	// template0 because nobody can be connected to it: a session in template1 would fail the statement.
	err := execPostgres(t.Context(), admin, "CREATE DATABASE "+name+" TEMPLATE template0")
	if err != nil {
		t.Fatalf("create database %s: %v", name, err)
	}
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(t)
		defer cancel()
		if err := execPostgres(ctx, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return withDatabase(t, admin, name)
}

// MariaDBDatabase creates an empty database, drops it when the test ends, and returns its URL.
func MariaDBDatabase(t testing.TB) string {
	t.Helper()
	return mariaDBDatabase(t, MariaDB(t))
}

// MariaDBNoLocalDatabase is MariaDBDatabase on the server of MariaDBNoLocal.
func MariaDBNoLocalDatabase(t testing.TB) string {
	t.Helper()
	return mariaDBDatabase(t, MariaDBNoLocal(t))
}

func mariaDBDatabase(t testing.TB, admin string) string {
	t.Helper()
	name := databaseName(t)
	db, err := openMariaDB(admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database %s: %v", name, err)
	}
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(t)
		defer cancel()
		if err := dropMariaDB(ctx, admin, name); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return withDatabase(t, admin, name)
}

// dropMariaDB first ends the sessions that use the database: one open transaction would hold the statement back.
func dropMariaDB(ctx context.Context, admin, name string) error {
	db, err := openMariaDB(admin)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE db = ?", name)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var sessions []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		sessions = append(sessions, id)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for _, id := range sessions {
		// A session that has ended by itself meanwhile is as good as one ended here.
		_, _ = db.ExecContext(ctx, fmt.Sprintf("KILL CONNECTION %d", id))
	}
	_, err = db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name)
	return err
}

// SharedData returns the path of a file or folder of public data sets that is kept beside the repository, in
// ../shared/data, or skips the test: the data sets are not part of the repository and nothing may depend on them.
func SharedData(t testing.TB, rel string) string {
	t.Helper()
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "..", "shared", "data", filepath.FromSlash(rel))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: shared data set %s is not here: %v", rel, err)
	}
	return path
}

func repositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte("module arus\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod of module arus in or above %s", start)
		}
		dir = parent
	}
}

// databaseName is unique, needs no quoting, fits every server's limit and still tells which test it belongs to.
func databaseName(t testing.TB) string {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '_'
		}
	}, t.Name())
	var unique [6]byte
	_, _ = rand.Read(unique[:]) // never fails
	return "t_" + slug[:min(len(slug), 30)] + "_" + hex.EncodeToString(unique[:])
}

// cleanupContext outlives the test's own context, which has ended when clean-up functions run.
func cleanupContext(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Minute)
}

func withDatabase(t testing.TB, rawURL, database string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	return u.String()
}

func execPostgres(ctx context.Context, rawURL, statement string) error {
	conn, err := pgx.Connect(ctx, rawURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// openMariaDB opens a mariadb:// URL; the driver itself takes only its own form of address.
func openMariaDB(rawURL string) (*sql.DB, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", u.Host
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = strings.TrimPrefix(u.Path, "/")
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}
