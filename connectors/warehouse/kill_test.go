package warehouse

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arus/connectors"
	"arus/connectors/warehouse/schema"
)

// errKilled is what the file system says from the kill on.
var errKilled = errors.New("the process is killed")

// mortal is a file system that stops before one operation and stays dead: what is on disk then is what a kill leaves.
type mortal struct {
	disk
	left int // operations before the kill; below 0 = none comes
	seen int
}

func (m *mortal) step() error {
	m.seen++
	if m.left < 0 {
		return nil
	}
	if m.left == 0 {
		return errKilled
	}
	m.left--
	return nil
}

type mortalFile struct {
	file
	m *mortal
}

func (f mortalFile) Write(p []byte) (int, error) {
	if f.m.left == 0 {
		return 0, errKilled
	}
	return f.file.Write(p)
}

func (f mortalFile) Sync() error { return errors.Join(f.m.step(), f.file.Sync()) }

func (m *mortal) Create(path string) (file, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	f, err := m.disk.Create(path)
	return mortalFile{f, m}, err
}

func (m *mortal) MkdirAll(path string) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.disk.MkdirAll(path)
}

func (m *mortal) Rename(from, to string) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.disk.Rename(from, to)
}

func (m *mortal) Remove(path string) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.disk.Remove(path)
}

func (m *mortal) RemoveAll(path string) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.disk.RemoveAll(path)
}

func (m *mortal) SyncDir(path string) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.disk.SyncDir(path)
}

func (m *mortal) Point(string) error { return m.step() }

var _ files = (*mortal)(nil)

// modelRow is a row of the model: its values by column name; a name that is absent is null.
type modelRow map[string]string

// model is what a table is to hold.
type model struct {
	fact     bool
	columns  []string // live ones besides the time and the key
	defaults map[string]string
	rows     map[string]modelRow // by key
	exists   bool
}

func (m *model) clone() *model {
	c := *m
	c.columns, c.defaults, c.rows = slices.Clone(m.columns), maps.Clone(m.defaults), map[string]modelRow{}
	for k, r := range m.rows {
		c.rows[k] = maps.Clone(r)
	}
	return &c
}

// text is the model's rows as testStore.rows gives them.
func (m *model) text() []string {
	out := []string{}
	for k, r := range m.rows {
		row := []string{k}
		if m.fact {
			row = append(row, r["ts"])
		}
		for _, c := range m.columns {
			if v, ok := r[c]; ok {
				row = append(row, v)
			} else {
				row = append(row, "-")
			}
		}
		out = append(out, strings.Join(row, " "))
	}
	slices.Sort(out)
	return out
}

func (m *model) names() string {
	if m.fact {
		return strings.Join(append([]string{"id", "ts"}, m.columns...), " ")
	}
	return strings.Join(append([]string{"id"}, m.columns...), " ")
}

// step is one change of a table, on disk and in the model.
type step struct {
	name string
	disk func(s *testStore) error
	do   func(m *model)
}

// steps makes the changes of a test, by chance.
type steps struct {
	r    *rand.Rand
	next int // number of the next column
}

func (g *steps) upsert(m *model, now int64) step {
	n := 1 + g.r.IntN(40)
	var columns []string
	if m.fact {
		columns = append(columns, "ts")
	}
	columns = append(columns, "id")
	for _, c := range m.columns {
		if g.r.IntN(3) > 0 {
			columns = append(columns, c)
		}
	}
	var rows [][]*string
	for range n {
		key := fmt.Sprint(g.r.IntN(60))
		var row []*string
		for _, c := range columns {
			v := fmt.Sprint(g.r.IntN(5))
			switch c {
			case "id":
				v = key
			case "ts":
				v = fmt.Sprint(now - int64(g.r.IntN(6*day)))
				if have, ok := m.rows[key]; ok && g.r.IntN(4) > 0 {
					v = have["ts"]
				}
			default:
				if g.r.IntN(6) == 0 {
					row = append(row, nil)
					continue
				}
			}
			row = append(row, &v)
		}
		rows = append(rows, row)
	}
	return step{"upsert", func(s *testStore) error {
		_, err := s.UpsertText(s.t.Context(), "t", columns, rows)
		return err
	}, func(m *model) {
		for _, row := range rows {
			m.upsert(columns, row)
		}
	}}
}

func (m *model) upsert(columns []string, row []*string) {
	given := map[string]string{}
	for i, c := range columns {
		if row[i] != nil {
			given[c] = *row[i]
		}
	}
	key := given["id"]
	have, ok := m.rows[key]
	if !ok {
		have = modelRow{}
		for _, c := range m.columns {
			if d, ok := m.defaults[c]; ok {
				have[c] = d
			}
		}
	} else if m.fact && have["ts"] != given["ts"] {
		return
	}
	for c, v := range given {
		if c != "id" {
			have[c] = v
		}
	}
	m.rows[key] = have
}

