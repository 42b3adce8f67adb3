package clickhouse

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"arus/connectors"
)

// keysOf is the request for keys of a target.
func (f *fixture) keysOf(mode connectors.LoadMode, req connectors.LoadRequest) connectors.LoadRequest {
	var columns []connectors.Column
	for _, k := range req.Key {
		columns = append(columns, req.Columns[slices.IndexFunc(req.Columns, func(c connectors.Column) bool { return c.Name == k })])
	}
	keys := f.request(mode, req.Target.Name, req.Key, columns...)
	keys.SyncedAt = req.SyncedAt.Add(time.Hour)
	return keys
}

func (f *fixture) wantBoth(what string, req connectors.LoadRequest, want [][]string) {
	f.t.Helper()
	if diff := cmp.Diff(want, f.read(req, "id")); diff != "" {
		f.t.Errorf("%s: %s", what, diff)
	}
	view := f.readRequest(connectors.ReadRequest{Table: connectors.Table{TableRef: currentView(req.Target)}, Columns: req.Columns, OrderBy: []string{"id"}})
	if diff := cmp.Diff(want, view); diff != "" {
		f.t.Errorf("%s, view: %s", what, diff)
	}
}

// TestDeletedRowsAreHidden deletes rows, brings one back and deletes it again,
// with a clock that goes back, before and after the server has merged.
func TestDeletedRowsAreHidden(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req := f.request(connectors.Replace, "t", []string{"id"}, idName()...)
	f.load(req, []string{"1", "a"}, []string{"2", "b"}, []string{"3", null})
	result := f.load(f.keysOf(connectors.Retain, req), []string{"1"}, []string{"3"})
	if result.Deleted != 1 || result.Rows != 0 {
		t.Errorf("%+v", result)
	}
	f.wantBoth("2 is deleted", req, [][]string{{"1", "a"}, {"3", null}})
	back := req
	back.Mode, back.SyncedAt = connectors.Merge, req.SyncedAt.Add(-time.Hour)
	f.load(back, []string{"2", "again"})
	f.wantBoth("2 is back", req, [][]string{{"1", "a"}, {"2", "again"}, {"3", null}})
	f.load(f.keysOf(connectors.Remove, req), []string{"2"}, []string{"1"}, []string{"7"})
	f.wantBoth("1 and 2 are removed", req, [][]string{{"3", null}})
	f.exec("OPTIMIZE TABLE " + qualified(req.Target) + " FINAL")
	f.wantBoth("merged by the server", req, [][]string{{"3", null}})
	if result := f.load(f.keysOf(connectors.Remove, req), []string{"2"}); result.Deleted != 0 {
		t.Errorf("a deleted row was deleted again: %+v", result)
	}
	f.load(req, []string{"2", "fresh"})
	f.wantBoth("replaced", req, [][]string{{"2", "fresh"}})
}

// TestDeletionFromOlderTargets deletes from targets that were made before rows
// could be, one of them partitioned by somebody.
func TestDeletionFromOlderTargets(t *testing.T) {
	t.Parallel()
	for _, partition := range []string{"", " PARTITION BY id % 3"} {
		f := newFixture(t)
		f.exec("CREATE TABLE " + ident(f.schema) + ".t (id Int64, name Nullable(String), _arus_run_id UUID, _arus_synced_at String COMMENT 'arus:{\"kind\":\"timestamptz\"}', _arus_version UInt64) " +
			"ENGINE = ReplacingMergeTree(_arus_version)" + partition + " ORDER BY id")
		f.exec("CREATE VIEW " + ident(f.schema) + ".t_current AS SELECT id, name, _arus_run_id, _arus_synced_at FROM " + ident(f.schema) + ".t FINAL")
		req := f.request(connectors.Merge, "t", []string{"id"}, idName()...)
		var rows, keys, want [][]string
		for i := range 10 {
			rows = append(rows, []string{fmt.Sprint(i), "x"})
			if i%2 == 0 {
				want, keys = append(want, rows[i]), append(keys, rows[i][:1])
			}
		}
		f.load(req, rows...)
		if result := f.load(f.keysOf(connectors.Retain, req), keys...); result.Deleted != 5 {
			t.Errorf("%+v", result)
		}
		f.wantBoth("deleted", req, want)
		f.load(req, rows...)
		f.wantBoth("loaded again", req, rows)
	}
}

