package mysql

import (
	"context"
	"strings"

	"arus/connectors"
)

// The columns of a staging table.
const (
	rawID        = "_arus_id"
	rawRunID     = "_arus_run_id"
	rawExtracted = "_arus_extracted"
	rawData      = "_data"
)

// staging is the staging table of a load in raw mode. Its rows arrive in the
// transaction that builds the typed table, so that those of an unfinished run
// are never there to build from.
type staging struct {
	table connectors.TableRef
	first string   // the last _arus_id before this load
	after string   // and the last one whose row has been brought into the typed table
	made  bool     // this load created it
	kept  [][]byte // see KeepRaw
}

// beginRaw makes the staging table if need be and opens the transaction.
func (l *load) beginRaw(ctx context.Context) error {
	into := l.target
	if l.fresh {
		into = l.shadow
	}
	l.into = func(ctx context.Context) error {
		return l.bring(ctx, into, "SELECT "+l.unpacked()+", "+l.metaValues()+l.fromStaging())
	}
	if l.moves() {
		temporary := connectors.TableRef{Schema: l.target.Schema, Name: loadTable}
		// Before the transaction, which a server may not let it be part of.
		if err := l.createTemporary(ctx, temporary); err != nil {
			return err
		}
		l.into = func(ctx context.Context) error { return l.bringStagedDays(ctx, temporary) }
	}
	if err := l.openStaging(ctx); err != nil {
		return err
	}
	l.rows = l.stager(l.staging.table)
	return nil
}

