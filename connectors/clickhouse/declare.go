package clickhouse

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"arus/connectors"
)

// A declared table sorts its rows by the sort columns and then the key, which is
// what the engine tells rows apart by, within the partition of a day. A row whose
// sort columns or day change is therefore a second one there; a merge writes a
// version of the old one that says it is gone (see loseMoved). What the catalogue
// does not say stands in the comment of the column _arus_run_id. Enums take any
// text: their cases stand in the comment of the column.

const opDeclare = "declare"

// hasTTL says whether the server drops old rows by itself.
func (v version) hasTTL() bool { return v.atLeast(19, 6) }

// Declare plans all tables, then does one after the other, statement by
// statement: the server has no transactions for this. What stopped halfway the
// next plan goes on with.
func (d *Destination) Declare(ctx context.Context, tables []connectors.Declaration, opts connectors.DeclareOptions) ([]connectors.DeclarationPlan, error) {
	plans := make([]connectors.DeclarationPlan, len(tables))
	for i, t := range tables {
		var err error
		if plans[i], err = d.planDeclared(ctx, t, opts); err != nil {
			return nil, d.fail(ctx, opDeclare, t.Target.String(), "", err)
		}
	}
	if !opts.Apply || connectors.Refused(plans) {
		return plans, nil
	}
	for i, t := range tables {
		if len(plans[i].Statements) == 0 {
			continue
		}
		s := &site{db: d.db, op: opDeclare, ref: t.Target, keep: isPart}
		err := s.enter(ctx, connectors.DefaultLockWait, t.Target.Schema)
		for _, sql := range plans[i].Statements {
			if err == nil {
				err = s.exec(ctx, sql)
			}
		}
		if err == nil {
			err = s.ensureView(ctx)
		}
		if err != nil {
			err = s.failed(ctx, err)
		}
		if left := s.leave(); err == nil {
			err = left
		}
		if err != nil {
			return nil, err
		}
	}
	return plans, nil
}

func (d *Destination) planDeclared(ctx context.Context, t connectors.Declaration, opts connectors.DeclareOptions) (connectors.DeclarationPlan, error) {
	refused := func(format string, args ...any) (connectors.DeclarationPlan, error) {
		p := connectors.NewPlan(t)
		p.Refused = append(p.Refused, fmt.Sprintf(format, args...))
		return p, nil
	}
	for _, c := range t.Columns {
		if len(c.Name) > maxIdentifier {
			return refused("the name %s is longer than %d bytes", c.Name, maxIdentifier)
		}
		if c.Default != nil && c.Type.Kind == connectors.Bytes {
			return refused("column %s: bytes have no default on this server", c.Name)
		}
	}
	r, err := d.lookUp(ctx, t.Target)
	if err != nil {
		return connectors.DeclarationPlan{}, err
	}
	if r == nil {
		p := t.CreationPlan()
		d.note(t, &p)
		sql, err := d.createDeclared(t)
		p.Statements = append(p.Statements, sql)
		return p, err
	}
	if r.isView() {
		return refused("there is a view of that name")
	}
	have := d.presentDeclared(r)
	if err := d.presentDefaults(ctx, t.Target, have); err != nil {
		return connectors.DeclarationPlan{}, err
	}
	want := make([]connectors.PresentColumn, len(t.Columns))
	for id, c := range t.Columns {
		want[id] = connectors.PresentColumn{Name: c.Name, Native: d.declaredType(t, c)}
		if c.Type.Kind == connectors.Enum {
			want[id].Cases = c.Type.Values
		}
		if c.Default != nil {
			want[id].Default, _ = d.defaultOf(c)
		}
	}
	diff := t.Differ(have, want, opts)
	d.note(t, &diff.Plan)
	return diff.Plan, d.alterDeclared(t, r, &diff)
}

