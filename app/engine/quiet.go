package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"

	"arus/app/model"
	"arus/connectors"
)

// Most tables of a run that a schedule starts every few minutes have nothing
// new. They are looked at in groups: a few queries for all of their states, their
// targets and the rows at their edges, and one write. Whatever is not plainly
// quiet goes its whole way as if nobody had looked.
const (
	quietGroup    = 64              // tables that are looked at together
	quietRows     = 1000            // rows that a table may have at its edge
	quietScan     = 16 << 20        // bytes of a table that may be scanned for want of an index
	quietPatience = 5 * time.Second // for sources that are slow, or have a table locked
)

// QuietState is what the engine keeps of tables that are looked at together.
type QuietState interface {
	// Watermarks gives the stored watermarks of those tables that have one, whose
	// boundary is no longer than so many bytes.
	Watermarks(ctx context.Context, pipelineID string, tables []string, boundary int) ([]model.Watermark, error)
	// TableSchemas gives the stored schemas of those tables that have one.
	TableSchemas(ctx context.Context, pipelineID string, tables []string) ([]model.TableSchema, error)
	// CheckpointQuiet records in one transaction that a run has found nothing new
	// in tables at that time: their figures, and that their watermarks stay.
	CheckpointQuiet(ctx context.Context, pipelineID string, at time.Time, stats []model.RunTableStat) error
}

var errNews = errors.New("there is something new")

// quietTable is a table that may have nothing new.
type quietTable struct {
	*tableCopy
	at     int // in the group
	stored model.TableSchema
	flow   *flow
	edge   *boundary // the rows that the last run left at the edge
	found  *boundary // those that are there now
}

// quiet gives the reports of those tables of a group that have nothing new, once
// they are recorded; nil for those that have to go their whole way. After an
// error it is of no use to look at the next group.
func (e *Engine) quiet(ctx context.Context, job *Job, run model.Run, log *runLog, both *ends, group []tableJob) (reports []*TableReport, err error) {
	reports = make([]*TableReport, len(group))
	p, err := both.take(ctx)
	if err != nil {
		return reports, err
	}
	defer both.give(ctx, p, false)
	peeker, ok := p.source.(connectors.Peeker)
	if _, settles := p.source.(connectors.Settler); !ok || settles {
		return reports, errors.ErrUnsupported
	}
	ctx, cancel := context.WithTimeout(ctx, quietPatience)
	defer cancel()
	var list []*quietTable
	for i, t := range group {
		if q := (&quietTable{at: i, tableCopy: &tableCopy{
			engine: e, job: job, runLog: log, ends: both, config: t.config, table: t.table, missing: t.missing, run: run, source: p.source, destination: p.destination,
		}}); q.eligible() {
			list = append(list, q)
		}
	}
	looks := []func([]*quietTable) ([]*quietTable, error){
		func(list []*quietTable) ([]*quietTable, error) { return e.quietStates(ctx, list) },
		func(list []*quietTable) ([]*quietTable, error) { return peek(ctx, peeker, list) },
		func(list []*quietTable) ([]*quietTable, error) { return survey(ctx, list) },
		func(list []*quietTable) ([]*quietTable, error) { return list, e.recordQuiet(ctx, list) },
	}
	for _, look := range looks {
		if len(list) == 0 {
			return reports, nil
		}
		if list, err = look(list); err != nil {
			return reports, err
		}
	}
	for _, q := range list {
		q.log(ctx, slog.LevelInfo, fmt.Sprintf("%s: %s; key %v; nothing new for %s; watermark %s", q.plan.mode, q.plan.reason, q.plan.key, q.stat.Target, q.had.Value))
		r := q.conclude(nil)
		reports[q.at] = &r
	}
	return reports, nil
}

// looksForQuiet says whether a run may find tables quiet at all.
func (j *Job) looksForQuiet() bool {
	return !j.FullRefresh && !j.Reconcile && j.BackfillFrom == "" && j.SyncMethod != model.SyncFullRefresh
}

