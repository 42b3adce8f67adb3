package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
	"arus/connectors/conformance"
)

// TestACarefulLoadMeetsWhatPeopleAdded has a target refuse rows by a check, a unique index, a deferred foreign key and a
// trigger, each at the batch that brings the row.
func TestACarefulLoadMeetsWhatPeopleAdded(t *testing.T) {
	t.Parallel()
	const reference = "CREATE TABLE parent (v text PRIMARY KEY); INSERT INTO parent VALUES ('a'), ('b'), ('old'); ALTER TABLE analytics.t ADD FOREIGN KEY (v) REFERENCES parent DEFERRABLE INITIALLY DEFERRED"
	for name, tt := range map[string]struct{ setup, bad string }{
		"check":   {"ALTER TABLE analytics.t ADD CHECK (v <> 'bad')", "bad"},
		"unique":  {"CREATE UNIQUE INDEX ON analytics.t (v)", "a"},
		"foreign": {reference, "bad"},
		"trigger": {"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.v = 'bad' THEN RAISE 'no bad rows'; END IF; RETURN NEW; END$$; CREATE TRIGGER no BEFORE INSERT OR UPDATE ON analytics.t FOR EACH ROW EXECUTE FUNCTION no()", "bad"},
	} {
		for _, mode := range []connectors.LoadMode{connectors.Replace, connectors.Merge, connectors.ReplaceWindow} {
			for _, parts := range []bool{false, true} {
				if parts && (mode != connectors.Replace || name == "foreign" || name == "trigger") {
					continue // what hangs on the table meets the rows of parts at the end
				}
				t.Run(name+"/"+mode.String(), func(t *testing.T) {
					t.Parallel()
					f := newFixture(t)
					f.mustLoad(pairRequest(connectors.Replace), pair{7, "old"})
					f.exec(tt.setup)
					req := pairRequest(mode)
					req.Careful, req.Window = true, &connectors.Window{Column: "id"}
					if parts {
						req.Resume = "token"
					}
					whole, err := f.dest.Begin(t.Context(), req)
					if err != nil {
						t.Fatal(err)
					}
					load := whole
					if p, ok := whole.(connectors.PartLoad); ok {
						if load, _, err = p.Part(t.Context(), "a"); err != nil {
							t.Fatal(err)
						}
					}
					for _, batch := range []struct {
						ok   bool
						rows []pair
					}{{true, []pair{{1, "a"}}}, {false, []pair{{2, "b"}, {3, tt.bad}}}, {true, []pair{{2, "b"}}}, {false, []pair{{3, tt.bad}}}} {
						err := load.Write(t.Context(), pairs(batch.rows...))
						if kind := connectors.KindOf(err); batch.ok != (err == nil) || !batch.ok && kind != connectors.KindConstraint {
							t.Fatalf("%v: %v (kind %q)", batch.rows, err, kind)
						}
					}
					if load != whole {
						if _, err := load.Commit(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					result, err := whole.Commit(t.Context())
					if err != nil || result.Rows != 2 {
						t.Fatalf("%+v, %v", result, err)
					}
					want := []string{"1|a", "2|b"}
					if mode == connectors.Merge {
						want = append(want, "7|old")
					}
					f.wantRows(want...)
				})
			}
		}
	}
}

// TestAFailedWriteEndsALoad wants no commit of what came before a failure that a load does not survive.
func TestAFailedWriteEndsALoad(t *testing.T) {
	t.Parallel()
	for _, careful := range []bool{false, true} {
		f := newFixture(t)
		f.mustLoad(pairRequest(connectors.Replace), pair{7, "old"})
		req := pairRequest(connectors.Merge)
		req.Careful = careful
		load, err := f.dest.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if err := load.Write(t.Context(), pairs(pair{1, "a"})); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := load.Write(ctx, pairs(pair{2, "b"})); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled write gives %v", err)
		}
		if err := load.Write(t.Context(), pairs(pair{3, "c"})); err == nil {
			t.Error("a write after it succeeds")
		}
		if _, err := load.Commit(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("a commit after it gives %v", err)
		}
		f.wantRows("7|old")
	}
}

// TestAPartInDoubt begins a part that a killed program is just committing: it waits and finds it done, or rolled back and
// does it.
func TestAPartInDoubt(t *testing.T) {
	t.Parallel()
	for _, committed := range []bool{true, false} {
		f := newFixture(t)
		req := pairRequest(connectors.Replace)
		req.Resume = "token"
		killed, err := f.dest.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		doubtful, _, err := killed.(connectors.PartLoad).Part(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := doubtful.Write(t.Context(), pairs(pair{1, "doubtful"})); err != nil {
			t.Fatal(err)
		}
		_ = killed.(*partedLoad).conn.Conn().Close() // the lock goes with it
		later := req
		later.RunID = uuid.NewString()
		again, err := f.dest.Begin(t.Context(), later)
		if err != nil {
			t.Fatal(err)
		}
		type answer struct {
			part connectors.Load
			done bool
			err  error
		}
		got := make(chan answer)
		go func() {
			part, done, err := again.(connectors.PartLoad).Part(t.Context(), "a")
			got <- answer{part, done, err}
		}()
		for f.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid() AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())")[0] == "0" {
			time.Sleep(time.Millisecond)
		}
		if committed {
			if _, err := doubtful.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else if err := doubtful.Abort(); err != nil {
			t.Fatal(err)
		}
		a := <-got
		if a.err != nil || a.done != committed {
			t.Fatalf("the part is done: %v, %v, want %v", a.done, a.err, committed)
		}
		want, run := "1|doubtful", req.RunID
		if !committed {
			want, run = "1|again", later.RunID
			if err := a.part.Write(t.Context(), pairs(pair{1, "again"})); err != nil {
				t.Fatal(err)
			}
			if _, err := a.part.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		result, err := again.Commit(t.Context())
		if err != nil || result.Rows != 1 {
			t.Fatalf("%+v, %v", result, err)
		}
		if got := f.text("SELECT _arus_run_id FROM analytics.t"); got[0] != run {
			t.Errorf("the row is of run %s, want %s", got, run)
		}
		f.wantRows(want)
		_ = killed.Abort()
		f.wantRows(want)
	}
}

// TestKeysOfOtherTypes deletes by keys whose types or collations differ from the target's.
func TestKeysOfOtherTypes(t *testing.T) {
	t.Parallel()
	key := func(kind connectors.Kind) []connectors.Column {
		return []connectors.Column{{Name: "id", Type: connectors.Type{Kind: kind}}}
	}
	for name, tt := range map[string]struct {
		column string
		key    []connectors.Column
		values []string
	}{
		"wider":     {"bigint", key(connectors.Int16), []string{"1", "2", "3"}},
		"decimal":   {"numeric(10,2)", key(connectors.Int64), []string{"1", "2", "3"}},
		"collation": {`text COLLATE "C"`, key(connectors.Text), []string{"a", "A", "ä"}},
		"shorter":   {`varchar(3) COLLATE "de-x-icu"`, key(connectors.Text), []string{"abc", "abcdef", "ABC"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.exec("CREATE SCHEMA analytics; CREATE TABLE analytics.t (id " + tt.column + " PRIMARY KEY, _arus_run_id uuid, _arus_synced_at timestamptz)")
			stored := tt.values
			if name == "shorter" {
				stored = []string{"abc", "ABC", "x"}
			}
			for _, v := range stored {
				f.exec("INSERT INTO analytics.t VALUES (" + mustLiteral(v) + ")")
			}
			req := pairRequest(connectors.Remove)
			req.Columns = tt.key
			l, err := f.dest.Begin(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			batch, err := conformance.Batch(tt.key, [][]any{{tt.values[0]}, {tt.values[1]}})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			result, err := l.Commit(t.Context())
			want := int64(2)
			if name == "shorter" {
				want = 1
			}
			if err != nil || result.Deleted != want {
				t.Errorf("%+v, %v, want %d deleted", result, err, want)
			}
		})
	}
}

func TestKindsOfServerErrors(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]connectors.ErrorKind{
		"22001": connectors.KindType, "22P05": connectors.KindType, "23505": connectors.KindConstraint, "23502": connectors.KindConstraint, "54000": connectors.KindConstraint,
		"P0001": connectors.KindConstraint, "40001": connectors.KindTransient, "40P01": connectors.KindTransient, "53300": connectors.KindTransient, "57P01": connectors.KindTransient,
		"57P03": connectors.KindTransient, "53100": connectors.KindTransient, "55P03": connectors.KindTransient, "57014": connectors.KindTimeout, "42501": connectors.KindPermission,
		"0A000": connectors.KindUnsupported, "08006": connectors.KindTransient, "28P01": connectors.KindAuth,
	} {
		if kind, _ := classify(&pgconn.PgError{Code: code}, ""); kind != want {
			t.Errorf("%s is %q, want %q", code, kind, want)
		}
	}
	if _, hint := classify(&pgconn.PgError{Code: "53100"}, ""); hint == "" {
		t.Error("a full disk has no hint")
	}
	if diff := cmp.Diff(false, (&Destination{&db{major: 13}}).Holds().NumericNaN); diff != "" {
		t.Errorf("a server without infinite numerics: %s", diff)
	}
	if !(&Destination{&db{major: 14}}).Holds().NumericNaN {
		t.Error("a server with infinite numerics refuses them")
	}
}