func (d dialect) note(t connectors.Declaration, p *connectors.DeclarationPlan) {
	if t.Retention > 0 && t.Time != "" && !d.hasTTL() {
		p.Notes = append(p.Notes, "this server drops no rows by itself: rows older than the retention stay")
	}
	if slices.ContainsFunc(t.Columns, func(c connectors.DeclaredColumn) bool {
		return c.Type.Kind == connectors.Enum && len(c.Type.Values) > 0
	}) {
		p.Notes = append(p.Notes, "this server takes any text for an enum: the cases stand in the comments of the columns")
	}
}

// declaredType is the type of a declared column. Those of the sorting key are
// Nullable as others are: the key has expressions for them.
func (d dialect) declaredType(t connectors.Declaration, c connectors.DeclaredColumn) string {
	return d.columnType(c.Column, slices.Contains(t.Key, c.Name))
}

// createDeclared makes a table with its mark.
func (d dialect) createDeclared(t connectors.Declaration) (string, error) {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + qualified(t.Target) + d.onCluster() + "\n(\n")
	for _, c := range t.Columns {
		if c.Deleted {
			continue
		}
		text, note, err := d.declaredColumn(t, c)
		if err != nil {
			return "", err
		}
		b.WriteString("    " + text + note + ",\n")
	}
	for _, c := range metaColumns {
		native := d.columnType(c, false)
		note, err := comment(native, c.Type)
		if err != nil {
			return "", err
		}
		if c.Name == connectors.MetaRunID {
			note = t.Mark().Comment()
		}
		if note != "" {
			note = " COMMENT " + literal(note)
		}
		b.WriteString("    " + ident(c.Name) + " " + native + note + ",\n")
	}
	codec := ""
	if d.version.atLeast(20, 1) {
		codec = " CODEC(Delta, LZ4)"
	}
	b.WriteString("    " + ident(metaVersion) + " UInt64" + codec + ",\n    " + goneColumn + "\n)\nENGINE = " + d.engine("ReplacingMergeTree", t.Target, d.replacingArgs()...))
	if t.Time != "" {
		b.WriteString("\nPARTITION BY " + dayOf(t.Time))
	}
	b.WriteString("\nORDER BY (" + strings.Join(sorting(t), ", ") + ")")
	if ttl := d.ttl(t); ttl != "" {
		b.WriteString("\nTTL " + ttl)
	}
	return b.String(), nil
}

// declaredColumn spells a column with its default, and the comment that says what
// the type does not.
func (d dialect) declaredColumn(t connectors.Declaration, c connectors.DeclaredColumn) (text, note string, err error) {
	native := d.declaredType(t, c)
	text = ident(c.Name) + " " + native
	if c.Default != nil {
		_, sql := d.defaultOf(c)
		text += " DEFAULT " + sql
	}
	note, err = comment(native, c.Type)
	if note != "" {
		note = " COMMENT " + literal(note)
	}
	return text, note, err
}

// dayOf is the partition of a row, the number of its day since 1970.
func dayOf(column string) string { return "intDiv(" + ident(column) + ", 86400)" }

// sorting is the sorting key: sort columns that are not deleted, then the key.
func sorting(t connectors.Declaration) []string {
	var parts []string
	for _, name := range t.Sort {
		i := slices.IndexFunc(t.Columns, func(c connectors.DeclaredColumn) bool { return c.Name == name && !c.Deleted })
		switch {
		case i < 0 || slices.Contains(t.Key, name):
		case t.Columns[i].Nullable:
			parts = append(parts, "assumeNotNull("+ident(name)+")")
		default:
			parts = append(parts, ident(name))
		}
	}
	for _, name := range t.Key {
		parts = append(parts, ident(name))
	}
	return parts
}

// ttl is when the server drops a row; "" = never.
func (d dialect) ttl(t connectors.Declaration) string {
	if t.Retention == 0 || t.Time == "" || !d.hasTTL() {
		return ""
	}
	return "toDateTime(" + ident(t.Time) + ") + toIntervalDay(" + strconv.Itoa(t.Retention) + ")"
}

