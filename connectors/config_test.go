package connectors

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func noSource(context.Context, Config) (Source, error) { return nil, errors.ErrUnsupported }

func noDestination(context.Context, Config) (Destination, error) { return nil, errors.ErrUnsupported }

var testRegistry = Registry{
	"postgresql": {Type: "postgresql", Schemes: []string{"postgres", "postgresql"}, DefaultPort: 5432, OpenSource: noSource, OpenDestination: noDestination},
	"mysql":      {Type: "mysql", Schemes: []string{"mysql"}, DefaultPort: 3306, OpenSource: noSource},
	"sqlite":     {Type: "sqlite", Schemes: []string{"sqlite"}, File: true, OpenSource: noSource},
	"embedded":   {Type: "embedded", Schemes: []string{"embedded"}, File: true, OpenDestination: noDestination},
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	pg := func(change func(*Config)) Config {
		c := Config{Type: "postgresql", Host: "db", Port: 5432, Database: "shop", Username: "u", Password: "p", Options: map[string]string{}}
		change(&c)
		return c
	}
	file := func(kind, path string) Config {
		return Config{Type: kind, Database: path, Options: map[string]string{}}
	}
	for _, test := range []struct {
		raw  string
		want Config
	}{
		{"postgres://u:p@db:5432/shop", pg(func(*Config) {})},
		{"postgresql://u:p@db/shop", pg(func(*Config) {})},
		{"POSTGRES://u:p@db:/shop", pg(func(*Config) {})},
		{"postgres://u:p@db:1/shop", pg(func(c *Config) { c.Port = 1 })},
		{"postgres://u:p@db:65535/shop", pg(func(c *Config) { c.Port = 65535 })},
		{"postgres://u:p@10.0.0.1/shop", pg(func(c *Config) { c.Host = "10.0.0.1" })},
		{"postgres://u:p@[::1]/shop", pg(func(c *Config) { c.Host = "::1" })},
		{"postgres://u:p@[2001:db8::1]:6543/shop", pg(func(c *Config) { c.Host, c.Port = "2001:db8::1", 6543 })},
		{"postgres://u:p@[fe80::1%25eth0]/shop", pg(func(c *Config) { c.Host = "fe80::1%eth0" })},
		{"postgres://u:p@%2Fvar%2Frun/shop", pg(func(c *Config) { c.Host = "/var/run" })},
		{"postgres://u:p@db", pg(func(c *Config) { c.Database = "" })},
		{"postgres://u:p@db/", pg(func(c *Config) { c.Database = "" })},
		{"postgres://u@db/shop", pg(func(c *Config) { c.Password = "" })},
		{"postgres://u:@db/shop", pg(func(c *Config) { c.Password = "" })},
		{"postgres://:p@db/shop", pg(func(c *Config) { c.Username = "" })},
		{"postgres://db/shop", pg(func(c *Config) { c.Username, c.Password = "", "" })},
		{"postgres://u:p%40%3A%2F%25%3F%23@db/shop", pg(func(c *Config) { c.Password = "p@:/%?#" })},
		{"postgres://u:p@ss:w#rd@db/shop", pg(func(c *Config) { c.Password = "p@ss:w#rd" })},
		{"postgres://u:a+b@db/shop", pg(func(c *Config) { c.Password = "a+b" })},
		{"postgres://u:пароль🔑@db/shop", pg(func(c *Config) { c.Password = "пароль🔑" })},
		{"postgres://u:%F0%9F%94%91@db/shop", pg(func(c *Config) { c.Password = "🔑" })},
		{"postgres://a%40b:p@db/shop", pg(func(c *Config) { c.Username = "a@b" })},
		{"postgres://u:p@db/my%20shop%2F%40x", pg(func(c *Config) { c.Database = "my shop/@x" })},
		{"postgres://u:p@db/shop?sslmode=require&x=a%26b%40c&x=last", pg(func(c *Config) {
			c.Options = map[string]string{"sslmode": "require", "x": "last"}
		})},
		{"postgres://u:p@db/shop?", pg(func(*Config) {})},
		{"sqlite:///var/lib/shop.db", file("sqlite", "/var/lib/shop.db")},
		{"sqlite:/var/lib/shop.db", file("sqlite", "/var/lib/shop.db")},
		{"sqlite://shop.db", file("sqlite", "shop.db")},
		{"sqlite:data/shop.db", file("sqlite", "data/shop.db")},
		{"sqlite:./data/../shop.db", file("sqlite", "shop.db")},
		{"sqlite:///d%C3%A4ta/100%25%3F%23.db", file("sqlite", "/däta/100%?#.db")},
		{"sqlite:///me@home.db", file("sqlite", "/me@home.db")},
		{"embedded:", file("embedded", "")},
		{"embedded:///data", file("embedded", "/data")},
	} {
		t.Run(test.raw, func(t *testing.T) {
			t.Parallel()
			got, err := testRegistry.ParseURL(test.raw)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ParseURL(%q) (-want +got):\n%s", test.raw, diff)
			}
			again, err := testRegistry.ParseURL(got.URL())
			got.Password = ""
			if diff := cmp.Diff(got, again); err != nil || diff != "" {
				t.Errorf("%q is %q, which reads as (-want +got): %v\n%s", test.raw, got.URL(), err, diff)
			}
		})
	}
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ raw, why string }{
		{"", "no scheme"},
		{"shop.db", "no scheme"},
		{"://u:hush@db/shop", "no scheme"},
		{"u:hush@db/shop", `unknown scheme "u"`},
		{"/postgres://u:hush@db", "no scheme"},
		{"oracle://u:hush@db/shop", `unknown scheme "oracle"`},
		{"postgres:u:hush@db/shop", "'//' is missing"},
		{"postgres:/u:hush@db/shop", "'//' is missing"},
		{"postgres://", "no host"},
		{"postgres:///shop", "no host"},
		{"postgres://u:hush@/shop", "no host"},
		{"postgres://u:hush@:5432/shop", "no host"},
		{"postgres://u:hush@[]/shop", "no host"},
		{"postgres://u:hush@db:0/shop", "port"},
		{"postgres://u:hush@db:65536/shop", "port"},
		{"postgres://u:hush@db:-1/shop", "port"},
		{"postgres://u:hush@db:+1/shop", "port"},
		{"postgres://u:hush@db:54x/shop", "port"},
		{"postgres://u:hush@db:99999999999999999999/shop", "port"},
		{"postgres://db:hush/shop", "port"},
		{"postgres://[::1]:hush/shop", "port"},
		{"postgres://u:hush@::1/shop", "IPv6"},
		{"postgres://u:hush@a:1,b:2/shop", "several hosts"},
		{"postgres://u:hush@[::1/shop", "malformed"},
		{"postgres://u:hush@::1]/shop", "malformed"},
		{"postgres://u:hush@d b/shop", "malformed"},
		{"postgres://u:hush@d%zzb/shop", "malformed"},
		{"postgres://u:hush@d%0ab/shop", "malformed"},
		{"postgres://u:hu%sh@db/shop", "user name or password is malformed"},
		{"postgres://u%:hush@db/shop", "user name or password is malformed"},
		{"postgres://u:hush@db/sh%op", "database name is malformed"},
		{"postgres://u:hu/hush@db/shop", "'@' stands after the host"},
		{"postgres://u:hush?x@db/shop", "'@' stands after the host"},
		{"postgres://u:h@hush?x@db/shop", "'@' stands after the host"},
		{"postgres://u:p@db/shop?password=hush", "a password stands among the options"},
		{"postgres://u:p@db/shop?PASSWORD=hush", "a password stands among the options"},
		{"postgres://u:hush@db/shop?x=%zz", "options are malformed"},
		{"postgres://u:hush@db/shop?a;b", "options are malformed"},
		{"sqlite:", "names no file"},
		{"sqlite://", "names no file"},
		{"sqlite:///a%zz.db", "path is malformed"},
	} {
		t.Run(test.raw, func(t *testing.T) {
			t.Parallel()
			cfg, err := testRegistry.ParseURL(test.raw)
			if err == nil {
				t.Fatalf("ParseURL(%q) = %+v, want an error", test.raw, cfg)
			}
			if KindOf(err) != KindInvalid || !strings.Contains(err.Error(), test.why) || strings.Contains(err.Error(), "hush") {
				t.Errorf("ParseURL(%q): %q of kind %q, want something of %q", test.raw, err, KindOf(err), test.why)
			}
			if e, ok := errors.AsType[*Error](err); !ok || e.Hint == "" {
				t.Errorf("ParseURL(%q): %q has no hint", test.raw, err)
			}
		})
	}
}

func TestConfigURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		cfg          Config
		url, address string
	}{
		{Config{Type: "postgresql", Host: "db", Port: 5432, Database: "shop", Username: "u", Password: hush}, "postgresql://u@db:5432/shop", "db:5432"},
		{Config{Type: "mysql", Host: "::1", Port: 3306, Database: "a/b c@d?e#f%"}, "mysql://[::1]:3306/a/b%20c%40d%3Fe%23f%25", "[::1]:3306"},
		{Config{Type: "mysql", Host: "db", Port: 3306, Username: "a:b@c"}, "mysql://a%3Ab%40c@db:3306/", "db:3306"},
		{
			Config{Type: "mysql", Host: "db", Port: 3306, Options: map[string]string{"b": "2 @&", "a": "1", "Password": hush, "sslpassword": hush}},
			"mysql://db:3306/?a=1&b=2+%40%26", "db:3306",
		},
		{Config{Type: "sqlite", Database: "/a b.db"}, "sqlite:///a%20b.db", "/a b.db"},
		{Config{Type: "sqlite", Database: "a/b.db"}, "sqlite:a/b.db", "a/b.db"},
		{Config{Type: "sqlite", Database: "a.db", Options: map[string]string{"x": "y"}}, "sqlite:a.db?x=y", "a.db"},
		{Config{Type: "embedded"}, "embedded:", ""},
	} {
		if got := test.cfg.URL(); got != test.url || strings.Contains(got, hush) {
			t.Errorf("URL() = %s, want %s", got, test.url)
		}
		if got := test.cfg.Address(); got != test.address {
			t.Errorf("Address() = %s, want %s", got, test.address)
		}
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ raw, want string }{
		{"", ""},
		{"postgres://u:hush@db:5432/shop?x=hush", "postgres://u:[redacted]@db:5432/shop"},
		{"postgres://u@db/shop", "postgres://u@db/shop"},
		{"postgres://:hush@db/shop", "postgres://:[redacted]@db/shop"},
		{"postgres://db:5432/shop", "postgres://db:5432/shop"},
		{"postgres://db:/shop", "postgres://db:/shop"},
		{"postgres://db:hush", "postgres://db:[redacted]"},
		{"postgres://db:hush/shop", "postgres://db:[redacted]"},
		{"postgres://[::1]:5432/shop", "postgres://[::1]:5432/shop"},
		{"postgres://[::1]/shop", "postgres://[::1]/shop"},
		{"postgres://[::1]:hush/shop", "postgres://[::1]:[redacted]"},
		{"postgres://u:hu@hush@db/shop", "postgres://u:[redacted]@db/shop"},
		{"postgres://u:hush/hush@db/shop", "postgres://u:[redacted]@db/shop"},
		{"postgres://u:hush?hush@db/shop", "postgres://u:[redacted]@db/shop"},
		{"postgres://u:hush@hush?hush@db/shop", "postgres://u:[redacted]@db/shop"},
		{"u:hush@db/shop", "[redacted]@db/shop"},
		{"u:hush://hush@db/shop", "[redacted]@db/shop"},
		{"postgres:u:hush@db/shop?hush", "[redacted]@db/shop"},
		{"shop.db", "shop.db"},
		{"sqlite:///shop.db?password=hush", "sqlite:///shop.db"},
		{"sqlite:shop.db", "sqlite:shop.db"},
	} {
		if got := RedactURL(test.raw); got != test.want {
			t.Errorf("RedactURL(%q) = %q, want %q", test.raw, got, test.want)
		}
	}
}

