package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"arus/app/model"
	"arus/connectors"
)

// record is a row of a memory table: canonical text by column, absent = null.
type record map[string]string

// memoryTable is a table of any columns.
type memoryTable struct {
	connectors.Table
	rows []record
	raw  []rawRow
}

// rawRow is a row of raw mode.
type rawRow struct {
	run  string
	at   time.Time
	data string
}

// database is a database that is both source and destination.
type database struct {
	mu     sync.Mutex
	tables map[string]*memoryTable
	reads  []connectors.ReadRequest
	alters int
	frozen bool // it cannot alter tables
	holds  connectors.Holds
	fail   func(connectors.LoadRequest) error
	spoil  func(record)           // changes what is loaded
	tells  func(rows int64) int64 // what a merge says of so many rows; nil: nothing
	counts int                    // how often rows were counted

	rebuilt connectors.RebuildRequest
	pruned  time.Time
}

func (m *database) Holds() connectors.Holds { return m.holds }

func newMemory() *database { return &database{tables: map[string]*memoryTable{}} }

func col(name string, kind connectors.Kind) connectors.Column {
	return connectors.Column{Name: name, Type: connectors.Type{Kind: kind}, Nullable: true}
}

// add makes a table of a source.
func (m *database) add(name string, key []string, columns ...connectors.Column) *memoryTable {
	t := &memoryTable{Table: connectors.Table{TableRef: connectors.TableRef{Name: name}, DefaultSchema: true, Columns: columns, PrimaryKey: key, RowEstimate: -1}}
	m.tables[name] = t
	return t
}

func (m *database) Tables(_ context.Context, f connectors.TableFilter) ([]connectors.Table, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []connectors.Table
	for _, t := range m.tables {
		if len(f.Names) == 0 || slices.Contains(f.Names, t.Name) {
			found := t.Table
			if t.Managed {
				found.Columns = append(slices.Clone(found.Columns), connectors.Column{Name: connectors.MetaRunID, Type: connectors.Type{Kind: connectors.UUID}},
					connectors.Column{Name: connectors.MetaSyncedAt, Type: connectors.Type{Kind: connectors.TimestampTZ, Precision: 6}})
			}
			list = append(list, found)
		}
	}
	return list, nil
}

func (m *database) Max(_ context.Context, t connectors.Table, column string) (connectors.Bound, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	top := ""
	for _, r := range m.tables[t.Name].rows {
		top = max(top, r[column])
	}
	c, _ := t.Column(column)
	return connectors.Bound{Kind: c.Type.Kind, Text: top}, top != "", nil
}

// inside says whether a row lies in a window; texts of one width order as their values do.
func inside(w *connectors.Window, r record) bool {
	if w == nil {
		return true
	}
	if _, ok := r[w.Column]; !ok && w.Nulls {
		return true
	}
	for _, one := range w.Apart() {
		v, ok := r[one.Column]
		if ok && (one.Lower == nil || v >= one.Lower.Text) && (one.Upper == nil || v <= one.Upper.Text) {
			return true
		}
	}
	return false
}

func (m *database) Read(_ context.Context, req connectors.ReadRequest, emit func(arrow.RecordBatch) error) error {
	m.mu.Lock()
	rows := slices.Clone(m.tables[req.Table.Name].rows)
	m.reads = append(m.reads, req)
	m.mu.Unlock()
	if len(req.OrderBy) > 0 {
		slices.SortStableFunc(rows, func(a, b record) int {
			for _, k := range req.OrderBy {
				if c := strings.Compare(fmt.Sprintf("%20s", a[k]), fmt.Sprintf("%20s", b[k])); c != 0 {
					return c
				}
			}
			return 0
		})
	}
	b := connectors.NewBatcher(req.Columns, connectors.Limits{Rows: 3}, emit)
	defer b.Release()
	for _, r := range rows {
		if !inside(req.Window, r) {
			continue
		}
		for i, c := range req.Columns {
			if text, ok := r[c.Name]; !ok {
				b.Builders[i].AppendNull()
			} else if err := connectors.AppendParsed(b.Builders[i], c.Type, text); err != nil {
				return fmt.Errorf("read %s.%s: %q: %w", req.Table.Name, c.Name, text, err)
			}
		}
		if err := b.EndRow(32); err != nil {
			return err
		}
	}
	return b.Flush()
}

