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

// faults makes the n-th call of a step fail once.
type faults struct {
	mu    sync.Mutex
	after map[string]int
}

func (f *faults) hit(step string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.after[step]
	if !ok {
		return nil
	}
	if n > 0 {
		f.after[step] = n - 1
		return nil
	}
	delete(f.after, step)
	return fmt.Errorf("%s: %w", step, errFault)
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
	rows := slices.Clone(s.rows[req.Table.Name])
	if len(req.OrderBy) > 0 {
		slices.SortFunc(rows, func(a, b row) int { return int(a.id - b.id) })
	}
	for _, r := range rows {
		if !inWindow(req.Window, r) {
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

	letters []string
}

func (d *fakeDestination) Table(_ context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.tables[ref.Name]
	return connectors.Table{TableRef: ref, Managed: true, Columns: fakeColumns}, ok, d.hit("table")
}

func (d *fakeDestination) Begin(_ context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	if err := d.hit("begin"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loads++
	return &fakeLoad{d: d, req: req}, nil
}

func (d *fakeDestination) Close() error { return nil }

type fakeLoad struct {
	d    *fakeDestination
	req  connectors.LoadRequest
	rows []row
	over bool

	letters []string
}

func (l *fakeLoad) Write(_ context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	if l.req.Target.Name == deadLetterTable {
		for i := range int(batch.NumRows()) {
			l.letters = append(l.letters, batch.Column(4).(*array.String).Value(i)+" "+batch.Column(5).(*array.String).Value(i))
		}
		return l.d.hit("letters")
	}
	if err := errors.Join(l.d.hit("write "+l.req.Target.Name), l.d.hit("write")); err != nil {
		return err
	}
	ids, texts, stamps := batch.Column(0).(*array.Int64), batch.Column(1).(*array.String), batch.Column(2).(*array.Timestamp)
	for i := range int(batch.NumRows()) {
		r := row{id: ids.Value(i), text: strings.Clone(texts.Value(i))}
		if !stamps.IsNull(i) {
			r.stamp = int64(stamps.Value(i))
		}
		l.rows = append(l.rows, r)
	}
	return nil
}

func (l *fakeLoad) Commit(context.Context) (connectors.LoadResult, error) {
	if err := l.d.hit("commit"); err != nil {
		return connectors.LoadResult{}, err
	}
	l.end()
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	name := l.req.Target.Name
	if name == deadLetterTable {
		l.d.letters = append(l.d.letters, l.letters...)
		return connectors.LoadResult{Rows: int64(len(l.letters))}, nil
	}
	old := l.d.tables[name]
	switch l.req.Mode {
	case connectors.Replace:
		old = nil
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
	return nil
}

func (l *fakeLoad) end() {
	if l.over {
		panic("a load was ended twice")
	}
	l.over = true
}

// fakeState keeps what the store would.
type fakeState struct {
	*faults
	mu    sync.Mutex
	marks map[string]model.Watermark
	stats map[string]model.RunTableStat
	runs  []model.Run
	logs  []model.RunLog
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
	s.stats[stat.TableName] = *stat
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
	s.runs[len(s.runs)-1] = r
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
}

const us = int64(1_700_000_000_000_000)

func newBench(t *testing.T, tables ...connectors.Table) *bench {
	t.Helper()
	f := &faults{after: map[string]int{}}
	b := &bench{
		t: t, faults: f,
		source: &fakeSource{faults: f, tables: tables, rows: map[string][]row{}},
		dest:   &fakeDestination{faults: f, tables: map[string][]row{}},
		state:  &fakeState{faults: f, marks: map[string]model.Watermark{}, stats: map[string]model.RunTableStat{}},
	}
	b.engine = &Engine{State: b.state, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	p := model.NewPipeline("p", "s", "d")
	for _, table := range tables {
		p.Tables = append(p.Tables, model.NewPipelineTable("", table.Name))
	}
	b.job = Job{
		Pipeline: p, Trigger: model.TriggerManual, SourceName: "src", SyncMethod: model.SyncAuto, Names: Names{TargetSchema: "analytics", RawSchema: "staging"},
		Open: func(context.Context) (connectors.Source, connectors.Destination, error) {
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
