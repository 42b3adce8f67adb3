package pages

import (
	"net/url"
	"strings"
)

// words writes a word of the API for people: full_refresh is "full refresh".
func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

// queryText writes a text so that it can stand in the query of an address.
func queryText(s string) string { return url.QueryEscape(s) }
