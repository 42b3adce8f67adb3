package connectors

import (
	"net/url"
	"regexp"
	"strings"
)

// reference finds ${env:NAME} and ${file:PATH} in a URL.
var reference = regexp.MustCompile(`\$\{(?:env|file):[^}]*\}`)

// escapeReferences percent-encodes references, so that a path inside one does
// not end the URL's authority.
func escapeReferences(raw string) string {
	return reference.ReplaceAllStringFunc(raw, func(ref string) string {
		return strings.ReplaceAll(url.QueryEscape(ref), "+", "%20")
	})
}
