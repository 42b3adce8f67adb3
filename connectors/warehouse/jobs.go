package warehouse

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors/sqlite/lite"
	"arus/connectors/warehouse/schema"
)

// Done says what a job did to a table, for a log line.
type Done struct {
	Table  string
	Job    string // archiving, backfill, snapshot, retention, compaction
	Rows   int64  // that it moved or removed
	Files  int    // that it wrote
	Detail string
}

// The jobs.
const (
	JobArchiving  = "archiving"
	JobBackfill   = "backfill"
	JobSnapshot   = "snapshot"
	JobRetention  = "retention"
	JobCompaction = "compaction"
)

const (
	// maxSmallParts is how many small files a dimension table has before they
	// become one.
	maxSmallParts = 8
	smallPart     = maxPartRows / 4
	// tidyRows is how many live rows of a dimension table a load leaves without
	// writing a snapshot itself.
	tidyRows    = 2 * maxLiveRows
	secondsADay = 86400
)

// job is a change of a table by a job.
type job struct {
	*txn
	now  time.Time
	made []string
	done Done
}

// due looks at a table's state and gives the jobs that are to be done.
func (x *txn) due(ctx context.Context, now time.Time) ([]string, error) {
	var jobs []string
	c, unix := x.layout.table.Config, now.Unix()
	if !x.layout.isFact() {
		upserts := x.values[stateUpserts]
		interval := unix-x.values[stateSnapshot] >= int64(c.SnapshotIntervalMinutes)*60
		if upserts > 0 && (upserts >= int64(c.SnapshotThreshold) || interval) {
			jobs = append(jobs, JobSnapshot)
		}
	} else {
		if cutoff := unix - int64(c.ArchivingDelayMinutes)*60; cutoff > x.values[stateCutoff]+int64(c.ArchivingIntervalMinutes)*60 {
			jobs = append(jobs, JobArchiving)
		}
		late, bytes, err := x.late(ctx)
		if err != nil {
			return nil, err
		}
		if late > 0 && (bytes >= c.BackfillThresholdInBytes || unix-x.values[stateBackfill] >= int64(c.BackfillIntervalMinutes)*60) {
			jobs = append(jobs, JobBackfill)
		}
		if c.RecordRetentionInDays > 0 && unix-x.values[statePurged] >= secondsADay {
			jobs = append(jobs, JobRetention)
		}
	}
	if len(x.stale()) > 0 {
		jobs = append(jobs, JobCompaction)
	}
	return jobs, nil
}

// late counts the live rows that belong to archived days.
func (x *txn) late(ctx context.Context) (rows, bytes int64, err error) {
	err = x.conn.Each(ctx, "SELECT count(*), coalesce(sum(length(v)), 0) FROM rows WHERE t < ?", []driver.Value{x.values[stateCutoff]}, func(row []driver.Value) error {
		rows, bytes = lite.Int(row[0]), lite.Int(row[1])
		return nil
	})
	return rows, bytes, err
}

