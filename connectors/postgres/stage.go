package postgres

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

// Raw mode: the rows land as JSON in a staging table that stays, and the typed
// rows are made from them inside the database, in the same transaction.

// prepareStaging makes the staging table if it is absent.
func (l *load) prepareStaging(ctx context.Context) error {
	table := qualified(l.req.Raw.Table)
	have, err := lookUp(ctx, l.conn, l.req.Raw.Table)
	if err != nil {
		return err
	}
	if have == nil {
		// A serial column and a plain key would be named after as much of the table's name as fits, and wait for, then
		// fail against, those of another table with a like name that is being made at the same time.
		run := strings.ReplaceAll(l.req.RunID, "-", "")
		name := connectors.Shorten(l.req.Raw.Table.Name, 40) + "_" + run[max(0, len(run)-12):]
		sequence := qualified(connectors.TableRef{Schema: l.req.Raw.Table.Schema, Name: name + "_seq"})
		return exec(ctx, l.conn, "CREATE SEQUENCE "+sequence+"; CREATE TABLE "+table+" (_arus_id bigint NOT NULL DEFAULT pg_catalog.nextval("+mustLiteral(sequence)+
			"), _arus_run_id uuid NOT NULL, _arus_extracted timestamptz NOT NULL DEFAULT pg_catalog.now(), _data jsonb NOT NULL, "+
			"CONSTRAINT "+ident(name+"_key")+" PRIMARY KEY (_arus_id)); ALTER SEQUENCE "+sequence+" OWNED BY "+table+"._arus_id")
	}
	return nil
}

// clearStaging deletes what an earlier load of the run left in the staging table, in the load's own transaction.
func (l *load) clearStaging(ctx context.Context) error {
	if !l.req.Again || l.keysOnly() {
		return nil
	}
	return exec(ctx, l.conn, "DELETE FROM "+qualified(l.req.Raw.Table)+" WHERE _arus_run_id = "+l.runID+
		" AND NOT _data OPERATOR(pg_catalog.?) '"+connectors.MetaDeletedAt+"'")
}

// findRawBase notes where the staging rows to come begin.
func (l *load) findRawBase(ctx context.Context) error {
	rows, err := query(ctx, l.conn, "SELECT coalesce(pg_catalog.max(_arus_id), 0) FROM "+l.rawFilling())
	if err == nil {
		l.rawBase = number(rows[0][0])
	}
	return err
}

// copyRaw is the COPY of staging rows into a table.
func copyRaw(table string) string {
	return "COPY " + table + " (_arus_run_id, _arus_extracted, _data) FROM STDIN (FORMAT binary)"
}

// startRaw begins a staging tuple, up to the version of jsonb's form; endRaw sets the length of what came after.
func (l *load) startRaw(dst []byte) (_ []byte, size int) {
	dst = append(append(dst, 0, 3, 0, 0, 0, 16), l.runUUID[:]...)
	dst = appendInt64(dst, l.req.SyncedAt.UnixMicro()-epochMicros)
	size = len(dst)
	return append(dst, 0, 0, 0, 0, 1), size
}

func endRaw(dst []byte, size int) []byte {
	binary.BigEndian.PutUint32(dst[size:], uint32(len(dst)-size-4))
	return dst
}

// rawRow gives the function that appends a row of the batch as a staging tuple.
func (l *load) rawRow(batch arrow.RecordBatch) (func(dst []byte, i int) ([]byte, error), error) {
	if err := l.encoder.bind(batch); err != nil { // checks the forms
		return nil, err
	}
	var suspects []int // text columns that hold a NUL somewhere
	for c := range l.req.Columns {
		if a, ok := batch.Column(c).(*array.String); ok && hasNUL(a) {
			suspects = append(suspects, c)
		}
	}
	return func(dst []byte, i int) ([]byte, error) {
		for _, c := range suspects {
			if a := batch.Column(c).(*array.String); !a.IsNull(i) && strings.IndexByte(a.Value(i), 0) >= 0 {
				return dst, &valueError{column: l.req.Columns[c].Name, err: errNUL}
			}
		}
		dst, size := l.startRaw(dst)
		return endRaw(connectors.AppendRowJSON(dst, batch, l.req.Columns, i), size), nil
	}, nil
}

