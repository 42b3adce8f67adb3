package connectors

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Secret is a string that no formatting, encoding or logging shows, save where the
// standard library calls no methods: in unexported fields of a struct formatted
// whole, as the key of a JSON object, and with %p. Keep it out of those.
type Secret string

const redacted = "[redacted]"

// Reveal gives the secret itself; call it only where a driver needs it.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string { return redacted }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides the secret from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON hides the secret from JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText hides the secret from text encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
