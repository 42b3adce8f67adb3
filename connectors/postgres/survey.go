package postgres

import (
	"context"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// Table describes an existing target.
func (d *Destination) Table(ctx context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	found, err := d.Survey(ctx, []connectors.TableRef{ref})
	if err != nil || found[0] == nil {
		return connectors.Table{}, false, err
	}
	return *found[0], true, nil
}

// Survey describes existing targets.
func (d *Destination) Survey(ctx context.Context, refs []connectors.TableRef) ([]*connectors.Table, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	conn, err := d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer d.release(conn)
	found, err := lookUpAll(ctx, conn, refs)
	if err != nil {
		object := refs[0].String()
		if more := len(refs) - 1; more > 0 {
			object += " and " + strconv.Itoa(more) + " more"
		}
		return nil, d.fail(ctx, "describe", object, "", err)
	}
	tables := make([]*connectors.Table, len(refs))
	for i, r := range found {
		if r == nil {
			continue
		}
		t := r.Table
		t.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(c connectors.Column) bool { return isMeta(c.Name) })
		t.Managed, t.Declared = len(t.Columns) < len(r.Columns), r.mark != nil
		tables[i] = &t
	}
	return tables, nil
}

func isMeta(name string) bool { return name == connectors.MetaRunID || name == connectors.MetaSyncedAt }

// lookUp describes one relation; nil when there is none of that name.
func lookUp(ctx context.Context, conn *pgconn.PgConn, ref connectors.TableRef) (*relation, error) {
	found, err := lookUpAll(ctx, conn, []connectors.TableRef{ref})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// marksQuery gives the comments on the column $2 of the tables $1, where declared tables have their marks.
const marksQuery = `
SELECT attrelid, pg_catalog.col_description(attrelid, attnum) FROM pg_catalog.pg_attribute
WHERE attrelid = ANY ($1::pg_catalog.oid[]) AND attname = $2`

// lookUpAll describes relations by their names.
func lookUpAll(ctx context.Context, conn *pgconn.PgConn, refs []connectors.TableRef) ([]*relation, error) {
	schemas, names := make([]string, len(refs)), make([]string, len(refs))
	for i, ref := range refs {
		schemas[i], names[i] = ref.Schema, ref.Name
	}
	found, err := describe(ctx, conn, nil, namedQuery, textArray(schemas), textArray(names))
	if err != nil {
		return nil, err
	}
	byName, byOID := map[connectors.TableRef]*relation{}, map[string]*relation{}
	var made []string
	for _, r := range found {
		byName[r.TableRef] = r
		if r.has(connectors.MetaRunID) {
			byOID[r.oid] = r
			made = append(made, r.oid)
		}
	}
	if len(made) > 0 {
		rows, err := query(ctx, conn, marksQuery, textArray(made), connectors.MetaRunID)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			r := byOID[string(row[0])]
			if r.mark = connectors.ParseMark(string(row[1])); r.mark != nil {
				r.PrimaryKey = r.mark.Key
			}
		}
	}
	list := make([]*relation, len(refs))
	for i, ref := range refs {
		list[i] = byName[ref]
	}
	return list, nil
}