// buildFromStaging fills the filling table from the staging rows of this load, in
// the order they were written, so that the later one of two is the later here too.
func (l *load) buildFromStaging(ctx context.Context) error {
	from := l.rawFilling() + " AS s"
	where := " WHERE s._arus_id > " + strconv.FormatInt(l.rawBase, 10) + " AND s._arus_run_id = " + l.runID
	sql := ""
	switch {
	case l.into != "": // what came with the last batch
		where = ""
		sql = "INSERT INTO " + l.stagingTable() + " (_arus_run_id, _arus_extracted, _data) SELECT _arus_run_id, _arus_extracted, _data FROM " + rawTemporary + " ORDER BY _arus_id; "
	case l.req.Resume != "": // other parts' rows come between this transaction's
		where += " AND s.xmin::pg_catalog.text = (pg_catalog.txid_current() % 4294967296)::pg_catalog.text"
	}
	exprs := stagedExprs(l.req.Columns)
	names := l.columnNames()
	if l.encoder.tail != nil {
		names += ", " + connectors.MetaRunID + ", " + connectors.MetaSyncedAt
		exprs = append(exprs, l.runID, l.syncedAt)
	}
	return exec(ctx, l.conn, sql+byIndex+"INSERT INTO "+l.filling+" ("+names+") SELECT "+strings.Join(exprs, ", ")+" FROM "+from+where+" ORDER BY s._arus_id; "+byPlan)
}

// KeepRaw keeps rows for the staging table alone.
func (l *load) KeepRaw(rows [][]byte) { l.kept = append(l.kept, rows...) }

// stageKept stages the kept rows, when the typed ones have been built from the others.
func (l *load) stageKept(ctx context.Context) (err error) {
	if len(l.kept) == 0 {
		return nil
	}
	if err := l.beginCopy(ctx, copyRaw(l.stagingTable())); err != nil {
		return err
	}
	for _, row := range l.kept {
		dst, size := l.startRaw(l.chunk)
		if l.chunk = endRaw(append(dst, row...), size); len(l.chunk) < chunkSize {
			continue
		}
		if err := l.copy.send(ctx, l.chunk); err != nil {
			return err
		}
		l.chunk = nil
		if l.chunk, err = l.copy.buffer(ctx); err != nil {
			return err
		}
	}
	_, err = l.finishCopy(ctx)
	return err
}

// dead is the condition of a staging row that its target does not hold.
func dead(row string) string {
	return row + "._data OPERATOR(pg_catalog.?) '" + connectors.MetaDeadLetter + "'"
}

// stagedExprs are the expressions of the columns over a staging row s.
func stagedExprs(columns []connectors.Column) []string {
	exprs := make([]string, len(columns))
	for i, c := range columns {
		exprs[i] = stagedExpr(c)
	}
	return exprs
}

// stagedExpr turns a field of a staging row, spelled by AppendRowJSON, into the
// native type of its column.
func stagedExpr(c connectors.Column) string {
	name := mustLiteral(c.Name)
	value, text := "(s._data OPERATOR(pg_catalog.->) "+name+")", "(s._data OPERATOR(pg_catalog.->>) "+name+")"
	switch c.Type.Kind {
	case connectors.JSON: // of which a NULL is absent
		return value + "::" + native(c.Type)
	case connectors.Array:
		return "nullif(" + value + ", 'null')"
	case connectors.Text: // a cast would cut what is too long; the column refuses it
		return text
	case connectors.Bytes:
		return "pg_catalog.decode(" + text + ", 'base64')"
	case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
		// Years before 1 are astronomical in canonical text, BC in PostgreSQL; both
		// ways of their spelling sort before every other year.
		return "(CASE WHEN " + text + ` COLLATE "C" >= '0001' OR ` + text + " = '-infinity' THEN " + text + " ELSE " +
			"pg_catalog.lpad((1 - pg_catalog.substring(" + text + ", '^-?\\d+')::pg_catalog.int4)::pg_catalog.text, 4, '0') || " +
			"pg_catalog.substring(" + text + ", '^-?\\d+(.*)$') || ' BC' END)::" + native(c.Type)
	}
	return text + "::" + native(c.Type)
}
