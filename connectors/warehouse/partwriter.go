package warehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"arus/connectors"
	"arus/connectors/warehouse/segment"
)

// maxPartRows bounds a file, and with it what sorting or rewriting one takes in
// memory.
const maxPartRows = 1 << 19

// duplicate says what a second row of one key means to a partWriter.
type duplicate uint8

const (
	refuseDuplicates duplicate = iota // an error
	laterWins
)

// partWriter writes rows into new Parquet files of one day, or of a dimension
// table, and knows their keys.
type partWriter struct {
	table  table
	layout *layout
	day    int64
	policy duplicate
	prefix string // of the files' names
	number func() int64
	// done takes over a finished part with the keys of its rows, by row.
	done func(ctx context.Context, p *part, w *partWriter) error

	columns []segment.Column
	ids     []int
	long    map[int]bool // places of the columns with long values
	max     int64

	out   file
	seg   *segment.Writer // nil where no file is open
	used  *segment.Writer // that the next file is written by
	part  *part
	set   keySet
	mixed bool   // keys came out of order, so that two may be one: finish looks
	last  []byte // the key of the row before
	runs  keyRuns

	// Of a fact table's rows: when they arrived, and their times.
	order []int64
	times []int64
}

func newPartWriter(t table, l *layout, number func() int64) *partWriter {
	w := &partWriter{table: t, layout: l, day: noDay, number: number, long: map[int]bool{}, max: maxPartRows}
	w.columns, w.ids = l.segmentColumns()
	return w
}

func dayName(day int64) string { return time.Unix(day*86400, 0).UTC().Format(time.DateOnly) }

func (w *partWriter) start() error {
	id := w.number()
	w.part = &part{id: id, day: w.day, version: w.layout.table.Version, tmin: 1<<63 - 1}
	dir := snapshotDir
	if w.day != noDay {
		dir = path.Join(archiveDir, dayName(w.day))
	}
	w.part.file = path.Join(dir, fmt.Sprintf("%s%d.parquet", w.prefix, id))
	if err := w.table.fs.MkdirAll(w.table.file(dir)); err != nil {
		return err
	}
	f, err := w.table.fs.Create(w.tmp())
	if err != nil {
		return err
	}
	if w.used == nil {
		w.used = segment.NewWriter(f, w.columns, w.long)
	} else {
		w.used.Reset(f)
	}
	w.out, w.seg = f, w.used
	w.set.reset()
	w.mixed, w.last, w.runs = false, w.last[:0], keyRuns{}
	w.order, w.times = w.order[:0], w.times[:0]
	return nil
}

func (w *partWriter) path() string {
	return filepath.Join(w.table.path, filepath.FromSlash(w.part.file))
}

func (w *partWriter) tmp() string { return w.path() + tmpSuffix }

// errTwice is the error for a key that two rows have.
func (w *partWriter) errTwice() error {
	return &connectors.Error{Kind: connectors.KindConstraint, Op: "load", Object: w.table.name, Err: errors.New("two rows have one key"), Hint: "check that the key columns tell every row apart"}
}

