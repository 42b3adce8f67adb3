package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// install does with the filled rows what the mode says.
func (l *load) install(ctx context.Context) error {
	switch l.req.Mode {
	case connectors.Replace:
		return l.replace(ctx)
	case connectors.Retain, connectors.Remove:
		return l.deleteKeys(ctx)
	case connectors.ReplaceWindow:
		if l.into != "" {
			return nil
		}
		if err := l.emptyWindow(ctx); err != nil {
			return err
		}
		return l.insert(ctx, qualified(l.req.Target))
	case connectors.Merge:
		if l.into != "" || l.stream != nil && l.stream.waiting == 0 {
			return nil
		}
		return l.merge(ctx, qualified(l.req.Target))
	}
	return nil
}

func (l *load) columnNames() string {
	return connectors.QuoteList(connectors.ColumnNames(l.req.Columns), '"')
}

func (l *load) insertInto(table string) string {
	return "INSERT INTO " + table + " (" + l.columnNames() + ", " + connectors.MetaRunID + ", " + connectors.MetaSyncedAt + ") "
}

func (l *load) selectFilled() string { return l.columnNames() + ", " + l.runID + ", " + l.syncedAt }

func (l *load) insert(ctx context.Context, table string) error {
	return exec(ctx, l.conn, l.insertInto(table)+"SELECT "+l.selectFilled()+" FROM "+l.filling)
}

// merge upserts the filled rows. Only when a key occurs twice among them are
// they sorted out first: the row written last wins.
func (l *load) merge(ctx context.Context, table string) error {
	if l.target != nil && l.target.mark.Moves() && table == qualified(l.req.Target) {
		return l.mergeDays(ctx, table)
	}
	const release = "; RELEASE SAVEPOINT merge"
	err := l.upsert(ctx, "SAVEPOINT merge; "+l.insertInto(table)+"SELECT "+l.selectFilled()+" FROM "+l.filling+l.conflict(table)+release)
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "21000" {
		return err
	}
	key := connectors.QuoteList(l.req.Key, '"')
	return l.upsert(ctx, "ROLLBACK TO SAVEPOINT merge; "+l.insertInto(table)+
		"SELECT DISTINCT ON ("+key+") "+l.selectFilled()+" FROM "+l.filling+" ORDER BY "+key+", ctid DESC"+l.conflict(table)+release)
}

// upsert runs statements, and counts what the server says that they inserted or updated.
func (l *load) upsert(ctx context.Context, sql string) error {
	results, err := l.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.CommandTag.Insert() {
			l.result.Upserted += r.CommandTag.RowsAffected()
		}
	}
	return nil
}

// mergeDays upserts into a declared fact table, whose key is unique within a day
// only: a row whose time is another moves.
func (l *load) mergeDays(ctx context.Context, table string) error {
	key, time := connectors.QuoteList(l.req.Key, '"'), ident(l.target.mark.Time)
	last := func(what string) string {
		return "SELECT DISTINCT ON (" + key + ") " + what + " FROM " + l.filling + " ORDER BY " + key + ", ctid DESC"
	}
	return exec(ctx, l.conn, "DELETE FROM "+table+" t USING ("+last(key+", "+time)+") s WHERE "+l.sameKey("s", "t")+" AND t."+time+" <> s."+time+"; "+
		l.insertInto(table)+last(l.selectFilled())+l.conflict(table))
}

// conflictKey are the columns by which rows of a table, a shadow or the target, collide.
func (l *load) conflictKey(table string) []string {
	if table == qualified(l.req.Target) && l.target != nil && l.target.mark != nil && sameSet(l.target.mark.Key, l.req.Key) {
		return l.target.mark.PhysicalKey()
	}
	return l.req.Key
}

// conflict makes an insert into a table an upsert.
func (l *load) conflict(table string) string {
	var set []string
	key := l.conflictKey(table)
	for _, c := range l.req.Columns {
		if !slices.Contains(key, c.Name) {
			set = append(set, ident(c.Name)+" = EXCLUDED."+ident(c.Name))
		}
	}
	for _, name := range []string{connectors.MetaRunID, connectors.MetaSyncedAt} {
		set = append(set, name+" = EXCLUDED."+name)
	}
	return " ON CONFLICT (" + connectors.QuoteList(key, '"') + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// wholeTable makes a statement that may not see every row fail instead: row
// security would hide those that have to go.
const wholeTable = "SET LOCAL row_security = off; "

func (l *load) emptyWindow(ctx context.Context) error {
	where, err := condition(*l.req.Window)
	if err != nil {
		return err
	}
	return exec(ctx, l.conn, wholeTable+"DELETE FROM "+qualified(l.req.Target)+" WHERE "+where)
}