func (g *steps) edit(m *model) step {
	if len(m.columns) > 1 && g.r.IntN(2) == 0 {
		gone := m.columns[g.r.IntN(len(m.columns))]
		return step{"delete " + gone, func(s *testStore) error {
			_, err := s.Change(s.t.Context(), "t", drop(gone))
			return err
		}, func(m *model) {
			m.columns = slices.DeleteFunc(m.columns, func(c string) bool { return c == gone })
			delete(m.defaults, gone)
			for _, r := range m.rows {
				delete(r, gone)
			}
		}}
	}
	g.next++
	name, typ := fmt.Sprintf("c%d", g.next), []string{"Int64", "BigEnum", "String", "Uint8"}[g.r.IntN(4)]
	var def *string
	if g.r.IntN(2) == 0 {
		def = new(fmt.Sprint(g.r.IntN(5)))
	}
	return step{"add " + name, func(s *testStore) error {
		_, err := s.Change(s.t.Context(), "t", add(name, typ, def))
		return err
	}, func(m *model) {
		m.columns = append(m.columns, name)
		if def == nil {
			return
		}
		m.defaults[name] = *def
		for _, r := range m.rows {
			r[name] = *def
		}
	}}
}

// job is a change that the model does not see.
func (g *steps) job(m *model, kind int, now int64) step {
	same := func(*model) {}
	ignore := func(err error) error { // of jobs that have nothing to do
		if schemaClass(err) != 0 {
			return nil
		}
		return err
	}
	switch {
	case kind == 0:
		return step{"compact", func(s *testStore) error { _, err := s.Compact(s.t.Context(), "t"); return err }, same}
	case !m.fact:
		return step{"snapshot", func(s *testStore) error { _, err := s.Snapshot(s.t.Context(), "t"); return err }, same}
	case kind == 1:
		return step{"backfill", func(s *testStore) error { _, err := s.Backfill(s.t.Context(), "t"); return err }, same}
	}
	cutoff := now - int64(g.r.IntN(5*day))
	return step{"archive", func(s *testStore) error {
		_, err := s.Archive(s.t.Context(), "t", cutoff)
		return ignore(err)
	}, same}
}

// load replaces or merges by the seam of pipelines, into a dimension table.
func (g *steps) load(m *model) step {
	mode := []connectors.LoadMode{connectors.Replace, connectors.Merge}[g.r.IntN(2)]
	columns := []connectors.Column{col("id", connectors.Int64)}
	for _, c := range m.columns {
		columns = append(columns, col(c, connectors.Text))
	}
	var rows [][]any
	for _, key := range g.r.Perm(60)[:20+g.r.IntN(30)] {
		row := []any{fmt.Sprint(key)}
		for range m.columns {
			row = append(row, fmt.Sprint(g.r.IntN(5)))
		}
		rows = append(rows, row)
	}
	return step{mode.String(), func(s *testStore) error {
		req := connectors.LoadRequest{Target: connectors.TableRef{Name: "t"}, Columns: columns, Key: []string{"id"}, Mode: mode, RunID: runA, SyncedAt: syncedAt}
		l, err := (&Destination{s.storage}).Begin(s.t.Context(), req)
		if err != nil {
			return err
		}
		if err := l.Write(s.t.Context(), batchOf(s.t, columns, rows)); err != nil {
			return errors.Join(err, l.Abort())
		}
		_, err = l.Commit(s.t.Context())
		return err
	}, func(m *model) {
		if mode == connectors.Replace {
			m.rows = map[string]modelRow{}
		}
		for _, row := range rows {
			r := modelRow{}
			for i, c := range m.columns {
				r[c] = row[i+1].(string)
			}
			m.rows[row[0].(string)] = r
		}
	}}
}

// killSeconds is how long the test goes on by default.
const killSeconds = 4

// TestKilledBetweenAnyTwoFileOperations makes random changes of a table, each killed before every one of its file operations
// in a copy of the directory: what is read afterwards is the model's state before or after the change, the next writer goes
// on, and what was left over is gone.
func TestKilledBetweenAnyTwoFileOperations(t *testing.T) {
	t.Parallel()
	seconds := killSeconds
	if v := os.Getenv("ARUS_TEST_SOAK_SECONDS"); v != "" {
		if _, err := fmt.Sscan(v, &seconds); err != nil {
			t.Fatal(err)
		}
	}
	for _, fact := range []bool{true, false} {
		t.Run(fmt.Sprint("fact=", fact), func(t *testing.T) {
			t.Parallel()
			end := time.Now().Add(time.Duration(seconds) * time.Second)
			for seed := uint64(1); seed == 1 || time.Now().Before(end); seed++ {
				killSome(t, fact, seed, end)
			}
		})
	}
}

// killSeeds is how many times the tests of loads go through.
func killSeeds(t *testing.T) int {
	if v := os.Getenv("ARUS_TEST_SOAK_SECONDS"); v != "" {
		n := 0
		if _, err := fmt.Sscan(v, &n); err != nil {
			t.Fatal(err)
		}
		return 1 + n/5
	}
	return 1
}

