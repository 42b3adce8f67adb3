package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// A declared table is an ordinary one. That of a fact table is divided by the UTC
// day of its time column, which the server wants in the primary key; rows of days
// without a partition lie in the default one. What is not in the catalogue of the
// server stands in the comment of the column _arus_run_id.

const opDeclare = "declare"

// Declare plans, and does, all tables in one transaction.
func (d *Destination) Declare(ctx context.Context, tables []connectors.Declaration, opts connectors.DeclareOptions) ([]connectors.DeclarationPlan, error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer d.release(conn)
	plans, err := d.declare(ctx, conn, tables, opts)
	if err == nil && opts.Apply && !connectors.Refused(plans) {
		err = exec(ctx, conn, "COMMIT")
	}
	if conn.TxStatus() != 'I' {
		rollBack(conn)
	}
	if err != nil {
		return nil, d.fail(ctx, opDeclare, names(tables), "", err)
	}
	return plans, nil
}

func names(tables []connectors.Declaration) string {
	list := make([]string, len(tables))
	for i, t := range tables {
		list[i] = t.Target.String()
	}
	return strings.Join(list, ", ")
}

func (d *Destination) declare(ctx context.Context, conn *pgconn.PgConn, tables []connectors.Declaration, opts connectors.DeclareOptions) ([]connectors.DeclarationPlan, error) {
	if major(conn) < 11 {
		return nil, &connectors.Error{
			Kind: connectors.KindUnsupported, Op: opDeclare, Object: names(tables), Err: errors.New("PostgreSQL before 11 keeps no key over partitions"), Hint: "use a newer server",
		}
	}
	if err := exec(ctx, conn, "BEGIN ISOLATION LEVEL READ COMMITTED"); err != nil {
		return nil, err
	}
	if opts.Apply {
		sorted := slices.Clone(tables)
		slices.SortFunc(sorted, func(a, b connectors.Declaration) int { return strings.Compare(a.Target.String(), b.Target.String()) })
		for _, t := range sorted {
			if err := takeTarget(ctx, conn, opDeclare, t.Target, connectors.DefaultLockWait); err != nil {
				return nil, err
			}
		}
	}
	plans := make([]connectors.DeclarationPlan, len(tables))
	for i, t := range tables {
		var err error
		if plans[i], err = d.planDeclared(ctx, conn, t, opts); err != nil {
			return nil, err
		}
	}
	if !opts.Apply || connectors.Refused(plans) {
		return plans, nil
	}
	for _, p := range plans {
		if len(p.Statements) == 0 {
			continue
		}
		if err := exec(ctx, conn, strings.Join(p.Statements, ";\n")); err != nil {
			return nil, err
		}
	}
	return plans, nil
}

func (d *Destination) planDeclared(ctx context.Context, conn *pgconn.PgConn, t connectors.Declaration, opts connectors.DeclareOptions) (connectors.DeclarationPlan, error) {
	for _, name := range append(connectors.ColumnNames(plainColumns(t.Columns)), t.Target.Schema, t.Target.Name) {
		if len(name) > maxIdentifier {
			p := connectors.NewPlan(t)
			p.Refused = append(p.Refused, fmt.Sprintf("the name %s is longer than %d bytes", name, maxIdentifier))
			return p, nil
		}
	}
	target, err := lookUp(ctx, conn, t.Target)
	if err != nil {
		return connectors.DeclarationPlan{}, err
	}
	if target == nil {
		p := t.CreationPlan()
		p.Statements, err = createDeclared(t, opts)
		there, lerr := query(ctx, conn, "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", t.Target.Schema)
		if len(there) == 0 {
			p.Statements = append([]string{"CREATE SCHEMA IF NOT EXISTS " + ident(t.Target.Schema)}, p.Statements...)
		}
		return p, errors.Join(err, lerr)
	}
	if target.kind != 'r' && target.kind != 'p' {
		p := connectors.NewPlan(t)
		p.Refused = append(p.Refused, "there is a view or a foreign table of that name")
		return p, nil
	}
	want, err := wantedColumns(ctx, conn, t)
	if err != nil {
		return connectors.DeclarationPlan{}, err
	}
	have, err := presentTable(ctx, conn, target, t)
	if err != nil {
		return connectors.DeclarationPlan{}, err
	}
	diff := t.Differ(have, want, opts)
	diff.Plan.Statements = append(diff.Plan.Statements, alterDeclared(t, diff)...)
	return diff.Plan, nil
}

