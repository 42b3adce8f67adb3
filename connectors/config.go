package connectors

import (
	"errors"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

// Config is how to reach one database. Drivers are configured from its fields,
// never from a URL string, so that no character of a password needs escaping.
type Config struct {
	Type     string // a Connector's type
	Host     string
	Port     int
	Database string // for file connectors the path; for the warehouse its directory, "" = the data directory's
	Username string
	Password Secret
	Options  map[string]string // the URL's query: sslmode, sslrootcert, ...
}

// Address is host:port, or the path of a file connector: what to name in errors.
func (c Config) Address() string {
	if c.Host == "" {
		return c.Database
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

// URL spells the configuration without the password. Two configurations with
// equal URLs mean the same database as the same user.
func (c Config) URL() string {
	u := url.URL{Scheme: c.Type}
	switch {
	case c.Host != "":
		u.Host = c.Address()
		u.Path = "/" + c.Database
		u.RawPath = strings.ReplaceAll(u.EscapedPath(), "@", "%40") // ParseURL takes no bare one there
		if c.Username != "" {
			u.User = url.User(c.Username)
		}
	case c.Database == "":
		u.Opaque = "" // embedded:
		return c.Type + ":"
	case filepath.IsAbs(c.Database):
		u.Path = "/" + strings.TrimPrefix(filepath.ToSlash(c.Database), "/")
	default:
		u.Opaque = (&url.URL{Path: filepath.ToSlash(c.Database)}).EscapedPath()
	}
	keys := make([]string, 0, len(c.Options))
	for k := range c.Options {
		if !isPasswordOption(k) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	query := make([]string, len(keys))
	for i, k := range keys {
		query[i] = url.QueryEscape(k) + "=" + url.QueryEscape(c.Options[k])
	}
	u.RawQuery = strings.Join(query, "&")
	return u.String()
}

// ParseURL reads a connection URL: postgres://, mysql://, mariadb://,
// mongodb://, clickhouse:// with user:password@host:port/database?options,
// sqlite:///path, embedded: or embedded:///dir. The password may be a reference,
// ${env:NAME} or ${file:PATH}, which stays one in the Config. Its errors never
// repeat the password.
func (r Registry) ParseURL(raw string) (Config, error) {
	invalid := func(hint string, err error) (Config, error) {
		return Config{}, &Error{Kind: KindInvalid, Op: "read the URL", Object: RedactURL(raw), Hint: hint, Err: err}
	}
	raw = escapeReferences(raw)
	scheme, rest, ok := strings.Cut(raw, ":")
	if !ok || scheme == "" || strings.ContainsAny(scheme, "/@ ") {
		return invalid("write it as "+r.example(), errors.New("it has no scheme"))
	}
	conn, ok := r.ByScheme(scheme)
	if !ok {
		return invalid("use one of "+strings.Join(r.schemes(), ", "), errors.New("unknown scheme "+strconv.Quote(scheme)))
	}
	cfg := Config{Type: conn.Type, Options: map[string]string{}}
	rest, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return invalid("check the part after '?'", errors.New("the options are malformed"))
	}
	for k, v := range values {
		if isPasswordOption(k) {
			return invalid("write it as "+scheme+"://user:password@host:port/database", errors.New("a password stands among the options"))
		}
		cfg.Options[k] = v[len(v)-1]
	}
	if conn.File {
		p, err := url.PathUnescape(strings.TrimPrefix(rest, "//"))
		if err != nil {
			return invalid("percent-encode special characters", errors.New("the path is malformed"))
		}
		if cfg.Database = filePath(p); cfg.Database == "" && conn.OpenSource != nil && conn.OpenDestination == nil {
			return invalid("write it as "+scheme+":///path/to/file", errors.New("it names no file"))
		}
		return cfg, nil
	}
	rest, ok = strings.CutPrefix(rest, "//")
	if !ok {
		return invalid("write it as "+scheme+"://user:password@host:port/database", errors.New("'//' is missing after the scheme"))
	}
	authority, database, _ := strings.Cut(rest, "/")
	if strings.Contains(database, "@") || strings.Contains(query, "@") {
		return invalid("percent-encode '/', '?', '#' and '@' where they belong to a name or the password: %2F, %3F, %23, %40",
			errors.New("an '@' stands after the host"))
	}
	hostport := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		hostport = authority[at+1:]
		u, err1 := url.PathUnescape(user)
		p, err2 := url.PathUnescape(password)
		if err1 != nil || err2 != nil {
			return invalid("percent-encode a '%' in the user name or password as %25", errors.New("the user name or password is malformed"))
		}
		cfg.Username, cfg.Password = u, Secret(p)
	}
	cfg.Host, cfg.Port, err = splitHostPort(hostport, conn.DefaultPort)
	if err != nil {
		return invalid("write it as "+scheme+"://user:password@host:port/database", err)
	}
	if cfg.Database, err = url.PathUnescape(database); err != nil {
		return invalid("percent-encode special characters in the database name", errors.New("the database name is malformed"))
	}
	return cfg, nil
}

func splitHostPort(s string, defaultPort int) (string, int, error) {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
	}
	inner, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		host, bracketed = strings.CutSuffix(inner, "]")
	}
	host, err := url.PathUnescape(host)
	switch {
	case host == "" && err == nil:
		return "", 0, errors.New("it names no host")
	case strings.Contains(host, ","):
		return "", 0, errors.New("it names several hosts, and one is what can be used")
	case strings.Contains(host, ":") && !bracketed:
		return "", 0, errors.New("the host is malformed: an IPv6 address stands in [brackets]")
	case err != nil || strings.ContainsAny(host, "[] ") || strings.ContainsFunc(host, unicode.IsControl):
		return "", 0, errors.New("the host is malformed")
	}
	if port == "" {
		return host, defaultPort, nil
	}
	if !isPort(port) {
		return "", 0, errors.New("the port is not a number from 1 to 65535")
	}
	n, err := strconv.Atoi(port)
	return host, n, err
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// isPasswordOption says whether an option is a password that would be stored
// and shown as the other options are.
func isPasswordOption(key string) bool {
	switch strings.ToLower(key) {
	case "password", "passwd", "pwd", "pass", "sslpassword":
		return true
	}
	return false
}

// filePath turns the path of a file URL into one of this system: a slash before
// a Windows drive letter goes, a relative path stays relative.
func filePath(p string) string {
	if p == "" {
		return ""
	}
	if runtime.GOOS == "windows" && len(p) > 2 && p[0] == '/' && p[2] == ':' {
		p = p[1:]
	}
	return filepath.FromSlash(path.Clean(p))
}

// RedactURL replaces whatever may be a password in a URL-like text, however
// malformed, so that it can be shown.
func RedactURL(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || strings.ContainsAny(scheme, ":/?#@ ") {
		at := strings.LastIndexByte(raw, '@')
		shown, _, _ := strings.Cut(raw[at+1:], "?")
		if at >= 0 {
			return redacted + "@" + shown
		}
		return shown
	}
	// A password may hold a bare '@', '/' or '?': it ends at the last '@' of all.
	user, host := "", rest
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		name, _, hasPassword := strings.Cut(rest[:at], ":")
		if hasPassword {
			name += ":" + redacted
		}
		user, host = name+"@", rest[at+1:]
	}
	host, _, _ = strings.Cut(host, "?")
	if user == "" && !strings.HasPrefix(host, "/") { // host:password where host:port should be
		authority, _, _ := strings.Cut(host, "/")
		tail := authority
		if strings.HasPrefix(authority, "[") {
			tail = authority[strings.IndexByte(authority, ']')+1:]
		}
		if _, port, _ := strings.Cut(tail, ":"); port != "" && !isPort(port) {
			host = strings.TrimSuffix(authority, port) + redacted
		}
	}
	return scheme + "://" + user + host
}

func (r Registry) schemes() []string {
	var all []string
	for _, c := range r {
		for _, s := range c.Schemes {
			if c.File {
				all = append(all, s+":")
			} else {
				all = append(all, s+"://")
			}
		}
	}
	sort.Strings(all)
	return all
}

func (r Registry) example() string {
	if _, ok := r.ByScheme("postgres"); ok {
		return "postgres://user:password@host:5432/database"
	}
	return "scheme://user:password@host:port/database"
}
