package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"arus/app/auth"
	"arus/app/model"
	"arus/connectors"
)

// Option keys that a URL shares with the TLS settings of a source or destination.
const (
	OptSSLMode = "sslmode"
	OptCAFile  = "sslrootcert"
	OptCert    = "sslcert"
	OptKey     = "sslkey"
)

// TLSOptionKeys lists those keys.
func TLSOptionKeys() []string { return []string{OptSSLMode, OptCAFile, OptCert, OptKey} }

// SampleDir is where the sample shop lies in the data directory.
const SampleDir = "sample"

// guard refuses what would let somebody who is no admin read or write files and
// variables of the machine that Arus runs on: file databases, warehouses outside
// the data directory, certificate files and references in the password. The
// state file is nobody's source.
func (s *Service) guard(ctx context.Context, cfg connectors.Config) []model.FieldError {
	var faults []model.FieldError
	add := func(field, message string) { faults = append(faults, model.FieldError{Field: field, Message: message}) }
	conn := s.Registry[cfg.Type]
	if conn.File && cfg.Database != "" && s.Store != nil && inside(cfg.Database, s.Store.Dir()) &&
		!inside(cfg.Database, WarehouseDir(s.Store.Dir())) && !inside(cfg.Database, filepath.Join(s.Store.Dir(), SampleDir)) {
		add("database", "must not lie in the data directory")
	}
	if auth.ActorOf(ctx).Can(auth.Maintain) {
		return faults
	}
	const only = "names a file or variable of the server: only an admin may do that"
	if conn.File && cfg.Database != "" {
		add("database", only)
	}
	for _, key := range []string{OptCAFile, OptCert, OptKey} {
		if cfg.Options[key] != "" {
			add(key, only)
		}
	}
	if strings.HasPrefix(cfg.Password.Reveal(), "${") {
		add("password", only)
	}
	return faults
}

// inside says whether a path lies in a directory, wherever links lead.
func inside(path, dir string) bool {
	path, dir = realPath(path), realPath(dir)
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// realPath follows the links of the part of a path that exists.
func realPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		if found, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(found, rest)
		}
		if filepath.Dir(at) == at {
			return abs
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// tlsFromOptions takes the TLS settings out of URL options; rest is what remains.
func tlsFromOptions(options map[string]string) (tls model.TLSOptions, rest map[string]string) {
	for k, v := range options {
		switch k {
		case OptSSLMode:
			tls.Mode = model.TLSMode(v)
		case OptCAFile:
			tls.CAFile = v
		case OptCert:
			tls.CertFile = v
		case OptKey:
			tls.KeyFile = v
		default:
			if rest == nil {
				rest = map[string]string{}
			}
			rest[k] = v
		}
	}
	return tls, rest
}

// options puts TLS settings and parameters together again. The seed's ssl
// switch alone means that TLS is required.
func options(ssl bool, tls model.TLSOptions, params map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, params)
	set := func(key, value string) {
		if value != "" {
			all[key] = value
		}
	}
	set(OptSSLMode, string(tls.Mode))
	set(OptCAFile, tls.CAFile)
	set(OptCert, tls.CertFile)
	set(OptKey, tls.KeyFile)
	if ssl && tls.Mode == "" {
		all[OptSSLMode] = string(model.TLSRequire)
	}
	return all
}

// sourceOf makes a source of a connection; its password still has to be sealed.
func sourceOf(cfg connectors.Config) model.Source {
	s := model.Source{Type: model.SourceType(cfg.Type), Host: cfg.Host, Port: cfg.Port, Database: cfg.Database, Username: cfg.Username}
	s.Options.TLS, s.Options.Params = tlsFromOptions(cfg.Options)
	s.SSL = encrypted(s.Options.TLS)
	s.SetDefaults()
	return s
}

func destinationOf(cfg connectors.Config) model.Destination {
	d := model.Destination{Type: model.DestinationType(cfg.Type), Host: cfg.Host, Port: cfg.Port, Database: cfg.Database, Username: cfg.Username}
	d.Options.TLS, d.Options.Params = tlsFromOptions(cfg.Options)
	d.SSL = encrypted(d.Options.TLS)
	d.SetDefaults()
	return d
}

func encrypted(t model.TLSOptions) bool {
	switch t.Mode {
	case model.TLSRequire, model.TLSVerifyCA, model.TLSVerifyFull:
		return true
	}
	return false
}

