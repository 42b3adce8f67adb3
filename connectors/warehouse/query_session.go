package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"arus/connectors"
	"arus/connectors/sqlite/lite"
)

var unknownTable = regexp.MustCompile(`no such table: (.*?)(?: \(\d+\))?$`)

// session is one query: the tables that it turned out to need, each in one state.
type session struct {
	ctx      context.Context
	store    *storage
	conn     *lite.Conn
	tables   map[string]*View     // by name
	made     map[string]*madeRows // tables that the query makes for itself
	views    map[string]bool
	reads    []*Read
	collates bool  // texts may compare by another collation than their bytes
	inOrder  bool  // rows must come in the order of the scan
	err      error // of a table, in its own words
}

func newSession(ctx context.Context, dir string, c *lite.Conn) (*session, error) {
	q := &session{ctx: ctx, store: newStorage(dir), conn: c, tables: map[string]*View{}, made: map[string]*madeRows{}, views: map[string]bool{}}
	return q, c.Module(moduleName, q.virtual)
}

// error is the table's own error where there is one, else what SQLite says.
func (q *session) error(err error) error {
	if q.err != nil && q.ctx.Err() == nil {
		err = q.err
	}
	return q.hint(queryError(q.ctx, err))
}

func (q *session) close() error {
	var errs []error
	for _, v := range q.tables {
		errs = append(errs, v.Close())
	}
	return errors.Join(errs...)
}

// used are the tables' reads that took place.
func (q *session) used() []*Read {
	var out []*Read
	for _, r := range q.reads {
		if r.Scans > 0 || r.Path == "manifest" {
			out = append(out, r)
		}
	}
	return out
}

func collates(sql string) bool { return strings.Contains(strings.ToLower(sql), "collate") }

