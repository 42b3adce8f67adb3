package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// defaultSchema is where tables are looked for, and where names need no prefix.
const defaultSchema = "public"

// relation is a table with what only this package asks about it.
type relation struct {
	connectors.Table
	oid     string
	kind    byte             // relkind
	uniques [][]string       // columns of every unique index that ON CONFLICT can use, the primary key's included
	mark    *connectors.Mark // of a declared table (only from lookUp); its key is then PrimaryKey
}

// tablesQuery lists relations of the kinds $1, schemas $2 and names $3 with their estimates; inherited
// rows count to the parent, and partitions are no tables of their own.
const tablesQuery = `
SELECT c.oid, n.nspname, c.relname, c.relkind, e.tuples, e.bytes
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  WITH RECURSIVE tree(oid) AS (
    SELECT c.oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid
  )
  SELECT pg_catalog.sum(CASE WHEN k.reltuples > 0 OR k.reltuples = 0 AND (k.relpages > 0 OR k.size = 0) THEN k.reltuples END)::pg_catalog.int8 AS tuples,
         pg_catalog.sum(k.total)::pg_catalog.int8 AS bytes
  FROM (
    SELECT k.reltuples, k.relpages, pg_catalog.pg_relation_size(k.oid) AS size, pg_catalog.pg_total_relation_size(k.oid) AS total
    FROM tree JOIN pg_catalog.pg_class k ON k.oid = tree.oid WHERE k.relkind IN ('r', 'm')
  ) k
) e ON c.relkind IN ('r', 'p', 'm')
WHERE c.relkind = ANY ($1::pg_catalog."char"[]) AND NOT c.relispartition AND n.nspname = ANY ($2::pg_catalog.text[])
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relname !~ '^_arus_part_[0-9a-f]{16}_'
  AND ($3::pg_catalog.text[] = '{}' OR c.relname = ANY ($3::pg_catalog.text[]))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname`

// namedQuery finds the relations of the schemas $1 and names $2, pair by pair, without their estimates.
const namedQuery = `
SELECT c.oid, n.nspname, c.relname, c.relkind, NULL, NULL
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS w(schema, name)
JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')`

const columnsQuery = `
SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, %s, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum`

// typesQuery describes the types $1 and all that they are made of.
const typesQuery = `
WITH RECURSIVE t(oid) AS (
  SELECT pg_catalog.unnest($1::pg_catalog.oid[])
  UNION
  SELECT part FROM t JOIN pg_catalog.pg_type p ON p.oid = t.oid
  CROSS JOIN LATERAL (VALUES (p.typbasetype), (p.typelem)) AS v(part) WHERE part <> 0
)
SELECT p.oid, p.typname, n.nspname = 'pg_catalog', p.typtype, p.typbasetype, p.typtypmod, p.typelem,
  p.typcategory = 'A' AND p.typelem <> 0 AND p.typlen = -1,
  (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = p.oid)
FROM t JOIN pg_catalog.pg_type p ON p.oid = t.oid JOIN pg_catalog.pg_namespace n ON n.oid = p.typnamespace`

const indexesQuery = `
SELECT i.indrelid, i.indisprimary, i.indisunique, i.indimmediate, i.indpred IS NULL AND i.indexprs IS NULL, am.amname, i.indkey, %s
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE i.indrelid = ANY ($1::pg_catalog.oid[]) AND i.indisvalid
ORDER BY i.indrelid, i.indexrelid`

// nullsQuery gives the share of nulls of columns that may be watermarks.
const nullsQuery = `
SELECT s.schemaname, s.tablename, s.attname, s.null_frac::pg_catalog.float8
FROM pg_catalog.pg_stats s
WHERE s.schemaname = ANY ($1::pg_catalog.text[]) AND NOT s.inherited
  AND pg_catalog.lower(pg_catalog.replace(s.attname, '_', '')) = ANY ($2::pg_catalog.text[])`

// Source reads a PostgreSQL database.
type Source struct{ *db }

// Tables discovers tables in five queries, however many they are.
func (s *Source) Tables(ctx context.Context, filter connectors.TableFilter) ([]connectors.Table, error) {
	const op = "discover tables of"
	if err := filter.Check(); err != nil {
		return nil, err
	}
	conn, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer s.release(conn)
	kinds := "{r,p,f}"
	if filter.Views {
		kinds = "{r,p,f,v,m}"
	}
	schemas := filter.Schemas
	if len(schemas) == 0 {
		schemas = []string{defaultSchema}
	}
	found, err := describe(ctx, conn, filter.Admits, tablesQuery, kinds, textArray(schemas), textArray(filter.Names))
	if err != nil {
		return nil, s.fail(ctx, op, s.address, "", err)
	}
	tables := make([]connectors.Table, len(found))
	for i, r := range found {
		tables[i] = r.Table
	}
	if err := addNullShares(ctx, conn, tables, schemas); err != nil {
		return nil, s.fail(ctx, op, s.address, "", err)
	}
	return tables, nil
}

func addNullShares(ctx context.Context, conn *pgconn.PgConn, tables []connectors.Table, schemas []string) error {
	rows, err := query(ctx, conn, nullsQuery, textArray(schemas), textArray(connectors.WatermarkNames()))
	if err != nil {
		return err
	}
	shares := make(map[[3]string]float64, len(rows))
	for _, row := range rows {
		if share, err := strconv.ParseFloat(string(row[3]), 64); err == nil {
			shares[[3]string{string(row[0]), string(row[1]), string(row[2])}] = share
		}
	}
	for i := range tables {
		t := &tables[i]
		for c := range t.Columns {
			if share, ok := shares[[3]string{t.Schema, t.Name, t.Columns[c].Name}]; ok {
				t.Columns[c].NullShare = &share
			}
		}
	}
	return nil
}

