package postgres

import (
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// beginCarefully makes what refuses rows be there before they come: the key, the indexes and constraints of the old table. Each
// batch goes into that table at once, behind a savepoint.
func (l *load) beginCarefully(ctx context.Context) (err error) {
	if err := exec(ctx, l.conn, immediately); err != nil {
		return err
	}
	l.into, l.merges = qualified(l.req.Target), len(l.req.Key) > 0
	switch l.req.Mode { //nolint:exhaustive // the others need nothing
	case connectors.ReplaceWindow:
		l.merges = false
		err = l.emptyWindow(ctx)
	case connectors.Replace:
		l.early = true
		if err := l.findHolders(ctx); err != nil {
			return err
		}
		if len(l.holders) > 0 {
			err = l.reshape(ctx)
		} else {
			l.into = l.shadowTable()
			err = l.complete(ctx)
		}
		if err == nil {
			err = l.makeTemporary(ctx)
		}
	}
	if err != nil {
		return err
	}
	return l.makeRawTemporary(ctx)
}

// immediately makes deferred constraints speak while the row that they refuse is known.
const immediately = "SET CONSTRAINTS ALL IMMEDIATE"

// rawTemporary holds the staging rows of one batch where the staging table may get others' at the same time.
const rawTemporary = "pg_temp._arus_raw"

func (l *load) makeRawTemporary(ctx context.Context) error {
	if l.req.Raw == nil {
		return nil
	}
	return exec(ctx, l.conn, "CREATE TEMPORARY TABLE "+rawTemporary+" (_arus_id bigserial, _arus_run_id uuid NOT NULL, _arus_extracted timestamptz NOT NULL, _data jsonb NOT NULL) ON COMMIT DROP")
}

// rawFilling is the table that raw rows are sent to, and stagingTable the one where they stay until Commit.
func (l *load) rawFilling() string {
	if l.into != "" {
		return rawTemporary
	}
	return l.stagingTable()
}

func (l *load) stagingTable() string {
	if l.req.Resume != "" {
		return l.beside(pending(l.shadow))
	}
	return qualified(l.req.Raw.Table)
}

// writeThrough puts a batch where it belongs, or leaves no trace of it.
func (l *load) writeThrough(ctx context.Context, batch arrow.RecordBatch) error {
	if err := exec(ctx, l.conn, "SAVEPOINT batch"); err != nil {
		return err
	}
	rows, err := l.putBatch(ctx, batch)
	if err == nil {
		l.rows += rows
		return exec(ctx, l.conn, "RELEASE SAVEPOINT batch")
	}
	if l.copy != nil {
		l.copy.abort()
		l.copy, l.chunk = nil, nil
	}
	if back := exec(ctx, l.conn, "ROLLBACK TO SAVEPOINT batch"); back != nil {
		return errors.Join(back, err)
	}
	return err
}

func (l *load) putBatch(ctx context.Context, batch arrow.RecordBatch) (int64, error) {
	if err := l.write(ctx, batch); err != nil {
		return 0, err
	}
	rows, err := l.finishCopy(ctx)
	if err != nil {
		return 0, err
	}
	used := l.filling
	if l.req.Raw != nil {
		if err := l.buildFromStaging(ctx); err != nil {
			return 0, err
		}
		used += ", " + rawTemporary
	}
	if l.merges {
		err = l.merge(ctx, l.into)
	} else {
		err = l.insert(ctx, l.into)
	}
	if err != nil {
		return 0, err
	}
	return rows, exec(ctx, l.conn, "TRUNCATE "+used)
}
