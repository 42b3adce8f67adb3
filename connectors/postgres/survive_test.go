package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"arus/connectors"
	"arus/connectors/conformance"
)

// hung is what people hang on a target; the dependents are named in the order in which they hold it.
const hung = `
CREATE VIEW plain AS SELECT id, v, length(v) AS n FROM analytics.t;
CREATE VIEW "Nes""ted" WITH (security_barrier = true) AS SELECT p.id, t.v FROM plain p JOIN analytics.t t USING (id);
CREATE MATERIALIZED VIEW kept AS SELECT id, v FROM "Nes""ted" WITH DATA;
CREATE MATERIALIZED VIEW empty AS SELECT id FROM plain WITH NO DATA;
CREATE UNIQUE INDEX kept_id ON kept (id);
CREATE VIEW whole AS SELECT t FROM analytics.t;
CREATE VIEW unrelated AS SELECT v FROM analytics.t;
COMMENT ON VIEW plain IS 'it''s plain'; COMMENT ON COLUMN plain.v IS 'the v'; COMMENT ON MATERIALIZED VIEW kept IS 'kept';
ALTER VIEW plain ALTER COLUMN v SET DEFAULT 'none';
CREATE RULE put AS ON INSERT TO plain DO INSTEAD NOTHING;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER put INSTEAD OF UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION noted();
`

// aboutViews is all that there is to know of them.
const aboutViews = `
SELECT c.relname, 'is', c.relkind::text, c.relowner::regrole::text, coalesce(c.reloptions::text, '') || c.relispopulated::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
UNION ALL SELECT c.relname, 'means', pg_get_viewdef(c.oid), '', '' FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
UNION ALL SELECT c.relname, 'grants', a.privilege_type, a.grantee::regrole::text, a.is_grantable::text FROM pg_class c, aclexplode(c.relacl) a WHERE relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
UNION ALL SELECT c.relname, 'grants column', a.privilege_type, a.grantee::regrole::text, t.attname FROM pg_class c JOIN pg_attribute t ON attrelid = c.oid, aclexplode(t.attacl) a WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
UNION ALL SELECT c.relname, 'comment', d.description, d.objsubid::text, '' FROM pg_class c JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT tablename, 'index', indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT c.relname, 'default', pg_get_expr(adbin, adrelid), '', '' FROM pg_attrdef JOIN pg_class c ON c.oid = adrelid WHERE relkind = 'v'
UNION ALL SELECT c.relname, 'trigger', pg_get_triggerdef(t.oid), '', '' FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal AND relkind = 'v'
UNION ALL SELECT c.relname, 'rule', pg_get_ruledef(r.oid), '', '' FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class WHERE rulename <> '_RETURN' AND relkind = 'v' AND relnamespace = 'public'::regnamespace
ORDER BY 1, 2, 3, 4, 5`

// roles makes two roles that go with the test.
func (f *fixture) roles() (reader, owner string) {
	id := strings.ReplaceAll(uuid.NewString(), "-", "")
	reader, owner = ident("reader_"+id), ident(`Own"er`+id)
	for _, role := range []string{reader, owner} {
		f.exec("CREATE ROLE " + role)
		f.t.Cleanup(func() { f.dropRole(strings.ReplaceAll(strings.Trim(role, `"`), `""`, `"`)) })
	}
	return reader, owner
}

