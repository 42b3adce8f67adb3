package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// trips is a fact table as somebody declares it: of every ability that declarations have.
func (h *Harness) trips() connectors.Declaration {
	column := func(name string, k connectors.Kind) connectors.DeclaredColumn {
		return connectors.DeclaredColumn{Column: connectors.Column{Name: name, Type: connectors.Type{Kind: k}, Nullable: true}}
	}
	d := connectors.Declaration{
		Target: connectors.TableRef{Schema: h.Schema, Name: "trips"}, Key: []string{"id"}, Time: "ts", Sort: []string{"city", "status"}, Retention: 2,
		Columns: []connectors.DeclaredColumn{
			column("ts", connectors.Uint32), column("id", connectors.Int64), column("city", connectors.Uint16), column("status", connectors.Enum),
			column("fare", connectors.Float64), column("n", connectors.Int32), column("note", connectors.Text),
		},
	}
	d.Columns[0].Nullable, d.Columns[1].Nullable = false, false
	d.Columns[3].Type.Values = []string{"new", "it's", `a\b`}
	d.Columns[3].Default, d.Columns[5].Default = new("new"), new("-5")
	return d
}

// defaults is a dimension table with a default of every type that has one.
func (h *Harness) defaults() connectors.Declaration {
	d := connectors.Declaration{Target: connectors.TableRef{Schema: h.Schema, Name: "defaults"}, Key: []string{"id"}}
	add := func(name string, typ connectors.Type, def string) {
		c := connectors.DeclaredColumn{Column: connectors.Column{Name: name, Type: typ, Nullable: name != "id"}}
		if def != "" {
			c.Default = &def
		}
		d.Columns = append(d.Columns, c)
	}
	add("id", connectors.Type{Kind: connectors.Int32}, "")
	for i, c := range []struct {
		typ connectors.Type
		def string
	}{
		{connectors.Type{Kind: connectors.Bool}, "true"},
		{connectors.Type{Kind: connectors.Int8}, "-128"},
		{connectors.Type{Kind: connectors.Uint8}, "255"},
		{connectors.Type{Kind: connectors.Int16}, "-32768"},
		{connectors.Type{Kind: connectors.Uint16}, "65535"},
		{connectors.Type{Kind: connectors.Int32}, "7"},
		{connectors.Type{Kind: connectors.Uint32}, "4294967295"},
		{connectors.Type{Kind: connectors.Int64}, "-9223372036854775808"},
		{connectors.Type{Kind: connectors.Uint64}, "18446744073709551615"},
		{connectors.Type{Kind: connectors.Float32}, "1.5"},
		{connectors.Type{Kind: connectors.Float64}, "-2.5e+10"},
		{connectors.NewDecimal(10, 2), "1.50"},
		{connectors.Type{Kind: connectors.Text}, `it's a \ "word" 'twice'`},
		{connectors.Type{Kind: connectors.Text, Length: 20}, "short"},
		{connectors.Type{Kind: connectors.Enum, Values: []string{"a", "b"}}, "b"},
		{connectors.Type{Kind: connectors.Enum}, "open"},
		{connectors.Type{Kind: connectors.UUID}, "00112233-4455-6677-8899-aabbccddeeff"},
		{connectors.Type{Kind: connectors.Date}, "2026-02-28"},
		{connectors.Type{Kind: connectors.Timestamp}, "2026-02-28T01:02:03.5"},
		{connectors.Type{Kind: connectors.TimestampTZ}, "2026-02-28T01:02:03Z"},
		{connectors.Type{Kind: connectors.JSON, Parsed: true}, `{"a": 1}`},
		{connectors.Type{Kind: connectors.Array, Elem: &connectors.Type{Kind: connectors.Uint32}}, "[1,null,3]"},
	} {
		add(fmt.Sprintf("c%d", i), c.typ, c.def)
	}
	return d
}

// declarer opens the destination, or skips the test.
func (h *Harness) declarer(t *testing.T) (connectors.Destination, connectors.Declarer) {
	t.Helper()
	d := h.destination(t)
	declarer, ok := d.(connectors.Declarer)
	if !ok {
		t.Skip("SKIPPED: " + h.Connector.Type + " takes no declarations")
	}
	return d, declarer
}