// defaultOf is a default as normalDefault reads it back, and for a statement.
func (d dialect) defaultOf(c connectors.DeclaredColumn) (normal, sql string) {
	text := *c.Default
	switch k := c.Type.Kind; {
	case k == connectors.Bool && !d.hasBool():
		text = map[string]string{"true": "1", "false": "0"}[text]
		return text, text
	case k == connectors.Bool || k.IsInteger():
		return text, text
	case k == connectors.Timestamp || k == connectors.TimestampTZ:
		at, err := time.Parse("2006-01-02T15:04:05.999999", strings.TrimSuffix(text, "Z"))
		switch {
		case err != nil:
		case d.hasDateTime64():
			text = at.Format("2006-01-02 15:04:05.000000")
		default:
			text = at.Format("2006-01-02T15:04:05.000000")
			if k == connectors.TimestampTZ {
				text += "Z"
			}
		}
	}
	return text, "CAST(" + literal(text) + " AS " + d.native(c.Type) + ")"
}

// casted matches what servers write around a constant.
var casted = regexp.MustCompile(`(?s)^CAST\((.*?)(?: AS [A-Za-z0-9_(), ']+|, '(?:[^'\\]|\\.)+')\)$`)

// normalDefault is the constant of a default expression without casts and quotes.
func normalDefault(expr string) string {
	for {
		m := casted.FindStringSubmatch(expr)
		if m == nil {
			break
		}
		expr = m[1]
	}
	text, _ := unquote(expr, '\'')
	return text
}

// presentDeclared is a table in the words that a declaration is compared in.
func (d *Destination) presentDeclared(r *relation) *connectors.Present {
	have := &connectors.Present{Managed: r.Managed, Mark: r.mark, Key: r.PrimaryKey, Time: r.partitionKey}
	for _, c := range r.all {
		if isMeta(c.Name) {
			continue
		}
		present := connectors.PresentColumn{Name: c.Name, Native: c.Native}
		if c.Type.Kind == connectors.Enum {
			present.Cases = c.Type.Values
		}
		if c.computed {
			present.Native += " computed"
		}
		have.Columns = append(have.Columns, present)
	}
	return have
}

func (d *Destination) presentDefaults(ctx context.Context, ref connectors.TableRef, have *connectors.Present) error {
	sql := "SELECT name, default_expression FROM system.columns WHERE database = " + literal(ref.Schema) + " AND table = " + literal(ref.Name) + " AND default_kind = 'DEFAULT'"
	return d.catalog(ctx, sql, func() {}, func(rows driver.Rows) error {
		var name, expr string
		if err := rows.Scan(&name, &expr); err != nil {
			return err
		}
		for i := range have.Columns {
			if have.Columns[i].Name == name {
				have.Columns[i].Default = normalDefault(expr)
			}
		}
		return nil
	})
}

// ttlClause matches the TTL in a table's engine.
var ttlClause = regexp.MustCompile(`\bTTL (.+?)(?: SETTINGS .*)?$`)

