package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"arus/app/model"
	"arus/connectors"
)

var errFault = errors.New("injected fault")

// faults makes the n-th call of a step fail once, or calls at random, or every
// call from one on, as after a kill.
type faults struct {
	mu     sync.Mutex
	after  map[string]int
	kind   connectors.ErrorKind // of the errors; "" = none of the known ones
	kill   string               // the step at whose n-th call the program dies
	killAt int
	dead   bool
	random func(step string) error // asked at every step
	calls  map[string]int
}

func (f *faults) hit(step string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[step]++
	if f.kill == step {
		if f.killAt--; f.killAt < 0 {
			f.kill, f.dead = "", true
		}
	}
	if f.dead {
		return errors.New(step + ": the program is dead")
	}
	if f.random != nil {
		if err := f.random(step); err != nil {
			return err
		}
	}
	n, ok := f.after[step]
	if !ok {
		return nil
	}
	if n > 0 {
		f.after[step] = n - 1
		return nil
	}
	delete(f.after, step)
	if f.kind != "" {
		return &connectors.Error{Kind: f.kind, Op: step, Err: errFault}
	}
	return fmt.Errorf("%s: %w", step, errFault)
}

func (f *faults) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

func (f *faults) count(step string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[step]
}

// row is a row of a fake table; stamp 0 is a null watermark.
type row struct {
	id    int64
	text  string
	stamp int64
}

var fakeColumns = []connectors.Column{
	{Name: "id", Type: connectors.Type{Kind: connectors.Int64}},
	{Name: "text", Type: connectors.Type{Kind: connectors.Text}, Nullable: true},
	{Name: "updated_at", Type: connectors.Type{Kind: connectors.TimestampTZ}, Nullable: true},
}

func fakeTable(name string, key ...string) connectors.Table {
	return connectors.Table{TableRef: connectors.TableRef{Name: name}, DefaultSchema: true, Columns: fakeColumns, PrimaryKey: key, RowEstimate: -1}
}

// fakeSource holds tables in memory.
type fakeSource struct {
	*faults
	tables []connectors.Table
	rows   map[string][]row
	limits connectors.Limits // of the last read

	mu     sync.Mutex
	ranges []string // that were read, as from-to
}

func (s *fakeSource) Tables(context.Context, connectors.TableFilter) ([]connectors.Table, error) {
	return s.tables, s.hit("tables")
}

func (s *fakeSource) Max(_ context.Context, t connectors.Table, _ string) (connectors.Bound, bool, error) {
	var top int64
	for _, r := range s.rows[t.Name] {
		top = max(top, r.stamp)
	}
	return connectors.Bound{Kind: connectors.TimestampTZ, Text: stampText(top)}, top > 0, s.hit("max")
}

func (s *fakeSource) Read(ctx context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	b := connectors.NewBatcher(req.Columns, connectors.Limits{Rows: 3}, emit)
	defer b.Release()
	s.mu.Lock()
	s.limits = req.Limits
	if req.Range != nil {
		s.ranges = append(s.ranges, fmt.Sprint(boundTexts(req.Range.From), "-", boundTexts(req.Range.To)))
	}
	s.mu.Unlock()
	rows := slices.Clone(s.rows[req.Table.Name])
	if len(req.OrderBy) > 0 {
		slices.SortFunc(rows, func(a, b row) int { return int(a.id - b.id) })
	}
	for _, r := range rows {
		if !inWindow(req.Window, r) || !inRange(req.Range, r) {
			continue
		}
		if err := errors.Join(s.hit("read "+req.Table.Name), s.hit("read"), ctx.Err()); err != nil {
			return err
		}
		b.Builders[0].(*array.Int64Builder).Append(r.id)
		b.Builders[1].(*array.StringBuilder).Append(r.text)
		if r.stamp == 0 {
			b.Builders[2].AppendNull()
		} else {
			b.Builders[2].(*array.TimestampBuilder).Append(arrow.Timestamp(r.stamp))
		}
		if err := b.EndRow(32); err != nil {
			return err
		}
	}
	return b.Flush()
}

func (s *fakeSource) Close() error { return nil }

// Chunks divides by the id.
func (s *fakeSource) Chunks(_ context.Context, t connectors.Table, key []string, n int64) ([]connectors.KeyRange, error) {
	if err := s.hit("chunks"); err != nil {
		return nil, err
	}
	rows := slices.Clone(s.rows[t.Name])
	slices.SortFunc(rows, func(a, b row) int { return int(a.id - b.id) })
	var ranges []connectors.KeyRange
	r := connectors.KeyRange{Columns: key}
	for at := n; at < int64(len(rows)); at += n {
		r.To = []connectors.Bound{{Kind: connectors.Int64, Text: fmt.Sprint(rows[at].id)}}
		ranges = append(ranges, r)
		r = connectors.KeyRange{Columns: key, From: r.To}
	}
	return append(ranges, r), nil
}