func (m *database) Close() error { return nil }

func (m *database) Table(_ context.Context, ref connectors.TableRef) (connectors.Table, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tables[ref.Name]
	if !ok {
		return connectors.Table{}, false, nil
	}
	return t.Table, true, nil
}

func (m *database) Begin(_ context.Context, req connectors.LoadRequest) (connectors.Load, error) {
	if m.fail != nil {
		if err := m.fail(req); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.tables[req.Target.Name]; ok && req.Mode != connectors.Replace {
		for _, c := range req.Columns {
			have, ok := t.Column(c.Name)
			if !ok {
				return nil, &connectors.Error{Kind: connectors.KindNotFound, Op: "load", Err: errors.New("the target has no column " + c.Name)}
			}
			if joined, ok := connectors.Widen(have.Type, c.Type); !ok || !joined.Equal(have.Type) {
				return nil, &connectors.Error{Kind: connectors.KindType, Op: "load", Err: fmt.Errorf("column %s is %s and does not hold %s", c.Name, have.Type, c.Type)}
			}
		}
	}
	return &memoryLoad{m: m, req: req}, nil
}

type memoryLoad struct {
	m    *database
	req  connectors.LoadRequest
	rows []record
	raw  []rawRow
}

func (l *memoryLoad) Write(_ context.Context, batch arrow.RecordBatch) error {
	defer batch.Release()
	for i := range int(batch.NumRows()) {
		r := record{connectors.MetaRunID: l.req.RunID, connectors.MetaSyncedAt: stampText(l.req.SyncedAt.UnixMicro())}
		for c, column := range l.req.Columns {
			arr := batch.Column(c)
			if !arr.IsNull(i) {
				r[column.Name] = string(connectors.AppendValue(nil, arr, column.Type, i))
			} else if !column.Nullable || slices.Contains(l.req.Key, column.Name) {
				return &connectors.Error{Kind: connectors.KindConstraint, Op: "load", Err: errors.New("NULL in column " + column.Name)}
			}
		}
		if l.m.spoil != nil {
			l.m.spoil(r)
		}
		l.rows = append(l.rows, r)
		if l.req.Raw != nil && l.req.Mode != connectors.Retain && l.req.Mode != connectors.Remove {
			l.raw = append(l.raw, rawRow{l.req.RunID, l.req.SyncedAt, string(connectors.AppendRowJSON(nil, batch, l.req.Columns, i))})
		}
	}
	return nil
}

func (l *memoryLoad) KeepRaw(rows [][]byte) {
	for _, row := range rows {
		l.raw = append(l.raw, rawRow{l.req.RunID, l.req.SyncedAt, string(row)})
	}
}

func keyOf(key []string, r record) string {
	var parts []string
	for _, k := range key {
		parts = append(parts, r[k])
	}
	return strings.Join(parts, "\x00")
}

func (l *memoryLoad) Commit(context.Context) (connectors.LoadResult, error) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	req := l.req
	t, ok := l.m.tables[req.Target.Name]
	if !ok {
		if req.Mode == connectors.Remove {
			return connectors.LoadResult{}, nil
		}
		t = &memoryTable{Table: connectors.Table{TableRef: req.Target, Managed: true, RowEstimate: -1}}
		l.m.tables[req.Target.Name] = t
	}
	arrived := map[string]bool{}
	for _, r := range l.rows {
		arrived[keyOf(req.Key, r)] = true
	}
	old := slices.Clone(t.rows)
	if !ok || req.Mode == connectors.Replace {
		t.Columns, t.PrimaryKey = req.Columns, req.Key
	}
	var gone []record
	switch req.Mode {
	case connectors.Replace:
		old = nil
	case connectors.Merge:
		kept := map[string]record{}
		for _, r := range old {
			kept[keyOf(req.Key, r)] = r
		}
		for i, r := range l.rows { // columns that the load has not keep their values
			if before, ok := kept[keyOf(req.Key, r)]; ok {
				merged := maps.Clone(before)
				for _, c := range req.Columns {
					delete(merged, c.Name)
				}
				maps.Copy(merged, r)
				l.rows[i] = merged
			}
		}
		old = slices.DeleteFunc(old, func(r record) bool { return arrived[keyOf(req.Key, r)] })
	case connectors.ReplaceWindow:
		old = slices.DeleteFunc(old, func(r record) bool { return inside(req.Window, r) })
	case connectors.Retain, connectors.Remove:
		for _, r := range old {
			if arrived[keyOf(req.Key, r)] == (req.Mode == connectors.Remove) && r[connectors.MetaDeletedAt] == "" {
				gone = append(gone, r)
			}
		}
		if share := req.Retain.MaxShare; share > 0 && float64(len(gone)) > share*float64(len(old)) {
			return connectors.LoadResult{}, &connectors.Error{Kind: connectors.KindConflict, Op: "delete", Err: fmt.Errorf("%d of %d rows are gone", len(gone), len(old))}
		}
		for _, r := range gone {
			if req.Retain.Mark {
				r[connectors.MetaDeletedAt] = stampText(req.SyncedAt.UnixMicro())
			} else {
				old = slices.DeleteFunc(old, func(o record) bool { return keyOf(req.Key, o) == keyOf(req.Key, r) })
			}
		}
		t.rows = old
		return connectors.LoadResult{Deleted: int64(len(gone))}, nil
	}
	t.rows = append(old, l.rows...)
	t.raw = append(t.raw, l.raw...)
	result := connectors.LoadResult{Rows: int64(len(l.rows)), RawRows: int64(len(l.raw))}
	if req.Mode == connectors.Merge && l.m.tells != nil {
		result.Upserted = l.m.tells(result.Rows)
	}
	return result, nil
}

