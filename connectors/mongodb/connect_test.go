package mongodb

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"arus/connectors"
)

const hush = "s3cr:t@/?#%&"

func TestConfigurationsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	good := connectors.Config{Type: "mongodb", Host: "h", Port: 1, Database: "d", Username: "u", Password: hush}
	with := func(options ...string) connectors.Config {
		c := good
		c.Options = map[string]string{}
		for i := 0; i < len(options); i += 2 {
			c.Options[options[i]] = options[i+1]
		}
		return c
	}
	without := func(change func(*connectors.Config)) connectors.Config {
		c := good
		change(&c)
		return c
	}
	for _, test := range []struct {
		name string
		cfg  connectors.Config
		want string
	}{
		{"no database", without(func(c *connectors.Config) { c.Database = "" }), "no database is named (write it as mongodb://user:password@h:1/database)"},
		{"bad database", without(func(c *connectors.Config) { c.Database = "a.b" }), `"a.b" cannot be the name`},
		{"no host", without(func(c *connectors.Config) { c.Host = "" }), "no host is given"},
		{"no user", without(func(c *connectors.Config) { c.Username = "" }), "a password is given without a user"},
		{"port", without(func(c *connectors.Config) { c.Port = 70000 }), "the port is 70000"},
		{"unknown options", with("zeta", "1", "alpha", "1"), "unknown option alpha, zeta (the options are appName,"},
		{"twice", with("authSource", "a", "auth_source", "a"), "the option authSource is given twice"},
		{"timeout", with("connect_timeout", "soon"), `connect_timeout is "soon"`},
		{"bool", with("directConnection", "maybe"), `directConnection is "maybe"`},
		{"preference", with("readPreference", "best"), `readPreference is "best"`},
		{"mechanism", with("authMechanism", "GSSAPI"), `"GSSAPI" is not supported`},
		{"sslmode", with("sslmode", "prefer"), "use disable, require, verify-ca or verify-full"},
		{"tls and sslmode", with("tls", "false", "sslmode", "require"), "contradict each other"},
		{"root", with("sslrootcert", "/nonexistent"), "sslrootcert: "},
		{"uri", with("uri", "http://h/d"), "the connection string is malformed"},
		{"uri malformed", with("uri", "mongodb://h:port/d"), "the connection string is malformed"},
		{"uri with password", with("uri", "mongodb://u:s3cr@h/d"), "a password stands in the connection string"},
		{"uri with bare password", with("uri", "mongodb://u:a@b/c@h/d"), "a password stands in the connection string"},
		{"uri with key password", with("uri", "mongodb://h/d?tlsCertificateKeyFilePassword=x"), "holds tlsCertificateKeyFilePassword"},
		{"uri with token", with("uri", "mongodb://h/d?authMechanismProperties=AWS_SESSION_TOKEN:x"), "holds authMechanismProperties"},
		{"direct to several", with("uri", "mongodb://a,b/d", "directConnection", "true"), "a direct connection cannot be made"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := New().OpenSource(t.Context(), test.cfg)
			failsAs(t, err, connectors.KindInvalid, test.want)
			if err != nil && strings.Contains(err.Error(), "s3cr") {
				t.Errorf("the password shows in %v", err)
			}
		})
	}
}

func TestConfigurationReachesTheDriver(t *testing.T) {
	t.Parallel()
	c, err := configure(connectors.Config{Host: "::1", Database: "d", Username: "u@:/", Password: hush, Options: map[string]string{
		"auth_source": "people", "replicaSet": "rs0", "readPreference": "secondaryPreferred", "ssl": "true", "connect_timeout": "3", "retryWrites": "true", "w": "majority",
	}})
	if err != nil {
		t.Fatal(err)
	}
	o := c.options
	if o.Hosts[0] != "[::1]:27017" || *o.ReplicaSet != "rs0" || o.ReadPreference.Mode().String() != "secondaryPreferred" || o.TLSConfig == nil || o.TLSConfig.InsecureSkipVerify ||
		*o.ConnectTimeout != 3*time.Second || *o.ServerSelectionTimeout != 3*time.Second || !*o.DisableOCSPEndpointCheck {
		t.Errorf("the options are %+v", o)
	}
	if a := o.Auth; a.Username != "u@:/" || a.Password != hush || a.AuthSource != "people" {
		t.Errorf("the user is %q of %q", a.Username, a.AuthSource)
	}
	c, err = configure(connectors.Config{Host: "ignored", Password: hush, Options: map[string]string{"uri": "mongodb://u%40x@a:1,b:2/shop?replicaSet=rs1&tls=true"}})
	if err != nil {
		t.Fatal(err)
	}
	if o = c.options; fmt.Sprint(o.Hosts) != "[a:1 b:2]" || *o.ReplicaSet != "rs1" || o.TLSConfig == nil || c.database != "shop" || c.address != "a:1,b:2" {
		t.Errorf("the options are %+v of %+v", o, c)
	}
	if a := o.Auth; a.Username != "u@x" || a.Password != hush || a.AuthSource != "shop" {
		t.Errorf("the user is %q of %q", a.Username, a.AuthSource)
	}
	for mode, check := range map[string][2]bool{"require": {true, false}, "verify-ca": {true, true}, "verify-full": {false, false}} {
		config, err := tlsConfig(map[string]string{"sslmode": mode})
		if err != nil || config.InsecureSkipVerify != check[0] || (config.VerifyConnection != nil) != check[1] {
			t.Errorf("sslmode=%s gives %+v, %v", mode, config, err)
		}
	}
}

func TestServerErrorsAreClassified(t *testing.T) {
	t.Parallel()
	client, err := mongo.Connect(options.Client().SetHosts([]string{"127.0.0.1:1"}))
	if err != nil {
		t.Fatal(err)
	}
	s := &Source{client: client, database: client.Database("shop"), address: "h:1", user: "reader", login: "admin", password: hush}
	t.Cleanup(func() { _ = s.Close() })
	for _, test := range []struct {
		code  int32
		kind  connectors.ErrorKind
		words string
		retry bool
	}{
		{18, connectors.KindAuth, `the user was looked for in the database "admin"`, false},
		{13, connectors.KindPermission, `db.getSiblingDB("admin").grantRolesToUser("reader", [{role: "read", db: "shop"}])`, false},
		{26, connectors.KindNotFound, "check that the collection exists", false},
		{50, connectors.KindTimeout, "", true},
		{43, connectors.KindTransient, "longer than the server keeps", true},
		{11600, connectors.KindTransient, "", true},
		{292, connectors.KindUnsupported, "create one on the field", false},
		{9, connectors.KindInvalid, "", false},
	} {
		err := s.fail(t.Context(), "read", "c", fmt.Errorf("wrapped: %w", mongo.CommandError{Code: test.code, Name: "Name", Message: "words with " + hush + " in them"}))
		failsAs(t, err, test.kind, test.words)
		if connectors.Retryable(err) != test.retry {
			t.Errorf("code %d: retryable %v", test.code, connectors.Retryable(err))
		}
		if !strings.Contains(err.Error(), "[redacted]") {
			t.Errorf("the words are gone: %v", err)
		}
	}
	s.user = ""
	failsAs(t, s.fail(t.Context(), "read", "c", mongo.CommandError{Code: 13}), connectors.KindAuth, "wants a user")
	if err := s.fail(t.Context(), "read", "c", errors.New("something")); connectors.KindOf(err) != connectors.KindNetwork {
		t.Errorf("an unknown error is %v", err)
	}
}
