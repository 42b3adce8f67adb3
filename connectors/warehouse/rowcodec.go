package warehouse

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/connectors"
)

// A live row is a blob: how many columns the table had when the row was written,
// a bit for each that has a value, and the values by column ID, little endian;
// those of varying length have it before them. A column with a higher ID came
// later: the row has its default.

// cell is one value of a row in its stored form, without its length; nil is null.
type cell []byte

var errRow = errors.New("a live row is damaged")

// cellWidth is the size of a type's values, -1 where it varies.
func cellWidth(t connectors.Type) int {
	switch t.Kind {
	case connectors.Bool, connectors.Int8, connectors.Uint8:
		return 1
	case connectors.Int16, connectors.Uint16:
		return 2
	case connectors.Int32, connectors.Uint32, connectors.Float32, connectors.Date:
		return 4
	case connectors.Int64, connectors.Uint64, connectors.Float64, connectors.Time, connectors.Timestamp, connectors.TimestampTZ:
		return 8
	case connectors.UUID:
		return 16
	case connectors.Decimal:
		if t.Precision > connectors.MaxDecimal128 {
			return 32
		}
		return 16
	}
	return -1
}

// cellPutter appends the cell of row i, which is not null.
type cellPutter func(dst []byte, i int) []byte

func newCellPutter(arr arrow.Array) (cellPutter, error) {
	le := binary.LittleEndian
	switch a := arr.(type) {
	case *array.Boolean:
		return func(dst []byte, i int) []byte {
			if a.Value(i) {
				return append(dst, 1)
			}
			return append(dst, 0)
		}, nil
	case *array.Int8:
		return func(dst []byte, i int) []byte { return append(dst, uint8(a.Value(i))) }, nil
	case *array.Int16:
		return func(dst []byte, i int) []byte { return le.AppendUint16(dst, uint16(a.Value(i))) }, nil
	case *array.Int32:
		return func(dst []byte, i int) []byte { return le.AppendUint32(dst, uint32(a.Value(i))) }, nil
	case *array.Int64:
		return func(dst []byte, i int) []byte { return le.AppendUint64(dst, uint64(a.Value(i))) }, nil
	case *array.Uint8:
		return func(dst []byte, i int) []byte { return append(dst, a.Value(i)) }, nil
	case *array.Uint16:
		return func(dst []byte, i int) []byte { return le.AppendUint16(dst, a.Value(i)) }, nil
	case *array.Uint32:
		return func(dst []byte, i int) []byte { return le.AppendUint32(dst, a.Value(i)) }, nil
	case *array.Uint64:
		return func(dst []byte, i int) []byte { return le.AppendUint64(dst, a.Value(i)) }, nil
	case *array.Float32:
		return func(dst []byte, i int) []byte { return le.AppendUint32(dst, math.Float32bits(a.Value(i))) }, nil
	case *array.Float64:
		return func(dst []byte, i int) []byte { return le.AppendUint64(dst, math.Float64bits(a.Value(i))) }, nil
	case *array.Decimal128:
		return func(dst []byte, i int) []byte {
			n := a.Value(i)
			return le.AppendUint64(le.AppendUint64(dst, n.LowBits()), uint64(n.HighBits()))
		}, nil
	case *array.Decimal256:
		return func(dst []byte, i int) []byte {
			for _, w := range a.Value(i).Array() {
				dst = le.AppendUint64(dst, w)
			}
			return dst
		}, nil
	case *array.Date32:
		return func(dst []byte, i int) []byte { return le.AppendUint32(dst, uint32(a.Value(i))) }, nil
	case *array.Time64:
		return func(dst []byte, i int) []byte { return le.AppendUint64(dst, uint64(a.Value(i))) }, nil
	case *array.Timestamp:
		return func(dst []byte, i int) []byte { return le.AppendUint64(dst, uint64(a.Value(i))) }, nil
	case *array.FixedSizeBinary:
		return func(dst []byte, i int) []byte { return append(dst, a.Value(i)...) }, nil
	case *array.String:
		return func(dst []byte, i int) []byte { return append(dst, a.Value(i)...) }, nil
	case *array.Binary:
		return func(dst []byte, i int) []byte { return append(dst, a.Value(i)...) }, nil
	}
	return nil, fmt.Errorf("no stored form for Arrow type %s", arr.DataType())
}

