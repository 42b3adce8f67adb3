package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/app/auth"
	"arus/app/model"
	"arus/connectors"
	"arus/connectors/warehouse"
)

// Query runs one SELECT over the built-in warehouse in dir; timeout 0 is none.
// Reading a warehouse takes no lock, so it works while runs go on. Close the rows.
func Query(ctx context.Context, dir, sql string, timeout time.Duration) (*warehouse.Rows, error) {
	return warehouse.Query(ctx, dir, sql, warehouse.QueryOptions{Timeout: timeout})
}

// Rows is a bounded answer in rows.
type Rows struct {
	Columns   []string `json:"columns"`
	Rows      [][]any  `json:"rows"`
	Truncated bool     `json:"truncated"` // there are more
}

// The bounds of an answer that is held in memory.
const (
	maxRows      = 1000
	maxRowsBytes = 8 << 20
	queryTimeout = 30 * time.Second
	// streamTimeout bounds an answer that is sent as it comes.
	streamTimeout = 10 * time.Minute
)

// full says whether one more row would be too many.
func (r *Rows) full(limit int, size *int, values []any) bool {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			*size += len(v)
		case []byte:
			*size += len(v)
		}
		*size += 16
	}
	return len(r.Rows) >= limit || *size > maxRowsBytes
}

// QueryWarehouse answers one SELECT over the data directory's warehouse, with
// limit rows at most.
func (s *Service) QueryWarehouse(ctx context.Context, sql string, limit int) (Rows, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return Rows{}, err
	}
	if err := s.screen(ctx, sql); err != nil {
		return Rows{}, err
	}
	if limit <= 0 || limit > maxRows {
		limit = maxRows
	}
	rows, err := Query(ctx, WarehouseDir(s.Store.Dir()), sql, queryTimeout)
	if err != nil {
		return Rows{}, err
	}
	r := Rows{Columns: append([]string{}, rows.Columns()...), Rows: [][]any{}}
	var size int
	for {
		values, ok := rows.Next()
		if !ok {
			return r, errors.Join(rows.Err(), rows.Close())
		}
		if r.Truncated = r.full(limit, &size, values); r.Truncated {
			return r, rows.Close()
		}
		r.Rows = append(r.Rows, plain(values))
	}
}

// StreamWarehouse starts one SELECT over the data directory's warehouse whose rows
// are all wanted. Close them.
func (s *Service) StreamWarehouse(ctx context.Context, sql string) (*warehouse.Rows, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return nil, err
	}
	if err := s.screen(ctx, sql); err != nil {
		return nil, err
	}
	return Query(ctx, WarehouseDir(s.Store.Dir()), sql, streamTimeout)
}

// screen asks the layer outside whether a query may run.
func (s *Service) screen(ctx context.Context, sql string) error {
	if s.Screen == nil {
		return nil
	}
	if err := s.Screen(ctx, sql); err != nil {
		return fault("the query", "sql", "%s", err)
	}
	return nil
}

// plain copies a row's values in forms that JSON keeps exact: integers past 2^53
// and bytes become text.
func plain(values []any) []any {
	row := make([]any, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case []byte:
			row[i] = fmt.Sprintf("%x", v)
		case int64:
			if v > 1<<53 || v < -(1<<53) {
				row[i] = fmt.Sprint(v)
			} else {
				row[i] = v
			}
		default:
			row[i] = v
		}
	}
	return row
}

// errEnough ends a read that has seen enough.
var errEnough = errors.New("enough rows")

// Preview gives the first rows of a table of a stored source, each value as text
// or null.
func (s *Service) Preview(ctx context.Context, source, schema, table string, limit int) (Rows, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return Rows{}, err
	}
	src, err := s.Store.FindSource(ctx, source)
	if err != nil {
		return Rows{}, err
	}
	return firstRows(ctx, func(ctx context.Context) (connectors.Source, error) { return s.storedSource(ctx, src) }, schema, table, limit)
}

// PreviewDestination gives the first rows of a table of a stored destination, as
// Preview does it.
func (s *Service) PreviewDestination(ctx context.Context, destination, schema, table string, limit int) (Rows, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return Rows{}, err
	}
	dst, err := s.Store.FindDestination(ctx, destination)
	if err != nil {
		return Rows{}, err
	}
	return firstRows(ctx, func(ctx context.Context) (connectors.Source, error) { return s.readDestination(ctx, dst) }, schema, table, limit)
}

func firstRows(ctx context.Context, open func(context.Context) (connectors.Source, error), schema, table string, limit int) (Rows, error) {
	if limit <= 0 || limit > 200 {
		limit = 50
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	from, err := open(ctx)
	if err != nil {
		return Rows{}, err
	}
	defer func() { _ = from.Close() }()
	if schema == "" {
		schema = model.UnsetSchema
	}
	t, err := findTable(ctx, from, schema, table)
	if err != nil {
		return Rows{}, err
	}
	if settler, ok := from.(connectors.Settler); ok {
		if t, err = settler.Settle(ctx, t); err != nil {
			return Rows{}, err
		}
	}
	r := Rows{Columns: []string{}, Rows: [][]any{}}
	for _, c := range t.Columns {
		r.Columns = append(r.Columns, c.Name)
	}
	var size int
	err = from.Read(ctx, connectors.ReadRequest{Table: t, Columns: t.Columns, Limits: connectors.Limits{Rows: limit + 1, Bytes: maxRowsBytes}}, func(b arrow.RecordBatch) error {
		defer b.Release()
		for i := range int(b.NumRows()) {
			row := make([]any, len(t.Columns))
			for c, col := range t.Columns {
				if !b.Column(c).IsNull(i) {
					row[c] = strings.ToValidUTF8(string(connectors.AppendValue(nil, b.Column(c), col.Type, i)), "\uFFFD")
				}
			}
			if r.Truncated = r.full(limit, &size, row); r.Truncated {
				return errEnough
			}
			r.Rows = append(r.Rows, row)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return r, err
}
