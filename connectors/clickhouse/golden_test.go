package clickhouse

import (
	"flag"
	"strings"
	"testing"
	"time"

	"arus/connectors"
)

var update = flag.Bool("update", false, "write the golden files")

// TestStatements pins what is said to servers that are not at hand, beside what
// is said to the one that is.
func TestStatements(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file string
		dialect
		atomic bool
	}{
		{"statements_18_16.sql", dialect{version: version{18, 16}}, false},
		{"statements_20_8.sql", dialect{version: version{20, 8}}, false},
		{"statements_25_8.sql", dialect{version: version{25, 8}}, true},
		{"statements_25_8_cluster.sql", dialect{version: version{25, 8}, cluster: "north's"}, true},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			golden(t, test.file, script(t, test.dialect, test.atomic))
		})
	}
}

// script writes every statement of a dialect in the order of use.
func script(t *testing.T, d dialect, atomic bool) string {
	t.Helper()
	var b strings.Builder
	say := func(what, sql string) { b.WriteString("-- " + what + "\n" + sql + ";\n\n") }
	var columns []connectors.Column
	columns = append(columns, column("id", connectors.Int64), connectors.Column{Name: "code", Type: connectors.Type{Kind: connectors.Text, Length: 3, Fixed: true}})
	for _, c := range kindCases() {
		columns = append(columns, connectors.Column{Name: "c_" + c.name, Type: c.typ, Nullable: true})
	}
	columns = append(columns, column("strict `name\\", connectors.Timestamp))
	target, shadow := connectors.TableRef{Schema: "ana`lytics", Name: "orders"}, connectors.TableRef{Schema: "ana`lytics", Name: shadowPrefix + "0123456789abcdef_cafe"}
	raw := connectors.TableRef{Schema: "staging", Name: "shop_orders_raw"}
	req := connectors.LoadRequest{Target: target, Columns: columns, Key: []string{"id", "code"}}
	create := func(what string, name connectors.TableRef, req connectors.LoadRequest) {
		sql, err := d.createTarget(name, req)
		if err != nil {
			t.Fatal(err)
		}
		say(what, sql)
	}
	say("the lock of a target", lockQuery)
	say("the database", d.createDatabase(target.Schema))
	say("what killed loads left", leftovers(target.Schema, target))
	create("the shadow of a table with a key", shadow, req)
	create("the shadow of a table without one", shadow, connectors.LoadRequest{Columns: columns[:1]})
	engine := "ReplacingMergeTree"
	if d.cluster != "" {
		engine = "ReplicatedReplacingMergeTree"
	}
	r := &relation{engine: engine, sortingKey: "id, code", Table: connectors.Table{TableRef: target}}
	for _, name := range []string{"id", "code", connectors.MetaDeletedAt, connectors.MetaRunID, connectors.MetaSyncedAt, metaVersion, metaGone} {
		c := connectors.Column{Name: name, Type: connectors.Type{Kind: connectors.Int64}}
		if name == connectors.MetaDeletedAt || name == connectors.MetaSyncedAt {
			c.Type = metaColumns[1].Type
		}
		c.Native = d.columnType(c, false)
		r.all = append(r.all, relationColumn{Column: c})
	}
	r.engineFull = d.engine("ReplacingMergeTree", target, d.replacingArgs()...)
	say("rows to be merged", d.createLike(shadow, target, r, false))
	say("where their versions begin", maxVersion(target))
	w := &inserter{table: shadow}
	say("the rows", strings.ReplaceAll(w.statement([]*encoder{{Column: columns[0]}, {Column: columns[len(columns)-1]}}), "  ", " ")+" FORMAT Native")
	say("the partitions that they are in", partitions(shadow))
	say("the merge", d.attach(target, shadow, "all"))
	say("a table that replaces a window", d.createLike(shadow, target, r, true))
	for _, native := range []string{d.columnType(connectors.Column{Type: connectors.Type{Kind: connectors.TimestampTZ}}, false), "Int64", "Decimal(18, 4)"} {
		typ := readColumn(native, "")
		bound := func(text string) *connectors.Bound { return &connectors.Bound{Kind: typ.Kind, Text: text} }
		lower, upper := bound("-5"), bound("1234")
		switch {
		case native == "String", typ.Kind == connectors.TimestampTZ:
			typ.Kind = connectors.TimestampTZ
			lower, upper = bound("2024-01-02T03:04:05.5Z"), bound("10000-01-01T00:00:00Z")
		case typ.Kind == connectors.Decimal:
			upper = bound("1234.5000")
		}
		where, err := d.condition(connectors.Window{Column: "at", Lower: lower, Upper: upper, Nulls: true},
			relationColumn{Column: connectors.Column{Name: "at", Type: typ, Native: native}})
		if err != nil {
			t.Fatal(err)
		}
		say("what the window leaves, by a column of type "+native, d.copyRest(shadow, target, []string{"id", "at"}, where))
	}
	swap, _ := d.swap(target, shadow, false, atomic)
	say("the first swap", swap)
	swap, displaced := d.swap(target, shadow, true, atomic)
	say("a later swap", swap)
	say("the displaced table", d.drop(displaced))
	say("the view of current rows", d.createView(target, []string{"id", "code"}, r))
	say("whether an older one hides deleted rows", definition(currentView(target)))
	say("the same without a key", d.createView(target, []string{"id"}, &relation{engine: "MergeTree", Table: connectors.Table{TableRef: target}}))
	say("a view that is out of date", d.dropView(target))
	say("the staging table", d.createRaw(raw, true))
	say("mending half a swap", d.restore(target))
	say("ending a cancelled query", killQuery("arus-1"))
	deletions(say, d, r, raw)
	say("a column that is added and one that is widened", d.alter(target, []string{"ADD COLUMN `n` Nullable(Int64)", "MODIFY COLUMN `m` Int64", "COMMENT COLUMN `m` " + literal("arus:{}")}))
	staging := &relation{}
	at := relationColumn{Column: connectors.Column{Name: rawExtracted, Type: metaColumns[1].Type}}
	at.Native = d.columnType(at.Column, false)
	staging.all = []relationColumn{at}
	prune := &rebuild{site: site{db: &db{dialect: d}}, raw: staging, req: connectors.RebuildRequest{Base: "x"}, from: 17}
	old, err := prune.extractedBefore(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	say("their keys", createKeys(shadow, []native{{columns[0], "Int64"}, {connectors.Column{Name: rawID}, "UInt64"}}, []string{"id"}, rawID))
	say("the staging rows that stay", d.copyRest(shadow, raw, []string{rawID, rawData}, old+" AND "+olderOfKey(shadow)))
	return b.String()
}

// deletions writes the statements that delete and mark rows.
func deletions(say func(what, sql string), d dialect, r *relation, raw connectors.TableRef) {
	keys, gone, versions := connectors.TableRef{Schema: "a", Name: "keys"}, connectors.TableRef{Schema: "a", Name: "gone"}, connectors.TableRef{Schema: "a", Name: "versions"}
	l := &load{site: site{db: &db{dialect: d}, target: r}, shadow: keys, first: 42, req: connectors.LoadRequest{
		Target: r.TableRef, Key: []string{"id", "code"}, Mode: connectors.Retain, SyncedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Raw: &connectors.RawTarget{Table: raw},
	}}
	say("keys", createKeys(keys, natives([]connectors.Column{{Name: "id"}, {Name: "code"}}, func(c connectors.Column) native { return native{c, "Int64"} }), l.req.Key, ""))
	say("the keys that did not come", l.goneKeys(gone, bucket{0, 1}))
	say("the same of many keys", l.goneKeys(gone, bucket{2, 3}))
	say("their last versions", l.goneVersions(versions, gone, false, bucket{0, 1}))
	l.req.Mode = connectors.Remove
	say("the keys that came", l.goneKeys(gone, bucket{0, 1}))
	l.req.Mode, l.req.Retain.Mark = connectors.Retain, true
	say("the keys to mark", l.goneKeys(gone, bucket{0, 1}))
	say("the marked versions", l.goneVersions(versions, gone, true, bucket{2, 3}))
}