// appendCell appends a cell to a builder of its type.
func appendCell(builder array.Builder, c cell) {
	if c == nil {
		builder.AppendNull()
		return
	}
	le := binary.LittleEndian
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		b.Append(c[0] != 0)
	case *array.Int8Builder:
		b.Append(int8(c[0]))
	case *array.Int16Builder:
		b.Append(int16(le.Uint16(c)))
	case *array.Int32Builder:
		b.Append(int32(le.Uint32(c)))
	case *array.Int64Builder:
		b.Append(int64(le.Uint64(c)))
	case *array.Uint8Builder:
		b.Append(c[0])
	case *array.Uint16Builder:
		b.Append(le.Uint16(c))
	case *array.Uint32Builder:
		b.Append(le.Uint32(c))
	case *array.Uint64Builder:
		b.Append(le.Uint64(c))
	case *array.Float32Builder:
		b.Append(math.Float32frombits(le.Uint32(c)))
	case *array.Float64Builder:
		b.Append(math.Float64frombits(le.Uint64(c)))
	case *array.Decimal128Builder:
		b.Append(decimal128.New(int64(le.Uint64(c[8:])), le.Uint64(c)))
	case *array.Decimal256Builder:
		b.Append(decimal256.New(le.Uint64(c[24:]), le.Uint64(c[16:]), le.Uint64(c[8:]), le.Uint64(c)))
	case *array.Date32Builder:
		b.Append(arrow.Date32(le.Uint32(c)))
	case *array.Time64Builder:
		b.Append(arrow.Time64(le.Uint64(c)))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(le.Uint64(c)))
	case *array.FixedSizeBinaryBuilder:
		b.Append(c)
	case *array.StringBuilder:
		b.Append(string(c))
	case *array.BinaryBuilder:
		b.Append(c)
	}
}

// rowWriter makes blobs of the rows of arrays.
type rowWriter struct {
	columns int
	arrays  []arrow.Array // by column ID; nil = null in every row
	put     []cellPutter
	width   []int
}

func (l *layout) newRowWriter(arrays []arrow.Array) (*rowWriter, error) {
	w := &rowWriter{columns: len(l.columns), arrays: arrays, put: make([]cellPutter, len(arrays)), width: l.widths}
	for id, arr := range arrays {
		if arr == nil {
			continue
		}
		var err error
		if w.put[id], err = newCellPutter(arr); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// append appends the blob of row i.
func (w *rowWriter) append(dst []byte, i int) []byte {
	dst = binary.AppendUvarint(dst, uint64(w.columns))
	bits := len(dst)
	for range (w.columns + 7) / 8 {
		dst = append(dst, 0)
	}
	for id, arr := range w.arrays {
		if arr == nil || arr.IsNull(i) {
			continue
		}
		dst[bits+id/8] |= 1 << (id % 8)
		if w.width[id] >= 0 {
			dst = w.put[id](dst, i)
			continue
		}
		at := len(dst)
		dst = append(dst, 0) // most lengths take one byte
		dst = w.put[id](dst, i)
		if n := len(dst) - at - 1; n < 0x80 {
			dst[at] = byte(n)
		} else {
			var length [binary.MaxVarintLen64]byte
			k := binary.PutUvarint(length[:], uint64(n))
			dst = append(dst, length[1:k]...) // make room
			copy(dst[at+k:], dst[at+1:at+1+n])
			copy(dst[at:], length[:k])
		}
	}
	return dst
}

// joinRow makes a blob of cells by column ID.
func (l *layout) joinRow(dst []byte, cells []cell) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l.columns)))
	bits := len(dst)
	for range (len(l.columns) + 7) / 8 {
		dst = append(dst, 0)
	}
	for id, c := range cells {
		if c == nil {
			continue
		}
		dst[bits+id/8] |= 1 << (id % 8)
		if l.widths[id] < 0 {
			dst = binary.AppendUvarint(dst, uint64(len(c)))
		}
		dst = append(dst, c...)
	}
	return dst
}

// splitRow finds the cells of a blob; cells has a place for every column. Columns
// that came after the row have their defaults.
func (l *layout) splitRow(row []byte, cells []cell) error {
	count, k := binary.Uvarint(row)
	if k <= 0 || count > uint64(len(l.columns)) {
		return errRow
	}
	n := int(count)
	if row = row[k:]; len(row) < (n+7)/8 {
		return errRow
	}
	bits := row[:(n+7)/8]
	row = row[len(bits):]
	for id := range n {
		if bits[id/8]>>(id%8)&1 == 0 {
			cells[id] = nil
			continue
		}
		size := l.widths[id]
		if size < 0 {
			length, k := binary.Uvarint(row)
			if k <= 0 || length > uint64(len(row)-k) {
				return errRow
			}
			row, size = row[k:], int(length)
		}
		if len(row) < size {
			return errRow
		}
		if cells[id] = row[:size:size]; l.columns[id].deleted {
			cells[id] = nil
		}
		row = row[size:]
	}
	for id := n; id < len(l.columns); id++ {
		cells[id] = l.columns[id].def
	}
	if len(row) != 0 {
		return errRow
	}
	return nil
}

// keyOfCells is the ordered key of a row.
func (l *layout) keyOfCells(cells []cell) ([]byte, error) {
	arrays := make([]arrow.Array, len(l.columns))
	defer releaseAll(arrays)
	for _, id := range l.key {
		b := array.NewBuilder(memory.DefaultAllocator, l.columns[id].stored.Arrow())
		appendCell(b, cells[id])
		arrays[id] = b.NewArray()
		b.Release()
	}
	order, err := l.keyOrderer(arrays)
	if err != nil {
		return nil, err
	}
	return order(nil, 0), nil
}

// timeOfCells is a row's event time as the live database has it.
func (l *layout) timeOfCells(cells []cell) driver.Value {
	if !l.isFact() || cells[0] == nil {
		return nil
	}
	return int64(binary.LittleEndian.Uint32(cells[0]))
}