func killTable(fact bool) *schema.Table {
	table := &schema.Table{Name: "t", IsFactTable: fact, Config: schema.DefaultConfig(), PrimaryKeyColumns: []int{0}}
	if fact {
		table.PrimaryKeyColumns = []int{1}
		table.Columns = append(table.Columns, schema.Column{Name: "ts", Type: "Uint32"})
		table.ArchivingSortColumns = []int{2}
	}
	table.Columns = append(table.Columns, schema.Column{Name: "id", Type: "Int64"}, schema.Column{Name: "a", Type: "Uint8"}, schema.Column{Name: "b", Type: "SmallEnum", DefaultValue: new("4")})
	return table
}

func killSome(t *testing.T, fact bool, seed uint64, end time.Time) {
	g := &steps{r: rand.New(rand.NewPCG(seed, 7))}
	s := newStore(t)
	m := &model{fact: fact, columns: []string{"a", "b"}, defaults: map[string]string{"b": "4"}, rows: map[string]modelRow{}}
	table := killTable(fact)
	create := step{"create", func(s *testStore) error {
		_, err := s.Create(s.t.Context(), table)
		return err
	}, func(m *model) { m.exists = true }}
	// Every kind of change once: rows, of which some are archived, then changed, a column less, all of it folded.
	kinds := []string{"create", "upsert", "archive", "upsert", "edit", "backfill", "upsert", "compact", "load", "archive"}
	for i := 0; i < 30 && (i < len(kinds) || time.Now().Before(end)); i++ {
		kind := []string{"upsert", "upsert", "edit", "archive", "backfill", "compact", "load"}[g.r.IntN(7)]
		if i < len(kinds) {
			kind = kinds[i]
		}
		next := create
		switch {
		case kind == "create":
		case kind == "edit":
			next = g.edit(m)
		case kind == "archive":
			next = g.job(m, 2, s.now.Unix())
		case kind == "backfill":
			next = g.job(m, 1, s.now.Unix())
		case kind == "compact":
			next = g.job(m, 0, s.now.Unix())
		case kind == "load" && !fact:
			next = g.load(m)
		default:
			next = g.upsert(m, s.now.Unix())
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

// killEach kills the change before each of its operations.
func killEach(t *testing.T, s *testStore, next step, before, after *model) {
	t.Helper()
	for at := 0; ; at++ {
		dir := copyDir(t, s.dir)
		m := &mortal{left: at}
		victim := &testStore{t: t, now: s.now, Store: &Store{newStorage(dir)}}
		victim.fs, victim.storage.now = m, func() time.Time { return victim.now }
		err := next.disk(victim)
		survivor := &testStore{t: t, now: s.now}
		var oerr error
		survivor.Store, oerr = OpenStore(dir, func() time.Time { return survivor.now })
		if oerr != nil {
			t.Fatal(oerr)
		}
		names, terr := survivor.Tables()
		if terr != nil {
			t.Fatal(terr)
		}
		if !slices.Contains(names, "t") {
			if before.exists {
				t.Fatalf("%s, killed before operation %d: the table is gone", next.name, at)
			}
		} else {
			was := schemaIs(survivor, before)
			is := schemaIs(survivor, after)
			okBefore := before.exists && was && slices.Equal(survivor.rows("t", before.names()), before.text())
			okAfter := is && slices.Equal(survivor.rows("t", after.names()), after.text())
			if !okBefore && !okAfter {
				t.Fatalf("%s, killed before operation %d: between before and after", next.name, at)
			}
			if err == nil && !okAfter {
				t.Fatalf("%s, killed before operation %d, said it was done and is not", next.name, at)
			}
			if _, err := survivor.Compact(t.Context(), "t"); err != nil {
				t.Fatalf("%s, killed before operation %d: the next writer: %v", next.name, at, err)
			}
			if left := leftovers(t, survivor); len(left) > 0 {
				t.Fatalf("%s, killed before operation %d: left over %v", next.name, at, left)
			}
		}
		if m.left > 0 {
			return // it ended before the kill
		}
	}
}

// schemaIs says whether the table has the model's columns.
func schemaIs(s *testStore, m *model) bool {
	table, _, err := s.Schema(s.t.Context(), "t")
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, c := range table.Columns {
		if !c.Deleted && !strings.HasPrefix(c.Name, "_arus") {
			n++
		}
	}
	for _, c := range m.columns {
		if table.ColumnID(c) < 0 {
			return false
		}
	}
	return n == len(strings.Fields(m.names()))
}

// leftovers are files that no manifest names.
func leftovers(t *testing.T, s *testStore) []string {
	t.Helper()
	v, err := s.View(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	keep := v.keep()
	var left []string
	root := filepath.Join(s.dir, "t")
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, _ error) error {
		rel, _ := filepath.Rel(root, p)
		if strings.HasPrefix(filepath.ToSlash(rel), partsDir+"/") || strings.HasPrefix(filepath.ToSlash(rel), snapshotDir+"/p") {
			return nil // of a load in parts, which goes on
		}
		if d.IsDir() || keep[filepath.ToSlash(rel)] || strings.HasPrefix(rel, liveFile) && !strings.HasSuffix(rel, tmpSuffix) || rel == schemaFile || rel == lockName {
			return nil
		}
		left = append(left, rel)
		return nil
	})
	return left
}
