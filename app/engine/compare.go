package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/zeebo/xxh3"

	"arus/connectors"
)

// Side is one of two tables being compared.
type Side struct {
	Source connectors.Source
	Table  connectors.Table
	Window *connectors.Window // nil: all rows
}

// Difference counts what a comparison found, with a few examples in words.
type Difference struct {
	Rows     int64 // rows on the left
	Missing  int64 // on the left only
	Extra    int64 // on the right only
	Changed  int64 // same key, other values
	Examples []string
}

// Equal says whether both tables hold the same rows.
func (d Difference) Equal() bool { return d.Missing == 0 && d.Extra == 0 && d.Changed == 0 }

const maxExamples = 5

func (d *Difference) example(format string, args ...any) {
	if len(d.Examples) < maxExamples {
		d.Examples = append(d.Examples, fmt.Sprintf(format, args...))
	}
}

// Compare reads both tables in key order at the same time and compares every
// column of the left one, row for row, as text (see appendComparable). Memory holds a few
// batches whatever the size of the tables. Tables without a key are compared as multisets.
func Compare(ctx context.Context, left, right Side, key []string) (Difference, error) {
	columns := left.Table.Columns
	rightColumns := make([]connectors.Column, len(columns))
	for i, c := range columns {
		rc, ok := right.Table.Column(c.Name)
		if !ok {
			return Difference{}, unknownColumn(right.Table, "comparison", c.Name)
		}
		rightColumns[i] = rc
	}
	keyAt := make([]int, len(key))
	for i, k := range key {
		keyAt[i] = slices.IndexFunc(columns, func(c connectors.Column) bool { return c.Name == k })
		if keyAt[i] < 0 {
			return Difference{}, unknownColumn(left.Table, "key", k)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(key) == 0 {
		return compareUnordered(ctx, cancel, left, right, columns, rightColumns)
	}
	l := openRows(ctx, left, columns, rightColumns, key)
	defer l.close(cancel)
	r := openRows(ctx, right, rightColumns, columns, key)
	defer r.close(cancel)

	var d Difference
	okL, okR := l.next(), r.next()
	for okL || okR {
		order := -1
		switch {
		case !okL:
			order = 1
		case okR:
			order = compareKeys(l, r, keyAt)
		}
		switch {
		case order < 0:
			d.Rows++
			d.Missing++
			d.example("row %s is missing", l.keyText(keyAt))
			okL = l.next()
		case order > 0:
			d.Extra++
			d.example("row %s is extra", r.keyText(keyAt))
			okR = r.next()
		default:
			d.Rows++
			if c := l.firstDifference(r); c >= 0 {
				d.Changed++
				d.example("row %s: %s is %s, not %s", l.keyText(keyAt), columns[c].Name, r.text(c), l.text(c))
			}
			okL, okR = l.next(), r.next()
		}
	}
	return d, errors.Join(l.err, r.err)
}

// maxUnmatched is how many different rows of one side may wait for their equals on
// the other while tables without a key are compared.
const maxUnmatched = 1_000_000

// compareUnordered compares tables without a key as multisets: every row of one
// side needs one of the other that is equal in all columns. Rows are told apart by
// 128-bit fingerprints. Memory holds those rows of one side that the other has not
// shown yet; too many are an error.
func compareUnordered(ctx context.Context, cancel func(), left, right Side, columns, rightColumns []connectors.Column) (Difference, error) {
	l := openRows(ctx, left, columns, rightColumns, nil)
	defer l.close(cancel)
	r := openRows(ctx, right, rightColumns, columns, nil)
	defer r.close(cancel)
	var d Difference
	more := map[xxh3.Uint128]int64{} // on the left than on the right, by row
	count := func(side *rows, n int64) {
		h := side.fingerprint()
		if more[h] += n; more[h] == 0 {
			delete(more, h)
		}
	}
	okL, okR := l.next(), r.next()
	for okL || okR {
		if okL {
			d.Rows++
			count(l, 1)
			okL = l.next()
		}
		if okR {
			count(r, -1)
			okR = r.next()
		}
		if len(more) > maxUnmatched {
			return d, &connectors.Error{
				Kind: connectors.KindUnsupported, Op: "compare", Object: left.Table.String(),
				Err:  fmt.Errorf("the table has no key, and more than %d rows have no equal yet after %d rows", maxUnmatched, d.Rows),
				Hint: "choose key columns",
			}
		}
	}
	for _, n := range more {
		d.Missing += max(n, 0)
		d.Extra += max(-n, 0)
	}
	if d.Missing+d.Extra > 0 {
		d.example("without a key: %d rows have no equal in the target, %d there none in the source", d.Missing, d.Extra)
	}
	return d, errors.Join(l.err, r.err)
}

// fingerprint is one of the row's values in the form that both sides share.
func (r *rows) fingerprint() xxh3.Uint128 {
	r.row = r.row[:0]
	for c := range r.columns {
		if r.null(c) {
			r.row = append(r.row, 0)
			continue
		}
		v := r.value(c)
		r.row = binary.LittleEndian.AppendUint32(append(r.row, 1), uint32(len(v)))
		r.row = append(r.row, v...)
	}
	return xxh3.Hash128(r.row)
}

// rows pulls single rows out of a read that pushes batches.
type rows struct {
	columns []connectors.Column
	others  []connectors.Column // those of the other side
	batches chan arrow.RecordBatch
	done    chan struct{}
	batch   arrow.RecordBatch
	at      int
	err     error
	buf     []byte
	row     []byte
}

func openRows(ctx context.Context, s Side, columns, others []connectors.Column, key []string) *rows {
	r := &rows{columns: columns, others: others, batches: make(chan arrow.RecordBatch), done: make(chan struct{})}
	req := connectors.ReadRequest{Table: s.Table, Columns: columns, Window: s.Window, OrderBy: key, Limits: connectors.Limits{Rows: 8 << 10, Bytes: 2 << 20}}
	go func() {
		defer close(r.done)
		defer close(r.batches)
		r.err = s.Source.Read(ctx, req, func(batch arrow.RecordBatch) error {
			select {
			case r.batches <- batch:
				return nil
			case <-ctx.Done():
				batch.Release()
				return ctx.Err()
			}
		})
	}()
	return r
}

func (r *rows) close(cancel func()) {
	cancel()
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
	for b := range r.batches {
		b.Release()
	}
	<-r.done
}

// next moves to the next row; false at the end or after an error. Reading r.err
// is safe once it was false, because the reader has then closed the channel.
func (r *rows) next() bool {
	r.at++
	for r.batch == nil || r.at >= int(r.batch.NumRows()) {
		if r.batch != nil {
			r.batch.Release()
		}
		var ok bool
		if r.batch, ok = <-r.batches; !ok {
			r.batch = nil
			return false
		}
		r.at = 0
	}
	return true
}

func (r *rows) value(c int) []byte {
	r.buf = r.buf[:0]
	if arr := r.batch.Column(c); !arr.IsNull(r.at) {
		r.buf = appendComparable(r.buf, arr, r.columns[c].Type, r.others[c].Type, r.at)
	}
	return r.buf
}

func (r *rows) null(c int) bool { return r.batch.Column(c).IsNull(r.at) }

func (r *rows) text(c int) string {
	if r.null(c) {
		return "NULL"
	}
	return fmt.Sprintf("%.80q", r.value(c))
}

func (r *rows) keyText(keyAt []int) string {
	var parts []string
	for _, c := range keyAt {
		parts = append(parts, r.columns[c].Name+"="+string(r.value(c)))
	}
	return fmt.Sprint(parts)
}

// firstDifference is the first column whose value differs, or -1.
func (r *rows) firstDifference(o *rows) int {
	for c := range r.columns {
		if r.null(c) != o.null(c) || !bytes.Equal(r.value(c), o.value(c)) {
			return c
		}
	}
	return -1
}

// compareKeys orders two rows by their keys as the databases did: integers and
// times by value, everything else bytewise.
func compareKeys(l, r *rows, keyAt []int) int {
	for _, c := range keyAt {
		var order int
		if ordersAsInt(l.columns[c].Type.Kind) && ordersAsInt(r.columns[c].Type.Kind) {
			order = cmp.Compare(intValue(l.batch.Column(c), l.at), intValue(r.batch.Column(c), r.at))
		} else if isNumber(l.columns[c].Type.Kind) && isNumber(r.columns[c].Type.Kind) {
			order = compareNumbers(string(l.value(c)), string(r.value(c)))
		} else {
			order = bytes.Compare(l.value(c), r.value(c))
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

func ordersAsInt(k connectors.Kind) bool {
	switch k {
	case connectors.Timestamp, connectors.TimestampTZ, connectors.Date:
		return true
	case connectors.Uint64:
		return false
	}
	return k.IsInteger()
}

func isNumber(k connectors.Kind) bool { return k.IsInteger() || isDecimal(k) }

// compareNumbers orders two plain decimals.
func compareNumbers(a, b string) int {
	x, ok1 := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	if !ok1 || !ok2 {
		return strings.Compare(a, b)
	}
	return x.Cmp(y)
}
