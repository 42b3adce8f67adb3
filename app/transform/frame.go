package transform

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/app/transform/expression"
	"arus/connectors"
)

// frame is a batch on its way through the steps. It owns its arrays.
type frame struct {
	source arrow.RecordBatch // what rows refers to; not owned
	arrays []arrow.Array
	n      int
	rows   []int32 // the source's row of each row; nil: the same

	filtered int64
	failed   []Failure
	printed  []string

	step *compiledStep  // at work
	bad  map[int]string // rows that fail in it
}

func newFrame(batch arrow.RecordBatch) *frame {
	f := &frame{source: batch, n: int(batch.NumRows()), arrays: make([]arrow.Array, batch.NumCols())}
	for i := range f.arrays {
		f.arrays[i] = batch.Column(i)
		f.arrays[i].Retain()
	}
	return f
}

func (f *frame) release() {
	for _, a := range f.arrays {
		a.Release()
	}
	f.arrays = nil
}

// row is the source's row of row i.
func (f *frame) row(i int) int {
	if f.rows == nil {
		return i
	}
	return int(f.rows[i])
}

// fail marks row i as failed in the step at work; the first reason stands.
func (f *frame) fail(i int, reason string) {
	if f.bad == nil {
		f.bad = map[int]string{}
	}
	if _, ok := f.bad[i]; !ok {
		f.bad[i] = reason
	}
}

func (f *frame) failAll(failures []expression.Failure) {
	for _, x := range failures {
		f.fail(x.Row, x.Reason)
	}
}

// set replaces column i, or appends it where i is the number of columns.
func (f *frame) set(i int, arr arrow.Array) {
	if i == len(f.arrays) {
		f.arrays = append(f.arrays, arr)
		return
	}
	f.arrays[i].Release()
	f.arrays[i] = arr
}

// pick makes the columns those at the given places, in that order.
func (f *frame) pick(at []int) {
	next := make([]arrow.Array, len(at))
	for i, from := range at {
		next[i] = f.arrays[from]
		next[i].Retain()
	}
	f.release()
	f.arrays = next
}

// take keeps the given rows, in that order.
func (f *frame) take(keep []int32) {
	for i, a := range f.arrays {
		taken := connectors.SelectValues(a, keep)
		a.Release()
		f.arrays[i] = taken
	}
	rows := make([]int32, len(keep))
	for i, k := range keep {
		rows[i] = int32(f.row(int(k)))
	}
	f.rows, f.n = rows, len(keep)
}

// only keeps the rows that are marked, nil for all, and counts the others as
// filtered, except those that failed: their reasons are kept.
func (f *frame) only(marked []bool) {
	if marked == nil && len(f.bad) == 0 {
		return
	}
	keep := make([]int32, 0, f.n)
	for i := range f.n {
		if len(f.bad) > 0 {
			if reason, ok := f.bad[i]; ok {
				f.failed = append(f.failed, Failure{Row: f.row(i), Step: f.step.number + 1, Type: f.step.Type, Reason: reason})
				continue
			}
		}
		if marked == nil || marked[i] {
			keep = append(keep, int32(i))
		} else {
			f.filtered++
		}
	}
	f.bad = nil
	if len(keep) < f.n {
		f.take(keep)
	}
}

// batch makes a record batch of the frame's columns.
func (f *frame) batch(schema *arrow.Schema) arrow.RecordBatch {
	return array.NewRecordBatch(schema, f.arrays, int64(f.n))
}

// appendKey writes the values of a row so that equal rows give equal bytes and
// others do not.
func appendKey(dst []byte, arrays []arrow.Array, types []connectors.Type, at []int, row int) []byte {
	for _, c := range at {
		if arrays[c].IsNull(row) {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		start := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = connectors.AppendValue(dst, arrays[c], types[c], row)
		binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	}
	return dst
}