func plan(t testing.TB, d connectors.Declarer, apply bool, opts connectors.DeclareOptions, tables ...connectors.Declaration) []connectors.DeclarationPlan {
	t.Helper()
	opts.Apply, opts.Now = apply, syncedAt
	plans, err := d.Declare(t.Context(), tables, opts)
	if err != nil {
		t.Fatal(err)
	}
	return plans
}

// wantNothing wants a second plan to be empty.
func wantNothing(t testing.TB, d connectors.Declarer, opts connectors.DeclareOptions, tables ...connectors.Declaration) {
	t.Helper()
	for _, p := range plan(t, d, false, opts, tables...) {
		if len(p.Changes)+len(p.Statements)+len(p.Refused)+len(p.Drift) > 0 {
			t.Errorf("a second plan is not empty: %+v", p)
		}
	}
}

func kinds(p connectors.DeclarationPlan) string {
	var out []string
	for _, c := range p.Changes {
		out = append(out, strings.TrimSpace(c.Kind+" "+c.Column))
	}
	return strings.Join(out, ", ")
}

// declaredTables pushes declarations, changes them and asks for what may not be.
func declaredTables(t *testing.T, h *Harness) {
	dest, d := h.declarer(t)
	facts, dims := h.trips(), h.defaults()
	if p := plan(t, d, false, connectors.DeclareOptions{}, facts, dims); kinds(p[0]) != "create table" || kinds(p[1]) != "create table" || len(p[0].Statements) == 0 {
		t.Errorf("the plan of new tables: %+v", p)
	}
	if _, ok, err := dest.Table(t.Context(), facts.Target); ok || err != nil {
		t.Fatalf("planning made the table: %v, %v", ok, err)
	}
	plan(t, d, true, connectors.DeclareOptions{}, facts, dims)
	wantNothing(t, d, connectors.DeclareOptions{}, facts, dims)
	table, ok, err := dest.Table(t.Context(), facts.Target)
	if err != nil || !ok || !table.Managed || !slices.Equal(table.PrimaryKey, facts.Key) || len(table.Columns) != len(facts.Columns) {
		t.Fatalf("the table is %+v, %v, %v", table, ok, err)
	}
	h.changes(t, d)
	h.refusals(t, d, dest)
}

// changes appends columns and enum cases, deletes a column and drops it by leave.
func (h *Harness) changes(t *testing.T, d connectors.Declarer) {
	facts := h.trips()
	facts.Columns = append(facts.Columns, connectors.DeclaredColumn{Column: connectors.Column{Name: "tip", Type: connectors.Type{Kind: connectors.Int16}, Nullable: true}, Default: new("3")},
		connectors.DeclaredColumn{Column: connectors.Column{Name: "kind", Type: connectors.Type{Kind: connectors.Enum, Values: []string{"x"}}, Nullable: true}})
	facts.Columns[3].Type.Values = append(facts.Columns[3].Type.Values, "paid", "done")
	if p := plan(t, d, true, connectors.DeclareOptions{}, facts)[0]; kinds(p) != "add enum cases status, add column tip, add column kind" && kinds(p) != "add column tip, add column kind, add enum cases status" {
		t.Errorf("columns and cases: %+v", p)
	}
	wantNothing(t, d, connectors.DeclareOptions{}, facts)
	facts.Columns[3].Type.Values = append(facts.Columns[3].Type.Values, "gone")
	if p := plan(t, d, true, connectors.DeclareOptions{}, facts)[0]; kinds(p) != "add enum cases status" {
		t.Errorf("a case more: %+v", p)
	}
	wantNothing(t, d, connectors.DeclareOptions{}, facts)
	facts.Columns[6].Deleted, facts.Columns[8].Deleted = true, true
	if p := plan(t, d, true, connectors.DeclareOptions{}, facts)[0]; kinds(p) != "" || len(p.Notes) < 2 {
		t.Errorf("a deleted column keeps its place: %+v", p)
	}
	if p := plan(t, d, true, connectors.DeclareOptions{Drop: true}, facts)[0]; kinds(p) != "drop column note, drop column kind" {
		t.Errorf("a deleted column goes by leave: %+v", p)
	}
	wantNothing(t, d, connectors.DeclareOptions{Drop: true}, facts)
	// Not declared any more: what the server has beside it is shown and left.
	less := facts
	less.Columns = less.Columns[:7]
	if p := plan(t, d, true, connectors.DeclareOptions{Drop: true}, less)[0]; kinds(p) != "" || len(p.Drift) != 1 || !strings.HasPrefix(p.Drift[0], "column tip ") {
		t.Errorf("drift: %+v", p)
	}
}

