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

// dependentsQuery names what would be lost with the table $1 if it were
// dropped: views and rules, foreign keys onto it, triggers, policies,
// publications, children, being a partitioned table or someone's child, and
// what people set on it or its columns.
const dependentsQuery = `
SELECT DISTINCT CASE WHEN v.relkind = 'm' THEN 'materialized view ' ELSE 'view ' END || v.oid::pg_catalog.regclass::pg_catalog.text
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
  WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1::pg_catalog.oid
UNION SELECT 'foreign key ' || conname || ' of ' || conrelid::pg_catalog.regclass FROM pg_catalog.pg_constraint WHERE contype = 'f' AND (confrelid = $1::pg_catalog.oid OR conrelid = $1::pg_catalog.oid)
UNION SELECT 'trigger ' || tgname FROM pg_catalog.pg_trigger WHERE tgrelid = $1::pg_catalog.oid AND NOT tgisinternal
UNION SELECT 'policy ' || polname FROM pg_catalog.pg_policy WHERE polrelid = $1::pg_catalog.oid
UNION SELECT 'row security' FROM pg_catalog.pg_class WHERE oid = $1::pg_catalog.oid AND (relrowsecurity OR relforcerowsecurity)
UNION SELECT 'replica identity' FROM pg_catalog.pg_class WHERE oid = $1::pg_catalog.oid AND relreplident <> 'd'
UNION SELECT 'tablespace' FROM pg_catalog.pg_class WHERE oid = $1::pg_catalog.oid AND reltablespace <> 0
UNION SELECT 'statistics ' || stxname FROM pg_catalog.pg_statistic_ext WHERE stxrelid = $1::pg_catalog.oid
UNION SELECT 'default of ' || a.attname FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.atthasdef AND a.attname <> '_arus_synced_at' OR a.attidentity <> '')
UNION SELECT 'settings of ' || a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attstattarget >= 0 OR a.attoptions IS NOT NULL OR a.attstorage <> t.typstorage)
UNION SELECT 'publication ' || p.pubname FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1::pg_catalog.oid
UNION SELECT 'child table ' || inhrelid::pg_catalog.regclass FROM pg_catalog.pg_inherits WHERE inhparent = $1::pg_catalog.oid
UNION SELECT 'parent table ' || inhparent::pg_catalog.regclass FROM pg_catalog.pg_inherits WHERE inhrelid = $1::pg_catalog.oid
UNION SELECT 'function ' || d.objid::pg_catalog.regprocedure FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = $1::pg_catalog.oid
  WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'n'
    AND (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid = c.reltype)
ORDER BY 1`

func (l *load) findHolders(ctx context.Context) error {
	l.holders = nil
	if l.target == nil {
		return nil
	}
	rows, err := query(ctx, l.conn, dependentsQuery, l.target.oid)
	if err != nil {
		return err
	}
	for _, row := range rows {
		l.holders = append(l.holders, string(row[0]))
	}
	if l.target.kind == 'p' {
		l.holders = append(l.holders, "partitions")
	}
	if l.target.mark != nil {
		l.holders = append(l.holders, "its declaration")
	}
	return nil
}

// refill keeps the old table, because other things hang on it, and exchanges
// its rows. Readers see the old ones until the commit, unless the table changes
// its shape: then they wait for it.
func (l *load) refill(ctx context.Context) error {
	target := qualified(l.req.Target)
	kept, err := l.referenced(ctx)
	if err != nil {
		return err
	}
	if !l.early {
		if err := l.reshape(ctx); err != nil {
			return err
		}
		names := l.columnNames() + ", " + connectors.MetaRunID + ", " + connectors.MetaSyncedAt
		sql := "INSERT INTO " + target + " (" + names + ") SELECT " + names + " FROM " + l.shadowTable()
		if kept {
			sql += l.conflict(target)
		}
		if err := exec(ctx, l.conn, sql); err != nil {
			return err
		}
	}
	var sql []string
	switch {
	case kept && !l.early:
		sql = append(sql, wholeTable+"DELETE FROM "+target+" t WHERE NOT EXISTS (SELECT FROM "+l.shadowTable()+" s WHERE "+l.sameKey("s", "t")+")")
	case kept:
		sql = append(sql, wholeTable+"DELETE FROM "+target+" WHERE ("+connectors.MetaRunID+", "+connectors.MetaSyncedAt+") IS DISTINCT FROM ("+l.runID+", "+l.syncedAt+")")
	}
	if kept {
		sql = append(sql, l.notNulls()...)
	}
	return exec(ctx, l.conn, strings.Join(append(sql, "DROP TABLE "+l.shadowTable()), "; "))
}

