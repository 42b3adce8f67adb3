package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
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
	id, err := uuid.Parse(req.RunID)
	if err != nil {
		fault("run id: %w", err)
	}
	l.runUUID = id
	l.runID = mustLiteral(id.String()) + "::pg_catalog.uuid"
	synced := connectors.AppendTimestamp(nil, arrow.Timestamp(req.SyncedAt.UnixMicro()), 'T')
	l.syncedAt = mustLiteral(historic(string(synced)+"Z")) + "::pg_catalog.timestamptz"
	switch req.Mode {
	case connectors.Replace:
	case connectors.Retain, connectors.Remove:
		if !sameSet(connectors.ColumnNames(req.Columns), req.Key) {
			fault("the columns of a load of keys are the key")
		}
	case connectors.Merge:
		if len(req.Key) == 0 {
			fault("a merge needs a key")
		}
	case connectors.ReplaceWindow:
		if req.Window == nil {
			fault("replacing a window needs the window")
		} else if len(req.Window.Or) > 0 {
			fault("the window of a load has one column")
		} else if _, err := condition(*req.Window); err != nil {
			faults = append(faults, err)
		}
	default:
		fault("the mode %s is unknown", req.Mode)
	}
	if req.Resume != "" && req.Mode != connectors.Replace {
		fault("only a table that is replaced is filled in parts")
	}
	return errors.Join(faults...)
}

// checkTarget refuses a target that the load cannot be merged into, before any
// row has travelled.
func (l *load) checkTarget() error {
	keysOnly := l.req.Mode == connectors.Retain || l.req.Mode == connectors.Remove
	refuse := func(kind connectors.ErrorKind, hint, format string, args ...any) error {
		return &connectors.Error{Kind: kind, Op: opLoad, Object: l.req.Target.String(), Err: fmt.Errorf(format, args...), Hint: hint}
	}
	switch {
	case l.target == nil && l.req.Mode == connectors.Retain:
		return refuse(connectors.KindNotFound, "run a full refresh", "the target does not exist")
	case l.target == nil:
		return nil
	}
	if l.target.kind != 'r' && l.target.kind != 'p' {
		return refuse(connectors.KindConflict, "load into another name, or drop it", "the target is a view or a foreign table")
	}
	if l.target.mark != nil && l.target.mark.Time != "" && !keysOnly && !slices.ContainsFunc(l.req.Columns, func(c connectors.Column) bool { return c.Name == l.target.mark.Time }) {
		return refuse(connectors.KindConflict, "give the rows such a column of seconds since 1970 by a transform", "the load brings no column %q, which is the declared table's time", l.target.mark.Time)
	}
	if l.req.Mode == connectors.Replace && l.target.mark == nil {
		return nil
	}
	var missing []string
	for _, c := range l.req.Columns {
		have, ok := l.target.exact(c.Name)
		if !ok {
			missing = append(missing, ident(c.Name)+" "+native(c.Type))
			continue
		}
		if keysOnly {
			continue
		}
		if why := narrows(c.Type, have.Type); why != "" {
			hint := "alter the column, or run a full refresh"
			if l.target.mark != nil {
				hint = "the table is declared and keeps its types: convert the column by a transform"
			}
			return refuse(connectors.KindType, hint, "column %q: %s", c.Name, why)
		}
	}
	if l.req.Mode == connectors.Replace {
		return nil // columns that are missing are added
	}
	metas := []string{connectors.MetaRunID + " uuid", connectors.MetaSyncedAt + " timestamptz DEFAULT now()"}
	if l.req.Retain.Mark {
		metas = append(metas, connectors.MetaDeletedAt+" timestamptz")
	}
	for _, meta := range metas {
		if name, _, _ := strings.Cut(meta, " "); !l.target.has(name) {
			missing = append(missing, meta)
		}
	}
	if len(missing) > 0 {
		return refuse(connectors.KindNotFound, "run a full refresh, or: ALTER TABLE "+qualified(l.req.Target)+" ADD COLUMN "+strings.Join(missing, ", ADD COLUMN "),
			"the target has no column %s", strings.Join(missing, ", "))
	}
	if l.req.Mode == connectors.Merge && !slices.ContainsFunc(l.target.uniques, func(columns []string) bool { return sameSet(columns, l.conflictKey(qualified(l.req.Target))) }) {
		return refuse(connectors.KindConstraint, "run a full refresh, or: ALTER TABLE "+qualified(l.req.Target)+" ADD PRIMARY KEY ("+connectors.QuoteList(l.req.Key, '"')+")",
			"the target has no unique index on %s", strings.Join(l.req.Key, ", "))
	}
	return nil
}

func (r *relation) exact(name string) (connectors.Column, bool) {
	i := slices.IndexFunc(r.Columns, func(c connectors.Column) bool { return c.Name == name })
	if i < 0 {
		return connectors.Column{}, false
	}
	return r.Columns[i], true
}

func (r *relation) has(name string) bool { _, ok := r.exact(name); return ok }

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	return true
}
