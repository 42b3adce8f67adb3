package postgres

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"arus/connectors"
)

// Count counts the rows of a target in one scan.
func (d *Destination) Count(ctx context.Context, req connectors.CountRequest) (connectors.Counts, error) {
	const op = "count the rows of"
	counts := connectors.Counts{}
	parts := []string{"pg_catalog.count(*)"}
	for _, name := range req.Nulls {
		parts = append(parts, "pg_catalog.count(*) - pg_catalog.count("+ident(name)+")")
	}
	sql := "SELECT " + strings.Join(parts, ", ") + " FROM " + qualified(req.Target)
	var args []string
	if req.RunID != "" {
		id, err := uuid.Parse(req.RunID)
		if err != nil {
			return counts, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: req.Target.String(), Err: err}
		}
		sql += " WHERE " + connectors.MetaRunID + " = $1::pg_catalog.uuid"
		args = append(args, id.String())
	}
	conn, err := d.acquire(ctx)
	if err != nil {
		return counts, err
	}
	defer d.release(conn)
	rows, err := query(ctx, conn, sql, args...)
	if err != nil {
		return counts, d.fail(ctx, op, req.Target.String(), "GRANT SELECT ON "+qualified(req.Target)+" TO "+ident(d.user), err)
	}
	counts.Rows = number(rows[0][0])
	for i := range req.Nulls {
		counts.Nulls = append(counts.Nulls, number(rows[0][i+1]))
	}
	return counts, nil
}
