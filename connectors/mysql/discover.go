package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
)

// systemSchemas are never a person's.
var systemSchemas = []string{"information_schema", "mysql", "performance_schema", "sys"}

// Tables discovers with one query each for tables, columns, indexes and, on
// MariaDB, JSON checks.
func (s *source) Tables(ctx context.Context, filter connectors.TableFilter) ([]connectors.Table, error) {
	var tables []connectors.Table
	err := s.with(ctx, func(ss *session) (err error) {
		tables, err = s.discover(ctx, ss, filter)
		return s.fail("discover tables of", s.cfg.Database, err)
	})
	return tables, err
}

func (s *server) discover(ctx context.Context, ss *session, filter connectors.TableFilter) ([]connectors.Table, error) {
	if err := filter.Check(); err != nil {
		return nil, err
	}
	schemas := filter.Schemas
	if len(schemas) == 0 {
		schemas = []string{s.cfg.Database}
	}
	var list []string
	for _, schema := range schemas {
		if !slices.Contains(systemSchemas, strings.ToLower(schema)) {
			list = append(list, literal(schema))
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	in := "TABLE_SCHEMA IN (" + strings.Join(list, ", ") + ")"
	if len(filter.Names) > 0 {
		names := make([]string, len(filter.Names))
		for i, n := range filter.Names {
			names[i] = literal(n)
		}
		in += " AND TABLE_NAME IN (" + strings.Join(names, ", ") + ")"
	}
	kinds := "'BASE TABLE', 'SYSTEM VERSIONED'"
	if filter.Views {
		kinds += ", 'VIEW'"
	}
	rows, err := ss.query(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES WHERE "+
		in+" AND TABLE_TYPE IN ("+kinds+")")
	if err != nil {
		return nil, err
	}
	// The server would sort by a collation of its own.
	slices.SortFunc(rows, func(a, b []sql.NullString) int {
		return cmp.Or(strings.Compare(a[0].String, b[0].String), strings.Compare(a[1].String, b[1].String))
	})
	var tables []connectors.Table
	at := map[connectors.TableRef]int{}
	for _, r := range rows {
		ref := connectors.TableRef{Schema: r[0].String, Name: r[1].String}
		if !filter.Admits(ref) {
			continue
		}
		t := connectors.Table{TableRef: ref, DefaultSchema: s.sameName(ref.Schema, s.cfg.Database), View: r[2].String == "VIEW", RowEstimate: -1, Bytes: -1}
		if !t.View {
			if n, err := strconv.ParseInt(r[3].String, 10, 64); err == nil {
				t.RowEstimate = n
			}
			if n, err := strconv.ParseInt(r[4].String, 10, 64); err == nil {
				t.Bytes = n
			}
		}
		at[ref] = len(tables)
		tables = append(tables, t)
	}
	columns, err := ss.columns(ctx, in)
	if err != nil {
		return nil, err
	}
	for ref, natives := range columns {
		if i, ok := at[ref]; ok {
			for _, n := range natives {
				tables[i].Columns = append(tables[i].Columns, n.logicalColumn())
			}
		}
	}
	indexes, err := ss.indexes(ctx, in)
	if err != nil {
		return nil, err
	}
	for ref, list := range indexes {
		if i, ok := at[ref]; ok {
			addKeys(&tables[i], list)
		}
	}
	return tables, nil
}

func (s *server) sameName(a, b string) bool {
	return a == b || s.flavour.lowerNames && strings.EqualFold(a, b)
}

// columns describes the columns of the tables that where (over TABLE_SCHEMA and
// TABLE_NAME) admits, in order.
func (ss *session) columns(ctx context.Context, where string) (map[connectors.TableRef][]native, error) {
	rows, err := ss.query(ctx, "SELECT "+nativeColumns+", TABLE_SCHEMA, TABLE_NAME FROM information_schema.COLUMNS WHERE "+where+
		" ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION")
	if err != nil {
		return nil, err
	}
	out := map[connectors.TableRef][]native{}
	for _, r := range rows {
		ref := connectors.TableRef{Schema: r[12].String, Name: r[13].String}
		out[ref] = append(out[ref], scanNative(r))
	}
	if !ss.flavour.mariadb {
		return out, nil
	}
	// MariaDB's JSON is LONGTEXT; only the check that it adds tells.
	checks, err := ss.query(ctx, "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME FROM information_schema.CHECK_CONSTRAINTS WHERE "+
		strings.ReplaceAll(where, "TABLE_SCHEMA", "CONSTRAINT_SCHEMA")+" AND LEVEL = 'Column' AND CHECK_CLAUSE LIKE 'json_valid(%'")
	if err != nil {
		return nil, err
	}
	for _, r := range checks {
		natives := out[connectors.TableRef{Schema: r[0].String, Name: r[1].String}]
		for i := range natives {
			if natives[i].name == r[2].String && strings.HasSuffix(natives[i].data, "text") {
				natives[i].json = true
			}
		}
	}
	return out, nil
}

// index is one index with its columns in order.
type index struct {
	name    string
	unique  bool
	columns []string
	whole   bool // of whole, NOT NULL columns
}

func (ss *session) indexes(ctx context.Context, where string) (map[connectors.TableRef][]index, error) {
	rows, err := ss.query(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, NULLABLE FROM information_schema.STATISTICS WHERE "+
		where+" ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX")
	if err != nil {
		return nil, err
	}
	out := map[connectors.TableRef][]index{}
	for _, r := range rows {
		ref := connectors.TableRef{Schema: r[0].String, Name: r[1].String}
		list := out[ref]
		if len(list) == 0 || list[len(list)-1].name != r[2].String {
			list = append(list, index{name: r[2].String, unique: r[3].String == "0", whole: true})
		}
		last := &list[len(list)-1]
		last.columns = append(last.columns, r[4].String)
		last.whole = last.whole && r[4].Valid && !r[5].Valid && r[6].String != "YES"
		out[ref] = list
	}
	return out, nil
}

func addKeys(t *connectors.Table, indexes []index) {
	for _, ix := range indexes {
		switch {
		case ix.name == "PRIMARY":
			t.PrimaryKey = ix.columns
		case ix.unique && ix.whole:
			t.UniqueKeys = append(t.UniqueKeys, ix.columns)
		}
		if lead := ix.columns[0]; lead != "" && !slices.Contains(t.Indexed, lead) {
			t.Indexed = append(t.Indexed, lead)
		}
	}
}

// tableIs is the condition on information_schema for exactly one table. The
// plain comparison, which the server looks up, may ignore case; the other does not.
func (f flavour) tableIs(ref connectors.TableRef) string {
	where := "TABLE_SCHEMA = " + literal(ref.Schema) + " AND TABLE_NAME = " + literal(ref.Name)
	if !f.lowerNames {
		where += " AND CAST(TABLE_SCHEMA AS BINARY) = " + literal(ref.Schema) + " AND CAST(TABLE_NAME AS BINARY) = " + literal(ref.Name)
	}
	return where
}

// describe gives the columns and indexes of one table; no columns when it is absent.
func (ss *session) describe(ctx context.Context, ref connectors.TableRef) ([]native, []index, error) {
	where := ss.flavour.tableIs(ref)
	columns, err := ss.columns(ctx, where)
	if err != nil {
		return nil, nil, err
	}
	indexes, err := ss.indexes(ctx, where)
	if err != nil {
		return nil, nil, err
	}
	var natives []native
	var list []index
	for _, n := range columns { // one table, though its name may differ in case
		natives = n
	}
	for _, ix := range indexes {
		list = ix
	}
	return natives, list, nil
}