// TestManyKeysAreComparedInBuckets finds the same keys as at once.
func TestManyKeysAreComparedInBuckets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	columns := []connectors.Column{column("id", connectors.Int64), column("u", connectors.UUID), {Name: "d", Type: connectors.NewDecimal(30, 2)}}
	req := f.request(connectors.Replace, "t", []string{"id", "u", "d"}, columns...)
	var rows, keys [][]string
	for i := range 1000 {
		rows = append(rows, []string{fmt.Sprint(i), fmt.Sprintf("00000000-0000-0000-0000-%012d", i*i), fmt.Sprintf("-%d.50", i)})
		if i%10 != 0 {
			keys = append(keys, rows[i])
		}
	}
	f.load(req, rows...)
	begun, err := f.dest.Begin(t.Context(), f.keysOf(connectors.Retain, req))
	if err != nil {
		t.Fatal(err)
	}
	l := begun.(*load)
	if err := l.Write(t.Context(), batch(t, l.req.Columns, keys)); err != nil {
		t.Fatal(err)
	}
	if err := l.feed.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone, n, err := l.findGone(t.Context(), 7)
	if err != nil || n != 100 {
		t.Errorf("%d keys are gone, %v, want 100", n, err)
	}
	got := f.texts("SELECT toString(count()), toString(uniqExact(id)), toString(sum(id)) FROM " + qualified(gone))
	if diff := cmp.Diff([][]string{{"100", "100", "49500"}}, got); diff != "" {
		t.Error(diff)
	}
	if err := l.Abort(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"t", "t_current"}, f.tables()); diff != "" {
		t.Error(diff)
	}
}

