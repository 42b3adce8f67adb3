package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"arus/connectors"
)

var (
	intColumn  = connectors.Column{Name: "id", Type: connectors.Type{Kind: connectors.Int32}}
	textColumn = connectors.Column{Name: "v", Type: connectors.Type{Kind: connectors.Text}, Nullable: true}
)

type pair struct {
	id int32
	v  string
}

func pairs(rows ...pair) arrow.RecordBatch {
	var out arrow.RecordBatch
	b := connectors.NewBatcher([]connectors.Column{intColumn, textColumn}, connectors.Limits{}, func(r arrow.RecordBatch) error { out = r; return nil })
	defer b.Release()
	for _, r := range rows {
		b.Builders[0].(*array.Int32Builder).Append(r.id)
		b.Builders[1].(*array.StringBuilder).Append(r.v)
		_ = b.EndRow(1)
	}
	_ = b.Flush()
	return out
}

func pairRequest(mode connectors.LoadMode) connectors.LoadRequest {
	return connectors.LoadRequest{
		Target: connectors.TableRef{Schema: "analytics", Name: "t"}, Columns: []connectors.Column{intColumn, textColumn},
		Key: []string{"id"}, Mode: mode, RunID: uuid.NewString(), SyncedAt: syncedAt,
	}
}

// load runs one load of the rows, each its own batch.
func (f *fixture) load(req connectors.LoadRequest, rows ...pair) (connectors.LoadResult, error) {
	ctx := f.t.Context()
	load, err := f.dest.Begin(ctx, req)
	if err != nil {
		return connectors.LoadResult{}, err
	}
	for _, r := range rows {
		if err := load.Write(ctx, pairs(r)); err != nil {
			_ = load.Abort()
			return connectors.LoadResult{}, err
		}
	}
	return load.Commit(ctx)
}

func (f *fixture) mustLoad(req connectors.LoadRequest, rows ...pair) {
	f.t.Helper()
	result, err := f.load(req, rows...)
	if err != nil {
		f.t.Fatal(err)
	}
	if result.Rows != int64(len(rows)) {
		f.t.Errorf("%d rows arrived, want %d", result.Rows, len(rows))
	}
}