// describe completes the relations of a query with their columns and keys.
func describe(ctx context.Context, conn *pgconn.PgConn, match func(connectors.TableRef) bool, sql string, args ...string) ([]*relation, error) {
	rows, err := query(ctx, conn, sql, args...)
	if err != nil {
		return nil, err
	}
	var found []*relation
	byOID := map[string]*relation{}
	var oids []string
	for _, row := range rows {
		r := &relation{oid: string(row[0]), kind: row[3][0]}
		r.TableRef = connectors.TableRef{Schema: string(row[1]), Name: string(row[2])}
		if match != nil && !match(r.TableRef) {
			continue
		}
		r.DefaultSchema = r.Schema == defaultSchema
		r.View = r.kind == 'v' || r.kind == 'm'
		r.RowEstimate, r.Bytes = number(row[4]), number(row[5])
		found, oids = append(found, r), append(oids, r.oid)
		byOID[r.oid] = r
	}
	if len(found) == 0 {
		return nil, nil
	}
	names, err := describeColumns(ctx, conn, byOID, textArray(oids))
	if err != nil {
		return nil, err
	}
	return found, describeIndexes(ctx, conn, byOID, names, textArray(oids))
}

// attribute names a column by its table and number, as pg_index does.
type attribute struct{ table, number string }

func describeColumns(ctx context.Context, conn *pgconn.PgConn, tables map[string]*relation, oids string) (map[attribute]string, error) {
	generated := "false"
	if major(conn) >= 12 {
		generated = "a.attgenerated <> ''"
	}
	rows, err := query(ctx, conn, fmt.Sprintf(columnsQuery, generated), oids)
	if err != nil {
		return nil, err
	}
	var typeOIDs []string
	for _, row := range rows {
		if oid := string(row[3]); !slices.Contains(typeOIDs, oid) {
			typeOIDs = append(typeOIDs, oid)
		}
	}
	types, err := describeTypes(ctx, conn, textArray(typeOIDs))
	if err != nil {
		return nil, err
	}
	names := make(map[attribute]string, len(rows))
	for _, row := range rows {
		t := tables[string(row[0])]
		column := connectors.Column{
			Name:      string(row[2]),
			Type:      logical(types, uint32(number(row[3])), int32(number(row[4]))),
			Native:    string(row[7]),
			Nullable:  !truth(row[5]),
			Generated: truth(row[6]),
		}
		t.Columns = append(t.Columns, column)
		names[attribute{string(row[0]), string(row[1])}] = column.Name
	}
	return names, nil
}

func describeTypes(ctx context.Context, conn *pgconn.PgConn, oids string) (map[uint32]pgType, error) {
	rows, err := query(ctx, conn, typesQuery, oids)
	if err != nil {
		return nil, err
	}
	types := make(map[uint32]pgType, len(rows))
	for _, row := range rows {
		t := pgType{
			oid: uint32(number(row[0])), name: string(row[1]), system: truth(row[2]), kind: row[3][0],
			base: uint32(number(row[4])), typmod: int32(number(row[5])), elem: uint32(number(row[6])), array: truth(row[7]),
		}
		if row[8] != nil {
			if err := json.Unmarshal(row[8], &t.labels); err != nil {
				return nil, fmt.Errorf("labels of enum %s: %w", t.name, err)
			}
		}
		types[t.oid] = t
	}
	return types, nil
}

func describeIndexes(ctx context.Context, conn *pgconn.PgConn, tables map[string]*relation, names map[attribute]string, oids string) error {
	keyColumns := "i.indnatts"
	if major(conn) >= 11 { // INCLUDE columns
		keyColumns = "i.indnkeyatts"
	}
	rows, err := query(ctx, conn, fmt.Sprintf(indexesQuery, keyColumns), oids)
	if err != nil {
		return err
	}
	for _, row := range rows {
		t := tables[string(row[0])]
		primary, unique, immediate, plain, method := truth(row[1]), truth(row[2]), truth(row[3]), truth(row[4]), string(row[5])
		if !plain {
			continue
		}
		var columns []string
		notNull := true
		for _, n := range strings.Fields(string(row[6]))[:number(row[7])] {
			name := names[attribute{string(row[0]), n}]
			column, ok := t.Column(name)
			notNull = notNull && ok && !column.Nullable
			columns = append(columns, name)
		}
		if primary {
			t.PrimaryKey = columns
		} else if unique && notNull && immediate {
			t.UniqueKeys = append(t.UniqueKeys, columns)
		}
		if unique && immediate {
			t.uniques = append(t.uniques, columns)
		}
		if (method == "btree" || method == "brin") && !slices.Contains(t.Indexed, columns[0]) {
			t.Indexed = append(t.Indexed, columns[0])
		}
	}
	return nil
}

// number reads an integer of the catalog; a null is -1.
func number(text []byte) int64 {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func truth(text []byte) bool { return string(text) == "t" }

// textArray writes a text array constant.
func textArray(items []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = `"` + escape.Replace(strings.ReplaceAll(item, "\x00", "")) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}
