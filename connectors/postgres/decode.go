package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"arus/connectors"
)

const (
	epochDays   = 10957                      // 2000-01-01, PostgreSQL's day zero
	epochMicros = epochDays * 86_400_000_000 // the same in microseconds
)

var (
	signature = []byte("PGCOPY\n\xff\r\n\x00")
	errWire   = errors.New("the server's COPY data is malformed")
	errRange  = errors.New("the value is outside the range of the type")
)

// valueError is a value that has no place in its column's Arrow form.
type valueError struct {
	column string
	hint   string
	err    error
}

func (e *valueError) Error() string { return fmt.Sprintf("column %q: %v", e.column, e.err) }

// decoder takes a binary COPY stream in chunks of any size and appends its
// tuples to Arrow builders. The first failure is kept and the rest ignored.
type decoder struct {
	batcher *connectors.Batcher
	columns []connectors.Column
	fields  []func(v []byte) error
	stop    func() // ends the query when decoding has failed
	err     error

	header bool   // seen
	end    bool   // trailer seen
	rest   []byte // of a chunk that ended inside a tuple
}

func newDecoder(columns []connectors.Column, limits connectors.Limits, checkUTF8 bool, emit func(arrow.RecordBatch) error) (*decoder, error) {
	d := &decoder{columns: columns, fields: make([]func([]byte) error, len(columns))}
	d.batcher = connectors.NewBatcher(columns, limits, func(batch arrow.RecordBatch) error {
		sizes := dataSizes(batch)
		err := emit(batch)
		for i, b := range d.batcher.Builders { // the next batch is likely to be as large
			if sizes[i] > 0 {
				if values, ok := b.(interface{ ReserveData(n int) }); ok {
					values.ReserveData(sizes[i])
				}
			}
		}
		return err
	})
	for i, c := range columns {
		d.fields[i] = fieldDecoder(c.Type, d.batcher.Builders[i], checkUTF8)
		if d.fields[i] == nil {
			d.batcher.Release()
			return nil, fmt.Errorf("column %q: PostgreSQL gives no %s", c.Name, c.Type)
		}
	}
	return d, nil
}

// dataSizes is how many bytes the values of each variable-length column take,
// with a little to spare; 0 for other columns.
func dataSizes(batch arrow.RecordBatch) []int {
	sizes := make([]int, batch.NumCols())
	for i, values := range batch.Columns() {
		var n int
		switch a := values.(type) {
		case *array.String:
			n = len(a.ValueBytes())
		case *array.Binary:
			n = len(a.ValueBytes())
		}
		sizes[i] = n + n/16
	}
	return sizes
}

func (d *decoder) Write(p []byte) (int, error) {
	if d.err != nil {
		return len(p), nil
	}
	data := p
	if len(d.rest) > 0 {
		d.rest = append(d.rest, p...)
		data = d.rest
	}
	n, err := d.consume(data)
	if err != nil {
		d.err, d.rest = err, nil
		d.stop()
		return len(p), nil
	}
	d.rest = append(d.rest[:0], data[n:]...)
	return len(p), nil
}

// consume decodes the whole tuples of data and says how far it came.
func (d *decoder) consume(data []byte) (n int, err error) {
	if !d.header {
		if len(data) < 19 {
			return 0, nil
		}
		extension := int(binary.BigEndian.Uint32(data[15:]))
		if !bytes.Equal(data[:len(signature)], signature) || extension > 1<<20 {
			return 0, errWire
		}
		if len(data) < 19+extension {
			return 0, nil
		}
		d.header, n = true, 19+extension
	}
	for !d.end {
		size := tupleSize(data[n:], len(d.fields))
		switch size {
		case incomplete:
			return n, nil
		case malformed:
			return n, errWire
		case trailer:
			d.end = true
			return len(data), nil
		}
		if err := d.tuple(data[n+2 : n+size]); err != nil {
			return n, err
		}
		n += size
		if err := d.batcher.EndRow(size); err != nil {
			return n, err
		}
	}
	return len(data), nil
}