// alterDeclared writes the statements of a difference.
func (d dialect) alterDeclared(t connectors.Declaration, r *relation, diff *connectors.Difference) error {
	p := &diff.Plan
	if len(p.Refused) > 0 {
		return nil
	}
	var commands, comments []string
	for _, name := range diff.Drop {
		if slices.Contains(t.Sort, name) {
			p.Changes = slices.DeleteFunc(p.Changes, func(c connectors.DeclarationChange) bool { return c.Kind == connectors.DeclareDrop && c.Column == name })
			p.Notes = append(p.Notes, "column "+name+" sorts the table, so the server keeps it")
			continue
		}
		commands = append(commands, "DROP COLUMN "+ident(name))
	}
	for _, id := range diff.Add {
		text, note, err := d.declaredColumn(t, t.Columns[id])
		if err != nil {
			return err
		}
		commands = append(commands, "ADD COLUMN "+text)
		if note != "" { // old servers pass over a comment in the declaration
			comments = append(comments, "COMMENT COLUMN "+ident(t.Columns[id].Name)+strings.TrimPrefix(note, " COMMENT"))
		}
	}
	for _, id := range diff.Recase {
		note, err := comment(d.declaredType(t, t.Columns[id]), t.Columns[id].Type)
		if err != nil {
			return err
		}
		comments = append(comments, "COMMENT COLUMN "+ident(t.Columns[id].Name)+" "+literal(note))
	}
	if diff.Mark {
		comments = append(comments, "COMMENT COLUMN "+ident(connectors.MetaRunID)+" "+literal(t.Mark().Comment()))
	}
	for _, c := range [][]string{commands, comments} {
		if len(c) > 0 {
			p.Statements = append(p.Statements, d.alter(t.Target, c))
		}
	}
	if !d.hasTTL() || t.Time == "" {
		return nil
	}
	is, want := "", d.ttl(t)
	if m := ttlClause.FindStringSubmatch(r.engineFull); m != nil {
		is = m[1]
	}
	if strings.ReplaceAll(is, "`", "") == strings.ReplaceAll(want, "`", "") {
		return nil
	}
	p.Changes = append(p.Changes, connectors.DeclarationChange{Kind: connectors.DeclareRetains, Detail: strconv.Itoa(t.Retention) + " days"})
	command := "REMOVE TTL"
	if want != "" {
		command = "MODIFY TTL " + want
	}
	p.Statements = append(p.Statements, d.alter(t.Target, []string{command}))
	return nil
}

// loseMoved writes into the shadow versions that say a row is gone: of those that
// a row of the shadow takes the place of elsewhere, in another day or in another
// place of the sorting key, within the target and the shadow itself.
func (l *load) loseMoved(ctx context.Context) error {
	r := l.target
	if r == nil || r.mark == nil || r.sortingKey == idents(r.mark.Key) && r.partitionKey == "" {
		return nil
	}
	key := idents(r.mark.Key)
	place := []string{}
	for _, part := range splitArgs(r.sortingKey) {
		if name, _ := unquote(part, '`'); !slices.Contains(r.mark.Key, name) {
			place = append(place, part)
		}
	}
	if r.partitionKey != "" {
		place = append(place, r.partitionKey)
	}
	if len(place) == 0 {
		return nil
	}
	version := "toUInt64(" + strconv.FormatUint(l.first+uint64(l.feed.rows), 10) + ")"
	var names, values []string
	for _, name := range r.stored() {
		value := ident(name)
		switch name {
		case metaVersion:
			value = version
		case metaGone:
			value = "1"
		}
		names, values = append(names, ident(name)), append(values, value)
	}
	shadow := qualified(l.shadow)
	into := "INSERT INTO " + shadow + " (" + strings.Join(names, ", ") + ") "
	n := buckets(l.feed.rows)
	for i := range n {
		held := l.holds(bucket{i, n})
		came := where(append(slices.Clone(held), present)...)
		newest := make([]string, len(place))
		for j, p := range place {
			newest[j] = "argMax(" + p + ", " + ident(metaVersion) + ")"
		}
		gone := "(" + key + ", " + strings.Join(place, ", ") + ") NOT IN (SELECT " + key + ", " + strings.Join(newest, ", ") + " FROM " + shadow + came + " GROUP BY " + key + ")"
		sources := []string{"SELECT " + strings.Join(values, ", ") + " FROM " + shadow + came + " AND " + gone}
		if l.req.Mode == connectors.Merge {
			in := "(" + key + ") IN (SELECT " + key + " FROM " + shadow + came + ")"
			sources = append(sources, selectCurrent(r, strings.Join(values, ", "), append(slices.Clone(held), in, gone)...))
		}
		for _, from := range sources {
			if err := l.exec(ctx, into+from); err != nil {
				return err
			}
		}
	}
	return nil
}