// referenced says that other tables' rows refer to the target's. Then the rows
// that stay are updated: if they were deleted first, the references would
// forbid it, or go with them.
func (l *load) referenced(ctx context.Context) (bool, error) {
	if len(l.req.Key) == 0 {
		return false, nil
	}
	rows, err := query(ctx, l.conn, "SELECT FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1::pg_catalog.oid LIMIT 1", l.target.oid)
	return len(rows) > 0, err
}

// sameKey compares the keys of two tables.
func (l *load) sameKey(a, b string) string {
	parts := make([]string, len(l.req.Key))
	for i, k := range l.req.Key {
		parts[i] = a + "." + ident(k) + " = " + b + "." + ident(k)
	}
	return strings.Join(parts, " AND ")
}

// notNulls are the statements for the columns that may hold nulls and need not.
func (l *load) notNulls() []string {
	if l.target.mark != nil {
		return nil
	}
	var sql []string
	for _, c := range l.req.Columns {
		if have, ok := l.target.exact(c.Name); !c.Nullable && (!ok || have.Nullable) {
			sql = append(sql, "ALTER TABLE "+qualified(l.req.Target)+" ALTER COLUMN "+ident(c.Name)+" SET NOT NULL")
		}
	}
	return sql
}

// reshape empties the table, unless its rows are referred to, and gives it the
// columns of the load.
func (l *load) reshape(ctx context.Context) error {
	kept, err := l.referenced(ctx)
	if err != nil {
		return err
	}
	target := qualified(l.req.Target)
	var alter, changed []string
	for _, c := range l.req.Columns {
		have, ok := l.target.exact(c.Name)
		switch {
		case !ok:
			alter = append(alter, "ADD COLUMN "+ident(c.Name)+" "+native(c.Type))
		case have.Native != native(c.Type) && l.target.mark == nil:
			changed = append(changed, c.Name)
			change := "ALTER COLUMN " + ident(c.Name) + " TYPE " + native(c.Type)
			if !kept {
				change += " USING NULL::" + native(c.Type)
			}
			alter = append(alter, change)
		}
	}
	for _, meta := range []string{connectors.MetaRunID + " uuid", connectors.MetaSyncedAt + " timestamptz DEFAULT pg_catalog.now()"} {
		if name, _, _ := strings.Cut(meta, " "); !l.target.has(name) {
			alter = append(alter, "ADD COLUMN "+meta)
		}
	}
	for _, c := range l.target.Columns {
		if l.target.mark == nil && !c.Nullable && !isMeta(c.Name) && !slices.ContainsFunc(l.req.Columns, func(o connectors.Column) bool { return o.Name == c.Name && !o.Nullable }) && !slices.Contains(l.target.PrimaryKey, c.Name) {
			alter = append(alter, "ALTER COLUMN "+ident(c.Name)+" DROP NOT NULL")
		}
	}
	if len(l.target.PrimaryKey) > 0 && !sameSet(l.target.PrimaryKey, l.req.Key) {
		return l.blocked(fmt.Errorf("the key from (%s) to (%s)", strings.Join(l.target.PrimaryKey, ", "), strings.Join(l.req.Key, ", ")))
	}
	var sql []string
	if !kept {
		sql = append(sql, wholeTable+"DELETE FROM "+target)
	}
	held, err := findViews(ctx, l.conn, l.target.oid, changed)
	if err != nil {
		return err
	}
	sql = append(sql, held.drop...)
	if len(alter) > 0 {
		sql = append(sql, "ALTER TABLE "+target+" "+strings.Join(alter, ", "))
	}
	if !kept {
		sql = append(sql, l.notNulls()...)
	}
	if len(l.req.Key) > 0 && len(l.target.PrimaryKey) == 0 {
		sql = append(sql, "ALTER TABLE "+target+" ADD PRIMARY KEY ("+connectors.QuoteList(l.req.Key, '"')+")")
	}
	err = exec(ctx, l.conn, strings.Join(append([]string{immediately}, sql...), "; "))
	if err == nil {
		err = held.restore(ctx, l.conn)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && len(alter) > 0 && cannotChange(e) {
		return l.blocked(serverError{e})
	}
	return err
}

// cannotChange says that the server refuses to change a table for what hangs on it.
func cannotChange(e *pgconn.PgError) bool {
	return slices.Contains([]string{"0A000", "2BP01", "42883", "42804", "42P16"}, e.Code)
}

func (l *load) blocked(why error) error {
	return &connectors.Error{
		Kind: connectors.KindConstraint, Op: opLoad, Object: l.req.Target.String(),
		Err:  fmt.Errorf("the table must change its shape, but %s depends on it: %w", strings.Join(l.holders, ", "), why),
		Hint: "drop what depends on it and make it again after the run, or load into another target",
	}
}
