package mongodb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"arus/connectors"
)

const (
	connectTimeout = 10 * time.Second
	cleanupTime    = 5 * time.Second // what ending an operation on the server may take
)

// The wire versions of the servers that have an ability.
const (
	wireDiskUse  = 9  // 4.4: sorts may use the disk
	wireSnapshot = 13 // 5.0: snapshots outside transactions
)

// Source reads one MongoDB database.
type Source struct {
	client   *mongo.Client
	database *mongo.Database
	address  string
	user     string
	login    string // the database that knows the user
	password connectors.Secret

	connectors.Sockets

	sessions  bool // the server has sessions, so that what one runs can be ended by its name
	snapshots bool
	diskUse   bool

	fewTypes atomic.Bool // the server does not know all types of values

	mu    sync.Mutex
	notes []string
}

// open connects and asks the server what it is, so that a wrong configuration
// is found here.
func open(ctx context.Context, cfg connectors.Config) (*Source, error) {
	c, err := configure(cfg)
	if err != nil {
		out := &connectors.Error{Kind: connectors.KindInvalid, Op: "connect to", Object: cfg.Address(), Hint: hintOf(err), Err: err}
		if kind := connectors.NetworkKind(err); kind != "" { // looking up mongodb+srv
			out.Kind, out.Hint = kind, connectors.ConnectHint(err)
		}
		return nil, out
	}
	s := &Source{address: c.address, user: c.user, login: c.login, password: cfg.Password}
	c.options.SetDialer(dialer(s.Dial))
	if s.client, err = mongo.Connect(c.options); err != nil {
		return nil, s.connectError(ctx, err)
	}
	s.database = s.client.Database(c.database)
	var hello struct {
		Wire     int32  `bson:"maxWireVersion"`
		Sessions any    `bson:"logicalSessionTimeoutMinutes"`
		Set      string `bson:"setName"`
		Message  string `bson:"msg"`
	}
	// A command and not a ping: it is the first that needs the user.
	err = s.database.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	if err != nil {
		err = s.connectError(ctx, err)
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		_ = s.client.Disconnect(clean)
		return nil, err
	}
	s.sessions = hello.Sessions != nil
	s.snapshots = s.sessions && hello.Wire >= wireSnapshot && (hello.Set != "" || hello.Message == "isdbgrid")
	s.diskUse = hello.Wire >= wireDiskUse
	return s, nil
}

// Close ends the connections.
func (s *Source) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	if err := s.client.Disconnect(ctx); err != nil && !errors.Is(err, mongo.ErrClientDisconnected) {
		return s.fail(ctx, "disconnect from", s.address, err)
	}
	return nil
}

// hinted is a fault of the configuration with its remedy.
type hinted struct {
	error
	hint string
}

func hintOf(err error) string {
	if h, ok := errors.AsType[hinted](err); ok {
		return h.hint
	}
	return ""
}

func faulty(hint, format string, args ...any) error {
	return hinted{fmt.Errorf(format, args...), hint}
}

// configuration is a Config in the driver's terms.
type configuration struct {
	options  *options.ClientOptions
	address  string
	user     string
	login    string
	database string
}

// settings are the options by their MongoDB name, each with the other spellings
// it is known by; case and underscores do not count.
var settings = map[string][]string{
	"appName":          {"application_name"},
	"authMechanism":    nil,
	"authSource":       nil,
	"connectTimeoutMS": nil,
	"connect_timeout":  nil,
	"directConnection": nil,
	"readPreference":   nil,
	"replicaSet":       nil,
	"retryReads":       nil,
	"retryWrites":      nil, // nothing is written; in every connection string that Atlas hands out
	"sslcert":          nil,
	"sslkey":           nil,
	"sslmode":          nil,
	"sslrootcert":      {"tlsCAFile"},
	"tls":              {"ssl"},
	"uri":              nil,
	"w":                nil, // as retryWrites
}

