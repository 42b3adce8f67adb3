package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"arus/connectors"
)

// stone is what makes a staging row s a tombstone.
const stone = "coalesce(s._data OPERATOR(pg_catalog.->>) '" + connectors.MetaDeletedAt + "' IS NOT NULL, false)"

// Rebuild makes the target anew by one statement over the staging table and swaps it in. Each row keeps the run that brought
// it. Where the target marks deleted rows, the newest row of a deleted key stays, with the mark of its tombstone.
func (d *Destination) Rebuild(ctx context.Context, req connectors.RebuildRequest) (connectors.LoadResult, error) {
	const op = "rebuild"
	l := &load{db: d.db, req: connectors.LoadRequest{
		Target: req.Target, Columns: req.Columns, Key: req.Key, Mode: connectors.Replace, RunID: uuid.Nil.String(), SyncedAt: time.Unix(0, 0).UTC(),
		Raw: &connectors.RawTarget{Table: req.Raw},
	}}
	if err := l.check(); err != nil {
		return connectors.LoadResult{}, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: req.Target.String(), Err: err}
	}
	conn, err := d.acquire(ctx)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	l.conn = conn
	err = l.rebuild(ctx, req)
	if err == nil {
		err = exec(ctx, conn, "COMMIT")
	}
	if err != nil {
		err = d.fail(ctx, op, req.Target.String(), d.grantLoad(req.Target, l.target != nil), err)
	}
	l.rollBack()
	return connectors.LoadResult{Rows: l.rows}, err
}

func (l *load) rebuild(ctx context.Context, req connectors.RebuildRequest) error {
	if err := l.ensureSchema(ctx, l.conn, req.Target.Schema); err != nil {
		return err
	}
	if err := lockTarget(ctx, l.conn, "rebuild", req.Target, l.req.Wait()); err != nil {
		return err
	}
	var err error
	if l.target, err = lookUp(ctx, l.conn, req.Target); err != nil {
		return err
	}
	if err := l.checkTarget(); err != nil {
		return err
	}
	base, err := l.findBase(ctx, req)
	if err != nil {
		return err
	}
	if err := l.makeFilling(ctx); err != nil {
		return err
	}
	tag := l.conn.Exec(ctx, "INSERT INTO "+l.filling+" ("+l.columnNames()+", "+connectors.MetaRunID+", "+connectors.MetaSyncedAt+") "+l.newest(req, base))
	results, err := tag.ReadAll()
	if err != nil {
		return err
	}
	for _, r := range results {
		l.rows = r.CommandTag.RowsAffected()
	}
	return l.replace(ctx)
}

// newest selects what the target is to hold: of each key, compared as the target's type, the row written last.
func (l *load) newest(req connectors.RebuildRequest, base int64) string {
	exprs := stagedExprs(req.Columns)
	from := qualified(req.Raw) + " AS s"
	where := " WHERE s._arus_id >= " + strconv.FormatInt(base, 10)
	if req.Fitting {
		where += " AND NOT " + dead("s")
	}
	if len(req.Key) == 0 {
		return "SELECT " + strings.Join(exprs, ", ") + ", s._arus_run_id, s._arus_extracted FROM " + from + where + " AND NOT " + stone + " ORDER BY s._arus_id"
	}
	marked := false
	for i, c := range req.Columns {
		if c.Name == connectors.MetaDeletedAt {
			marked = true
			exprs[i] = "CASE WHEN d.gone > d.id THEN (SELECT " + markExpr(c) + " FROM " + qualified(req.Raw) + " m WHERE m._arus_id = d.gone) ELSE " + exprs[i] + " END"
		}
	}
	id, gone := "pg_catalog.max(s._arus_id)", "pg_catalog.max(CASE WHEN "+stone+" THEN s._arus_id END)"
	having := " HAVING " + gone + " IS DISTINCT FROM " + id
	if marked {
		id = "pg_catalog.max(CASE WHEN NOT " + stone + " THEN s._arus_id END)"
		having = " HAVING " + id + " IS NOT NULL"
	}
	return "SELECT " + strings.Join(exprs, ", ") + ", s._arus_run_id, s._arus_extracted FROM (" +
		"SELECT " + id + " AS id, " + gone + " AS gone FROM " + from + where + " GROUP BY " + strings.Join(keyExprs(req), ", ") + having +
		") d JOIN " + from + " ON s._arus_id = d.id"
}

