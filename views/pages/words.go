package pages

import "strings"

// words writes a word of the API for people: full_refresh is "full refresh".
func words(s string) string { return strings.ReplaceAll(s, "_", " ") }
