package clickhouse

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"arus/connectors"
)

const (
	maxOpen     = 64               // connections; a load holds two
	maxIdle     = 4                // of these kept between uses
	cleanupTime = 10 * time.Second // what removing tables may take after a cancel
	killTime    = 2 * time.Second  // what ending a query may take
	// readTimeout only ends a connection that the operating system's keep-alive
	// has not found dead: a statement may take hours without a word.
	readTimeout = 24 * time.Hour
)

// db is one configured server.
type db struct {
	dialect
	database string // the session's; empty is the server's choice
	address  string // host:port, for errors
	user     string
	secret   connectors.Secret

	conn   driver.Conn
	closed atomic.Bool
	connectors.Sockets
}

// open connects once, so that a wrong configuration is found here and the
// server's version is known.
func open(ctx context.Context, cfg connectors.Config) (*db, error) {
	options, err := configure(cfg)
	if err != nil {
		return nil, err
	}
	d := &db{database: cfg.Database, address: cfg.Address(), user: options.Auth.Username, secret: cfg.Password}
	d.cluster = cfg.Options["cluster"]
	security, _ := tlsConfig(cfg) // configure has asked before
	options.DialContext = dialing(d.Dial, security, options.DialTimeout)
	if d.conn, err = ch.Open(&options); err != nil {
		return nil, d.connectError(ctx, err)
	}
	if err := d.conn.Ping(ctx); err != nil {
		_ = d.Close()
		return nil, d.connectError(ctx, err)
	}
	hello, err := d.conn.ServerVersion()
	if err != nil {
		_ = d.Close()
		return nil, d.connectError(ctx, err)
	}
	d.version = version{int(hello.Version.Major), int(hello.Version.Minor)}
	if !d.version.atLeast(18, 16) {
		_ = d.Close()
		return nil, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: opConnect, Object: d.address,
			Err: fmt.Errorf("the server is ClickHouse %s", hello.Version), Hint: "ClickHouse 18.16 or later is needed",
		}
	}
	return d, nil
}

const opConnect = "connect to"

var knownOptions = []string{"cluster", "compression", "connect_timeout", "sslcert", "sslkey", "sslmode", "sslrootcert"}

// configure turns the fields into the driver's options.
func configure(cfg connectors.Config) (ch.Options, error) {
	invalid := func(hint, format string, args ...any) (ch.Options, error) {
		return ch.Options{}, &connectors.Error{Kind: connectors.KindInvalid, Op: opConnect, Object: cfg.Address(), Err: fmt.Errorf(format, args...), Hint: hint}
	}
	var unknown []string
	for name := range cfg.Options {
		if !slices.Contains(knownOptions, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return invalid("the options are "+strings.Join(knownOptions, ", "), "unknown option %s", strings.Join(unknown, ", "))
	}
	switch {
	case cfg.Host == "":
		return invalid("give a host", "no host is given")
	case cfg.Port < 0 || cfg.Port > 65535:
		return invalid("give a port from 1 to 65535", "the port is %d", cfg.Port)
	}
	timeout := 10 * time.Second
	if text, ok := cfg.Options["connect_timeout"]; ok {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 || seconds > 3600 {
			return invalid("give whole seconds from 1 to 3600", "connect_timeout is %q", text)
		}
		timeout = time.Duration(seconds) * time.Second
	}
	compression := ch.CompressionLZ4
	switch text := cfg.Options["compression"]; text {
	case "":
		if ip := net.ParseIP(cfg.Host); cfg.Host == "localhost" || ip != nil && ip.IsLoopback() {
			compression = ch.CompressionNone
		}
	case "none":
		compression = ch.CompressionNone
	case "lz4":
	default:
		return invalid("give lz4 or none", "compression is %q", text)
	}
	if _, err := tlsConfig(cfg); err != nil {
		return invalid("", "%w", err)
	}
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(cmp.Or(cfg.Port, defaultPort)))
	return ch.Options{
		Protocol:     ch.Native,
		Addr:         []string{address},
		Auth:         ch.Auth{Database: cfg.Database, Username: cmp.Or(cfg.Username, "default"), Password: cfg.Password.Reveal()},
		Compression:  &ch.Compression{Method: compression},
		DialTimeout:  timeout,
		ReadTimeout:  readTimeout,
		MaxOpenConns: maxOpen,
		MaxIdleConns: maxIdle,
	}, nil
}

