package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"arus/connectors"
)

// complete gives a table without a schema the destination's database.
func (d *destination) complete(ref connectors.TableRef) (connectors.TableRef, error) {
	if ref.Schema == "" {
		ref.Schema = d.cfg.Database
	}
	if ref.Schema == "" {
		return ref, &connectors.Error{
			Kind: connectors.KindInvalid, Op: "load", Object: ref.Name,
			Hint: "set the target schema, or a database in the URL", Err: errors.New("the target names no database"),
		}
	}
	return ref, nil
}

// removes says whether a load in this mode brings the keys of rows to delete or to keep, and no rows.
func removes(mode connectors.LoadMode) bool {
	return mode == connectors.Retain || mode == connectors.Remove
}

func checkRequest(object string, req connectors.LoadRequest) error {
	fault := ""
	switch {
	case len(req.Columns) == 0:
		fault = "the load has no columns"
	case req.Mode == connectors.Merge && len(req.Key) == 0:
		fault = "a merge needs a key"
	case req.Mode == connectors.ReplaceWindow && req.Window == nil:
		fault = "the window to replace is missing"
	case removes(req.Mode) && len(req.Key) == 0:
		fault = "rows are deleted by a key"
	case req.Resume != "" && req.Mode != connectors.Replace:
		fault = "only a replacing load goes on where another one stopped"
	case req.Mode < connectors.Replace || req.Mode > connectors.Remove:
		fault = "the load has no mode"
	}
	for _, k := range req.Key {
		if !slices.ContainsFunc(req.Columns, func(c connectors.Column) bool { return strings.EqualFold(c.Name, k) }) {
			fault = "the key's column " + k + " is not among the columns"
		}
	}
	if fault == "" {
		return nil
	}
	return &connectors.Error{Kind: connectors.KindInvalid, Op: "load", Object: object, Err: errors.New(fault)}
}

// lookAtTarget reads the target as it is and refuses one that the load does not fit.
func (l *load) lookAtTarget(ctx context.Context) error {
	kind, err := l.ss.tableType(ctx, l.target)
	if err != nil || kind == "" {
		return err
	}
	if kind != "BASE TABLE" {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "load", Object: l.target.String(),
			Hint: "choose another target, or drop it", Err: fmt.Errorf("the target is a %s, not a table", strings.ToLower(kind)),
		}
	}
	l.exists = true
	natives, indexes, err := l.ss.describe(ctx, l.target)
	if err != nil {
		return err
	}
	l.natives, l.mark = natives, markOf(natives)
	if l.req.Mode == connectors.Replace && l.mark == nil {
		return nil
	}
	return l.fits(natives, indexes)
}

func (l *load) fits(natives []native, indexes []index) error {
	const hint = "copy the table in full, which makes the target anew"
	find := func(name string) (native, bool) {
		i := slices.IndexFunc(natives, func(n native) bool { return strings.EqualFold(n.name, name) })
		if i < 0 {
			return native{}, false
		}
		return natives[i], true
	}
	for _, name := range []string{connectors.MetaRunID, connectors.MetaSyncedAt} {
		if _, ok := find(name); !ok {
			return &connectors.Error{
				Kind: connectors.KindConflict, Op: "load", Object: l.target.String(),
				Hint: "choose another target, or drop it", Err: fmt.Errorf("the target has no column %s: Arus did not make it", name),
			}
		}
	}
	columns := l.columns
	if l.req.Retain.Mark {
		mark, err := l.ss.flavour.targetColumns(l.target.String(), []connectors.Column{{Name: connectors.MetaDeletedAt, Type: connectors.Type{Kind: connectors.TimestampTZ}, Nullable: true}}, nil)
		if err != nil {
			return err
		}
		columns = append(slices.Clip(columns), mark...)
	}
	for _, c := range columns {
		n, ok := find(c.Name)
		if !ok && l.req.Mode == connectors.Replace {
			continue // the shadow gets it
		}
		if !ok {
			return &connectors.Error{
				Kind: connectors.KindNotFound, Op: "load", Object: l.target.String() + "." + c.Name,
				Hint: hint + ", or add it: ALTER TABLE " + qualified(l.target) + " ADD " + c.ddl(), Err: errors.New("the target has no such column"),
			}
		}
		if !n.holds(c.Type) {
			return typeError("load", l.target.String()+"."+c.Name, hint+", or change it: ALTER TABLE "+qualified(l.target)+" MODIFY "+c.ddl(),
				"the target's %s does not hold every %s", n.column, c.Type)
		}
	}
	if l.mark != nil && l.mark.Time != "" && !removes(l.req.Mode) && !slices.ContainsFunc(l.columns, func(c column) bool { return strings.EqualFold(c.Name, l.mark.Time) }) {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "load", Object: l.target.String(), Hint: "give the rows such a column of seconds since 1970 by a transform",
			Err: fmt.Errorf("the load brings no column %s, which is the declared table's time", l.mark.Time),
		}
	}
	var primary []string
	for _, ix := range indexes {
		switch {
		case ix.name == "PRIMARY":
			primary = ix.columns
		case ix.unique && l.req.Mode == connectors.Merge:
			return &connectors.Error{
				Kind: connectors.KindConstraint, Op: "load", Object: l.target.String(), Hint: "drop the index " + ix.name,
				Err: fmt.Errorf("the target has another unique key (%s): a row could replace the wrong one", strings.Join(ix.columns, ", ")),
			}
		}
	}
	if l.mark != nil && sameColumns(primary, l.mark.PhysicalKey()) {
		primary = l.mark.Key
	}
	if (l.req.Mode == connectors.Merge || removes(l.req.Mode) || l.mark != nil) && !sameColumns(primary, l.req.Key) {
		return &connectors.Error{
			Kind: connectors.KindConstraint, Op: "load", Object: l.target.String(), Hint: hint,
			Err: fmt.Errorf("the target's primary key is (%s), the load's key (%s)", strings.Join(primary, ", "), strings.Join(l.req.Key, ", ")),
		}
	}
	return nil
}

func sameColumns(a, b []string) bool {
	fold := func(names []string) []string {
		out := make([]string, len(names))
		for i, n := range names {
			out[i] = strings.ToLower(n)
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(fold(a), fold(b))
}
