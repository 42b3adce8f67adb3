package connectors

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		quote         byte
		want, escaped string
	}{
		{"orders", '"', `"orders"`, `"orders"`},
		{"", '"', `""`, `""`},
		{`a"b`, '"', `"a""b"`, `"a""b"`},
		{`"`, '"', `""""`, `""""`},
		{"a`b", '`', "`a``b`", "`a``b`"},
		{"a`b", '"', "\"a`b\"", "\"a`b\""},
		{`"; DROP TABLE x; --`, '"', `"""; DROP TABLE x; --"`, `"""; DROP TABLE x; --"`},
		{`a\`, '`', "`a\\`", "`a\\\\`"},
		{"a\\`b", '`', "`a\\``b`", "`a\\\\``b`"},
		{"a\x00\"b", '"', `"a""b"`, `"a""b"`},
		{"sélect 表 🚲\n", '"', "\"sélect 表 🚲\n\"", "\"sélect 表 🚲\n\""},
	} {
		if got := Quote(test.name, test.quote); got != test.want {
			t.Errorf("Quote(%q, %q) = %s, want %s", test.name, test.quote, got, test.want)
		}
		if got := QuoteEscaped(test.name, test.quote); got != test.escaped {
			t.Errorf("QuoteEscaped(%q, %q) = %s, want %s", test.name, test.quote, got, test.escaped)
		}
	}
	if got, want := QuoteList([]string{"id", `a"b`}, '"'), `"id", "a""b"`; got != want {
		t.Errorf("QuoteList = %s, want %s", got, want)
	}
	if got := QuoteList(nil, '"'); got != "" {
		t.Errorf("QuoteList of nothing = %s", got)
	}
}

// unquote reads a quoted identifier as a database does and gives what follows
// the closing quote. With escapes a backslash takes the next byte as it is.
func unquote(s string, quote byte, escapes bool) (name, rest string, ok bool) {
	if s == "" || s[0] != quote {
		return "", s, false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\' && i+1 < len(s):
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return b.String(), s[i+1:], true
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func FuzzQuote(f *testing.F) {
	for _, name := range []string{"a", `"`, "`", `\`, "\\`", `\"`, "\x00", "\"\x00\"", "a\\\\`; --", "\xff\""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		want := strings.ReplaceAll(name, "\x00", "")
		for _, quote := range []byte{'"', '`'} {
			if got, rest, ok := unquote(Quote(name, quote)+" x", quote, false); !ok || got != want || rest != " x" {
				t.Errorf("Quote(%q, %q) reads as %q and then %q", name, quote, got, rest)
			}
			if got, rest, ok := unquote(QuoteEscaped(name, quote)+" x", quote, true); !ok || got != want || rest != " x" {
				t.Errorf("QuoteEscaped(%q, %q) reads as %q and then %q", name, quote, got, rest)
			}
		}
	})
}

func TestShorten(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 70)
	for _, test := range []struct {
		name  string
		limit int
		want  string
	}{
		{"orders", 63, "orders"},
		{long[:63], 63, long[:63]},
		{long[:64], 63, long[:54] + "_ffe054fe"},
		{long, 63, long[:54] + "_6bd5e503"},
		{strings.Repeat("é", 40), 63, strings.Repeat("é", 27) + "_84fe2e03"},
		{long, 9, "_6bd5e503"},
		{long, 4, "e503"},
		{long, 0, ""},
		{long, -1, ""},
	} {
		if got := Shorten(test.name, test.limit); got != test.want {
			t.Errorf("Shorten(%q, %d) = %q, want %q", test.name, test.limit, got, test.want)
		}
	}
}

func TestShortenKeepsNamesApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, unit := range []string{"x", "ß", "表", "🚲"} {
		for i := range 500 {
			name := strings.Repeat(unit, 80) + fmt.Sprint(i)
			short := Shorten(name, 63)
			if other, ok := seen[short]; ok {
				t.Errorf("%q and %q both become %q", name, other, short)
			}
			seen[short] = name
			if len(short) > 63 || !utf8.ValidString(short) {
				t.Errorf("Shorten(%q) = %q, %d bytes", name, short, len(short))
			}
		}
	}
}

func FuzzShorten(f *testing.F) {
	f.Add(strings.Repeat("🚲", 20), 63)
	f.Add("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11)
	f.Add("abc", -3)
	f.Fuzz(func(t *testing.T, name string, limit int) {
		short := Shorten(name, limit)
		if len(short) > max(limit, 0) {
			t.Errorf("Shorten(%q, %d) = %q, %d bytes", name, limit, short, len(short))
		}
		if len(name) <= limit && short != name {
			t.Errorf("Shorten(%q, %d) = %q, want it as it was", name, limit, short)
		}
		if utf8.ValidString(name) && !utf8.ValidString(short) {
			t.Errorf("Shorten(%q, %d) = %q, which is not UTF-8", name, limit, short)
		}
	})
}
