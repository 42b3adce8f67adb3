package postgres

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"

	"arus/connectors"
)

const (
	maxIdle       = 4                // connections kept open between uses
	cancelGrace   = 5 * time.Second  // what the server gets to end a cancelled query before the connection is cut
	cleanupTime   = 10 * time.Second // what a rollback or a close may take
	readBuffer    = 256 << 10
	firstProvided = 10 // major version with the catalog columns every query here uses
)

// neutral overrides every setting that pgconn would otherwise take from PG*
// variables, ~/.pgpass and the service file: a connection is what its Config
// says and nothing else.
const neutral = `host=localhost port=5432 database=postgres user=postgres password=none passfile='' servicefile='' ` +
	`application_name='' connect_timeout=10 sslmode=disable sslkey='' sslcert='' sslcertmode=allow sslrootcert='' sslpassword='' ` +
	`sslsni=1 sslnegotiation=postgres target_session_attrs=any timezone='' options='' min_protocol_version=3.0 ` +
	`max_protocol_version=3.0 channel_binding=prefer require_auth=''`

// session is set once per connection, for what poolers such as PgBouncer refuse
// in the startup message.
const session = `SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 3; SET bytea_output = 'hex'; ` +
	`SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; ` + noticeDeadClient

// noticeDeadClient lets a statement end soon after its program was killed, so
// that the locks it held are free for the next run. Servers before 14 and some
// systems do not have the setting.
const noticeDeadClient = `DO $$ BEGIN SET client_connection_check_interval = '1s'; EXCEPTION WHEN OTHERS THEN NULL; END $$`

// db is one configured database with the connections open to it.
type db struct {
	config  *pgconn.Config
	address string // host:port, for errors
	user    string
	major   int // of the server
	connectors.Sockets

	mu     sync.Mutex
	idle   []*pgconn.PgConn
	closed bool
}

// open connects once, so that a wrong configuration is found here.
func open(ctx context.Context, cfg connectors.Config) (*db, error) {
	config, err := configure(cfg)
	if err != nil {
		return nil, err
	}
	d := &db{config: config, address: cfg.Address(), user: cfg.Username}
	config.DialFunc = d.Dial
	conn, err := d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	if major(conn) < firstProvided {
		_ = conn.Close(ctx)
		return nil, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "connect to", Object: d.address,
			Err: fmt.Errorf("the server is PostgreSQL %s", conn.ParameterStatus("server_version")), Hint: "PostgreSQL 10 or later is needed",
		}
	}
	d.major = major(conn)
	d.release(conn)
	return d, nil
}

// configure turns the fields into the driver's configuration.
func configure(cfg connectors.Config) (*pgconn.Config, error) {
	invalid := func(hint, format string, args ...any) error {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "connect to", Object: cfg.Address(), Err: fmt.Errorf(format, args...), Hint: hint}
	}
	known := []string{"application_name", "connect_timeout", "sslcert", "sslkey", "sslmode", "sslrootcert"}
	var unknown []string
	for name := range cfg.Options {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, invalid("the options are "+strings.Join(known, ", "), "unknown option %s", strings.Join(unknown, ", "))
	}
	switch {
	case cfg.Host == "":
		return nil, invalid("give a host", "no host is given")
	case cfg.Username == "":
		return nil, invalid("give a user", "no user is given")
	case strings.ContainsRune(cfg.Username+cfg.Database+cfg.Password.Reveal()+cfg.Options["application_name"], 0):
		return nil, invalid("", "a user, password, database or application name cannot hold a NUL")
	case cfg.Port < 0 || cfg.Port > 65535:
		return nil, invalid("give a port from 1 to 65535", "the port is %d", cfg.Port)
	}
	timeout := 10 * time.Second
	if text, ok := cfg.Options["connect_timeout"]; ok {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 || seconds > 3600 {
			return nil, invalid("give whole seconds from 1 to 3600", "connect_timeout is %q", text)
		}
		timeout = time.Duration(seconds) * time.Second
	}
	config, err := baseConfig()
	if err != nil {
		return nil, invalid("", "prepare the driver: %w", err)
	}
	config.Host, config.Port = cfg.Host, uint16(cmp.Or(cfg.Port, 5432))
	config.Database, config.User, config.Password = cfg.Database, cfg.Username, cfg.Password.Reveal()
	config.ConnectTimeout = timeout
	config.TLSConfig, config.Fallbacks, err = tlsConfig(cfg)
	if err != nil {
		return nil, invalid("", "%w", err)
	}
	config.RuntimeParams = map[string]string{
		"application_name":            cmp.Or(cfg.Options["application_name"], "arus"),
		"client_encoding":             "UTF8",
		"TimeZone":                    "UTC",
		"DateStyle":                   "ISO, YMD",
		"standard_conforming_strings": "on",
	}
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		return exec(ctx, conn, session)
	}
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelGrace}
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, readBuffer), w)
	}
	return config, nil
}

