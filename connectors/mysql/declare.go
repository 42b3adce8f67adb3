package mysql

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"arus/connectors"
)

// A declared table is an ordinary one. That of a fact table has a partition for
// each UTC day of its time column, which the server wants in the primary key; the
// first takes all earlier days, the last all later ones. What the catalogue of
// the server does not say stands in the comment of the column _arus_run_id.

const (
	opDeclare  = "declare"
	maxComment = 1024
	lastPart   = "plater"
)

// Declare plans all tables, then does one after the other. What a table that is
// there needs is one statement, so it is done or not.
func (d *destination) Declare(ctx context.Context, tables []connectors.Declaration, opts connectors.DeclareOptions) ([]connectors.DeclarationPlan, error) {
	plans := make([]connectors.DeclarationPlan, len(tables))
	for i, t := range tables {
		err := d.with(ctx, func(ss *session) (err error) {
			plans[i], err = d.planDeclared(ctx, ss, t, opts)
			return d.fail(opDeclare, t.Target.String(), err)
		})
		if err != nil {
			return nil, err
		}
	}
	if !opts.Apply || connectors.Refused(plans) {
		return plans, nil
	}
	for i, t := range tables {
		if len(plans[i].Statements) == 0 {
			continue
		}
		err := d.locked(ctx, opDeclare, t.Target, func(l *load) error {
			again, err := d.planDeclared(ctx, l.ss, t, opts) // what another has done meanwhile is not done twice
			if err != nil {
				return err
			}
			plans[i] = again
			if len(again.Refused) > 0 {
				return &connectors.Error{
					Kind: connectors.KindConflict, Op: opDeclare, Object: t.Target.String(), Err: fmt.Errorf("the table was changed meanwhile: %s", strings.Join(again.Refused, "; ")),
					Hint: "look at the plan again",
				}
			}
			for _, statement := range again.Statements {
				if _, err := l.ss.exec(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return plans, nil
}

func (d *destination) planDeclared(ctx context.Context, ss *session, t connectors.Declaration, opts connectors.DeclareOptions) (connectors.DeclarationPlan, error) {
	var err error
	if t.Target, err = d.complete(t.Target); err != nil {
		return connectors.DeclarationPlan{}, err
	}
	refused := func(format string, args ...any) (connectors.DeclarationPlan, error) {
		p := connectors.NewPlan(t)
		p.Refused = append(p.Refused, fmt.Sprintf(format, args...))
		return p, nil
	}
	if n := len(t.Mark().Comment()); n > maxComment {
		return refused("the names of key and sort columns take %d bytes in a comment, of %d", n, maxComment)
	}
	columns, err := ss.flavour.declaredColumns(t)
	if err != nil {
		return connectors.DeclarationPlan{}, err
	}
	kind, err := ss.tableType(ctx, t.Target)
	switch {
	case err != nil:
		return connectors.DeclarationPlan{}, err
	case kind == "":
		return ss.planCreation(ctx, t, columns, opts)
	case kind != "BASE TABLE":
		return refused("there is a %s of that name", strings.ToLower(kind))
	}
	have, checks, err := ss.presentTable(ctx, t)
	if err != nil {
		return connectors.DeclarationPlan{}, err
	}
	want := make([]connectors.PresentColumn, len(columns))
	for id, c := range columns {
		want[id] = connectors.PresentColumn{Name: c.Name, Native: plainNative(c.definition), Default: c.normal, Cases: c.cases}
	}
	diff := t.Differ(have, want, opts)
	ss.flavour.noteChecks(t, &diff.Plan)
	if clauses := alterClauses(t, diff, columns, checks); len(clauses) > 0 {
		diff.Plan.Statements = append(diff.Plan.Statements, "ALTER TABLE "+qualified(t.Target)+" "+strings.Join(clauses, ", "))
	}
	return diff.Plan, nil
}

// declared is a column of a declaration as it is made.
type declared struct {
	column
	literal string // the default in an ALTER or CREATE; "" = none
	normal  string // the default as presentTable gives it
	cases   []string
}

func (c declared) ddl() string {
	s := ident(c.Name) + " " + c.definition
	if c.key || !c.Nullable {
		s += " NOT NULL"
	} else {
		s += " NULL"
	}
	if c.literal != "" {
		s += " DEFAULT " + c.literal
	}
	if c.comment != "" {
		s += " COMMENT " + literal(commentPrefix+c.comment)
	}
	return s
}

// declaredColumns chooses native types, by ID; those of deleted columns too, whose
// room in a row counts.
func (f flavour) declaredColumns(t connectors.Declaration) ([]declared, error) {
	plain := make([]connectors.Column, len(t.Columns))
	for id, c := range t.Columns {
		plain[id] = c.Column
		if c.Type.Kind == connectors.Enum {
			plain[id].Type.Values = nil // a text given for an ENUM may be taken for a number: it is bound by a check
		}
	}
	made, err := f.targetColumns(t.Target.String(), plain, t.Mark().PhysicalKey())
	if err != nil {
		return nil, err
	}
	out := make([]declared, len(made))
	for id, c := range made {
		out[id] = declared{column: c}
		if k := t.Columns[id].Type; k.Kind == connectors.Enum {
			out[id].cases = k.Values
		}
		if d := t.Columns[id].Default; d != nil {
			if out[id].literal, out[id].normal, err = f.defaultOf(c, *d); err != nil {
				return nil, typeError(opDeclare, t.Target.String()+"."+c.Name, "declare it without a default", "%w", err)
			}
		}
	}
	return out, nil
}

// defaultOf spells a default for a statement, and as normalDefault reads it back.
func (f flavour) defaultOf(c column, text string) (sql, normal string, err error) {
	switch k := c.Type.Kind; {
	case k == connectors.Bool:
		text = map[string]string{"true": "1", "false": "0"}[text]
		return text, text, nil
	case k.IsInteger():
		return text, text, nil
	case k == connectors.Decimal && !strings.Contains(c.definition, "CHARACTER SET"):
		return text, text, nil
	case k == connectors.Float32 || k == connectors.Float64:
		return text, normalFloat(text), nil
	case k == connectors.Timestamp || k == connectors.TimestampTZ:
		at, perr := time.Parse("2006-01-02T15:04:05.999999", strings.TrimSuffix(text, "Z"))
		if perr != nil || at.Year() < 1 {
			return "", "", fmt.Errorf("the server holds no %s", text)
		}
		text = at.Format("2006-01-02 15:04:05.000000")
	case k == connectors.Time:
		whole, fraction, _ := strings.Cut(text, ".")
		text = whole + "." + (fraction + "000000")[:6]
	case k == connectors.Bytes:
		raw, berr := base64.StdEncoding.DecodeString(text)
		if berr != nil || !f.mariadb {
			return "", "", fmt.Errorf("bytes have no default on this server")
		}
		return "x'" + hex.EncodeToString(raw) + "'", string(raw), nil
	}
	sql = literal(text)
	if !f.mariadb && (strings.HasPrefix(c.definition, "longtext") || c.definition == "json") {
		sql = "(" + sql + ")" // the server takes an expression only
	}
	return sql, text, nil
}

func normalFloat(text string) string {
	v, err := strconv.ParseFloat(text, 32)
	if err != nil {
		return text
	}
	return strconv.FormatFloat(v, 'g', -1, 32)
}

// normalDefault is a default of information_schema without its quotes; "" = null.
func (f flavour) normalDefault(n native, text string, given bool) string {
	switch {
	case !given || f.mariadb && strings.EqualFold(text, "NULL"):
		return ""
	case n.data == "float" || n.data == "double":
		return normalFloat(text)
	case strings.HasPrefix(text, "_utf8mb4"):
		text = strings.ReplaceAll(strings.TrimPrefix(text, "_utf8mb4"), `\'`, "'")
	}
	if quoted := quotedTexts(text); len(quoted) == 1 && strings.HasPrefix(text, "'") {
		return quoted[0]
	}
	return text
}

func (ss *session) planCreation(ctx context.Context, t connectors.Declaration, columns []declared, opts connectors.DeclareOptions) (connectors.DeclarationPlan, error) {
	p := t.CreationPlan()
	ss.flavour.noteChecks(t, &p)
	row, err := ss.queryRow(ctx, "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+literal(t.Target.Schema))
	if err != nil {
		return p, err
	}
	if row == nil {
		p.Statements = append(p.Statements, "CREATE DATABASE IF NOT EXISTS "+ident(t.Target.Schema)+" CHARACTER SET utf8mb4")
	}
	p.Statements = append(p.Statements, ss.flavour.createDeclared(t, columns, opts))
	return p, nil
}

func (f flavour) createDeclared(t connectors.Declaration, columns []declared, opts connectors.DeclareOptions) string {
	var parts, checks []string
	for id, c := range columns {
		if t.Columns[id].Deleted {
			continue
		}
		parts = append(parts, c.ddl())
		if len(c.cases) > 0 {
			checks = append(checks, caseCheck(casesName(t.Target.Name, c.Name), c))
		}
	}
	parts = append(parts, runColumn(t),
		ident(connectors.MetaSyncedAt)+" datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) COMMENT "+literal(commentPrefix+connectors.TimestampTZ.String()),
		"PRIMARY KEY ("+connectors.QuoteList(t.Mark().PhysicalKey(), '`')+")")
	sql := "CREATE TABLE " + qualified(t.Target) + " (\n  " + strings.Join(append(parts, checks...), ",\n  ") +
		"\n) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE " + f.collation()
	if t.Time == "" {
		return sql
	}
	from, to := t.PartitionDays(opts.Now)
	return sql + "\nPARTITION BY RANGE (" + ident(t.Time) + ") (" + strings.Join(dayParts(from, to), ", ") + ")"
}

// runColumn is the column _arus_run_id with the mark.
func runColumn(t connectors.Declaration) string {
	return ident(connectors.MetaRunID) + " char(36) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT " + literal(t.Mark().Comment())
}

// dayParts are the partitions of some days, and the one of all later ones.
func dayParts(from, to int64) []string {
	var parts []string
	for day := from; day <= to; day++ {
		name, _ := connectors.DayName(day)
		_, end := connectors.DayName(day + 1)
		parts = append(parts, "PARTITION "+ident("p"+name)+" VALUES LESS THAN ("+strconv.FormatInt(end, 10)+")")
	}
	return append(parts, "PARTITION "+ident(lastPart)+" VALUES LESS THAN MAXVALUE")
}

func caseCheck(name string, c declared) string {
	values := make([]string, len(c.cases))
	for i, v := range c.cases {
		values[i] = literal(v)
	}
	return "CONSTRAINT " + ident(name) + " CHECK (" + ident(c.Name) + " IN (" + strings.Join(values, ", ") + "))"
}

func casesName(table, column string) string {
	return connectors.Shorten(table+"_"+column+"_cases", maxIdentifier)
}

func (f flavour) noteChecks(t connectors.Declaration, p *connectors.DeclarationPlan) {
	bound := slices.ContainsFunc(t.Columns, func(c connectors.DeclaredColumn) bool {
		return c.Type.Kind == connectors.Enum && len(c.Type.Values) > 0
	})
	if bound && !f.mariadb && !f.atLeast(8, 0, 16) {
		p.Notes = append(p.Notes, "this server takes any text for an enum: it has no checks before 8.0.16")
	}
}

// alterClauses are the parts of the ALTER TABLE that ends a difference.
func alterClauses(t connectors.Declaration, diff connectors.Difference, columns []declared, checks map[string]string) []string {
	var clauses []string
	for _, name := range diff.Drop {
		if check, ok := checks[name]; ok {
			clauses = append(clauses, "DROP CONSTRAINT "+ident(check))
		}
		clauses = append(clauses, "DROP COLUMN "+ident(name))
	}
	for _, id := range diff.Add {
		clauses = append(clauses, "ADD COLUMN "+columns[id].ddl())
		if len(columns[id].cases) > 0 {
			clauses = append(clauses, "ADD "+caseCheck(casesName(t.Target.Name, columns[id].Name), columns[id]))
		}
	}
	for _, id := range diff.Recase {
		// Another name each time: in one statement a name is not free before its end.
		old := checks[columns[id].Name]
		name := connectors.Shorten(t.Target.Name+"_"+columns[id].Name+"_"+strconv.Itoa(len(columns[id].cases))+"_cases", maxIdentifier)
		clauses = append(clauses, "DROP CONSTRAINT "+ident(old), "ADD "+caseCheck(name, columns[id]))
	}
	if diff.Mark {
		clauses = append(clauses, "MODIFY COLUMN "+runColumn(t))
	}
	return clauses
}

// displayWidth is what servers write behind integer types, which says nothing.
var displayWidth = regexp.MustCompile(`^(smallint|mediumint|int|bigint|tinyint)\([0-9]+\)`)

// plainNative is a type's name without width and character set.
func plainNative(definition string) string {
	plain, _, _ := strings.Cut(definition, " CHARACTER SET")
	if plain == "tinyint(1)" {
		return plain
	}
	return displayWidth.ReplaceAllString(plain, "$1")
}

// inList matches the clause of a check that binds a column to cases.
var inList = regexp.MustCompile("(?is)^\\(*`((?:[^`]|``)+)` (?:in \\(|= )(.*)$")

// presentTable describes a table; checks are the names of those that bind enums,
// by column.
func (ss *session) presentTable(ctx context.Context, t connectors.Declaration) (have *connectors.Present, checks map[string]string, err error) {
	natives, indexes, err := ss.describe(ctx, t.Target)
	if err != nil {
		return nil, nil, err
	}
	have, checks = &connectors.Present{}, map[string]string{}
	for _, n := range natives {
		if isMeta(n.name) {
			have.Managed = true
			continue
		}
		c := connectors.PresentColumn{Name: n.name, Native: plainNative(n.column)}
		if n.json {
			c.Native = "json"
		}
		have.Columns = append(have.Columns, c)
	}
	have.Mark = markOf(natives)
	where := ss.flavour.tableIs(t.Target)
	defaults, err := ss.query(ctx, "SELECT COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS WHERE "+where)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range defaults {
		for i := range have.Columns {
			if have.Columns[i].Name == row[0].String {
				n := natives[slices.IndexFunc(natives, func(n native) bool { return n.name == row[0].String })]
				have.Columns[i].Default = ss.flavour.normalDefault(n, row[1].String, row[1].Valid)
			}
		}
	}
	for _, ix := range indexes {
		if ix.name == "PRIMARY" {
			have.Key = ix.columns
		} else {
			have.Extras = append(have.Extras, "index "+ix.name+" ("+strings.Join(ix.columns, ", ")+")")
		}
	}
	parts, err := ss.queryRow(ctx, "SELECT PARTITION_METHOD, PARTITION_EXPRESSION FROM information_schema.PARTITIONS WHERE PARTITION_NAME IS NOT NULL AND "+where+" LIMIT 1")
	if err != nil {
		return nil, nil, err
	}
	if parts != nil {
		have.Time = strings.ReplaceAll(parts[1].String, "`", "")
	}
	return have, checks, ss.presentChecks(ctx, t.Target, have, checks)
}

func (ss *session) presentChecks(ctx context.Context, target connectors.TableRef, have *connectors.Present, checks map[string]string) error {
	sql := "SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = " + literal(target.Schema) +
		" AND TABLE_NAME = " + literal(target.Name) + " AND LEVEL = 'Table' ORDER BY CONSTRAINT_NAME"
	switch {
	case ss.flavour.mariadb:
	case !ss.flavour.atLeast(8, 0, 16):
		return nil
	default:
		sql = "SELECT c.CONSTRAINT_NAME, c.CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS c JOIN information_schema.TABLE_CONSTRAINTS t USING (CONSTRAINT_SCHEMA, CONSTRAINT_NAME)" +
			" WHERE CONSTRAINT_SCHEMA = " + literal(target.Schema) + " AND t.TABLE_NAME = " + literal(target.Name) + " AND t.CONSTRAINT_TYPE = 'CHECK' ORDER BY CONSTRAINT_NAME"
	}
	rows, err := ss.query(ctx, sql)
	for _, row := range rows {
		name, clause := row[0].String, row[1].String
		if !ss.flavour.mariadb {
			clause = strings.ReplaceAll(strings.ReplaceAll(clause, "_utf8mb4", ""), `\'`, "'")
		}
		m := inList.FindStringSubmatch(clause)
		i := -1
		if m != nil {
			i = slices.IndexFunc(have.Columns, func(c connectors.PresentColumn) bool { return c.Name == strings.ReplaceAll(m[1], "``", "`") })
		}
		if i < 0 || checks[have.Columns[i].Name] != "" {
			have.Extras = append(have.Extras, "constraint "+name+" "+clause)
			continue
		}
		checks[have.Columns[i].Name], have.Columns[i].Cases = name, quotedTexts(m[2])
	}
	return err
}

// quotedTexts reads the text constants out of a list, in which a quote may be
// doubled or stand behind a backslash.
func quotedTexts(list string) []string { return enumValues("(" + list) }

func markOf(natives []native) *connectors.Mark {
	for _, n := range natives {
		if strings.EqualFold(n.name, connectors.MetaRunID) {
			return connectors.ParseMark(n.comment)
		}
	}
	return nil
}

// makeDays gives a declared fact table partitions for the days to come, out of the
// one that takes all later rows.
func (l *load) makeDays(ctx context.Context) error {
	if l.mark == nil || l.mark.Time == "" || removes(l.req.Mode) {
		return nil
	}
	rows, err := l.ss.query(ctx, "SELECT PARTITION_DESCRIPTION FROM information_schema.PARTITIONS WHERE "+l.ss.flavour.tableIs(l.target)+
		" AND PARTITION_NAME IS NOT NULL ORDER BY PARTITION_ORDINAL_POSITION")
	if err != nil || len(rows) < 2 || rows[len(rows)-1][0].String != "MAXVALUE" {
		return err // somebody divided it otherwise
	}
	end, err := strconv.ParseInt(rows[len(rows)-2][0].String, 10, 64)
	if err != nil {
		return nil //nolint:nilerr // divided otherwise too
	}
	from, to := connectors.DaysAhead(l.req.SyncedAt)
	if from = max(from, (end+86399)/86400); from > to {
		return nil
	}
	_, err = l.ss.exec(ctx, "ALTER TABLE "+qualified(l.target)+" REORGANIZE PARTITION "+ident(lastPart)+" INTO ("+strings.Join(dayParts(from, to), ", ")+")")
	if isNumber1205(err) {
		return nil // somebody reads it for long: the last partition takes the rows
	}
	return err
}