func (l *memoryLoad) Abort() error { return nil }

// Alter adds and widens columns.
func (m *database) Alter(_ context.Context, ref connectors.TableRef, add, widen []connectors.Column) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alters++
	t := m.tables[ref.Name]
	t.Columns = append(slices.Clone(t.Columns), add...)
	for _, w := range widen {
		t.Columns[findColumn(t.Columns, w.Name)] = w
	}
	return nil
}

func (m *database) Count(_ context.Context, req connectors.CountRequest) (connectors.Counts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts++
	counts := connectors.Counts{Nulls: make([]int64, len(req.Nulls))}
	for _, r := range m.tables[req.Target.Name].rows {
		if req.RunID != "" && r[connectors.MetaRunID] != req.RunID {
			continue
		}
		counts.Rows++
		for i, name := range req.Nulls {
			if _, ok := r[name]; !ok {
				counts.Nulls[i]++
			}
		}
	}
	return counts, nil
}

// Rebuild makes the target of its raw rows, the newest of each key.
func (m *database) Rebuild(_ context.Context, req connectors.RebuildRequest) (connectors.LoadResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rebuilt = req
	t := m.tables[req.Target.Name]
	byKey := map[string]int{}
	var rows []record
	for _, raw := range t.raw {
		if req.Fitting && connectors.IsDead([]byte(raw.data)) {
			continue
		}
		var fields map[string]any
		d := json.NewDecoder(strings.NewReader(raw.data))
		d.UseNumber()
		if err := d.Decode(&fields); err != nil {
			return connectors.LoadResult{}, err
		}
		r := record{}
		for _, c := range req.Columns {
			if v := fields[c.Name]; v != nil {
				r[c.Name] = fmt.Sprint(v)
				b := array.NewBuilder(memory.DefaultAllocator, c.Type.Arrow())
				err := connectors.AppendParsed(b, c.Type, r[c.Name])
				b.Release()
				if err != nil {
					return connectors.LoadResult{}, &connectors.Error{Kind: connectors.KindType, Op: "rebuild", Object: c.Name, Err: err}
				}
			}
		}
		if at, ok := byKey[keyOf(req.Key, r)]; ok {
			rows[at] = r
			continue
		}
		byKey[keyOf(req.Key, r)] = len(rows)
		rows = append(rows, r)
	}
	t.Columns, t.rows = req.Columns, rows
	return connectors.LoadResult{Rows: int64(len(t.rows))}, nil
}

