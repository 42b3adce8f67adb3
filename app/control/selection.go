package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"arus/app/model"
	"arus/connectors"
)

// selection says which tables a person wants.
type selection struct {
	Schemas, Include, Exclude []string
	Views                     bool
}

// selectionOf is what a stored source's settings select.
func selectionOf(src model.Source) selection {
	return selection{Schemas: src.SchemaInclude, Include: src.TableInclude, Exclude: src.TableExclude, Views: src.Options.Views}
}

// filter gives the selection to a connector. A pattern may carry its sign: a
// leading + includes and a leading - excludes, in whichever list it stands.
func (sel selection) filter() connectors.TableFilter {
	f := connectors.TableFilter{Schemas: sel.Schemas, Views: sel.Views}
	for _, p := range sel.Include {
		if rest, excluded := strings.CutPrefix(p, "-"); excluded {
			f.Exclude = append(f.Exclude, rest)
		} else {
			f.Include = append(f.Include, strings.TrimPrefix(p, "+"))
		}
	}
	for _, p := range sel.Exclude {
		if rest, included := strings.CutPrefix(p, "+"); included {
			f.Include = append(f.Include, rest)
		} else {
			f.Exclude = append(f.Exclude, strings.TrimPrefix(p, "-"))
		}
	}
	return f
}

// tables discovers the selection. A name that is no pattern must exist.
func (sel selection) tables(ctx context.Context, source connectors.Source) ([]connectors.Table, error) {
	filter := sel.filter()
	found, err := source.Tables(ctx, filter)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, pattern := range filter.Include {
		if strings.ContainsAny(pattern, "*?[{\\") {
			continue
		}
		if !slices.ContainsFunc(found, func(t connectors.Table) bool { return t.Name == pattern || t.String() == pattern }) {
			missing = append(missing, pattern)
		}
	}
	if len(missing) == 0 && len(found) > 0 {
		return found, nil
	}
	all, err := source.Tables(ctx, connectors.TableFilter{Schemas: sel.Schemas, Views: sel.Views})
	if err != nil {
		return nil, err
	}
	have := make([]string, 0, len(all))
	for _, t := range all {
		have = append(have, t.Name)
	}
	slices.Sort(have)
	if len(have) > 20 {
		have = append(have[:20], fmt.Sprintf("and %d more", len(all)-20))
	}
	hint := "the source has " + strings.Join(have, ", ")
	if len(all) == 0 {
		hint = "the source has no table that this user may see; check the database, the schema and the user's privileges"
	}
	if len(missing) > 0 {
		return nil, fault("the selection", "tables", "%s not found (excluded tables count as not found); %s", strings.Join(missing, ", "), hint)
	}
	return nil, fault("the selection", "tables", "no table matches; %s", hint)
}