func plainColumns(columns []connectors.DeclaredColumn) []connectors.Column {
	plain := make([]connectors.Column, len(columns))
	for i, c := range columns {
		plain[i] = c.Column
	}
	return plain
}

// createDeclared are the statements that make a table.
func createDeclared(t connectors.Declaration, opts connectors.DeclareOptions) ([]string, error) {
	var parts []string
	for _, c := range t.Columns {
		if c.Deleted {
			continue
		}
		part, err := declaredColumn(t, c)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	parts = append(parts, connectors.MetaRunID+" uuid", connectors.MetaSyncedAt+" timestamptz NOT NULL DEFAULT pg_catalog.now()",
		"CONSTRAINT "+ident(keyName(t.Target.Name))+" PRIMARY KEY ("+connectors.QuoteList(t.Mark().PhysicalKey(), '"')+")")
	sql := "CREATE TABLE " + qualified(t.Target) + " (\n  " + strings.Join(parts, ",\n  ") + "\n)"
	if t.Time == "" {
		return []string{sql, markStatement(t)}, nil
	}
	statements := []string{sql + " PARTITION BY RANGE (" + ident(t.Time) + ")", markStatement(t), createDefault(t.Target)}
	for day, to := t.PartitionDays(opts.Now); day <= to; day++ {
		statements = append(statements, createDay(t.Target, day))
	}
	return statements, nil
}

// declaredColumn is a column with what its declaration says of it.
func declaredColumn(t connectors.Declaration, c connectors.DeclaredColumn) (string, error) {
	sql := ident(c.Name) + " " + native(c.Type)
	if !c.Nullable {
		sql += " NOT NULL"
	}
	if c.Default != nil {
		value, err := defaultLiteral(c)
		if err != nil {
			return "", err
		}
		sql += " DEFAULT " + value
	}
	if cases := closedCases(c); len(cases) > 0 {
		check, err := caseCheck(t, c)
		if err != nil {
			return "", err
		}
		sql += " " + check
	}
	return sql, nil
}

func closedCases(c connectors.DeclaredColumn) []string {
	if c.Type.Kind != connectors.Enum {
		return nil
	}
	return c.Type.Values
}

func caseCheck(t connectors.Declaration, c connectors.DeclaredColumn) (string, error) {
	values := make([]string, len(c.Type.Values))
	for i, v := range c.Type.Values {
		var err error
		if values[i], err = literal(v); err != nil {
			return "", err
		}
	}
	return "CONSTRAINT " + ident(casesName(t.Target.Name, c.Name)) + " CHECK (" + ident(c.Name) + " IN (" + strings.Join(values, ", ") + "))", nil
}

// casesName names the constraint that binds an enum column.
func casesName(table, column string) string {
	return connectors.Shorten(table+"_"+column+"_cases", maxIdentifier)
}

func defaultLiteral(c connectors.DeclaredColumn) (string, error) {
	text := *c.Default
	switch c.Type.Kind {
	case connectors.Bytes:
		return "pg_catalog.decode(" + mustLiteral(text) + ", 'base64')", nil
	case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
		text = historic(text)
	}
	value, err := literal(text)
	return strings.TrimSpace(value) + "::" + native(c.Type), err
}

func markStatement(t connectors.Declaration) string {
	return "COMMENT ON COLUMN " + qualified(t.Target) + "." + connectors.MetaRunID + " IS " + strings.TrimSpace(mustLiteral(t.Mark().Comment()))
}

func createDefault(target connectors.TableRef) string {
	return "CREATE TABLE " + qualified(partition(target, "default")) + " PARTITION OF " + qualified(target) + " DEFAULT"
}

func createDay(target connectors.TableRef, day int64) string {
	name, start := connectors.DayName(day)
	_, end := connectors.DayName(day + 1)
	return "CREATE TABLE " + qualified(partition(target, "p"+name)) + " PARTITION OF " + qualified(target) +
		" FOR VALUES FROM (" + strconv.FormatInt(start, 10) + ") TO (" + strconv.FormatInt(end, 10) + ")"
}

// partition names a part of a table, so that it ends in what it is.
func partition(target connectors.TableRef, suffix string) connectors.TableRef {
	return connectors.TableRef{Schema: target.Schema, Name: connectors.Shorten(target.Name, maxIdentifier-len(suffix)-1) + "_" + suffix}
}

// alterDeclared are the statements of a difference.
func alterDeclared(t connectors.Declaration, diff connectors.Difference) []string {
	var clauses, statements []string
	for _, name := range diff.Drop {
		clauses = append(clauses, "DROP COLUMN "+ident(name))
	}
	for _, id := range diff.Add {
		part, err := declaredColumn(t, t.Columns[id])
		if err == nil { // it was written before, when the wanted columns were asked for
			clauses = append(clauses, "ADD COLUMN "+part)
		}
	}
	for _, id := range diff.Recase {
		check, err := caseCheck(t, t.Columns[id])
		if err == nil {
			clauses = append(clauses, "DROP CONSTRAINT "+ident(casesName(t.Target.Name, t.Columns[id].Name)), "ADD "+check)
		}
	}
	if len(clauses) > 0 {
		statements = append(statements, "ALTER TABLE "+qualified(t.Target)+" "+strings.Join(clauses, ", "))
	}
	if diff.Mark {
		statements = append(statements, markStatement(t))
	}
	return statements
}

// wantedColumns are the columns of a declaration as the server spells them.
func wantedColumns(ctx context.Context, conn *pgconn.PgConn, t connectors.Declaration) ([]connectors.PresentColumn, error) {
	want := make([]connectors.PresentColumn, len(t.Columns))
	var exprs []string
	var at []int
	for id, c := range t.Columns {
		want[id] = connectors.PresentColumn{Name: c.Name, Native: native(c.Type), Cases: closedCases(c)}
		if c.Deleted {
			continue
		}
		if _, err := declaredColumn(t, c); err != nil {
			return nil, err
		}
		if c.Default != nil {
			value, err := defaultLiteral(c)
			if err != nil {
				return nil, err
			}
			exprs, at = append(exprs, value), append(at, id)
		}
	}
	texts, err := valuesOf(ctx, conn, exprs)
	for i, id := range at[:len(texts)] {
		want[id].Default = texts[i]
	}
	return want, err
}

// valuesOf gives the texts of constants.
func valuesOf(ctx context.Context, conn *pgconn.PgConn, exprs []string) ([]string, error) {
	if len(exprs) == 0 {
		return nil, nil
	}
	rows, err := query(ctx, conn, "SELECT ("+strings.Join(exprs, ")::pg_catalog.text, (")+")::pg_catalog.text")
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(exprs))
	for i, v := range rows[0] {
		texts[i] = string(v)
	}
	return texts, nil
}

