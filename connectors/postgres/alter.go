package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

const opAlter = "alter"

// Alter changes a target in one transaction. Views on a column whose type changes are dropped and made again with their
// owners, privileges and comments; a materialised one is filled again. What cannot be made again refuses the change.
func (d *Destination) Alter(ctx context.Context, ref connectors.TableRef, add, widen []connectors.Column) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer d.release(conn)
	err = alter(ctx, conn, ref, add, widen)
	if err == nil {
		err = exec(ctx, conn, "COMMIT")
	}
	if err == nil {
		return nil
	}
	rollBack(conn)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && cannotChange(e) {
		return &connectors.Error{
			Kind: connectors.KindConstraint, Op: opAlter, Object: ref.String(), Err: oneOf(err, e),
			Hint: "drop what depends on it, run again, and make it anew; or run a full refresh into another target",
		}
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42501" {
		return &connectors.Error{
			Kind: connectors.KindPermission, Op: opAlter, Object: ref.String(), Err: oneOf(err, e),
			Hint: "the user must own the table and the views on it, or be a member of the roles that do",
		}
	}
	return d.fail(ctx, opAlter, ref.String(), "", err)
}

// oneOf is the server's error in this package's words, behind what err says was being done.
func oneOf(err error, e *pgconn.PgError) error {
	if prefix, ok := strings.CutSuffix(err.Error(), ": "+e.Error()); ok {
		return fmt.Errorf("%s: %w", prefix, serverError{e})
	}
	return serverError{e}
}

func alter(ctx context.Context, conn *pgconn.PgConn, ref connectors.TableRef, add, widen []connectors.Column) error {
	if err := lockTarget(ctx, conn, opAlter, ref, connectors.DefaultLockWait); err != nil {
		return err
	}
	target, err := lookUp(ctx, conn, ref)
	if err != nil {
		return err
	}
	refuse := func(kind connectors.ErrorKind, format string, args ...any) error {
		return &connectors.Error{Kind: kind, Op: opAlter, Object: ref.String(), Err: fmt.Errorf(format, args...)}
	}
	if target == nil {
		return refuse(connectors.KindNotFound, "the table does not exist")
	}
	var sql, changed []string
	for _, c := range add {
		have, ok := target.exact(c.Name)
		switch {
		case ok && have.Native != native(c.Type):
			return refuse(connectors.KindConflict, "there is a column %q of type %s already", c.Name, have.Native)
		case !ok:
			sql = append(sql, "ADD COLUMN "+ident(c.Name)+" "+native(c.Type))
		}
	}
	for _, c := range widen {
		have, ok := target.exact(c.Name)
		if !ok {
			return refuse(connectors.KindNotFound, "there is no column %q", c.Name)
		}
		if have.Native != native(c.Type) {
			if target.mark != nil {
				return refuse(connectors.KindConflict, "column %q of type %s is declared, and no type of a declared column changes", c.Name, have.Native)
			}
			if why := narrows(have.Type, c.Type); why != "" {
				return refuse(connectors.KindType, "column %q: %s", c.Name, why)
			}
			sql = append(sql, "ALTER COLUMN "+ident(c.Name)+" TYPE "+native(c.Type))
			changed = append(changed, c.Name)
		}
		if c.Nullable && !have.Nullable && !slices.Contains(target.PrimaryKey, c.Name) {
			sql = append(sql, "ALTER COLUMN "+ident(c.Name)+" DROP NOT NULL")
		}
	}
	if len(sql) == 0 {
		return nil
	}
	held, err := findViews(ctx, conn, target.oid, changed)
	if err != nil {
		return err
	}
	statements := append(slices.Clone(held.drop), "ALTER TABLE "+qualified(ref)+" "+strings.Join(sql, ", "))
	// Readers of the table are waited for, but not for ever: others would queue behind.
	if err := exec(ctx, conn, fmt.Sprintf("SET LOCAL lock_timeout = %d; ", connectors.DefaultLockWait.Milliseconds())+strings.Join(statements, "; ")); err != nil {
		return err
	}
	return held.restore(ctx, conn)
}