// baseConfig is a configuration that owes nothing to the environment. PGSERVICE
// cannot be overridden by a setting, only answered by an empty service.
func baseConfig() (*pgconn.Config, error) {
	if os.Getenv("PGSERVICE") == "" {
		return pgconn.ParseConfig(neutral)
	}
	f, err := os.CreateTemp("", "arus-service-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString("[none]\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	path := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(f.Name())
	return pgconn.ParseConfig(neutral + " service=none servicefile='" + path + "'")
}

// tlsConfig follows libpq's sslmode: prefer falls back to plain text, require
// encrypts without checking unless a root certificate is given, verify-ca
// checks the chain, verify-full the host name as well.
func tlsConfig(cfg connectors.Config) (*tls.Config, []*pgconn.FallbackConfig, error) {
	mode, rootFile := cmp.Or(cfg.Options["sslmode"], "prefer"), cfg.Options["sslrootcert"]
	if !slices.Contains([]string{"disable", "prefer", "require", "verify-ca", "verify-full"}, mode) {
		return nil, nil, fmt.Errorf("sslmode is %q, not disable, prefer, require, verify-ca or verify-full", mode)
	}
	if mode == "disable" || strings.HasPrefix(cfg.Host, "/") {
		return nil, nil, nil
	}
	config, err := connectors.TLSSettings{Mode: mode, RootFile: rootFile, CertFile: cfg.Options["sslcert"], KeyFile: cfg.Options["sslkey"], ServerName: cfg.Host}.Config()
	if err != nil {
		return nil, nil, err
	}
	if mode == "prefer" {
		return config, []*pgconn.FallbackConfig{{Host: cfg.Host, Port: uint16(cmp.Or(cfg.Port, 5432))}}, nil
	}
	return config, nil, nil
}

// acquire takes an idle connection that still lives, or opens one.
func (d *db) acquire(ctx context.Context) (*pgconn.PgConn, error) {
	for {
		d.mu.Lock()
		closed := d.closed
		var conn *pgconn.PgConn
		if n := len(d.idle); n > 0 && !closed {
			conn, d.idle = d.idle[n-1], d.idle[:n-1]
		}
		d.mu.Unlock()
		switch {
		case closed:
			return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: "connect to", Object: d.address, Err: errors.New("the connector is closed")}
		case conn == nil:
			conn, err := pgconn.ConnectConfig(ctx, d.config)
			if err != nil {
				return nil, d.connectError(ctx, err)
			}
			return conn, nil
		case conn.Ping(ctx) == nil: // CheckConn would wait for the cancel handler
			return conn, nil
		}
		hangUp(conn)
	}
}

// release keeps a healthy connection for the next use and closes any other.
func (d *db) release(conn *pgconn.PgConn) {
	healthy := !conn.IsClosed() && !conn.IsBusy() && conn.TxStatus() == 'I'
	d.mu.Lock()
	keep := healthy && !d.closed && len(d.idle) < maxIdle
	if keep {
		d.idle = append(d.idle, conn)
	}
	d.mu.Unlock()
	if !keep {
		hangUp(conn)
	}
}

// Close ends the idle connections; those in use end when they are released.
func (d *db) Close() error {
	d.mu.Lock()
	idle := d.idle
	d.idle, d.closed = nil, true
	d.mu.Unlock()
	for _, conn := range idle {
		hangUp(conn)
	}
	return nil
}

func hangUp(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	_ = conn.Close(ctx)
}

// exec runs statements that give no rows and take no arguments, in one round trip.
func exec(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	return conn.Exec(ctx, sql).Close()
}

// query runs one statement with text arguments and gives its rows as text; a
// null is nil.
func query(ctx context.Context, conn *pgconn.PgConn, sql string, args ...string) ([][][]byte, error) {
	values := make([][]byte, len(args))
	for i, a := range args {
		values[i] = []byte(a)
	}
	result := conn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	return result.Rows, result.Err
}

// major is the server's major version; 0 when it does not say.
func major(conn *pgconn.PgConn) int {
	version := conn.ParameterStatus("server_version")
	end := 0
	for end < len(version) && version[end]-'0' <= 9 {
		end++
	}
	n, _ := strconv.Atoi(version[:end])
	return n
}