// refusals asks for what may not be, beside a column that may, and wants nothing changed.
func (h *Harness) refusals(t *testing.T, d connectors.Declarer, dest connectors.Destination) {
	before, _, err := dest.Table(t.Context(), h.trips().Target)
	if err != nil {
		t.Fatal(err)
	}
	swap := func(f *connectors.Declaration, a, b int) { f.Columns[a], f.Columns[b] = f.Columns[b], f.Columns[a] }
	for name, edit := range map[string]func(f *connectors.Declaration){
		"another type":       func(f *connectors.Declaration) { f.Columns[5].Type.Kind = connectors.Int64 },
		"another default":    func(f *connectors.Declaration) { f.Columns[5].Default = new("6") },
		"no default":         func(f *connectors.Declaration) { f.Columns[5].Default = nil },
		"a default":          func(f *connectors.Declaration) { f.Columns[4].Default = new("1.5") },
		"another key":        func(f *connectors.Declaration) { f.Key = []string{"city"} },
		"a longer key":       func(f *connectors.Declaration) { f.Key = []string{"id", "city"} },
		"a dimension table":  func(f *connectors.Declaration) { f.Time = "" },
		"another time":       func(f *connectors.Declaration) { f.Time = "n" },
		"other sort columns": func(f *connectors.Declaration) { f.Sort = []string{"status", "city"} },
		"more sort columns":  func(f *connectors.Declaration) { f.Sort = []string{"city", "status", "n"} },
		"columns in turn":    func(f *connectors.Declaration) { swap(f, 4, 5) },
		"a column between":   func(f *connectors.Declaration) { swap(f, 5, len(f.Columns)-1) },
		"fewer cases":        func(f *connectors.Declaration) { f.Columns[3].Type.Values = []string{"new", "it's"} },
		"cases in turn":      func(f *connectors.Declaration) { f.Columns[3].Type.Values = []string{"it's", "new"} },
		"a free enum":        func(f *connectors.Declaration) { f.Columns[3].Type.Values = nil },
		"a number for an enum": func(f *connectors.Declaration) {
			f.Columns[3].Type, f.Columns[3].Default = connectors.Type{Kind: connectors.Int8}, nil
		},
	} {
		facts := h.trips()
		facts.Columns = append(facts.Columns[:6:6], connectors.DeclaredColumn{Column: connectors.Column{Name: "more", Type: connectors.Type{Kind: connectors.Int8}, Nullable: true}})
		edit(&facts)
		other := h.defaults()
		other.Target.Name = "beside"
		p := plan(t, d, true, connectors.DeclareOptions{Drop: true}, other, facts)
		if len(p[1].Refused) == 0 || len(p[1].Changes)+len(p[1].Statements) > 0 {
			t.Errorf("%s: %+v", name, p[1])
		}
		after, _, err := dest.Table(t.Context(), facts.Target)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s changed the table: %s", name, diff)
		}
		if _, ok, err := dest.Table(t.Context(), other.Target); ok || err != nil {
			t.Errorf("%s: the other table was made: %v %v", name, ok, err)
		}
	}
}