func (f *fixture) wantRows(want ...string) {
	f.t.Helper()
	if diff := cmp.Diff(want, f.text("SELECT id, v FROM analytics.t ORDER BY id, v")); diff != "" {
		f.t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestTheServerTellsWhatItUpserts: each row once, but for those that others of their key come after.
func TestTheServerTellsWhatItUpserts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"}, pair{2, "b"})
	for _, tt := range []struct {
		rows []pair
		want int64
	}{{[]pair{{2, "c"}, {3, "d"}}, 2}, {[]pair{{3, "e"}, {4, "f"}, {4, "g"}}, 2}} {
		result, err := f.load(pairRequest(connectors.Merge), tt.rows...)
		if err != nil || result.Upserted != tt.want {
			t.Errorf("%v: %d upserted, %v, want %d", tt.rows, result.Upserted, err, tt.want)
		}
	}
	f.wantRows("1|a", "2|c", "3|e", "4|g")
	f.exec(`CREATE FUNCTION analytics.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF new.v = ''x'' THEN RETURN NULL; END IF; RETURN new; END'`)
	f.exec("CREATE TRIGGER none BEFORE INSERT ON analytics.t FOR EACH ROW EXECUTE FUNCTION analytics.none()")
	result, err := f.load(pairRequest(connectors.Merge), pair{5, "x"}, pair{6, "y"})
	if err != nil || result.Rows != 2 || result.Upserted != 1 {
		t.Errorf("with a trigger that takes one of two rows away: %+v, %v", result, err)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	window := &connectors.Window{Column: "id", Lower: &connectors.Bound{Kind: connectors.Int32, Text: "2"}, Upper: &connectors.Bound{Kind: connectors.Int32, Text: "3"}}
	for _, tt := range []struct {
		name  string
		mode  connectors.LoadMode
		noKey bool
		rows  []pair
		want  []string
	}{
		{name: "replace", mode: connectors.Replace, rows: []pair{{9, "x"}}, want: []string{"9|x"}},
		{name: "replace with nothing", mode: connectors.Replace, want: []string{}},
		{name: "replace, equal keys", mode: connectors.Replace, rows: []pair{{9, "first"}, {8, "x"}, {9, "last"}}, want: []string{"8|x", "9|last"}},
		{name: "merge", mode: connectors.Merge, rows: []pair{{2, "new"}, {9, "x"}}, want: []string{"1|a", "2|new", "3|c", "4|d", "9|x"}},
		{name: "merge, equal keys", mode: connectors.Merge, rows: []pair{{2, "first"}, {9, "x"}, {2, "last"}}, want: []string{"1|a", "2|last", "3|c", "4|d", "9|x"}},
		{name: "window", mode: connectors.ReplaceWindow, noKey: true, rows: []pair{{2, "x"}, {2, "y"}}, want: []string{"1|a", "2|x", "2|y", "4|d"}},
		{name: "replace without a key", mode: connectors.Replace, noKey: true, rows: []pair{{2, "x"}, {2, "x"}}, want: []string{"2|x", "2|x"}},
	} {
		for _, raw := range []bool{false, true} {
			name := tt.name
			if raw {
				name += ", raw"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				prepare := func(req connectors.LoadRequest) connectors.LoadRequest {
					if tt.noKey {
						req.Key = nil
					}
					if raw {
						req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: "staging", Name: "s_t_raw"}}
					}
					return req
				}
				f.mustLoad(prepare(pairRequest(connectors.Replace)), pair{1, "a"}, pair{2, "b"}, pair{3, "c"}, pair{4, "d"})
				req := prepare(pairRequest(tt.mode))
				req.Window = window
				for range 2 { // running it again gives the same table
					if tt.mode != connectors.ReplaceWindow {
						req.Window = nil
					}
					f.mustLoad(req, tt.rows...)
					f.wantRows(tt.want...)
				}
				if got := f.text("SELECT count(*) FROM analytics.t WHERE _arus_run_id = '" + req.RunID + "' AND _arus_synced_at = '2024-05-06 07:08:09.123456Z'"); tt.name != "merge" && tt.mode == connectors.Replace && got[0] == "0" && len(tt.rows) > 0 {
					t.Error("the rows do not carry the run")
				}
				if got := f.text("SELECT relname FROM pg_class WHERE relname LIKE '\\_arus%' AND relnamespace = 'analytics'::regnamespace"); len(got) > 0 {
					t.Errorf("left behind: %v", got)
				}
				key := f.text("SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'analytics.t'::regclass AND contype = 'p'")
				want := []string{"t_pkey|PRIMARY KEY (id)"}
				if tt.noKey {
					want = []string{}
				}
				if diff := cmp.Diff(want, key); diff != "" {
					t.Errorf("key: %s", diff)
				}
			})
		}
	}
}

func TestTargetDefinition(t *testing.T) {
	t.Parallel()
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.mustLoad(pairRequest(mode), pair{1, "a"})
			f.mustLoad(pairRequest(mode), pair{1, "a"})
			want := []string{"id|integer|t|∅", "v|text|f|∅", "_arus_run_id|uuid|t|∅", "_arus_synced_at|timestamp with time zone|t|now()"}
			got := f.text(`SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
				FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'analytics.t'::regclass AND attnum > 0 ORDER BY attnum`)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			table, ok, err := f.dest.Table(t.Context(), connectors.TableRef{Schema: "analytics", Name: "t"})
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if diff := cmp.Diff([]string{"id", "v"}, connectors.ColumnNames(table.Columns)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"id"}, table.PrimaryKey); diff != "" {
				t.Error(diff)
			}
			if _, ok, err := f.dest.Table(t.Context(), connectors.TableRef{Schema: "analytics", Name: "absent"}); ok || err != nil {
				t.Error(ok, err)
			}
		})
	}
}

func TestMergeOfKeysOnlyRefreshesTheRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("CREATE TABLE k (a int, b int, PRIMARY KEY (b, a)); INSERT INTO k VALUES (1, 2)")
	table := f.table("k")
	f.copyTable(table, request(table, connectors.Merge))
	req := request(table, connectors.Merge)
	f.copyTable(table, req)
	if diff := cmp.Diff([]string{"1|2|" + req.RunID}, f.text("SELECT a, b, _arus_run_id FROM analytics.k")); diff != "" {
		t.Error(diff)
	}
}

