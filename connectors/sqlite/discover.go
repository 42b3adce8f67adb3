package sqlite

import (
	"context"
	dbdriver "database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

const listQuery = `
SELECT name, type, wr, strict FROM pragma_table_list
WHERE schema = 'main' AND type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY name COLLATE NOCASE, name`

// columnsQuery leaves out hidden columns (1) and tells generated ones (2, 3).
const columnsQuery = `
SELECT l.name, x.name, x.type, x."notnull", x.pk, x.hidden
FROM pragma_table_list AS l JOIN pragma_table_xinfo(l.name, 'main') AS x
WHERE l.schema = 'main' AND l.type = ?1 AND l.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND x.hidden <> 1
ORDER BY l.name, x.cid`

const indexesQuery = `
SELECT l.name, i.name, i."unique", i.origin, i.partial, x.name, x.coll
FROM pragma_table_list AS l JOIN pragma_index_list(l.name, 'main') AS i JOIN pragma_index_xinfo(i.name, 'main') AS x
WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND x."key"
ORDER BY l.name, i.seq DESC, x.seqno`

// maxTerms is how many SELECTs SQLite joins in one.
const maxTerms = 500

// Tables discovers tables with a number of queries that does not grow with them.
func (s *Source) Tables(ctx context.Context, filter connectors.TableFilter) ([]connectors.Table, error) {
	const op = "discover tables of"
	if err := filter.Check(); err != nil {
		return nil, err
	}
	match := func(ref connectors.TableRef) bool { return admits(filter, ref.Name) }
	var tables []connectors.Table
	err := s.with(ctx, op, s.path, func(c *lite.Conn) error {
		found, err := describe(ctx, c, filter.Views, match)
		for _, r := range found {
			tables = append(tables, r.Table)
		}
		return err
	})
	return tables, err
}

// relation is a table with what only this package asks about it.
type relation struct {
	connectors.Table
	rowid  string // the name that means the rowid; "" where there is none
	alias  string // the column that is the rowid, an INTEGER PRIMARY KEY
	strict bool
}

func describe(ctx context.Context, c *lite.Conn, views bool, match func(connectors.TableRef) bool) ([]*relation, error) {
	var found []*relation
	byName := map[string]*relation{}
	err := c.Each(ctx, listQuery, nil, func(row []dbdriver.Value) error {
		r := &relation{Table: connectors.Table{
			TableRef: connectors.TableRef{Name: lite.String(row[0])}, DefaultSchema: true, View: lite.String(row[1]) == "view", RowEstimate: -1, Bytes: -1,
		}, strict: lite.Int(row[3]) != 0}
		if r.View && !views || !match(r.TableRef) {
			return nil
		}
		if !r.View && lite.Int(row[2]) == 0 {
			r.rowid = "rowid"
		}
		found = append(found, r)
		byName[r.Name] = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	keys := map[string]map[int64]string{}
	column := func(row []dbdriver.Value) error {
		r := byName[lite.String(row[0])]
		if r == nil {
			return nil
		}
		name, native, hidden := lite.String(row[1]), lite.String(row[2]), lite.Int(row[5])
		r.Columns = append(r.Columns, connectors.Column{
			Name: name, Native: native, Type: declared(native), Nullable: lite.Int(row[3]) == 0, Generated: hidden == 2 || hidden == 3,
		})
		if at := lite.Int(row[4]); at > 0 {
			if keys[r.Name] == nil {
				keys[r.Name] = map[int64]string{}
			}
			keys[r.Name][at] = name
		}
		return nil
	}
	if err := c.Each(ctx, columnsQuery, []dbdriver.Value{"table"}, column); err != nil {
		return nil, err
	}
	if views {
		if err := viewColumns(ctx, c, found, column); err != nil {
			return nil, err
		}
	}
	for _, r := range found {
		for i := range len(keys[r.Name]) {
			r.PrimaryKey = append(r.PrimaryKey, keys[r.Name][int64(i+1)])
		}
		r.settleRowid()
	}
	if err := indexes(ctx, c, byName); err != nil {
		return nil, err
	}
	if err := estimates(ctx, c, found, byName); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(r *relation) bool { return len(r.Columns) == 0 }), nil
}

// viewColumns asks for all views at once; when one of them is broken (it names
// a table that is gone), one by one, and the broken ones are left out.
func viewColumns(ctx context.Context, c *lite.Conn, found []*relation, column func([]dbdriver.Value) error) error {
	var rows [][]dbdriver.Value
	collect := func(row []dbdriver.Value) error {
		rows = append(rows, slices.Clone(row))
		return nil
	}
	if err := c.Each(ctx, columnsQuery, []dbdriver.Value{"view"}, collect); err != nil {
		if ctx.Err() != nil {
			return err
		}
		rows = nil
		const one = `SELECT ?1, name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid`
		for _, r := range found {
			if r.View {
				_ = c.Each(ctx, one, []dbdriver.Value{r.Name}, collect) // a broken view gives nothing
			}
		}
	}
	for _, row := range rows {
		if err := column(row); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// settleRowid finds which of the rowid's names no column has taken, and the
// column that is the rowid.
func (r *relation) settleRowid() {
	if r.rowid == "" {
		return
	}
	r.rowid = ""
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if !slices.ContainsFunc(r.Columns, func(c connectors.Column) bool { return strings.EqualFold(c.Name, name) }) {
			r.rowid = name
			break
		}
	}
	if len(r.PrimaryKey) == 1 {
		if c, _ := r.Column(r.PrimaryKey[0]); strings.EqualFold(c.Native, "INTEGER") {
			r.alias = c.Name
			for i := range r.Columns {
				r.Columns[i].Nullable = r.Columns[i].Nullable && r.Columns[i].Name != c.Name
			}
		}
	}
}

func indexes(ctx context.Context, c *lite.Conn, byName map[string]*relation) error {
	type index struct {
		table, name string
		unique      bool
		columns     []string
		usable      bool // of whole columns in their own order
	}
	var all []*index
	err := c.Each(ctx, indexesQuery, nil, func(row []dbdriver.Value) error {
		table, name := lite.String(row[0]), lite.String(row[1])
		if len(all) == 0 || all[len(all)-1].table != table || all[len(all)-1].name != name {
			all = append(all, &index{table: table, name: name, usable: lite.Int(row[4]) == 0, unique: lite.Int(row[2]) != 0 && lite.String(row[3]) != "pk"})
		}
		i := all[len(all)-1]
		if row[5] == nil { // an expression
			i.usable = false
		}
		i.columns = append(i.columns, lite.String(row[5]))
		if !strings.EqualFold(lite.String(row[6]), "BINARY") {
			i.unique = false // NOCASE: unequal texts count as equal, which no destination does
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range byName {
		if len(r.PrimaryKey) > 0 {
			r.Indexed = append(r.Indexed, r.PrimaryKey[0])
		}
	}
	for _, i := range all {
		r := byName[i.table]
		if r == nil || !i.usable {
			continue
		}
		if !slices.Contains(r.Indexed, i.columns[0]) {
			r.Indexed = append(r.Indexed, i.columns[0])
		}
		if i.unique && !slices.ContainsFunc(i.columns, func(name string) bool {
			c, ok := r.Column(name)
			return !ok || c.Nullable && !slices.Contains(r.PrimaryKey, name)
		}) {
			r.UniqueKeys = append(r.UniqueKeys, i.columns)
		}
	}
	return nil
}

// estimates takes what ANALYZE left, else the greatest rowid.
func estimates(ctx context.Context, c *lite.Conn, found []*relation, byName map[string]*relation) error {
	has, err := c.One(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'")
	if err != nil {
		return err
	}
	if lite.Int(has) > 0 {
		err := c.Each(ctx, "SELECT tbl, stat FROM sqlite_stat1", nil, func(row []dbdriver.Value) error {
			first, _, _ := strings.Cut(lite.String(row[1]), " ")
			if n, err := strconv.ParseInt(first, 10, 64); err == nil {
				if r := byName[lite.String(row[0])]; r != nil {
					r.RowEstimate = max(r.RowEstimate, n)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	var terms []string
	var asked []*relation
	flush := func() error {
		if len(terms) == 0 {
			return nil
		}
		err := c.Each(ctx, strings.Join(terms, " UNION ALL "), nil, func(row []dbdriver.Value) error {
			asked[lite.Int(row[0])].RowEstimate = max(0, lite.Int(row[1]))
			return nil
		})
		terms, asked = nil, nil
		return err
	}
	for _, r := range found {
		if r.rowid == "" || r.RowEstimate >= 0 {
			continue
		}
		terms = append(terms, fmt.Sprintf("SELECT %d, max(%s) FROM %s", len(asked), r.rowid, qualified(r.TableRef)))
		if asked = append(asked, r); len(asked) == maxTerms {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func ident(name string) string { return connectors.Quote(name, '"') }

func qualified(ref connectors.TableRef) string { return "main." + ident(ref.Name) }

// admits applies a filter; SQLite's one schema is main.
func admits(filter connectors.TableFilter, name string) bool {
	if len(filter.Schemas) > 0 && !slices.Contains(filter.Schemas, "main") && !slices.Contains(filter.Schemas, "") {
		return false
	}
	return filter.Admits(connectors.TableRef{Schema: "main", Name: name})
}

// missing says whether SQLite did not find a table or column. It has no code of
// its own for that.
func missing(err error) bool {
	text := err.Error()
	return strings.Contains(text, "no such table") || strings.Contains(text, "no such column")
}

var errNoColumn = errors.New("there is no such column")
