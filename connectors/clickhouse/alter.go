package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"arus/connectors"
)

const opAlter = "alter"

// Alter adds columns and widens others by one statement. A column of the key
// cannot change where it is: then the table is made anew and swapped in.
func (d *Destination) Alter(ctx context.Context, ref connectors.TableRef, add, widen []connectors.Column) error {
	a := &alteration{site: site{db: d.db, op: opAlter, ref: ref}}
	err := a.run(ctx, add, widen)
	if err != nil {
		err = a.failed(ctx, err)
	}
	if left := a.leave(); err == nil {
		err = left
	}
	return err
}

// alteration is one target being altered.
type alteration struct {
	site
	commands []string // of the ALTER
	anew     bool     // the table has to be made anew
}

func (a *alteration) run(ctx context.Context, add, widen []connectors.Column) error {
	there, err := a.lookUp(ctx, a.ref)
	if err != nil {
		return err
	}
	if there == nil {
		if there, err = a.lookUp(ctx, oldTable(a.ref)); err != nil || there == nil { // half a swap is mended below
			_, err = a.find(ctx, a.op, a.ref)
			return err
		}
	}
	a.keep = isPart // an unfinished load in parts is none of its business
	if err := a.enter(ctx, connectors.DefaultLockWait, a.ref.Schema); err != nil {
		return err
	}
	switch {
	case a.target == nil:
		_, err := a.find(ctx, a.op, a.ref)
		return err
	case !a.target.Managed || !strings.HasSuffix(a.target.engine, "MergeTree"):
		return a.refuse(connectors.KindConflict, "alter it by hand", errors.New("it was not made by Arus"))
	}
	columns := slices.Clone(a.target.all)
	if a.target.mark != nil && len(widen) > 0 {
		return a.refuse(connectors.KindConflict, "convert the column by a transform", fmt.Errorf("column %q is declared, and no type of a declared column changes", widen[0].Name))
	}
	for _, c := range widen {
		i := slices.IndexFunc(columns, func(have relationColumn) bool { return have.Name == c.Name })
		if i < 0 {
			return notThere(a.op, a.ref.String(), c.Name)
		}
		if columns[i], err = a.widen(columns[i], c); err != nil {
			return err
		}
	}
	for _, c := range add {
		i := slices.IndexFunc(columns, func(have relationColumn) bool { return have.Name == c.Name })
		if i >= 0 { // added by an alteration of which nobody heard that it was done
			if columns[i], err = a.widen(columns[i], c); err != nil {
				return err
			}
			continue
		}
		if len(c.Name) > maxIdentifier || isMeta(c.Name) {
			return a.refuse(connectors.KindInvalid, "", fmt.Errorf("a column cannot have the name %q", c.Name))
		}
		c.Nullable = true // it has no value in the rows that are there
		c.Native = a.columnType(c, false)
		columns = append(columns, relationColumn{Column: c})
		note, err := comment(c.Native, c.Type)
		if err != nil {
			return err
		}
		a.commands = append(a.commands, "ADD COLUMN "+ident(c.Name)+" "+c.Native)
		if note != "" { // old servers pass over a comment in the declaration
			a.commands = append(a.commands, "COMMENT COLUMN "+ident(c.Name)+" "+literal(note))
		}
	}
	if a.anew {
		err = a.remake(ctx, columns)
	} else if len(a.commands) > 0 {
		err = a.exec(ctx, a.alter(a.ref, a.commands))
	}
	if err != nil {
		return err
	}
	return a.ensureView(ctx)
}

