package connectors

import (
	"errors"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// flat hides slashes from globs: in a table's name a slash means nothing.
var flat = strings.NewReplacer("/", "\x1f")

// Check says which pattern of the filter is malformed.
func (f TableFilter) Check() error {
	for _, p := range slices.Concat(f.Include, f.Exclude) {
		if !doublestar.ValidatePattern(flat.Replace(p)) {
			return &Error{Kind: KindInvalid, Op: "read the pattern", Object: p, Err: errors.New("it is malformed"), Hint: "write it like orders_* or shop.*"}
		}
	}
	return nil
}

// Admits says whether the filter's names and globs let a table through: its
// name is listed or no names are, its name or schema.name matches an include or
// there is none, and no exclude matches. Schemas are the connector's to apply.
func (f TableFilter) Admits(ref TableRef) bool {
	matches := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			p = flat.Replace(p)
			return doublestar.MatchUnvalidated(p, flat.Replace(ref.Name)) || doublestar.MatchUnvalidated(p, flat.Replace(ref.String()))
		})
	}
	return (len(f.Names) == 0 || slices.Contains(f.Names, ref.Name)) && (len(f.Include) == 0 || matches(f.Include)) && !matches(f.Exclude)
}