func TestAlterUnderViews(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	reader, owner := f.roles()
	f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"}, pair{2, "b"})
	f.exec(hung + "GRANT SELECT ON plain, kept TO " + reader + " WITH GRANT OPTION; GRANT UPDATE (v) ON plain TO " + reader + "; GRANT SELECT ON analytics.t TO " + reader +
		"; GRANT USAGE ON SCHEMA analytics TO PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO " + owner + "; GRANT SELECT ON analytics.t, plain TO " + owner +
		"; ALTER VIEW \"Nes\"\"ted\" OWNER TO " + owner + "; GRANT SELECT ON \"Nes\"\"ted\" TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT DELETE ON TABLES TO " + reader)
	before, unrelated := f.text(aboutViews), f.text("SELECT 'unrelated'::regclass::oid")
	target := connectors.TableRef{Schema: "analytics", Name: "t"}
	wide := connectors.Column{Name: "id", Type: connectors.Type{Kind: connectors.Int64}}
	more := []connectors.Column{{Name: "more", Type: connectors.Type{Kind: connectors.Text}}}
	if err := f.dest.(*Destination).Alter(t.Context(), target, more, []connectors.Column{wide}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, f.text(aboutViews)); diff != "" {
		t.Errorf("views (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(unrelated, f.text("SELECT 'unrelated'::regclass::oid")); diff != "" {
		t.Error("a view on another column was made again")
	}
	if diff := cmp.Diff([]string{"1|a", "2|b"}, f.text("SELECT id, v FROM kept ORDER BY 1")); diff != "" {
		t.Errorf("the materialized view: %s", diff)
	}
	if got := f.text("SELECT pg_typeof(id) FROM kept LIMIT 1"); got[0] != "bigint" {
		t.Errorf("the materialized view's id is %s", got)
	}
	oid := f.text("SELECT 'plain'::regclass::oid")
	if err := f.dest.(*Destination).Alter(t.Context(), target, more, []connectors.Column{wide}); err != nil || !slices.Equal(oid, f.text("SELECT 'plain'::regclass::oid")) {
		t.Errorf("altered again: %v", err)
	}
}

func TestAlterRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		setup string
		kind  connectors.ErrorKind
		word  string
	}{
		"a function of a view":   {"CREATE VIEW seen AS SELECT id FROM analytics.t; CREATE FUNCTION of_it() RETURNS SETOF seen LANGUAGE sql AS 'SELECT * FROM seen'", connectors.KindConstraint, "of_it"},
		"a view of another type": {"CREATE FUNCTION small(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW seen AS SELECT small(id) FROM analytics.t", connectors.KindConstraint, "seen"},
		"a policy":               {"CREATE POLICY pol ON analytics.t USING (id > 0)", connectors.KindConstraint, "pol"},
		"a generated column":     {"ALTER TABLE analytics.t ADD COLUMN gen int GENERATED ALWAYS AS (id + 1) STORED", connectors.KindConstraint, "gen"},
		"a trigger":              {"CREATE FUNCTION nop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER trig BEFORE UPDATE OF id ON analytics.t FOR EACH ROW EXECUTE FUNCTION nop()", connectors.KindConstraint, "trig"},
		"another column":         {"ALTER TABLE analytics.t ADD COLUMN more int", connectors.KindConflict, "more"},
		"a wider column":         {"ALTER TABLE analytics.t ALTER COLUMN id TYPE numeric", connectors.KindType, "id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"})
			f.exec(tt.setup)
			before := f.text(aboutViews)
			err := f.dest.(*Destination).Alter(t.Context(), connectors.TableRef{Schema: "analytics", Name: "t"},
				[]connectors.Column{{Name: "more", Type: connectors.Type{Kind: connectors.Text}}}, []connectors.Column{{Name: "id", Type: connectors.Type{Kind: connectors.Int64}}})
			wantKind(t, err, tt.kind, tt.word, "analytics.t")
			if diff := cmp.Diff(before, f.text(aboutViews)); diff != "" {
				t.Errorf("(-before +after):\n%s", diff)
			}
			f.wantRows("1|a")
		})
	}
}

// holding is all that a swap would take from people.
const holding = `
CREATE VIEW seen AS SELECT id, v FROM analytics.t; CREATE VIEW nested AS SELECT v FROM seen; CREATE MATERIALIZED VIEW kept AS SELECT id FROM analytics.t;
CREATE TABLE child (id int REFERENCES analytics.t ON DELETE CASCADE); INSERT INTO child VALUES (1), (2);
CREATE TABLE log (id int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END';
CREATE TRIGGER trig AFTER INSERT ON analytics.t FOR EACH ROW EXECUTE FUNCTION note();
CREATE POLICY pol ON analytics.t FOR SELECT USING (v <> 'secret'); ALTER TABLE analytics.t ENABLE ROW LEVEL SECURITY;
CREATE PUBLICATION pub FOR TABLE analytics.t; ALTER TABLE analytics.t REPLICA IDENTITY FULL;
CREATE STATISTICS stat ON id, v FROM analytics.t; ALTER TABLE analytics.t ALTER COLUMN v SET STATISTICS 500, ALTER COLUMN v SET DEFAULT 'none';
`

const aboutTable = `
SELECT 'oid', oid::text, relrowsecurity::text, relreplident::text FROM pg_class WHERE oid = 'analytics.t'::regclass
UNION ALL SELECT 'publication', pubname, '', '' FROM pg_publication_tables WHERE tablename = 't'
UNION ALL SELECT 'policy', polname, '', '' FROM pg_policy WHERE polrelid = 'analytics.t'::regclass
UNION ALL SELECT 'trigger', tgname, '', '' FROM pg_trigger WHERE tgrelid = 'analytics.t'::regclass AND NOT tgisinternal
UNION ALL SELECT 'statistics', stxname, '', '' FROM pg_statistic_ext WHERE stxrelid = 'analytics.t'::regclass
UNION ALL SELECT 'column', attname, attstattarget::text, pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'analytics.t'::regclass AND attname = 'v'
UNION ALL SELECT 'foreign key', conname, confrelid::regclass::text, '' FROM pg_constraint WHERE contype = 'f'
UNION ALL SELECT 'view', relname, pg_get_viewdef(oid), '' FROM pg_class WHERE relname IN ('seen', 'nested', 'kept')
ORDER BY 1, 2`

