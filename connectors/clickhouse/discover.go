package clickhouse

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"arus/connectors"
)

const opDiscover = "discover the tables of"

// relationColumn is a column whose Native is the server's full spelling.
type relationColumn struct {
	connectors.Column
	computed bool // MATERIALIZED or ALIAS: not part of an INSERT
}

// relation is a table with what only this package asks about it.
type relation struct {
	connectors.Table
	engine       string
	sortingKey   string // expressions as the server spells them
	partitionKey string
	engineFull   string           // with its arguments
	all          []relationColumn // metadata included
	mark         *connectors.Mark // of a declared table; its key is then PrimaryKey
}

func (r *relation) column(name string) (relationColumn, bool) {
	i := slices.IndexFunc(r.all, func(c relationColumn) bool { return c.Name == name })
	if i < 0 {
		return relationColumn{}, false
	}
	return r.all[i], true
}

// stored lists the columns that an INSERT names.
func (r *relation) stored() []string {
	var names []string
	for _, c := range r.all {
		if !c.computed {
			names = append(names, c.Name)
		}
	}
	return names
}

// shown lists the stored columns without the metadata.
func (r *relation) shown() []connectors.Column {
	var columns []connectors.Column
	for _, c := range r.all {
		if !c.computed && !isMeta(c.Name) {
			columns = append(columns, c.Column)
		}
	}
	return columns
}

func (r *relation) isView() bool { return strings.HasSuffix(r.engine, "View") }

// replaces says whether the table keeps one row per key by Arus's version.
func (r *relation) replaces() bool {
	_, versioned := r.column(metaVersion)
	return versioned && strings.HasSuffix(r.engine, "ReplacingMergeTree")
}

// hides says whether the table keeps deleted rows, which readers leave out.
func (r *relation) hides() bool {
	_, ok := r.column(metaGone)
	return ok && r.replaces()
}

func isMeta(name string) bool {
	return name == connectors.MetaRunID || name == connectors.MetaSyncedAt || isInternal(name)
}

// isInternal says whether a column is nobody's business but this package's.
func isInternal(name string) bool { return name == metaVersion || name == metaGone }

