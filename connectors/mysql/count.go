package mysql

import (
	"context"
	"strconv"
	"strings"

	"arus/connectors"
)

// Count counts the rows of a target in one scan.
func (d *destination) Count(ctx context.Context, req connectors.CountRequest) (connectors.Counts, error) {
	counts := connectors.Counts{}
	target, err := d.complete(req.Target)
	if err != nil {
		return counts, err
	}
	parts := []string{"COUNT(*)"}
	for _, name := range req.Nulls {
		parts = append(parts, "COUNT(*) - COUNT("+ident(name)+")")
	}
	sql := "SELECT " + strings.Join(parts, ", ") + " FROM " + qualified(target)
	if req.RunID != "" {
		sql += " WHERE " + ident(connectors.MetaRunID) + " = " + literal(req.RunID)
	}
	err = d.with(ctx, func(ss *session) error {
		row, err := ss.queryRow(ctx, sql)
		if err != nil {
			return err
		}
		for i, field := range row {
			n, err := strconv.ParseInt(field.String, 10, 64)
			if err != nil {
				return err
			}
			if i == 0 {
				counts.Rows = n
			} else {
				counts.Nulls = append(counts.Nulls, n)
			}
		}
		return nil
	})
	return counts, d.fail("count the rows of", target.String(), err)
}
