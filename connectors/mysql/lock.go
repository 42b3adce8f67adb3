package mysql

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"arus/connectors"
)

func (l *load) takeLock(ctx context.Context) error {
	name := "arus:" + l.helpers
	row, err := l.ss.queryRow(ctx, "SELECT GET_LOCK("+literal(name)+", "+strconv.FormatFloat(l.req.Wait().Seconds(), 'f', 3, 64)+"), IS_USED_LOCK("+literal(name)+")")
	if err != nil {
		return err
	}
	if row == nil || row[0].String != "1" {
		holder := ""
		if row != nil && row[1].Valid {
			holder = "; its connection is " + row[1].String
		}
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "load", Object: l.target.String(),
			Hint: "wait until the other load ends" + holder, Err: errors.New("another load of this table is under way"),
		}
	}
	l.lock = name
	return nil
}

// sweep removes what a killed load left. A shadow with rows is one that was
// never swapped in: the run it belongs to did not finish, and its rows in the
// staging table, which were committed with it, go too.
func (l *load) sweep(ctx context.Context) error {
	if l.req.Raw != nil {
		if err := l.sweepRaw(ctx); err != nil {
			return err
		}
	}
	return l.drop(ctx, l.shadow, l.old, l.helper(builtTable))
}

func (l *load) drop(ctx context.Context, tables ...connectors.TableRef) error {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = qualified(t)
	}
	_, err := l.ss.exec(ctx, "DROP TABLE IF EXISTS "+strings.Join(names, ", "))
	return err
}

func (ss *session) tableType(ctx context.Context, ref connectors.TableRef) (string, error) {
	row, err := ss.queryRow(ctx, "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE "+ss.flavour.tableIs(ref))
	if err != nil || row == nil {
		return "", err
	}
	return row[0].String, nil
}

// Abort rolls back, removes what the load made and releases the lock. When the
// session is lost, another one does it, unless a later load has the lock already.
func (l *load) Abort() error { return l.abort(context.Background()) }

func (l *load) abort(ctx context.Context) error {
	if l.ss == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	if l.rows != nil {
		l.rows.abort()
	}
	err := l.undo(ctx)
	if err != nil {
		l.ss.close()
		l.lock = ""
		if l.ss, err = l.d.dial(ctx); err != nil {
			l.ss = nil
			return err
		}
		if err = l.takeLock(ctx); connectors.KindOf(err) == connectors.KindConflict {
			l.release(ctx)
			return nil
		}
		if err == nil {
			err = l.undo(ctx)
		}
	}
	l.release(ctx)
	return l.d.fail("abort the load of", l.target.String(), err)
}

func (l *load) undo(ctx context.Context) error {
	if _, err := l.ss.exec(ctx, "ROLLBACK"); err != nil {
		return err
	}
	if l.req.Raw != nil {
		if err := l.undoRaw(ctx); err != nil {
			return err
		}
	}
	switch {
	case l.parts != nil:
		return l.undoParts(ctx)
	case !l.fresh:
		return nil
	}
	return l.drop(ctx, l.shadow)
}

// release gives up the lock and the session, with its temporary tables.
func (l *load) release(ctx context.Context) {
	if l.ss == nil {
		return
	}
	if l.lock != "" {
		_, _ = l.ss.query(ctx, "SELECT RELEASE_LOCK("+literal(l.lock)+")")
	}
	l.ss.close()
	l.ss, l.lock = nil, ""
}
