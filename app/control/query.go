package control

import (
	"context"

	"arus/connectors/warehouse"
)

// Query runs one SELECT over the built-in warehouse in dir and calls row for
// each row; values are int64, float64, string, []byte or nil, good for the call.
// Reading a warehouse takes no lock, so it works while runs go on.
func Query(ctx context.Context, dir, sql string, row func(columns []string, values []any) error) error {
	rows, err := warehouse.Query(ctx, dir, sql, warehouse.QueryOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	columns := rows.Columns()
	for {
		values, ok := rows.Next()
		if !ok {
			return rows.Err()
		}
		if err := row(columns, values); err != nil {
			return err
		}
	}
}