// write adds rows, arrays by column ID; arrived numbers the first of a fact
// table's rows by its arrival, or is nil where they came in this order.
func (w *partWriter) write(ctx context.Context, arrays []arrow.Array, rows int, arrived []int64) error {
	chosen := make([]arrow.Array, len(w.ids))
	for i, id := range w.ids {
		chosen[i] = arrays[id]
	}
	for from := 0; from < rows; {
		if w.seg == nil {
			if err := w.start(); err != nil {
				return err
			}
		}
		n := min(rows-from, int(w.max-w.seg.Rows()))
		part := chosen
		if n < rows {
			part = make([]arrow.Array, len(chosen))
			for i, a := range chosen {
				part[i] = slice(a, from, from+n)
			}
		}
		err := w.keys(arrays, from, n, arrived)
		if err == nil {
			err = w.seg.Write(ctx, part, nil)
		}
		if n < rows {
			for _, a := range part {
				a.Release()
			}
		}
		if err != nil {
			return err
		}
		if from += n; w.seg.Rows() >= w.max || w.seg.Full() {
			if err := w.finish(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// keys notes the keys of rows that are about to be written.
func (w *partWriter) keys(arrays []arrow.Array, from, n int, arrived []int64) error {
	if w.layout.hidden() {
		return nil
	}
	order, err := w.layout.keyOrderer(arrays)
	if err != nil {
		return err
	}
	base := w.set.n
	var buf []byte
	for i := from; i < from+n; i++ {
		buf = order(buf[:0], i)
		row := base + i - from
		if row == 0 || bytes.Compare(buf, w.part.lo) < 0 {
			w.part.lo = bytes.Clone(buf)
		}
		if row == 0 || bytes.Compare(buf, w.part.hi) > 0 {
			w.part.hi = append(w.part.hi[:0], buf...)
		}
		if arrived != nil {
			w.order = append(w.order, arrived[i])
		}
		k := w.layout.keyer.key(buf)
		w.mixed = w.mixed || !w.runs.follows(buf, w.last, i == from)
		w.last = append(w.last[:0], buf...)
		w.set.add(k)
	}
	if w.layout.isFact() {
		return w.noteTimes(arrays[0], from, n)
	}
	return nil
}

// keyRuns are stretches of rows in the order of their keys that have no key in
// common. A server that reads a table from somewhere in its middle on gives two,
// one that reads it from several places at a time as many as batches.
type keyRuns struct {
	all  [][2][]byte // the least and the greatest key of each, in their order
	open int         // whose greatest key is the last one
}

// maxKeyRuns is how many stretches are worth knowing.
const maxKeyRuns = 1 << 10

// follows says whether a key is none of those before it, as far as that shows: last
// is the one before it, and begin says that a batch begins with it.
func (r *keyRuns) follows(key, last []byte, begin bool) bool {
	if len(r.all) > 0 {
		next := r.open + 1
		if !begin && bytes.Compare(key, last) > 0 && (next == len(r.all) || bytes.Compare(key, r.all[next][0]) < 0) {
			return true
		}
		r.all[r.open][1] = bytes.Clone(last)
	}
	at := sort.Search(len(r.all), func(i int) bool { return bytes.Compare(r.all[i][0], key) > 0 })
	if at > 0 && bytes.Compare(key, r.all[at-1][1]) <= 0 || len(r.all) == maxKeyRuns {
		return false
	}
	r.all, r.open = slices.Insert(r.all, at, [2][]byte{bytes.Clone(key)}), at
	return true
}

// again finds the rows of the open file that have one key.
func (w *partWriter) again() error {
	if !w.mixed || !w.set.repeats() {
		return nil
	}
	return w.set.each(func(i, earlier int) error {
		if earlier < 0 {
			return nil
		}
		return w.twice(earlier, i)
	})
}

// twice hides one of two rows of a key: the one that arrived earlier.
func (w *partWriter) twice(a, b int) error {
	if w.policy == refuseDuplicates {
		return w.errTwice()
	}
	if len(w.order) > 0 && w.order[a] > w.order[b] {
		w.hide(int64(b))
		w.set.insert(a) // the key is found at the row that stays
		return nil
	}
	w.hide(int64(a))
	return nil
}

func (w *partWriter) hide(row int64) {
	if w.part.dead.set(row) {
		w.part.deadRows++
	}
}

func (w *partWriter) noteTimes(arr arrow.Array, from, n int) error {
	for i := from; i < from+n; i++ {
		t := timeOf(arr, i)
		w.times = append(w.times, t)
		w.part.tmin, w.part.tmax = min(w.part.tmin, t), max(w.part.tmax, t)
	}
	return nil
}

// finish closes the open file and gives it its name.
func (w *partWriter) finish(ctx context.Context) error {
	if w.seg == nil {
		return nil
	}
	if err := w.again(); err != nil {
		return err
	}
	info, err := w.seg.Close()
	if err = errors.Join(err, w.out.Sync(), w.out.Close()); err != nil {
		w.out = nil
		return err
	}
	w.out, w.seg = nil, nil
	if err := settle(w.table.fs, w.tmp(), w.path()); err != nil {
		return err
	}
	if w.part.info = info; !w.layout.hidden() {
		w.part.keys = newBloom(&w.set)
	}
	return w.done(ctx, w.part, w)
}

// abort removes a file that is being written.
func (w *partWriter) abort() {
	if w.out != nil {
		_ = w.out.Close()
		w.out = nil
	}
	if w.seg != nil {
		_ = w.table.fs.Remove(w.tmp())
		w.seg = nil
	}
}