// describe finds the relations of a WHERE expression on database and table
// names, in two statements.
func (d *db) describe(ctx context.Context, where string) ([]*relation, error) {
	var found []*relation
	byName := map[connectors.TableRef]*relation{}
	err := d.catalog(ctx, "SELECT database, table, engine, sorting_key, partition_key, engine_full FROM (SELECT database, name AS table, engine, sorting_key, partition_key, engine_full FROM system.tables) WHERE "+where+
		" ORDER BY database, table", func() { found = nil; clear(byName) }, func(rows driver.Rows) error {
		r := &relation{Table: connectors.Table{RowEstimate: -1, Bytes: -1}}
		if err := rows.Scan(&r.Schema, &r.Name, &r.engine, &r.sortingKey, &r.partitionKey, &r.engineFull); err != nil {
			return err
		}
		r.View = r.isView()
		found = append(found, r)
		byName[r.TableRef] = r
		return nil
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	forget := func() {
		for _, r := range found {
			r.all = nil
		}
	}
	err = d.catalog(ctx, "SELECT database, table, name, type, default_kind, comment FROM system.columns WHERE "+where, forget, func(rows driver.Rows) error {
		var ref connectors.TableRef
		var name, native, kind, note string
		if err := rows.Scan(&ref.Schema, &ref.Name, &name, &native, &kind, &note); err != nil {
			return err
		}
		r, ok := byName[ref]
		if !ok {
			return nil // made since
		}
		computed := kind == "MATERIALIZED" || kind == "ALIAS"
		if name == connectors.MetaRunID {
			r.mark = connectors.ParseMark(note)
		}
		r.all = append(r.all, relationColumn{computed: computed, Column: connectors.Column{
			Name: name, Type: readColumn(native, note), Native: native, Nullable: parseNative(native).nullable, Generated: computed,
		}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		r.finish()
	}
	return found, nil
}

// finish derives what the catalog's rows say together.
func (r *relation) finish() {
	_, run := r.column(connectors.MetaRunID)
	_, synced := r.column(connectors.MetaSyncedAt)
	r.Managed = run && synced && !r.View
	for _, c := range r.all {
		r.Columns = append(r.Columns, c.Column)
	}
	var key []string
	if r.sortingKey != "" {
		for _, part := range splitArgs(r.sortingKey) {
			name, quoted := unquote(part, '`')
			if _, ok := r.column(name); !ok || !quoted && strings.ContainsAny(part, "(`") {
				key = nil
				break
			}
			key = append(key, name)
		}
	}
	if r.mark != nil && r.replaces() {
		r.PrimaryKey, r.Declared = r.mark.Key, true
		return
	}
	if len(key) > 0 {
		r.Indexed = key[:1]
		if r.replaces() {
			r.PrimaryKey = key
		}
	}
}

// lookUp describes one relation; nil when there is none of that name.
func (d *db) lookUp(ctx context.Context, ref connectors.TableRef) (*relation, error) {
	found, err := d.describe(ctx, "database = "+literal(ref.Schema)+" AND table = "+literal(ref.Name))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// defaultSchema is the database that the connection names, or the server's own.
func (d *db) defaultSchema() string { return cmp.Or(d.database, "default") }

// Tables discovers tables in three statements. Arus's own shadows are left out.
func (s *Source) Tables(ctx context.Context, filter connectors.TableFilter) ([]connectors.Table, error) {
	if err := filter.Check(); err != nil {
		return nil, err
	}
	schemas := filter.Schemas
	if len(schemas) == 0 {
		schemas = []string{s.defaultSchema()}
	}
	quoted := make([]string, len(schemas))
	for i, name := range schemas {
		quoted[i] = literal(name)
	}
	where := "database IN (" + strings.Join(quoted, ", ") + ") AND lower(database) NOT IN ('system', 'information_schema')"
	found, err := s.describe(ctx, where)
	if err != nil {
		return nil, s.fail(ctx, opDiscover, s.address, "", err)
	}
	sizes, err := s.sizes(ctx, where)
	if err != nil {
		return nil, s.fail(ctx, opDiscover, s.address, "", err)
	}
	var tables []connectors.Table
	for _, r := range found {
		ours := strings.HasPrefix(r.Name, shadowPrefix) || strings.HasPrefix(r.Name, oldPrefix) || strings.HasPrefix(r.Name, ".inner")
		if ours || r.View && !filter.Views || !filter.Admits(r.TableRef) {
			continue
		}
		t := r.Table
		t.Managed = false
		t.DefaultSchema = t.Schema == s.defaultSchema()
		t.Columns = slices.DeleteFunc(t.Columns, func(c connectors.Column) bool { return isInternal(c.Name) })
		if size, ok := sizes[t.TableRef]; ok {
			t.RowEstimate, t.Bytes = size[0], size[1]
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// sizes sums rows and bytes of the parts of each table.
func (d *db) sizes(ctx context.Context, where string) (map[connectors.TableRef][2]int64, error) {
	sizes := map[connectors.TableRef][2]int64{}
	err := d.catalog(ctx, "SELECT database, table, toInt64(sum(rows)), toInt64(sum(bytes_on_disk)) FROM system.parts WHERE active AND "+where+
		" GROUP BY database, table", func() { clear(sizes) }, func(rows driver.Rows) error {
		var ref connectors.TableRef
		var size [2]int64
		if err := rows.Scan(&ref.Schema, &ref.Name, &size[0], &size[1]); err != nil {
			return err
		}
		sizes[ref] = size
		return nil
	})
	return sizes, err
}

// Table describes an existing target.
func (d *Destination) Table(ctx context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	r, err := d.lookUp(ctx, ref)
	if err != nil || r == nil {
		return connectors.Table{}, false, d.fail(ctx, "describe", ref.String(), "", err)
	}
	t := r.Table
	t.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(c connectors.Column) bool { return isMeta(c.Name) })
	t.DefaultSchema = t.Schema == d.defaultSchema()
	return t, true, nil
}