// presentQuery describes what describe leaves out: each column's default and the
// comment on it, then constraints, indexes and triggers.
const presentQuery = `
SELECT 'default', a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = $1::pg_catalog.oid AND NOT a.attisdropped
UNION ALL SELECT 'check', conname, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint WHERE conrelid = $1::pg_catalog.oid AND contype = 'c'
UNION ALL SELECT 'extra', 'constraint ' || conname, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint WHERE conrelid = $1::pg_catalog.oid AND contype IN ('u', 'f', 'x')
UNION ALL SELECT 'extra', 'index ' || i.relname, '' FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
  WHERE x.indrelid = $1::pg_catalog.oid AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = x.indrelid)
UNION ALL SELECT 'extra', 'trigger ' || tgname, '' FROM pg_catalog.pg_trigger WHERE tgrelid = $1::pg_catalog.oid AND NOT tgisinternal
UNION ALL SELECT 'time', pg_catalog.pg_get_partkeydef($1::pg_catalog.oid), '' WHERE pg_catalog.pg_get_partkeydef($1::pg_catalog.oid) IS NOT NULL
ORDER BY 1, 2`

// constant matches what pg_get_expr writes for a value without a function.
var constant = regexp.MustCompile(`^(?:\(?-?[0-9.]+(?:[eE][+-]?[0-9]+)?\)?|E?'(?:[^']|'')*'|true|false)(?:::[A-Za-z0-9_ ."(),]+)?$`)