// widen gives the column that holds the values of both types, and notes what has
// to be done for it.
func (a *alteration) widen(have relationColumn, want connectors.Column) (relationColumn, error) {
	key := slices.Contains(a.target.PrimaryKey, have.Name)
	if key && want.Nullable && !have.Nullable {
		return have, a.refuse(connectors.KindConstraint, "run a full refresh with another key", fmt.Errorf("key column %q cannot take NULL", have.Name))
	}
	n := parseNative(have.Native)
	to := have
	to.Type, to.Nullable = want.Type, have.Nullable || want.Nullable
	if !accepts(want.Type, have.Type, n) {
		wide, ok := connectors.Widen(have.Type, want.Type)
		if !ok || have.computed || !a.converts(have, wide) {
			return have, a.refuse(connectors.KindType, "run a full refresh", fmt.Errorf("column %q: a %s cannot become a %s", have.Name, have.Type, want.Type))
		}
		to.Type = wide
		to.Native = a.columnType(to.Column, key)
	} else {
		if wide, ok := connectors.Widen(have.Type, want.Type); ok && keepsOrText(wide, n) {
			to.Type = wide
		}
		if to.Nullable && !have.Nullable {
			to.Native = nullableNative(have.Native)
		}
	}
	if to.Native != have.Native {
		if key {
			a.anew = true
		}
		a.commands = append(a.commands, "MODIFY COLUMN "+ident(have.Name)+" "+to.Native)
	}
	before, err := comment(have.Native, have.Type)
	if err != nil {
		return have, err
	}
	after, err := comment(to.Native, to.Type)
	if err == nil && before != after {
		a.commands = append(a.commands, "COMMENT COLUMN "+ident(have.Name)+" "+literal(after))
	}
	return to, err
}

func keepsOrText(t connectors.Type, n nativeType) bool { return n.base == "String" || keeps(t, n) }

// nullableNative lets a native type take NULL.
func nullableNative(native string) string {
	if inner, ok := strings.CutPrefix(native, "LowCardinality("); ok {
		return "LowCardinality(Nullable(" + inner + ")"
	}
	return "Nullable(" + native + ")"
}

// converts says whether the server itself changes the values of a column to
// those of a wider type, and their text is the one that is meant.
func (a *alteration) converts(have relationColumn, wide connectors.Type) bool {
	to := parseNative(a.native(wide)).base
	switch n := parseNative(have.Native); {
	case have.Type.Kind.IsInteger() && n.base != "String":
		return to == "String" || to == "Decimal" || widens(have.Type.Kind, to)
	case have.Type.Kind == connectors.Decimal && n.base == "Decimal":
		// The text of wide decimals is wrong on old servers.
		return to == "Decimal" || to == "String" && (n.precision <= 18 || a.version.atLeast(20, 5))
	case have.Type.Kind == connectors.Float32:
		return to == "Float64"
	}
	return to == "String" && parseNative(have.Native).base == "String"
}

// remake copies every version of every row into a table of the new columns.
func (a *alteration) remake(ctx context.Context, columns []relationColumn) error {
	shadow := newShadow(a.ref.Schema, a.ref)
	req := connectors.LoadRequest{Key: a.target.PrimaryKey}
	var names, values []string
	for _, c := range columns {
		if c.computed {
			return a.refuse(connectors.KindUnsupported, "run a full refresh", fmt.Errorf("column %q is computed, and the key column cannot change in place", c.Name))
		}
		if !isMeta(c.Name) {
			req.Columns = append(req.Columns, c.Column)
		}
		if have, ok := a.target.column(c.Name); ok {
			names = append(names, ident(c.Name))
			value := ident(c.Name)
			if have.Native != c.Native {
				value = "CAST(" + value + " AS " + c.Native + ")"
			}
			values = append(values, value)
		}
	}
	sql, err := a.createTarget(shadow, req)
	if err != nil {
		return err
	}
	if err := a.make(ctx, shadow, sql); err != nil {
		return err
	}
	copied := "INSERT INTO " + qualified(shadow) + " (" + strings.Join(names, ", ") + ") SELECT " + strings.Join(values, ", ") + " FROM " + qualified(a.ref)
	if err := a.exec(ctx, copied); err != nil {
		return err
	}
	if err := a.held(); err != nil {
		return err
	}
	return a.swapIn(ctx, a.ref, shadow, true)
}

func (d dialect) alter(table connectors.TableRef, commands []string) string {
	return "ALTER TABLE " + qualified(table) + d.onCluster() + " " + strings.Join(commands, ", ")
}