// What tupleSize says besides a size.
const (
	incomplete = -1
	malformed  = -2
	trailer    = -3
)

func tupleSize(data []byte, fields int) int {
	if len(data) < 2 {
		return incomplete
	}
	if count := int16(binary.BigEndian.Uint16(data)); count != int16(fields) {
		if count == -1 {
			return trailer
		}
		return malformed
	}
	n := 2
	for range fields {
		if len(data) < n+4 {
			return incomplete
		}
		size := int32(binary.BigEndian.Uint32(data[n:]))
		n += 4
		if size > 0 {
			n += int(size)
		} else if size < -1 {
			return malformed
		}
	}
	if len(data) < n {
		return incomplete
	}
	return n
}

// tuple appends one row; tupleSize has checked its bounds.
func (d *decoder) tuple(data []byte) error {
	n := 0
	for i, field := range d.fields {
		size := int(int32(binary.BigEndian.Uint32(data[n:])))
		n += 4
		if size < 0 {
			d.batcher.Builders[i].AppendNull()
			continue
		}
		if err := field(data[n : n+size]); err != nil {
			return d.fault(i, err)
		}
		n += size
	}
	return nil
}

// row appends a row of values that came one by one.
func (d *decoder) row(values [][]byte) error {
	if len(values) != len(d.fields) {
		return errWire
	}
	size := 0
	for i, v := range values {
		if v == nil {
			d.batcher.Builders[i].AppendNull()
			continue
		}
		if err := d.fields[i](v); err != nil {
			return d.fault(i, err)
		}
		size += len(v)
	}
	return d.batcher.EndRow(size)
}

// fault names the column of a value that has no place in it.
func (d *decoder) fault(column int, err error) error {
	fault := &valueError{column: d.columns[column].Name, err: err}
	if errors.Is(err, errRange) {
		fault.hint = "correct the value, or leave the row or the column out"
	}
	return fault
}

// finish emits the last rows after the stream's end.
func (d *decoder) finish() error {
	if !d.end {
		return errWire
	}
	d.err = d.batcher.Flush()
	return d.err
}

