package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const mask = "[redacted]"

// Redacted is a secret in the clear that cannot be printed by accident: every verb of fmt, JSON, text and slog show
// "[redacted]". Only Reveal gives it away, so each place that does is easy to find. Two places are out of its reach, and
// out of bounds: an unexported struct field (fmt calls no methods there) and the key of a map written as JSON.
type Redacted string

// Reveal returns the secret itself.
func (r Redacted) Reveal() string { return string(r) }

// String returns "[redacted]".
func (r Redacted) String() string { return mask }

// GoString returns "[redacted]".
func (r Redacted) GoString() string { return mask }

// Format writes "[redacted]" whatever the verb, %x and %q included.
func (r Redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// MarshalJSON returns "[redacted]" as a JSON string.
func (r Redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// MarshalText returns "[redacted]", for YAML and XML.
func (r Redacted) MarshalText() ([]byte, error) { return []byte(mask), nil }

// LogValue returns "[redacted]".
func (r Redacted) LogValue() slog.Value { return slog.StringValue(mask) }