// TestAFullRefreshKeepsAll refreshes a table on which everything hangs at once, in each way that a table is replaced, in the
// shape it has and in another one.
func TestAFullRefreshKeepsAll(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"plain", "careful", "parts", "careful parts", "rebuild"} {
		for _, shape := range []string{"same", "other", "same without references", "other without references"} {
			t.Run(way+"/"+shape, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"}, pair{2, "b"})
				f.exec(holding)
				shape, unreferenced := strings.CutSuffix(shape, " without references")
				logged := []string{"3"}
				if unreferenced {
					f.exec("DROP TABLE child")
					logged = []string{"2", "3"}
				}
				req := pairRequest(connectors.Replace)
				rows := [][]any{{"2", "new"}, {"3", "secret"}}
				if shape == "other" {
					// A policy forbids to change the type of its column, here as in the server's own ALTER.
					f.exec("DROP POLICY pol ON analytics.t; CREATE POLICY pol ON analytics.t FOR SELECT USING (true)")
					req.Columns = []connectors.Column{{Name: "id", Type: connectors.Type{Kind: connectors.Int64}}, {Name: "v", Type: connectors.Type{Kind: connectors.Text, Length: 30}}, {Name: "more", Type: connectors.Type{Kind: connectors.Int32}}}
					rows = [][]any{{"2", "new", "7"}, {"3", "secret", "8"}}
				}
				before := f.text(aboutTable)
				f.replace(way, req, rows)
				if diff := cmp.Diff(before, f.text(aboutTable)); diff != "" && (shape == "same" || strings.Contains(diff, "oid")) {
					t.Errorf("(-before +after):\n%s", diff)
				}
				f.wantRows("2|new", "3|secret")
				if diff := cmp.Diff([]string{"2|new", "3|secret"}, f.text("SELECT * FROM seen ORDER BY 1")); diff != "" {
					t.Error(diff)
				}
				if !unreferenced { // only the row that went took its referrers along
					if diff := cmp.Diff([]string{"2"}, f.text("SELECT * FROM child")); diff != "" {
						t.Errorf("referring rows (-want +got):\n%s", diff)
					}
				}
				if diff := cmp.Diff(logged, f.text("SELECT * FROM log ORDER BY 1")); diff != "" {
					t.Errorf("rows the trigger saw (-want +got):\n%s", diff)
				}
				f.exec("REFRESH MATERIALIZED VIEW kept")
				if left := f.text("SELECT relname FROM pg_class WHERE relname LIKE '\\_arus%' AND relkind = 'r'"); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// replace loads rows in one of the ways there are.
func (f *fixture) replace(way string, req connectors.LoadRequest, rows [][]any) {
	f.t.Helper()
	ctx := f.t.Context()
	req.Careful = strings.HasPrefix(way, "careful")
	if strings.HasSuffix(way, "parts") {
		req.Resume = "token"
	}
	target := req.Target
	if way == "rebuild" {
		req.Target.Name, req.Raw = "elsewhere", &connectors.RawTarget{Table: connectors.TableRef{Schema: "staging", Name: "t_raw"}}
	}
	whole, err := f.dest.Begin(ctx, req)
	if err != nil {
		f.t.Fatal(err)
	}
	for i, row := range rows {
		load := whole
		if p, ok := whole.(connectors.PartLoad); ok {
			if load, _, err = p.Part(ctx, string(rune('a'+i))); err != nil {
				f.t.Fatal(err)
			}
		}
		batch, err := conformance.Batch(req.Columns, [][]any{row})
		if err != nil {
			f.t.Fatal(err)
		}
		if err := load.Write(ctx, batch); err != nil {
			f.t.Fatal(err)
		}
		if load != whole {
			if _, err := load.Commit(ctx); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	result, err := whole.Commit(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	if way == "rebuild" {
		result, err = f.dest.(*Destination).Rebuild(ctx, connectors.RebuildRequest{Raw: req.Raw.Table, Target: target, Columns: req.Columns, Key: req.Key, Base: req.RunID})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	if result.Rows != int64(len(rows)) {
		f.t.Errorf("%d rows arrived, want %d", result.Rows, len(rows))
	}
}
