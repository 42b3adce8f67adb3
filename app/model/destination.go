package model

import "time"

// DestinationType is the kind of database a destination is.
type DestinationType string

// The databases that can be loaded into. Embedded is the warehouse inside the data directory.
const (
	DestinationPostgreSQL DestinationType = "postgresql"
	DestinationMySQL      DestinationType = "mysql"
	DestinationMariaDB    DestinationType = "mariadb"
	DestinationClickHouse DestinationType = "clickhouse"
	DestinationEmbedded   DestinationType = "embedded"
)

// DestinationTypes lists every DestinationType.
func DestinationTypes() []DestinationType {
	return []DestinationType{DestinationPostgreSQL, DestinationMySQL, DestinationMariaDB, DestinationClickHouse, DestinationEmbedded}
}

// DefaultRawSchema and DefaultTargetSchema are where a destination's raw and typed tables go unless it says otherwise.
const (
	DefaultRawSchema    = "staging"
	DefaultTargetSchema = "analytics"
)

// DestinationOptions are the settings of a destination beyond its columns.
type DestinationOptions struct {
	TLS    TLSOptions        `json:"tls,omitzero"`
	Params map[string]string `json:"params,omitempty"` // further options of the connection URL
}

// Destination is a database that tables are loaded into. PasswordEnc is sealed.
type Destination struct {
	ID           string             `json:"id"`
	Name         string             `json:"name"`
	Type         DestinationType    `json:"type"`
	Host         string             `json:"host,omitempty"`
	Port         int                `json:"port,omitempty"`
	Database     string             `json:"database,omitempty"`
	Username     string             `json:"username,omitempty"`
	PasswordEnc  string             `json:"-"`
	SSL          bool               `json:"ssl"`
	RawSchema    string             `json:"raw_schema"`
	TargetSchema string             `json:"target_schema"`
	IsDefault    bool               `json:"is_default"`
	Status       ConnectionStatus   `json:"status"`
	LastTested   time.Time          `json:"last_tested,omitzero"` // zero: never
	LastError    string             `json:"last_error,omitempty"`
	Options      DestinationOptions `json:"options"`
	CreatedAt    time.Time          `json:"created_at,omitzero"`
	UpdatedAt    time.Time          `json:"updated_at,omitzero"`
}

// SetDefaults gives unset fields the seed's defaults.
func (d *Destination) SetDefaults() {
	setDefault(&d.RawSchema, DefaultRawSchema)
	setDefault(&d.TargetSchema, DefaultTargetSchema)
	setDefault(&d.Status, ConnectionRegistered)
	if d.Port == 0 {
		switch d.Type {
		case DestinationPostgreSQL:
			d.Port = 5432
		case DestinationMySQL, DestinationMariaDB:
			d.Port = 3306
		case DestinationClickHouse:
			d.Port = 9000
		}
	}
}

// Validate returns every fault of the destination, nil when there is none.
func (d Destination) Validate() []FieldError {
	var f faults
	f.name(d.Name)
	oneOf(&f, "type", d.Type, DestinationTypes())
	f.length("host", d.Host, 255)
	f.length("database", d.Database, 255)
	f.length("username", d.Username, 255)
	if d.Type != DestinationEmbedded {
		f.required("host", d.Host)
		if d.Type == DestinationPostgreSQL { // elsewhere a schema is a database of its own
			f.required("database", d.Database)
		}
		f.port(d.Port)
	}
	f.required("raw_schema", d.RawSchema)
	f.length("raw_schema", d.RawSchema, 255)
	f.required("target_schema", d.TargetSchema)
	f.length("target_schema", d.TargetSchema, 255)
	if d.RawSchema != "" && d.RawSchema == d.TargetSchema {
		f.add("target_schema", "must differ from raw_schema")
	}
	oneOf(&f, "status", d.Status, ConnectionStatuses())
	d.Options.TLS.validate(&f)
	return f
}
