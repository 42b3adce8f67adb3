package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
	"arus/testdata/servers"
)

// TestPeek looks into many tables at once, some of which cannot be read.
func TestPeek(t *testing.T) {
	t.Parallel()
	raw := servers.PostgresDatabase(t)
	admin := connect(t, raw)
	role := "peek_" + strings.ReplaceAll(admin.Config().Database, "-", "_")
	for _, sql := range []string{
		"CREATE TABLE a (id int PRIMARY KEY, text text, at timestamptz)", "CREATE INDEX ON a (at)",
		"INSERT INTO a SELECT n, 'row ' || n, CASE WHEN n % 10 > 0 THEN timestamptz '2026-01-01' + n * interval '1 s' END FROM generate_series(1, 1000) n",
		"CREATE TABLE secret AS TABLE a", "CREATE TABLE gone AS TABLE a", "CREATE TABLE fewer AS TABLE a",
		"CREATE TABLE far (id int, at date)", "INSERT INTO far VALUES (1, 'infinity'), (2, '5874897-12-31')", "CREATE TABLE empty AS SELECT * FROM a LIMIT 0",
		"CREATE ROLE " + role + " LOGIN PASSWORD 'peek'", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + role, "REVOKE SELECT ON secret FROM " + role,
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	t.Cleanup(func() {
		_, _ = admin.Exec(t.Context(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
	})
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "peek")
	source, err := New().OpenSource(t.Context(), parseConfig(t, u.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	f := &fixture{t: t, source: source}
	names := []string{"a", "secret", "gone", "fewer", "far", "empty", "a"}
	requests := make([]connectors.PeekRequest, len(names))
	for i, name := range names {
		table := f.table(name)
		w := &connectors.Window{Column: "at", Lower: &connectors.Bound{Kind: connectors.TimestampTZ, Text: "2026-01-01T00:16:38Z"}, Nulls: true}
		if name == "far" {
			w = nil
		}
		requests[i] = connectors.PeekRequest{ReadRequest: connectors.ReadRequest{Table: table, Columns: table.Columns, Window: w}, Rows: 103}
	}
	requests[6].Rows = 2
	for _, sql := range []string{"DROP TABLE gone", "ALTER TABLE fewer DROP COLUMN text"} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	rows, enough := map[int]int64{}, errors.New("enough")
	look := func() []string {
		clear(rows)
		errs := source.(connectors.Peeker).Peek(t.Context(), requests, func(i int, batch arrow.RecordBatch) error {
			defer batch.Release()
			if rows[i] += batch.NumRows(); names[i] == "far" {
				return enough
			}
			for r := range int(batch.NumRows()) {
				if !batch.Column(2).IsNull(r) && string(connectors.AppendValue(nil, batch.Column(2), requests[i].Columns[2].Type, r)) < "2026-01-01T00:16:38Z" {
					t.Errorf("request %d gave a row before the window", i)
				}
			}
			return nil
		})
		kinds := make([]string, len(errs))
		for i, err := range errs {
			kinds[i] = fmt.Sprint(connectors.KindOf(err))
			if errors.Is(err, enough) {
				kinds[i] = "enough"
			}
			if err == nil {
				kinds[i] = ""
			}
		}
		return kinds
	}
	for range 2 { // the connection serves again after what failed
		want := []string{"", string(connectors.KindPermission), string(connectors.KindNotFound), string(connectors.KindNotFound), "enough", "", ""}
		if diff := cmp.Diff(want, look()); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(map[int]int64{0: 102, 4: 2, 6: 2}, rows); diff != "" { // 100 without a time, and the last two
			t.Error(diff)
		}
	}
}

// TestPeekReadsNoMore: a limit does not make the planner scan a table for a few rows that an index finds.
func TestPeekReadsNoMore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE big (id int PRIMARY KEY, at timestamptz); INSERT INTO big SELECT n, timestamptz '2026-01-01' + n * interval '1 s' FROM generate_series(1, 50000) n; CREATE INDEX ON big (at); ANALYZE big")
	table := f.table("big")
	req := connectors.PeekRequest{ReadRequest: connectors.ReadRequest{Table: table, Columns: table.Columns, Window: &connectors.Window{
		Column: "at", Lower: &connectors.Bound{Kind: connectors.TimestampTZ, Text: "2026-01-01T13:53:20Z"}, Nulls: true,
	}}, Rows: 2}
	sql, err := f.source.(*Source).firstRows(req)
	if err != nil {
		t.Fatal(err)
	}
	if plan := strings.Join(f.text("EXPLAIN "+sql), "\n"); strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "Index") {
		t.Errorf("the plan of %s is\n%s", sql, plan)
	}
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`CREATE SCHEMA s; CREATE TABLE s.made (id int PRIMARY KEY, x text, _arus_run_id uuid, _arus_synced_at timestamptz); CREATE TABLE s.own (id int); CREATE VIEW "s"."a ""b"", {c}" AS SELECT 1 AS one; CREATE TABLE public.made (y int)`)
	refs := []connectors.TableRef{{Schema: "s", Name: "made"}, {Schema: "s", Name: "absent"}, {Schema: "s", Name: "own"}, {Schema: "s", Name: `a "b", {c}`}, {Schema: "public", Name: "made"}, {Schema: "no", Name: "made"}}
	found, err := f.dest.(connectors.Surveyor).Survey(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, ref := range refs {
		want, ok, err := f.dest.Table(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if ok != (found[i] != nil) || ok == (strings.HasPrefix(ref.String(), "no.") || ref.Name == "absent") {
			t.Fatalf("%s: found %v alone, %v with the others", ref, ok, found[i] != nil)
		}
		if ok {
			if diff := cmp.Diff(want, *found[i]); diff != "" {
				t.Errorf("%s (-alone +with the others)\n%s", ref, diff)
			}
		}
	}
	if m := found[0]; !m.Managed || len(m.Columns) != 2 || found[2].Managed {
		t.Errorf("made: %+v, own: %+v", m, found[2])
	}
}