func (m *database) PruneRaw(_ context.Context, _ connectors.RebuildRequest, t time.Time) (int64, error) {
	m.pruned = t
	return 0, nil
}

// at is a moment of the runs: they start one second apart.
func (t *memoryTable) at(seconds int64) time.Time { return time.Unix(1_800_000_000+seconds, 0).UTC() }

// memoryBench is a pipeline between two memories.
type memoryBench struct {
	*bench
	from, to *database
	now      time.Time
}

func newMemoryBench(t *testing.T, tables ...*memoryTable) *memoryBench {
	t.Helper()
	b := &memoryBench{bench: newBench(t), from: newMemory(), to: newMemory(), now: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}
	for _, table := range tables {
		b.from.tables[table.Name] = table
		b.job.Pipeline.Tables = append(b.job.Pipeline.Tables, model.NewPipelineTable("", table.Name))
	}
	b.job.Pipeline.Options.Drift = model.DriftEvolve
	b.job.Open = func(context.Context) (connectors.Source, connectors.Destination, error) {
		if b.to.frozen {
			return b.from, struct{ connectors.Destination }{b.to}, nil
		}
		return b.from, b.to, nil
	}
	b.job.Readback = func(context.Context) (connectors.Source, error) { return b.to, nil }
	b.engine.Now = func() time.Time { return b.now }
	b.engine.Log = slog.New(slog.DiscardHandler)
	return b
}

// orders is a table of three orders.
func orders(more ...connectors.Column) *memoryTable {
	id := col("id", connectors.Int32)
	id.Nullable = false
	t := newMemory().add("orders", []string{"id"}, append([]connectors.Column{id, col("n", connectors.Int32), col("updated_at", connectors.TimestampTZ)}, more...)...)
	for i := range 3 {
		t.rows = append(t.rows, record{"id": fmt.Sprint(i + 1), "n": fmt.Sprint(i * 10), "updated_at": fmt.Sprintf("2026-04-01T00:00:0%dZ", i)})
	}
	return t
}

// touch moves the watermark of a row, so that the next run reads it.
func (t *memoryTable) touch(i, second int, set record) {
	maps.Copy(t.rows[i], set)
	t.rows[i]["updated_at"] = fmt.Sprintf("2026-04-02T00:00:%02dZ", second)
}

// targetIs compares the target's rows, less the metadata, with rows written as "column=value ...".
func (b *memoryBench) targetIs(name string, want ...string) {
	b.t.Helper()
	var got []string
	for _, r := range b.to.tables[name].rows {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(r)) {
			if k != connectors.MetaRunID && k != connectors.MetaSyncedAt && k != "updated_at" {
				parts = append(parts, k+"="+r[k])
			}
		}
		got = append(got, strings.Join(parts, " "))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("target %s (-want +got)\n%s", name, diff)
	}
}

// openChanges lists the changes by kind and status, those that a run followed as done.
func (b *memoryBench) changesAre(want ...string) {
	b.t.Helper()
	var got []string
	for _, c := range b.state.changes {
		text := fmt.Sprintf("%s %s %s", c.Kind, c.Column, c.Status)
		if c.DoneRunID != "" {
			text += " done"
		}
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("changes (-want +got)\n%s", diff)
	}
}

// hasWarning wants a warning that holds every word.
func hasWarning(t *testing.T, r Report, words ...string) {
	t.Helper()
	for _, w := range r.Warnings {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(w, word) }) {
			return
		}
	}
	t.Errorf("no warning says %q: %q", words, r.Warnings)
}
