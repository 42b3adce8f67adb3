package mysql

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

const (
	goneTable      = "_arus_gone"
	tombstoneBatch = 16 << 10 // keys that are held in memory at once
)

// beginRemoval makes the temporary table of the keys, in the target's own types, so that keys compare as there. A target
// that is absent has nothing to delete.
func (l *load) beginRemoval(ctx context.Context) error {
	if !l.exists {
		return nil
	}
	keys := connectors.TableRef{Schema: l.target.Schema, Name: loadTable}
	names := connectors.QuoteList(l.req.Key, '`')
	if _, err := l.ss.exec(ctx, "CREATE TEMPORARY TABLE "+qualified(keys)+" (PRIMARY KEY ("+names+")) ENGINE = InnoDB ROW_FORMAT = DYNAMIC SELECT "+
		names+" FROM "+qualified(l.target)+" LIMIT 0"); err != nil {
		return err
	}
	if l.req.Raw != nil && !l.req.Retain.Mark {
		if err := l.makeStaging(ctx); err != nil {
			return err
		}
	}
	l.rows = &appender{ss: l.ss, table: keys, object: l.target.String(), columns: l.req.Columns, replace: true}
	return nil
}

// doomed finds the rows of the target to delete or to mark by the keys that arrived.
func (l *load) doomed() (tables, where string) {
	target, keys := qualified(l.target), qualified(l.rows.table)
	on := make([]string, len(l.req.Key))
	for i, k := range l.req.Key {
		on[i] = target + "." + ident(k) + " = " + keys + "." + ident(k)
	}
	join := " JOIN "
	if l.req.Mode == connectors.Retain {
		join, where = " LEFT JOIN ", " WHERE "+keys+"."+ident(l.req.Key[0])+" IS NULL"
		if l.req.Retain.Mark {
			where += " AND " + target + "." + ident(connectors.MetaDeletedAt) + " IS NULL"
		}
	}
	return target + join + keys + " ON " + strings.Join(on, " AND "), where
}

// remove deletes or marks what the load says, in one transaction.
func (l *load) remove(ctx context.Context) error {
	if _, err := l.ss.exec(ctx, "START TRANSACTION"); err != nil {
		return err
	}
	tables, where := l.doomed()
	if l.req.Mode == connectors.Retain && l.req.Retain.MaxShare > 0 {
		if err := l.checkShare(ctx, tables+where); err != nil {
			return err
		}
	}
	statement := "DELETE " + qualified(l.target) + " FROM " + tables + where
	switch {
	case l.req.Retain.Mark && l.req.Mode == connectors.Retain:
		statement = "UPDATE " + tables + " SET " + qualified(l.target) + "." + ident(connectors.MetaDeletedAt) + " = " + l.syncedAt() + where
	case l.req.Raw != nil:
		if err := l.leaveTombstones(ctx, tables+where); err != nil {
			return err
		}
	}
	var err error
	if l.deleted, err = l.ss.exec(ctx, statement); err != nil {
		return err
	}
	_, err = l.ss.exec(ctx, "COMMIT")
	return err
}

func (l *load) checkShare(ctx context.Context, doomed string) error {
	row, err := l.ss.queryRow(ctx, "SELECT (SELECT COUNT(*) FROM "+qualified(l.target)+"), (SELECT COUNT(*) FROM "+doomed+")")
	if err != nil {
		return err
	}
	all, err := strconv.ParseInt(row[0].String, 10, 64)
	if err != nil {
		return err
	}
	gone, err := strconv.ParseInt(row[1].String, 10, 64)
	if err != nil {
		return err
	}
	if float64(gone) <= l.req.Retain.MaxShare*float64(all) {
		return nil
	}
	return &connectors.Error{
		Kind: connectors.KindConflict, Op: "delete from", Object: l.target.String(),
		Hint: "see that the source is complete, then raise the limit or copy the table in full",
		Err:  fmt.Errorf("%d of %d rows are gone from the source, more than the limit of %g %%", gone, all, 100*l.req.Retain.MaxShare),
	}
}

// leaveTombstones writes the doomed keys to the staging table, as rows are written there.
func (l *load) leaveTombstones(ctx context.Context, doomed string) error {
	gone := connectors.TableRef{Schema: l.target.Schema, Name: goneTable}
	selected := make([]string, len(l.req.Columns))
	for i, c := range l.req.Columns {
		selected[i] = qualified(l.target) + "." + ident(c.Name)
	}
	left, err := l.ss.exec(ctx, "CREATE TEMPORARY TABLE "+qualified(gone)+" ("+ident(loadOrder)+
		" bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY) ENGINE = InnoDB ROW_FORMAT = DYNAMIC SELECT "+strings.Join(selected, ", ")+" FROM "+doomed)
	if err != nil {
		return err
	}
	row, err := l.ss.queryRow(ctx, "SELECT COALESCE(MAX("+ident(loadOrder)+"), 0) FROM "+qualified(gone))
	if err != nil {
		return err
	}
	last, err := strconv.ParseInt(row[0].String, 10, 64)
	if err != nil {
		return err
	}
	r := reading{ss: l.ss, table: gone, all: l.natives, columns: l.req.Columns}
	for i, c := range l.req.Columns {
		n, err := r.native(c.Name)
		if err != nil {
			return err
		}
		r.natives, selected[i] = append(r.natives, n), n.selection()
	}
	stones := l.stager(l.staging.table)
	stones.columns = append(slices.Clip(l.req.Columns), connectors.Column{Name: connectors.MetaDeletedAt, Type: connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}})
	for from := int64(0); from < last; from += tombstoneBatch {
		var batches []arrow.RecordBatch
		statement := fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE %[3]s > %[4]d AND %[3]s <= %[5]d", strings.Join(selected, ", "), qualified(gone), ident(loadOrder), from, from+tombstoneBatch)
		err := l.ss.guard(ctx, func() error {
			return r.stream(ctx, statement, connectors.Limits{}, func(batch arrow.RecordBatch) error {
				batches = append(batches, batch)
				return nil
			})
		})
		for _, batch := range batches {
			if err == nil {
				err = l.bury(ctx, stones, batch)
			}
			batch.Release()
		}
		if err != nil {
			return err
		}
		if err := stones.finish(ctx); err != nil {
			return err
		}
	}
	if stones.sent != left {
		return fmt.Errorf("%d rows are gone and %d left a tombstone", left, stones.sent)
	}
	return nil
}

// bury appends keys with the time at which they were found gone.
func (l *load) bury(ctx context.Context, stones *appender, keys arrow.RecordBatch) error {
	b := array.NewTimestampBuilder(memory.DefaultAllocator, stones.columns[len(stones.columns)-1].Type.Arrow().(*arrow.TimestampType))
	defer b.Release()
	for range keys.NumRows() {
		b.Append(arrow.Timestamp(l.req.SyncedAt.UnixMicro()))
	}
	at := b.NewArray()
	defer at.Release()
	batch := array.NewRecordBatch(connectors.Schema(stones.columns), append(slices.Clip(keys.Columns()), at), keys.NumRows())
	defer batch.Release()
	return stones.write(ctx, batch)
}
