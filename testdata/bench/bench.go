package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
)

const (
	envPostgres = "ARUS_TEST_POSTGRES"
	envMariaDB  = "ARUS_TEST_MARIADB"

	envClickHouse = "ARUS_TEST_CLICKHOUSE"
	envMongoDB    = "ARUS_TEST_MONGODB"

	// The passwords reach the measured programs by their environment, since anybody can read a command line.
	envPostgresPassword = "ARUS_BENCH_POSTGRES_PASSWORD"
	envMariaDBPassword  = "ARUS_BENCH_MARIADB_PASSWORD"

	envClickHousePassword = "ARUS_BENCH_CLICKHOUSE_PASSWORD"
)

// errSkip is a lane that cannot be measured here.
var errSkip = errors.New("not measured")

// bench is what the lanes share: servers, clients, the binary, and the data that was made so far.
type bench struct {
	options options
	log     io.Writer
	dir     string
	prefix  string // of all databases
	arus    string

	pg, maria           *url.URL // nil where there is no such server
	clickhouse, mongodb *url.URL
	psql, mariadbBinary string
	mariaDB             *sql.DB

	made   map[string]bool // databases and files
	copies int             // of Arus so far
	sum    sum             // of the orders
	size   int64           // of the orders as text
}

func open(ctx context.Context, o options, log io.Writer) (b *bench, err error) {
	b = &bench{options: o, log: log, prefix: fmt.Sprintf("arus_bench_%d", os.Getpid()), made: map[string]bool{}}
	if b.pg, err = server(envPostgres); err != nil {
		return nil, err
	}
	if b.pg == nil && !strings.HasPrefix(o.lanes, "warehouse-") { // those need no server
		return nil, fmt.Errorf("%s_URL is not set: %s; `go tool task bench` starts the servers", envPostgres, why(envPostgres))
	}
	if b.maria, err = server(envMariaDB); err != nil {
		return nil, err
	}
	if b.clickhouse, err = server(envClickHouse); err != nil {
		return nil, err
	}
	if b.mongodb, err = server(envMongoDB); err != nil {
		return nil, err
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o700); err != nil {
			return nil, err
		}
	}
	if b.psql, err = lookup("psql", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "arus-bench-*"); err != nil {
		return nil, err
	}
	if b.arus, err = filepath.Abs(o.arus); o.arus == "" {
		b.say("building arus")
		b.arus = b.path("arus")
		flags := "-s -w"
		if version, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
			flags += " -X arus/app.version=" + strings.TrimSpace(string(version)) // figures without it are nobody's
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", flags, "-tags", b.tags(), "-o", b.arus, "arus")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		var text []byte
		if text, err = build.CombinedOutput(); err != nil {
			err = fmt.Errorf("go build: %w: %s", err, tail(text))
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	return b, nil
}

func (b *bench) tags() string {
	if b.options.profile != "" {
		return "profile"
	}
	return ""
}

func server(env string) (*url.URL, error) {
	raw := os.Getenv(env + "_URL")
	if raw == "" {
		return nil, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s_URL is no URL", env)
	}
	return u, nil
}

func why(env string) string {
	if text := os.Getenv(env + "_WHY"); text != "" {
		return text
	}
	return "no server was started"
}

// lookup finds a client where its server's programs are found.
func lookup(program string, patterns ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return filepath.Abs(path)
	}
	for _, pattern := range patterns {
		if found, _ := filepath.Glob(filepath.Join(pattern, program)); len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s is not installed", program)
}

// close removes what was made, also after an interrupt.
func (b *bench) close(ctx context.Context) error {
	if b.options.keep {
		b.say("kept: databases %s_*, directory %s", b.prefix, b.dir)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var errs []error
	for what := range b.made {
		if name, ok := strings.CutPrefix(what, "mariadb:"); ok {
			errs = append(errs, b.execMariaDB(ctx, "DROP DATABASE IF EXISTS "+name))
		} else if name, ok := strings.CutPrefix(what, "clickhouse:"); ok {
			errs = append(errs, b.execClickHouse(ctx, "DROP DATABASE IF EXISTS "+name))
		} else if !filepath.IsAbs(what) {
			errs = append(errs, b.exec(ctx, "", "DROP DATABASE IF EXISTS "+what+" WITH (FORCE)"))
		}
	}
	if b.mariaDB != nil {
		errs = append(errs, b.mariaDB.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, "bench: "+format+"\n", args...)
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) name(suffix string) string { return b.prefix + "_" + suffix }

// postgres opens a connection for one use; "" is the database of the server's address.
func (b *bench) postgres(ctx context.Context, database string, use func(*pgx.Conn) error) error {
	if b.pg == nil {
		return errSkip
	}
	u := *b.pg
	if database != "" {
		u.Path = "/" + database
	}
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return err
	}
	config.RuntimeParams["timezone"] = "UTC"
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	return use(c)
}

func (b *bench) exec(ctx context.Context, database string, statements ...string) error {
	return b.postgres(ctx, database, func(c *pgx.Conn) error {
		for _, s := range statements {
			if _, err := c.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", strings.SplitN(s, "\n", 2)[0], err)
			}
		}
		return nil
	})
}

// createPostgres makes a database, as a copy of another where one is named.
func (b *bench) createPostgres(ctx context.Context, database, template string) error {
	if template == "" {
		template = "template0"
	}
	b.made[database] = true
	return b.exec(ctx, "", "CREATE DATABASE "+database+" TEMPLATE "+template)
}

// mariadb is the pool of the MariaDB server, or errSkip where there is none.
func (b *bench) mariadb() (*sql.DB, error) {
	if b.maria == nil {
		return nil, fmt.Errorf("%w: %s_URL is not set: %s", errSkip, envMariaDB, why(envMariaDB))
	}
	if b.mariaDB != nil {
		return b.mariaDB, nil
	}
	var err error
	if b.mariadbBinary, err = lookup("mariadb", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"); err != nil {
		return nil, fmt.Errorf("%w: %w", errSkip, err)
	}
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", b.maria.Host
	config.User = b.maria.User.Username()
	config.Passwd, _ = b.maria.User.Password()
	config.Params = map[string]string{"time_zone": "'+00:00'"}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	b.mariaDB = sql.OpenDB(connector)
	return b.mariaDB, nil
}

func (b *bench) execMariaDB(ctx context.Context, statements ...string) error {
	db, err := b.mariadb()
	if err != nil {
		return err
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", strings.SplitN(s, "\n", 2)[0], err)
		}
	}
	return nil
}