// bringStagedDays upserts staged rows into a declared fact table, by way of a table of the last row of each key.
func (l *load) bringStagedDays(ctx context.Context, temporary connectors.TableRef) error {
	for _, statement := range []string{
		"DELETE FROM " + qualified(temporary),
		"REPLACE INTO " + qualified(temporary) + " (" + connectors.QuoteList(connectors.ColumnNames(l.req.Columns), '`') + ") SELECT " + l.unpacked() + l.fromStaging(),
	} {
		if _, err := l.ss.exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := l.ss.warnings(ctx); err != nil {
		return err
	}
	return l.bringDays(ctx, temporary)
}

// openStaging makes the staging table if need be, opens the transaction and finds where the load's rows begin.
func (l *load) openStaging(ctx context.Context) error {
	if err := l.makeStaging(ctx); err != nil {
		return err
	}
	if _, err := l.ss.exec(ctx, "START TRANSACTION"); err != nil {
		return err
	}
	l.open = true
	if err := l.clearStaging(ctx); err != nil {
		return err
	}
	var err error
	l.staging.first, err = l.lastStaged(ctx)
	l.staging.after = l.staging.first
	return err
}

// clearStaging deletes what an earlier load of the run left in the staging table, in the load's own transaction.
func (l *load) clearStaging(ctx context.Context) error {
	if !l.req.Again || removes(l.req.Mode) {
		return nil
	}
	_, err := l.ss.exec(ctx, "DELETE FROM "+qualified(l.staging.table)+" WHERE "+ident(rawRunID)+" = "+literal(l.req.RunID)+
		" AND JSON_EXTRACT("+ident(rawData)+", "+literal(`$."`+connectors.MetaDeletedAt+`"`)+") IS NULL")
	return err
}

func (l *load) makeStaging(ctx context.Context) error {
	ref, err := l.d.complete(l.req.Raw.Table)
	if err != nil {
		return err
	}
	l.staging.table = ref
	if err := l.ss.makeSchema(ctx, ref.Schema); err != nil {
		return err
	}
	kind, err := l.ss.tableType(ctx, ref)
	if err != nil || kind != "" {
		return err
	}
	l.staging.made = true
	return l.createStaging(ctx, "TABLE", ref)
}

func (l *load) lastStaged(ctx context.Context) (string, error) {
	row, err := l.ss.queryRow(ctx, "SELECT COALESCE(MAX("+ident(rawID)+"), 0) FROM "+qualified(l.staging.table))
	if err != nil {
		return "", err
	}
	return row[0].String, nil
}

// stager appends rows to a table of the staging table's form.
func (l *load) stager(table connectors.TableRef) *appender {
	return &appender{
		ss: l.ss, table: table, object: l.target.String(), columns: l.req.Columns, json: true,
		fixed: [][2]string{{rawRunID, literal(l.req.RunID)}, {rawExtracted, l.syncedAt()}},
	}
}

// createStaging makes a table or a temporary table of the staging table's form.
func (l *load) createStaging(ctx context.Context, what string, ref connectors.TableRef) error {
	run, err := l.ss.flavour.targetColumns(ref.String(), []connectors.Column{{Name: rawRunID, Type: connectors.Type{Kind: connectors.UUID}}}, nil)
	if err != nil {
		return err
	}
	_, err = l.ss.exec(ctx, "CREATE "+what+" IF NOT EXISTS "+qualified(ref)+" ("+
		ident(rawID)+" bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, "+run[0].ddl()+", "+
		ident(rawExtracted)+" datetime(6) NOT NULL COMMENT "+literal(commentPrefix+connectors.TimestampTZ.String())+", "+
		ident(rawData)+" json NOT NULL) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4")
	return err
}

// sweepRaw removes staged rows that were committed with a shadow that was never
// swapped in.
func (l *load) sweepRaw(ctx context.Context) error {
	kind, err := l.ss.tableType(ctx, l.shadow)
	if err != nil || kind == "" {
		return err
	}
	row, err := l.ss.queryRow(ctx, "SELECT "+ident(connectors.MetaRunID)+" FROM "+qualified(l.shadow)+" LIMIT 1")
	if err != nil || row == nil {
		return err
	}
	ref, err := l.d.complete(l.req.Raw.Table)
	if err != nil {
		return err
	}
	if kind, err = l.ss.tableType(ctx, ref); err != nil || kind == "" {
		return err
	}
	_, err = l.ss.exec(ctx, "DELETE FROM "+qualified(ref)+" WHERE "+ident(rawRunID)+" = "+literal(row[0].String))
	return err
}

// undoRaw removes the staging table that this load made, and rows that were
// committed before the swap failed.
func (l *load) undoRaw(ctx context.Context) error {
	switch {
	case l.staging.made:
		return l.drop(ctx, l.staging.table)
	case l.committed:
		_, err := l.ss.exec(ctx, "DELETE FROM "+qualified(l.staging.table)+" WHERE "+l.staged(l.staging.first))
		return err
	}
	return nil
}

// KeepRaw keeps rows for the staging table alone.
func (l *load) KeepRaw(rows [][]byte) { l.staging.kept = append(l.staging.kept, rows...) }

// stageKept stages the kept rows, when the typed ones have been built from the others.
func (l *load) stageKept(ctx context.Context, table connectors.TableRef) error {
	const enough = 256 << 10
	begin := "INSERT INTO " + qualified(table) + " (" + connectors.QuoteList([]string{rawRunID, rawExtracted, rawData}, '`') + ") VALUES "
	var values strings.Builder
	for i, row := range l.staging.kept {
		if values.Len() > 0 {
			values.WriteString(", ")
		}
		values.WriteString("(" + literal(l.req.RunID) + ", " + l.syncedAt() + ", " + literal(string(row)) + ")")
		if values.Len() < enough && i < len(l.staging.kept)-1 {
			continue
		}
		if _, err := l.ss.exec(ctx, begin+values.String()); err != nil {
			return err
		}
		values.Reset()
	}
	return nil
}

// fits is the condition of a staging row that its target holds.
func fits() string {
	return "JSON_EXTRACT(" + ident(rawData) + ", " + literal(`$."`+connectors.MetaDeadLetter+`"`) + ") IS NULL"
}

// staged is the condition on the staging table for this load's rows after one.
func (l *load) staged(after string) string {
	return ident(rawID) + " > " + after + " AND " + ident(rawRunID) + " = " + literal(l.req.RunID)
}

// fromStaging is where a SELECT finds this load's rows that have not been brought further.
func (l *load) fromStaging() string {
	return " FROM " + qualified(l.staging.table) + " WHERE " + l.staged(l.staging.after) + " ORDER BY " + ident(rawID)
}

// unpacked lists the columns of the typed table as expressions over _data.
func (l *load) unpacked() string {
	exprs := make([]string, len(l.columns))
	for i, c := range l.columns {
		exprs[i] = l.ss.flavour.fromJSON(c.Column)
	}
	return strings.Join(exprs, ", ")
}

// fromJSON takes a column's exact value out of _data. Scalars come as their
// text, which the typed column reads as LOAD DATA would; null is NULL.
func (f flavour) fromJSON(c connectors.Column) string {
	path := literal("$." + string(connectors.AppendJSONString(nil, c.Name)))
	data := ident(rawData)
	extract := "JSON_EXTRACT(" + data + ", " + path + ")"
	nested := "IF(JSON_TYPE(" + extract + ") = 'NULL', NULL, " + extract + ")"
	scalar := "IF(JSON_TYPE(" + extract + ") = 'NULL', NULL, JSON_UNQUOTE(" + extract + "))"
	if f.mariadb {
		// JSON_EXTRACT would parse twice, and respell nested values; JSON_QUERY does not, but takes no scalars.
		scalar = "JSON_VALUE(" + data + ", " + path + ")"
		nested = "COALESCE(JSON_QUERY(" + data + ", " + path + "), " + nested + ")"
	}
	switch c.Type.Kind {
	case connectors.JSON: // a NULL is left out of _data, so null is the JSON null
		if f.mariadb {
			return "COALESCE(JSON_QUERY(" + data + ", " + path + "), " + extract + ")"
		}
		return extract
	case connectors.Array:
		return nested
	case connectors.Bool:
		return "CASE " + scalar + " WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE " + scalar + " END"
	case connectors.Float32:
		// The shortest text of the greatest float is a little above it when read as a double.
		const greatest = "3.4028234663852886e38"
		return "LEAST(GREATEST(" + scalar + " + 0e0, -" + greatest + "), " + greatest + ")"
	case connectors.Bytes:
		return "FROM_BASE64(" + scalar + ")"
	case connectors.TimestampTZ:
		return "TRIM(TRAILING 'Z' FROM " + scalar + ")"
	}
	return scalar
}