// dialing dials by a function, and speaks TLS over what that gives unless security is nil.
func dialing(dial func(ctx context.Context, network, address string) (net.Conn, error), security *tls.Config, timeout time.Duration) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		conn, err := dial(ctx, "tcp", address)
		if err != nil || security == nil {
			return conn, err
		}
		secure := tls.Client(conn, security)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
}

// tlsConfig follows libpq's names: require encrypts without checking unless a
// root certificate is given, verify-ca checks the chain, verify-full the host
// name as well. The server listens for TLS on a port of its own, so nothing can
// be negotiated: without the option the port decides.
func tlsConfig(cfg connectors.Config) (*tls.Config, error) {
	mode, rootFile := cfg.Options["sslmode"], cfg.Options["sslrootcert"]
	if mode == "" {
		mode = "disable"
		if cfg.Port == tlsPort || rootFile != "" {
			mode = "verify-full"
		}
	}
	if !slices.Contains([]string{"disable", "require", "verify-ca", "verify-full"}, mode) {
		return nil, fmt.Errorf("sslmode is %q, not disable, require, verify-ca or verify-full", mode)
	}
	return connectors.TLSSettings{Mode: mode, RootFile: rootFile, CertFile: cfg.Options["sslcert"], KeyFile: cfg.Options["sslkey"], ServerName: cfg.Host}.Config()
}

// connect gives the connections, unless they were closed.
func (d *db) connect() (driver.Conn, error) {
	if d.closed.Load() {
		return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: opConnect, Object: d.address, Err: errors.New("the connector is closed")}
	}
	return d.conn, nil
}

// Close ends the idle connections; those in use end when they are released.
func (d *db) Close() error {
	if d.closed.CompareAndSwap(false, true) {
		return d.conn.Close()
	}
	return nil
}

// session gives the settings of every statement. Old servers take numbers only.
func (d *db) session() ch.Settings {
	settings := ch.Settings{}
	if d.version.atLeast(21, 11) {
		settings["async_insert"] = 0 // an insert is done when the server says so
	}
	if d.version.atLeast(20, 1) {
		settings["max_partitions_per_insert_block"] = 0 // a declared fact table has one for each day
	}
	if d.cluster != "" {
		settings["insert_deduplicate"] = 0 // equal blocks are rows that are equal, not repetitions
	}
	return settings
}

// begin prepares a statement that is killed on the server when ctx ends: the
// driver cancels by closing its connection, which the server may be slow to
// notice. Call done when the statement has ended.
func (d *db) begin(ctx context.Context, settings ch.Settings) (query context.Context, done func()) {
	all := d.session()
	maps.Copy(all, settings)
	id := "arus-" + uuid.NewString()
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		d.kill(id)
	})
	return ch.Context(ctx, ch.WithQueryID(id), ch.WithSettings(all)), func() {
		if !stop() {
			<-killed
		}
	}
}

func (d *db) kill(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	if pool, err := d.connect(); err == nil {
		_ = pool.Exec(ctx, killQuery(id))
	}
}

// exec runs a statement that gives no rows.
func (d *db) exec(ctx context.Context, sql string) error {
	pool, err := d.connect()
	if err != nil {
		return err
	}
	query, done := d.begin(ctx, nil)
	defer done()
	return pool.Exec(query, sql)
}

// catalogTries and catalogPause outlast other loads that drop tables while the
// catalog is read: an old server then answers that such a table does not exist.
const (
	catalogTries = 20
	catalogPause = 25 * time.Millisecond
)

// catalog is query over the server's own tables, from the start again when
// another table vanished meanwhile; reset forgets the rows of the attempt before.
func (d *db) catalog(ctx context.Context, sql string, reset func(), scan func(driver.Rows) error) error {
	for try := 1; ; try++ {
		reset()
		err := d.query(ctx, sql, scan)
		if c := code(err); c != codeUnknownTable && c != codeUnknownDB && c != codeNoFile || try == catalogTries {
			return err
		}
		if err := pause(ctx, catalogPause); err != nil {
			return err
		}
	}
}

// query runs one statement and hands each row to scan.
func (d *db) query(ctx context.Context, sql string, scan func(driver.Rows) error) (err error) {
	pool, err := d.connect()
	if err != nil {
		return err
	}
	// The driver's reader waits for its rows to be taken: it ends with this context.
	ctx, cancel := context.WithCancel(ctx)
	query, done := d.begin(ctx, nil)
	defer done()
	rows, err := pool.Query(query, sql)
	if err != nil {
		cancel()
		return err
	}
	complete := false
	defer func() {
		if !complete {
			cancel()
		}
		err = errors.Join(err, rows.Close())
		cancel()
	}()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	complete = true
	return rows.Err()
}
