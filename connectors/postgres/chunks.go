package postgres

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// usableIndexQuery finds an index of the table $1 whose order is that of the columns $2 as a comparison of them sees it: a
// whole one, ascending, by their own collations. A table with children that have no such index has none.
const usableIndexQuery = `
SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am am ON am.oid = x.relam
WHERE c.oid = pg_catalog.to_regclass($1)::pg_catalog.oid AND am.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL
  AND (c.relkind IN ('m', 'p') OR c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid))
  AND (SELECT pg_catalog.bool_and(coalesce(a.attname = k.name AND a.attcollation = i.indcollation[k.n - 1] AND i.indoption[k.n - 1] = 0 AND o.opcdefault, false))
    FROM pg_catalog.unnest($2::pg_catalog.text[]) WITH ORDINALITY k(name, n)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[k.n - 1]
    LEFT JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[k.n - 1])
LIMIT 1`

// byIndex leaves the planner no way but the index, of which a walk reads each entry once; a sort for each stretch would not.
const byIndex = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; "

// byPlan lets the planner choose again within the same transaction.
const byPlan = "SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_bitmapscan TO DEFAULT; SET LOCAL enable_sort TO DEFAULT"

// Chunks divides the table at every rows-th entry of the key's index; by arithmetic where the key is a number with few gaps.
func (s *Source) Chunks(ctx context.Context, table connectors.Table, key []string, rows int64) ([]connectors.KeyRange, error) {
	const op = "divide"
	whole := []connectors.KeyRange{{Columns: key}}
	columns := make([]connectors.Column, len(key))
	for i, name := range key {
		j := slices.IndexFunc(table.Columns, func(c connectors.Column) bool { return c.Name == name })
		if j < 0 {
			return nil, &connectors.Error{Kind: connectors.KindNotFound, Op: op, Object: table.String(), Err: fmt.Errorf("there is no column %q", name), Hint: "discover the table again"}
		}
		if columns[i] = table.Columns[j]; !divisible(columns[i]) {
			return whole, nil
		}
	}
	if len(key) == 0 || rows <= 0 || table.View {
		return whole, nil
	}
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer s.release(conn)
	found, err := query(ctx, conn, usableIndexQuery, qualified(table.TableRef), textArray(key))
	if err != nil {
		return nil, s.fail(ctx, op, table.String(), s.grantSelect(table.TableRef), err)
	}
	if len(found) == 0 {
		return whole, nil
	}
	bounds, dense, err := s.evenly(ctx, conn, table, columns, rows)
	if err == nil && !dense {
		bounds, err = s.walk(ctx, conn, table, columns, walkQuery(table, key, rows))
	}
	if err != nil {
		return nil, err
	}
	ranges := whole
	for _, b := range bounds {
		ranges[len(ranges)-1].To = b
		ranges = append(ranges, connectors.KeyRange{Columns: key, From: b})
	}
	return ranges, nil
}

// divisible says whether a value of the column, spelled as a bound, compares in SQL as the column does.
func divisible(c connectors.Column) bool {
	switch c.Type.Kind { //nolint:exhaustive // the ones that do
	case connectors.Int16, connectors.Int32, connectors.Int64, connectors.Float32, connectors.Float64, connectors.Decimal,
		connectors.Text, connectors.Enum, connectors.UUID, connectors.Date, connectors.Time, connectors.Timestamp, connectors.TimestampTZ, connectors.Bytes:
		return true
	case connectors.Numeric:
		return c.Native != "money" // spelled by the server's locale
	}
	return false
}

// walkQuery gives each rows-th key after the last one, so that it ends even if the key is not unique.
func walkQuery(table connectors.Table, key []string, rows int64) string {
	names, first, last := make([]string, len(key)), make([]string, len(key)), make([]string, len(key))
	for i, k := range key {
		names[i], first[i], last[i] = ident(k), ident(k)+" AS k"+strconv.Itoa(i), "w.k"+strconv.Itoa(i)
	}
	from := "SELECT " + strings.Join(first, ", ") + " FROM " + qualified(table.TableRef)
	order := " ORDER BY " + strings.Join(names, ", ") + " LIMIT 1 OFFSET "
	return "WITH RECURSIVE w AS ((" + from + order + strconv.FormatInt(rows, 10) + ") UNION ALL SELECT n.* FROM w CROSS JOIN LATERAL (" + from +
		" WHERE (" + strings.Join(names, ", ") + ") > (" + strings.Join(last, ", ") + ")" + order + strconv.FormatInt(rows-1, 10) + ") n) "
}

