package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// replace puts the shadow in the target's place. Everything slow happens before
// the old table is locked.
func (l *load) replace(ctx context.Context) error {
	if !l.early {
		if err := l.findHolders(ctx); err != nil {
			return err
		}
		if err := l.complete(ctx); err != nil {
			return err
		}
	}
	if len(l.holders) > 0 {
		return l.refill(ctx)
	}
	if err := l.carryOver(ctx); err != nil {
		return err
	}
	if err := l.rename(ctx); err != nil {
		return err
	}
	return l.renameExtras(ctx)
}

// complete gives the shadow its key and what people added to the old table.
func (l *load) complete(ctx context.Context) error {
	rows, err := query(ctx, l.conn, madeQuery, l.shadowTable())
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for _, row := range rows {
		made[string(row[0])] = true
	}
	if len(l.req.Key) > 0 && !made[l.pendingKey()] {
		if err := l.addKey(ctx); err != nil {
			return err
		}
	}
	if l.target == nil || len(l.holders) > 0 {
		return nil
	}
	return l.copyExtras(ctx, made)
}

// madeQuery names the indexes and constraints of the table $1.
const madeQuery = `
SELECT conname FROM pg_catalog.pg_constraint WHERE conrelid = $1::pg_catalog.regclass
UNION SELECT i.relname FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = $1::pg_catalog.regclass`

func (l *load) shadowTable() string {
	return qualified(connectors.TableRef{Schema: l.req.Target.Schema, Name: l.shadow})
}

// extra is an index or a constraint that people added to the old table, and
// its name while both tables exist.
type extra struct {
	constraint    bool
	name, pending string
}

// extrasQuery writes what comes after the name of each index and constraint,
// but for the primary key and NOT NULL, which the load makes.
const extrasQuery = `
SELECT false, i.relname, CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, pg_catalog.substr(s.def, pg_catalog.length(s.prefix) + 1)
FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_indexdef(x.indexrelid) AS def,
  pg_catalog.format('CREATE %sINDEX %I ON %I.%I', CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname, n.nspname, c.relname) AS prefix) s
WHERE x.indrelid = $1::pg_catalog.oid AND x.indisvalid AND pg_catalog.left(s.def, pg_catalog.length(s.prefix)) = s.prefix
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = x.indrelid)
UNION ALL
SELECT true, conname, '', pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint WHERE conrelid = $1::pg_catalog.oid AND contype IN ('c', 'u', 'x')
ORDER BY 1, 2`

// copyExtras makes on the shadow those that are not made yet. One that stands
// on a column which is no more goes with the column.
func (l *load) copyExtras(ctx context.Context, made map[string]bool) error {
	rows, err := query(ctx, l.conn, extrasQuery, l.target.oid)
	if err != nil {
		return err
	}
	for _, row := range rows {
		x := extra{constraint: truth(row[0]), name: string(row[1])}
		h := fnv.New64a()
		_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s", row[1], row[2], row[3])
		x.pending = fmt.Sprintf("%s_%016x", l.shadow, h.Sum64())
		if made[x.pending] {
			l.extras = append(l.extras, x)
			continue
		}
		sql := "CREATE " + string(row[2]) + "INDEX " + ident(x.pending) + " ON " + l.shadowTable() + string(row[3])
		if x.constraint {
			sql = "ALTER TABLE " + l.shadowTable() + " ADD CONSTRAINT " + ident(x.pending) + " " + string(row[3])
		}
		err := exec(ctx, l.conn, "SAVEPOINT extra; "+sql)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42703" {
			if err := exec(ctx, l.conn, "ROLLBACK TO SAVEPOINT extra"); err != nil {
				return err
			}
			continue
		}
		if e, ok := errors.AsType[*pgconn.PgError](err); ok {
			kind, _ := classify(e, "")
			return &connectors.Error{
				Kind: kind, Op: opLoad, Object: l.req.Target.String(), Err: fmt.Errorf("make %q again, which the target has: %w", x.name, serverError{e}),
				Hint: "drop it if the new rows may break it",
			}
		}
		if err != nil {
			return err
		}
		l.extras = append(l.extras, x)
	}
	return nil
}

func (l *load) renameExtras(ctx context.Context) error {
	var sql []string
	for _, x := range l.extras {
		if x.constraint {
			sql = append(sql, "ALTER TABLE "+qualified(l.req.Target)+" RENAME CONSTRAINT "+ident(x.pending)+" TO "+ident(x.name))
		} else {
			sql = append(sql, "ALTER INDEX "+qualified(connectors.TableRef{Schema: l.req.Target.Schema, Name: x.pending})+" RENAME TO "+ident(x.name))
		}
	}
	if len(sql) == 0 {
		return nil
	}
	return exec(ctx, l.conn, strings.Join(sql, "; "))
}

func (l *load) pendingKey() string { return l.shadow + "_key" }

// addKey builds the primary key after the rows, which is far cheaper than with
// them. Of rows with equal keys the one written last stays.
func (l *load) addKey(ctx context.Context) error {
	key, shadow := connectors.QuoteList(l.req.Key, '"'), l.shadowTable()
	add := "ALTER TABLE " + shadow + " ADD CONSTRAINT " + ident(l.pendingKey()) + " PRIMARY KEY (" + key + ")"
	err := exec(ctx, l.conn, "SAVEPOINT key; "+add)
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "23505" {
		return err
	}
	return exec(ctx, l.conn, "ROLLBACK TO SAVEPOINT key; DELETE FROM "+shadow+" WHERE ctid IN ("+
		"SELECT ctid FROM (SELECT ctid, pg_catalog.row_number() OVER (PARTITION BY "+key+" ORDER BY ctid DESC) AS n FROM "+shadow+") d WHERE n > 1); "+add)
}

