package warehouse

import (
	"context"
	"encoding/binary"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// A load's rows of a fact table that are old enough to be archived are sorted by
// day and archiving sort columns, outside memory where they are many, and written
// as they come out: every day gets its sorted file. The others go live.

// writeFacts takes rows of a fact table.
func (l *load) writeFacts(ctx context.Context, arrays []arrow.Array, rows int) error {
	if !l.bulk {
		var refused error
		err := l.txn.merge(ctx, change{arrays: arrays, rows: rows, whole: l.covers}, func(_ int, o outcome) {
			if o == refusedTime && refused == nil {
				refused = l.errTime()
			}
		})
		if l.live += int64(rows); l.live >= maxLiveRows && l.covers {
			l.bulk = true
		}
		if err == nil {
			err = refused
		}
		return err
	}
	cutoff := l.in.now - int64(l.txn.layout.table.Config.ArchivingDelayMinutes)*60
	var recent []int
	for i := range rows {
		if timeOf(arrays[0], i) >= cutoff {
			recent = append(recent, i)
		}
	}
	arrays = l.full(arrays, rows)
	if len(recent) > 0 {
		if err := l.putRecent(ctx, arrays, recent); err != nil {
			return err
		}
	}
	if l.sort == nil {
		l.sort = newSorter(l.table.path)
	}
	return l.sortRows(arrays, rows, recent)
}

// sortRows hands the rows to the sorter, without those that went live.
func (l *load) sortRows(arrays []arrow.Array, rows int, recent []int) error {
	order, err := l.txn.layout.sortOrderer(arrays)
	if err != nil {
		return err
	}
	w, err := l.txn.layout.newRowWriter(arrays)
	if err != nil {
		return err
	}
	for i := range rows {
		if len(recent) > 0 && recent[0] == i {
			recent = recent[1:]
			continue
		}
		l.key = order(l.key[:0], i)
		l.buf = w.append(binary.LittleEndian.AppendUint64(l.buf[:0], uint64(l.seq)), i)
		l.seq++
		if err := l.sort.add(l.key, l.buf); err != nil {
			return err
		}
	}
	return nil
}

// sortOrderer orders a fact table's rows by day, then by the sort columns.
func (l *layout) sortOrderer(arrays []arrow.Array) (orderer, error) {
	rest, err := l.rowOrderer(arrays, l.sortColumns(), true)
	if err != nil {
		return nil, err
	}
	return func(dst []byte, i int) []byte {
		return rest(binary.BigEndian.AppendUint32(dst, uint32(timeOf(arrays[0], i)/86400)), i)
	}, nil
}

// sortColumns are the archiving sort columns that still have data.
func (l *layout) sortColumns() []int {
	var ids []int
	for _, id := range l.table.ArchivingSortColumns {
		if !l.columns[id].deleted {
			ids = append(ids, id)
		}
	}
	return ids
}

// putRecent puts rows that are too young for the archive into the live database.
func (l *load) putRecent(ctx context.Context, arrays []arrow.Array, rows []int) error {
	picked := make([]arrow.Array, len(arrays))
	defer releaseAll(picked)
	for id, a := range arrays {
		if a != nil {
			picked[id] = connectors.SelectValues(a, rows)
		}
	}
	var refused error
	seen := l.rows
	err := l.txn.merge(ctx, change{arrays: picked, rows: len(rows)}, func(_ int, o outcome) {
		switch {
		case refused != nil:
		case o == refusedTime:
			refused = l.errTime()
		case o == updated && l.later == refuseDuplicates && seen >= 0:
			refused = l.parts.errTwice()
		}
	})
	if err == nil {
		err = refused
	}
	return err
}

// repeat is a column in which all rows have the default.
func repeat(c column, rows int) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, c.stored.Arrow())
	defer b.Release()
	b.Reserve(rows)
	for range rows {
		appendCell(b, c.def)
	}
	return b.NewArray()
}

// finishFacts writes what was sorted.
func (l *load) finishFacts(ctx context.Context) error {
	if l.sort == nil {
		return nil
	}
	defer l.sort.close()
	return l.parts.writeSorted(ctx, l.sort)
}

// Bounds of the sorted rows that become arrays at a time.
const (
	sortedBatch = 1 << 14
	sortedBytes = 4 << 20
)

// writeSorted writes a sorter's rows, whose keys begin with their day and whose
// values are the number of their arrival and the row.
func (w *partWriter) writeSorted(ctx context.Context, s *sorter) error {
	build := make([]array.Builder, len(w.layout.columns))
	for _, id := range w.ids {
		build[id] = array.NewBuilder(memory.DefaultAllocator, w.layout.columns[id].stored.Arrow())
	}
	defer func() {
		for _, id := range w.ids {
			build[id].Release()
		}
	}()
	cells := make([]cell, len(w.layout.columns))
	var arrived []int64
	size := 0
	flush := func() error {
		if len(arrived) == 0 {
			return nil
		}
		arrays := make([]arrow.Array, len(build))
		for id, b := range build {
			if b != nil {
				arrays[id] = b.NewArray()
			}
		}
		err := w.write(ctx, arrays, len(arrived), arrived)
		releaseAll(arrays)
		arrived, size = arrived[:0], 0
		return err
	}
	err := s.each(func(key, value []byte) error {
		day := int64(binary.BigEndian.Uint32(key))
		if day != w.day {
			if err := flush(); err != nil {
				return err
			}
			if err := w.finish(ctx); err != nil {
				return err
			}
			w.day = day
		}
		if err := w.layout.splitRow(value[8:], cells); err != nil {
			return err
		}
		for _, id := range w.ids {
			appendCell(build[id], cells[id])
		}
		arrived = append(arrived, int64(binary.LittleEndian.Uint64(value)))
		if size += len(value); len(arrived) == sortedBatch || size >= sortedBytes {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	return w.finish(ctx)
}
