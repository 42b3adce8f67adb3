package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"arus/connectors"
)

// check lists what is wrong with the request itself.
func (l *load) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	req := l.req
	names := []string{req.Target.Schema, req.Target.Name}
	if req.Raw != nil {
		names = append(names, req.Raw.Table.Schema, req.Raw.Table.Name)
	}
	for _, name := range names {
		if name == "" {
			fault("a target needs a schema and a name")
		}
	}
	if len(req.Columns) == 0 {
		fault("a load needs columns")
	}
	seen := map[string]bool{}
	for _, c := range req.Columns {
		names = append(names, c.Name)
		if seen[c.Name] {
			fault("column %q stands twice", c.Name)
		}
		if isMeta(c.Name) {
			fault("column %q is one that every target gets: rename or leave out the source's", c.Name)
		}
		seen[c.Name] = true
	}
	for _, name := range names {
		if len(name) > maxIdentifier || strings.IndexByte(name, 0) >= 0 {
			fault("the name %q is longer than %d bytes or holds a NUL", name, maxIdentifier)
		}
	}
	for _, k := range req.Key {
		if !seen[k] {
			fault("key column %q is not one of the load's", k)
		}
	}
	var err error
	if l.run, err = uuid.Parse(req.RunID); err != nil {
		fault("run id: %w", err)
	}
	switch req.Mode {
	case connectors.Replace:
	case connectors.Merge:
		if len(req.Key) == 0 {
			fault("a merge needs a key")
		}
	case connectors.ReplaceWindow:
		switch {
		case req.Window == nil:
			fault("replacing a window needs the window")
		case !seen[req.Window.Column]:
			fault("the window's column %q is not one of the load's", req.Window.Column)
		}
	case connectors.Retain, connectors.Remove:
		if len(req.Key) == 0 || len(req.Columns) != len(req.Key) {
			fault("to %s rows by their keys the load has the columns of the key", req.Mode)
		}
		if share := req.Retain.MaxShare; share < 0 || share > 1 {
			fault("the greatest share is %g, not 0 to 1", share)
		}
	default:
		fault("the mode %s is unknown", req.Mode)
	}
	if req.Resume != "" && req.Mode != connectors.Replace {
		fault("only a load that replaces the table is filled in parts")
	}
	return errors.Join(faults...)
}

// checkKey refuses what cannot be a sorting key.
func (l *load) checkKey() error {
	for _, c := range l.req.Columns {
		if slices.Contains(l.req.Key, c.Name) && c.Nullable {
			return l.refuse(connectors.KindConstraint, "choose a key of NOT NULL columns, or load without a key",
				fmt.Errorf("key column %q may be NULL, which no key of the server can be", c.Name))
		}
	}
	return nil
}

// checkTarget refuses a target that the load cannot enter, before any row has
// travelled.
func (l *load) checkTarget(ctx context.Context) error {
	if l.target == nil {
		return nil
	}
	refuse := func(kind connectors.ErrorKind, hint, format string, args ...any) error {
		return l.refuse(kind, hint, fmt.Errorf(format, args...))
	}
	switch {
	case l.target.isView() && l.isOwnView():
		// A view that Arus made for another target gives way to a table.
		if err := l.exec(ctx, l.drop(l.req.Target)); err != nil {
			return err
		}
		l.target = nil
		return nil
	case !strings.HasSuffix(l.target.engine, "MergeTree"):
		return refuse(connectors.KindConflict, "load into another name, or drop it", "the target is not a table of rows but a %s", l.target.engine)
	case strings.HasPrefix(l.target.engine, "Replicated") && l.cluster == "":
		return refuse(connectors.KindConstraint, "name the cluster in the connection's option cluster", "the target is replicated")
	case l.op == opRebuild && l.target.mark != nil:
		return refuse(connectors.KindUnsupported, "run a full refresh", "a declared table is not built from staged rows here")
	case l.req.Mode == connectors.Replace && l.target.mark == nil:
		return nil
	}
	var missing []string
	needed := l.req.Columns
	if l.req.Mode == connectors.Retain && l.req.Retain.Mark {
		mark := metaColumns[1]
		mark.Name, mark.Nullable = connectors.MetaDeletedAt, true
		needed = append(slices.Clone(needed), mark)
	}
	for _, c := range needed {
		have, ok := l.target.column(c.Name)
		if !ok && l.req.Mode == connectors.Replace {
			continue // the shadow gets it
		}
		if !ok || have.computed {
			missing = append(missing, ident(c.Name)+" "+l.columnType(c, false))
			continue
		}
		if l.target.mark != nil && (have.Type.Kind == connectors.Enum && c.Type.Kind == connectors.Text || c.Type.Kind.IsInteger() && have.Type.Kind.IsInteger()) {
			continue // the rows are looked at
		}
		if !accepts(c.Type, have.Type, parseNative(have.Native)) {
			return refuse(connectors.KindType, "alter the column, or run a full refresh", "column %q: %s does not fit %s", c.Name, c.Type, have.Native)
		}
	}
	for _, c := range metaColumns {
		if have, ok := l.target.column(c.Name); !ok || !accepts(c.Type, have.Type, parseNative(have.Native)) {
			missing = append(missing, ident(c.Name)+" "+l.columnType(c, false))
		}
	}
	if len(missing) > 0 {
		return refuse(connectors.KindNotFound, "run a full refresh, or: ALTER TABLE "+qualified(l.req.Target)+" ADD COLUMN "+strings.Join(missing, ", ADD COLUMN "),
			"the target has no column %s", strings.Join(missing, ", "))
	}
	for _, c := range l.target.all {
		if l.target.mark != nil && c.Name != l.target.mark.Time {
			continue // it has a default, or is of the key
		}
		if !l.deletes() && !l.provides(c.Name) && !c.Nullable && !c.computed {
			return refuse(connectors.KindConstraint, "run a full refresh, or: ALTER TABLE "+qualified(l.req.Target)+" DROP COLUMN "+ident(c.Name),
				"column %q is gone from the source and cannot be NULL", c.Name)
		}
	}
	if l.req.Mode != connectors.ReplaceWindow && !slices.Equal(l.target.PrimaryKey, l.req.Key) {
		return refuse(connectors.KindConstraint, "run a full refresh",
			"the target is not a ReplacingMergeTree(%s) ordered by %s", metaVersion, strings.Join(l.req.Key, ", "))
	}
	return nil
}

func (l *load) provides(name string) bool {
	return isMeta(name) || slices.ContainsFunc(l.req.Columns, func(c connectors.Column) bool { return c.Name == name })
}

// isOwnView says whether the target's name is taken by a view of current rows.
func (l *load) isOwnView() bool {
	_, run := l.target.column(connectors.MetaRunID)
	_, synced := l.target.column(connectors.MetaSyncedAt)
	return run && synced && l.target.engine == "View" && strings.HasSuffix(l.req.Target.Name, "_current")
}
