package engine

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/zeebo/xxh3"

	"arus/connectors"
)

// A boundary holds the fingerprints of rows already loaded whose watermark the
// next read will meet again: those at the stored value, those within the
// look-back, those without a value. A row found in it has not changed since.
// It counts equal rows, which a table without a key may have.
//
// Stored form: version byte, 8 bytes of schema fingerprint, then the
// fingerprints in ascending order, 8 bytes each, little endian, equal ones
// repeated.
type boundary struct {
	prints map[uint64]int
	rows   int
}

const (
	boundaryVersion = 1
	boundaryHeader  = 9
	// maxBoundary caps the stored form at 8 MB. Past it the boundary is not
	// kept and the next run loads those rows again: right, only not minimal.
	maxBoundary = 1_000_000
)

func newBoundary() *boundary { return &boundary{prints: map[uint64]int{}} }

func (b *boundary) add(h uint64) {
	b.prints[h]++
	b.rows++
}

// join adds what another holds.
func (b *boundary) join(o *boundary) {
	if b.full() {
		return
	}
	for h, n := range o.prints {
		b.prints[h] += n
	}
	b.rows += o.rows
}

func (b *boundary) has(h uint64) bool { return b.prints[h] > 0 }

func (b *boundary) full() bool { return b.rows > maxBoundary }

func schemaFingerprint(columns []connectors.Column) uint64 {
	var buf []byte
	for _, c := range columns {
		buf = append(buf, c.Name...)
		buf = append(buf, 0)
		buf = append(buf, c.Type.String()...)
		buf = append(buf, 0)
	}
	return xxh3.Hash(buf)
}

// parseBoundary gives an empty set for anything that is not a boundary of these columns.
func parseBoundary(data []byte, schema uint64) *boundary {
	b := newBoundary()
	if len(data) < boundaryHeader || data[0] != boundaryVersion || binary.LittleEndian.Uint64(data[1:]) != schema {
		return b
	}
	for data = data[boundaryHeader:]; len(data) >= 8; data = data[8:] {
		b.add(binary.LittleEndian.Uint64(data))
	}
	return b
}

// encode gives nil when there are too many rows to keep.
func (b *boundary) encode(schema uint64) []byte {
	if b.full() {
		return nil
	}
	prints := make([]uint64, 0, b.rows)
	for h, n := range b.prints {
		for range n {
			prints = append(prints, h)
		}
	}
	slices.Sort(prints)
	data := make([]byte, boundaryHeader, boundaryHeader+8*len(prints))
	data[0] = boundaryVersion
	binary.LittleEndian.PutUint64(data[1:], schema)
	for _, h := range prints {
		data = binary.LittleEndian.AppendUint64(data, h)
	}
	return data
}

// rowPrint fingerprints row i over all columns; null and empty differ.
func rowPrint(buf []byte, batch arrow.RecordBatch, columns []connectors.Column, i int) (uint64, []byte) {
	buf = buf[:0]
	for c, col := range columns {
		arr := batch.Column(c)
		if arr.IsNull(i) {
			buf = append(buf, 0)
			continue
		}
		buf = append(buf, 1)
		at := len(buf)
		buf = append(buf, 0, 0, 0, 0)
		buf = connectors.AppendValue(buf, arr, col.Type, i)
		binary.LittleEndian.PutUint32(buf[at:], uint32(len(buf)-at-4))
	}
	return xxh3.Hash(buf), buf
}

// edge compares the watermark column of rows, and the further columns of a
// window, with one bound.
type edge struct {
	columns []int // the first is the watermark's
	typ     connectors.Type
	value   int64  // for kinds that compare as integers
	text    string // for the others: only equality is known
	exact   bool
	buf     []byte
}

// newEdge is nil when there is no watermark or no bound.
func (c *tableCopy) newEdge(columns []connectors.Column, bound *connectors.Bound) *edge {
	watermark := c.plan.watermark
	if watermark == nil || bound == nil {
		return nil
	}
	e := &edge{typ: watermark.Type}
	names := []string{watermark.Name}
	if c.window != nil {
		names = append(names, c.window.Or...)
	}
	for _, name := range names {
		at := slices.IndexFunc(columns, func(c connectors.Column) bool { return c.Name == name })
		if at < 0 {
			return nil
		}
		e.columns = append(e.columns, at)
	}
	if v, ok := boundInt(*bound); ok {
		e.value = v
	} else {
		e.exact, e.text = true, bound.Text
	}
	return e
}

// at says whether row i has no watermark, or whether it or a further column
// lies on the given side of the bound (-1 below, 1 above) or at it. Kinds
// without an order here count only at it.
func (e *edge) at(batch arrow.RecordBatch, i, side int) bool {
	for n, column := range e.columns {
		arr := batch.Column(column)
		if arr.IsNull(i) {
			if n == 0 {
				return true
			}
			continue
		}
		if e.exact {
			if e.buf = connectors.AppendValue(e.buf[:0], arr, e.typ, i); string(e.buf) == e.text {
				return true
			}
			continue
		}
		if order := cmp.Compare(intValue(arr, i), e.value); order == 0 || order == side {
			return true
		}
	}
	return false
}

// intValue is the integer a value of an integer, date or timestamp column compares as.
func intValue(arr arrow.Array, i int) int64 {
	switch a := arr.(type) {
	case *array.Timestamp:
		return int64(a.Value(i))
	case *array.Date32:
		return int64(a.Value(i))
	case *array.Int64:
		return a.Value(i)
	case *array.Int32:
		return int64(a.Value(i))
	case *array.Int16:
		return int64(a.Value(i))
	case *array.Int8:
		return int64(a.Value(i))
	case *array.Uint32:
		return int64(a.Value(i))
	case *array.Uint16:
		return int64(a.Value(i))
	case *array.Uint8:
		return int64(a.Value(i))
	}
	panic("engine: no integer form for " + arr.DataType().String())
}