// sourceConfig is how to reach a source, without its password.
func sourceConfig(s model.Source) connectors.Config {
	return connectors.Config{
		Type: string(s.Type), Host: s.Host, Port: s.Port, Database: s.Database, Username: s.Username,
		Options: options(s.SSL, s.Options.TLS, s.Options.Params),
	}
}

func destinationConfig(d model.Destination) connectors.Config {
	return connectors.Config{
		Type: string(d.Type), Host: d.Host, Port: d.Port, Database: d.Database, Username: d.Username,
		Options: options(d.SSL, d.Options.TLS, d.Options.Params),
	}
}

// seal seals a password or a reference to one; an empty one stays empty.
func (s *Service) seal(password connectors.Secret) (string, error) {
	if password == "" {
		return "", nil
	}
	return s.Ring.Seal(password.Reveal())
}

// unseal opens a sealed password.
func (s *Service) unseal(sealed string) (connectors.Secret, error) {
	if sealed == "" {
		return "", nil
	}
	text, err := s.Ring.Open(sealed)
	return connectors.Secret(text), err
}

// resolve replaces a reference (${env:NAME}, ${file:PATH}) by what it refers to.
func (s *Service) resolve(password connectors.Secret) (connectors.Secret, error) {
	ref := password.Reveal()
	if !strings.HasPrefix(ref, "${") || !strings.HasSuffix(ref, "}") {
		return password, nil
	}
	kind, name, _ := strings.Cut(ref[2:len(ref)-1], ":")
	switch kind {
	case "env":
		value := s.Getenv(name)
		if value == "" {
			return "", &connectors.Error{
				Kind: connectors.KindInvalid, Op: "read the password from the environment variable", Object: name,
				Err: errors.New("it is not set"), Hint: "set it where Arus is started",
			}
		}
		return connectors.Secret(value), nil
	case "file":
		data, err := os.ReadFile(name)
		if err != nil {
			return "", &connectors.Error{
				Kind: connectors.KindInvalid, Op: "read the password from the file", Object: name, Err: errors.Unwrap(err),
				Hint: "check the path and that this user may read it",
			}
		}
		return connectors.Secret(strings.TrimRight(string(data), "\r\n")), nil
	}
	return password, nil
}

// openSource connects to a source with a password or a reference to one.
func (s *Service) openSource(ctx context.Context, cfg connectors.Config) (connectors.Source, error) {
	conn, ok := s.Registry[cfg.Type]
	if !ok || conn.OpenSource == nil {
		return nil, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "read from", Object: cfg.Type, Err: errors.New("it is no kind of source"),
			Hint: "sources are " + strings.Join(s.Registry.Types(true, false), ", "),
		}
	}
	var err error
	if cfg.Password, err = s.resolve(cfg.Password); err != nil {
		return nil, err
	}
	return conn.OpenSource(ctx, s.located(cfg))
}

func (s *Service) openDestination(ctx context.Context, cfg connectors.Config) (connectors.Destination, error) {
	conn, ok := s.Registry[cfg.Type]
	if !ok || conn.OpenDestination == nil {
		return nil, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: "load into", Object: cfg.Type, Err: errors.New("it is no kind of destination"),
			Hint: "destinations are " + strings.Join(s.Registry.Types(false, true), ", "),
		}
	}
	var err error
	if cfg.Password, err = s.resolve(cfg.Password); err != nil {
		return nil, err
	}
	return conn.OpenDestination(ctx, s.located(cfg))
}

// located fills in the data directory's warehouse where no directory is given.
func (s *Service) located(cfg connectors.Config) connectors.Config {
	if cfg.Type == string(model.DestinationEmbedded) && cfg.Database == "" {
		cfg.Database = WarehouseDir(s.Store.Dir())
	}
	return cfg
}

// storedSource opens a stored source.
func (s *Service) storedSource(ctx context.Context, src model.Source) (connectors.Source, error) {
	cfg := sourceConfig(src)
	var err error
	if cfg.Password, err = s.unseal(src.PasswordEnc); err != nil {
		return nil, fmt.Errorf("open the password of source %q: %w", src.Name, err)
	}
	return s.openSource(ctx, cfg)
}

func (s *Service) storedDestination(ctx context.Context, dst model.Destination) (connectors.Destination, error) {
	cfg := destinationConfig(dst)
	var err error
	if cfg.Password, err = s.unseal(dst.PasswordEnc); err != nil {
		return nil, fmt.Errorf("open the password of destination %q: %w", dst.Name, err)
	}
	return s.openDestination(ctx, cfg)
}