// TestAlterKeepsWhatIsThere alters along the lattice, with deleted rows and
// older versions in the table, and refuses what the server would spoil.
func TestAlterKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	typed := func(name string, typ connectors.Type) connectors.Column {
		return connectors.Column{Name: name, Type: typ}
	}
	columns := []connectors.Column{
		column("id", connectors.Int32), column("u", connectors.Uint64), column("i", connectors.Int64), column("small", connectors.Uint8), typed("d", connectors.NewDecimal(10, 2)),
		typed("wide", connectors.NewDecimal(30, 2)), typed("e", connectors.Type{Kind: connectors.Enum, Values: []string{"a"}}), column("at", connectors.Timestamp),
	}
	req := f.request(connectors.Replace, "t", []string{"id"}, columns...)
	row := func(id, text string) []string {
		return []string{id, "18446744073709551615", "-9223372036854775808", "255", "-12345678.90", "-1234567890123456789012345678.90", text, "2024-01-02T03:04:05.000006"}
	}
	f.load(req, row("1", "old"), row("2", "gone"), row("3", "a"))
	f.load(f.keysOf(connectors.Remove, req), []string{"2"})
	merge := req
	merge.Mode = connectors.Merge
	f.load(merge, row("1", "a"))
	widen := []connectors.Column{
		typed("u", connectors.NewDecimal(20, 0)), column("i", connectors.Numeric), column("small", connectors.Int16), column("d", connectors.Numeric),
		typed("wide", connectors.NewDecimal(38, 4)), typed("e", connectors.Type{Kind: connectors.Enum, Values: []string{"a", "b"}}), nullable("at", connectors.Timestamp),
	}
	for _, alter := range []func() error{
		func() error {
			return f.dest.Alter(t.Context(), req.Target, []connectors.Column{column("more", connectors.Text)}, widen)
		},
		func() error {
			return f.dest.Alter(t.Context(), req.Target, []connectors.Column{column("more", connectors.Text)}, widen)
		}, // nobody heard that it was done
		func() error {
			return f.dest.Alter(t.Context(), req.Target, nil, []connectors.Column{column("id", connectors.Int64)})
		},
	} {
		if err := alter(); err != nil {
			t.Fatal(err)
		}
		after := req
		after.Columns = append([]connectors.Column{column("id", connectors.Int64)}, widen...)
		after.Columns = append(after.Columns, nullable("more", connectors.Text))
		wide := func(id string) []string {
			return []string{id, "18446744073709551615", "-9223372036854775808", "255", "-12345678.90", "-1234567890123456789012345678.9000", "a", "2024-01-02T03:04:05.000006", null}
		}
		table, _, err := f.dest.Table(t.Context(), req.Target)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range widen {
			if have, _ := table.Column(c.Name); !have.Type.Equal(c.Type) || have.Nullable != c.Nullable {
				t.Errorf("column %s is %s, want %s", c.Name, have.Type, c.Type)
			}
		}
		after.Columns[0] = table.Columns[0]
		f.wantBoth("altered", after, [][]string{wide("1"), wide("3")})
	}
	for _, test := range []struct {
		change connectors.Column
		kind   connectors.ErrorKind
	}{
		{column("wide", connectors.Numeric), connectors.KindType}, // the text of wide decimals is wrong on this server
		{column("at", connectors.Int64), connectors.KindType},
		{nullable("id", connectors.Int64), connectors.KindConstraint},
		{column("absent", connectors.Int64), connectors.KindNotFound},
	} {
		err := f.dest.Alter(t.Context(), req.Target, nil, []connectors.Column{test.change})
		if connectors.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.change.Name) {
			t.Errorf("%s: %v (kind %q), want kind %q", test.change.Name, err, connectors.KindOf(err), test.kind)
		}
	}
	f.exec("CREATE TABLE " + ident(f.schema) + ".foreign (id Int64) ENGINE = MergeTree ORDER BY id")
	if err := f.dest.Alter(t.Context(), connectors.TableRef{Schema: f.schema, Name: "foreign"}, []connectors.Column{column("a", connectors.Int64)}, nil); connectors.KindOf(err) != connectors.KindConflict {
		t.Errorf("a stranger's table: %v", err)
	}
}