func presentTable(ctx context.Context, conn *pgconn.PgConn, r *relation, t connectors.Declaration) (*connectors.Present, error) {
	have := &connectors.Present{Managed: r.has(connectors.MetaRunID) && r.has(connectors.MetaSyncedAt), Mark: r.mark, Key: r.PrimaryKey}
	for _, c := range r.Columns {
		if !isMeta(c.Name) {
			have.Columns = append(have.Columns, connectors.PresentColumn{Name: c.Name, Native: c.Native})
		}
	}
	rows, err := query(ctx, conn, presentQuery, r.oid)
	if err != nil {
		return nil, err
	}
	find := func(match func(name string) bool) *connectors.PresentColumn {
		i := slices.IndexFunc(have.Columns, func(c connectors.PresentColumn) bool { return match(c.Name) })
		if i < 0 {
			return nil
		}
		return &have.Columns[i]
	}
	var exprs []string
	var at []*connectors.PresentColumn
	for _, row := range rows {
		what, name, text := string(row[0]), string(row[1]), string(row[2])
		switch what {
		case "default":
			c := find(func(n string) bool { return n == name })
			switch {
			case c == nil:
			case constant.MatchString(text):
				exprs, at = append(exprs, text), append(at, c)
			default:
				c.Default = "the expression " + text
			}
		case "check":
			c := find(func(n string) bool { return casesName(t.Target.Name, n) == name })
			if c != nil {
				c.Cases = quotedTexts(text)
			} else {
				have.Extras = append(have.Extras, "constraint "+name+" "+text)
			}
		case "extra":
			have.Extras = append(have.Extras, strings.TrimSpace(name+" "+text))
		case "time":
			column, ok := strings.CutPrefix(name, "RANGE (")
			have.Time = strings.TrimSuffix(column, ")")
			if c := find(func(n string) bool { return n == have.Time || ident(n) == have.Time }); ok && c != nil {
				have.Time = c.Name
			}
		}
	}
	texts, err := valuesOf(ctx, conn, exprs)
	for i, c := range at[:len(texts)] {
		c.Default = texts[i]
	}
	return have, err
}

// quotedTexts reads the text constants out of an expression of the server's.
func quotedTexts(expr string) []string {
	var texts []string
	for i := 0; i < len(expr); i++ {
		if expr[i] != '\'' {
			continue
		}
		escapes := i > 0 && expr[i-1] == 'E'
		var b strings.Builder
		for i++; i < len(expr); i++ {
			switch {
			case escapes && expr[i] == '\\' && i+1 < len(expr):
				i++
			case expr[i] == '\'' && i+1 < len(expr) && expr[i+1] == '\'':
				i++
			case expr[i] == '\'':
				goto closed
			}
			b.WriteByte(expr[i])
		}
	closed:
		texts = append(texts, b.String())
	}
	return texts
}

// makeDays gives a declared fact table partitions for the days to come, in a
// transaction of its own, since readers of the default partition wait for it. A
// day of which rows lie in the default partition goes on lying there, and what
// holds the table for long is not waited for: the default partition takes the rows.
func (l *load) makeDays(ctx context.Context) error {
	if l.target == nil || l.target.mark == nil || l.target.mark.Time == "" || l.keysOnly() {
		return nil
	}
	rows, err := query(ctx, l.conn, "SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::pg_catalog.oid", l.target.oid)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, row := range rows {
		have[string(row[0])] = true
	}
	var missing []int64
	for day, to := connectors.DaysAhead(l.req.SyncedAt); day <= to; day++ {
		if name, _ := connectors.DayName(day); !have[partition(l.req.Target, "p"+name).Name] {
			missing = append(missing, day)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	conn, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	defer l.release(conn)
	for _, day := range missing {
		err := exec(ctx, conn, "BEGIN; SET LOCAL lock_timeout = 1000; "+createDay(l.req.Target, day)+"; COMMIT")
		if err == nil {
			continue
		}
		rollBack(conn)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && slices.Contains([]string{"23514", "42P07", "42P17", "55P03", "42501"}, e.Code) {
			return nil
		}
		return err
	}
	return nil
}
