package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"arus/app/model"
	"arus/connectors"
)

// Letters select dead letters. Empty fields select all.
type Letters struct {
	Source string   // the name of the source they came from
	Tables []string // table keys
	RunID  string
	IDs    []string
}

// Letter is a row that could not be loaded.
type Letter struct {
	ID       string          `json:"id"`
	Source   string          `json:"source_name"`
	Table    string          `json:"table_name"`
	RunID    string          `json:"run_id"`
	Row      json.RawMessage `json:"row_data"`
	Reason   string          `json:"error_text"`
	FailedAt time.Time       `json:"failed_at"`
}

func (l Letters) has(x *Letter) bool {
	return (l.Source == "" || l.Source == x.Source) && (len(l.Tables) == 0 || slices.Contains(l.Tables, x.Table)) &&
		(l.RunID == "" || l.RunID == x.RunID) && (len(l.IDs) == 0 || slices.Contains(l.IDs, x.ID))
}

// ReadLetters visits the selected dead letters that a destination, opened for
// reading, holds in its raw schema.
func ReadLetters(ctx context.Context, back connectors.Source, rawSchema string, which Letters, visit func(Letter) error) error {
	t, ok, err := findTarget(ctx, back, connectors.TableRef{Schema: rawSchema, Name: deadLetterTable})
	if err != nil || !ok {
		return err
	}
	var columns []connectors.Column
	for _, c := range deadLetterColumns {
		have, ok := t.Column(c.Name)
		if !ok {
			return unknownColumn(t, "dead letter", c.Name)
		}
		columns = append(columns, have)
	}
	req := connectors.ReadRequest{Table: t, Columns: columns}
	if run := columns[3]; which.RunID != "" {
		b := &connectors.Bound{Kind: run.Type.Kind, Text: which.RunID}
		req.Window = &connectors.Window{Column: run.Name, Lower: b, Upper: b}
	}
	return back.Read(ctx, req, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		for i := range int(batch.NumRows()) {
			text := func(c int) string {
				if arr := batch.Column(c); !arr.IsNull(i) {
					return string(connectors.AppendValue(nil, arr, columns[c].Type, i))
				}
				return ""
			}
			l := Letter{ID: text(0), Source: text(1), Table: text(2), RunID: text(3)}
			if !which.has(&l) {
				continue
			}
			l.Row, l.Reason = json.RawMessage(text(4)), text(5)
			if ts, _, err := connectors.ParseTimestamp(text(6)); err == nil {
				l.FailedAt = time.UnixMicro(int64(ts)).UTC()
			}
			if err := visit(l); err != nil {
				return err
			}
		}
		return nil
	})
}

// findTarget looks a table of the destination up for reading.
func findTarget(ctx context.Context, back connectors.Source, ref connectors.TableRef) (connectors.Table, bool, error) {
	filter := connectors.TableFilter{Names: []string{ref.Name}}
	if ref.Schema != "" {
		filter.Schemas = []string{ref.Schema}
	}
	found, err := back.Tables(ctx, filter)
	if err != nil {
		return connectors.Table{}, false, err
	}
	at := slices.IndexFunc(found, func(t connectors.Table) bool { return t.Name == ref.Name })
	if at < 0 {
		return connectors.Table{}, false, nil
	}
	return found[at], true, nil
}

// DropLetters deletes dead letters by their ids and gives how many there were.
func DropLetters(ctx context.Context, d connectors.Destination, rawSchema string, ids []string, now time.Time) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	run, err := uuid.NewV7()
	if err != nil {
		return 0, err
	}
	key := deadLetterColumns[:1]
	load, err := d.Begin(ctx, connectors.LoadRequest{
		Target: connectors.TableRef{Schema: rawSchema, Name: deadLetterTable}, Columns: key, Key: []string{key[0].Name},
		Mode: connectors.Remove, RunID: run.String(), SyncedAt: now,
	})
	if err != nil {
		return 0, fmt.Errorf("drop dead letters: %w", err)
	}
	b := connectors.NewBatcher(key, connectors.Limits{}, func(batch arrow.RecordBatch) error { return load.Write(ctx, batch) })
	defer b.Release()
	for _, id := range ids {
		if err = connectors.AppendParsed(b.Builders[0], key[0].Type, id); err == nil {
			err = b.EndRow(16)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = b.Flush()
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("drop dead letters: %w", err), load.Abort())
	}
	result, err := load.Commit(ctx)
	return result.Deleted, err
}

