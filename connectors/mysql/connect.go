package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"arus/connectors"
)

const (
	connectTimeout = 10 * time.Second
	maxIdle        = 4
)

// The session modes. NO_BACKSLASH_ESCAPES makes a doubled quote the only escape
// of a literal. The strict modes make a destination refuse what it would
// otherwise change.
const (
	readMode  = "NO_BACKSLASH_ESCAPES"
	writeMode = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES"
)

// server is one configured database server and its idle sessions.
type server struct {
	cfg     connectors.Config
	mode    string // sql_mode
	schema  string // the session's database; a destination has none, because it may have to create it
	tlsMode tlsMode
	tls     *tls.Config
	flavour flavour // set by the first session
	dialer  func(ctx context.Context, network, addr string) (net.Conn, error)
	connectors.Sockets

	mu     sync.Mutex
	idle   []*session
	closed bool
}

// flavour is what differs between servers and bears on statements.
type flavour struct {
	mariadb    bool
	major      int
	minor      int
	patch      int
	maxPacket  int
	lowerNames bool // table names compare without regard to case
	local      bool // LOAD DATA LOCAL INFILE is permitted
}

func (f flavour) atLeast(major, minor, patch int) bool {
	if f.major != major {
		return f.major > major
	}
	if f.minor != minor {
		return f.minor > minor
	}
	return f.patch >= patch
}

// open checks the configuration and opens the first session, so that a wrong
// address or password shows at once.
func open(ctx context.Context, cfg connectors.Config, mode string) (*server, error) {
	tm, tc, err := tlsConfig(cfg)
	if err != nil {
		return nil, &connectors.Error{Kind: connectors.KindInvalid, Op: "connect to", Object: cfg.Address(), Err: err}
	}
	s := &server{cfg: cfg, mode: mode, tlsMode: tm, tls: tc}
	s.dialer = s.Dial
	if mode == readMode {
		s.schema = cfg.Database
	}
	first, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.flavour = first.flavour
	s.put(first)
	return s, nil
}

func openSource(ctx context.Context, cfg connectors.Config) (*source, error) {
	if cfg.Database == "" {
		return nil, &connectors.Error{
			Kind: connectors.KindInvalid, Op: "connect to", Object: cfg.Address(),
			Hint: "write it as " + cfg.Type + "://user:password@" + cfg.Address() + "/database",
			Err:  errors.New("no database is named"),
		}
	}
	s, err := open(ctx, cfg, readMode)
	if err != nil {
		return nil, err
	}
	return &source{s}, nil
}

func openDestination(ctx context.Context, cfg connectors.Config) (*destination, error) {
	s, err := open(ctx, cfg, writeMode)
	if err != nil {
		return nil, err
	}
	return &destination{s}, nil
}

// get gives a session for one use: an idle one that still answers, or a new one.
func (s *server) get(ctx context.Context) (*session, error) {
	for {
		s.mu.Lock()
		n := len(s.idle)
		if n == 0 {
			s.mu.Unlock()
			return s.dial(ctx)
		}
		idle := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		if err := idle.ping(ctx); err == nil {
			return idle, nil
		}
		idle.close()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// put takes back a session that holds no transaction, lock or temporary table.
func (s *server) put(ss *session) {
	s.mu.Lock()
	keep := !s.closed && !ss.broken && len(s.idle) < maxIdle
	if keep {
		s.idle = append(s.idle, ss)
	}
	s.mu.Unlock()
	if !keep {
		ss.close()
	}
}

// Close ends the idle sessions; those in use end when they come back.
func (s *server) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, ss := range idle {
		ss.close()
	}
	return nil
}

// with runs do on a session of the pool.
func (s *server) with(ctx context.Context, do func(*session) error) error {
	ss, err := s.get(ctx)
	if err != nil {
		return err
	}
	if err := do(ss); err != nil {
		ss.broken = true
		s.put(ss)
		return err
	}
	s.put(ss)
	return nil
}

// dial opens a session in UTC, in utf8mb4 and in the server's mode.
func (s *server) dial(ctx context.Context) (*session, error) {
	ss, err := s.connect(ctx)
	if err == nil {
		if err = ss.setUp(ctx); err != nil {
			ss.close()
		}
	}
	if err != nil {
		return nil, s.fail("connect to", s.cfg.Address(), err)
	}
	return ss, nil
}

func (s *server) connect(ctx context.Context) (*session, error) {
	var socket *bufferedConn
	c := driver.NewConfig()
	c.Net, c.Addr = "tcp", net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port))
	c.User, c.Passwd, c.DBName = s.cfg.Username, s.cfg.Password.Reveal(), s.schema
	c.MaxAllowedPacket = 1 << 30 // the server's own limit is kept by those who build statements
	c.Logger = &driver.NopLogger{}
	c.TLS = s.tls.Clone()
	c.AllowFallbackToPlaintext = s.tlsMode == tlsPreferred
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := s.dialer(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		socket = newBufferedConn(conn)
		return socket, nil
	}
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := connector.Connect(limited)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return &session{server: s, conn: conn, socket: socket, plain: s.tls == nil}, nil
}

