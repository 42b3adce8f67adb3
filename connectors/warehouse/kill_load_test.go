package warehouse

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"

	"arus/connectors"
)

// loads makes the changes of a table that pipelines make: whole and in parts, with and without a staging table, columns
// added and widened, and the table built anew from its staging rows.
type loads struct {
	steps
	types map[string]connectors.Kind
	base  string // the run of the last whole load
	run   string // of the step that is next
}

func (g *loads) columns(m *model) []connectors.Column {
	columns := []connectors.Column{col("id", connectors.Int64)}
	for _, c := range m.columns {
		one := col(c, g.types[c])
		one.Nullable = true
		columns = append(columns, one)
	}
	return columns
}

func (g *loads) rows(m *model, from, to int) (rows [][]any) {
	for _, key := range g.r.Perm(to - from)[:(to-from)/2] {
		row := []any{fmt.Sprint(from + key)}
		for range m.columns {
			if g.r.IntN(6) == 0 {
				row = append(row, nil)
			} else {
				row = append(row, fmt.Sprint(g.r.IntN(5)))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (g *loads) request(m *model, mode connectors.LoadMode) connectors.LoadRequest {
	g.run = uuid.NewString()
	return connectors.LoadRequest{
		Target: connectors.TableRef{Name: "t"}, Columns: g.columns(m), Key: []string{"id"}, Mode: mode, RunID: g.run, SyncedAt: syncedAt,
		Raw: &connectors.RawTarget{Table: connectors.TableRef{Name: "raw"}},
	}
}

func put(m *model, rows [][]any) {
	for _, row := range rows {
		r := modelRow{}
		for i, c := range m.columns {
			if v, ok := row[i+1].(string); ok {
				r[c] = v
			}
		}
		m.rows[row[0].(string)] = r
	}
}

func (g *loads) load(m *model, mode connectors.LoadMode) step {
	req, rows := g.request(m, mode), g.rows(m, 0, 60)
	return step{mode.String(), func(s *testStore) error {
		l, err := (&Destination{s.storage}).Begin(s.t.Context(), req)
		if err != nil {
			return err
		}
		return fill(s, l, req, rows)
	}, func(m *model) {
		if mode == connectors.Replace {
			m.rows = map[string]modelRow{}
		}
		m.exists = true
		put(m, rows)
	}}
}

// fill writes rows and commits, or aborts.
func fill(s *testStore, l connectors.Load, req connectors.LoadRequest, rows [][]any) error {
	if err := l.Write(s.t.Context(), batchOf(s.t, req.Columns, rows)); err != nil {
		return errors.Join(err, l.Abort())
	}
	_, err := l.Commit(s.t.Context())
	return err
}

func (g *loads) parts(m *model) step {
	req := g.request(m, connectors.Replace)
	req.Resume = g.run
	some := [][][]any{g.rows(m, 0, 30), g.rows(m, 30, 60)}
	return step{"replace in parts", func(s *testStore) error {
		l, err := (&Destination{s.storage}).Begin(s.t.Context(), req)
		if err != nil {
			return err
		}
		whole := l.(connectors.PartLoad)
		for i, rows := range some {
			p, done, err := whole.Part(s.t.Context(), fmt.Sprint(i))
			if err == nil && !done {
				err = fill(s, p, req, rows)
			}
			if err != nil {
				return errors.Join(err, whole.Suspend())
			}
		}
		_, err = whole.Commit(s.t.Context())
		return err
	}, func(m *model) {
		m.rows, m.exists = map[string]modelRow{}, true
		for _, rows := range some {
			put(m, rows)
		}
	}}
}

// alter adds a column, or widens one.
func (g *loads) alter(m *model) step {
	for _, c := range m.columns {
		if g.types[c] == connectors.Int32 && g.r.IntN(2) == 0 {
			g.types[c] = connectors.Int64
			wide := col(c, connectors.Int64)
			wide.Nullable = true
			return step{"widen " + c, func(s *testStore) error {
				return (&Destination{s.storage}).Alter(s.t.Context(), connectors.TableRef{Name: "t"}, nil, []connectors.Column{wide})
			}, func(*model) {}}
		}
	}
	g.next++
	name := fmt.Sprintf("c%d", g.next)
	g.types[name] = connectors.Int32
	return step{"add " + name, func(s *testStore) error {
		return (&Destination{s.storage}).Alter(s.t.Context(), connectors.TableRef{Name: "t"}, []connectors.Column{col(name, connectors.Int32)}, nil)
	}, func(m *model) { m.columns = append(m.columns, name) }}
}

func (g *loads) rebuild(m *model) step {
	req := connectors.RebuildRequest{Raw: connectors.TableRef{Name: "raw"}, Target: connectors.TableRef{Name: "t"}, Columns: g.columns(m), Key: []string{"id"}, Base: g.base}
	return step{"rebuild", func(s *testStore) error {
		_, err := (&Destination{s.storage}).Rebuild(s.t.Context(), req)
		return err
	}, func(*model) {}}
}

// TestLoadsKilledBetweenAnyTwoFileOperations kills what pipelines do to a table before every one of its file operations, in
// a copy of the directory. The staging table is killed with it: a rebuild from it afterwards gives the same rows.
func TestLoadsKilledBetweenAnyTwoFileOperations(t *testing.T) {
	t.Parallel()
	for seed := range uint64(killSeeds(t)) {
		g := &loads{steps: steps{r: rand.New(rand.NewPCG(seed, 11))}, types: map[string]connectors.Kind{"a": connectors.Int32, "b": connectors.Text}}
		s := newStore(t)
		m := &model{columns: []string{"a", "b"}, rows: map[string]modelRow{}}
		for i, kind := range []string{"replace", "merge", "alter", "parts", "merge", "alter", "rebuild", "snapshot", "merge", "alter", "replace", "rebuild", "compact"} {
			var next step
			switch kind {
			case "replace":
				next = g.load(m, connectors.Replace)
			case "merge":
				next = g.load(m, connectors.Merge)
			case "parts":
				next = g.parts(m)
			case "alter":
				next = g.alter(m)
			case "rebuild":
				next = g.rebuild(m)
			case "snapshot":
				next = g.job(m, 1, s.now.Unix())
			default:
				next = g.job(m, 0, s.now.Unix())
			}
			before, after := m.clone(), m.clone()
			next.do(after)
			killEach(t, s, next, before, after)
			if err := next.disk(s); err != nil {
				t.Fatalf("seed %d, change %d, %s: %v", seed, i, next.name, err)
			}
			if kind == "replace" || kind == "parts" {
				g.base = g.run
			}
			m = after
			if got := s.rows("t", m.names()); !slices.Equal(got, m.text()) {
				diff(t, fmt.Sprintf("seed %d, change %d, %s", seed, i, next.name), got, m.text())
				return
			}
		}
	}
}

// TestPurgesKilledBetweenAnyTwoFileOperations kills the removal of days, live rows and archived ones.
func TestPurgesKilledBetweenAnyTwoFileOperations(t *testing.T) {
	t.Parallel()
	for seed := range uint64(killSeeds(t)) {
		g := &steps{r: rand.New(rand.NewPCG(seed, 13))}
		s := newStore(t)
		m := &model{fact: true, columns: []string{"a", "b"}, defaults: map[string]string{"b": "4"}, rows: map[string]modelRow{}, exists: true}
		if _, err := s.Create(t.Context(), killTable(true)); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			next := g.upsert(m, s.now.Unix())
			switch i {
			case 1, 4:
				next = g.job(m, 2, s.now.Unix())
			case 2, 5:
				to := s.now.Unix()/day - int64(1+g.r.IntN(4))
				next = step{"purge", func(s *testStore) error {
					_, err := s.Purge(s.t.Context(), "t", 0, to)
					return err
				}, func(m *model) {
					maps.DeleteFunc(m.rows, func(_ string, r modelRow) bool {
						var at int64
						_, _ = fmt.Sscan(r["ts"], &at)
						return at/day < to
					})
				}}
			}
			before, after := m.clone(), m.clone()
			next.do(after)
			killEach(t, s, next, before, after)
			if err := next.disk(s); err != nil {
				t.Fatalf("seed %d, change %d, %s: %v", seed, i, next.name, err)
			}
			m = after
			if got := s.rows("t", m.names()); !slices.Equal(got, m.text()) {
				diff(t, fmt.Sprintf("seed %d, change %d, %s", seed, i, next.name), got, m.text())
				return
			}
		}
	}
}