func TestReadersSeeTheOldTableUntilCommit(t *testing.T) {
	t.Parallel()
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.ReplaceWindow} {
		for _, end := range []string{"commit", "abort", "cancel"} {
			t.Run(mode.String()+"/"+end, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				f.mustLoad(pairRequest(connectors.Replace), pair{1, "old"})
				req := pairRequest(mode)
				req.Window = &connectors.Window{Column: "id"}
				before := f.text("SELECT relname FROM pg_class ORDER BY 1")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				load, err := f.dest.Begin(ctx, req)
				if err != nil {
					t.Fatal(err)
				}
				big := strings.Repeat("x", 3*chunkSize)
				if err := load.Write(ctx, pairs(pair{1, "new"}, pair{2, big})); err != nil {
					t.Fatal(err)
				}
				f.wantRows("1|old")
				switch end {
				case "commit":
					if _, err := load.Commit(ctx); err != nil {
						t.Fatal(err)
					}
					f.wantRows("1|new", "2|"+big)
					return
				case "cancel":
					cancel()
					if err := load.Write(ctx, pairs(pair{3, "late"})); err == nil || connectors.Retryable(err) {
						t.Errorf("a write after the cancel gives %v", err)
					}
				}
				if err := load.Abort(); err != nil {
					t.Fatal(err)
				}
				f.wantRows("1|old")
				if diff := cmp.Diff(before, f.text("SELECT relname FROM pg_class ORDER BY 1")); diff != "" {
					t.Errorf("relations (-before +after): %s", diff)
				}
				f.mustLoad(pairRequest(connectors.Merge), pair{1, "again"})
			})
		}
	}
}

func TestOneLoadPerTarget(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, err := f.dest.Begin(t.Context(), pairRequest(connectors.Merge))
	if err != nil {
		t.Fatal(err)
	}
	other, err := New().OpenDestination(t.Context(), f.config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	second := pairRequest(connectors.Replace)
	second.LockWait = time.Millisecond
	_, err = other.Begin(t.Context(), second)
	wantKind(t, err, connectors.KindConflict, "analytics.t", "another load")
	sibling := pairRequest(connectors.Replace)
	sibling.Target.Name = "u"
	load, err := other.Begin(t.Context(), sibling)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Abort(); err != nil {
		t.Fatal(err)
	}
	f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"})
}

func TestAKilledLoadLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.mustLoad(pairRequest(connectors.Replace), pair{1, "old"})
			before := f.text("SELECT relname FROM pg_class ORDER BY 1")
			killed, err := f.dest.Begin(t.Context(), pairRequest(mode))
			if err != nil {
				t.Fatal(err)
			}
			if err := killed.Write(t.Context(), pairs(pair{2, strings.Repeat("x", 2*chunkSize)})); err != nil {
				t.Fatal(err)
			}
			_ = killed.(*load).conn.Conn().Close() // what the system does to a killed program's connections
			f.mustLoad(pairRequest(connectors.Merge), pair{3, "next"})
			f.wantRows("1|old", "3|next")
			if diff := cmp.Diff(before, f.text("SELECT relname FROM pg_class ORDER BY 1")); diff != "" {
				t.Errorf("relations (-before +after): %s", diff)
			}
			if _, err := killed.Commit(t.Context()); err == nil {
				t.Error("the killed load can be committed")
			}
		})
	}
}