// rename drops the old table and gives the shadow its name and its lasting
// defaults.
func (l *load) rename(ctx context.Context) error {
	target, shadow := qualified(l.req.Target), l.shadowTable()
	sql := "ALTER TABLE " + shadow + " ALTER COLUMN " + connectors.MetaRunID + " DROP DEFAULT, ALTER COLUMN " +
		connectors.MetaSyncedAt + " SET DEFAULT pg_catalog.now()"
	if l.target != nil {
		sql += "; DROP TABLE " + target
	}
	sql += "; ALTER TABLE " + shadow + " RENAME TO " + ident(l.req.Target.Name)
	if err := exec(ctx, l.conn, sql); err != nil {
		return err
	}
	if len(l.req.Key) == 0 {
		return nil
	}
	name := keyName(l.req.Target.Name)
	taken, err := query(ctx, l.conn, "SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "+
		"WHERE n.nspname = $1 AND c.relname = $2", l.req.Target.Schema, name)
	if err != nil || len(taken) > 0 {
		return err // taken by a stranger's table: the key keeps its odd name
	}
	return exec(ctx, l.conn, "ALTER TABLE "+target+" RENAME CONSTRAINT "+ident(l.pendingKey())+" TO "+ident(name))
}

// carryOver gives the shadow the old table's owner, privileges and comments.
func (l *load) carryOver(ctx context.Context) error {
	if l.target == nil {
		return nil
	}
	rows, err := query(ctx, l.conn, carryOverQuery, l.target.oid, l.req.Target.Schema, l.shadow)
	if err != nil {
		return err
	}
	var sql []string
	for _, row := range rows {
		sql = append(sql, string(row[0]))
	}
	if len(sql) == 0 {
		return nil
	}
	return exec(ctx, l.conn, strings.Join(sql, "; "))
}

// carryOverQuery writes the statements, in order: the owner, what default
// privileges gave the shadow taken back, the old privileges, the comments.
const carryOverQuery = `
WITH old AS (SELECT * FROM pg_catalog.pg_class WHERE oid = $1::pg_catalog.oid),
new AS (
  SELECT c.*, pg_catalog.format('%I.%I', n.nspname, c.relname) AS spelled
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $2 AND c.relname = $3
),
role(oid, spelled) AS (SELECT oid, pg_catalog.quote_ident(rolname) FROM pg_catalog.pg_roles UNION ALL SELECT 0::pg_catalog.oid, 'PUBLIC'),
acl AS (SELECT a.*, NULL AS attname FROM old, pg_catalog.aclexplode(old.relacl) a
  UNION ALL SELECT a.*, t.attname FROM old JOIN pg_catalog.pg_attribute t ON t.attrelid = old.oid AND t.attnum > 0 AND NOT t.attisdropped, pg_catalog.aclexplode(t.attacl) a
    WHERE EXISTS (SELECT FROM new JOIN pg_catalog.pg_attribute k ON k.attrelid = new.oid AND k.attname = t.attname))
SELECT statement FROM (
  SELECT 1 AS step, 'ALTER TABLE ' || new.spelled || ' OWNER TO ' || role.spelled AS statement
  FROM old, new, role WHERE role.oid = old.relowner AND new.relowner <> old.relowner
  UNION ALL SELECT 2, 'REVOKE ALL ON ' || new.spelled || ' FROM ' || role.spelled
  FROM old, new, pg_catalog.aclexplode(new.relacl) a JOIN role ON role.oid = a.grantee
  WHERE new.relacl IS DISTINCT FROM old.relacl AND a.grantee <> new.relowner AND a.grantee <> old.relowner
  UNION ALL SELECT 3, 'GRANT ' || acl.privilege_type || CASE WHEN acl.attname IS NULL THEN '' ELSE ' (' || pg_catalog.quote_ident(acl.attname) || ')' END
    || ' ON ' || new.spelled || ' TO ' || role.spelled || CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
  FROM old, new, acl JOIN role ON role.oid = acl.grantee WHERE acl.grantee <> old.relowner
  UNION ALL SELECT 4, 'COMMENT ON TABLE ' || new.spelled || ' IS ' || pg_catalog.quote_literal(d.description)
  FROM new, pg_catalog.pg_description d WHERE d.objoid = $1::pg_catalog.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0
  UNION ALL SELECT 5, 'COMMENT ON COLUMN ' || new.spelled || '.' || pg_catalog.quote_ident(k.attname) || ' IS ' || pg_catalog.quote_literal(d.description)
  FROM new JOIN pg_catalog.pg_attribute k ON k.attrelid = new.oid JOIN pg_catalog.pg_attribute t ON t.attrelid = $1::pg_catalog.oid AND t.attname = k.attname AND t.attnum > 0
  JOIN pg_catalog.pg_description d ON d.objoid = t.attrelid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = t.attnum
) s GROUP BY step, statement ORDER BY step, statement`
