package pages

import (
	"net/url"
	"slices"
	"strings"
)

// words writes a word of the API for people: full_refresh is "full refresh".
func words(s string) string { return strings.ReplaceAll(s, "_", " ") }

// queryText writes a text so that it can stand in the query of an address.
func queryText(s string) string { return url.QueryEscape(s) }

func contains(list []string, want string) bool { return slices.Contains(list, want) }