// psqlClient runs statements by psql, each in a transaction of its own.
func (b *bench) psqlClient(database string, statements ...string) stage {
	password, _ := b.pg.User.Password()
	args := []string{"-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", b.pg.Hostname(), "-p", portOr(b.pg, "5432"), "-U", b.pg.User.Username(), "-d", database}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	return stage{path: b.psql, args: args, env: []string{"PGPASSWORD=" + password, "PGTZ=UTC", "PGCLIENTENCODING=UTF8"}}
}

func (b *bench) mariadbClient(statement string) stage {
	password, _ := b.maria.User.Password()
	return stage{path: b.mariadbBinary, args: []string{
		"--no-defaults", "--protocol=tcp", "-h", b.maria.Hostname(), "-P", portOr(b.maria, "3306"), "-u", b.maria.User.Username(),
		"--default-character-set=utf8mb4", "--local-infile=1", "--quick", "-N", "-B", "-e", statement,
	}, env: []string{"MYSQL_PWD=" + password}}
}

func portOr(u *url.URL, standard string) string {
	if p := u.Port(); p != "" {
		return p
	}
	return standard
}

// postgresURL and mariadbURL are addresses as Arus takes them.
func (b *bench) postgresURL(database string) string {
	return "postgres://" + b.pg.User.Username() + ":${env:" + envPostgresPassword + "}@" + b.pg.Host + "/" + database
}

func (b *bench) mariadbURL(database string) string {
	return "mariadb://" + b.maria.User.Username() + ":${env:" + envMariaDBPassword + "}@" + b.maria.Host + "/" + database
}

func (b *bench) clickHouseURL() string {
	user := b.clickhouse.User.Username()
	if password, _ := b.clickhouse.User.Password(); password != "" {
		user += ":${env:" + envClickHousePassword + "}"
	}
	return "clickhouse://" + user + "@" + b.clickhouse.Host + b.clickhouse.Path
}

// calm lets nobody pay for the work that others left to the servers.
func (b *bench) calm(ctx context.Context) error {
	if b.pg == nil {
		return nil
	}
	return b.exec(ctx, "", "CHECKPOINT")
}