// readSettings gives the options their MongoDB names.
func readSettings(given map[string]string) (map[string]string, error) {
	plain := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
	names := map[string]string{}
	var known, unknown []string
	for name, others := range settings {
		known = append(known, name)
		for _, spelling := range append([]string{name}, others...) {
			names[plain(spelling)] = name
		}
	}
	set := map[string]string{}
	for spelling, value := range given {
		name, ok := names[plain(spelling)]
		if !ok {
			unknown = append(unknown, spelling)
			continue
		}
		if _, twice := set[name]; twice {
			return nil, faulty("give it once", "the option %s is given twice, in two spellings", name)
		}
		if value != "" {
			set[name] = value
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		slices.Sort(known)
		return nil, faulty("the options are "+strings.Join(known, ", "), "unknown option %s", strings.Join(unknown, ", "))
	}
	return set, nil
}

// configure turns the fields into the driver's options. The password goes there
// as it is and into no string.
func configure(cfg connectors.Config) (configuration, error) {
	c := configuration{options: options.Client(), address: cfg.Address(), user: cfg.Username, database: cfg.Database}
	set, err := readSettings(cfg.Options)
	if err != nil {
		return c, err
	}
	o := c.options
	base := connectionString{}
	if uri := set["uri"]; uri != "" {
		if base, err = readConnectionString(uri); err != nil {
			return c, err
		}
		if o.ApplyURI(base.text); o.Validate() != nil {
			return c, faulty("write it as mongodb+srv://host/database or mongodb://host1:27017,host2:27017/database?replicaSet=name",
				"the connection string is malformed: %w", o.Validate())
		}
		c.address, c.user, c.database = base.hosts, cmp.Or(c.user, base.user), cmp.Or(c.database, base.database)
	} else {
		switch {
		case cfg.Host == "":
			return c, faulty("give a host, or a connection string as the option uri", "no host is given")
		case cfg.Port < 0 || cfg.Port > 65535:
			return c, faulty("give a port from 1 to 65535", "the port is %d", cfg.Port)
		}
		o.SetHosts([]string{net.JoinHostPort(cfg.Host, strconv.Itoa(cmp.Or(cfg.Port, defaultPort)))})
	}
	if c.database == "" {
		return c, faulty("write it as mongodb://user:password@"+c.address+"/database", "no database is named")
	}
	if strings.ContainsAny(c.database, "/\\. \"$\x00") || len(c.database) > 63 {
		return c, faulty("check the database name", "%q cannot be the name of a database", c.database)
	}
	if err := c.timeouts(set); err != nil {
		return c, err
	}
	if err := c.credential(cfg.Password, set, base); err != nil {
		return c, err
	}
	if err := c.routing(set); err != nil {
		return c, err
	}
	config, err := tlsConfig(set)
	if err != nil {
		return c, err
	}
	if config != nil || set["tls"] != "" || set["sslmode"] != "" {
		o.SetTLSConfig(config)
	}
	if o.DisableOCSPEndpointCheck == nil && o.DisableCertificateRevocationCheck == nil {
		o.SetDisableOCSPEndpointCheck(true) // it would ask servers that nobody configured
	}
	o.SetAppName(cmp.Or(set["appName"], "arus"))
	if err := o.Validate(); err != nil {
		return c, faulty("check the options", "%w", err)
	}
	return c, nil
}

func (c *configuration) timeouts(set map[string]string) error {
	timeout := connectTimeout
	for name, unit := range map[string]time.Duration{"connect_timeout": time.Second, "connectTimeoutMS": time.Millisecond} {
		if text := set[name]; text != "" {
			n, err := strconv.Atoi(text)
			timeout = time.Duration(n) * unit
			if err != nil || n < 1 || timeout > time.Hour {
				return faulty("give a whole number, an hour at most", "%s is %q", name, text)
			}
		}
	}
	c.options.SetConnectTimeout(timeout).SetServerSelectionTimeout(timeout)
	return nil
}

func (c *configuration) credential(password connectors.Secret, set map[string]string, base connectionString) error {
	mechanism := cmp.Or(set["authMechanism"], base.mechanism)
	if c.user == "" {
		if password != "" {
			return faulty("give the user too", "a password is given without a user")
		}
		return nil
	}
	switch mechanism {
	case "", "SCRAM-SHA-1", "SCRAM-SHA-256":
		c.login = cmp.Or(set["authSource"], base.login, "admin")
	case "PLAIN":
		c.login = cmp.Or(set["authSource"], base.login, "$external")
	default:
		return faulty("use SCRAM-SHA-256, SCRAM-SHA-1 or PLAIN", "the authentication mechanism %q is not supported", mechanism)
	}
	c.options.SetAuth(options.Credential{
		AuthMechanism: mechanism, AuthSource: c.login,
		Username: c.user, Password: password.Reveal(), PasswordSet: true,
	})
	return nil
}

// routing says which of several servers is read.
func (c *configuration) routing(set map[string]string) error {
	if name := set["replicaSet"]; name != "" {
		c.options.SetReplicaSet(name)
	}
	for name, apply := range map[string]func(bool) *options.ClientOptions{
		"directConnection": c.options.SetDirect, "retryReads": c.options.SetRetryReads,
	} {
		if text := set[name]; text != "" {
			on, err := strconv.ParseBool(text)
			if err != nil {
				return faulty("write true or false", "%s is %q", name, text)
			}
			apply(on)
		}
	}
	if text := set["readPreference"]; text != "" {
		mode, err := readpref.ModeFromString(text)
		if err == nil {
			var preference *readpref.ReadPref
			if preference, err = readpref.New(mode); err == nil {
				c.options.SetReadPreference(preference)
			}
		}
		if err != nil {
			return faulty("use primary, primaryPreferred, secondary, secondaryPreferred or nearest", "readPreference is %q", text)
		}
	}
	return nil
}

// tlsConfig follows MongoDB's tls, and the sslmode of the other connectors:
// require encrypts without checking unless a root certificate is given,
// verify-ca checks the chain, verify-full, which is what tls=true means, the
// host name as well. The host name is the driver's to fill in.
func tlsConfig(set map[string]string) (*tls.Config, error) {
	mode, rootFile := set["sslmode"], set["sslrootcert"]
	if text := set["tls"]; text != "" {
		on, err := strconv.ParseBool(text)
		switch {
		case err != nil:
			return nil, faulty("write true or false", "tls is %q", text)
		case mode != "" && on == (mode == "disable"):
			return nil, faulty("give one of them", "tls=%s and sslmode=%s contradict each other", text, mode)
		case on:
			mode = cmp.Or(mode, "verify-full")
		default:
			mode = "disable"
		}
	}
	if mode == "" && rootFile != "" {
		mode = "verify-full"
	}
	switch mode {
	case "":
		mode = connectors.TLSDisable
	case connectors.TLSDisable, connectors.TLSRequire, connectors.TLSVerifyCA, connectors.TLSVerifyFull:
	default:
		return nil, faulty("use disable, require, verify-ca or verify-full; MongoDB has no way to prefer", "sslmode is %q", mode)
	}
	return connectors.TLSSettings{Mode: mode, RootFile: rootFile, CertFile: set["sslcert"], KeyFile: set["sslkey"]}.Config()
}

// connectionString is what a mongodb:// or mongodb+srv:// string says, apart
// from what the driver reads out of it.
type connectionString struct {
	text      string // without the user
	hosts     string
	user      string
	database  string
	login     string
	mechanism string
}

// readConnectionString takes the user out and refuses secrets: the string is
// stored and shown like any other option.
func readConnectionString(uri string) (connectionString, error) {
	c := connectionString{}
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || scheme != "mongodb" && scheme != "mongodb+srv" {
		return c, faulty("write mongodb://host/database or mongodb+srv://host/database", "the connection string is malformed")
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, _, secret := strings.Cut(rest[:at], ":")
		name, err := url.PathUnescape(user)
		switch {
		case secret:
			return c, faulty("leave it out of the string and give it as the password", "a password stands in the connection string")
		case err != nil || strings.ContainsAny(user, "/?#"):
			return c, faulty("percent-encode special characters", "the user in the connection string is malformed")
		}
		c.user, rest = name, rest[at+1:]
	}
	c.text = scheme + "://" + rest
	path, query, _ := strings.Cut(rest, "?")
	hosts, database, _ := strings.Cut(path, "/")
	c.hosts = hosts
	values, err1 := url.ParseQuery(query)
	name, err2 := url.PathUnescape(database)
	if err1 != nil || err2 != nil {
		return c, faulty("percent-encode special characters", "the connection string is malformed")
	}
	c.database = name
	for key, value := range values {
		switch plain := strings.ToLower(key); {
		case strings.Contains(plain, "password"), plain == "authmechanismproperties", strings.HasPrefix(plain, "proxy"):
			return c, faulty("leave it out: the string is stored and shown as it is", "the connection string holds %s, which may be a secret", key)
		case plain == "authsource":
			c.login = value[len(value)-1]
		case plain == "authmechanism":
			c.mechanism = value[len(value)-1]
		}
	}
	if c.login == "" {
		c.login = name // the string's own rule
	}
	return c, nil
}
