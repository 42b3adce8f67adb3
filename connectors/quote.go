package connectors

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// Quote puts an identifier between quote characters and doubles those inside.
// Apart from QuoteEscaped it is the only way an identifier enters SQL text: '"'
// for PostgreSQL and SQLite, '`' for MySQL. NUL, which no database can hold in a
// name, is dropped.
func Quote(name string, quote byte) string {
	q := string(quote)
	return q + strings.ReplaceAll(strings.ReplaceAll(name, "\x00", ""), q, q+q) + q
}

// QuoteEscaped is Quote for ClickHouse, where a backslash escapes inside a
// quoted identifier too: a name that ends in one would leave the quotes open.
func QuoteEscaped(name string, quote byte) string {
	return Quote(strings.ReplaceAll(name, "\\", "\\\\"), quote)
}

// QuoteList quotes each name and joins them by commas.
func QuoteList(names []string, quote byte) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = Quote(n, quote)
	}
	return strings.Join(quoted, ", ")
}

// Shorten cuts a name to limit bytes on a rune boundary and appends a stable
// hash of the whole name, so that two long names do not become one. A limit
// too small for the hash keeps the end of it.
func Shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	suffix := "_" + hex.EncodeToString(sum[:4])
	if limit <= len(suffix) {
		return suffix[len(suffix)-max(limit, 0):]
	}
	cut := limit - len(suffix)
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + suffix
}
