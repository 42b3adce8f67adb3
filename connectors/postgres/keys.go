package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// goneKeys are the keys of the rows that a load of keys deletes or marks, numbered.
const goneKeys = "pg_temp._arus_gone"

// makeKeys makes the table of the keys that arrive. They compare as the target's, so they have its types and collations
// where those are the load's too.
func (l *load) makeKeys(ctx context.Context) error {
	if l.target == nil {
		return l.makeTemporary(ctx)
	}
	l.filling = temporary
	exprs := make([]string, len(l.req.Columns))
	for i, c := range l.req.Columns {
		if exprs[i] = ident(c.Name); native(c.Type) != l.native(c.Name) {
			exprs[i] = "NULL::" + native(c.Type) + " AS " + ident(c.Name)
		}
	}
	return exec(ctx, l.conn, "CREATE TEMPORARY TABLE "+l.filling+" ON COMMIT DROP AS SELECT "+strings.Join(exprs, ", ")+" FROM "+qualified(l.req.Target)+" WITH NO DATA")
}

func (l *load) native(column string) string {
	c, _ := l.target.exact(column)
	return c.Native
}

// deleteKeys finds out which rows go before it touches any.
func (l *load) deleteKeys(ctx context.Context) error {
	if l.target == nil {
		return nil
	}
	target, exists := qualified(l.req.Target), "EXISTS"
	if l.req.Mode == connectors.Retain {
		exists = "NOT EXISTS"
	}
	keys := make([]string, len(l.req.Key))
	for i, k := range l.req.Key {
		keys[i] = "t." + ident(k)
	}
	where := exists + " (SELECT FROM " + l.filling + " k WHERE " + l.sameKey("k", "t") + ")"
	mark := l.req.Mode == connectors.Retain && l.req.Retain.Mark
	if mark {
		where += " AND t." + connectors.MetaDeletedAt + " IS NULL"
	}
	sql := wholeTable + "ANALYZE " + l.filling + "; CREATE TEMPORARY TABLE " + goneKeys + " ON COMMIT DROP AS SELECT " + strings.Join(keys, ", ") +
		", pg_catalog.row_number() OVER () AS _arus_n FROM " + target + " t WHERE " + where + "; ANALYZE " + goneKeys
	if err := exec(ctx, l.conn, sql); err != nil {
		return err
	}
	rows, err := query(ctx, l.conn, "SELECT pg_catalog.count(*) FROM "+goneKeys)
	if err != nil {
		return err
	}
	gone := number(rows[0][0])
	l.result.Deleted = gone
	if gone == 0 {
		return nil
	}
	if err := l.checkShare(ctx, gone); err != nil {
		return err
	}
	change := "DELETE FROM " + target + " t USING " + goneKeys + " g WHERE "
	if mark {
		change = "UPDATE " + target + " t SET " + connectors.MetaDeletedAt + " = " + l.syncedAt + " FROM " + goneKeys + " g WHERE "
	}
	if err := exec(ctx, l.conn, change+l.sameKey("g", "t")); err != nil {
		return err
	}
	if l.req.Raw == nil {
		return nil
	}
	return l.leaveTombstones(ctx, gone)
}

// checkShare refuses to delete more of the target than the load's limit says.
func (l *load) checkShare(ctx context.Context, gone int64) error {
	if l.req.Mode != connectors.Retain || l.req.Retain.MaxShare <= 0 {
		return nil
	}
	rows, err := query(ctx, l.conn, "SELECT pg_catalog.count(*) FROM "+qualified(l.req.Target))
	if err != nil {
		return err
	}
	if all := number(rows[0][0]); float64(gone) > l.req.Retain.MaxShare*float64(all) {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "delete rows of", Object: l.req.Target.String(),
			Err:  fmt.Errorf("%d of %d rows are gone from the source, more than the limit of %s %%", gone, all, strconv.FormatFloat(100*l.req.Retain.MaxShare, 'f', -1, 64)),
			Hint: "check the source; raise the limit if they are meant to go",
		}
	}
	return nil
}

// slice is how many tombstones are on their way at a time.
const slice = 64 << 10

// leaveTombstones writes a staging row of each key that went, spelled as the loads spell their rows.
func (l *load) leaveTombstones(ctx context.Context, gone int64) error {
	exprs := make([]string, len(l.req.Columns))
	for i, c := range l.req.Columns {
		exprs[i] = selectExpr(c)
	}
	from := "SELECT " + strings.Join(exprs, ", ") + " FROM " + goneKeys + " WHERE _arus_n BETWEEN "
	req := connectors.ReadRequest{Table: connectors.Table{TableRef: l.req.Target}, Columns: l.req.Columns}
	reader := &Source{l.db}
	for first := int64(1); first <= gone; first += slice {
		var tuples []byte
		sql := from + strconv.FormatInt(first, 10) + " AND " + strconv.FormatInt(first+slice-1, 10)
		err := reader.copyOut(ctx, l.conn, l.req.Target.String(), "", sql, req, func(batch arrow.RecordBatch) error {
			defer batch.Release()
			for i := range int(batch.NumRows()) {
				tuples = l.tombstone(tuples, batch, i)
			}
			return nil
		})
		if err == nil {
			err = l.beginCopy(ctx, copyRaw(qualified(l.req.Raw.Table)))
		}
		if err != nil {
			return err
		}
		l.chunk = append(l.chunk, tuples...)
		rows, err := l.finishCopy(ctx)
		if err != nil {
			return err
		}
		l.result.RawRows += rows
	}
	return nil
}

// tombstone appends the staging tuple of a key that is gone.
func (l *load) tombstone(dst []byte, batch arrow.RecordBatch, i int) []byte {
	dst, size := l.startRaw(dst)
	dst = connectors.AppendRowJSON(dst, batch, l.req.Columns, i)
	dst = append(dst[:len(dst)-1], `,"`+connectors.MetaDeletedAt+`":"`...)
	dst = connectors.AppendTimestamp(dst, arrow.Timestamp(l.req.SyncedAt.UnixMicro()), 'T')
	return endRaw(append(dst, `Z"}`...), size)
}
