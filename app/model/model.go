// Package model holds the nouns of Arus and the rules that need nothing but the nouns themselves. Nothing here does I/O.
package model

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// FieldError is one fault in one field, in words for the person who filled it in.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (e FieldError) Error() string { return e.Field + ": " + e.Message }

// Slug turns a name into the form that is safe inside table names: lower case, and every character outside a-z, 0-9 and _
// becomes one _. Different names can give the same slug.
func Slug(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
}

// faults collects every FieldError of one validation, in the order of the fields.
type faults []FieldError

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// name checks a display name: the slug made from it must still say something.
func (f *faults) name(value string) {
	switch {
	case strings.TrimSpace(value) == "":
		f.add("name", "is required")
	case value != strings.TrimSpace(value):
		f.add("name", "must not start or end with a space")
	case strings.Trim(Slug(value), "_") == "":
		f.add("name", "needs at least one letter or digit from a-z and 0-9")
	}
	f.length("name", value, 255)
}

func (f *faults) required(field, value string) {
	if strings.TrimSpace(value) == "" {
		f.add(field, "is required")
	}
}

// length counts characters, as the CHECK constraints of the state file do.
func (f *faults) length(field, value string, limit int) {
	if n := utf8.RuneCountInString(value); n > limit {
		f.add(field, "has %d characters, at most %d are allowed", n, limit)
	}
	if strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
		f.add(field, "must be plain text")
	}
}

func (f *faults) port(value int) {
	if value < 1 || value > 65535 {
		f.add("port", "must be between 1 and 65535")
	}
}

func (f *faults) atLeastZero(field string, value int) {
	if value < 0 {
		f.add(field, "must not be negative")
	}
}

func (f *faults) globs(field string, patterns []string) {
	for i, p := range patterns {
		at := fmt.Sprintf("%s[%d]", field, i)
		if p == "" {
			f.add(at, "is empty")
		} else if _, err := path.Match(p, ""); err != nil {
			f.add(at, "%q is not a pattern: use *, ? and [a-z]", p)
		}
	}
}

// columns checks a list of names for blanks and repeats.
func (f *faults) columns(field string, names []string) {
	for i, n := range names {
		at := fmt.Sprintf("%s[%d]", field, i)
		if n == "" {
			f.add(at, "is empty")
		} else if slices.Contains(names[:i], n) {
			f.add(at, "%q is listed twice", n)
		}
	}
}

// stepList checks that raw, when given, is a JSON array of objects.
func (f *faults) stepList(field string, raw json.RawMessage) {
	if len(raw) == 0 {
		return
	}
	var steps []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &steps); err != nil || slices.ContainsFunc(steps, func(s map[string]json.RawMessage) bool { return s == nil }) {
		f.add(field, "must be a JSON array of step objects")
	}
}

// oneOf checks that value is a member of its enumeration.
func oneOf[T ~string](f *faults, field string, value T, allowed []T) {
	if slices.Contains(allowed, value) {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	f.add(field, "%q is not one of %s", string(value), strings.Join(words, ", "))
}

// setDefault gives an unset enumeration or name its default.
func setDefault[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}
