package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"arus/connectors"
)

// locked runs do with the target's lock, for work on a target that is no load.
func (d *destination) locked(ctx context.Context, op string, target connectors.TableRef, do func(*load) error) error {
	target, err := d.complete(target)
	if err != nil {
		return err
	}
	ss, err := d.dial(ctx)
	if err != nil {
		return err
	}
	l := &load{d: d, ss: ss, target: target}
	l.name()
	defer l.release(context.WithoutCancel(ctx))
	if err = l.takeLock(ctx); err == nil {
		err = do(l)
	}
	return d.fail(op, target.String(), err)
}

// Alter changes the target in one statement, for which the server chooses the way that disturbs least.
func (d *destination) Alter(ctx context.Context, ref connectors.TableRef, add, widen []connectors.Column) error {
	const op = "alter table"
	if len(add)+len(widen) == 0 {
		return nil
	}
	return d.locked(ctx, op, ref, func(l *load) error {
		natives, indexes, err := l.ss.describe(ctx, l.target)
		if err != nil {
			return err
		}
		if len(natives) == 0 {
			return &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: l.target.String(), Err: errors.New("there is no such table"), Hint: "copy the table in full"}
		}
		if !slices.ContainsFunc(natives, func(n native) bool { return isMeta(n.name) }) {
			return &connectors.Error{
				Kind: connectors.KindConflict, Op: op, Object: l.target.String(),
				Hint: "choose another target, or drop it", Err: errors.New("the table was not made by Arus"),
			}
		}
		changes, err := l.changes(op, natives, indexes, add, widen)
		if err != nil || len(changes) == 0 {
			return err
		}
		statement := "ALTER TABLE " + qualified(l.target) + " " + strings.Join(changes, ", ")
		for range swapAttempts {
			if _, err = l.ss.exec(ctx, statement); !isNumber1205(err) {
				break
			}
		}
		return err
	})
}

// changes are the clauses of ALTER TABLE. What is there already needs none.
func (l *load) changes(op string, natives []native, indexes []index, add, widen []connectors.Column) ([]string, error) {
	var columns []connectors.Column
	var nullable []bool
	for _, n := range natives {
		if isMeta(n.name) {
			continue
		}
		c := n.logicalColumn()
		c.Type = n.written()
		columns, nullable = append(columns, c), append(nullable, n.nullable)
	}
	find := func(name string) int {
		return slices.IndexFunc(columns, func(c connectors.Column) bool { return strings.EqualFold(c.Name, name) })
	}
	changed := map[int]string{}
	for _, c := range widen {
		i := find(c.Name)
		switch {
		case i < 0:
			return nil, &connectors.Error{
				Kind: connectors.KindNotFound, Op: op, Object: l.target.String() + "." + c.Name,
				Err: errors.New("the target has no such column"), Hint: "copy the table in full",
			}
		case columns[i].Type.Equal(c.Type) && (nullable[i] || !c.Nullable):
			continue
		case markOf(natives) != nil:
			return nil, &connectors.Error{
				Kind: connectors.KindConflict, Op: op, Object: l.target.String() + "." + c.Name,
				Err: errors.New("the column is declared, and no type of a declared column changes"), Hint: "convert the column by a transform",
			}
		}
		columns[i].Type, columns[i].Nullable = c.Type, nullable[i] || c.Nullable
		changed[i] = "MODIFY COLUMN "
	}
	for _, c := range add {
		if i := find(c.Name); i >= 0 {
			if columns[i].Type.Equal(c.Type) {
				continue
			}
			return nil, &connectors.Error{
				Kind: connectors.KindConflict, Op: op, Object: l.target.String() + "." + c.Name,
				Err: fmt.Errorf("the target has such a column, of %s and not %s", columns[i].Type, c.Type), Hint: "copy the table in full",
			}
		}
		c.Nullable = true // the rows that are there have no value
		changed[len(columns)] = "ADD COLUMN "
		columns = append(columns, c)
	}
	var key []string
	for _, ix := range indexes {
		if ix.name == "PRIMARY" {
			key = ix.columns
		}
	}
	made, err := l.ss.flavour.targetColumns(l.target.String(), columns, key)
	if err != nil {
		return nil, err
	}
	var clauses []string
	for i, c := range made {
		if clause := changed[i]; clause != "" {
			clauses = append(clauses, clause+c.ddl())
		}
	}
	return clauses, nil
}