func TestReplaceKeepsWhatPeopleHungOnTheTable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	reader, owner := "reader_"+strings.ReplaceAll(uuid.NewString(), "-", ""), `Own"er`+strings.ReplaceAll(uuid.NewString(), "-", "")
	for _, role := range []string{reader, owner} {
		f.exec("CREATE ROLE " + ident(role))
		t.Cleanup(func() { f.dropRole(role) })
	}
	f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"})
	f.exec("GRANT SELECT ON analytics.t TO PUBLIC; GRANT USAGE, CREATE ON SCHEMA analytics TO " + ident(owner) + "; ALTER TABLE analytics.t OWNER TO " + ident(owner) + "; GRANT INSERT, SELECT ON analytics.t TO " + ident(reader) + " WITH GRANT OPTION; " +
		"GRANT UPDATE (v) ON analytics.t TO " + ident(reader) + "; COMMENT ON TABLE analytics.t IS 'it''s mine'; COMMENT ON COLUMN analytics.t.v IS 'v'; " +
		`CREATE INDEX "by V" ON analytics.t (lower(v)) WHERE id > 0; ALTER TABLE analytics.t ADD CONSTRAINT uni UNIQUE (v, id)`)
	about := func() []string {
		return f.text(`SELECT c.relowner::regrole, a.grantee::regrole, a.privilege_type, a.is_grantable FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'analytics.t'::regclass
			UNION ALL SELECT c.relowner::regrole, a.grantee::regrole, a.privilege_type || ' ' || t.attname, a.is_grantable FROM pg_class c JOIN pg_attribute t ON attrelid = c.oid, aclexplode(t.attacl) a WHERE c.oid = 'analytics.t'::regclass
			UNION ALL SELECT null, null, obj_description('analytics.t'::regclass), null UNION ALL SELECT null, null, col_description('analytics.t'::regclass, 2), null
			UNION ALL SELECT null, null, indexdef, null FROM pg_indexes WHERE schemaname = 'analytics' UNION ALL SELECT null, null, conname || pg_get_constraintdef(oid), null FROM pg_constraint WHERE conrelid = 'analytics.t'::regclass ORDER BY 1, 2, 3`)
	}
	before := about()
	f.exec("ALTER DEFAULT PRIVILEGES IN SCHEMA analytics GRANT DELETE ON TABLES TO " + ident(reader))
	f.mustLoad(pairRequest(connectors.Replace), pair{2, "b"})
	if diff := cmp.Diff(before, about()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	f.wantRows("2|b")
}

func (f *fixture) dropRole(role string) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	_, _ = f.sql.Exec(ctx, "DROP OWNED BY "+ident(role)+" CASCADE; DROP ROLE "+ident(role))
}

func TestReplaceUnderAView(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"})
	f.exec("CREATE VIEW seen AS SELECT id, v FROM analytics.t")
	oid := f.text("SELECT 'analytics.t'::regclass::oid")
	req := pairRequest(connectors.Replace)
	f.mustLoad(req, pair{2, "b"})
	if diff := cmp.Diff([]string{"2|b"}, f.text("SELECT * FROM seen")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(oid, f.text("SELECT 'analytics.t'::regclass::oid")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{req.RunID}, f.text("SELECT _arus_run_id FROM analytics.t")); diff != "" {
		t.Error(diff)
	}
	wider := pairRequest(connectors.Replace)
	wider.Columns = []connectors.Column{{Name: "id", Type: connectors.Type{Kind: connectors.Int64}}, textColumn}
	load, err := f.dest.Begin(t.Context(), wider)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = load.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	types := f.text("SELECT c.relname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attname = 'id' AND c.relname IN ('t', 'seen') ORDER BY 1")
	if diff := cmp.Diff([]string{"seen|bigint", "t|bigint"}, types); diff != "" {
		t.Error(diff)
	}
	if rows := f.text("SELECT * FROM seen"); len(rows) > 0 {
		t.Errorf("the view shows %v", rows)
	}
}

func TestRefusedTargets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		setup string
		edit  func(*connectors.LoadRequest)
		kind  connectors.ErrorKind
		words []string
	}{
		{name: "no unique index", setup: "ALTER TABLE analytics.t DROP CONSTRAINT t_pkey", kind: connectors.KindConstraint, words: []string{"unique index on id", `ADD PRIMARY KEY ("id")`}},
		{name: "missing column", setup: "ALTER TABLE analytics.t DROP COLUMN v", kind: connectors.KindNotFound, words: []string{`ADD COLUMN "v" text`}},
		{name: "missing metadata", setup: "ALTER TABLE analytics.t DROP COLUMN _arus_run_id", kind: connectors.KindNotFound, words: []string{"_arus_run_id"}},
		{
			name: "lossy column", setup: "ALTER TABLE analytics.t ALTER COLUMN id TYPE smallint, ALTER COLUMN v TYPE text", kind: connectors.KindType, words: []string{`"id"`},
			edit: func(r *connectors.LoadRequest) { r.Columns[0].Type = connectors.Type{Kind: connectors.Float64} },
		},
		{name: "a view", setup: "ALTER TABLE analytics.t RENAME TO u; CREATE VIEW analytics.t AS SELECT * FROM analytics.u", kind: connectors.KindConflict, words: []string{"view"}},
		{name: "name too long", edit: func(r *connectors.LoadRequest) { r.Target.Name = strings.Repeat("é", 32) }, kind: connectors.KindInvalid, words: []string{"63 bytes"}},
		{name: "key not there", edit: func(r *connectors.LoadRequest) { r.Key = []string{"ID"} }, kind: connectors.KindInvalid, words: []string{`"ID"`}},
		{name: "own column", edit: func(r *connectors.LoadRequest) { r.Columns[1].Name = connectors.MetaRunID }, kind: connectors.KindInvalid, words: []string{connectors.MetaRunID}},
		{name: "run id", edit: func(r *connectors.LoadRequest) { r.RunID = "'; DROP TABLE t" }, kind: connectors.KindInvalid, words: []string{"run id"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.mustLoad(pairRequest(connectors.Replace), pair{1, "a"})
			f.exec(tt.setup)
			req := pairRequest(connectors.Merge)
			if tt.edit != nil {
				tt.edit(&req)
			}
			_, err := f.dest.Begin(t.Context(), req)
			wantKind(t, err, tt.kind, tt.words...)
		})
	}
}

