package mysql

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// In a careful load every batch goes all its way at once, under a savepoint or in a transaction of its own, so that
// whatever refuses it does so before the next one.

func (l *load) beginCarefully(ctx context.Context) error {
	if l.rows == nil {
		return nil
	}
	l.rows.careful = true
	if l.into == nil {
		return nil
	}
	return l.begun(ctx)
}

// writeCarefully takes the batch in, or refuses it and leaves the load as it was.
func (l *load) writeCarefully(ctx context.Context, batch arrow.RecordBatch) error {
	if batch.NumRows() == 0 {
		return ctx.Err()
	}
	begin, undo, end := "START TRANSACTION", "ROLLBACK", "COMMIT"
	if l.open {
		begin, undo, end = "SAVEPOINT arus", "ROLLBACK TO SAVEPOINT arus", "RELEASE SAVEPOINT arus"
	}
	if _, err := l.ss.exec(ctx, begin); err != nil {
		return err
	}
	err := l.take(ctx, batch)
	if err == nil {
		_, err = l.ss.exec(ctx, end)
		return err
	}
	err = l.d.fail("load", l.target.String(), err)
	if kind := connectors.KindOf(err); kind != connectors.KindType && kind != connectors.KindConstraint {
		return err
	}
	l.brought = l.rows.before
	if failed := l.rows.forget(ctx); failed != nil {
		return failed
	}
	if _, failed := l.ss.exec(ctx, undo); failed != nil {
		return failed
	}
	return err
}

func (l *load) take(ctx context.Context, batch arrow.RecordBatch) error {
	before := l.rows.before
	err := l.rows.write(ctx, batch)
	if err == nil {
		err = l.rows.finish(ctx)
	}
	if err == nil && l.into != nil {
		if err = l.into(ctx); err == nil {
			err = l.pass(ctx)
		}
	}
	if err != nil {
		l.rows.before = before
	}
	return err
}

// pass lets the next batch begin after what has been brought into its place.
func (l *load) pass(ctx context.Context) (err error) {
	if l.staging.after != "" {
		l.staging.after, err = l.lastStaged(ctx)
		return err
	}
	_, err = l.ss.exec(ctx, "DELETE FROM "+qualified(l.rows.table))
	return err
}