// markExpr is the time of a tombstone m.
func markExpr(c connectors.Column) string {
	return "(m._data OPERATOR(pg_catalog.->>) '" + connectors.MetaDeletedAt + "')::" + native(c.Type)
}

// keyExprs are the expressions of the key over a staging row.
func keyExprs(req connectors.RebuildRequest) []string {
	var columns []connectors.Column
	for _, k := range req.Key {
		i := slices.IndexFunc(req.Columns, func(c connectors.Column) bool { return c.Name == k })
		if i >= 0 {
			columns = append(columns, req.Columns[i])
		}
	}
	return stagedExprs(columns)
}

// findBase gives the id of the staging table's first row that counts: the first of the run base. Staging rows are written by
// one load after the other, so that later rows have greater ids. A full load that found no rows left none; run ids that grow
// with time then tell the later rows.
func (l *load) findBase(ctx context.Context, req connectors.RebuildRequest) (int64, error) {
	missing := func(err error) error {
		return &connectors.Error{Kind: connectors.KindNotFound, Op: "rebuild", Object: req.Raw.String(), Err: err, Hint: "run a full refresh"}
	}
	have, err := lookUp(ctx, l.conn, req.Raw)
	if err != nil {
		return 0, err
	}
	if have == nil {
		return 0, missing(errors.New("the staging table does not exist"))
	}
	if req.Base == "" {
		return 0, nil
	}
	id, err := uuid.Parse(req.Base)
	if err != nil {
		return 0, &connectors.Error{Kind: connectors.KindInvalid, Op: "rebuild", Object: req.Raw.String(), Err: fmt.Errorf("base run id: %w", err)}
	}
	for _, op := range []string{"=", ">"} {
		rows, err := query(ctx, l.conn, "SELECT pg_catalog.min(_arus_id) FROM "+qualified(req.Raw)+" WHERE _arus_run_id "+op+" $1::pg_catalog.uuid", id.String())
		if err != nil {
			return 0, err
		}
		if rows[0][0] != nil {
			return number(rows[0][0]), nil
		}
		if id.Version() != 7 {
			return 0, missing(fmt.Errorf("it has no row of the run %s", req.Base))
		}
	}
	return 1<<63 - 1, nil // the full load found nothing, and nothing came since
}

// PruneRaw deletes staging rows that no rebuild needs.
func (d *Destination) PruneRaw(ctx context.Context, req connectors.RebuildRequest, before time.Time) (int64, error) {
	const op = "prune"
	l := &load{db: d.db, req: connectors.LoadRequest{Target: req.Target}}
	conn, err := d.acquire(ctx)
	if err != nil {
		return 0, err
	}
	l.conn = conn
	n, err := l.prune(ctx, req, before)
	if err == nil {
		err = exec(ctx, conn, "COMMIT")
	}
	if err != nil {
		err = d.fail(ctx, op, req.Raw.String(), "GRANT SELECT, DELETE ON "+qualified(req.Raw)+" TO "+ident(d.user), err)
	}
	l.rollBack()
	return n, err
}

func (l *load) prune(ctx context.Context, req connectors.RebuildRequest, before time.Time) (int64, error) {
	if req.Base == "" && len(req.Key) == 0 {
		return 0, nil // each row counts
	}
	if err := lockTarget(ctx, l.conn, "prune", req.Target, connectors.DefaultLockWait); err != nil {
		return 0, err
	}
	base, err := l.findBase(ctx, req)
	if err != nil {
		return 0, err
	}
	raw := qualified(req.Raw)
	sql := "DELETE FROM " + raw + " AS o WHERE o._arus_extracted < " + mustLiteral(before.UTC().Format("2006-01-02T15:04:05.999999Z")) + "::pg_catalog.timestamptz"
	if req.Base != "" {
		sql += " AND o._arus_id < " + strconv.FormatInt(base, 10)
	} else {
		sql += " AND NOT " + dead("o")
	}
	if len(req.Key) > 0 {
		with := "WITH newest AS (SELECT pg_catalog.max(s._arus_id) AS id FROM " + raw + " AS s WHERE NOT " + dead("s") + " GROUP BY " + strings.Join(keyExprs(req), ", ") + ") "
		sql = with + sql + " AND NOT EXISTS (SELECT FROM newest n WHERE n.id = o._arus_id)"
	}
	results, err := l.conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return results[0].CommandTag.RowsAffected(), nil
}