// maxRetried bounds how many letters one run takes into memory; the next run
// takes the others.
const maxRetried = 100_000

// runLetters loads dead letters again, each table's in one load, and deletes
// those that came through. The source is not asked.
func (e *Engine) runLetters(ctx context.Context, job *Job, run model.Run, log *runLog) ([]TableReport, error) {
	destination, err := job.OpenDestination(ctx)
	if err != nil {
		return nil, err
	}
	defer cutAfter(ctx, destination)()
	defer func() { _ = destination.Close() }()
	back, err := job.Readback(ctx)
	if err != nil {
		return nil, err
	}
	defer cutAfter(ctx, back)()
	defer func() { _ = back.Close() }()
	byTable := map[string][]Letter{}
	n, left := 0, 0
	err = ReadLetters(ctx, back, job.Names.RawSchema, *job.Letters, func(l Letter) error {
		if n >= maxRetried {
			left++
			return nil
		}
		n++
		byTable[l.Table] = append(byTable[l.Table], l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if left > 0 {
		log.add(ctx, slog.LevelWarn, "", fmt.Sprintf("%d dead letters are left for another run", left))
	}
	var reports []TableReport
	for _, cfg := range job.Pipeline.Tables {
		letters := byTable[cfg.Key()]
		if len(letters) == 0 {
			continue
		}
		c := &tableCopy{
			engine: e, job: job, runLog: log, config: cfg, table: Configured(cfg), run: run,
			source: back, destination: destination, replaced: map[string]int64{},
		}
		reports = append(reports, c.separately(ctx, func(ctx context.Context) error { return c.retryLetters(ctx, letters) }))
	}
	return reports, nil
}

// Configured is what a configuration alone knows of its table.
func Configured(t model.PipelineTable) connectors.Table {
	return connectors.Table{
		TableRef: connectors.TableRef{Schema: t.SourceSchema, Name: t.SourceTable}, DefaultSchema: t.SourceSchema == model.UnsetSchema, RowEstimate: -1,
	}
}

// separately does one table's part of a run that copies nothing, and records it.
func (c *tableCopy) separately(ctx context.Context, work func(context.Context) error) TableReport {
	started := c.engine.Now()
	c.stat = model.RunTableStat{RunID: c.run.ID, TableName: c.config.Key(), Status: model.RunRunning, LoadMode: c.config.LoadMode}
	err := c.runLog.start(ctx, &c.stat)
	if err == nil {
		err = c.engine.whyEnded(ctx, c.job, c.stat.TableName, work(ctx))
	}
	c.stat.Status, c.stat.DurationMS = model.RunSuccess, c.engine.Now().Sub(started).Milliseconds()
	if err != nil {
		c.stat.Status, c.stat.ErrorMessage = model.RunFailed, err.Error()
		if errors.Is(err, context.Canceled) {
			c.stat.Status = model.RunCancelled
		}
		c.log(ctx, slog.LevelError, c.stat.ErrorMessage)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if serr := c.engine.State.SaveTableStat(end, &c.stat); serr != nil {
		err = errors.Join(err, fmt.Errorf("record the table's outcome: %w", serr))
	}
	return TableReport{
		Table: c.stat.TableName, Target: c.stat.Target, Status: c.stat.Status, RowsRead: c.stat.RowsExtracted, RowsLoaded: c.stat.RowsLoadedAnalytics,
		RowsFiltered: c.stat.RowsFiltered, DeadLetters: c.stat.RowsFailed, DurationMS: c.stat.DurationMS, Error: c.stat.ErrorMessage, Err: err,
	}
}

// retried is a letter on its way, by the columns that the target holds.
type retried struct {
	Letter
	made   json.RawMessage // what the table's transforms make of the row; nil: there are none
	left   bool            // they filter it
	key    []byte
	reason string // why it failed again; empty: it did not
}

// row is the row to load.
func (r *retried) row() json.RawMessage {
	if r.made != nil {
		return r.made
	}
	return r.Row
}

// retryLetters loads the letters of one table by the columns that its target
// holds. A row that the target has got since, or of which there is a newer
// letter, is not set back: its letter has nothing to say any more.
func (c *tableCopy) retryLetters(ctx context.Context, letters []Letter) error {
	stored, err := c.engine.State.TableSchema(ctx, c.job.Pipeline.ID, c.stat.TableName)
	if err != nil {
		return fmt.Errorf("read the stored schema: %w", err)
	}
	held, err := parseHeld(stored)
	if err != nil {
		return err
	}
	if stored.UpdatedAt.IsZero() {
		return &connectors.Error{
			Kind: connectors.KindConflict, Op: "load dead letters into", Object: c.stat.TableName,
			Err: errors.New("it is not known which columns its target holds"), Hint: "run the pipeline first",
		}
	}
	c.plan.key = stored.Key
	c.shape = &shape{held: held}
	for _, h := range held {
		col := h.logical()
		c.shape.addColumn(col, &col)
	}
	if c.marks() {
		mark := markColumn()
		c.shape.addColumn(mark, &mark)
	}
	c.shape.finish()
	target := c.job.Names.Target(c.table, c.config)
	c.stat.Target, c.stat.RowsExtracted = target.String(), int64(len(letters))
	c.plan = plan{load: connectors.Merge, key: stored.Key, target: target}
	c.backfill = true         // the watermark stays
	if len(stored.Key) == 0 { // appended: a window that holds no row is replaced
		c.plan.load = connectors.ReplaceWindow
		if c.window = emptyWindow(c.shape.load); c.window == nil {
			return &connectors.Error{
				Kind: connectors.KindUnsupported, Op: "load dead letters into", Object: target.String(),
				Err: errors.New("the table has neither a key nor a column that rows could be ordered by"), Hint: "run a full refresh",
			}
		}
	}
	if c.config.LoadMode == model.LoadRaw {
		c.plan.raw = &connectors.RawTarget{Table: c.job.Names.Raw(c.job.SourceName, c.table)}
	}
	slices.SortFunc(letters, func(a, b Letter) int { return b.FailedAt.Compare(a.FailedAt) })
	rows := make([]retried, len(letters))
	for i, l := range letters {
		rows[i].Letter = l
	}
	if err := c.transformLetters(ctx, rows); err != nil {
		return err
	}
	if err := c.loadLetters(ctx, rows); err != nil {
		return err
	}
	var failed []retried
	var gone []string
	for _, r := range rows {
		if r.reason != "" {
			failed = append(failed, r)
		} else {
			gone = append(gone, r.ID)
		}
	}
	c.stat.RowsFailed = int64(len(failed))
	c.stat.RowsFiltered = int64(len(gone)) - c.stat.RowsLoadedAnalytics
	if _, err := DropLetters(ctx, c.destination, c.job.Names.RawSchema, gone, c.run.StartedAt); err != nil {
		return err
	}
	c.log(ctx, slog.LevelInfo, fmt.Sprintf("loaded %d dead letters into %s; %d were of rows that are newer there; %d failed again", c.stat.RowsLoadedAnalytics, target, c.stat.RowsFiltered, len(failed)))
	return c.keepFailed(ctx, failed)
}

// emptyWindow is a window that no row lies in: its lower bound is above its
// upper one. nil when no column can be bounded.
func emptyWindow(columns []connectors.Column) *connectors.Window {
	for _, c := range columns {
		lower, upper := "1", "0"
		switch c.Type.Kind {
		case connectors.Date:
			lower, upper = "2000-01-02", "2000-01-01"
		case connectors.Timestamp:
			lower, upper = "2000-01-02T00:00:00", "2000-01-01T00:00:00"
		case connectors.TimestampTZ:
			lower, upper = "2000-01-02T00:00:00Z", "2000-01-01T00:00:00Z"
		case connectors.UUID:
			lower, upper = "ffffffff-ffff-ffff-ffff-ffffffffffff", uuid.Nil.String()
		default:
			if !canOrder(c.Type.Kind) {
				continue
			}
		}
		return &connectors.Window{
			Column: c.Name, Lower: &connectors.Bound{Kind: c.Type.Kind, Text: lower}, Upper: &connectors.Bound{Kind: c.Type.Kind, Text: upper},
		}
	}
	return nil
}

// loadLetters loads rows, newest first, in one careful load, and notes in them
// what failed.
func (c *tableCopy) loadLetters(ctx context.Context, rows []retried) error {
	c.tolerance = &tolerance{limits: model.Tolerance{MaxRows: maxRetried + 1}, target: c.stat.Target}
	newer, err := c.newerRows(ctx, rows)
	if err != nil {
		return err
	}
	f := c.newFlow(c.shape.read, nil)
	f.careful = true
	byText := map[string][]int{} // of the row as the flow spells it
	seen := map[string]bool{}
	b := connectors.NewBatcher(c.shape.read, connectors.Limits{Rows: 500}, func(batch arrow.RecordBatch) error {
		if f.load == nil {
			if err := f.begin(ctx); err != nil {
				batch.Release()
				return err
			}
		}
		f.read += batch.NumRows()
		return f.write(ctx, parcel{batch: batch})
	})
	defer b.Release()
	for i := range rows {
		r := &rows[i]
		if r.left || r.reason != "" {
			continue
		}
		var one arrow.RecordBatch
		single := connectors.NewBatcher(c.shape.read, connectors.Limits{}, func(batch arrow.RecordBatch) error { one = batch; return nil })
		err := connectors.AppendRowParsed(single.Builders, c.shape.read, r.row())
		if err == nil {
			_ = single.EndRow(1)
			_ = single.Flush()
		}
		single.Release()
		if err != nil {
			r.reason = err.Error()
			continue
		}
		if len(c.plan.key) > 0 {
			r.key = c.rowKey(one, c.shape.read, c.shape.read, 0)
			since, there := newer[string(r.key)]
			if old := seen[string(r.key)] || there && since.After(r.FailedAt); old {
				one.Release()
				continue
			}
			seen[string(r.key)] = true
		}
		text := string(connectors.AppendRowJSON(nil, one, c.shape.read, 0))
		one.Release()
		byText[text] = append(byText[text], i)
		if err := connectors.AppendRowParsed(b.Builders, c.shape.read, r.row()); err != nil {
			return errors.Join(err, f.abort())
		}
		if err := b.EndRow(len(r.row())); err != nil {
			return errors.Join(err, f.abort())
		}
	}
	if err := b.Flush(); err != nil {
		return errors.Join(err, f.abort())
	}
	for _, l := range f.letters {
		at := byText[string(l.data)]
		if len(at) == 0 {
			return errors.Join(fmt.Errorf("a row that failed again is none of the letters: %s", l.reason), f.abort())
		}
		rows[at[0]].reason = l.reason
		byText[string(l.data)] = at[1:]
	}
	if f.load == nil {
		return nil
	}
	if _, err := f.load.Commit(ctx); err != nil {
		return err
	}
	c.stat.RowsLoadedAnalytics = f.read - int64(len(f.letters))
	return nil
}

// abort ends the flow's load, if it has begun.
func (f *flow) abort() error {
	if f.load == nil {
		return nil
	}
	return f.load.Abort()
}

// rowKey spells the key of a row so that both sides agree; others are the
// columns of the other side.
func (c *tableCopy) rowKey(batch arrow.RecordBatch, columns, others []connectors.Column, i int) []byte {
	var key []byte
	for _, name := range c.plan.key {
		at, other := findColumn(columns, name), findColumn(others, name)
		if arr := batch.Column(at); !arr.IsNull(i) {
			key = appendComparable(key, arr, columns[at].Type, others[other].Type, i)
		}
		key = append(key, 0)
	}
	return key
}

// newerRows gives when the rows of the target that were loaded since the oldest
// letter failed were loaded, by key.
func (c *tableCopy) newerRows(ctx context.Context, rows []retried) (map[string]time.Time, error) {
	newer := map[string]time.Time{}
	if len(c.plan.key) == 0 || len(rows) == 0 {
		return newer, nil
	}
	t, ok, err := findTarget(ctx, c.source, c.plan.target)
	if err != nil || !ok {
		return newer, err
	}
	var columns []connectors.Column
	for _, name := range append(slices.Clone(c.plan.key), connectors.MetaSyncedAt) {
		col, ok := t.Column(name)
		if !ok && name == connectors.MetaSyncedAt && t.Managed { // the warehouse has it, but does not show it
			col, ok = connectors.Column{Name: name, Type: connectors.Type{Kind: connectors.TimestampTZ}}, true
		}
		if !ok {
			return newer, unknownColumn(t, "key", name)
		}
		columns = append(columns, col)
	}
	synced := len(columns) - 1
	since := rows[len(rows)-1].FailedAt // they come newest first
	text := string(connectors.AppendTimestamp(nil, arrow.Timestamp(since.UnixMicro()), 'T'))
	if columns[synced].Type.Kind == connectors.TimestampTZ {
		text += "Z"
	}
	req := connectors.ReadRequest{Table: t, Columns: columns, Window: &connectors.Window{
		Column: columns[synced].Name, Lower: &connectors.Bound{Kind: columns[synced].Type.Kind, Text: text},
	}}
	return newer, c.source.Read(ctx, req, func(batch arrow.RecordBatch) error {
		defer batch.Release()
		for i := range int(batch.NumRows()) {
			if ts, ok := batch.Column(synced).(*array.Timestamp); ok {
				newer[string(c.rowKey(batch, columns, c.shape.read, i))] = time.UnixMicro(int64(ts.Value(i))).UTC()
			}
		}
		return nil
	})
}

// keepFailed writes the new reasons of letters that failed again.
func (c *tableCopy) keepFailed(ctx context.Context, failed []retried) error {
	if len(failed) == 0 {
		return nil
	}
	load, err := c.destination.Begin(ctx, connectors.LoadRequest{
		Target: connectors.TableRef{Schema: c.job.Names.RawSchema, Name: deadLetterTable}, Columns: deadLetterColumns, Key: []string{"id"},
		Mode: connectors.Merge, RunID: c.run.ID, SyncedAt: c.run.StartedAt,
	})
	if err != nil {
		return fmt.Errorf("keep the new reasons of %d dead letters: %w", len(failed), err)
	}
	b := connectors.NewBatcher(deadLetterColumns, connectors.Limits{}, func(batch arrow.RecordBatch) error { return load.Write(ctx, batch) })
	defer b.Release()
	for _, r := range failed {
		at := string(connectors.AppendTimestamp(nil, arrow.Timestamp(r.FailedAt.UnixMicro()), 'T')) + "Z"
		for i, text := range []string{r.ID, r.Source, r.Table, r.RunID, string(r.Row), r.reason, at} {
			if err = connectors.AppendParsed(b.Builders[i], deadLetterColumns[i].Type, text); err != nil {
				return errors.Join(fmt.Errorf("keep dead letter %s: %w", r.ID, err), load.Abort())
			}
		}
		if err := b.EndRow(len(r.Row) + 128); err != nil {
			return errors.Join(err, load.Abort())
		}
	}
	if err := b.Flush(); err != nil {
		return errors.Join(err, load.Abort())
	}
	_, err = load.Commit(ctx)
	return err
}