func inRange(k *connectors.KeyRange, r row) bool {
	if k == nil {
		return true
	}
	if v, ok := oneInt(k.From); ok && r.id < v {
		return false
	}
	v, ok := oneInt(k.To)
	return !ok || r.id < v
}

func inWindow(w *connectors.Window, r row) bool {
	if w == nil {
		return true
	}
	if r.stamp == 0 {
		return w.Nulls
	}
	for i, b := range []*connectors.Bound{w.Lower, w.Upper} {
		if b == nil {
			continue
		}
		v, ok := boundInt(*b)
		if !ok {
			panic("bound " + b.Text)
		}
		if i == 0 && r.stamp < v || i == 1 && r.stamp > v {
			return false
		}
	}
	return true
}

func stampText(us int64) string {
	return string(connectors.AppendTimestamp(nil, arrow.Timestamp(us), 'T')) + "Z"
}

// fakeDestination holds what was committed.
type fakeDestination struct {
	*faults
	mu     sync.Mutex
	tables map[string][]row
	loads  int
	locked map[string]bool
	parts  map[string]map[string][]row // unfinished loads by target and token, their parts by name
	tokens map[string]string           // of those, by target
	whole  bool                        // it knows no parts
	refuse func(row) bool              // rows that it does not take

	letters []string
}

func (d *fakeDestination) Table(_ context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.tables[ref.Name]
	return connectors.Table{TableRef: ref, Managed: true, Columns: fakeColumns}, ok, d.hit("table")
}

// restart is what a killed program leaves to the next: nothing is locked any more.
func (d *fakeDestination) restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.locked = map[string]bool{}
}

