package clickhouse

import (
	"fmt"
	"strings"
	"testing"

	"arus/connectors"
	"arus/connectors/conformance"
)

func declaredTrips(schema string) connectors.Declaration {
	c := func(name string, k connectors.Kind, nullable bool) connectors.DeclaredColumn {
		return connectors.DeclaredColumn{Column: connectors.Column{Name: name, Type: connectors.Type{Kind: k}, Nullable: nullable}}
	}
	d := connectors.Declaration{
		Target: connectors.TableRef{Schema: schema, Name: "trips"}, Key: []string{"id"}, Time: "ts", Sort: []string{"city", "gone", "status"}, Retention: 90,
		Columns: []connectors.DeclaredColumn{
			c("ts", connectors.Uint32, false), c("id", connectors.Int64, false), c("city", connectors.Uint16, true), c("status", connectors.Enum, true),
			c("odd `name", connectors.Bool, true), c("at", connectors.TimestampTZ, true), c("gone", connectors.Int8, true),
		},
	}
	d.Columns[3].Type.Values, d.Columns[3].Default = []string{"new", "it's", `a\b`}, new("it's")
	d.Columns[4].Default, d.Columns[5].Default = new("true"), new("2026-02-28T01:02:03.5Z")
	d.Columns[6].Deleted = true
	return d
}

// TestDeclarations pins the statements for servers at hand and not.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	for file, d := range map[string]dialect{
		"declare_18_16.sql": {version: version{18, 16}}, "declare_20_8.sql": {version: version{20, 8}}, "declare_25_8.sql": {version: version{25, 8}},
		"declare_25_8_cluster.sql": {version: version{25, 8}, cluster: "north's"},
	} {
		var b strings.Builder
		say := func(what, sql string) { b.WriteString("-- " + what + "\n" + sql + ";\n\n") }
		facts := declaredTrips("ana`lytics")
		create := func(what string, t2 connectors.Declaration) {
			sql, err := d.createDeclared(t2)
			if err != nil {
				t.Fatal(err)
			}
			say(what, sql)
		}
		create("a fact table", facts)
		dim := facts
		dim.Time, dim.Sort, dim.Key = "", nil, []string{"id", "city"}
		create("a dimension table", dim)
		next := facts
		next.Columns, next.Retention = append(next.Columns, connectors.DeclaredColumn{Column: connectors.Column{Name: "tip", Type: connectors.Type{Kind: connectors.JSON}, Nullable: true}, Default: new("{}")}), 30
		diff := connectors.Difference{Add: []int{7}, Recase: []int{3}, Drop: []string{"odd `name"}, Mark: true}
		r := &relation{engineFull: "ReplacingMergeTree(_arus_version) PARTITION BY intDiv(ts, 86400) ORDER BY id TTL toDateTime(ts) + toIntervalDay(90) SETTINGS index_granularity = 8192"}
		if err := d.alterDeclared(next, r, &diff); err != nil {
			t.Fatal(err)
		}
		for _, sql := range diff.Plan.Statements {
			say("a column and cases more, one less, another retention, and the mark", sql)
		}
		golden(t, file, b.String())
	}
}

// TestDeclaredFactTables looks at what a declaration makes at a server, and loads more days than the server takes at once
// by itself.
func TestDeclaredFactTables(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := declaredTrips(f.schema)
	if _, err := f.dest.Declare(t.Context(), []connectors.Declaration{d}, connectors.DeclareOptions{Apply: true}); err != nil {
		t.Fatal(err)
	}
	r, err := f.dest.lookUp(t.Context(), d.Target)
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	if plain := strings.ReplaceAll(r.sortingKey, "`", ""); r.engine != "ReplacingMergeTree" || strings.ReplaceAll(r.partitionKey, "`", "") != "intDiv(ts, 86400)" || plain != "assumeNotNull(city), assumeNotNull(status), id" {
		t.Errorf("the table is %s by %s, %s", r.engine, r.partitionKey, r.sortingKey)
	}
	const days = 150
	var rows [][]any
	for i := range days {
		rows = append(rows, []any{fmt.Sprint(1700000000 + i*86400), fmt.Sprint(i)})
	}
	req := connectors.LoadRequest{Target: d.Target, Columns: []connectors.Column{d.Columns[0].Column, d.Columns[1].Column}, Key: d.Key, Mode: connectors.Replace, RunID: "0198f0a0-0000-7000-8000-000000000001"}
	l, err := f.dest.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := conformance.Batch(req.Columns, rows)
	if err == nil {
		err = l.Write(t.Context(), batch)
	}
	if err == nil {
		_, err = l.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := f.texts("SELECT toString(count()), toString(uniq(intDiv(ts, 86400))), any(status), toString(min(`odd ``name`)) FROM " + qualified(currentView(d.Target))); len(got) != 1 || strings.Join(got[0], " ") != "150 150 it's 1" {
		t.Errorf("the rows are %v", got)
	}
}