// run answers a statement by groups of whole columns where that is possible, else
// row by row.
func (q *session) run(sql string) (rowSource, error) {
	inner, explain := explained(sql)
	q.collates = q.collates || collates(inner)
	if err := q.open(inner); err != nil {
		return nil, err
	}
	rows, err := q.answer(inner)
	if err != nil || !explain {
		return rows, err
	}
	for {
		if _, ok := rows.Next(); !ok {
			break
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	return newReport(q.used()), nil
}

// explained takes EXPLAIN and EXPLAIN QUERY PLAN from a statement.
func explained(sql string) (inner string, ok bool) {
	word, rest := firstWord(sql)
	if !strings.EqualFold(word, "explain") {
		return sql, false
	}
	if word, after := firstWord(rest); strings.EqualFold(word, "query") {
		if word, after = firstWord(after); strings.EqualFold(word, "plan") {
			rest = after
		}
	}
	return rest, true
}

// open makes the virtual tables that a statement needs, and lets SQLite check it.
func (q *session) open(sql string) error {
	for {
		if err := q.conn.Exec(q.ctx, "PRAGMA query_only = 1"); err != nil {
			return err
		}
		_, err := q.all("EXPLAIN " + sql)
		if err == nil {
			return nil
		}
		m := unknownTable.FindStringSubmatch(err.Error())
		if m == nil || q.ctx.Err() != nil {
			return err
		}
		if err := q.attach(m[1]); err != nil {
			return err
		}
	}
}

// all reads the rows of a small result.
func (q *session) all(sql string) ([][]any, error) {
	var out [][]any
	err := q.conn.Each(q.ctx, sql, nil, func(row []driver.Value) error {
		values := make([]any, len(row))
		for i, v := range row {
			values[i] = v
		}
		out = append(out, values)
		return nil
	})
	return out, err
}

func (q *session) answer(sql string) (rowSource, error) {
	if s := parseShape(sql); s != nil {
		if v := q.table(s.table.text); v != nil {
			if p := newProjection(q, s, v); p != nil {
				return p.answer()
			}
			if t := newTop(q, s, v); t != nil {
				if rows, err := t.answer(); !errors.Is(err, errRows) {
					return rows, err
				}
			}
			if g := newGrouping(q, s, v); g != nil {
				rows, err := g.answer(q)
				if !errors.Is(err, errRows) {
					return rows, err
				}
			}
		}
	}
	return q.conn.Query(q.ctx, sql)
}

func (q *session) table(name string) *View {
	for have, v := range q.tables {
		if strings.EqualFold(have, name) {
			return v
		}
	}
	return nil
}

// create runs a statement that makes something in the query's own database.
func (q *session) create(sql string) error {
	if err := q.conn.Exec(q.ctx, "PRAGMA query_only = 0"); err != nil {
		return err
	}
	err := q.conn.Exec(q.ctx, sql)
	return errors.Join(err, q.conn.Exec(q.ctx, "PRAGMA query_only = 1"))
}

func (q *session) createTable(name string) error {
	return q.create("CREATE VIRTUAL TABLE main." + connectors.Quote(name, '"') + " USING " + moduleName)
}

// attach makes the virtual table of one table, or a view.
func (q *session) attach(wanted string) error {
	names, err := tableNames(q.store.dir)
	if err != nil {
		return fileError("query", q.store.dir, err)
	}
	plain := strings.TrimPrefix(strings.TrimPrefix(wanted, "main."), "temp.")
	equal := func(n string) bool { return strings.EqualFold(n, plain) }
	at := slices.Index(names, plain)
	if at < 0 {
		at = slices.IndexFunc(names, equal)
	}
	if at < 0 {
		views, err := q.store.views()
		if err != nil {
			return err
		}
		if v := slices.IndexFunc(views, func(v ViewDefinition) bool { return equal(v.Name) }); v >= 0 && !q.views[views[v].Name] {
			q.views[views[v].Name] = true
			q.collates = q.collates || collates(views[v].SQL)
			return q.create("CREATE VIEW main." + connectors.Quote(views[v].Name, '"') + " AS " + views[v].SQL)
		}
		for _, v := range views {
			names = append(names, v.Name)
		}
	}
	if at < 0 || q.tables[names[at]] != nil {
		return unknown(plain, names)
	}
	name := names[at]
	v, err := q.store.table(name).view(q.ctx)
	if err != nil {
		return err
	}
	q.tables[name] = v
	return q.createTable(name)
}

// make gives rows that the query has made a table.
func (q *session) make(name string, rows *madeRows) error {
	if have := q.made[name]; have != nil {
		have.rows, have.value = rows.rows, rows.value
		return nil
	}
	q.made[name] = rows
	return q.createTable(name)
}

// evaluate lets SQLite evaluate an expression for some rows of the columns ids.
func (q *session) evaluate(l *layout, alias, text string, ids []int, values [][]any) ([]any, error) {
	name := fmt.Sprintf("arus values %s %d", l.table.Name, ids)
	visible := l.visible()
	err := q.make(name, &madeRows{declaration: l.declaration(), rows: len(values), value: func(column, row int) any {
		if at := slices.Index(ids, visible[column]); at >= 0 {
			return values[row][at]
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	rows, err := q.all("SELECT (" + text + ") FROM " + connectors.Quote(name, '"') + " AS " + connectors.Quote(alias, '"'))
	if err != nil {
		return nil, err
	}
	if len(rows) != len(values) {
		return nil, errRows
	}
	out := make([]any, len(rows))
	for i, r := range rows {
		out[i] = r[0]
	}
	return out, nil
}

var unknownColumn = regexp.MustCompile(`no such column: (.*?)(?: \(\d+\))?$`)

// hint says what a column that does not exist may have been.
func (q *session) hint(err error) error {
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok || e.Kind != connectors.KindInvalid || e.Err == nil || e.Hint != "" {
		return err
	}
	m := unknownColumn.FindStringSubmatch(e.Err.Error())
	if m == nil {
		return err
	}
	name := m[1][strings.LastIndexByte(m[1], '.')+1:]
	var near []string
	for table, v := range q.tables {
		for _, c := range v.layout.columns {
			if c.deleted && strings.EqualFold(c.name, name) && v.layout.find(name) < 0 {
				e.Hint = "the column was deleted from " + table
				return err
			}
		}
		for _, id := range v.layout.visible() {
			near = append(near, v.layout.columns[id].name)
		}
	}
	if len(near) > 0 {
		e.Hint = "there is " + strings.Join(nearest(name, near), ", ")
	}
	return err
}
