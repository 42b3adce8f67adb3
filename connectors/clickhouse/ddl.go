package clickhouse

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"arus/connectors"
)

// dialect writes statements for one server: by its version, and for a cluster
// when one is named.
type dialect struct {
	version
	cluster string
}

// metaVersion orders the rows of one key: the greatest is the current one, and
// when its metaGone is 1 the key has no row any more. Targets made before rows
// could be deleted get metaGone when the first one is.
const (
	metaVersion = "_arus_version"
	metaGone    = "_arus_gone"
	present     = "`" + metaGone + "` = 0"
)

const (
	shadowPrefix = "_arus_new_"
	oldPrefix    = "_arus_old_"
)

// ident quotes one name.
func ident(name string) string { return connectors.QuoteEscaped(name, '`') }

func qualified(ref connectors.TableRef) string {
	if ref.Schema == "" {
		return ident(ref.Name)
	}
	return ident(ref.Schema) + "." + ident(ref.Name)
}

func idents(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = ident(n)
	}
	return strings.Join(quoted, ", ")
}

// literal quotes a text constant. It is the only way a value enters SQL text.
func literal(s string) string {
	return "'" + literalEscaper.Replace(s) + "'"
}

var literalEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`)

// targetHash is what the names of a target's shadows share.
func targetHash(ref connectors.TableRef) string {
	sum := sha256.Sum256([]byte(ref.Schema + "\x00" + ref.Name))
	return hex.EncodeToString(sum[:8])
}

// currentView names the view that shows each row once.
func currentView(ref connectors.TableRef) connectors.TableRef {
	return connectors.TableRef{Schema: ref.Schema, Name: connectors.Shorten(ref.Name+"_current", maxIdentifier)}
}

// local is the dialect for tables that need no replicas.
func (d dialect) local() dialect { return dialect{version: d.version} }

func (d dialect) onCluster() string {
	if d.cluster == "" {
		return ""
	}
	return " ON CLUSTER " + ident(d.cluster)
}

func (d dialect) createDatabase(schema string) string {
	return "CREATE DATABASE IF NOT EXISTS " + ident(schema) + d.onCluster()
}

// createTarget makes a table for the request's rows and the metadata. With a
// key, rows of equal keys are replaced by the one of the greatest version.
func (d dialect) createTarget(name connectors.TableRef, req connectors.LoadRequest) (string, error) {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + qualified(name) + d.onCluster() + "\n(\n")
	key := map[string]bool{}
	for _, k := range req.Key {
		key[k] = true
	}
	for _, c := range append(append([]connectors.Column{}, req.Columns...), metaColumns...) {
		native := d.columnType(c, key[c.Name])
		b.WriteString("    " + ident(c.Name) + " " + native)
		note, err := comment(native, c.Type)
		if err != nil {
			return "", err
		}
		if note != "" {
			b.WriteString(" COMMENT " + literal(note))
		}
		b.WriteString(",\n")
	}
	text := strings.TrimSuffix(b.String(), ",\n")
	if len(req.Key) == 0 {
		return text + "\n)\nENGINE = " + d.engine("MergeTree", name) + "\nORDER BY tuple()", nil
	}
	text += ",\n    " + ident(metaVersion) + " UInt64"
	if d.version.atLeast(20, 1) {
		text += " CODEC(Delta, LZ4)" // neighbours differ by little
	}
	text += ",\n    " + goneColumn
	return text + "\n)\nENGINE = " + d.engine("ReplacingMergeTree", name, d.replacingArgs()...) + "\nORDER BY (" + idents(req.Key) + ")", nil
}

const goneColumn = "`" + metaGone + "` UInt8 DEFAULT 0"

// replacingArgs tell the engine which row of a key is current and, where it can
// know, whether FINAL leaves it out.
func (d dialect) replacingArgs() []string {
	if d.version.atLeast(23, 2) {
		return []string{metaVersion, metaGone}
	}
	return []string{metaVersion}
}

// metaColumns are what every target has after the request's columns.
var metaColumns = []connectors.Column{
	{Name: connectors.MetaRunID, Type: connectors.Type{Kind: connectors.UUID}},
	{Name: connectors.MetaSyncedAt, Type: connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}},
}

// engine spells a table engine, replicated in a cluster. The path in the keeper
// names the table as it was made, never by macro: shadows have names that do not
// return, so the path stays its own when the table is renamed.
func (d dialect) engine(family string, name connectors.TableRef, args ...string) string {
	var params []string
	if d.cluster != "" {
		family = "Replicated" + family
		params = append(params, literal("/clickhouse/tables/{shard}/"+pathElement(name.Schema)+"/"+pathElement(name.Name)), "'{replica}'")
	}
	return family + "(" + strings.Join(append(params, args...), ", ") + ")"
}

// pathElement makes a name safe in a keeper path, where braces are macros.
func pathElement(name string) string {
	plain := strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
	if plain {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "h" + hex.EncodeToString(sum[:8])
}

// createLike makes a table of a target's exact structure. One whose rows are
// then attached to the target needs no replicas; one that takes its place does.
func (d dialect) createLike(name, target connectors.TableRef, r *relation, replaces bool) string {
	family, replicated := strings.CutPrefix(r.engine, "Replicated")
	if !replicated {
		return "CREATE TABLE " + qualified(name) + d.onCluster() + " AS " + qualified(target)
	}
	var args []string
	if family == "ReplacingMergeTree" {
		args = []string{metaVersion}
		if _, after, _ := strings.Cut(r.engineFull, metaVersion); strings.Contains(after, metaGone) {
			args = append(args, metaGone)
		}
	}
	sql := "CREATE TABLE " + qualified(name)
	if replaces {
		sql += d.onCluster() + " AS " + qualified(target) + " ENGINE = " + d.engine(family, name, args...)
	} else {
		sql += " AS " + qualified(target) + " ENGINE = " + d.local().engine(family, name, args...)
	}
	if r.partitionKey != "" {
		sql += " PARTITION BY " + r.partitionKey
	}
	if r.sortingKey == "" {
		return sql + " ORDER BY tuple()"
	}
	sql += " ORDER BY (" + r.sortingKey + ")"
	if m := ttlClause.FindStringSubmatch(r.engineFull); m != nil {
		sql += " TTL " + m[1]
	}
	return sql
}

// createRaw makes the staging table of raw mode, or a shadow of it.
func (d dialect) createRaw(name connectors.TableRef, ifAbsent bool) string {
	extracted := d.columnType(connectors.Column{Type: connectors.Type{Kind: connectors.TimestampTZ}}, false)
	sql := "CREATE TABLE "
	if ifAbsent {
		sql += "IF NOT EXISTS "
	}
	return sql + qualified(name) + d.onCluster() + "\n(\n    `_arus_id` UInt64,\n    `_arus_run_id` UUID,\n    `_arus_extracted` " + extracted +
		",\n    `_data` String\n)\nENGINE = " + d.engine("MergeTree", name) + "\nORDER BY `_arus_id`"
}

// attach moves nothing and copies nothing: the target gets links to the parts
// of another table, all in one step.
func (d dialect) attach(target, from connectors.TableRef, partition string) string {
	return "ALTER TABLE " + qualified(target) + " ATTACH PARTITION ID " + literal(partition) + " FROM " + qualified(from)
}

// swap puts the shadow in the target's place. Without EXCHANGE it is one RENAME
// that the server carries out pair by pair: a reader may find the table missing
// for an instant, never half filled, and Begin mends what a crash between the
// pairs leaves. displaced is where the old table then is.
func (d dialect) swap(target, shadow connectors.TableRef, exists, atomic bool) (sql string, displaced connectors.TableRef) {
	switch {
	case !exists:
		return "RENAME TABLE " + qualified(shadow) + " TO " + qualified(target) + d.onCluster(), connectors.TableRef{}
	case atomic && d.version.atLeast(20, 10):
		return "EXCHANGE TABLES " + qualified(shadow) + " AND " + qualified(target) + d.onCluster(), shadow
	}
	old := oldTable(target)
	return "RENAME TABLE " + qualified(target) + " TO " + qualified(old) + ", " + qualified(shadow) + " TO " + qualified(target) + d.onCluster(), old
}

func oldTable(target connectors.TableRef) connectors.TableRef {
	return connectors.TableRef{Schema: target.Schema, Name: oldPrefix + targetHash(target)}
}

func (d dialect) drop(ref connectors.TableRef) string {
	sql := "DROP TABLE IF EXISTS " + qualified(ref) + d.onCluster()
	if d.version.atLeast(23, 12) {
		sql += " SETTINGS max_table_size_to_drop = 0" // it is ours, whatever its size
	}
	return sql
}

// rename gives a shadow that needs no replicas another name.
func rename(from, to connectors.TableRef) string {
	return "RENAME TABLE " + qualified(from) + " TO " + qualified(to)
}

// copyRest carries the target's rows outside the window into the shadow.
func (d dialect) copyRest(shadow, target connectors.TableRef, columns []string, where string) string {
	list := idents(columns)
	return "INSERT INTO " + qualified(shadow) + " (" + list + ") SELECT " + list + " FROM " + qualified(target) + " WHERE NOT ifNull(" + where + ", 0)"
}

// createView shows the columns and the metadata of a target, each row once.
func (d dialect) createView(target connectors.TableRef, columns []string, r *relation) string {
	return "CREATE VIEW " + qualified(currentView(target)) + d.onCluster() + " AS " + selectCurrent(r, idents(columns))
}

// definition gives the text of a view.
func definition(view connectors.TableRef) string {
	return "SELECT create_table_query FROM system.tables WHERE database = " + literal(view.Schema) + " AND name = " + literal(view.Name)
}

func (d dialect) dropView(target connectors.TableRef) string {
	return "DROP TABLE IF EXISTS " + qualified(currentView(target)) + d.onCluster()
}

// maxVersion finds where the next load's versions begin.
func maxVersion(target connectors.TableRef) string {
	return "SELECT max(" + ident(metaVersion) + ") FROM " + qualified(target)
}

func killQuery(id string) string { return "KILL QUERY WHERE query_id = " + literal(id) + " ASYNC" }

// leftovers lists the tables that killed loads of a target left behind.
func leftovers(schema string, target connectors.TableRef) string {
	hash := targetHash(target)
	return "SELECT name FROM system.tables WHERE database = " + literal(schema) +
		" AND (startsWith(name, " + literal(shadowPrefix+hash) + ") OR name = " + literal(oldPrefix+hash) + ") ORDER BY name"
}

// condition is the WHERE expression of a window over columns of known types: the
// window's own, then those of its Or.
func (d dialect) condition(w connectors.Window, columns ...relationColumn) (string, error) {
	var either []string
	windows := w.Apart()
	for i, column := range columns {
		var parts []string
		for _, side := range []struct {
			bound *connectors.Bound
			op    string
		}{{windows[i].Lower, ">="}, {windows[i].Upper, "<="}} {
			if side.bound == nil {
				continue
			}
			value, err := boundLiteral(*side.bound, column)
			if err != nil {
				return "", err
			}
			parts = append(parts, orderExpr(column)+" "+side.op+" "+value)
		}
		if len(parts) == 0 {
			parts = []string{"isNotNull(" + ident(column.Name) + ")"}
		}
		either = append(either, strings.Join(parts, " AND "))
		if i == 0 && w.Nulls {
			either = append(either, "isNull("+ident(column.Name)+")")
		}
	}
	return "(" + strings.Join(either, " OR ") + ")", nil
}

// orderExpr is an expression by which the values of a column compare as they
// do in every other connector, whatever form they are stored in.
func orderExpr(c relationColumn) string {
	name := ident(c.Name)
	n := parseNative(c.Native)
	switch c.Type.Kind {
	case connectors.Date:
		if n.base == "String" {
			return calendarKey(name)
		}
		return "toInt64(toInt32(" + name + "))"
	case connectors.Timestamp, connectors.TimestampTZ:
		switch n.base {
		case "String":
			return calendarKey(name)
		case "DateTime":
			return "toInt64(toUInt32(" + name + ")) * 1000000"
		}
		return "toUnixTimestamp64Micro(" + microseconds(name, n) + ")"
	case connectors.UUID, connectors.Enum:
		return "toString(" + name + ")"
	case connectors.Bool:
		return "toUInt8(" + name + ")"
	}
	return name
}

func microseconds(name string, n nativeType) string {
	if n.scale == 6 {
		return name
	}
	return "toDateTime64(" + name + ", 6, 'UTC')"
}

// calendarKey makes the text of a date or timestamp sort by time: words and
// signs first, then the number of the year's digits, then the text. Only years
// before 0 compare wrongly with each other, and none of them may be a bound.
func calendarKey(name string) string {
	return "concat(multiIf(" + name + " = 'infinity', '~', " + name + " = '-infinity', '!', startsWith(" + name + ", '-'), '#', toString(position(" + name + ", '-'))), " + name + ")"
}

// calendarBound is calendarKey of a bound.
func calendarBound(text string) (string, bool) {
	switch {
	case text == "infinity":
		return "~" + text, true
	case text == "-infinity":
		return "!" + text, true
	case strings.HasPrefix(text, "-"):
		return "", false
	}
	return strconv.Itoa(strings.IndexByte(text, '-')+1) + text, true
}

// boundLiteral writes a bound as a constant that orderExpr of the column
// compares with.
func boundLiteral(b connectors.Bound, c relationColumn) (string, error) {
	unsupported := func(why string) (string, error) {
		return "", &valueError{kind: connectors.KindUnsupported, column: c.Name, err: errors.New(why), hint: "choose another column, or load with a key"}
	}
	text := b.Text
	wrong := func(err error) (string, error) {
		return "", &valueError{kind: connectors.KindInvalid, column: c.Name, err: fmt.Errorf("the bound %q: %w", text, err)}
	}
	n := parseNative(c.Native)
	switch kind := c.Type.Kind; kind {
	case connectors.Date, connectors.Timestamp, connectors.TimestampTZ:
		return calendarLiteral(text, c, n, wrong, unsupported)
	case connectors.Decimal:
		if n.base != "Decimal" {
			return unsupported("its decimals are kept as text, which has another order")
		}
		return decimalLiteral(text, wrong)
	case connectors.Float32, connectors.Float64:
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return wrong(err)
		}
		return "toFloat64(" + literal(strings.ToLower(strings.Replace(text, "Infinity", "inf", 1))) + ")", nil
	case connectors.Bool:
		if text == "true" {
			return "1", nil
		}
		return "0", nil
	case connectors.Text, connectors.Enum, connectors.UUID:
		return literal(text), nil
	case connectors.Numeric:
		return unsupported("numbers without a declared precision are kept as text, which has another order")
	default:
		if !kind.IsInteger() {
			return unsupported("a " + kind.String() + " cannot bound rows")
		}
		return integerLiteral(text, wrong)
	}
}

func calendarLiteral(text string, c relationColumn, n nativeType, wrong func(error) (string, error), unsupported func(string) (string, error)) (string, error) {
	if c.Type.Kind == connectors.Date {
		d, err := connectors.ParseDate(text)
		switch {
		case err != nil:
			return wrong(err)
		case n.base == "String":
			text = string(connectors.AppendDate(nil, d))
		default:
			return strconv.Itoa(int(d)), nil
		}
	} else {
		ts, _, err := connectors.ParseTimestamp(text)
		switch {
		case err != nil:
			return wrong(err)
		case n.base == "String":
			text = string(appendFixedTimestamp(nil, ts, c.Type.Kind))
		default:
			return strconv.FormatInt(int64(ts), 10), nil
		}
	}
	key, ok := calendarBound(text)
	if !ok {
		return unsupported("years before 0 are kept as text, which has another order")
	}
	return literal(key), nil
}

func integerLiteral(text string, wrong func(error) (string, error)) (string, error) {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return text, nil
	}
	if _, err := strconv.ParseUint(text, 10, 64); err != nil {
		return wrong(err)
	}
	return text, nil
}

// decimalLiteral writes an exact decimal constant; the server compares decimals
// of different scales exactly where the digits fit.
func decimalLiteral(text string, wrong func(error) (string, error)) (string, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	precision := min(max(len(strings.TrimPrefix(whole, "-"))+len(fraction), 1), connectors.MaxDecimal256)
	if precision <= connectors.MaxDecimal128 {
		if _, err := connectors.ParseDecimal128(text, precision, len(fraction)); err != nil || text == "NaN" {
			return wrong(errors.New("not a decimal"))
		}
		return "toDecimal128(" + literal(text) + ", " + strconv.Itoa(len(fraction)) + ")", nil
	}
	if _, err := connectors.ParseDecimal256(text, precision, len(fraction)); err != nil {
		return wrong(err)
	}
	return "toDecimal256(" + literal(text) + ", " + strconv.Itoa(len(fraction)) + ")", nil
}

// partitions lists the partitions that a table has rows in.
func partitions(ref connectors.TableRef) string {
	return "SELECT DISTINCT partition_id FROM system.parts WHERE active AND database = " + literal(ref.Schema) + " AND table = " + literal(ref.Name) + " ORDER BY partition_id"
}

// restore gives the displaced table its name back.
func (d dialect) restore(target connectors.TableRef) string {
	return "RENAME TABLE " + qualified(oldTable(target)) + " TO " + qualified(target) + d.onCluster()
}
