package clickhouse

import (
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// createKeys makes a table of keys, with newest one that keeps the row of each key
// in which that column is the greatest. It needs no replicas.
func createKeys(name connectors.TableRef, columns []native, key []string, newest string) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + qualified(name) + "\n(\n")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString("    " + ident(c.Name) + " " + c.native)
	}
	engine := "MergeTree()"
	if newest != "" {
		engine = "ReplacingMergeTree(" + newest + ")"
	}
	return b.String() + "\n)\nENGINE = " + engine + "\nORDER BY (" + idents(key) + ")"
}

// bucket is one of several equal parts of all keys.
type bucket struct{ at, of int }

// holds is the condition that a key is in the bucket; empty where there is one.
// No old server hashes decimals, or spells wide ones.
func (l *load) holds(b bucket) []string {
	if b.of <= 1 {
		return nil
	}
	texts := make([]string, len(l.req.Key))
	for i, k := range l.req.Key {
		texts[i] = "toString(" + ident(k) + ")"
		if c, _ := l.target.column(k); parseNative(c.Native).base == "Decimal" {
			texts[i] = "toString(toFloat64(" + ident(k) + "))"
		}
	}
	return []string{"cityHash64(" + strings.Join(texts, ", ") + ") % " + strconv.Itoa(b.of) + " = " + strconv.Itoa(b.at)}
}

func where(conditions ...string) string {
	if len(conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(conditions, " AND ")
}

// timeLiteral writes a time as a constant of a column's type.
func timeLiteral(at time.Time, c relationColumn) string {
	ts := arrow.Timestamp(at.UnixMicro())
	if parseNative(c.Native).base == "String" {
		return literal(string(appendFixedTimestamp(nil, ts, connectors.TimestampTZ)))
	}
	return "toDateTime64(" + literal(string(connectors.AppendTimestamp(nil, ts, ' '))) + ", 6, 'UTC')"
}

// goneKeys collects the keys of rows that are present, unmarked where the rows
// are to be marked, and not among those that came; or among them for Remove.
func (l *load) goneKeys(into connectors.TableRef, b bucket) string {
	key := idents(l.req.Key)
	in := "(" + key + ") NOT IN"
	if l.req.Mode == connectors.Remove {
		in = "(" + key + ") IN"
	}
	in += " (SELECT " + key + " FROM " + qualified(l.shadow) + where(l.holds(b)...) + ")"
	conditions := append(l.holds(b), in)
	if l.req.Mode == connectors.Retain && l.req.Retain.Mark {
		conditions = append(conditions, "isNull("+ident(connectors.MetaDeletedAt)+")")
	}
	return "INSERT INTO " + qualified(into) + " (" + key + ") " + selectCurrent(l.target, key, conditions...)
}

// goneVersions writes a further version of each row whose key is gone: one that
// says so, or one with the mark.
func (l *load) goneVersions(into, gone connectors.TableRef, mark bool, b bucket) string {
	var names, values []string
	for _, name := range l.target.stored() {
		value := ident(name)
		c, _ := l.target.column(name)
		switch {
		case name == metaVersion:
			value = "toUInt64(" + strconv.FormatUint(l.first, 10) + ")"
		case name == metaGone:
			value = "1"
			if mark {
				value = "0"
			}
		case mark && name == connectors.MetaDeletedAt, !mark && name == connectors.MetaSyncedAt:
			value = timeLiteral(l.req.SyncedAt, c)
		case !mark && name == connectors.MetaRunID:
			value = "toUUID(" + literal(l.run.String()) + ")"
		}
		names, values = append(names, ident(name)), append(values, value)
	}
	key := idents(l.req.Key)
	in := "(" + key + ") IN (SELECT " + key + " FROM " + qualified(gone) + where(l.holds(b)...) + ")"
	return "INSERT INTO " + qualified(into) + " (" + strings.Join(names, ", ") + ") " +
		selectCurrent(l.target, strings.Join(values, ", "), append(l.holds(b), in)...)
}
