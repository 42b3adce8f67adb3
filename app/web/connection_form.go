package web

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"arus/app/control"
	"arus/app/model"
	"arus/connectors"
	"arus/views/components"
	"arus/views/pages"
)

// kindOptions are the kinds of databases to choose from.
func (v *visit) kindOptions(source bool) []components.Option {
	var list []components.Option
	for _, kind := range kindOrder() {
		conn, ok := v.Control.Registry[kind]
		if ok && (source && conn.OpenSource != nil && kind != string(model.SourceEmbedded) && slices.Contains(model.SourceTypes(), model.SourceType(kind)) ||
			!source && conn.OpenDestination != nil && slices.Contains(model.DestinationTypes(), model.DestinationType(kind))) {
			list = append(list, components.Option{Value: kind, Label: components.DatabaseName(kind)})
		}
	}
	return list
}

// kindOrder is the order in which kinds are offered.
func kindOrder() []string {
	return []string{"postgresql", "mysql", "mariadb", "mongodb", "clickhouse", "sqlite", "embedded"}
}

// connectionFields is which fields the kind of a connection has.
func (v *visit) connectionFields(f components.Form, source bool) pages.ConnectionFields {
	kind := f.Value("type")
	conn := v.Control.Registry[kind]
	c := pages.ConnectionFields{
		Form: f, Source: source, Kind: kind, Kinds: v.kindOptions(source), File: conn.File, Mongo: kind == string(model.SourceMongoDB),
		Schemas: kind == string(model.SourcePostgreSQL), SchemaIsDatabase: kind != string(model.SourcePostgreSQL) && !conn.File,
		Files: v.can("maintain"), OptionalDatabase: !source && kind != string(model.DestinationPostgreSQL),
	}
	if conn.DefaultPort > 0 {
		c.Port = strconv.Itoa(conn.DefaultPort)
	}
	for _, mode := range tlsModes(kind) {
		c.Modes = append(c.Modes, components.Option{Value: string(mode), Label: tlsWords(mode)})
	}
	return c
}

// tlsModes are the ways to encrypt that a kind knows. MongoDB cannot prefer.
func tlsModes(kind string) []model.TLSMode {
	modes := append([]model.TLSMode{""}, model.TLSModes()...)
	if kind == string(model.SourceMongoDB) {
		modes = slices.DeleteFunc(modes, func(m model.TLSMode) bool { return m == model.TLSPrefer })
	}
	return modes
}

func tlsWords(m model.TLSMode) string {
	switch m {
	case "":
		return "as the server wishes"
	case model.TLSDisable:
		return "no encryption"
	case model.TLSPrefer:
		return "encrypt where the server can"
	case model.TLSRequire:
		return "always encrypt, whoever answers"
	case model.TLSVerifyCA:
		return "encrypt and check the certificate's authority"
	case model.TLSVerifyFull:
		return "encrypt and check authority and host name"
	}
	return string(m)
}

// connectionValues writes a connection into the fields of its form. The password
// is not among them.
func connectionValues(cfg connectors.Config) url.Values {
	values := url.Values{"type": {cfg.Type}, "host": {cfg.Host}, "database": {cfg.Database}, "username": {cfg.Username}}
	if cfg.Port > 0 {
		values.Set("port", strconv.Itoa(cfg.Port))
	}
	var params []string
	for key, value := range cfg.Options {
		if key == "authSource" || slices.Contains(control.TLSOptionKeys(), key) {
			values.Set(key, value)
		} else {
			params = append(params, key+"="+value)
		}
	}
	slices.Sort(params)
	values.Set("params", strings.Join(params, "\n"))
	return values
}