// TestPartsOfAStoppedCommit ends commits at several points: the parts stay, and
// staged rows that were attached are not attached again.
func TestPartsOfAStoppedCommit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req := f.request(connectors.Replace, "t", nil, idName()...)
	req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: f.schema, Name: "raw"}}
	req.Resume = "token"
	begin := func(req connectors.LoadRequest) *partsLoad {
		t.Helper()
		l, err := f.dest.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return l.(*partsLoad)
	}
	fill := func(l *partsLoad, name string, rows ...[]string) {
		t.Helper()
		p, done, err := l.Part(t.Context(), name)
		if err != nil || done {
			t.Fatal(done, err)
		}
		if err := p.Write(t.Context(), batch(t, req.Columns, rows)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l := begin(req)
	fill(l, "a", []string{"1", "a"}, []string{"1", "a"})
	f.exec("KILL QUERY WHERE query_id = " + literal("arus-lock-"+targetHash(req.Target)) + " SYNC")
	waitFor(t, l.lock.lost.Load)
	if _, err := l.Commit(t.Context()); connectors.KindOf(err) != connectors.KindConflict {
		t.Errorf("Commit: %v", err)
	}

	l = begin(req)
	fill(l, "b", []string{"2", "b"})
	for name := range l.done { // as if it had stopped before the swap
		if _, err := l.attachStaged(t.Context(), connectors.TableRef{Schema: f.schema, Name: name + rawSuffix}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Suspend(); err != nil {
		t.Error(err)
	}

	l = begin(req)
	if _, done, err := l.Part(t.Context(), "b"); !done || err != nil {
		t.Fatal(done, err)
	}
	if result, err := l.Commit(t.Context()); err != nil || result.Rows != 3 || result.RawRows != 3 {
		t.Errorf("Commit: %+v, %v", result, err)
	}
	if got := f.texts("SELECT toString(count()), toString(uniqExact(_arus_id)) FROM " + qualified(req.Raw.Table)); got[0][0] != "3" || got[0][1] != "3" {
		t.Errorf("the staging table has %s rows of %s ids", got[0][0], got[0][1])
	}
	if diff := cmp.Diff([][]string{{"1", "a"}, {"1", "a"}, {"2", "b"}}, f.read(req, "id")); diff != "" {
		t.Error(diff)
	}

	other := req // of another form
	other.Columns = append(idName(), nullable("more", connectors.Text))
	l = begin(req)
	fill(l, "a", []string{"9", "z"})
	if err := l.Suspend(); err != nil {
		t.Error(err)
	}
	l = begin(other)
	p, done, err := l.Part(t.Context(), "a")
	if done || err != nil {
		t.Fatal(done, err)
	}
	if _, err := l.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "still being filled") {
		t.Errorf("Commit with an open part: %v", err)
	}
	if _, err := p.Commit(t.Context()); err == nil {
		t.Error("a part of a load that has ended is committed")
	}
	l = begin(other)
	if err := l.Write(t.Context(), batch(t, other.Columns, [][]string{{"1", "a", "b"}})); connectors.KindOf(err) != connectors.KindInvalid {
		t.Errorf("Write: %v", err)
	}
	if err := l.Abort(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"raw", "t", "t_current"}, f.tables()); diff != "" {
		t.Error(diff)
	}
}

// TestPruneIsMended finds the staging table half swapped.
func TestPruneIsMended(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req := f.request(connectors.Merge, "t", []string{"id"}, idName()...)
	raw := connectors.TableRef{Schema: f.schema, Name: "raw"}
	req.Raw = &connectors.RawTarget{Table: raw}
	f.load(req, []string{"1", "a"})
	halve := func() {
		f.exec("RENAME TABLE " + qualified(raw) + " TO " + qualified(oldTable(raw)))
		f.exec("CREATE TABLE " + qualified(newShadow(f.schema, raw)) + " (a Int32) ENGINE = MergeTree ORDER BY a")
	}
	build := connectors.RebuildRequest{Raw: raw, Target: req.Target, Columns: req.Columns, Key: req.Key}
	for name, next := range map[string]func() error{
		"a load":  func() error { _, err := f.tryLoad(req, []string{"1", "b"}); return err },
		"rebuild": func() error { _, err := f.dest.Rebuild(t.Context(), build); return err },
		"prune":   func() error { _, err := f.dest.PruneRaw(t.Context(), build, req.SyncedAt); return err },
	} {
		halve()
		if err := next(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{"raw", "t", "t_current"}, f.tables()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestRowDecoder splits rows of other forms than the one asked for.
func TestRowDecoder(t *testing.T) {
	t.Parallel()
	columns := []connectors.Column{column("id", connectors.Int64), nullable("a\"b", connectors.Text), nullable("j", connectors.JSON), nullable(connectors.MetaDeletedAt, connectors.TimestampTZ)}
	for _, test := range []struct {
		data string
		want []string // nil where it is refused
		gone bool
	}{
		{`{"id":1,"a\"b":"x","j":{"id":2}}`, []string{"1", "x", `{"id":2}`, null}, false},
		{`{"j":[1,"}"],"extra":{"a":[1,{"b":"\"}"}]},"a\"b":null,"id":-1}`, []string{"-1", null, `[1,"}"]`, null}, false},
		{`{"id":1}`, []string{"1", null, null, null}, false},
		{`{"id":1,"a\"b":"","j":null,"_arus_deleted_at":"2024-01-02T03:04:05Z"}`, []string{"1", "", "null", "2024-01-02T03:04:05Z"}, false},
		{`{"id":1,"_arus_deleted_at":"2024-01-02T03:04:05Z"}`, []string{"1", null, null, "2024-01-02T03:04:05Z"}, true},
		{`{"id":1,"_arus_deleted_at":null}`, []string{"1", null, null, null}, false},
		{`{}`, []string{null, null, null, null}, false},
		{`{"id":1`, nil, false},
		{`{"id":}`, nil, false},
		{`{"id" :1}`, nil, false},
		{`{"id":1}}`, nil, false},
		{`["id"]`, nil, false},
		{`{"id":"x"}`, nil, false},
		{``, nil, false},
	} {
		var got []string
		b := connectors.NewBatcher(columns, connectors.Limits{}, func(r arrow.RecordBatch) error {
			defer r.Release()
			for c, col := range columns {
				text := null
				if !r.Column(c).IsNull(0) {
					text = string(connectors.AppendValue(nil, r.Column(c), col.Type, 0))
				}
				got = append(got, text)
			}
			return nil
		})
		d, err := newRowDecoder(columns, []string{"id"}, b.Builders)
		if err != nil {
			t.Fatal(err)
		}
		err = d.split(test.data)
		if err == nil && d.isTombstone() != test.gone {
			t.Errorf("%s: tombstone %v", test.data, !test.gone)
		}
		if err == nil {
			err = d.store()
		}
		if err == nil {
			if err := b.EndRow(1); err != nil {
				t.Fatal(err)
			}
			if err := b.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		b.Release()
		if (err == nil) != (test.want != nil) || cmp.Diff(test.want, got) != "" {
			t.Errorf("%s: %q, %v, want %q", test.data, got, err, test.want)
		}
	}
	d, _ := newRowDecoder(columns[:3], []string{"id"}, connectors.NewBatcher(columns[:3], connectors.Limits{}, nil).Builders)
	for data, gone := range map[string]bool{`{"id":1,"a\"b":"x","_arus_deleted_at":"2024-01-02T03:04:05Z"}`: true, `{"id":1,"_arus_deleted_at":"x"}`: true, `{"id":1}`: false} {
		if err := d.split(data); err != nil || d.isTombstone() != gone {
			t.Errorf("%s without the mark among the columns: tombstone %v, %v", data, d.isTombstone(), err)
		}
	}
}

// TestHolds follows the server's calendar, and finds it again in the encoders.
func TestHolds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		version
		first, last string
	}{{version{18, 16}, "1900-01-01", "2299-12-31"}, {version{20, 5}, "1970-01-01", "2105-12-31"}, {version{21, 4}, "1925-01-01", "2283-12-31"}, {version{22, 7}, "1925-01-01", "2283-12-31"}, {version{25, 8}, "1900-01-01", "2299-12-31"}} {
		h := (&Destination{&db{dialect: dialect{version: test.version}}}).Holds()
		first, last := string(connectors.AppendDate(nil, h.MinDate)), string(connectors.AppendDate(nil, h.MaxDate))
		if first != test.first || last != test.last || h.InfiniteTimes {
			t.Errorf("%v holds %s to %s, want %s to %s", test.version, first, last, test.first, test.last)
		}
		for _, kind := range []connectors.Kind{connectors.Date, connectors.TimestampTZ} {
			c := nullable("x", kind)
			e, err := newEncoder(test.version, c, test.columnType(c, false))
			if err != nil {
				t.Fatal(err)
			}
			end := map[connectors.Kind]string{connectors.TimestampTZ: "T00:00:00Z"}[kind]
			for _, day := range []string{first, last} {
				if err := e.add(batch(t, []connectors.Column{c}, [][]string{{day + end}}).Column(0)); err != nil {
					t.Errorf("%v, %s: %v", test.version, day, err)
				}
			}
		}
	}
}