// loadsIntoDeclaredTables fills a declared fact table in every way: rows of any day are taken, keys are merged when the
// day or a sort column changes, and the table keeps its shape.
func loadsIntoDeclaredTables(t *testing.T, h *Harness) {
	dest, d := h.declarer(t)
	s := h.source(t)
	facts := h.trips()
	facts.Columns[3].Type.Values = nil
	plan(t, d, true, connectors.DeclareOptions{}, facts)
	const day = 86400
	now := syncedAt.Unix()
	columns := []connectors.Column{
		{Name: "ts", Type: connectors.Type{Kind: connectors.Int64}},
		{Name: "id", Type: connectors.Type{Kind: connectors.Int64}},
		{Name: "city", Type: connectors.Type{Kind: connectors.Int32}, Nullable: true},
		{Name: "status", Type: connectors.Type{Kind: connectors.Text}, Nullable: true},
		{Name: "fare", Type: connectors.Type{Kind: connectors.Float64}, Nullable: true},
	}
	req := h.request("trips", columns, []string{"id"}, connectors.Replace)
	model := map[string][]any{}
	row := func(ts int64, id int, city, status, fare any) []any {
		return []any{fmt.Sprint(ts), fmt.Sprint(id), city, status, fare}
	}
	check := func(what string) {
		t.Helper()
		var want [][]any
		for _, r := range model {
			want = append(want, r)
		}
		slices.SortFunc(want, func(a, b []any) int { return strings.Compare(a[1].(string), b[1].(string)) })
		table := h.find(t, s, req.Target)
		got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: table, Columns: h.columnsOf(t, table, connectors.ColumnNames(columns)...)})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b []any) int { return strings.Compare(a[1].(string), b[1].(string)) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		wantNothing(t, d, connectors.DeclareOptions{}, facts)
	}
	put := func(mode connectors.LoadMode, careful bool, rows ...[]any) {
		t.Helper()
		r := req
		r.Mode, r.Careful, r.RunID = mode, careful, h.request("x", columns, nil, mode).RunID
		load(t, dest, r, rows)
		if mode == connectors.Replace {
			clear(model)
		}
		for _, r := range rows {
			model[r[1].(string)] = r
		}
	}
	// Days of the past and the future, with partitions and without, and the limits of the type.
	ages := []int64{0, day, 2 * day, 3 * day, 400 * day, -5 * day, -300 * day, now, now - 4294967295}
	var rows [][]any
	for i, age := range ages {
		rows = append(rows, row(now-age, 10+i, fmt.Sprint(i%3), "new", "1.5"))
	}
	rows = append(rows, row(now, 30, nil, nil, nil))
	put(connectors.Replace, false, rows...)
	check("after a replace")
	put(connectors.Merge, false, row(now, 10, "0", "new", "2.5"), row(now-day, 11, "2", "paid", "2.5"), row(now-day, 12, nil, "new", "2.5"), row(now-9*day, 40, "1", nil, nil), row(now, 30, "0", nil, "1"))
	check("after a merge in which a sort column and a day change")
	put(connectors.Merge, false, row(now, 10, "0", "new", "3.5"), row(now-2*day, 10, "1", "new", "4.5"), row(now-3*day, 50, "1", "a", "1"), row(now-day, 50, "2", "b", "2"), row(now-day, 50, "2", "b", "3"))
	check("after a merge in which keys come twice")
	put(connectors.Merge, true, row(now-4*day, 11, "7", "x", "5.5"), row(now, 60, "1", "y", nil))
	check("after a careful merge")
	keys := h.removing(req)
	if result, err := retain(t, dest, keys, [][]any{{"11"}, {"60"}}); err != nil || result.Deleted != 2 {
		t.Errorf("removing: %+v, %v", result, err)
	}
	delete(model, "11")
	delete(model, "60")
	check("after a removal")
	put(connectors.Merge, false, row(now-day, 11, "7", "x", "6.5"))
	check("after a row came back")
	put(connectors.Replace, true, rows[:4]...)
	check("after a careful replace")
	h.replaceInParts(t, dest, req, rows[2:], model)
	check("after a replace in parts")
}

// replaceInParts replaces a table by two parts.
func (h *Harness) replaceInParts(t *testing.T, dest connectors.Destination, req connectors.LoadRequest, rows [][]any, model map[string][]any) {
	t.Helper()
	req.Mode, req.Resume = connectors.Replace, "token"
	l, err := dest.Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	whole := l.(connectors.PartLoad)
	clear(model)
	for i, some := range [][][]any{rows[:2], rows[2:]} {
		part, done, err := whole.Part(t.Context(), fmt.Sprint(i))
		if err != nil || done {
			t.Fatal(done, err)
		}
		write(t, part, req.Columns, some)
		if _, err := part.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, r := range some {
			model[r[1].(string)] = r
		}
	}
	if _, err := whole.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}