func (d *fakeDestination) Begin(_ context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	if err := d.hit("begin"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name := req.Target.Name
	if d.locked[name] {
		return nil, &connectors.Error{Kind: connectors.KindConflict, Op: "load", Object: name, Err: errors.New("another load holds it")}
	}
	if name != deadLetterTable { // tables share it, and wait for each other
		d.locked[name] = true
		if d.tokens[name] != req.Resume {
			delete(d.parts, d.tokens[name])
			d.tokens[name] = req.Resume
		}
	}
	d.loads++
	l := &fakeLoad{d: d, req: req}
	if req.Resume == "" || d.whole {
		return l, nil
	}
	if d.parts[req.Resume] == nil {
		d.parts[req.Resume] = map[string][]row{}
	}
	return &fakeParts{l}, nil
}

func (d *fakeDestination) Holds() connectors.Holds { return connectors.Holds{} }

func (d *fakeDestination) Close() error { return nil }

type fakeLoad struct {
	d      *fakeDestination
	req    connectors.LoadRequest
	rows   []row
	over   bool
	broken bool
	part   string

	letters []string
}

func (l *fakeLoad) Write(_ context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	if l.over || l.broken {
		panic("a load that is over was written to")
	}
	if l.req.Target.Name == deadLetterTable {
		for i := range int(batch.NumRows()) {
			l.letters = append(l.letters, batch.Column(4).(*array.String).Value(i)+" "+batch.Column(5).(*array.String).Value(i))
		}
		return l.d.hit("letters")
	}
	if err := errors.Join(l.d.hit("write "+l.req.Target.Name), l.d.hit("write")); err != nil {
		return err
	}
	var rows []row
	ids, texts, stamps := batch.Column(0).(*array.Int64), batch.Column(1).(*array.String), batch.Column(2).(*array.Timestamp)
	for i := range int(batch.NumRows()) {
		r := row{id: ids.Value(i), text: strings.Clone(texts.Value(i))}
		if !stamps.IsNull(i) {
			r.stamp = int64(stamps.Value(i))
		}
		if l.d.refuse != nil && l.d.refuse(r) {
			l.broken = !l.req.Careful
			return &connectors.Error{Kind: connectors.KindConstraint, Op: "load", Object: l.req.Target.Name, Err: fmt.Errorf("%s is refused", r.text)}
		}
		rows = append(rows, r)
	}
	l.rows = append(l.rows, rows...)
	return nil
}

func (l *fakeLoad) Commit(context.Context) (connectors.LoadResult, error) {
	step := "commit"
	if l.part != "" {
		step = "part commit"
	}
	l.end()
	if err := l.d.hit(step); err != nil {
		return connectors.LoadResult{}, err
	}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	name := l.req.Target.Name
	if l.part != "" {
		l.d.parts[l.req.Resume][l.part] = l.rows
		return connectors.LoadResult{Rows: int64(len(l.rows))}, l.d.hit("after part commit")
	}
	if name == deadLetterTable {
		for _, letter := range l.letters {
			if !slices.Contains(l.d.letters, letter) {
				l.d.letters = append(l.d.letters, letter)
			}
		}
		return connectors.LoadResult{Rows: int64(len(l.letters))}, nil
	}
	old := l.d.tables[name]
	switch l.req.Mode {
	case connectors.Replace:
		old = nil
		for _, rows := range l.d.parts[l.req.Resume] {
			l.rows = append(l.rows, rows...)
		}
		delete(l.d.parts, l.req.Resume)
	case connectors.Merge:
		old = slices.DeleteFunc(slices.Clone(old), func(r row) bool {
			return slices.ContainsFunc(l.rows, func(n row) bool { return n.id == r.id })
		})
	case connectors.ReplaceWindow:
		old = slices.DeleteFunc(slices.Clone(old), func(r row) bool { return inWindow(l.req.Window, r) })
	}
	l.d.tables[name] = append(old, l.rows...)
	return connectors.LoadResult{Rows: int64(len(l.rows))}, l.d.hit("after commit")
}

func (l *fakeLoad) Abort() error {
	l.end()
	if l.part == "" && l.req.Resume != "" && !l.d.isDead() {
		l.d.mu.Lock()
		defer l.d.mu.Unlock()
		delete(l.d.parts, l.req.Resume)
	}
	return nil
}

func (l *fakeLoad) end() {
	if l.over {
		panic("a load was ended twice")
	}
	l.over = true
	if l.part == "" {
		l.d.mu.Lock()
		defer l.d.mu.Unlock()
		delete(l.d.locked, l.req.Target.Name)
	}
}

// fakeParts is a load that is filled in parts.
type fakeParts struct{ *fakeLoad }

func (l *fakeParts) Part(_ context.Context, name string) (connectors.Load, bool, error) {
	if l.over {
		panic("a load that is over was given a part")
	}
	if err := l.d.hit("part"); err != nil {
		return nil, false, err
	}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if _, done := l.d.parts[l.req.Resume][name]; done {
		return nil, true, nil
	}
	return &fakeLoad{d: l.d, req: l.req, part: name}, false, nil
}

func (l *fakeParts) Suspend() error {
	l.end()
	return l.d.hit("suspend")
}

// fakeState keeps what the store would.
type fakeState struct {
	*faults
	fakeSchemas
	mu    sync.Mutex
	marks map[string]model.Watermark
	stats map[string]model.RunTableStat
	runs  []model.Run
	logs  []model.RunLog

	chunked map[string]model.ChunkedLoad
}

func (s *fakeState) ChunkedLoad(_ context.Context, _, table string) (model.ChunkedLoad, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.chunked[table]
	l.Chunks = slices.Clone(l.Chunks)
	return l, s.hit("chunked load")
}

func (s *fakeState) StartChunkedLoad(_ context.Context, l *model.ChunkedLoad) error {
	if err := s.hit("start chunks"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chunked == nil {
		s.chunked = map[string]model.ChunkedLoad{}
	}
	l.CreatedAt = time.Now()
	stored := *l
	stored.Chunks = slices.Clone(l.Chunks)
	s.chunked[l.SourceTable] = stored
	return nil
}

func (s *fakeState) CheckpointChunk(_ context.Context, token string, c model.Chunk) error {
	if err := s.hit("checkpoint chunk"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.chunked {
		if l.Token == token {
			l.Chunks[c.Position] = c
			return nil
		}
	}
	return errors.New("no such chunked load")
}

func (s *fakeState) EndChunkedLoad(_ context.Context, _, table string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.chunked, table)
	return nil
}

func (s *fakeState) Watermark(_ context.Context, _, table string) (model.Watermark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[table], s.hit("watermark")
}

func (s *fakeState) Checkpoint(_ context.Context, w *model.Watermark, stat *model.RunTableStat) error {
	if err := s.hit("checkpoint"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks[w.SourceTable] = *w
	delete(s.chunked, w.SourceTable)
	s.stats[stat.TableName] = *stat
	return nil
}

func (s *fakeState) Watermarks(_ context.Context, _ string, tables []string, boundary int) ([]model.Watermark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []model.Watermark
	for _, table := range tables {
		if w, ok := s.marks[table]; ok && len(w.Boundary) <= boundary {
			list = append(list, w)
		}
	}
	return list, s.hit("watermarks")
}

func (s *fakeState) CheckpointQuiet(_ context.Context, _ string, at time.Time, stats []model.RunTableStat) error {
	if err := s.hit("checkpoint quiet"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stat := range stats {
		if w, ok := s.marks[stat.TableName]; ok {
			w.RowCount, w.LastRunID, w.LastSyncedAt = 0, stat.RunID, at
			s.marks[stat.TableName] = w
		}
		delete(s.chunked, stat.TableName)
		s.stats[stat.TableName] = stat
	}
	return nil
}

func (s *fakeState) SaveTableStat(_ context.Context, stat *model.RunTableStat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats[stat.TableName] = *stat
	return s.hit("stat")
}

func (s *fakeState) StartRun(_ context.Context, r *model.Run) error {
	r.ID = fmt.Sprintf("00000000-0000-7000-8000-%012d", len(s.runs)+1)
	r.StartedAt = time.Unix(int64(1_800_000_000+len(s.runs)), 0).UTC()
	s.runs = append(s.runs, *r)
	return nil
}

func (s *fakeState) FinishRun(_ context.Context, r model.Run) error {
	if err := s.hit("finish"); err != nil {
		return err
	}
	s.runs[len(s.runs)-1] = r
	return nil
}

func (s *fakeState) StartTables(_ context.Context, starts []model.RunTableStat) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range starts {
		if _, ok := s.stats[t.TableName]; !ok {
			s.stats[t.TableName] = t
		}
	}
	return nil
}

func (s *fakeState) AppendRunLogs(_ context.Context, lines []model.RunLog) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, lines...)
	return nil
}

// bench is one source, one destination and the engine between them.
type bench struct {
	t      *testing.T
	source *fakeSource
	dest   *fakeDestination
	state  *fakeState
	engine *Engine
	job    Job
	faults *faults
	waits  []time.Duration // of retries; tests that read it have one table
	peeks  bool            // the source can look into many tables together
}

const us = int64(1_700_000_000_000_000)

func newBench(t *testing.T, tables ...connectors.Table) *bench {
	t.Helper()
	f := &faults{after: map[string]int{}}
	b := &bench{
		t: t, faults: f,
		source: &fakeSource{faults: f, tables: tables, rows: map[string][]row{}},
		dest:   &fakeDestination{faults: f, tables: map[string][]row{}, locked: map[string]bool{}, parts: map[string]map[string][]row{}, tokens: map[string]string{}},
		state:  &fakeState{faults: f, marks: map[string]model.Watermark{}, stats: map[string]model.RunTableStat{}},
	}
	b.engine = &Engine{
		State: b.state, Now: time.Now, Log: slog.New(slog.DiscardHandler), Random: func() float64 { return 0.5 },
		Wait: func(ctx context.Context, d time.Duration) error {
			b.faults.mu.Lock()
			defer b.faults.mu.Unlock()
			b.waits = append(b.waits, d)
			return ctx.Err()
		},
	}
	p := model.NewPipeline("p", "s", "d")
	for _, table := range tables {
		p.Tables = append(p.Tables, model.NewPipelineTable("", table.Name))
	}
	b.job = Job{
		Pipeline: p, Trigger: model.TriggerManual, SourceName: "src", SyncMethod: model.SyncAuto, Names: Names{TargetSchema: "analytics", RawSchema: "staging"},
		Open: func(context.Context) (connectors.Source, connectors.Destination, error) {
			if b.peeks {
				return peekingSource{b.source}, b.dest, f.hit("open")
			}
			return b.source, b.dest, f.hit("open")
		},
	}
	return b
}

func (b *bench) run() Report {
	b.t.Helper()
	r, err := b.engine.Run(b.t.Context(), b.job)
	if err != nil {
		b.t.Fatalf("Run: %v", err)
	}
	return r
}

func (b *bench) mustSucceed() Report {
	b.t.Helper()
	r := b.run()
	if r.Status != model.RunSuccess {
		b.t.Fatalf("run is %s: %s %+v", r.Status, r.Error, r.Tables)
	}
	return r
}

// equal fails unless the target holds exactly the source's rows.
func (b *bench) equal(table string) {
	b.t.Helper()
	sorted := func(rows []row) []row {
		rows = slices.Clone(rows)
		slices.SortFunc(rows, func(x, y row) int {
			if x.id != y.id {
				return int(x.id - y.id)
			}
			return strings.Compare(x.text, y.text)
		})
		return rows
	}
	if diff := cmp.Diff(sorted(b.source.rows[table]), sorted(b.dest.tables[table]), cmp.AllowUnexported(row{})); diff != "" {
		b.t.Errorf("target of %s (-source +target)\n%s", table, diff)
	}
}

func rowsFrom(n int, stamp func(i int) int64) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{id: int64(i + 1), text: fmt.Sprint("v", i+1), stamp: stamp(i)}
	}
	return rows
}

func counts(r Report) [4]int64 {
	return [4]int64{r.RowsRead, r.RowsLoaded, r.RowsFiltered, r.DeadLetters}
}