// connection is what the form says of how a database is reached: a URL, or the
// fields. Fields that were filled from the URL count as the fields; the password
// is the URL's unless another one is given.
func (v *visit) connection() (connectors.Config, error) {
	raw := v.value("url")
	password := connectors.Secret(v.r.PostForm.Get("password"))
	if raw != "" {
		cfg, err := v.Control.Registry.ParseURL(raw)
		if err != nil {
			return cfg, formFault("url", urlFault(err))
		}
		if password != "" {
			cfg.Password = password
		}
		if v.value("filled") == "" {
			return cfg, nil
		}
		password = cfg.Password
	}
	cfg := connectors.Config{
		Type: v.value("type"), Host: v.value("host"), Database: v.value("database"), Username: v.value("username"), Password: password,
		Options: map[string]string{},
	}
	conn := v.Control.Registry[cfg.Type]
	cfg.Port = conn.DefaultPort
	if port := v.value("port"); port != "" && !conn.File {
		var err error
		if cfg.Port, err = strconv.Atoi(port); err != nil {
			return cfg, formFault("port", "must be a number")
		}
	}
	for _, key := range append(control.TLSOptionKeys(), "authSource") {
		if value := v.value(key); value != "" {
			cfg.Options[key] = value
		}
	}
	for _, line := range lines(v.value("params")) {
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(key) == "" {
			return cfg, formFault("params", fmt.Sprintf("has the line %q, which is not name=value", line))
		}
		cfg.Options[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	if conn.File {
		cfg.Host, cfg.Port, cfg.Username, cfg.Password = "", 0, "", ""
	}
	return cfg, nil
}

func formFault(field, message string) error {
	return &control.InvalidError{What: "the form", Faults: []model.FieldError{{Field: field, Message: message}}}
}

// urlFault says what is wrong with a URL, without the URL.
func urlFault(err error) string {
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok || e.Err == nil {
		return "cannot be read"
	}
	text := "cannot be read: " + e.Err.Error()
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// lines are the lines of a text that are not empty.
func lines(text string) []string {
	list := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// connectionForm is a form that was not taken: its faults stand at its own
// fields, and a URL comes back without its password.
func (v *visit) connectionForm(err error) (components.Form, bool) {
	f, ok := v.form(err)
	for from, to := range map[string]string{"options.tls.mode": control.OptSSLMode, "options.tls.cert_file": control.OptCert, "uri": "url", "auth_source": "authSource"} {
		if fault := f.Faults[from]; fault != "" {
			f.Faults[to] = fault
			delete(f.Faults, from)
		}
	}
	values := url.Values{}
	for name, value := range f.Values {
		if name != "password" {
			values[name] = value
		}
	}
	if raw := values.Get("url"); raw != "" && v.value("filled") == "" {
		if cfg, err := v.Control.Registry.ParseURL(raw); err == nil {
			maps.Copy(values, connectionValues(cfg))
			f.Message = "Mend what is marked. Type the password again: it was not kept."
		}
	}
	if values.Get("url") != "" {
		values.Set("url", "")
	}
	f.Values = values
	return f, ok
}

// connectionPart answers a form that asks for the fields of a kind, or to be
// filled from a URL; ok is false when it was sent to be taken.
func (v *visit) connectionPart(source bool) (answer components.Form, ok bool) {
	do := v.value("do")
	if do != "fields" {
		return answer, false
	}
	values := url.Values{}
	for name, value := range v.r.PostForm {
		if name != "password" && name != "url" && name != "do" {
			values[name] = value
		}
	}
	answer.Values = values
	raw := v.value("url")
	if raw == "" {
		values.Del("filled")
		return answer, true
	}
	cfg, err := v.Control.Registry.ParseURL(raw)
	if err != nil {
		answer.Faults = map[string]string{"url": urlFault(err)}
		return answer, true
	}
	maps.Copy(values, connectionValues(cfg))
	values.Set("filled", "yes")
	if values.Get("name") == "" {
		values.Set("name", cfg.Database)
		if !source || strings.ContainsAny(cfg.Database, "/\\.") {
			values.Set("name", "")
		}
	}
	return answer, true
}

// connectionSummary is a connection in one line, without secrets.
func connectionSummary(cfg connectors.Config) string {
	switch {
	case cfg.Host == "" && cfg.Database == "":
		return "in the data directory"
	case cfg.Host == "":
		return cfg.Database
	case cfg.Database == "":
		return cfg.Address()
	}
	return cfg.Address() + "/" + cfg.Database
}