// eligible says whether a table's configuration lets it be quiet.
func (q *quietTable) eligible() bool {
	cfg := q.config
	if q.missing != nil || len(cfg.TransformConfig) > 0 || cfg.SoftDeleteColumn != "" {
		return false
	}
	q.begun = q.engine.Now()
	q.startMeter()
	q.stat = model.RunTableStat{RunID: q.run.ID, TableName: cfg.Key(), Status: model.RunSuccess, LoadMode: cfg.LoadMode}
	q.table.Columns = withoutMeta(q.table.Columns)
	q.made = q.table.Columns
	q.due = dueAt(q.begun)
	return true
}

// quietStates keeps the tables whose stored state lets them be quiet, as far as
// their targets are what was stored.
func (e *Engine) quietStates(ctx context.Context, list []*quietTable) ([]*quietTable, error) {
	names := make([]string, len(list))
	for i, q := range list {
		names[i] = q.stat.TableName
	}
	pipeline := list[0].job.Pipeline.ID
	marks, err := e.State.Watermarks(ctx, pipeline, names, boundaryHeader+8*quietRows)
	if err != nil {
		return nil, err
	}
	schemas, err := e.State.TableSchemas(ctx, pipeline, names)
	if err != nil {
		return nil, err
	}
	markOf, schemaOf := map[string]model.Watermark{}, map[string]model.TableSchema{}
	for _, m := range marks {
		markOf[m.SourceTable] = m
	}
	for _, s := range schemas {
		schemaOf[s.SourceTable] = s
	}
	return slices.DeleteFunc(list, func(q *quietTable) bool {
		var known bool
		if q.had, known = markOf[q.stat.TableName]; !known {
			return true
		}
		q.stored = schemaOf[q.stat.TableName]
		held, err := parseHeld(q.stored)
		if err != nil || len(held) == 0 {
			return true
		}
		target := connectors.Table{Managed: true}
		for _, h := range held {
			target.Columns = append(target.Columns, h.logical())
		}
		if q.marksAhead() {
			target.Columns = append(target.Columns, markColumn())
		}
		return !q.settled(ctx, target) || !q.aim()
	}), nil
}

// marksAhead says whether the target has the column that marks deleted rows.
func (q *quietTable) marksAhead() bool {
	return q.job.Pipeline.DeleteMode(q.config) == model.DeletesMark
}

// settled says whether a run would load into the target as it is by the stored
// watermark, and has nothing else to do about the table.
func (q *quietTable) settled(ctx context.Context, target connectors.Table) bool {
	if !target.Managed || q.stored.Open > 0 {
		return false
	}
	found, err := q.compareTarget(q.stored, target, true)
	if err != nil || len(found) > 0 {
		return false
	}
	if q.plan, err = planTable(q.job, q.table, q.config, q.had, true); err != nil {
		return false
	}
	wm, had := q.plan.watermark, q.had
	if wm == nil || had.Value == "" || had.Column != wm.Name || had.Type != wm.Type.Kind.String() {
		return false
	}
	if q.plan.load != connectors.Merge && q.plan.load != connectors.ReplaceWindow {
		return false
	}
	if q.plan.raw != nil && q.job.Pipeline.Options.RawRetentionDays > 0 {
		return false
	}
	if q.job.Pipeline.DeleteMode(q.config) != model.DeletesIgnore && (len(q.plan.key) == 0 || q.reconciles(q.begun)) {
		return false
	}
	if add, widen := q.layOut(ctx); len(add)+len(widen) > 0 {
		return false
	}
	_, same, err := q.schemaKept()
	return same && err == nil && len(q.drift.follow) == 0
}

