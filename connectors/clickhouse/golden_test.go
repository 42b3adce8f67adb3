package clickhouse

import (
	"flag"
	"strings"
	"testing"

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
	r := &relation{engine: engine, sortingKey: "id, code"}
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
	say("the view of current rows", d.createView(target, []string{"id", "code"}, true))
	say("the same without a key", d.createView(target, []string{"id"}, false))
	say("a view that is out of date", d.dropView(target))
	say("the staging table", d.createRaw(raw, true))
	say("mending half a swap", d.restore(target))
	say("ending a cancelled query", killQuery("arus-1"))
	return b.String()
}