// fieldDecoder gives the function that appends a binary value of the form that
// selectExpr asks for to the builder; nil for a type without one.
func fieldDecoder(t connectors.Type, builder array.Builder, checkUTF8 bool) func(v []byte) error {
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		return func(v []byte) error {
			if len(v) != 1 {
				return errWire
			}
			b.Append(v[0] != 0)
			return nil
		}
	case *array.Int8Builder:
		return func(v []byte) error {
			n, err := int16Value(v)
			if err != nil || n < math.MinInt8 || n > math.MaxInt8 {
				return errors.Join(err, errRange)
			}
			b.Append(int8(n))
			return nil
		}
	case *array.Int16Builder:
		return func(v []byte) error {
			n, err := int16Value(v)
			if err == nil {
				b.Append(n)
			}
			return err
		}
	case *array.Int32Builder:
		return func(v []byte) error {
			if len(v) != 4 {
				return errWire
			}
			b.Append(int32(binary.BigEndian.Uint32(v)))
			return nil
		}
	case *array.Int64Builder:
		return func(v []byte) error {
			if len(v) != 8 {
				return errWire
			}
			b.Append(int64(binary.BigEndian.Uint64(v)))
			return nil
		}
	case *array.Uint8Builder:
		return func(v []byte) error {
			n, err := int16Value(v)
			if err != nil || n < 0 || n > math.MaxUint8 {
				return errors.Join(err, errRange)
			}
			b.Append(uint8(n))
			return nil
		}
	case *array.Uint16Builder:
		return func(v []byte) error {
			if len(v) != 4 {
				return errWire
			}
			n := int32(binary.BigEndian.Uint32(v))
			if n < 0 || n > math.MaxUint16 {
				return errRange
			}
			b.Append(uint16(n))
			return nil
		}
	case *array.Uint32Builder:
		return func(v []byte) error {
			if len(v) != 8 {
				return errWire
			}
			n := int64(binary.BigEndian.Uint64(v))
			if n < 0 || n > math.MaxUint32 {
				return errRange
			}
			b.Append(uint32(n))
			return nil
		}
	case *array.Uint64Builder:
		return func(v []byte) error {
			n, err := decimal128(v, 0)
			if err != nil || n.HighBits() != 0 {
				return errors.Join(err, errRange)
			}
			b.Append(n.LowBits())
			return nil
		}
	case *array.Float32Builder:
		return func(v []byte) error {
			if len(v) != 4 {
				return errWire
			}
			b.Append(math.Float32frombits(binary.BigEndian.Uint32(v)))
			return nil
		}
	case *array.Float64Builder:
		return func(v []byte) error {
			if len(v) != 8 {
				return errWire
			}
			b.Append(math.Float64frombits(binary.BigEndian.Uint64(v)))
			return nil
		}
	case *array.Decimal128Builder:
		scale := t.Scale
		return func(v []byte) error {
			n, err := decimal128(v, scale)
			if err == nil {
				b.Append(n)
			}
			return err
		}
	case *array.Decimal256Builder:
		scale := t.Scale
		return func(v []byte) error {
			n, err := decimal256(v, scale)
			if err == nil {
				b.Append(n)
			}
			return err
		}
	case *array.BinaryBuilder:
		return func(v []byte) error { b.Append(v); return nil }
	case *array.Date32Builder:
		return func(v []byte) error {
			if len(v) != 4 {
				return errWire
			}
			days := int32(binary.BigEndian.Uint32(v))
			if days != math.MaxInt32 && days != math.MinInt32 {
				days += epochDays // PostgreSQL's last date leaves room for it
			}
			b.Append(arrow.Date32(days))
			return nil
		}
	case *array.Time64Builder:
		if t.Wide {
			return func(v []byte) error {
				us, err := wideTime(v)
				if err == nil {
					b.Append(us)
				}
				return err
			}
		}
		return func(v []byte) error {
			if len(v) != 8 {
				return errWire
			}
			b.Append(arrow.Time64(binary.BigEndian.Uint64(v)))
			return nil
		}
	case *array.TimestampBuilder:
		return func(v []byte) error {
			if len(v) != 8 {
				return errWire
			}
			us := int64(binary.BigEndian.Uint64(v))
			if us != math.MaxInt64 && us != math.MinInt64 {
				if us >= math.MaxInt64-epochMicros {
					return fmt.Errorf("a timestamp after the year 294246: %w", errRange)
				}
				us += epochMicros
			}
			b.Append(arrow.Timestamp(us))
			return nil
		}
	case *array.FixedSizeBinaryBuilder:
		return func(v []byte) error {
			if len(v) != 16 {
				return errWire
			}
			b.Append(v)
			return nil
		}
	case *array.StringBuilder:
		raw := b.BinaryBuilder
		switch {
		case t.Kind == connectors.Numeric:
			var buf []byte
			return func(v []byte) (err error) {
				if buf, err = appendNumericText(buf[:0], v); err == nil {
					raw.Append(buf)
				}
				return err
			}
		case checkUTF8: // a database without an encoding promises nothing
			return func(v []byte) error {
				if !utf8.Valid(v) {
					return errors.New("the text is not UTF-8, and the database's encoding is SQL_ASCII")
				}
				raw.Append(v)
				return nil
			}
		}
		return func(v []byte) error { raw.Append(v); return nil }
	}
	return nil
}

func int16Value(v []byte) (int16, error) {
	if len(v) != 2 {
		return 0, errWire
	}
	return int16(binary.BigEndian.Uint16(v)), nil
}

// wideTime reads an interval as a signed span; days count 24 hours, months have
// no length.
func wideTime(v []byte) (arrow.Time64, error) {
	if len(v) != 16 {
		return 0, errWire
	}
	us, days, months := int64(binary.BigEndian.Uint64(v)), int64(int32(binary.BigEndian.Uint32(v[8:]))), binary.BigEndian.Uint32(v[12:])
	sum := us + days*86_400_000_000
	if months != 0 || days > 0 && sum < us || days < 0 && sum > us {
		return 0, errRange
	}
	return arrow.Time64(sum), nil
}
