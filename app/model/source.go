package model

import (
	"net/url"
	"strings"
	"time"
)

// SourceType is the kind of database a source is.
type SourceType string

// The databases that can be read from.
const (
	SourceMySQL      SourceType = "mysql"
	SourcePostgreSQL SourceType = "postgresql"
	SourceMongoDB    SourceType = "mongodb"
	SourceMariaDB    SourceType = "mariadb"
	SourceSQLite     SourceType = "sqlite"
	SourceEmbedded   SourceType = "embedded"
)

// SourceTypes lists every SourceType.
func SourceTypes() []SourceType {
	return []SourceType{SourceMySQL, SourcePostgreSQL, SourceMongoDB, SourceMariaDB, SourceSQLite, SourceEmbedded}
}

// SyncMethod says how the tables of a source are read when their pipeline does not say it.
type SyncMethod string

// The ways to read a source's tables. Auto reads incrementally where a watermark column is found.
const (
	SyncAuto        SyncMethod = "auto"
	SyncIncremental SyncMethod = "incremental"
	SyncFullRefresh SyncMethod = "full_refresh"
)

// SyncMethods lists every SyncMethod.
func SyncMethods() []SyncMethod { return []SyncMethod{SyncAuto, SyncIncremental, SyncFullRefresh} }

// ConnectionStatus is what the last connection test of a source or destination found.
type ConnectionStatus string

// The connection statuses: never tested, reachable, and refused with the reason in LastError.
const (
	ConnectionRegistered ConnectionStatus = "registered"
	ConnectionConnected  ConnectionStatus = "connected"
	ConnectionError      ConnectionStatus = "error"
)

// ConnectionStatuses lists every ConnectionStatus.
func ConnectionStatuses() []ConnectionStatus {
	return []ConnectionStatus{ConnectionRegistered, ConnectionConnected, ConnectionError}
}

// TLSMode says how much of the server's identity is checked. Empty means: as the SSL switch says (off: the server's wish,
// on: TLS is required).
type TLSMode string

// The TLS modes, from none to the full check of certificate and host name.
const (
	TLSDisable    TLSMode = "disable"
	TLSPrefer     TLSMode = "prefer"
	TLSRequire    TLSMode = "require"
	TLSVerifyCA   TLSMode = "verify-ca"
	TLSVerifyFull TLSMode = "verify-full"
)

// TLSModes lists every TLSMode.
func TLSModes() []TLSMode {
	return []TLSMode{TLSDisable, TLSPrefer, TLSRequire, TLSVerifyCA, TLSVerifyFull}
}

// TLSOptions names the files and the strictness of an encrypted connection.
type TLSOptions struct {
	Mode     TLSMode `json:"mode,omitempty"`
	CAFile   string  `json:"ca_file,omitempty"`
	CertFile string  `json:"cert_file,omitempty"`
	KeyFile  string  `json:"key_file,omitempty"`
}

func (o TLSOptions) validate(f *faults) {
	if o.Mode != "" {
		oneOf(f, "options.tls.mode", o.Mode, TLSModes())
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		f.add("options.tls.cert_file", "a client certificate needs both the certificate file and the key file")
	}
}

// SourceOptions are the settings of a source beyond its columns.
type SourceOptions struct {
	TLS    TLSOptions        `json:"tls,omitzero"`
	Params map[string]string `json:"params,omitempty"` // further options of the connection URL
	Views  bool              `json:"views,omitempty"`  // views and materialised views are tables too
}

