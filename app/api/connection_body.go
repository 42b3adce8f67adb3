package api

import (
	"maps"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
)

// connectionBody is how a database is reached. A password is taken and never
// given back.
type connectionBody struct {
	Type       *string           `json:"type"`
	Host       *string           `json:"host"`
	Port       *int              `json:"port"`
	Database   *string           `json:"database"`
	Username   *string           `json:"username"`
	Password   *string           `json:"password"`
	SSL        *bool             `json:"ssl"`
	TLSMode    *model.TLSMode    `json:"tls_mode"`
	TLSCAFile  *string           `json:"tls_ca_file"`
	TLSCert    *string           `json:"tls_cert_file"`
	TLSKey     *string           `json:"tls_key_file"`
	URI        *string           `json:"uri"`
	AuthSource *string           `json:"auth_source"`
	Params     map[string]string `json:"params"`
}

// given says whether any field of the connection is there.
func (b connectionBody) given() bool {
	for _, p := range []bool{
		b.Type != nil, b.Host != nil, b.Port != nil, b.Database != nil, b.Username != nil, b.Password != nil, b.SSL != nil, b.TLSMode != nil,
		b.TLSCAFile != nil, b.TLSCert != nil, b.TLSKey != nil, b.URI != nil, b.AuthSource != nil, b.Params != nil,
	} {
		if p {
			return true
		}
	}
	return false
}

// apply changes a connection by what is given.
func (b connectionBody) apply(registry connectors.Registry, cfg *connectors.Config) error {
	if b.URI != nil && *b.URI != "" {
		fromURI, err := registry.ParseURL(*b.URI)
		if err != nil {
			return err
		}
		*cfg = fromURI
	}
	change := func(field *string, value *string) {
		if value != nil {
			*field = *value
		}
	}
	if b.Type != nil && *b.Type != "" && *b.Type != cfg.Type {
		cfg.Type, cfg.Port = *b.Type, 0
	}
	change(&cfg.Host, b.Host)
	change(&cfg.Database, b.Database)
	change(&cfg.Username, b.Username)
	if b.Port != nil {
		cfg.Port = *b.Port
	}
	if conn, ok := registry[cfg.Type]; ok {
		if cfg.Port == 0 {
			cfg.Port = conn.DefaultPort
		}
		if conn.File {
			cfg.Host, cfg.Port, cfg.Username = "", 0, ""
		}
	}
	if b.Password != nil {
		cfg.Password = connectors.Secret(*b.Password)
	}
	options := map[string]string{}
	if b.Params == nil || b.URI != nil && *b.URI != "" {
		maps.Copy(options, cfg.Options)
	} else {
		for _, k := range control.TLSOptionKeys() {
			if v, ok := cfg.Options[k]; ok {
				options[k] = v
			}
		}
	}
	maps.Copy(options, b.Params)
	put := func(key, value string) {
		if options[key] = value; value == "" {
			delete(options, key)
		}
	}
	if b.SSL != nil && b.TLSMode == nil {
		switch mode := model.TLSMode(options[control.OptSSLMode]); {
		case !*b.SSL && mode != model.TLSPrefer && mode != model.TLSDisable:
			put(control.OptSSLMode, "")
		case *b.SSL && (mode == "" || mode == model.TLSPrefer || mode == model.TLSDisable):
			put(control.OptSSLMode, string(model.TLSRequire))
		}
	}
	if b.TLSMode != nil {
		put(control.OptSSLMode, string(*b.TLSMode))
	}
	for key, value := range map[string]*string{control.OptCAFile: b.TLSCAFile, control.OptCert: b.TLSCert, control.OptKey: b.TLSKey} {
		if value != nil {
			put(key, *value)
		}
	}
	if b.AuthSource != nil && cfg.Type == string(model.SourceMongoDB) {
		put("authSource", *b.AuthSource)
	}
	cfg.Options = options
	return nil
}

// value is what a pointer points at, or nothing.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}