func TestRefusedValues(t *testing.T) {
	t.Parallel()
	one := func(c connectors.Column, add func(array.Builder)) (connectors.LoadRequest, arrow.RecordBatch) {
		var out arrow.RecordBatch
		b := connectors.NewBatcher([]connectors.Column{c}, connectors.Limits{}, func(r arrow.RecordBatch) error { out = r; return nil })
		defer b.Release()
		add(b.Builders[0])
		_ = b.EndRow(1)
		_ = b.Flush()
		req := pairRequest(connectors.Replace)
		req.Columns, req.Key = []connectors.Column{c}, nil
		return req, out
	}
	text := func(s string) func(array.Builder) {
		return func(b array.Builder) { b.(*array.StringBuilder).Append(s) }
	}
	for _, tt := range []struct {
		name   string
		column connectors.Column
		add    func(array.Builder)
		kind   connectors.ErrorKind
		words  []string
	}{
		{name: "NUL", column: textColumn, add: text("a\x00b"), kind: connectors.KindType, words: []string{`"v"`, "NUL"}},
		{name: "not UTF-8", column: textColumn, add: text("a\xff"), kind: connectors.KindType, words: []string{"column v"}},
		{name: "too long", column: connectors.Column{Name: "v", Type: connectors.Type{Kind: connectors.Text, Length: 2}}, add: text("abc"), kind: connectors.KindType, words: []string{"column v"}},
		{name: "null in NOT NULL", column: intColumn, add: array.Builder.AppendNull, kind: connectors.KindConstraint, words: []string{`"id"`}},
		{name: "not a numeric", column: connectors.Column{Name: "n", Type: connectors.Type{Kind: connectors.Numeric}}, add: text("1,5"), kind: connectors.KindType, words: []string{`"n"`, "1,5"}},
		{name: "not an interval", column: connectors.Column{Name: "i", Type: connectors.Type{Kind: connectors.Interval}}, add: text("P1.5D"), kind: connectors.KindType, words: []string{`"i"`}},
		{name: "not JSON", column: connectors.Column{Name: "j", Type: connectors.Type{Kind: connectors.JSON}}, add: text("{"), kind: connectors.KindType, words: []string{"json"}},
		{
			name: "a timestamp too early", column: connectors.Column{Name: "ts", Type: connectors.Type{Kind: connectors.Timestamp}},
			add: func(b array.Builder) { b.(*array.TimestampBuilder).Append(-1 << 62) }, kind: connectors.KindType, words: []string{"column ts"},
		},
	} {
		for _, raw := range []bool{false, true} {
			if raw && tt.name != "NUL" {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				req, batch := one(tt.column, tt.add)
				if raw {
					req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: "staging", Name: "r"}}
				}
				load, err := f.dest.Begin(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if err = load.Write(t.Context(), batch); err != nil {
					_ = load.Abort()
				} else {
					_, err = load.Commit(t.Context())
				}
				wantKind(t, err, tt.kind, append(tt.words, "analytics.t")...)
				if got := f.text("SELECT to_regclass('analytics.t')::text"); got[0] != "∅" {
					t.Error("the target is there")
				}
			})
		}
	}
}