// Source is a database that tables are read from. PasswordEnc is sealed; no field holds a secret in the clear.
type Source struct {
	ID            string           `json:"id"`
	Name          string           `json:"name"`
	Type          SourceType       `json:"type"`
	Host          string           `json:"host"`
	Port          int              `json:"port"`
	Database      string           `json:"database"` // the file's path for SQLite
	Username      string           `json:"username"`
	PasswordEnc   string           `json:"-"`
	SSL           bool             `json:"ssl"`
	URI           string           `json:"uri,omitempty"` // MongoDB only, without a password
	AuthSource    string           `json:"auth_source,omitempty"`
	SyncMethod    SyncMethod       `json:"sync_method"`
	TableInclude  []string         `json:"table_include"`
	TableExclude  []string         `json:"table_exclude"`
	SchemaInclude []string         `json:"schema_include"`
	Status        ConnectionStatus `json:"status"`
	LastTested    time.Time        `json:"last_tested,omitzero"` // zero: never
	LastError     string           `json:"last_error,omitempty"`
	Options       SourceOptions    `json:"options"`
	CreatedAt     time.Time        `json:"created_at,omitzero"`
	UpdatedAt     time.Time        `json:"updated_at,omitzero"`
}

// SetDefaults gives unset fields the seed's defaults.
func (s *Source) SetDefaults() {
	setDefault(&s.SyncMethod, SyncAuto)
	setDefault(&s.Status, ConnectionRegistered)
	if s.Port == 0 {
		switch s.Type {
		case SourceMySQL, SourceMariaDB:
			s.Port = 3306
		case SourcePostgreSQL:
			s.Port = 5432
		case SourceMongoDB:
			if s.URI == "" {
				s.Port = 27017
			}
		}
	}
}

// Validate returns every fault of the source, nil when there is none.
func (s Source) Validate() []FieldError {
	var f faults
	f.name(s.Name)
	oneOf(&f, "type", s.Type, SourceTypes())
	f.length("host", s.Host, 255)
	f.length("database", s.Database, 255)
	f.length("username", s.Username, 255)
	f.length("auth_source", s.AuthSource, 100)
	if s.URI == "" {
		if s.Type != SourceEmbedded { // it may mean the data directory's own warehouse
			f.required("database", s.Database)
		}
		if s.Type != SourceSQLite && s.Type != SourceEmbedded {
			f.required("host", s.Host)
			f.port(s.Port)
		}
	} else {
		s.validateURI(&f)
	}
	oneOf(&f, "sync_method", s.SyncMethod, SyncMethods())
	oneOf(&f, "status", s.Status, ConnectionStatuses())
	f.globs("table_include", s.TableInclude)
	f.globs("table_exclude", s.TableExclude)
	f.columns("schema_include", s.SchemaInclude)
	s.Options.TLS.validate(&f)
	return f
}

func (s Source) validateURI(f *faults) {
	if s.Type != SourceMongoDB {
		f.add("uri", "is for MongoDB only, give host, port and database instead")
		return
	}
	if !strings.HasPrefix(s.URI, "mongodb://") && !strings.HasPrefix(s.URI, "mongodb+srv://") {
		f.add("uri", "must start with mongodb:// or mongodb+srv://")
	}
	if _, password := SplitPassword(s.URI); password != "" {
		f.add("uri", "must not hold the password, give it in the password field")
	}
}

// SplitPassword takes the password out of a connection URI, so that the URI can be stored and shown. The user name stays
// in place, several hosts are allowed, and a URI without a password comes back as it was. A password written without the
// escapes a URI asks for (an @ or / in it) is recognised too.
func SplitPassword(uri string) (clean, password string) {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri, ""
	}
	// The last @ ends the user part: host names, ports and database names hold none, and the query is left out unless the
	// only @ is behind its question mark, as in a password with an unescaped ?.
	end := len(rest)
	if q := strings.IndexByte(rest, '?'); q >= 0 && strings.Contains(rest[:q], "@") {
		end = q
	}
	at := strings.LastIndexByte(rest[:end], '@')
	if at < 0 {
		return uri, ""
	}
	user, escaped, ok := strings.Cut(rest[:at], ":")
	if !ok {
		return uri, ""
	}
	password, err := url.PathUnescape(escaped)
	if err != nil {
		password = escaped
	}
	return scheme + "://" + user + rest[at:], password
}