// aim fixes what is read: the window of the next load, without its upper bound,
// so that whatever is new is in it.
func (q *quietTable) aim() bool {
	wm := q.plan.watermark
	if !slices.Contains(q.table.Indexed, wm.Name) && (q.table.Bytes < 0 || q.table.Bytes > quietScan) {
		return false
	}
	from := lookBack(connectors.Bound{Kind: wm.Type.Kind, Text: q.had.Value}, q.lookBackSeconds())
	q.window = &connectors.Window{Column: wm.Name, Lower: &from, Nulls: q.job.Pipeline.Options.NullWatermark != model.NullSkip}
	q.flow = q.newFlow(q.readColumns(), nil)
	q.edge, q.found = parseBoundary(q.had.Boundary, q.flow.schema), newBoundary()
	return q.plan.load == connectors.Merge || q.edge.rows > 0
}

// peek keeps the tables at whose edges there are no other rows than before.
func peek(ctx context.Context, source connectors.Peeker, list []*quietTable) ([]*quietTable, error) {
	requests := make([]connectors.PeekRequest, len(list))
	for i, q := range list {
		requests[i].ReadRequest = connectors.ReadRequest{Table: q.table, Columns: q.flow.columns, Window: q.window, Limits: q.flow.limits}
		requests[i].Rows = q.edge.rows + 1
	}
	errs := source.Peek(ctx, requests, func(i int, batch arrow.RecordBatch) error { return list[i].meet(batch) })
	quiet := list[:0]
	for i, q := range list {
		if errs[i] == nil && q.found.rows <= q.edge.rows && (q.plan.load == connectors.Merge || q.found.rows == q.edge.rows) {
			quiet = append(quiet, q)
		}
	}
	return quiet, context.Cause(ctx)
}

// meet takes in rows of the edge. One that the last run has not loaded as it is
// ends the read.
func (q *quietTable) meet(batch arrow.RecordBatch) error {
	batch.Retain()
	defer batch.Release()
	for i := range int(batch.NumRows()) {
		var h uint64
		h, q.flow.print = rowPrint(q.flow.print, batch, q.flow.columns, i)
		if q.found.add(h); q.plan.load == connectors.ReplaceWindow && q.found.prints[h] > q.edge.prints[h] {
			batch.Release()
			return errNews
		}
	}
	if q.plan.load == connectors.ReplaceWindow {
		batch.Release()
		return nil
	}
	if left := q.flow.take(batch); left != nil {
		left.Release()
		return errNews
	}
	return nil
}

// survey keeps the tables whose targets are what was stored of them.
func survey(ctx context.Context, list []*quietTable) ([]*quietTable, error) {
	names, destination := list[0].job.Names, list[0].destination
	refs := make([]connectors.TableRef, len(list))
	for i, q := range list {
		refs[i] = names.Target(q.table, q.config)
	}
	targets := make([]*connectors.Table, len(refs))
	var err error
	if s, ok := destination.(connectors.Surveyor); ok {
		targets, err = s.Survey(ctx, refs)
	} else {
		for i, ref := range refs {
			t, exists, failed := destination.Table(ctx, ref)
			if failed != nil {
				return nil, failed
			}
			if exists {
				targets[i] = &t
			}
		}
	}
	if err != nil {
		return nil, err
	}
	quiet := list[:0]
	for i, q := range list {
		peeked := q.flow.columns
		if targets[i] != nil && q.settled(ctx, *targets[i]) && slices.EqualFunc(peeked, q.readColumns(), sameColumn) {
			q.stat.Mode, q.stat.Target = q.plan.mode, refs[i].String()
			q.stat.WatermarkBefore, q.stat.WatermarkAfter = q.had.Value, q.had.Value
			quiet = append(quiet, q)
		}
	}
	return quiet, nil
}

func sameColumn(a, b connectors.Column) bool { return a.Name == b.Name && a.Type.Equal(b.Type) }

// recordQuiet stores that the tables have nothing new.
func (e *Engine) recordQuiet(ctx context.Context, list []*quietTable) error {
	now := e.Now()
	stats := make([]model.RunTableStat, len(list))
	for i, q := range list {
		q.report(PhaseStarted)
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		q.stat.ID, q.stat.DurationMS = id.String(), now.Sub(q.begun).Milliseconds()
		stats[i] = q.stat
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	return e.State.CheckpointQuiet(end, list[0].job.Pipeline.ID, now, stats)
}