// stale gives the files that compaction rewrites: many small ones, those of one
// day, those with many hidden rows, and those with data of deleted columns.
func (x *txn) stale() []*part {
	var out, small []*part
	byDay := map[int64][]*part{}
	for _, p := range x.parts {
		full := p.info.Rows-p.deadRows >= maxPartRows
		if p.deadRows*4 > p.info.Rows || int64(p.version) < x.values[stateDropped] {
			out = append(out, p)
		} else if p.day == noDay && p.info.Rows < smallPart {
			small = append(small, p)
		}
		if p.day != noDay && !full {
			byDay[p.day] = append(byDay[p.day], p)
		}
	}
	if len(small) > maxSmallParts {
		out = append(out, small...)
	}
	for _, parts := range byDay {
		if len(parts) > 1 {
			for _, p := range parts {
				if !slices.Contains(out, p) {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// perform does one job within a change of its own; the table is locked.
func (s *storage) perform(ctx context.Context, t table, name string, now time.Time, work func(j *job) error) (done Done, err error) {
	x, err := t.begin(ctx)
	if err != nil {
		return Done{}, t.readError(fail(ctx, name, t.name, err))
	}
	j := &job{txn: x, now: now, done: Done{Table: t.name, Job: name}}
	if slices.Contains([]string{JobArchiving, JobBackfill, JobSnapshot, JobRetention, JobCompaction}, name) {
		err = t.sweep(x.keep(), anyToken)
	}
	if err == nil {
		err = work(j)
	}
	if err == nil {
		next := x.values[stateNextPart]
		delete(x.values, stateNextPart)
		err = x.set(ctx, stateNextPart, next)
	}
	if err == nil {
		err = x.commit(ctx)
	}
	if err != nil {
		visible := x.visible
		err = errors.Join(err, x.rollback())
		if !visible {
			for _, f := range j.made {
				_ = t.fs.Remove(t.file(f))
			}
			t.removeEmpty()
		}
		return Done{}, fail(ctx, name, t.name, err)
	}
	t.removeEmpty()
	return j.done, nil
}

// writer writes the rows that a job moves: each key has one of them.
func (j *job) writer() *partWriter {
	w := newPartWriter(j.table, j.layout, func() int64 {
		j.values[stateNextPart]++
		return j.values[stateNextPart]
	})
	w.done = func(ctx context.Context, p *part, _ *partWriter) error {
		j.made = append(j.made, p.file)
		j.done.Files++
		err := j.addPart(ctx, p)
		p.keys = nil
		return err
	}
	return w
}

// liveIDs are the columns that have data.
func (l *layout) liveIDs() []int {
	_, ids := l.segmentColumns()
	return ids
}

// fold moves the live rows from before a time into the files of their days.
func (j *job) fold(ctx context.Context, before int64) error {
	s := newSorter(j.table.path)
	defer s.close()
	days := map[int64]bool{}
	lost := int64(0)
	ids := j.layout.liveIDs()
	var key, row []byte
	add := func(batch arrow.RecordBatch) error {
		arrays := j.layout.byID(batch, ids)
		order, err := j.layout.sortOrderer(arrays)
		if err != nil {
			return err
		}
		w, err := j.layout.newRowWriter(arrays)
		if err != nil {
			return err
		}
		for i := range int(batch.NumRows()) {
			if arrays[0].IsNull(i) {
				lost++ // it came without a time, and leaves with the rows of its arrival
				continue
			}
			key, row = order(key[:0], i), w.append(binary.LittleEndian.AppendUint64(row[:0], 0), i)
			days[int64(binary.BigEndian.Uint32(key))] = true
			if err := s.add(key, row); err != nil {
				return err
			}
			j.done.Rows++
		}
		return nil
	}
	if err := j.eachLiveWhere(ctx, ids, "t < ?", []driver.Value{before}, func(_ [][]byte, b arrow.RecordBatch) error { return add(b) }); err != nil {
		return err
	}
	moved := j.done.Rows
	if moved == 0 && lost == 0 {
		return nil
	}
	var old []*part
	for _, p := range j.parts {
		if days[p.day] {
			old = append(old, p)
		}
	}
	if err := j.readParts(ctx, old, ids, add); err != nil {
		return err
	}
	j.done.Rows = moved
	if err := j.conn.Exec(ctx, "DELETE FROM rows WHERE t < ?", before); err != nil {
		return err
	}
	if err := j.dropAll(ctx, old); err != nil {
		return err
	}
	j.done.Detail = fmt.Sprintf("%d days", len(days))
	if lost > 0 {
		j.done.Detail += fmt.Sprintf(", %d rows without a time left", lost)
	}
	return j.writer().writeSorted(ctx, s)
}

func (j *job) readParts(ctx context.Context, parts []*part, ids []int, add func(arrow.RecordBatch) error) error {
	v := j.reading()
	defer v.closeFiles()
	for _, p := range parts {
		if err := v.pinPart(p); err != nil {
			return err
		}
	}
	state := *v.state
	state.parts = parts
	v.state = &state
	return v.Each(ctx, ScanRequest{Columns: ids, Stored: true, NoLive: true, Limits: limits(keyBatch)}, func(b arrow.RecordBatch) error {
		defer b.Release()
		return add(b)
	})
}

func (j *job) dropAll(ctx context.Context, parts []*part) error {
	for _, p := range parts {
		if err := j.dropPart(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// archive moves what is older than the cutoff into the archive.
func (j *job) archive(ctx context.Context, cutoff int64) error {
	if !j.layout.isFact() {
		return &schema.Error{Class: schema.Conflict, Message: schema.MsgNotFact}
	}
	if have := j.values[stateCutoff]; cutoff <= have {
		return &schema.Error{Class: schema.Conflict, Message: fmt.Sprintf("Cutoff %d is no greater than current cutoff %d", cutoff, have)}
	}
	if err := j.fold(ctx, cutoff); err != nil {
		return err
	}
	if err := j.set(ctx, stateArchived, j.now.Unix()); err != nil {
		return err
	}
	return j.set(ctx, stateCutoff, cutoff)
}

// backfill moves late rows into the days that they belong to.
func (j *job) backfill(ctx context.Context) error {
	if !j.layout.isFact() {
		return &schema.Error{Class: schema.Conflict, Message: schema.MsgNotFact}
	}
	if err := j.fold(ctx, j.values[stateCutoff]); err != nil {
		return err
	}
	return j.set(ctx, stateBackfill, j.now.Unix())
}

// snapshot moves a dimension table's live rows into a file.
func (j *job) snapshot(ctx context.Context) error {
	if j.layout.isFact() {
		return &schema.Error{Class: schema.Conflict, Message: schema.MsgNotDimension}
	}
	w, ids := j.writer(), j.layout.liveIDs()
	err := j.eachLive(ctx, ids, func(_ [][]byte, b arrow.RecordBatch) error {
		j.done.Rows += b.NumRows()
		return w.write(ctx, j.layout.byID(b, ids), int(b.NumRows()), nil)
	})
	if err == nil {
		err = w.finish(ctx)
	}
	if err != nil {
		w.abort()
		return err
	}
	if err := j.conn.Exec(ctx, "DELETE FROM rows"); err != nil {
		return err
	}
	if err := j.set(ctx, stateSnapshot, j.now.Unix()); err != nil {
		return err
	}
	return j.set(ctx, stateUpserts, 0)
}

// purge removes the days from..to, to not included, and live rows of theirs.
func (j *job) purge(ctx context.Context, from, to int64) error {
	if !j.layout.isFact() {
		return &schema.Error{Class: schema.Conflict, Message: schema.MsgNotFact}
	}
	var old []*part
	for _, p := range j.parts {
		if p.day >= from && p.day < to {
			old = append(old, p)
			j.done.Rows += p.info.Rows - p.deadRows
		}
	}
	live, err := j.conn.One(ctx, "SELECT count(*) FROM rows WHERE t >= ? AND t < ?", from*secondsADay, to*secondsADay)
	if err != nil {
		return err
	}
	j.done.Rows += lite.Int(live)
	j.done.Detail = fmt.Sprintf("%d files removed", len(old))
	if err := j.conn.Exec(ctx, "DELETE FROM rows WHERE t >= ? AND t < ?", from*secondsADay, to*secondsADay); err != nil {
		return err
	}
	if err := j.dropAll(ctx, old); err != nil {
		return err
	}
	return j.set(ctx, statePurged, j.now.Unix())
}

// compact rewrites stale files without their hidden rows and deleted columns.
func (j *job) compact(ctx context.Context) error {
	old, ids := j.stale(), j.layout.liveIDs()
	if len(old) == 0 {
		return nil
	}
	w := j.writer()
	if !j.layout.isFact() {
		err := j.readParts(ctx, old, ids, func(b arrow.RecordBatch) error {
			j.done.Rows += b.NumRows()
			return w.write(ctx, j.layout.byID(b, ids), int(b.NumRows()), nil)
		})
		if err == nil {
			err = w.finish(ctx)
		}
		if err != nil {
			w.abort()
			return err
		}
		return j.dropAll(ctx, old)
	}
	s := newSorter(j.table.path)
	defer s.close()
	var key, row []byte
	err := j.readParts(ctx, old, ids, func(b arrow.RecordBatch) error {
		arrays := j.layout.byID(b, ids)
		order, err := j.layout.sortOrderer(arrays)
		if err != nil {
			return err
		}
		rw, err := j.layout.newRowWriter(arrays)
		if err != nil {
			return err
		}
		for i := range int(b.NumRows()) {
			key, row = order(key[:0], i), rw.append(binary.LittleEndian.AppendUint64(row[:0], 0), i)
			if err := s.add(key, row); err != nil {
				return err
			}
		}
		j.done.Rows += b.NumRows()
		return nil
	})
	if err != nil {
		return err
	}
	if err := j.dropAll(ctx, old); err != nil {
		return err
	}
	if err := w.writeSorted(ctx, s); err != nil {
		w.abort()
		return err
	}
	return nil
}

// run does a job by its name.
func (s *storage) run(ctx context.Context, t table, name string, now time.Time) (Done, error) {
	return s.perform(ctx, t, name, now, func(j *job) error {
		c := j.layout.table.Config
		switch name {
		case JobArchiving:
			return j.archive(ctx, now.Unix()-int64(c.ArchivingDelayMinutes)*60)
		case JobBackfill:
			return j.backfill(ctx)
		case JobSnapshot:
			return j.snapshot(ctx)
		case JobRetention:
			return j.purge(ctx, 0, now.Unix()/secondsADay-int64(c.RecordRetentionInDays))
		}
		return j.compact(ctx)
	})
}

// tidy does after a load what a table needs soon, where no background jobs may
// run. The load stands whatever comes of it.
func (s *storage) tidy(ctx context.Context, t table) {
	v, err := t.look(ctx)
	if err != nil {
		return
	}
	x := &txn{state: v.state, table: t}
	snapshot := !v.layout.isFact() && v.values[stateUpserts] >= tidyRows
	compact := len(x.stale()) > maxSmallParts
	_ = v.Close()
	if snapshot {
		_, _ = s.run(ctx, t, JobSnapshot, s.now())
	}
	if compact {
		_, _ = s.run(ctx, t, JobCompaction, s.now())
	}
}
