package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// heldViews are views that must make way while a column below them changes its type.
type heldViews struct {
	drop  []string   // the outermost first
	make  [][]string // the innermost first, each with what belongs to it
	names []string   // qualified and quoted, in the order of make
}

// viewsQuery finds the views on the columns $2 of the table $1 and the views on those, the innermost first. A view on a whole
// row is on each column.
const viewsQuery = `
WITH RECURSIVE uses AS (
  SELECT d.refobjid AS below, d.refobjsubid AS attnum, r.ev_class AS oid
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
  WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND c.relkind IN ('v', 'm') AND d.refobjid <> r.ev_class
),
found AS (
  SELECT u.oid, 1 AS depth FROM uses u
  WHERE u.below = $1::pg_catalog.oid AND (u.attnum = 0 OR u.attnum IN (
    SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = ANY ($2::pg_catalog.text[])))
  UNION SELECT u.oid, f.depth + 1 FROM found f JOIN uses u ON u.below = f.oid
)
SELECT f.oid, pg_catalog.max(f.depth), c.relkind, pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM found f JOIN pg_catalog.pg_class c ON c.oid = f.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
GROUP BY f.oid, c.relkind, n.nspname, c.relname ORDER BY 2, 1`

// viewQuery writes the statements that make the view $1 of the name $2 again, in order: the definition, indexes, defaults,
// triggers and rules, comments, the owner, and the privileges.
const viewQuery = `
WITH v AS (
  SELECT c.*, $2::pg_catalog.text AS spelled, CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS sort,
    pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), '; ') AS definition
  FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.oid
),
role(oid, spelled) AS (SELECT oid, pg_catalog.quote_ident(rolname) FROM pg_catalog.pg_roles UNION ALL SELECT 0::pg_catalog.oid, 'PUBLIC'),
acl AS (SELECT a.*, NULL::pg_catalog.name AS attname FROM v, pg_catalog.aclexplode(v.relacl) a
  UNION ALL SELECT a.*, t.attname FROM v JOIN pg_catalog.pg_attribute t ON t.attrelid = v.oid AND t.attnum > 0, pg_catalog.aclexplode(t.attacl) a)
SELECT statement FROM (
  SELECT 1 AS step, 0 AS part, 'CREATE ' || sort || ' ' || spelled || coalesce(' WITH (' || pg_catalog.array_to_string(reloptions, ', ') || ')', '')
    || coalesce(' TABLESPACE ' || (SELECT pg_catalog.quote_ident(spcname) FROM pg_catalog.pg_tablespace s WHERE s.oid = v.reltablespace), '')
    || ' AS ' || definition || CASE WHEN relkind = 'v' THEN '' WHEN relispopulated THEN ' WITH DATA' ELSE ' WITH NO DATA' END AS statement FROM v
  UNION ALL SELECT 2, i.indexrelid::pg_catalog.int8, pg_catalog.pg_get_indexdef(i.indexrelid) FROM v JOIN pg_catalog.pg_index i ON i.indrelid = v.oid
  UNION ALL SELECT 3, d.adnum, 'ALTER VIEW ' || spelled || ' ALTER COLUMN ' || pg_catalog.quote_ident(a.attname) || ' SET DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)
    FROM v JOIN pg_catalog.pg_attrdef d ON d.adrelid = v.oid JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attnum = d.adnum
  UNION ALL SELECT 4, 0, pg_catalog.pg_get_ruledef(r.oid) FROM v JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid AND r.rulename <> '_RETURN'
  UNION ALL SELECT 5, 0, pg_catalog.pg_get_triggerdef(t.oid) FROM v JOIN pg_catalog.pg_trigger t ON t.tgrelid = v.oid AND NOT t.tgisinternal
  UNION ALL SELECT 6, d.objsubid, 'COMMENT ON ' || CASE WHEN d.objsubid = 0 THEN sort || ' ' || spelled ELSE 'COLUMN ' || spelled || '.' || pg_catalog.quote_ident(a.attname) END
    || ' IS ' || pg_catalog.quote_literal(d.description)
    FROM v JOIN pg_catalog.pg_description d ON d.objoid = v.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attnum = d.objsubid
  UNION ALL SELECT 7, 0, 'ALTER ' || sort || ' ' || v.spelled || ' OWNER TO ' || role.spelled FROM v JOIN role ON role.oid = v.relowner WHERE role.spelled <> pg_catalog.quote_ident(current_user)
  UNION ALL SELECT 8, 0, 'GRANT ' || acl.privilege_type || CASE WHEN acl.attname IS NULL THEN '' ELSE ' (' || pg_catalog.quote_ident(acl.attname) || ')' END
    || ' ON ' || v.spelled || ' TO ' || role.spelled || CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM v, acl JOIN role ON role.oid = acl.grantee WHERE acl.grantee <> v.relowner
) s WHERE statement IS NOT NULL ORDER BY step, part, statement`

// undefaultQuery takes back what default privileges gave the new view $1.
const undefaultQuery = `
SELECT 'REVOKE ALL ON ' || $1 || ' FROM ' || coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC')
FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE c.oid = $1::pg_catalog.regclass AND a.grantee <> c.relowner GROUP BY 1`

// findViews notes what it takes to make the views on columns of a table again.
func findViews(ctx context.Context, conn *pgconn.PgConn, oid string, columns []string) (heldViews, error) {
	var held heldViews
	if len(columns) == 0 {
		return held, nil
	}
	views, err := query(ctx, conn, viewsQuery, oid, textArray(columns))
	if err != nil {
		return held, err
	}
	for _, v := range views {
		name, sort := string(v[3]), "VIEW "
		if v[2][0] == 'm' {
			sort = "MATERIALIZED VIEW "
		}
		rows, err := query(ctx, conn, viewQuery, string(v[0]), name)
		if err != nil {
			return held, fmt.Errorf("note the definition of view %s: %w", name, err)
		}
		held.drop = append(held.drop, "DROP "+sort+name)
		held.names = append(held.names, name)
		var sql []string
		for _, row := range rows {
			sql = append(sql, string(row[0]))
		}
		held.make = append(held.make, sql)
	}
	slices.Reverse(held.drop)
	return held, nil
}

// restore makes the views again after the change, with the privileges they had and no others.
func (h heldViews) restore(ctx context.Context, conn *pgconn.PgConn) error {
	for i, name := range h.names {
		err := exec(ctx, conn, h.make[i][0])
		if err == nil {
			var given [][][]byte
			given, err = query(ctx, conn, undefaultQuery, name)
			sql := h.make[i][1:]
			for _, row := range given {
				sql = slices.Insert(sql, 0, string(row[0]))
			}
			if err == nil && len(sql) > 0 {
				err = exec(ctx, conn, strings.Join(sql, "; "))
			}
		}
		if err != nil {
			return fmt.Errorf("make the view %s again: %w", name, err)
		}
	}
	return nil
}
