package clickhouse

import (
	"context"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"arus/connectors"
)

// Count counts the current rows of a target in one scan.
func (d *Destination) Count(ctx context.Context, req connectors.CountRequest) (connectors.Counts, error) {
	const op = "count the rows of"
	counts := connectors.Counts{}
	r, err := d.find(ctx, op, req.Target)
	if err != nil {
		return counts, err
	}
	parts := []string{"count()"}
	for _, name := range req.Nulls {
		parts = append(parts, "countIf(isNull("+ident(name)+"))")
	}
	var where []string
	if req.RunID != "" {
		id, err := uuid.Parse(req.RunID)
		if err != nil {
			return counts, &connectors.Error{Kind: connectors.KindInvalid, Op: op, Object: req.Target.String(), Err: err}
		}
		where = append(where, ident(connectors.MetaRunID)+" = toUUID("+literal(id.String())+")")
	}
	numbers := make([]uint64, len(parts))
	dest := make([]any, len(parts))
	for i := range numbers {
		dest[i] = &numbers[i]
	}
	err = d.query(ctx, selectCurrent(r, strings.Join(parts, ", "), where...), func(rows driver.Rows) error { return rows.Scan(dest...) })
	if err != nil {
		return counts, d.fail(ctx, op, req.Target.String(), d.grantSelect(r.TableRef), err)
	}
	counts.Rows = int64(numbers[0])
	for _, n := range numbers[1:] {
		counts.Nulls = append(counts.Nulls, int64(n))
	}
	return counts, nil
}