// setUp fixes everything about the session that statements rely on. The long
// network timeouts are for a peer that waits on the other end of a pipeline;
// TCP keep-alive finds dead ones.
func (ss *session) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := ss.exec(ctx, "SET NAMES utf8mb4, SESSION time_zone = '+00:00', SESSION sql_mode = "+literal(ss.server.mode)+
		", SESSION net_read_timeout = 3600, SESSION net_write_timeout = 3600, SESSION wait_timeout = 28800"+
		", SESSION max_error_count = 64, SESSION sql_notes = 1, SESSION lock_wait_timeout = 60"); err != nil {
		return err
	}
	row, err := ss.queryRow(ctx, "SELECT CONNECTION_ID(), VERSION(), @@max_allowed_packet, @@lower_case_table_names, @@local_infile")
	if err != nil {
		return err
	}
	ss.id = row[0].String
	ss.flavour = parseVersion(row[1].String)
	ss.flavour.maxPacket, _ = strconv.Atoi(row[2].String)
	ss.flavour.lowerNames = row[3].String != "0"
	ss.flavour.local = row[4].String == "1" || row[4].String == "ON"
	if !ss.plain && ss.server.tlsMode == tlsPreferred {
		row, err := ss.queryRow(ctx, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
		if err != nil {
			return err
		}
		ss.plain = len(row) == 2 && row[1].String == ""
	}
	return nil
}

func parseVersion(v string) flavour {
	f := flavour{mariadb: strings.Contains(strings.ToLower(v), "mariadb")}
	v = strings.TrimPrefix(v, "5.5.5-")
	_, _ = fmt.Sscanf(v, "%d.%d.%d", &f.major, &f.minor, &f.patch)
	return f
}

type tlsMode string

const (
	tlsDisabled   tlsMode = connectors.TLSDisable
	tlsPreferred  tlsMode = connectors.TLSPrefer
	tlsRequired   tlsMode = connectors.TLSRequire
	tlsVerifyCA   tlsMode = connectors.TLSVerifyCA
	tlsVerifyFull tlsMode = connectors.TLSVerifyFull
)

var tlsModes = map[string]tlsMode{
	"disabled": tlsDisabled, "disable": tlsDisabled, "false": tlsDisabled,
	"preferred": tlsPreferred, "prefer": tlsPreferred,
	"required": tlsRequired, "require": tlsRequired, "true": tlsRequired,
	"verify-ca": tlsVerifyCA, "verify-full": tlsVerifyFull, "verify-identity": tlsVerifyFull,
}

// tlsConfig reads the options; every option it does not know is a fault.
func tlsConfig(cfg connectors.Config) (tlsMode, *tls.Config, error) {
	mode, ca, cert, key := tlsPreferred, "", "", ""
	modeSet := false
	var unknown []string
	for option, value := range cfg.Options {
		switch strings.ToLower(option) {
		case "ssl-mode", "sslmode", "tls":
			m, ok := tlsModes[strings.ReplaceAll(strings.ToLower(value), "_", "-")]
			if !ok {
				return "", nil, fmt.Errorf("option %s=%s: write disabled, preferred, required, verify-ca or verify-full", option, value)
			}
			mode, modeSet = m, true
		case "ssl-ca", "sslrootcert", "tls-ca":
			ca = value
		case "ssl-cert", "sslcert":
			cert = value
		case "ssl-key", "sslkey":
			key = value
		default:
			unknown = append(unknown, option)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return "", nil, fmt.Errorf("unknown option %s: known are ssl-mode, ssl-ca, ssl-cert and ssl-key", strings.Join(unknown, ", "))
	}
	if ca != "" && !modeSet {
		mode = tlsVerifyFull
	}
	if mode == tlsDisabled {
		return mode, nil, nil
	}
	tc, err := connectors.TLSSettings{Mode: string(mode), RootFile: ca, CertFile: cert, KeyFile: key, ServerName: cfg.Host}.Config()
	if err != nil {
		return "", nil, err
	}
	return mode, tc, nil
}