// walk runs a query that makes the relation w of keys k0, k1, ... and gives them as bounds.
func (s *Source) walk(ctx context.Context, conn *pgconn.PgConn, table connectors.Table, columns []connectors.Column, with string) ([][]connectors.Bound, error) {
	exprs := make([]string, len(columns))
	for i, c := range columns {
		c.Name = "k" + strconv.Itoa(i)
		exprs[i] = selectExpr(c)
	}
	var bounds [][]connectors.Bound
	req := connectors.ReadRequest{Table: table, Columns: columns}
	err := s.copyOut(ctx, conn, table.String(), byIndex, with+"SELECT "+strings.Join(exprs, ", ")+" FROM w", req, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		for i := range int(batch.NumRows()) {
			key := make([]connectors.Bound, len(columns))
			for c, col := range columns {
				if batch.Column(c).IsNull(i) {
					return errors.New("the key of a table cannot be null")
				}
				key[c] = connectors.Bound{Kind: col.Type.Kind, Text: string(connectors.AppendValue(nil, batch.Column(c), col.Type, i))}
			}
			bounds = append(bounds, key)
		}
		return nil
	})
	return bounds, err
}

// evenly divides a key of one integer column of which, by the statistics, at least every other value is there: stretches of
// so many values then hold about as many rows.
func (s *Source) evenly(ctx context.Context, conn *pgconn.PgConn, table connectors.Table, columns []connectors.Column, rows int64) ([][]connectors.Bound, bool, error) {
	if len(columns) > 1 || !columns[0].Type.Kind.IsInteger() || table.RowEstimate <= 0 {
		return nil, false, nil
	}
	name, from := ident(columns[0].Name), " AS k0 FROM "+qualified(table.TableRef)
	ends, err := s.walk(ctx, conn, table, columns, "WITH w AS (SELECT e.k0 FROM (SELECT pg_catalog.min("+name+")"+from+" UNION ALL SELECT pg_catalog.max("+name+")"+from+") e WHERE e.k0 IS NOT NULL) ")
	if err != nil || len(ends) < 2 {
		return nil, false, err
	}
	low, high := number([]byte(ends[0][0].Text)), number([]byte(ends[1][0].Text))
	if low > high {
		low, high = high, low
	}
	width := uint64(high) - uint64(low)
	if width >= uint64(table.RowEstimate)*2 {
		return nil, false, nil
	}
	var bounds [][]connectors.Bound
	for at := uint64(rows); at <= width; at += uint64(rows) {
		bounds = append(bounds, []connectors.Bound{{Kind: columns[0].Type.Kind, Text: strconv.FormatInt(int64(uint64(low)+at), 10)}})
	}
	return bounds, true, nil
}

// within is the WHERE expression of a range. The values are written without a type, so that they take each column's own and
// its index serves.
func within(r connectors.KeyRange) (string, error) {
	var parts []string
	for _, side := range []struct {
		bounds []connectors.Bound
		op     string
	}{{r.From, " >= "}, {r.To, " < "}} {
		if side.bounds == nil {
			continue
		}
		if len(side.bounds) != len(r.Columns) {
			return "", fmt.Errorf("a range over %d columns is bounded by %d values", len(r.Columns), len(side.bounds))
		}
		values := make([]string, len(side.bounds))
		for i, b := range side.bounds {
			text := b.Text
			switch b.Kind { //nolint:exhaustive // the others are spelled as they are
			case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
				text = historic(text)
			case connectors.Bytes:
				data, err := base64.StdEncoding.DecodeString(text)
				if err != nil {
					return "", fmt.Errorf("column %q: %w", r.Columns[i], err)
				}
				text = `\x` + hex.EncodeToString(data)
			}
			var err error
			if values[i], err = literal(text); err != nil {
				return "", fmt.Errorf("column %q: %w", r.Columns[i], err)
			}
		}
		parts = append(parts, "("+connectors.QuoteList(r.Columns, '"')+")"+side.op+"("+strings.Join(values, ", ")+")")
	}
	if len(parts) == 0 {
		return "true", nil
	}
	return strings.Join(parts, " AND "), nil
}
