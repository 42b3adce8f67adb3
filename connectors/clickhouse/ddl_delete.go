package clickhouse

import (
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
)

// createKeys makes a table of keys. It needs no replicas.
func createKeys(name connectors.TableRef, columns []native, key []string) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + qualified(name) + "\n(\n")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString("    " + ident(c.Name) + " " + c.native)
	}
	return b.String() + "\n)\nENGINE = MergeTree()\nORDER BY (" + idents(key) + ")"
}

// bucket is one of several equal parts of all keys.
type bucket struct{ at, of int }

// holds is the condition that a key is in the bucket; empty where there is one.
func (b bucket) holds(key []string) []string {
	if b.of <= 1 {
		return nil
	}
	texts := make([]string, len(key))
	for i, k := range key {
		texts[i] = "toString(" + ident(k) + ")"
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
	in += " (SELECT " + key + " FROM " + qualified(l.shadow) + where(b.holds(l.req.Key)...) + ")"
	sql := "INSERT INTO " + qualified(into) + " (" + key + ") SELECT " + key + " FROM " + qualified(l.req.Target) +
		where(append(b.holds(l.req.Key), in)...) + " GROUP BY " + key
	var having []string
	newest := func(what string) string { return "argMax(" + what + ", " + ident(metaVersion) + ") = 0" }
	if l.target.hides() {
		having = append(having, newest(ident(metaGone)))
	}
	if l.req.Mode == connectors.Retain && l.req.Retain.Mark {
		having = append(having, newest("isNotNull("+ident(connectors.MetaDeletedAt)+")"))
	}
	if len(having) > 0 {
		sql += " HAVING " + strings.Join(having, " AND ")
	}
	return sql
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
	in := "(" + key + ") IN (SELECT " + key + " FROM " + qualified(gone) + where(b.holds(l.req.Key)...) + ")"
	return "INSERT INTO " + qualified(into) + " (" + strings.Join(names, ", ") + ") " +
		selectCurrent(l.target, strings.Join(values, ", "), append(b.holds(l.req.Key), in)...)
}