// FuzzParseURLHidesPassword puts a password with anything around it into a URL
// with anything around that.
func FuzzParseURLHidesPassword(f *testing.F) {
	f.Add("postgres://", "", "", "/shop")
	f.Add("postgres://", "?", "/", ":x")
	f.Add("postgres://a@b/", "@", "?", "/shop?sslmode=x")
	f.Add("mysql:", "://", "#", "")
	f.Add("", "%", "%zz", ":99999")
	f.Add("postgres://x:", "@/", "@?@", "[::1")
	f.Fuzz(func(t *testing.T, before, left, right, after string) {
		raw := before + "user:" + left + hush + right + "@host" + after
		if got := RedactURL(raw); strings.Contains(got, hush) {
			t.Errorf("RedactURL(%q) = %q", raw, got)
		}
		cfg, err := testRegistry.ParseURL(raw)
		switch {
		case err != nil:
			if strings.Contains(err.Error(), hush) {
				t.Errorf("ParseURL(%q): %v", raw, err)
			}
		case cfg.Host != "" && (strings.Contains(cfg.URL(), hush) || strings.Contains(cfg.Address(), hush)):
			t.Errorf("ParseURL(%q).URL() = %s", raw, cfg.URL())
		}
	})
}

// encode percent-encodes everything but letters, digits and a few marks.
func encode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// FuzzParseURLRoundTrip percent-encodes any parts and expects them back.
func FuzzParseURLRoundTrip(f *testing.F) {
	f.Add("u", "p", "shop", "k", "v")
	f.Add("a@b:c", "@:/%?#[]", "a/b@c?d#e", "k&=", "v@;\x00")
	f.Add("", "", "", "", "")
	f.Add("用户", "🔑", "\xff", "", "")
	f.Fuzz(func(t *testing.T, user, password, database, key, value string) {
		if isPasswordOption(key) {
			return
		}
		raw := "postgres://" + encode(user) + ":" + encode(password) + "@db/" + encode(database) + "?" + encode(key) + "=" + encode(value)
		want := Config{
			Type: "postgresql", Host: "db", Port: 5432, Database: database, Username: user,
			Password: Secret(password), Options: map[string]string{key: value},
		}
		got, err := testRegistry.ParseURL(raw)
		if err != nil {
			t.Fatalf("ParseURL(%q): %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseURL(%q) (-want +got):\n%s", raw, diff)
		}
		again, err := testRegistry.ParseURL(got.URL())
		want.Password = ""
		if diff := cmp.Diff(want, again); err != nil || diff != "" {
			t.Errorf("ParseURL(%q) (-want +got): %v\n%s", got.URL(), err, diff)
		}
	})
}
